//! Where every command enters and every reply leaves.
//!
//! The order of the checks is that of a real BMC: is there such a command (`C1h`, `C2h`), may the caller send it (`D4h`),
//! is the data right (`C7h`, `CCh`), can it be done now. A command that is not there is refused at once: clients probe
//! with group extensions, and silence costs each of them its time-out.

use ipmi_wire::command::dcmi;
use ipmi_wire::{CompletionCode, NetFn};

use crate::table::{Access, Answer, Handler, find};
use crate::{Caller, Context};

/// The one logical unit that has commands: the BMC's own.
const BMC_LUN: u8 = 0;

/// A command as it came: codes and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Network function of the request.
    pub netfn: NetFn,
    /// Logical unit, 0 to 3.
    pub lun: u8,
    /// Command code.
    pub cmd: u8,
    /// Data.
    pub data: Vec<u8>,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it went.
    pub completion: CompletionCode,
    /// Response data behind the completion code.
    pub data: Vec<u8>,
}

/// Whether the answer may have to wait for the machine's owner. All others are ready at the first poll.
pub fn may_wait(command: &Command) -> bool {
    find(command.netfn, command.cmd).is_some_and(|entry| matches!(entry.handler, Handler::Act(_)))
}

/// Carries a command out and answers it. Every command gets a reply, the unknown ones too.
pub async fn dispatch(context: &Context, command: &Command) -> Reply {
    let answer = match handler(context, command) {
        Ok(Handler::Read(read)) => read(context, &command.data),
        Ok(Handler::Tell(tell)) => match tell(context, &command.data) {
            Ok((completion, data)) => return Reply { completion, data },
            Err(completion) => Err(completion),
        },
        Ok(Handler::Act(act)) => act(context, &command.data).await,
        // The session layer answers these itself; over a door without sessions there is nothing to act on.
        Ok(Handler::Session) => Err(CompletionCode::NOT_IN_PRESENT_STATE),
        Err(completion) => Err(completion),
    };
    reply(command, answer)
}

fn handler(context: &Context, command: &Command) -> Result<Handler, CompletionCode> {
    let entry = find(command.netfn, command.cmd).ok_or(CompletionCode::INVALID_COMMAND)?;
    // The one body whose commands there are; another one's have the same numbers.
    let is_other_body = |body: &u8| *body != dcmi::BODY_ID;
    if command.netfn == NetFn::GROUP && command.data.first().is_some_and(is_other_body) {
        return Err(CompletionCode::INVALID_COMMAND);
    }
    if command.lun != BMC_LUN {
        return Err(CompletionCode::INVALID_FOR_LUN);
    }
    let allowed = match (entry.access, context.caller) {
        (Access::Anybody, _) | (Access::Session(_), Caller::System) => true,
        (Access::Session(needed), Caller::Session { privilege, .. }) => privilege >= needed,
        (Access::Session(_), Caller::Unauthenticated) => false,
    };
    if allowed { Ok(entry.handler) } else { Err(CompletionCode::INSUFFICIENT_PRIVILEGE) }
}

/// The reply for an answer. One to a group extension begins with the body's id, whatever the code.
fn reply(command: &Command, answer: Answer) -> Reply {
    match answer {
        Ok(data) => Reply { completion: CompletionCode::OK, data },
        Err(completion) => {
            let body = command.data.get(..command.netfn.body_id_len()).unwrap_or_default();
            Reply { completion, data: body.to_vec() }
        }
    }
}

#[cfg(test)]
mod tests {
    use ipmi_wire::command::dcmi;
    use ipmi_wire::{NetFn, PrivilegeLevel};

    use crate::Caller;
    use crate::handlers::testing::Bench;
    use crate::table::{Access, Handler, TABLE};
    use ipmi_session::Endpoint;

    #[tokio::test]
    async fn unknown_commands_are_refused_at_once() {
        let bench = Bench::new().await;
        for netfn in (0..0x40).step_by(2) {
            for cmd in 0..=0xff {
                if TABLE.iter().any(|entry| (entry.netfn.get(), entry.cmd) == (netfn, cmd)) {
                    continue;
                }
                // As ipmitool probes for HPM.2, PICMG and VITA.
                let (code, data) = bench.raw(netfn, cmd, &[0x03, 0x02, 0x01, 0x00]).await;
                assert_eq!(code, 0xc1, "{netfn:02x}h {cmd:02x}h");
                let body: &[u8] = match netfn {
                    0x2c => &[0x03],
                    0x2e => &[0x03, 0x02, 0x01],
                    _ => &[],
                };
                assert_eq!(data, body, "{netfn:02x}h {cmd:02x}h");
            }
        }
        assert_eq!(bench.raw(0x2c, 0x00, &[]).await, (0xc1, vec![]));
    }

    #[tokio::test]
    async fn other_logical_units_have_no_commands() {
        let bench = Bench::new().await;
        for lun in 1..4 {
            assert_eq!(bench.raw_to_lun(0x06, lun, 0x01, &[]).await.0, 0xc2);
            assert_eq!(bench.raw_to_lun(0x06, lun, 0xfe, &[]).await.0, 0xc1);
        }
    }

    #[tokio::test]
    async fn every_command_asks_for_its_privilege() {
        let mut bench = Bench::new().await;
        let levels = [
            PrivilegeLevel::Callback,
            PrivilegeLevel::User,
            PrivilegeLevel::Operator,
            PrivilegeLevel::Administrator,
        ];
        for entry in TABLE.iter() {
            // Too long for any command: the privilege is judged first, and nothing happens.
            let mut data = [0xff; 64];
            if entry.netfn == NetFn::GROUP {
                data[0] = dcmi::BODY_ID;
            }
            for privilege in levels {
                bench.caller(Caller::Session { id: 1, privilege });
                let (code, _) = bench.raw(entry.netfn.get(), entry.cmd, &data).await;
                let allowed = match entry.access {
                    Access::Anybody => true,
                    Access::Session(needed) => privilege >= needed,
                };
                assert_eq!(code != 0xd4, allowed, "{entry:?} at {privilege}");
            }
            bench.caller(Caller::Unauthenticated);
            let (code, _) = bench.raw(entry.netfn.get(), entry.cmd, &data).await;
            assert_eq!(code != 0xd4, entry.access == Access::Anybody, "{entry:?} without a session");
        }
    }

    #[test]
    fn the_table_agrees_with_the_session_layer() {
        let anybody: Vec<_> = TABLE
            .iter()
            .filter(|entry| entry.access == Access::Anybody && !matches!(entry.handler, Handler::Session))
            .map(|entry| (entry.netfn, entry.cmd))
            .collect();
        assert_eq!(anybody, Endpoint::SESSIONLESS);
        let by_sessions: Vec<_> = TABLE
            .iter()
            .filter(|entry| matches!(entry.handler, Handler::Session))
            .map(|entry| (entry.netfn, entry.cmd))
            .collect();
        assert_eq!(by_sessions, Endpoint::OWNED);
    }
}
