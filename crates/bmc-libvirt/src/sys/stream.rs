//! A domain's console as a stream that never makes its reader wait, and says when there is something to read.
//!
//! The callback runs on libvirt's event thread. It turns itself off and wakes whoever holds the stream; that one reads until nothing is
//! left and turns it on again. So there is one buffer of output under way, and a reader that rests holds up nobody.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use tokio::sync::Notify;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::stream::Stream;
use virt_sys as c;

/// What libvirt's streams say instead of a length when a call would have to wait.
const WOULD_BLOCK: isize = -2;

/// What a look into the stream found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The other side has closed it.
    End,
}

/// An open console. Dropping it closes it, for which libvirt is asked: that may block.
pub(crate) struct ConsoleStream {
    stream: Stream,
    has_callback: bool,
}

impl ConsoleStream {
    /// Opens the console behind the device with this alias. Never takes it away from another program.
    ///
    /// # Errors
    /// libvirt's; `OPERATION_FAILED` when another program has it.
    pub(crate) fn open(
        connect: &Connect,
        domain: &Domain,
        alias: &str,
        wake: Arc<Notify>,
    ) -> Result<Self, Error> {
        let stream = Stream::new(connect, c::VIR_STREAM_NONBLOCK)?;
        domain.open_console(Some(alias), &stream, 0)?;
        let mut console = Self { stream, has_callback: false };
        let opaque = Box::into_raw(Box::new(wake)).cast::<c_void>();
        // SAFETY: the stream is alive, `opaque` is a leaked `Box<Arc<Notify>>` that `free_wake` takes back once no callback can run any
        // more.
        let added = unsafe {
            c::virStreamEventAddCallback(
                console.stream.as_ptr(),
                interest(false),
                Some(on_stream),
                opaque,
                Some(free_wake),
            )
        };
        if added < 0 {
            let error = Error::last_error();
            // SAFETY: a failed registration leaves `opaque` to us.
            unsafe { free_wake(opaque) };
            return Err(error);
        }
        console.has_callback = true;
        Ok(console)
    }

    /// Wants to be woken by the next output or the end, and with `writable` also when there is room for input.
    ///
    /// # Errors
    /// libvirt's: the stream is no longer good for anything.
    pub(crate) fn listen(&self, writable: bool) -> Result<(), Error> {
        // SAFETY: the stream is alive and has a callback.
        if unsafe { c::virStreamEventUpdateCallback(self.stream.as_ptr(), interest(writable)) } < 0 {
            return Err(Error::last_error());
        }
        Ok(())
    }

    /// Takes what has arrived, without waiting.
    ///
    /// # Errors
    /// libvirt's: the stream is broken.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<Received, Error> {
        Ok(match self.stream.recv(buffer)? {
            0 => Received::End,
            length => usize::try_from(length).map_or(Received::Nothing, Received::Bytes),
        })
    }

    /// Sends input and returns how much of it was taken. Waits for no answer, but for the connection's socket to take it.
    ///
    /// # Errors
    /// libvirt's: the stream is broken.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Error> {
        let taken = self.stream.send(bytes)?;
        debug_assert!(taken >= WOULD_BLOCK, "libvirt's only other answer");
        Ok(usize::try_from(taken).unwrap_or(0))
    }
}

impl Drop for ConsoleStream {
    fn drop(&mut self) {
        if self.has_callback {
            // SAFETY: the stream is alive; libvirt frees the callback's data itself, also when the callback is running at the moment.
            unsafe { c::virStreamEventRemoveCallback(self.stream.as_ptr()) };
        }
        // SAFETY: the stream is alive. One that has ended by itself or lost its connection cannot be aborted, which is no harm. One that
        // was merely freed would stay open in libvirtd.
        unsafe { c::virStreamAbort(self.stream.as_ptr()) };
    }
}

fn interest(writable: bool) -> c_int {
    let mut events = c::VIR_STREAM_EVENT_READABLE | c::VIR_STREAM_EVENT_ERROR | c::VIR_STREAM_EVENT_HANGUP;
    if writable {
        events |= c::VIR_STREAM_EVENT_WRITABLE;
    }
    events as c_int
}

unsafe extern "C" fn on_stream(stream: c::virStreamPtr, _events: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt lends the stream for this call and passes back the `opaque` of the registration, which is shared, never changed.
    // Changing what a callback wants from within it is what libvirt's own clients do.
    unsafe {
        c::virStreamEventUpdateCallback(stream, 0);
        (*opaque.cast::<Arc<Notify>>()).notify_one();
    }
}

unsafe extern "C" fn free_wake(opaque: *mut c_void) {
    // SAFETY: `opaque` is a leaked `Box<Arc<Notify>>`; libvirt calls this once, after the last callback.
    drop(unsafe { Box::from_raw(opaque.cast::<Arc<Notify>>()) });
}
