//! The part of libvirt's C interface that the `virt` crate does not wrap: domain events, the connection close callback,
//! NMI, and a state query that reports its error; below it console streams and bulk statistics. The only `unsafe` code of the project.
//!
//! Events take one way. libvirt's default event loop runs in one thread for the whole process; its callbacks copy what they
//! are lent (UUID, name, numbers), pass it to a [`Sink`], and return. A sink must not block and must not call libvirt.
#![allow(unsafe_code, reason = "this module is the border to the C library")]

mod stats;
mod stream;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as c;

pub(crate) use self::stats::{Counters, domain_stats};
pub(crate) use self::stream::{ConsoleStream, Received};

/// How long the event thread rests after libvirt's event loop reported a failure, so that a broken loop cannot spin.
const EVENT_LOOP_REST: Duration = Duration::from_millis(200);

/// What libvirt told us, copied out of the callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawEvent {
    /// A lifecycle event: `event` is a `virDomainEventType`, `detail` the matching detail enumeration.
    Lifecycle { uuid: Uuid, name: String, event: u32, detail: u32 },
    /// The machine's processors were reset (`VIR_DOMAIN_EVENT_ID_REBOOT`): by the guest, or by a reset through the hypervisor.
    Reboot { uuid: Uuid },
    /// The guest's watchdog fired (`VIR_DOMAIN_EVENT_ID_WATCHDOG`); `action` is a `virDomainEventWatchdogAction`.
    Watchdog { uuid: Uuid, action: u32 },
    /// What lies behind a disk could not be read or written (`VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON`): where it lies, the device's alias,
    /// and why; each may be empty.
    DiskError { uuid: Uuid, path: String, alias: String, reason: String },
    /// A device was plugged into the running machine, or out of it.
    Devices { uuid: Uuid },
    /// The metadata of a definition has changed without a new definition.
    Metadata { uuid: Uuid },
    /// The connection is gone; the number is a `virConnectCloseReason`.
    Closed { reason: u32 },
}

/// Where events of one connection go.
pub(crate) type Sink = Box<dyn Fn(RawEvent) + Send + Sync>;

/// Starts libvirt's default event loop, once per process. It has to happen before the first connection is opened.
///
/// # Errors
/// libvirt's or the operating system's reason; it is kept, later calls return it too.
pub(crate) fn start_event_loop() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED
        .get_or_init(|| {
            virt::error::clear_error_callback();
            // SAFETY: takes no arguments; the `OnceLock` lets it run once, before any connection of ours exists.
            if unsafe { c::virEventRegisterDefaultImpl() } < 0 {
                return Err(Error::last_error().to_string());
            }
            thread::Builder::new()
                .name("libvirt-events".into())
                .spawn(|| {
                    loop {
                        // SAFETY: the default implementation was registered above; only this thread runs it.
                        if unsafe { c::virEventRunDefaultImpl() } < 0 {
                            tracing::error!(error = %Error::last_error(), "libvirt's event loop failed");
                            thread::sleep(EVENT_LOOP_REST);
                        }
                    }
                })
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .clone()
}

/// The callbacks registered on one connection. Dropping it takes them back, which must happen before the connection is closed:
/// each of them holds a reference on it.
pub(crate) struct Registration {
    connect: Connect,
    callbacks: Vec<c_int>,
    close_callback: bool,
}

impl Registration {
    /// Registers for the events of [`RawEvent`] on every domain of `connect`. Each registration gets a sink of its own from `sink`.
    /// Drivers without reboot or watchdog events or without a close callback (`test:///`) do without.
    ///
    /// # Errors
    /// The hypervisor offers no lifecycle events.
    pub(crate) fn new(connect: &Connect, sink: impl Fn() -> Sink) -> Result<Self, Error> {
        let mut registration =
            Self { connect: connect.clone(), callbacks: Vec::new(), close_callback: false };
        // SAFETY: for this event id libvirt calls back with the signature of `on_lifecycle`; the cast is what
        // `VIR_DOMAIN_EVENT_CALLBACK` does in C, and libvirt casts it back before the call.
        let lifecycle = unsafe {
            std::mem::transmute::<c::virConnectDomainEventCallback, c::virConnectDomainEventGenericCallback>(
                Some(on_lifecycle),
            )
        };
        registration.add(c::VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, sink())?;
        // SAFETY: as above, with the signature of `on_watchdog`.
        let watchdog = unsafe {
            std::mem::transmute::<
                c::virConnectDomainEventWatchdogCallback,
                c::virConnectDomainEventGenericCallback,
            >(Some(on_watchdog))
        };
        // SAFETY: as above, with the signature of `on_device`; both events have it.
        let device = unsafe {
            std::mem::transmute::<
                c::virConnectDomainEventDeviceAddedCallback,
                c::virConnectDomainEventGenericCallback,
            >(Some(on_device))
        };
        // SAFETY: as above, with the signature of `on_metadata`.
        let metadata = unsafe {
            std::mem::transmute::<
                c::virConnectDomainEventMetadataChangeCallback,
                c::virConnectDomainEventGenericCallback,
            >(Some(on_metadata))
        };
        // SAFETY: as above, with the signature of `on_disk_error`.
        let disk_error = unsafe {
            std::mem::transmute::<
                c::virConnectDomainEventIOErrorReasonCallback,
                c::virConnectDomainEventGenericCallback,
            >(Some(on_disk_error))
        };
        for (id, callback) in [
            (c::VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, disk_error),
            (c::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata),
            (c::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, device),
            (c::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, device),
            (c::VIR_DOMAIN_EVENT_ID_REBOOT, Some(on_reboot as _)),
            (c::VIR_DOMAIN_EVENT_ID_WATCHDOG, watchdog),
        ] {
            if let Err(error) = registration.add(id, callback, sink()) {
                tracing::info!(%error, event = id, "the hypervisor does not offer this event");
            }
        }
        registration.add_close(sink());
        Ok(registration)
    }

    fn add(
        &mut self,
        id: c_uint,
        callback: c::virConnectDomainEventGenericCallback,
        sink: Sink,
    ) -> Result<(), Error> {
        let opaque = Box::into_raw(Box::new(sink)).cast::<c_void>();
        // SAFETY: the connection is alive, a null domain means all of them, `opaque` is a leaked `Box<Sink>` that `free_sink` takes
        // back once no callback can run any more.
        let number = unsafe {
            c::virConnectDomainEventRegisterAny(
                self.connect.as_ptr(),
                ptr::null_mut(),
                id as c_int,
                callback,
                opaque,
                Some(free_sink),
            )
        };
        if number < 0 {
            let error = Error::last_error();
            // SAFETY: a failed registration leaves `opaque` to us.
            unsafe { free_sink(opaque) };
            return Err(error);
        }
        self.callbacks.push(number);
        Ok(())
    }

    fn add_close(&mut self, sink: Sink) {
        let opaque = Box::into_raw(Box::new(sink)).cast::<c_void>();
        // SAFETY: as in `add`; `on_close` has the type that libvirt asks for.
        let result = unsafe {
            c::virConnectRegisterCloseCallback(self.connect.as_ptr(), Some(on_close), opaque, Some(free_sink))
        };
        if result < 0 {
            tracing::debug!(error = %Error::last_error(), "no close callback for this connection");
            // SAFETY: a failed registration leaves `opaque` to us.
            unsafe { free_sink(opaque) };
        }
        self.close_callback = result >= 0;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        for &number in &self.callbacks {
            // SAFETY: `number` came from a registration on this connection, which is alive. libvirt frees the sink itself.
            unsafe { c::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), number) };
        }
        if self.close_callback {
            // SAFETY: the same callback was registered on this connection, which is alive.
            unsafe { c::virConnectUnregisterCloseCallback(self.connect.as_ptr(), Some(on_close)) };
        }
    }
}

/// Hands `event` to the sink behind `opaque`; a panic must not run into C.
///
/// # Safety
/// `opaque` is a live `Box<Sink>` made by [`Registration`].
unsafe fn deliver(opaque: *mut c_void, event: impl FnOnce() -> Option<RawEvent>) {
    let delivered = catch_unwind(AssertUnwindSafe(|| {
        if let Some(event) = event() {
            // SAFETY: the caller vouches for `opaque`; sinks are shared, never changed.
            let sink = unsafe { &*opaque.cast::<Sink>() };
            sink(event);
        }
    }));
    if delivered.is_err() {
        tracing::error!("a libvirt event was lost: its receiver panicked");
    }
}

/// The UUID of a domain lent to a callback.
///
/// # Safety
/// `domain` is valid for the duration of the call.
unsafe fn uuid_of(domain: c::virDomainPtr) -> Option<Uuid> {
    let mut bytes = [0_u8; c::VIR_UUID_BUFLEN as usize];
    // SAFETY: the caller vouches for `domain`; the buffer has the length libvirt writes. Both are local look-ups, not calls to the
    // hypervisor.
    (unsafe { c::virDomainGetUUID(domain, bytes.as_mut_ptr()) } >= 0).then(|| Uuid::from_bytes(bytes))
}

/// The name of a domain lent to a callback.
///
/// # Safety
/// `domain` is valid for the duration of the call.
unsafe fn name_of(domain: c::virDomainPtr) -> Option<String> {
    // SAFETY: the caller vouches for `domain`; the string belongs to it, and is copied.
    unsafe {
        let name = c::virDomainGetName(domain);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// A string lent to a callback; nothing for none.
///
/// # Safety
/// `text` is null, or a C string that is valid for the duration of the call.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn on_lifecycle(
    _connect: c::virConnectPtr,
    domain: c::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: libvirt lends `domain` for this call and passes back the `opaque` of the registration.
    unsafe {
        deliver(opaque, || {
            let (uuid, name) = (uuid_of(domain)?, name_of(domain)?);
            Some(RawEvent::Lifecycle { uuid, name, event: event as u32, detail: detail as u32 })
        });
    }
    0
}

unsafe extern "C" fn on_reboot(_connect: c::virConnectPtr, domain: c::virDomainPtr, opaque: *mut c_void) {
    // SAFETY: as in `on_lifecycle`.
    unsafe { deliver(opaque, || Some(RawEvent::Reboot { uuid: uuid_of(domain)? })) };
}

unsafe extern "C" fn on_watchdog(
    _connect: c::virConnectPtr,
    domain: c::virDomainPtr,
    action: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as in `on_lifecycle`.
    unsafe { deliver(opaque, || Some(RawEvent::Watchdog { uuid: uuid_of(domain)?, action: action as u32 })) };
}

unsafe extern "C" fn on_disk_error(
    _connect: c::virConnectPtr,
    domain: c::virDomainPtr,
    path: *const c_char,
    alias: *const c_char,
    _action: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as in `on_lifecycle`; the strings are lent for this call, too.
    unsafe {
        deliver(opaque, || {
            let (path, alias, reason) = (text_of(path), text_of(alias), text_of(reason));
            Some(RawEvent::DiskError { uuid: uuid_of(domain)?, path, alias, reason })
        });
    }
}

unsafe extern "C" fn on_device(
    _connect: c::virConnectPtr,
    domain: c::virDomainPtr,
    _alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as in `on_lifecycle`.
    unsafe { deliver(opaque, || Some(RawEvent::Devices { uuid: uuid_of(domain)? })) };
}

unsafe extern "C" fn on_metadata(
    _connect: c::virConnectPtr,
    domain: c::virDomainPtr,
    _kind: c_int,
    _namespace: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as in `on_lifecycle`.
    unsafe { deliver(opaque, || Some(RawEvent::Metadata { uuid: uuid_of(domain)? })) };
}

unsafe extern "C" fn on_close(_connect: c::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt passes back the `opaque` of the registration.
    unsafe { deliver(opaque, || Some(RawEvent::Closed { reason: reason as u32 })) };
}

unsafe extern "C" fn free_sink(opaque: *mut c_void) {
    // SAFETY: `opaque` is a leaked `Box<Sink>`; libvirt calls this once, after the last callback.
    drop(unsafe { Box::from_raw(opaque.cast::<Sink>()) });
}

/// Injects a non-maskable interrupt into every processor.
///
/// # Errors
/// libvirt's.
pub(crate) fn inject_nmi(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain is alive for the duration of the call; no flags are defined.
    if unsafe { c::virDomainInjectNMI(domain.as_ptr(), 0) } < 0 {
        return Err(Error::last_error());
    }
    Ok(())
}

/// The domain's state (`virDomainState`). `Domain::state` of virt 0.5 turns a failed call into an unknown state; this tells.
///
/// # Errors
/// libvirt's.
pub(crate) fn domain_state(domain: &Domain) -> Result<u32, Error> {
    let (mut state, mut reason): (c_int, c_int) = (0, 0);
    // SAFETY: the domain is alive, both pointers are to locals that outlive the call.
    if unsafe { c::virDomainGetState(domain.as_ptr(), &raw mut state, &raw mut reason, 0) } < 0 {
        return Err(Error::last_error());
    }
    Ok(state as u32)
}
