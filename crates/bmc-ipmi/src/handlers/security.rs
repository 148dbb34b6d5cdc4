//! The BMC's keys, told, set and locked: K_G of two-key logins, and K_R, with which the random numbers of RAKP 2 are keyed.

use bmc_core::error::RequestError;
use bmc_core::request::Request;
use bmc_core::settings::{BmcKey, Edit};
use ipmi_wire::CompletionCode;
use ipmi_wire::command::security::{
    CHANNEL_KEY_LEN, ChannelKey, ChannelSecurityKeys, KeyLock, KeyOperation, SetChannelSecurityKeys,
};

use super::channel::lan;
use crate::table::{ADMINISTRATOR, Act, Answer, Entry};
use crate::{Context, error};

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[Entry::act::<SetChannelSecurityKeys>(
    ADMINISTRATOR,
    "22.25",
    ("bmc-ipmi/src/handlers/security.rs", "the_key_"),
)
.secret()];

impl Act for SetChannelSecurityKeys {
    async fn act(self, context: &Context) -> Answer<ChannelSecurityKeys> {
        let lan = lan(context, self.channel)?;
        let snapshot = context.bmc.snapshot();
        let keys = &snapshot.settings.keys;
        let (set, locked) = match self.key {
            ChannelKey::R => (&keys.kr, keys.kr_locked),
            ChannelKey::G => (&keys.kg, keys.kg_locked),
        };
        if locked {
            // To lock it again changes nothing and may be said; to read or set it may not.
            return match self.operation {
                KeyOperation::Lock => Ok(ChannelSecurityKeys { lock: KeyLock::Locked, value: None }),
                KeyOperation::Read | KeyOperation::Set(_) => Err(Self::LOCKED),
            };
        }
        match self.operation {
            KeyOperation::Read => {
                let configured = lan.kg.as_ref().filter(|_| self.key == ChannelKey::G);
                let set = set.as_ref().map(|key| *key.expose());
                let value = Some(set.or(configured.map(|key| *key.expose())).unwrap_or_default());
                Ok(ChannelSecurityKeys { lock: KeyLock::Unlocked, value })
            }
            KeyOperation::Set(value) => {
                let value: [u8; CHANNEL_KEY_LEN] = value.as_slice().try_into().map_err(|_| {
                    if value.len() < CHANNEL_KEY_LEN { Self::TOO_SHORT } else { Self::TOO_LONG }
                })?;
                change(context, self.key, Some(BmcKey::new(value))).await?;
                Ok(ChannelSecurityKeys { lock: KeyLock::Unlocked, value: None })
            }
            KeyOperation::Lock => {
                change(context, self.key, None).await?;
                Ok(ChannelSecurityKeys { lock: KeyLock::Locked, value: None })
            }
        }
    }
}

/// Sets a key, or locks it. Somebody else may have locked it since we looked.
async fn change(context: &Context, which: ChannelKey, value: Option<BmcKey>) -> Result<(), CompletionCode> {
    let edit = Edit::new(move |editable| {
        let keys = &mut editable.settings.keys;
        let (key, locked) = match which {
            ChannelKey::R => (&mut keys.kr, &mut keys.kr_locked),
            ChannelKey::G => (&mut keys.kg, &mut keys.kg_locked),
        };
        match &value {
            Some(_) if *locked => return Err(RequestError::Conflict),
            Some(value) => *key = Some(value.clone()),
            None => *locked = true,
        }
        Ok(())
    });
    match context.bmc.machine().request(Request::Edit(edit)).await {
        Ok(_) => Ok(()),
        Err(RequestError::Conflict) => Err(SetChannelSecurityKeys::LOCKED),
        Err(failure) => Err(error::request(&failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::testing::Bench;

    const CMD: u8 = 0x56;
    const KEY: [u8; CHANNEL_KEY_LEN] = *b"exactly twenty bytes";

    async fn key(bench: &Bench, operation: u8, value: &[u8]) -> (u8, Vec<u8>) {
        bench.raw(0x06, CMD, &[&[0x0e, operation, 1], value].concat()).await
    }

    #[tokio::test]
    async fn the_key_is_told_set_and_locked() {
        let bench = Bench::new().await;
        assert_eq!(key(&bench, 0, &[]).await, (0, [&[2][..], &[0; 20]].concat()), "none is set");
        assert_eq!(key(&bench, 1, &KEY).await, (0, vec![2]));
        assert_eq!(bench.machine.snapshot().settings.keys.kg, Some(BmcKey::new(KEY)));
        assert_eq!(key(&bench, 0, &[]).await, (0, [&[2][..], &KEY].concat()));

        assert_eq!(key(&bench, 2, &[]).await, (0, vec![1]));
        assert_eq!(key(&bench, 2, &[]).await, (0, vec![1]));
        assert_eq!(key(&bench, 0, &[]).await, (0x80, vec![]));
        assert_eq!(key(&bench, 1, &[0; 20]).await, (0x80, vec![]));
        assert_eq!(bench.machine.snapshot().settings.keys.kg, Some(BmcKey::new(KEY)));
    }

    #[tokio::test]
    async fn the_key_of_the_configuration_is_told_until_another_is_set() {
        let mut bench = Bench::new().await;
        let mut lan = (*bench.context.lan).clone();
        lan.kg = ipmi_session::Password::new(b"configured");
        bench.context.lan = std::sync::Arc::new(lan);
        let configured = [&[2][..], b"configured", &[0; 10]].concat();
        assert_eq!(key(&bench, 0, &[]).await, (0, configured));
        assert_eq!(key(&bench, 1, &[0; 20]).await, (0, vec![2]));
        assert_eq!(key(&bench, 0, &[]).await, (0, [&[2][..], &[0; 20]].concat()), "a client set it to none");
    }

    #[tokio::test]
    async fn the_key_of_random_numbers_is_one_of_its_own() {
        let bench = Bench::new().await;
        let kr = async |operation, value: &[u8]| {
            bench.raw(0x06, CMD, &[&[0x0e, operation, 0], value].concat()).await
        };
        assert_eq!(kr(0, &[]).await, (0, [&[2][..], &[0; 20]].concat()));
        assert_eq!(kr(1, &KEY).await, (0, vec![2]));
        assert_eq!(kr(0, &[]).await, (0, [&[2][..], &KEY].concat()));
        assert_eq!(kr(2, &[]).await, (0, vec![1]));
        assert_eq!(kr(0, &[]).await, (0x80, vec![]));
        assert_eq!(kr(1, &[0; 20]).await, (0x80, vec![]));
        assert_eq!(key(&bench, 0, &[]).await, (0, [&[2][..], &[0; 20]].concat()), "K_G is as it was");
    }

    #[test]
    fn the_key_is_in_no_log() {
        let request = [&[0x0e, 1, 1][..], &KEY].concat();
        let app = ipmi_wire::NetFn::APP;
        assert_eq!(crate::table::shown_request(app, CMD, &request), "(23 bytes)");
        assert_eq!(crate::table::shown_response(app, CMD, &KEY), "(20 bytes)");
    }

    #[tokio::test]
    async fn the_key_must_be_one() {
        let bench = Bench::new().await;
        for (data, code) in [
            (&[0x0e, 1, 1][..], 0x81),
            (&[[0x0e, 1, 1].as_slice(), &[1; 19]].concat(), 0x81),
            (&[[0x0e, 1, 1].as_slice(), &[1; 21]].concat(), 0x82),
            (&[[0x0e, 1, 0].as_slice(), &[1; 19]].concat(), 0x81),
            (&[0x0e, 3, 1], 0xcc),
            (&[0x0e, 0, 2], 0xcc),
            (&[0x02, 0, 1], 0xcc),
            (&[0x0e, 0, 1, 0], 0xc7),
            (&[0x0e, 2, 1, 0], 0xc7),
            (&[0x0e, 0], 0xc7),
            (&[], 0xc7),
        ] {
            assert_eq!(bench.raw(0x06, CMD, data).await.0, code, "{data:02x?}");
        }
        bench.break_store();
        assert_eq!(key(&bench, 1, &KEY).await.0, 0xff);
        assert_eq!(bench.machine.snapshot().settings.keys.kg, None);
    }
}
