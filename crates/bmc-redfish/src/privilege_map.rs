//! DMTF's mapping of operations to privileges (the Redfish_1.7 privilege registry, DSP8011), for the schemas that are served. It is
//! shown as `PrivilegeMap`, and a test holds every route to it.

use crate::privilege::Privilege;
use crate::privilege::Privilege::{
    ConfigureComponents, ConfigureManager, ConfigureSelf, ConfigureUsers, Login,
};
use crate::routes::Kind;
use crate::schema;

/// Any one of these will do; none at all: no login is needed either.
type AnyOf = &'static [Privilege];

const LOGIN: AnyOf = &[Login];
const COMPONENTS: AnyOf = &[ConfigureComponents];
const MANAGER: AnyOf = &[ConfigureManager];
const USERS: AnyOf = &[ConfigureUsers];
const MANAGER_OR_SELF: AnyOf = &[ConfigureManager, ConfigureSelf];
const MANAGER_OR_COMPONENTS: AnyOf = &[ConfigureManager, ConfigureComponents];

/// Schemas whose resources only a change of the BMC itself changes. Their collections are meant too.
const OF_THE_MANAGER: &[&str] = &[
    "ActionInfo",
    "AggregationService",
    "AttributeRegistry",
    "Battery",
    "BatteryMetrics",
    "Certificate",
    "CertificateLocations",
    "CertificateService",
    "Control",
    "EnvironmentMetrics",
    "EventService",
    "Fan",
    "HostInterface",
    "Job",
    "JobService",
    "JsonSchemaFile",
    "LogEntry",
    "LogService",
    "Manager",
    "ManagerDiagnosticData",
    "ManagerNetworkProtocol",
    "MessageRegistryFile",
    "MetricDefinition",
    "MetricReport",
    "MetricReportDefinition",
    "NetworkAdapterMetrics",
    "NetworkDeviceFunctionMetrics",
    "Power",
    "PowerSubsystem",
    "PowerSupply",
    "PowerSupplyMetrics",
    "PrivilegeRegistry",
    "Role",
    "SerialInterface",
    "ServiceRoot",
    "Session",
    "SessionService",
    "Task",
    "TaskService",
    "TelemetryService",
    "Thermal",
    "ThermalMetrics",
    "ThermalSubsystem",
    "Triggers",
    "VLanNetworkInterface",
    "VirtualMedia",
];

/// What an operation on a resource of this schema needs. `under` is the first segment of its URI behind the root's, as `Managers`.
pub(crate) fn needs(schema: &str, under: &str, kind: Kind) -> AnyOf {
    let of = schema.strip_suffix("Collection").unwrap_or(schema);
    match (schema, kind) {
        ("ServiceRoot", Kind::Get) => &[],
        // The registry's subordinate overrides.
        ("Certificate" | "CertificateCollection", _) if under == "Systems" => COMPONENTS,
        (
            "LogService" | "LogServiceCollection" | "LogEntry" | "LogEntryCollection",
            Kind::Patch | Kind::Post | Kind::Delete,
        ) if matches!(under, "Systems" | "Chassis") => COMPONENTS,
        ("Certificate" | "CertificateCollection" | "CertificateLocations", _) => MANAGER,
        ("ManagerAccount", Kind::Get) => &[ConfigureManager, ConfigureUsers, ConfigureSelf],
        // One's own password is the one property that has a mapping of its own.
        ("ManagerAccount", Kind::Patch) => &[ConfigureUsers, ConfigureSelf],
        (_, Kind::Get) => LOGIN,
        ("AccountService" | "ManagerAccount" | "ManagerAccountCollection", _) => USERS,
        ("SessionCollection", Kind::Post) => LOGIN,
        ("Session", Kind::Delete) | ("EventDestination", _) => MANAGER_OR_SELF,
        // Beyond the registry: who may begin an operation may break it off.
        ("Task", Kind::Delete) => MANAGER_OR_SELF,
        ("EventDestinationCollection", _) => MANAGER_OR_COMPONENTS,
        ("EthernetInterface" | "EthernetInterfaceCollection", _) if under == "Managers" => MANAGER,
        _ if OF_THE_MANAGER.contains(&of) => MANAGER,
        _ => COMPONENTS,
    }
}

/// The schemas that have a mapping: those of resources that are served.
pub(crate) fn entities() -> impl Iterator<Item = &'static str> {
    // Not resources: a part of one, and a part of answers.
    schema::ALL.iter().map(|schema| schema.name).filter(|name| !["Message", "Resource"].contains(name))
}
