//! Opening the firmware's setup: the copy that was started makes the firmware wait for a key, and this presses it.
//!
//! OVMF opens its setup at the first Escape and does not mind more. SeaBIOS has no setup.

use std::sync::Arc;
use std::time::Duration;

use virt_sys as c;

use crate::connection::CALL_TIMEOUT;
use crate::hub::Hub;
use crate::watch::Watch;

/// The Escape key in Linux's key codes.
const ESCAPE: u32 = 1;
/// How long it is held, in milliseconds.
const HOLD_MS: u32 = 100;

/// The time before the first press and between presses: nobody says when the firmware has found its keyboard.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is pressed: in software emulation OVMF takes up to ten seconds to its prompt.
const PRESSES: u32 = 20;

/// Presses Escape as the firmware needs it, unless the machine stops.
pub(crate) async fn press(hub: Arc<Hub>, watch: Arc<Watch>) {
    let generation = watch.track().generation;
    for _ in 0..PRESSES {
        tokio::time::sleep(PAUSE).await;
        if watch.track().generation != generation {
            return;
        }
        let domain = Arc::clone(&watch);
        let pressed = hub.caller.call(CALL_TIMEOUT, "press a key", move |connect| {
            let mut keys = [ESCAPE];
            Ok(domain.look_up(connect)?.send_key(
                c::VIR_KEYCODE_SET_LINUX,
                HOLD_MS,
                keys.as_mut_ptr(),
                1,
                0,
            )?)
        });
        if let Err(error) = pressed.await {
            tracing::warn!(%error, "the key that opens the firmware's setup could not be pressed");
            return;
        }
    }
}
