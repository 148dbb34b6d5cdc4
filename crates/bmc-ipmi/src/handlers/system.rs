//! The controller as a part of its system: resets, the ACPI power state, global enables, the message queues of a system interface.

use bmc_core::bmc::BmcReset;
use bmc_core::request::Request;
use bmc_core::snapshot::Health;
use bmc_core::watchdog::WatchdogRequest;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::system::{
    AcpiPowerState, ClearMessageFlags, ColdReset, EventMessage, GetAcpiPowerState, GetGlobalEnables,
    GetMessage, GetMessageFlags, GlobalEnables, Message, MessageFlags, ReadEventMessageBuffer,
    SetAcpiPowerState, SetGlobalEnables, WarmReset, acpi_device, acpi_system,
};

use crate::handlers::watchdog;
use crate::system_interface::message_flag;
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, Read, USER};
use crate::volatile::AcpiNote;
use crate::{Context, error};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/system.rs";

/// The commands of this room. Those on message queues are for the machine's own side; over a LAN they need the highest level.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<ColdReset>(ADMINISTRATOR, "20.2", (TESTS, "resets_")),
    Entry::act::<WarmReset>(ADMINISTRATOR, "20.3", (TESTS, "resets_")),
    Entry::act::<SetAcpiPowerState>(ADMINISTRATOR, "20.6", (TESTS, "acpi_state_")),
    Entry::read::<GetAcpiPowerState>(USER, "20.7", (TESTS, "acpi_state_")),
    Entry::act::<SetGlobalEnables>(ADMINISTRATOR, "22.1", (TESTS, "global_enables_")),
    Entry::read::<GetGlobalEnables>(USER, "22.2", (TESTS, "global_enables_")),
    Entry::act::<ClearMessageFlags>(ADMINISTRATOR, "22.3", (TESTS, "message_queues_")),
    Entry::read::<GetMessageFlags>(ADMINISTRATOR, "22.4", (TESTS, "message_queues_")),
    Entry::act::<GetMessage>(ADMINISTRATOR, "22.6", (TESTS, "message_queues_")).repeatable(),
    Entry::act::<ReadEventMessageBuffer>(ADMINISTRATOR, "22.8", (TESTS, "message_queues_")).repeatable(),
];

/// Resets the BMC and not the machine. The server ends the sessions when the answer is on its way, and serves on.
async fn reset(context: &Context, reset: BmcReset) -> Answer<()> {
    let asked = context.bmc.machine().request(Request::ResetBmc(reset)).await;
    asked.map_err(|failure| error::request(&failure))?;
    context.bmc.heed_resets();
    Ok(())
}

impl Act for ColdReset {
    /// Stops the watchdog timer too (IPMI 2.0 §27.6).
    async fn act(self, context: &Context) -> Answer<()> {
        reset(context, BmcReset::Cold).await
    }
}

impl Act for WarmReset {
    async fn act(self, context: &Context) -> Answer<()> {
        reset(context, BmcReset::Warm).await
    }
}

impl Act for SetAcpiPowerState {
    /// Of a machine that is off nothing is kept: its state is known better than anybody could say.
    async fn act(self, context: &Context) -> Answer<()> {
        let since = context.bmc.snapshot().last_reset_time;
        context.bmc.with_volatile(|volatile| {
            let before = Some(volatile.acpi).filter(|note| note.since == since).unwrap_or_default();
            volatile.acpi = AcpiNote {
                system: self.system.or(before.system),
                device: self.device.or(before.device),
                since,
            };
        });
        Ok(())
    }
}

impl Read for GetAcpiPowerState {
    /// Off is off. A machine that is on works, unless software has said more since it was last switched on or reset.
    fn answer(self, context: &Context) -> Answer<AcpiPowerState> {
        let snapshot = context.bmc.snapshot();
        if let Health::Unavailable(_) = snapshot.health {
            return Ok(AcpiPowerState { system: acpi_system::UNKNOWN, device: acpi_device::UNKNOWN });
        }
        if !snapshot.power.reads_as_on() {
            return Ok(AcpiPowerState { system: acpi_system::S5_SOFT_OFF, device: acpi_device::D3 });
        }
        let note = context.bmc.with_volatile(|volatile| volatile.acpi);
        let note = Some(note).filter(|note| note.since == snapshot.last_reset_time).unwrap_or_default();
        Ok(AcpiPowerState {
            system: note.system.unwrap_or(acpi_system::S0_WORKING),
            device: note.device.unwrap_or(acpi_device::D0),
        })
    }
}

impl Act for SetGlobalEnables {
    /// There is nothing of a maker's and, on a machine without a system interface, no event message buffer and no interrupt; enabling what
    /// is not there is an error (IPMI 2.0 §22.1).
    async fn act(self, context: &Context) -> Answer<()> {
        let Self(enables) = self;
        let rest = GlobalEnables { event_logging: false, ..enables };
        let nobody_listens = context.bmc.of_interface(|interface| interface.kind.is_none());
        if rest.oem != 0 || nobody_listens && rest != GlobalEnables::default() {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        let logging = enables.event_logging;
        // Software sets all of them whenever it starts; what is kept is only written when it changes.
        if logging != context.bmc.snapshot().settings.system.event_logging {
            context
                .edit(move |edit| {
                    edit.settings.system.event_logging = logging;
                    Ok(())
                })
                .await?;
        }
        context.bmc.with_interface(|interface| interface.enables = rest);
        Ok(())
    }
}

impl Read for GetGlobalEnables {
    fn answer(self, context: &Context) -> Answer<GlobalEnables> {
        let event_logging = context.bmc.snapshot().settings.system.event_logging;
        Ok(GlobalEnables { event_logging, ..context.bmc.of_interface(|interface| interface.enables) })
    }
}

impl Act for ClearMessageFlags {
    /// Nothing is ever in the receive message queue, because nothing can be sent to it.
    async fn act(self, context: &Context) -> Answer<()> {
        let Self(clear) = self;
        if clear & message_flag::EVENT_BUFFER_FULL != 0 {
            context.bmc.with_interface(|interface| interface.buffer = None);
        }
        if clear & message_flag::WATCHDOG == 0 {
            return Ok(());
        }
        watchdog::ask(context, WatchdogRequest::ClearFlag).await
    }
}

impl Read for GetMessageFlags {
    fn answer(self, context: &Context) -> Answer<MessageFlags> {
        let watchdog = context.bmc.snapshot().watchdog.flag();
        Ok(MessageFlags(context.bmc.of_interface(|interface| interface.flags(watchdog))))
    }
}

impl Act for GetMessage {
    async fn act(self, _: &Context) -> Answer<Message> {
        Err(CompletionCode::QUEUE_EMPTY)
    }
}

impl Act for ReadEventMessageBuffer {
    /// Reading it empties it.
    async fn act(self, context: &Context) -> Answer<EventMessage> {
        let event = context.bmc.with_interface(|interface| interface.buffer.take());
        event.map(EventMessage).ok_or(CompletionCode::QUEUE_EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use bmc_core::backend::{ObservedPower, Report};
    use bmc_core::error::BackendError;
    use bmc_core::event::EventKind;
    use bmc_core::power::PowerState;
    use bmc_core::request::Change;

    use super::*;
    use crate::handlers::testing::{Bench, bad_lengths};

    #[tokio::test]
    async fn resets_take_back_what_is_volatile_and_are_noted() {
        let bench = Bench::new().await;
        let take_due = || bench.context.bmc.with_volatile(|volatile| std::mem::take(&mut volatile.reset_due));
        // Set in progress of the LAN parameters and of the boot options, and a present access.
        for (netfn, cmd, data) in
            [(0x0c, 0x01, &[1, 0, 1][..]), (0x00, 0x08, &[0, 1]), (0x06, 0x40, &[1, 0xa2, 0x83])]
        {
            assert_eq!(bench.raw(netfn, cmd, data).await.0, 0);
        }
        assert_eq!(bench.raw(0x06, 0x03, &[]).await, (0, vec![]));
        assert!(take_due());
        assert_eq!(bench.raw(0x0c, 0x02, &[1, 0, 0, 0]).await.1, [0x11, 1], "a warm reset leaves it");
        assert_eq!(bench.raw(0x06, 0x02, &[]).await, (0, vec![]));
        assert!(take_due());
        assert_eq!(bench.raw(0x0c, 0x02, &[1, 0, 0, 0]).await.1, [0x11, 0]);
        assert_eq!(bench.raw(0x00, 0x09, &[0, 0, 0]).await.1, [1, 0, 0]);
        assert_eq!(bench.raw(0x06, 0x41, &[1, 0x80]).await.1, [0x02, 4]);
        // Behind this request the owner has logged all that was told to it before.
        bench.machine.request(Request::Change(Box::<Change>::default())).await.unwrap();
        let (events, _) = bench.fleet.events().follow(0);
        let resets: Vec<_> = events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::BmcReset { cold } => Some(cold),
                _ => None,
            })
            .collect();
        assert_eq!(resets, [false, true]);
        assert!(bench.calls().is_empty(), "the machine is left alone");
        bad_lengths(&bench, 0x06, 0x02, &[], &[0]).await;
        bad_lengths(&bench, 0x06, 0x03, &[], &[0]).await;
    }

    #[tokio::test]
    async fn acpi_state_follows_the_machine() {
        let bench = Bench::new().await;
        let state = async || bench.raw(0x06, 0x07, &[]).await;
        assert_eq!(state().await, (0, vec![0x05, 0x03]));
        bench.power(ObservedPower::Running, PowerState::On).await;
        assert_eq!(state().await, (0, vec![0x00, 0x00]));
        assert_eq!(bench.raw(0x06, 0x06, &[0x83, 0x00]).await.0, 0, "S3");
        assert_eq!(state().await, (0, vec![0x03, 0x00]));
        assert_eq!(bench.raw(0x06, 0x06, &[0x7f, 0x81]).await.0, 0, "D1 alone");
        assert_eq!(state().await, (0, vec![0x03, 0x01]));
        bench.power(ObservedPower::Off, PowerState::Off).await;
        assert_eq!(state().await, (0, vec![0x05, 0x03]));
        bench.power(ObservedPower::Running, PowerState::On).await;
        assert_eq!(state().await, (0, vec![0x00, 0x00]), "what was said is stale");
        for bad in [[0x8b, 0], [0xa2, 0], [0, 0x84], [0, 0xab]] {
            assert_eq!(bench.raw(0x06, 0x06, &bad).await.0, 0xcc, "{bad:02x?}");
        }
        bad_lengths(&bench, 0x06, 0x06, &[0x80, 0x80], &[2]).await;
        bad_lengths(&bench, 0x06, 0x07, &[], &[0]).await;
        bench.backend.report(Report::Unavailable(BackendError::unavailable("gone")));
        bench.until(|snapshot| matches!(snapshot.health, Health::Unavailable(_))).await;
        assert_eq!(state().await, (0, vec![0x2a, 0x2a]));
    }

    #[tokio::test]
    async fn global_enables_switch_the_logging_of_events() {
        let bench = Bench::new().await;
        assert_eq!(bench.raw(0x06, 0x2f, &[]).await, (0, vec![0x08]));
        assert_eq!(bench.raw(0x06, 0x2e, &[0x00]).await.0, 0);
        assert!(!bench.machine.snapshot().settings.system.event_logging);
        assert_eq!(bench.raw(0x06, 0x2f, &[]).await, (0, vec![0x00]));
        assert_eq!(bench.raw(0x06, 0x2e, &[0x18]).await.0, 0, "bit 4 is reserved");
        assert_eq!(bench.raw(0x06, 0x2f, &[]).await, (0, vec![0x08]));
        for bit in [0, 1, 2, 5, 6, 7] {
            assert_eq!(bench.raw(0x06, 0x2e, &[0x08 | 1 << bit]).await.0, 0xcc, "bit {bit}");
        }
        bad_lengths(&bench, 0x06, 0x2e, &[0x08], &[1]).await;
        bad_lengths(&bench, 0x06, 0x2f, &[], &[0]).await;
    }

    #[tokio::test]
    async fn message_queues_are_empty() {
        let bench = Bench::new().await;
        assert_eq!(bench.raw(0x06, 0x31, &[]).await, (0, vec![0]));
        assert_eq!(bench.raw(0x06, 0x30, &[0xeb]).await, (0, vec![]));
        assert_eq!(bench.raw(0x06, 0x33, &[]).await.0, 0x80);
        assert_eq!(bench.raw(0x06, 0x35, &[]).await.0, 0x80);
        bad_lengths(&bench, 0x06, 0x30, &[0], &[1]).await;
        for cmd in [0x31, 0x33, 0x35] {
            bad_lengths(&bench, 0x06, cmd, &[], &[0]).await;
        }
    }
}
