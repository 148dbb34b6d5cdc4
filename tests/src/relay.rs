//! A UDP wire between clients and a BMC: it records every datagram, and loses those that the test picks.
//!
//! ```text
//!   client ──► front socket ──► one socket for each client ──► BMC
//!          ◄──              ◄──                            ◄──
//! ```

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use testkit::ports;

/// How often the relay's threads look whether they shall end.
const LOOK: Duration = Duration::from_millis(20);
/// The largest datagram there is.
const LARGEST: usize = 65_536;

/// Where a datagram was going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the BMC.
    Request,
    /// From the BMC to the client.
    Reply,
}

/// One datagram that came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it was going.
    pub way: Way,
    /// The client's address.
    pub client: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it got through.
    pub passed: bool,
}

impl Seen {
    /// Whether it carries Serial over LAN: payload type 1.
    pub fn is_sol(&self) -> bool {
        self.in_session() && self.bytes.get(5).is_some_and(|byte| byte & 0x3f == 1)
    }

    /// Whether it is a datagram inside an RMCP+ session: RMCP class 7, format 06h, an id other than 0.
    pub fn in_session(&self) -> bool {
        let id = self.bytes.get(6..10).unwrap_or_default();
        self.bytes.get(3..5) == Some(&[0x07, 0x06]) && id.iter().any(|&byte| byte != 0)
    }
}

/// Decides whether a datagram gets through; it is asked in the order of their coming.
type Pass = Box<dyn FnMut(&Seen) -> bool + Send>;

struct Wire {
    bmc: SocketAddr,
    front: UdpSocket,
    pass: Mutex<Pass>,
    seen: Mutex<Vec<Seen>>,
    ended: AtomicBool,
}

/// A relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    wire: Arc<Wire>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("bmc", &self.bmc).finish_non_exhaustive()
    }
}

impl Relay {
    /// A wire that loses nothing.
    pub fn transparent(bmc: SocketAddr) -> Self {
        Self::lossy(bmc, |_| true)
    }

    /// A wire that lets through what `pass` says, at the BMC's own port on another address: clients refuse Serial over LAN on any other.
    ///
    /// # Panics
    /// When loopback cannot be bound.
    pub fn at_its_port(bmc: SocketAddr, pass: impl FnMut(&Seen) -> bool + Send + 'static) -> Self {
        Self::between(bmc, SocketAddr::from((ports::own_address_number(1), bmc.port())), pass)
    }

    /// A wire that lets through what `pass` says.
    ///
    /// # Panics
    /// When loopback cannot be bound.
    pub fn lossy(bmc: SocketAddr, pass: impl FnMut(&Seen) -> bool + Send + 'static) -> Self {
        Self::between(bmc, SocketAddr::from((ports::own_address(), 0)), pass)
    }

    fn between(bmc: SocketAddr, front: SocketAddr, pass: impl FnMut(&Seen) -> bool + Send + 'static) -> Self {
        let front = UdpSocket::bind(front).expect("loopback can be bound");
        front.set_read_timeout(Some(LOOK)).expect("a socket takes a time-out");
        let address = front.local_addr().expect("a bound socket has an address");
        let wire = Arc::new(Wire {
            bmc,
            front,
            pass: Mutex::new(Box::new(pass)),
            seen: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let front = Arc::clone(&wire);
        let thread = thread::spawn(move || front.serve());
        Self { address, wire, thread: Some(thread) }
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that came by until now.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.wire.seen).clone()
    }

    /// Fails unless each datagram of the client had its answer, and had it before the next one: a client that had to
    /// wait for its time-out repeats itself, and so breaks the step.
    ///
    /// # Panics
    /// When the step was broken, or nothing came by at all.
    #[track_caller]
    pub fn assert_in_step(&self) {
        let ways: Vec<Way> = self.seen().iter().filter(|seen| seen.passed).map(|seen| seen.way).collect();
        assert!(!ways.is_empty(), "nothing came by");
        let in_step = ways.chunks(2).all(|pair| pair == [Way::Request, Way::Reply]);
        assert!(in_step, "a datagram was not answered, or answered twice: {ways:?}");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wire.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it may have panicked with has been printed by then.
            let _ = thread.join();
        }
    }
}

impl Wire {
    fn serve(self: Arc<Self>) {
        let mut clients: HashMap<SocketAddr, (Arc<UdpSocket>, JoinHandle<()>)> = HashMap::new();
        let mut buffer = vec![0; LARGEST];
        while !self.ended.load(Ordering::Relaxed) {
            let Ok((length, client)) = self.front.recv_from(&mut buffer) else { continue };
            let (socket, _) = clients.entry(client).or_insert_with(|| self.connect(client));
            if self.passes(Way::Request, client, &buffer[..length]) {
                // A BMC that is away makes the socket fail; to the client that is a lost datagram.
                let _ = socket.send(&buffer[..length]);
            }
        }
        for (_, thread) in clients.into_values() {
            let _ = thread.join();
        }
    }

    fn connect(self: &Arc<Self>, client: SocketAddr) -> (Arc<UdpSocket>, JoinHandle<()>) {
        let socket = UdpSocket::bind((ports::own_address(), 0)).expect("loopback can be bound");
        socket.connect(self.bmc).expect("a loopback socket can be connected");
        socket.set_read_timeout(Some(LOOK)).expect("a socket takes a time-out");
        let socket = Arc::new(socket);
        let (wire, back) = (Arc::clone(self), Arc::clone(&socket));
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; LARGEST];
            while !wire.ended.load(Ordering::Relaxed) {
                let Ok(length) = back.recv(&mut buffer) else { continue };
                if wire.passes(Way::Reply, client, &buffer[..length]) {
                    let _ = wire.front.send_to(&buffer[..length], client);
                }
            }
        });
        (socket, thread)
    }

    fn passes(&self, way: Way, client: SocketAddr, bytes: &[u8]) -> bool {
        let mut seen = Seen { way, client, bytes: bytes.to_vec(), passed: false };
        seen.passed = lock(&self.pass)(&seen);
        let passed = seen.passed;
        lock(&self.seen).push(seen);
        passed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each datagram with itself until a datagram without bytes comes.
    fn echo() -> (SocketAddr, JoinHandle<()>) {
        let socket = UdpSocket::bind((ports::own_address(), 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let mut buffer = [0; 64];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                if length == 0 {
                    break;
                }
                socket.send_to(&buffer[..length], from).unwrap();
            }
        });
        (address, thread)
    }

    fn client(relay: &Relay) -> UdpSocket {
        let socket = UdpSocket::bind((ports::own_address(), 0)).unwrap();
        socket.connect(relay.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    #[test]
    fn what_passes_comes_back_and_is_in_step() {
        let (address, thread) = echo();
        let relay = Relay::transparent(address);
        let client = client(&relay);
        let mut buffer = [0; 64];
        for word in [b"one", b"two"] {
            client.send(word).unwrap();
            let length = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], word);
        }
        relay.assert_in_step();
        assert_eq!(relay.seen().len(), 4);
        client.send(&[]).unwrap();
        thread.join().unwrap();
    }

    #[test]
    #[should_panic(expected = "not answered, or answered twice")]
    fn a_repetition_is_out_of_step() {
        let (address, thread) = echo();
        let mut replies = 0;
        let relay = Relay::lossy(address, move |seen| {
            replies += u32::from(seen.way == Way::Reply);
            seen.way == Way::Request || replies > 1
        });
        let client = client(&relay);
        client.send(b"lost").unwrap();
        let both = || relay.seen().len() == 2;
        testkit::wait::eventually("the first reply is lost", Duration::from_secs(10), both);
        client.send(b"lost").unwrap();
        client.recv(&mut [0; 64]).unwrap();
        UdpSocket::bind((ports::own_address(), 0)).unwrap().send_to(&[], address).unwrap();
        thread.join().unwrap();
        relay.assert_in_step();
    }
}
