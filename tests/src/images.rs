//! A media server: it sends the files of one folder, to whoever asks by HTTP.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

/// A server on loopback. It ends when dropped.
#[derive(Debug)]
pub struct Images {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    asked: AtomicUsize,
    ended: AtomicBool,
    /// Whether bodies are held back.
    held: Mutex<bool>,
    freed: Condvar,
}

impl Images {
    /// Serves the files of `folder`.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn serve(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            asked: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            held: Mutex::new(false),
            freed: Condvar::new(),
        });
        let server = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                // One that is asked by a client that has gone has nobody to tell.
                thread::spawn(move || server.answer(&stream));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// The URL of a file.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// How often anything was asked for.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Holds back what comes behind the first byte of each file, or lets it go.
    pub fn hold(&self, hold: bool) {
        *self.shared.held.lock().expect("no holder panics") = hold;
        self.shared.freed.notify_all();
    }
}

impl Shared {
    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        self.asked.fetch_add(1, Ordering::SeqCst);
        let name = request.split_whitespace().nth(1)?.trim_start_matches('/');
        let Ok(bytes) = fs::read(self.folder.join(name)) else {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok();
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
        let (first, rest) = bytes.split_at_checked(1)?;
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(first).ok()?;
        let held = self.held.lock().expect("no holder panics");
        drop(self.freed.wait_while(held, |held| *held && !self.ended.load(Ordering::SeqCst)));
        stream.write_all(rest).ok()
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.hold(false);
        // Wakes the thread that waits for the next connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
