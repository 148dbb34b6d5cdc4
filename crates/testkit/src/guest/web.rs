//! An HTTP server for one file, which guests reach on their network's host: what UEFI boots from over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The address of the host in a guest's network; QEMU passes it on to the host's loopback.
const HOST: &str = "10.0.2.2";

/// A server on a free port of loopback. It ends with the test's process.
#[derive(Debug)]
pub struct Web {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Serves `bytes` under every path.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub fn serve(bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, bytes) = (Arc::clone(&asked), Arc::new(bytes));
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let (log, bytes) = (Arc::clone(&log), Arc::clone(&bytes));
                thread::spawn(move || answer(&stream, &bytes, &log));
            }
        });
        Self { port, asked }
    }

    /// The URL of a path, as a guest writes it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.port)
    }

    /// The first lines of the requests that came.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers the requests of one connection until it ends.
fn answer(mut stream: &TcpStream, bytes: &[u8], log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        for header in lines.by_ref() {
            if header.is_empty() {
                break;
            }
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/efi\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        );
        let body = if request.starts_with("HEAD ") { &[] } else { bytes };
        log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
            return;
        }
    }
}
