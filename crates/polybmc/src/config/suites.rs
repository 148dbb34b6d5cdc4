//! How sessions may be opened: cipher suites with their levels, and the authentication types of IPMI 1.5.

use bmc_ipmi::{IpmiConfig, auth_name};
use ipmi_session::SuitePolicy;
use ipmi_wire::PrivilegeLevel;
use ipmi_wire::cipher::CipherSuite;
use ipmi_wire::session::v15::AuthType;
use toml::de::DeValue;

use super::reader::{Reader, integer};
use super::{BmcConfig, Kg};

/// The levels that a suite can be limited to.
const LEVELS: [(&str, PrivilegeLevel); 4] = [
    ("callback", PrivilegeLevel::Callback),
    ("user", PrivilegeLevel::User),
    ("operator", PrivilegeLevel::Operator),
    ("administrator", PrivilegeLevel::Administrator),
];
/// The authentication types of IPMI 1.5 that there are.
const AUTH_TYPES: [AuthType; 4] = [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::Password];

/// The suites without configuration: those that every client of today prefers.
pub(super) fn default_suites() -> Vec<SuitePolicy> {
    IpmiConfig::default().suites
}

/// `cipher_suites = [3, { id = 17, max_privilege = "operator" }]`.
pub(super) fn cipher_suites(table: &mut Reader<'_>) -> Option<Vec<SuitePolicy>> {
    let found = table.value("cipher_suites")?;
    let items = found.value.as_array();
    let policies: Option<Vec<SuitePolicy>> =
        items.and_then(|items| items.iter().map(|item| suite(table, found.line, item.get_ref())).collect());
    let mut seen = Vec::new();
    let whole = policies.as_ref().is_some_and(|policies| {
        let mut ids = policies.iter().map(|policy| policy.suite.id);
        !policies.is_empty()
            && !ids.any(|id| {
                seen.contains(&id) || {
                    seen.push(id);
                    false
                }
            })
    });
    if !whole {
        table.wrong(found.line, "cipher_suites", &wanted_suites());
    }
    policies.filter(|_| whole)
}

fn wanted_suites() -> String {
    let ids: Vec<String> = CipherSuite::ALL
        .iter()
        .filter(|suite| ipmi_session::config::is_supported(suite))
        .map(|suite| suite.id.to_string())
        .collect();
    format!(
        "a list of suites, each once, such as [3, 17] or [17, {{ id = 3, max_privilege = \"operator\" }}]; there are {}",
        ids.join(", ")
    )
}

fn suite(table: &Reader<'_>, line: usize, item: &DeValue<'_>) -> Option<SuitePolicy> {
    let number = |number: u64| u8::try_from(number).ok();
    if let Some(id) = integer(item) {
        return SuitePolicy::new(number(id)?, PrivilegeLevel::Administrator).ok();
    }
    let mut entry = Reader::new(table.notes(), item.as_table()?, "`cipher_suites`", line);
    let id = entry.integer("id", 0..=u64::from(u8::MAX));
    let level = entry.word("max_privilege", &LEVELS);
    entry.required("id", "given: the suite's number");
    entry.finish();
    SuitePolicy::new(number(id?.value)?, level.map_or(PrivilegeLevel::Administrator, |level| level.value))
        .ok()
}

/// `ipmi15_auth = ["md5"]`.
pub(super) fn ipmi15_auth(table: &mut Reader<'_>) -> Option<Vec<AuthType>> {
    let found = table.value("ipmi15_auth")?;
    let named = |item: &DeValue<'_>| {
        let name = item.as_str()?;
        AUTH_TYPES.into_iter().find(|auth_type| auth_name(*auth_type) == name)
    };
    let types: Option<Vec<AuthType>> =
        found.value.as_array().and_then(|items| items.iter().map(|item| named(item.get_ref())).collect());
    if types.is_none() {
        let names: Vec<&str> = AUTH_TYPES.into_iter().map(auth_name).collect();
        let wanted = format!("[], or a list of {} for sessions of IPMI 1.5", names.join(", "));
        table.wrong(found.line, "ipmi15_auth", &wanted);
    }
    types
}

impl BmcConfig {
    /// How this BMC serves IPMI.
    pub(crate) fn ipmi_config(&self) -> IpmiConfig {
        IpmiConfig {
            suites: self.cipher_suites.clone(),
            ipmi15_auth: self.ipmi15_auth.clone(),
            kg: self.kg.as_ref().and_then(Kg::key),
            trap_port: self.trap_port,
            ..IpmiConfig::default()
        }
    }
}
