//! A scripted machine at its own door.

mod commands;
mod hostile;
mod socket;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bmc_core::system_interface::SystemInterfaceKind;
use ipmi_wire::NetFn;
use ipmi_wire::vm::{self, Command, Frame, Message};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::*;
use crate::handlers::testing::Bench;
use crate::{IpmiConfig, IpmiServer};

const LIMIT: Duration = Duration::from_secs(10);

/// A folder of its own, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("polybmc-door-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A BMC with a LAN and a system interface.
struct Door {
    bench: Bench,
    server: IpmiServer,
    interface: SystemInterface,
    folder: Folder,
}

fn config(folder: &Folder) -> SystemInterfaceConfig {
    let socket = folder.0.join("doors/node.sock");
    SystemInterfaceConfig { socket, kind: SystemInterfaceKind::Kcs, owner: None, group: None }
}

impl Door {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let random = StdRng::seed_from_u64(5);
        let address = "127.0.0.1:0".parse().unwrap();
        let server =
            IpmiServer::bind(address, bench.machine.clone(), &bench.fleet, IpmiConfig::default(), random);
        let server = server.await.unwrap();
        let folder = Folder::new();
        let interface = SystemInterface::bind(config(&folder), Arc::clone(server.bmc())).unwrap();
        Self { bench, server, interface, folder }
    }

    /// A machine that is connected and has heard the first words.
    async fn machine(&self) -> Machine {
        let mut machine = Machine::connect(&self.interface).await;
        let words = [machine.command().await, machine.command().await, machine.command().await];
        assert_eq!(words, [Command::Version(1), Command::DisableInterrupt, Command::NoAttention]);
        machine.send(&[Command::Version(1).encode(), vec![0x08, 0x3f, 0xa1]].concat()).await;
        machine
    }
}

/// What QEMU is to the BMC.
struct Machine {
    stream: UnixStream,
    decoder: vm::Decoder,
    frames: VecDeque<Frame>,
    /// Commands that came while an answer was waited for.
    commands: VecDeque<Command>,
    sequence: u8,
}

impl Machine {
    async fn connect(interface: &SystemInterface) -> Self {
        let stream = UnixStream::connect(interface.socket()).await.unwrap();
        let (decoder, frames, commands) = (vm::Decoder::default(), VecDeque::new(), VecDeque::new());
        Self { stream, decoder, frames, commands, sequence: 0xa0 }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` when the BMC has closed the connection.
    async fn next(&mut self) -> Option<Frame> {
        let mut buffer = [0; 256];
        while self.frames.is_empty() {
            let read = tokio::time::timeout(LIMIT, self.stream.read(&mut buffer)).await.unwrap();
            match read {
                Ok(0) | Err(_) => return None,
                Ok(length) => {
                    for byte in &buffer[..length] {
                        self.frames.extend(self.decoder.push(*byte).transpose().unwrap());
                    }
                }
            }
        }
        self.frames.pop_front()
    }

    async fn command(&mut self) -> Command {
        if let Some(command) = self.commands.pop_front() {
            return command;
        }
        match self.next().await {
            Some(Frame::Command(command)) => command,
            other => panic!("{other:?} instead of a command"),
        }
    }

    async fn message(&mut self) -> Message {
        loop {
            match self.next().await {
                Some(Frame::Message(message)) => return message,
                Some(Frame::Command(command)) => self.commands.push_back(command),
                None => panic!("the connection has ended instead of an answer"),
            }
        }
    }

    fn request(&mut self, netfn: u8, cmd: u8, data: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let (sequence, netfn) = (self.sequence, NetFn::new(netfn));
        Message { sequence, netfn, lun: 0, cmd, data: data.into() }.encode()
    }

    /// Sends a request and returns the completion code and the data of its answer.
    async fn ask(&mut self, netfn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        let request = self.request(netfn, cmd, data);
        self.send(&request).await;
        let answer = self.message().await;
        assert_eq!((answer.sequence, answer.netfn.get(), answer.cmd), (self.sequence, netfn | 1, cmd));
        let (code, data) = answer.data.split_first().unwrap();
        (*code, data.to_vec())
    }
}
