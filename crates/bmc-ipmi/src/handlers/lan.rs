//! LAN configuration parameters: what a client set, and what is real where nobody set anything. No write moves the listener, whose
//! address is the configuration's.

use std::net::Ipv4Addr;

use bmc_core::account::{Role, Secret};
use bmc_core::settings::lan::{ALERT_DESTINATIONS, AddressSource, LanSettings};
use bmc_core::settings::{AlertDestination, BadPasswordThreshold};
use ipmi_wire::command::boot::SetInProgress;
use ipmi_wire::command::lan::{
    BadPassword, DestinationAddress, DestinationType, GetLanConfiguration, GetLanStatistics,
    LanConfiguration, LanParameter, LanStatistics, PARAMETER_REVISION, SUITE_ENTRIES_MAX,
    SetLanConfiguration, VlanId, number,
};
use ipmi_wire::{CompletionCode, PrivilegeLevel};

use crate::Context;
use crate::handlers::channel::lan;
use crate::server::{privilege_of, role_of};
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, NEVER, OPERATOR, Read, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/lan_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<SetLanConfiguration>(ADMINISTRATOR, "23.1", (TESTS, "what_is_written_is_read_back"))
        .secret_if(sets_community, NEVER),
    Entry::read::<GetLanConfiguration>(OPERATOR, "23.2", (TESTS, "what_is_real_is_shown"))
        .secret_if(NEVER, may_be_community),
    Entry::read::<GetLanStatistics>(USER, "23.4", (TESTS, "statistics_")),
];

/// Whether a write sets the community string, which is a password of sorts.
fn sets_community(request: &[u8]) -> bool {
    request.get(1) == Some(&number::COMMUNITY)
}

/// Whether a value that is read may be the community string. The answer does not name the parameter, but its length tells enough.
fn may_be_community(response: &[u8]) -> bool {
    const REVISION_AND_COMMUNITY: usize = 1 + 18;
    response.len() == REVISION_AND_COMMUNITY
}

/// Alerts as PET traps, the only kind there is (parameter 18).
const PET_TRAP: u8 = 0;
/// The address format IPv4 (parameters 19 and 25).
const FORMAT_IPV4: u8 = 0;
/// VLAN ids that a VLAN in use cannot have (IEEE 802.1Q).
const RESERVED_VLAN_IDS: [u16; 2] = [0, 0xfff];

impl Act for SetLanConfiguration {
    /// Writes hold at once and are durable, so that a commit has nothing left to do.
    async fn act(self, context: &Context) -> Answer<()> {
        lan(context, self.channel)?;
        if LanParameter::READ_ONLY.contains(&self.parameter.number()) {
            return Err(CompletionCode::PARAMETER_READ_ONLY);
        }
        match self.parameter {
            LanParameter::Other { .. } => Err(CompletionCode::PARAMETER_UNSUPPORTED),
            LanParameter::SetInProgress(state) => {
                let who = context.caller.session();
                context.bmc.with_volatile(|volatile| volatile.lan_guard.write(state, who))
            }
            parameter => {
                let change = change_for(context, parameter)?;
                context
                    .edit(move |edit| {
                        change(&mut edit.settings.lan);
                        Ok(())
                    })
                    .await
            }
        }
    }
}

type LanChange = Box<dyn Fn(&mut LanSettings) + Send + Sync>;

/// What a write changes.
fn change_for(context: &Context, parameter: LanParameter) -> Answer<LanChange> {
    const INVALID: CompletionCode = CompletionCode::INVALID_DATA_FIELD;
    Ok(match parameter {
        LanParameter::AuthTypeEnables(enables) => {
            let offered = offered_auth_types(context);
            if enables.iter().any(|mask| mask & !offered != 0) {
                return Err(INVALID);
            }
            Box::new(move |lan| lan.auth_type_enables = Some(enables))
        }
        LanParameter::Address(ip) => Box::new(move |lan| lan.address = Some(ip.into())),
        LanParameter::AddressSource(source) => {
            let source = source_of(source).ok_or(INVALID)?;
            Box::new(move |lan| lan.address_source = source)
        }
        LanParameter::Mac(mac) => Box::new(move |lan| lan.mac = Some(mac)),
        LanParameter::SubnetMask(mask) => Box::new(move |lan| lan.subnet_mask = Some(mask.into())),
        LanParameter::Ipv4Header(header) => Box::new(move |lan| lan.ipv4_header = header),
        LanParameter::PrimaryRmcpPort(port) => Box::new(move |lan| lan.primary_rmcp_port = Some(port)),
        LanParameter::SecondaryRmcpPort(port) => Box::new(move |lan| lan.secondary_rmcp_port = port),
        LanParameter::ArpControl(bits) => Box::new(move |lan| lan.arp_control = bits),
        LanParameter::GratuitousArpInterval(interval) => {
            Box::new(move |lan| lan.gratuitous_arp_interval = interval)
        }
        LanParameter::Gateway(ip) => Box::new(move |lan| lan.default_gateway.0 = ip.into()),
        LanParameter::GatewayMac(mac) => Box::new(move |lan| lan.default_gateway.1 = mac),
        LanParameter::BackupGateway(ip) => Box::new(move |lan| lan.backup_gateway.0 = ip.into()),
        LanParameter::BackupGatewayMac(mac) => Box::new(move |lan| lan.backup_gateway.1 = mac),
        LanParameter::Community(field) => {
            let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
            let text = Secret::new(str::from_utf8(text).map_err(|_| INVALID)?);
            Box::new(move |lan| lan.community.clone_from(&text))
        }
        LanParameter::DestinationType(d) => {
            if d.kind != PET_TRAP {
                return Err(INVALID);
            }
            destination(d.selector, move |kept| {
                kept.acknowledge = d.acknowledge;
                kept.timeout_seconds = d.timeout;
                kept.retries = d.retries;
            })?
        }
        LanParameter::DestinationAddress(d) => {
            if d.format != FORMAT_IPV4 {
                return Err(INVALID);
            }
            destination(d.selector, move |kept| {
                kept.backup_gateway = d.backup_gateway;
                kept.address = d.address.into();
                kept.mac = d.mac;
            })?
        }
        LanParameter::DestinationVlan { selector, tag } => {
            destination(selector, move |kept| kept.vlan_tag = tag)?
        }
        LanParameter::VlanId(VlanId { enabled, id }) => {
            if enabled && RESERVED_VLAN_IDS.contains(&id) {
                return Err(INVALID);
            }
            Box::new(move |lan| {
                lan.vlan_enabled = enabled;
                lan.vlan_id = id;
            })
        }
        LanParameter::VlanPriority(priority) => Box::new(move |lan| lan.vlan_priority = priority),
        LanParameter::SuitePrivileges(levels) => suite_privileges(levels)?,
        LanParameter::BadPassword(bad) => Box::new(move |lan| {
            lan.bad_password = BadPasswordThreshold {
                audit: bad.audit,
                threshold: bad.threshold,
                count_reset_interval: bad.count_reset_interval,
                lockout_interval: bad.lockout_interval,
                no_time: false,
            };
        }),
        LanParameter::SetInProgress(_)
        | LanParameter::AuthTypeSupport(_)
        | LanParameter::Destinations(_)
        | LanParameter::SuiteSupport(_)
        | LanParameter::Suites(_)
        | LanParameter::Other { .. } => return Err(CompletionCode::PARAMETER_UNSUPPORTED),
    })
}

fn destination(
    selector: u8,
    change: impl Fn(&mut AlertDestination) + Send + Sync + 'static,
) -> Answer<LanChange> {
    check_selector(selector)?;
    Ok(Box::new(move |lan| change(lan.destinations.entry(selector).or_default())))
}

fn check_selector(selector: u8) -> Answer<()> {
    if selector > ALERT_DESTINATIONS { Err(CompletionCode::PARAMETER_OUT_OF_RANGE) } else { Ok(()) }
}

/// Parameter 24. The specification counts its entries by parameter 23; ipmitool and FreeIPMI count them by the suites' numbers, and so
/// it is done here. Suites from 16 on have no entry and keep the level they have.
fn suite_privileges(levels: [u8; SUITE_ENTRIES_MAX]) -> Answer<LanChange> {
    let role = |level: u8| match level {
        0 => Ok(Role::NoAccess),
        level => {
            let level = PrivilegeLevel::from_raw(level);
            level.and_then(role_of).ok_or(CompletionCode::INVALID_DATA_FIELD)
        }
    };
    let roles = (0_u8..).zip(levels).map(|(id, level)| Ok((id, role(level)?)));
    let roles = roles.collect::<Answer<Vec<(u8, Role)>>>()?;
    Ok(Box::new(move |lan| lan.cipher_suite_privileges.extend(roles.iter().copied())))
}

/// The entry of a suite in parameter 24: what was set, within what is configured; 0 for one that is neither.
fn suite_level(context: &Context, lan: &LanSettings, id: u8) -> u8 {
    let configured = context.lan.configured_suites.iter().find(|policy| policy.suite.id == id);
    let most = configured.map(|policy| policy.max_privilege);
    let level = match lan.cipher_suite_privileges.get(&id) {
        None => most,
        Some(role) => privilege_of(*role).map(|level| most.map_or(level, |most| level.min(most))),
    };
    level.map_or(0, PrivilegeLevel::get)
}

impl Read for GetLanConfiguration {
    fn answer(self, context: &Context) -> Answer<LanConfiguration> {
        lan(context, self.channel)?;
        let value = value(context, self.parameter, self.set_selector)?;
        let data = if self.revision_only { Vec::new() } else { value.encode() };
        Ok(LanConfiguration { revision: PARAMETER_REVISION, data })
    }
}

/// The value of a parameter. Selectors mean something only for alert destinations.
fn value(context: &Context, parameter: u8, selector: u8) -> Answer<LanParameter> {
    let snapshot = context.bmc.snapshot();
    let lan = &snapshot.settings.lan;
    let destination = || {
        check_selector(selector)?;
        Ok(lan.destinations.get(&selector).cloned().unwrap_or_default())
    };
    Ok(match parameter {
        number::SET_IN_PROGRESS => {
            let in_progress = context.bmc.with_volatile(|volatile| volatile.lan_guard.in_progress());
            let state = if in_progress { SetInProgress::InProgress } else { SetInProgress::Complete };
            LanParameter::SetInProgress(state)
        }
        number::AUTH_TYPE_SUPPORT => LanParameter::AuthTypeSupport(offered_auth_types(context)),
        number::AUTH_TYPE_ENABLES => {
            let offered = offered_auth_types(context);
            // Nobody has the OEM level.
            let all = [offered, offered, offered, offered, 0];
            LanParameter::AuthTypeEnables(
                lan.auth_type_enables.map_or(all, |set| set.map(|mask| mask & offered)),
            )
        }
        number::ADDRESS => LanParameter::Address(address(context, lan).octets()),
        number::ADDRESS_SOURCE => LanParameter::AddressSource(source_number(lan.address_source)),
        number::MAC => LanParameter::Mac(lan.mac_of(snapshot.uuid)),
        number::SUBNET_MASK => LanParameter::SubnetMask(lan.subnet_mask_or(address(context, lan)).octets()),
        number::IPV4_HEADER => LanParameter::Ipv4Header(lan.ipv4_header),
        number::PRIMARY_RMCP_PORT => {
            LanParameter::PrimaryRmcpPort(lan.primary_rmcp_port.unwrap_or(context.lan.port))
        }
        number::SECONDARY_RMCP_PORT => LanParameter::SecondaryRmcpPort(lan.secondary_rmcp_port),
        number::ARP_CONTROL => LanParameter::ArpControl(lan.arp_control),
        number::GRATUITOUS_ARP_INTERVAL => LanParameter::GratuitousArpInterval(lan.gratuitous_arp_interval),
        number::GATEWAY => LanParameter::Gateway(lan.default_gateway.0.octets()),
        number::GATEWAY_MAC => LanParameter::GatewayMac(lan.default_gateway.1),
        number::BACKUP_GATEWAY => LanParameter::BackupGateway(lan.backup_gateway.0.octets()),
        number::BACKUP_GATEWAY_MAC => LanParameter::BackupGatewayMac(lan.backup_gateway.1),
        number::COMMUNITY => {
            let mut field = [0; 18];
            field.iter_mut().zip(lan.community.expose().bytes()).for_each(|(to, from)| *to = from);
            LanParameter::Community(field)
        }
        number::DESTINATIONS => LanParameter::Destinations(ALERT_DESTINATIONS),
        number::DESTINATION_TYPE => {
            let kept: AlertDestination = destination()?;
            LanParameter::DestinationType(DestinationType {
                selector,
                acknowledge: kept.acknowledge,
                kind: PET_TRAP,
                timeout: kept.timeout_seconds,
                retries: kept.retries,
            })
        }
        number::DESTINATION_ADDRESS => {
            let kept: AlertDestination = destination()?;
            LanParameter::DestinationAddress(DestinationAddress {
                selector,
                format: FORMAT_IPV4,
                backup_gateway: kept.backup_gateway,
                address: kept.address.octets(),
                mac: kept.mac,
            })
        }
        number::DESTINATION_VLAN => {
            let kept: AlertDestination = destination()?;
            LanParameter::DestinationVlan { selector, tag: kept.vlan_tag }
        }
        number::VLAN_ID => LanParameter::VlanId(VlanId { enabled: lan.vlan_enabled, id: lan.vlan_id }),
        number::VLAN_PRIORITY => LanParameter::VlanPriority(lan.vlan_priority),
        number::SUITE_SUPPORT => {
            LanParameter::SuiteSupport(u8::try_from(suites(context).len()).unwrap_or(u8::MAX))
        }
        number::SUITES => {
            // All entries, as real BMCs have them: parameter 22 says how many count.
            let mut entries = suites(context);
            entries.resize(SUITE_ENTRIES_MAX, 0);
            LanParameter::Suites(entries)
        }
        number::SUITE_PRIVILEGES => {
            let mut levels = [0; SUITE_ENTRIES_MAX];
            for (id, level) in (0_u8..).zip(levels.iter_mut()) {
                *level = suite_level(context, lan, id);
            }
            LanParameter::SuitePrivileges(levels)
        }
        number::BAD_PASSWORD => LanParameter::BadPassword(BadPassword {
            audit: lan.bad_password.audit,
            threshold: lan.bad_password.threshold,
            count_reset_interval: lan.bad_password.count_reset_interval,
            lockout_interval: lan.bad_password.lockout_interval,
        }),
        _ => return Err(CompletionCode::PARAMETER_UNSUPPORTED),
    })
}

/// Authentication types of IPMI 1.5 that the channel offers, as a mask.
fn offered_auth_types(context: &Context) -> u8 {
    let offered = &context.lan.configured_ipmi15_auth;
    offered.iter().fold(0, |mask, auth_type| mask | 1 << (*auth_type as u8))
}

/// The numbers of the channel's configured cipher suites, as many as parameters 23 and 24 can hold. One that a client shut stays
/// listed, so that it can be opened again.
fn suites(context: &Context) -> Vec<u8> {
    let suites = &context.lan.configured_suites;
    suites.iter().map(|policy| policy.suite.id).take(SUITE_ENTRIES_MAX).collect()
}

/// The address that was set, else the one that the client reaches the BMC by.
fn address(context: &Context, lan: &LanSettings) -> Ipv4Addr {
    lan.address_or(context.local)
}

const SOURCES: [AddressSource; 5] = [
    AddressSource::Unspecified,
    AddressSource::Static,
    AddressSource::Dhcp,
    AddressSource::System,
    AddressSource::Other,
];

fn source_of(number: u8) -> Option<AddressSource> {
    SOURCES.get(usize::from(number)).copied()
}

fn source_number(source: AddressSource) -> u8 {
    SOURCES.iter().position(|other| *other == source).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

impl Read for GetLanStatistics {
    /// The system takes the packets apart: what it drops is not seen here, and there is no proxy.
    fn answer(self, context: &Context) -> Answer<LanStatistics> {
        lan(context, self.channel)?;
        let counts = context.bmc.counters().read(self.clear);
        Ok(LanStatistics {
            ip_received: counts.received,
            ip_sent: counts.sent,
            udp_received: counts.received,
            rmcp_received: counts.rmcp,
            ..Default::default()
        })
    }
}

#[cfg(test)]
#[path = "lan_tests.rs"]
mod tests;
