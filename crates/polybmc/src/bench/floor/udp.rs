//! A bare UDP echo: one thread, one socket, each datagram goes back as it came.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::bench::budget::{Budget, Goal, Patience};
use crate::bench::stats::{Series, Shared};

/// The largest datagram that is echoed.
const MAX_DATAGRAM: usize = 2048;

/// The echo; ends when dropped.
#[derive(Debug)]
pub(in crate::bench) struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    /// When loopback cannot be bound, or no thread can be started.
    pub(in crate::bench) fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("udp-echo".to_owned()).spawn(move || echo(&socket, &stopped))?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub(in crate::bench) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The thread waits for a datagram: this is one.
        let woken =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.send_to(&[], self.address));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn echo(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; MAX_DATAGRAM];
    while !stop.load(Ordering::Acquire) {
        // Errors are those of clients that have gone (port unreachable); the next datagram is another's.
        if let Ok((len, peer)) = socket.recv_from(&mut buffer)
            && let Some(datagram) = buffer.get(..len)
        {
            let _ = socket.send_to(datagram, peer);
        }
    }
}

/// What one client of the echo needs to know.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Exchange {
    /// Bytes of each datagram.
    pub size: usize,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// `clients` clients in a closed loop against an echo of our own. Returns what they saw and how long it took.
///
/// # Errors
/// When the echo cannot be started.
pub(in crate::bench) async fn measure(
    clients: u32,
    exchange: Exchange,
    goal: Goal,
    limit: Duration,
) -> io::Result<(Series, Duration)> {
    let echo = Echo::start()?;
    let budget = Budget::start(goal, limit);
    let started = Instant::now();
    let seen = Shared::new(Series::new());
    let mut workers = JoinSet::new();
    for _ in 0..clients {
        workers.spawn(work(echo.address(), exchange, budget.clone(), seen.clone()));
    }
    while let Some(joined) = workers.join_next().await {
        if !matches!(joined, Ok(Ok(()))) {
            seen.note(Series::failed);
        }
    }
    Ok((seen.read(), started.elapsed()))
}

async fn work(
    target: SocketAddr,
    exchange: Exchange,
    budget: Budget,
    seen: Shared<Series>,
) -> io::Result<()> {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(target).await?;
    let datagram = vec![0x5a; exchange.size.min(MAX_DATAGRAM)];
    let mut buffer = [0; MAX_DATAGRAM];
    let mut patience = Patience::default();
    while budget.take() {
        let started = Instant::now();
        let deadline = budget.end_by().min(started + exchange.timeout);
        let answered = timeout_at(deadline, async {
            socket.send(&datagram).await?;
            socket.recv(&mut buffer).await
        })
        .await;
        if matches!(answered, Ok(Ok(len)) if len == datagram.len()) {
            let took = started.elapsed();
            seen.note(|series| series.ok(took));
            patience.renew();
        } else {
            seen.note(Series::failed);
            if patience.lose() {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_comes_back() {
        let exchange = Exchange { size: 64, timeout: Duration::from_secs(10) };
        let (series, _) = measure(2, exchange, Goal::Count(50), Duration::from_secs(60)).await.unwrap();
        assert_eq!((series.good(), series.bad()), (50, 0));
    }

    #[test]
    fn the_echo_ends_with_its_owner() {
        let echo = Echo::start().unwrap();
        let address = echo.address();
        drop(echo);
        UdpSocket::bind(address).unwrap();
    }
}
