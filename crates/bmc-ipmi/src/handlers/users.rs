//! Users: the core's accounts, as IPMI shows and sets them. They are the same people that Redfish knows.

use bmc_core::account::{
    Account, AccountError, PASSWORD_MAX_BYTES, PasswordMismatch, PasswordSize, Role, Secret, USER_ID_MAX,
};
use bmc_core::error::RequestError;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::user::{
    GetUserAccess, GetUserName, GetUserPayloadAccess, NameField, PasswordField, PasswordOperation,
    PayloadAccess, SetUserAccess, SetUserName, SetUserPassword, SetUserPayloadAccess, UserAccess, UserRights,
};

use crate::Context;
use crate::handlers::channel::lan;
use crate::server::{privilege_of, role_of};
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, OPERATOR, Read};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/users_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<SetUserAccess>(ADMINISTRATOR, "22.26", (TESTS, "access_")),
    Entry::read::<GetUserAccess>(OPERATOR, "22.27", (TESTS, "access_")),
    Entry::act::<SetUserName>(ADMINISTRATOR, "22.28", (TESTS, "names_")),
    Entry::read::<GetUserName>(OPERATOR, "22.29", (TESTS, "names_")),
    Entry::act::<SetUserPassword>(ADMINISTRATOR, "22.30", (TESTS, "passwords_")).secret(),
    Entry::act::<SetUserPayloadAccess>(ADMINISTRATOR, "24.6", (TESTS, "payload_access_")),
    Entry::read::<GetUserPayloadAccess>(OPERATOR, "24.7", (TESTS, "payload_access_")),
];

/// Users whose names cannot be set: the null user.
const FIXED_NAMES: u8 = 1;

/// The entry of a user; `C9h` for an id that there is not.
fn user(context: &Context, id: u8) -> Answer<Account> {
    let user = context.bmc.snapshot().accounts.get(id);
    user.map_err(|_| CompletionCode::PARAMETER_OUT_OF_RANGE)
}

fn refusal(error: &AccountError) -> RequestError {
    RequestError::Invalid { field: "user", reason: error.to_string() }
}

/// Changes one entry.
async fn change(
    context: &Context,
    id: u8,
    change: impl Fn(&mut Account) + Send + Sync + 'static,
) -> Answer<()> {
    context.edit(move |edit| edit.accounts.edit(id, &change).map_err(|error| refusal(&error))).await
}

impl Act for SetUserAccess {
    /// A change ends the user's sessions; the one that asks for it is answered first.
    async fn act(self, context: &Context) -> Answer<()> {
        lan(context, self.channel)?;
        user(context, self.user_id)?;
        // Sessions are bounded for the channel, not for single users.
        if self.session_limit.is_some_and(|sessions| sessions != 0) {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        let role = match self.limit {
            None => Role::NoAccess,
            Some(level) => role_of(level).ok_or(CompletionCode::INVALID_DATA_FIELD)?,
        };
        change(context, self.user_id, move |user| {
            user.role = role;
            if let Some(rights) = self.rights {
                user.callback_only = rights.callback_only;
                user.link_authentication = rights.link_authentication;
                user.ipmi_messaging = rights.ipmi_messaging;
            }
        })
        .await
    }
}

impl Read for GetUserAccess {
    fn answer(self, context: &Context) -> Answer<UserAccess> {
        lan(context, self.channel)?;
        let user = user(context, self.user_id)?;
        let enabled = context.bmc.snapshot().accounts.enabled();
        Ok(UserAccess {
            users_max: USER_ID_MAX,
            enabled: Some(user.enabled),
            users_enabled: u8::try_from(enabled).unwrap_or(USER_ID_MAX),
            fixed_names: FIXED_NAMES,
            rights: UserRights {
                callback_only: user.callback_only,
                link_authentication: user.link_authentication,
                ipmi_messaging: user.ipmi_messaging,
            },
            limit: privilege_of(user.role),
        })
    }
}

impl Act for SetUserName {
    async fn act(self, context: &Context) -> Answer<()> {
        user(context, self.user_id)?;
        let name = str::from_utf8(self.name.name()).map_err(|_| CompletionCode::INVALID_DATA_FIELD)?;
        let name = name.to_owned();
        context
            .edit(move |edit| edit.accounts.set_name(self.user_id, &name).map_err(|error| refusal(&error)))
            .await
    }
}

impl Read for GetUserName {
    fn answer(self, context: &Context) -> Answer<NameField> {
        Ok(NameField::new(&user(context, self.user_id)?.name))
    }
}

impl Act for SetUserPassword {
    async fn act(self, context: &Context) -> Answer<()> {
        let kept = user(context, self.user_id)?;
        match self.operation {
            PasswordOperation::Disable => change(context, self.user_id, |user| user.enabled = false).await,
            PasswordOperation::Enable => change(context, self.user_id, |user| user.enabled = true).await,
            PasswordOperation::Set(password) => {
                // Accounts hold text, so that Redfish can take the same password.
                let text = str::from_utf8(password.trimmed());
                let secret = Secret::new(text.map_err(|_| CompletionCode::INVALID_DATA_FIELD)?);
                let size = size_of(&password);
                change(context, self.user_id, move |user| {
                    user.password = secret.clone();
                    user.password_size = Some(size);
                    user.password_change_required = false;
                })
                .await
            }
            PasswordOperation::Test(password) => kept
                .test_password(size_of(&password), password.trimmed())
                .map_err(|mismatch| match mismatch {
                    PasswordMismatch::Password => CompletionCode::PASSWORD_TEST_FAILED,
                    PasswordMismatch::Size => CompletionCode::PASSWORD_TEST_WRONG_SIZE,
                }),
        }
    }
}

const _: () = assert!(PASSWORD_MAX_BYTES == ipmi_wire::command::user::PASSWORD_BYTES);

fn size_of(password: &PasswordField) -> PasswordSize {
    match password {
        PasswordField::Bytes16(_) => PasswordSize::Bytes16,
        PasswordField::Bytes20(_) => PasswordSize::Bytes20,
    }
}

impl Act for SetUserPayloadAccess {
    async fn act(self, context: &Context) -> Answer<()> {
        lan(context, self.channel)?;
        user(context, self.user_id)?;
        let PayloadAccess { standard, oem } = self.payloads;
        // Bit 0 is reserved: IPMI messages are governed by Set User Access.
        let unknown = standard & !(PayloadAccess::SOL | 1) | oem;
        if self.enable && unknown != 0 {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        if standard & PayloadAccess::SOL == 0 {
            return Ok(());
        }
        let enable = self.enable;
        change(context, self.user_id, move |user| user.sol_payload = enable).await
    }
}

impl Read for GetUserPayloadAccess {
    fn answer(self, context: &Context) -> Answer<PayloadAccess> {
        lan(context, self.channel)?;
        let user = user(context, self.user_id)?;
        Ok(PayloadAccess { standard: if user.sol_payload { PayloadAccess::SOL } else { 0 }, oem: 0 })
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
