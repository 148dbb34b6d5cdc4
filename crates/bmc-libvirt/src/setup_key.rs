//! Opening the firmware's menus: the copy that was started makes the firmware wait for a key, and this presses it.
//!
//! OVMF opens its setup at the first Escape and does not mind more. SeaBIOS has no setup; its boot menu is what comes nearest: Escape
//! opens it, and a second one leaves it again.

use std::sync::Arc;
use std::time::Duration;

use bmc_core::boot::FirmwareMode;
use virt_sys as c;

use crate::connection::CALL_TIMEOUT;
use crate::hub::Hub;
use crate::watch::Watch;

/// The Escape key in Linux's key codes.
const ESCAPE: u32 = 1;
/// How long it is held, in milliseconds.
const HOLD_MS: u32 = 100;

/// When keys are pressed: nobody says when the firmware has found its keyboard.
struct Rhythm {
    /// Before the first press and between presses.
    pause: Duration,
    presses: u32,
}

/// In software emulation OVMF takes up to ten seconds to its prompt.
const OVMF: Rhythm = Rhythm { pause: Duration::from_millis(500), presses: 20 };
/// In software emulation SeaBIOS takes about two seconds to its prompt, where it waits for a minute.
const SEABIOS: Rhythm = Rhythm { pause: Duration::from_secs(8), presses: 1 };

/// Presses Escape as the firmware needs it, unless the machine stops.
pub(crate) async fn press(hub: Arc<Hub>, watch: Arc<Watch>) {
    let (generation, firmware) = {
        let track = watch.track();
        (track.generation, track.info.as_ref().map(|info| info.firmware).unwrap_or_default())
    };
    let rhythm = match firmware {
        FirmwareMode::Uefi => OVMF,
        FirmwareMode::Legacy => SEABIOS,
    };
    for _ in 0..rhythm.presses {
        tokio::time::sleep(rhythm.pause).await;
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
