//! Over loopback sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bmc_core::power::PowerState;
use tokio::net::UdpSocket;

use ipmi_wire::session::v15::AuthType;

use super::*;

/// A console over a socket.
struct Client {
    socket: UdpSocket,
    console: Console,
    random: StdRng,
}

impl Client {
    async fn log_in(to: SocketAddr, login: ConsoleConfig) -> Self {
        let here = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(here).await.unwrap();
        // A connected socket takes answers from no other address than the one asked.
        socket.connect(to).await.unwrap();
        let mut random = random(3);
        let console = Console::new(login, Instant::now(), &mut random);
        let mut client = Self { socket, console, random };
        let event = client.event().await;
        assert!(matches!(event, ConsoleEvent::Ready { .. }), "{event:?}");
        client
    }

    async fn event(&mut self) -> ConsoleEvent {
        let mut buffer = vec![0; 2048];
        loop {
            while let Some(bytes) = self.console.poll_transmit() {
                self.socket.send(&bytes).await.unwrap();
            }
            if let Some(event) = self.console.poll_event() {
                return event;
            }
            let wait = self.console.next_timeout().map(tokio::time::Instant::from_std);
            let wait = wait.unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(30));
            match tokio::time::timeout_at(wait, self.socket.recv(&mut buffer)).await {
                Ok(length) => {
                    let datagram = &buffer[..length.unwrap()];
                    self.console.handle_datagram(Instant::now(), datagram, &mut self.random);
                }
                Err(_) => self.console.handle_timeout(Instant::now()),
            }
        }
    }

    fn send(&mut self, netfn: u8, cmd: u8, data: &[u8]) -> RequestId {
        self.console.request(Instant::now(), NetFn::new(netfn), 0, cmd, data, &mut self.random).unwrap()
    }

    async fn answer(&mut self) -> (RequestId, u8, Vec<u8>) {
        match self.event().await {
            ConsoleEvent::Response { id, completion, data } => (id, completion.0, data),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, netfn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        let sent = self.send(netfn, cmd, data);
        let (id, completion, data) = self.answer().await;
        assert_eq!(id, sent);
        (completion, data)
    }
}

async fn server(bench: &Bench, address: &str) -> IpmiServer {
    let address = address.parse().unwrap();
    IpmiServer::bind(address, bench.machine.clone(), &bench.fleet, IpmiConfig::default(), random(4))
        .await
        .unwrap()
}

#[tokio::test]
async fn power_and_boot_over_every_kind_of_address() {
    let bench = Bench::new().await;
    for address in ["127.0.0.1:0", "127.42.0.1:0", "[::1]:0"] {
        let server = server(&bench, address).await;
        for suite in [3, 17] {
            let mut client = Client::log_in(server.local_addr(), login("admin", PASSWORD, suite)).await;
            assert_eq!(client.ask(0x00, 0x02, &[1]).await.0, 0);
            bench.until(|snapshot| snapshot.power == PowerState::On).await;
            assert_eq!(client.ask(0x00, 0x01, &[]).await.1.first().map(|byte| byte & 1), Some(1));
            assert_eq!(client.ask(0x00, 0x08, &[5, 0xa0, 4, 0, 0, 0]).await.0, 0);
            assert_eq!(client.ask(0x00, 0x09, &[5, 0, 0]).await.1, [1, 5, 0xa0, 4, 0, 0, 0]);
            assert_eq!(client.ask(0x00, 0x02, &[0]).await.0, 0);
            bench.until(|snapshot| snapshot.power == PowerState::Off).await;
            assert_eq!(client.ask(0x2c, 0x3e, &[0, 2]).await, (0xc1, vec![0]));
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_slow_power_command_keeps_nobody_waiting() {
    let bench = Bench::new().await;
    let server = server(&bench, "127.0.0.1:0").await;
    let mut client = Client::log_in(server.local_addr(), login("admin", PASSWORD, 17)).await;
    bench.hold(true);
    let slow = client.send(0x00, 0x02, &[1]);
    let quick = client.send(0x00, 0x01, &[]);
    assert_eq!(client.answer().await.0, quick);
    // Acknowledged although the machine still hangs.
    let (id, completion, _) = client.answer().await;
    assert_eq!((id, completion), (slow, 0));
    assert_eq!(bench.machine.snapshot().power, PowerState::PoweringOn);
    // The machine hangs still. A busy host may be late once, but not always.
    let reads: [(u8, u8, &[u8]); 7] = [
        (0x00, 0x01, &[]),
        (0x00, 0x07, &[]),
        (0x00, 0x09, &[5, 0, 0]),
        (0x00, 0x0f, &[]),
        (0x06, 0x01, &[]),
        (0x06, 0x25, &[]),
        (0x0a, 0x10, &[0]),
    ];
    for (netfn, cmd, data) in reads {
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let asked = Instant::now();
            assert_eq!(client.ask(netfn, cmd, data).await.0, 0, "{netfn:02x}h {cmd:02x}h");
            fastest = fastest.min(asked.elapsed());
        }
        assert!(fastest < Duration::from_millis(50), "{netfn:02x}h {cmd:02x}h: {fastest:?}");
    }
    bench.hold(false);
    bench.until(|snapshot| snapshot.power == PowerState::On).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_answers_what_is_under_way_and_frees_its_port() {
    let bench = Bench::new().await;
    let running = server(&bench, "127.0.0.1:0").await;
    let address = running.local_addr();
    let mut client = Client::log_in(address, login("admin", PASSWORD, 17)).await;
    bench.hold(true);
    let slow = client.send(0x00, 0x02, &[1]);
    let quick = client.send(0x00, 0x01, &[]);
    assert_eq!(client.answer().await.0, quick, "so the slow one has arrived");
    running.stop().await;
    let (id, completion, _) = client.answer().await;
    assert_eq!((id, completion), (slow, 0));
    let again = server(&bench, &address.to_string()).await;
    assert_eq!(again.local_addr(), address);
    again.stop().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named_with_its_mend() {
    let bench = Arc::new(Bench::new().await);
    let taken = server(&bench, "127.0.0.1:0").await;
    let bind = |address: SocketAddr, config| {
        let bench = Arc::clone(&bench);
        async move {
            let bound =
                IpmiServer::bind(address, bench.machine.clone(), &bench.fleet, config, random(5)).await;
            bound.unwrap_err().to_string()
        }
    };
    let message = bind(taken.local_addr(), IpmiConfig::default()).await;
    assert!(message.contains(&taken.local_addr().to_string()) && message.contains("ss -lunp"), "{message}");
    let message = bind("192.0.2.1:6230".parse().unwrap(), IpmiConfig::default()).await;
    assert!(message.contains("192.0.2.1 is no address of this host"), "{message}");
    let config = IpmiConfig { suites: suites(&[3, 3]), ..Default::default() };
    let message = bind("127.0.0.1:0".parse().unwrap(), config).await;
    assert!(message.contains("cipher suite 3 is listed twice"), "{message}");
    for suite in [0, 1, 6, 15] {
        let config = IpmiConfig { suites: suites(&[suite]), ..Default::default() };
        let message = bind("192.0.2.1:6230".parse().unwrap(), config).await;
        assert!(message.contains("for loopback alone"), "suite {suite}: {message}");
    }
    for auth_type in [AuthType::None, AuthType::Password] {
        let config = IpmiConfig { ipmi15_auth: vec![auth_type], ..Default::default() };
        let message = bind("0.0.0.0:6230".parse().unwrap(), config).await;
        assert!(message.contains("for loopback alone"), "{auth_type:?}: {message}");
    }
    taken.stop().await;
}
