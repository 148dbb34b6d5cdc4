//! DMTF's validators over everything: no failure, and each warning and each thing that was not tested explained here.
//!
//! Over https with the certificate checked and over plain http; on the simulator and on libvirt; at a BMC's own root and at the root over all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use polybmc_tests::judge::{Accepted, Judge, failure, untested, warning};
use polybmc_tests::lab::Lab;
use tempfile::TempDir;
use testkit::guest::{Firmware, Guest, URI};

const IRONIC_PROFILE: &str = "OpenStackIronicProfile.v1_2_0.json";
const OCP_PROFILE: &str = "OCPServiceBaseline.v1_0_0.json";

/// A domain of libvirt's test driver as people define them: the driver's own has neither a CD drive nor firmware to speak of.
const SERVER: &str = r#"<node><domain type="test">
  <name>server</name><uuid>0d5f2a10-6f4c-4f6a-9a51-0c2b7f1f9e21</uuid>
  <memory unit="GiB">4</memory><vcpu>2</vcpu>
  <os><type arch="x86_64">hvm</type></os>
  <devices>
    <disk type="file" device="disk"><source file="/var/lib/libvirt/images/server.img"/><target dev="vda" bus="virtio"/></disk>
    <disk type="file" device="cdrom"><target dev="sda" bus="sata"/><readonly/></disk>
    <interface type="user"><mac address="52:54:00:12:34:56"/><model type="virtio"/></interface>
    <console type="pty"/>
  </devices>
</domain></node>
"#;

/// What every kind of service looks like to the service validator.
const SERVICE: &[Accepted] = &[
    warning(
        "Chassis/Power",
        "is deprecated",
        "Ironic, Ansible and redfishtool read power there; PowerSubsystem is there too",
    ),
    warning(
        "Chassis/Thermal",
        "is deprecated",
        "Ironic, Ansible and redfishtool read it; ThermalSubsystem is there too",
    ),
    warning("Power*/@odata.id", "Deprecated URI", "the old style of power, for the same clients"),
    warning("Thermal*/@odata.id", "Deprecated URI", "the old style of thermal, for the same clients"),
    warning(
        "Manager/SerialConsole*",
        "is deprecated",
        "Ironic looks for a console there; the System's own is there too",
    ),
    warning(
        "AttributeRegistry/*/DefaultValue",
        "empty string",
        "that an attribute has no text is its default",
    ),
    warning(
        "MetricReport/*/MetricDefinition",
        "is deprecated",
        "it leads from a value to what the value means",
    ),
    warning(
        "UpdateService/HttpPushUri",
        "is deprecated",
        "older clients push there; the multipart push is there too",
    ),
    warning(
        "MessageRegistry/Messages/*/Severity",
        "is deprecated",
        "the registries are served as DMTF published them, and those have Severity beside MessageSeverity",
    ),
    untested(
        "*",
        "Skip: The property is not present.",
        "optional: what is not known of a machine is left out",
    ),
    warning("*/IndicatorLED", "is deprecated", "Ironic drives lights by it; its successor is there too"),
    warning("EventService/EventTypesForSubscription*", "is deprecated", "sushy reads it"),
    warning(
        "EventService/SSEFilterPropertiesSupported/EventType",
        "is deprecated",
        "the schema has it in one object with the rest",
    ),
    warning(
        "Manager/VirtualMedia",
        "is deprecated",
        "older clients look for media there; the System's own is there too",
    ),
    warning(
        "VirtualMedia*/@odata.id",
        "Deprecated URI",
        "older clients look for media there; the System's own is there too",
    ),
    warning(
        "Storage/StorageControllers*",
        "is deprecated",
        "Ironic reads it where it does not know Controllers",
    ),
    warning(
        "Drive/@odata.id",
        "Deprecated URI",
        "sushy and Ansible find drives by way of the Storage they are of",
    ),
];

const ONLY_READS: &str = "the validator only reads; the use-case checkers and the clients' tests write";

/// The profile that Ironic's users check hardware with.
const IRONIC: &[Accepted] = &[
    untested("*(Write)", "Cannot test", ONLY_READS),
    untested(
        "ServiceRoot/TaskService",
        "not present",
        "the schema's name for it is Tasks, and that is there",
    ),
    untested(
        "Bios/@Redfish.Settings/*",
        "not present",
        "nothing was applied yet, as the tests of the BIOS do",
    ),
    untested(
        "SecureBoot/Actions/#SecureBoot.ResetKeys",
        "",
        "legacy firmware keeps no keys; the tests of UEFI reset them",
    ),
    untested("Volume", "not found", "there is none until somebody makes one, as the tests of storage do"),
    untested("SimpleStorage/Devices/*/Model", "not present", "a disk whose definition names no model"),
];

/// What OCP wants of any management service. All of it is recommended, none mandatory.
const OCP: &[Accepted] = &[
    untested(
        "LogEntry/EventGroupId",
        "not present",
        "no event has a cause in common with another that is known",
    ),
    untested("LogEntry/MesageArgs", "not present", "so the profile writes it; MessageArgs is there"),
    untested("ManagerNetworkProtocol/SSDP/Notify*", "not present", "nobody announces a BMC"),
    untested("ManagerNetworkProtocol/SSH", "not present", "nobody logs in to a BMC by a shell"),
    untested("SoftwareInventory/Release*", "not present", "a version is all that is known of firmware"),
    untested("SoftwareInventory/VersionScheme", "not present", "a version is all that is known of firmware"),
    untested("*(Write)", "Cannot test", ONLY_READS),
    untested("License*", "not found", "a machine of polybmc has no licences"),
    untested("ServiceRoot/LicenseService", "not present", "a machine of polybmc has no licences"),
    untested("OutboundConnection*", "not found", "a BMC of polybmc connects to no manager of its own accord"),
    untested(
        "AccountService/OutboundConnections",
        "not present",
        "a BMC of polybmc connects to no manager of its own accord",
    ),
    untested("RegisteredClient*", "not found", "nothing is kept of the programs that configure a BMC"),
    untested(
        "ServiceRoot/RegisteredClients",
        "not present",
        "nothing is kept of the programs that configure a BMC",
    ),
    untested("ServiceConditions", "not found", "what is wrong with a machine is in its own Status"),
    untested(
        "ServiceRoot/ServiceConditions",
        "not present",
        "what is wrong with a machine is in its own Status",
    ),
    untested("ServiceRoot/ServiceIdentification", "not present", "the root has its machine's UUID and name"),
    untested(
        "AccountService/ActiveDirectory",
        "not present",
        "accounts are those of IPMI, which knows no directory",
    ),
    untested("AccountService/LDAP", "not present", "accounts are those of IPMI, which knows no directory"),
    untested(
        "AccountService/OAuth2",
        "not present",
        "accounts are those of IPMI, which knows no authorization server",
    ),
    untested("ManagerAccount/PasswordExpiration", "not present", "passwords do not grow old"),
    untested("Session/Context", "not present", "the validator gives its session none"),
    untested("Session/Links", "not present", "only for outbound connections"),
    untested(
        "EventDestination*",
        "not found",
        "there is none until somebody subscribes, as the tests of events do",
    ),
    untested("Task", "not found", "there is none until something takes long"),
];

const NO_SSDP: &str =
    "polybmc does not announce itself: its addresses are configured, and often many on one host";
const NO_OPENAPI: &str = "optional: no OpenAPI document is served";
const NO_SSE: &str = "this version of the validator leaves server-sent events out; own tests look at them";

const PROTOCOL: &[Accepted] = &[
    untested("SERV_SSDP_*", "", NO_SSDP),
    untested("SERV_SSE_*", "", NO_SSE),
    untested("SEC_SESSION_TERMINATION_SIDE_EFFECTS", "No ServerSentEventUri", NO_SSE),
    untested("REQ_HEADERS_ACCEPT", "openapi.yaml", NO_OPENAPI),
    untested("RESP_HEADERS_CONTENT_TYPE", "openapi.yaml", NO_OPENAPI),
    untested(
        "REQ_DATA_MOD_ERRORS",
        "No failed POST",
        "none of what it posts fails; own tests look at each refusal",
    ),
    untested("RESP_STATUS_INTERNAL_SERVER_ERROR", "", "nothing that it sends makes the service fail"),
];

/// On top of [`PROTOCOL`] where there is no TLS.
const PLAIN: &[Accepted] = &[
    untested("SEC_DEFAULT_CERT_REPLACE", "No certificates", "there is no certificate"),
    failure(
        "SEC_BASIC_AUTH_OVER_HTTPS",
        "using basic auth over HTTP succeeded",
        "who configures `tls = \"off\"` wants what clients of plain http do, and they send passwords",
    ),
    untested("SEC_CERTS_CONFORM_X509V3", "is not HTTPS", "there is no certificate"),
    untested("PROTO_REDIRECT_ENFORCES_TARGET_PRIVS", "", "there is no https to redirect to"),
];

const USE_CASES: &[Accepted] = &[
    untested(
        "Manager Ethernet Interfaces/Addresses Check",
        "not present",
        "IPMI's LAN parameters that are kept know IPv4",
    ),
    untested("Account Management/Enable User", "already enabled", "an account is made enabled"),
    untested(
        "Account Management/Disable Password Change Required",
        "does not require",
        "only where it was asked for",
    ),
    warning(
        "Power Control/Reset Operation",
        "ChassisPowerStateOnRequired",
        "a machine that is off is not restarted, over IPMI as over Redfish: one table of power behind every door",
    ),
    untested("Power Control/Reset Operation", "failed the reset action", "the same"),
    untested(
        "Boot Override/Boot Override Check",
        "'UefiTarget'",
        "device paths are not kept; a BootOption names a device",
    ),
    untested(
        "Boot Override/Boot Override Check",
        "'UefiBootNext'",
        "device paths are not kept; a BootOption names a device",
    ),
    warning(
        "Manager Ethernet Interfaces/VLAN Check",
        "'VLANId' property is null",
        "no VLAN was set, and the schema has no number for that",
    ),
    untested(
        "Manager Ethernet Interfaces/VLAN Check",
        "'Tagged' property is not present",
        "IPMI's VLAN is always tagged",
    ),
    untested("Boot Override/*", "not set to 'one-time'", "the same"),
];

/// A daemon with two simulated machines, the first running, and one of libvirt's test driver.
struct Bench {
    lab: Lab,
    _definitions: TempDir,
}

impl Bench {
    /// With the domain that the driver brings.
    fn new(tls: &str) -> Self {
        Self::with(tls, "test:///default", "test")
    }

    /// With [`SERVER`].
    fn with_server(tls: &str) -> Self {
        Self::with(tls, "", "server")
    }

    fn with(tls: &str, uri: &str, domain: &str) -> Self {
        let definitions = tempfile::tempdir().unwrap();
        let file = definitions.path().join("node.xml");
        std::fs::write(&file, SERVER).unwrap();
        let uri = if uri.is_empty() { format!("test://{}", file.display()) } else { uri.to_owned() };
        let config = format!(
            "[backend.driver]\ntype = \"libvirt\"\nuri = {uri:?}\n\
             [[bmc]]\nname = \"web\"\nbackend = \"driver\"\nmachine = {domain:?}\n"
        );
        let lab = Lab::builder(2).log("warn").defaults(&format!("tls = \"{tls}\"")).config(&config).start();
        lab.node(0).bring_up();
        Self { lab, _definitions: definitions }
    }

    fn is_judged_by(&self, judge: &Judge, accepted: &[&[Accepted]]) {
        let roots = [self.lab.node(0).redfish, self.lab.named("web").redfish, self.lab.aggregate.clone()];
        for root in roots {
            judge.acquits(&self.lab, &root, &accepted.concat());
        }
    }
}

#[test]
fn service_validator_over_https() {
    Bench::new("auto").is_judged_by(&Judge::service(), &[SERVICE]);
}

#[test]
fn service_validator_over_http() {
    Bench::new("off").is_judged_by(&Judge::service().with_basic_login(), &[SERVICE]);
}

#[test]
fn profile_of_ironic() {
    for tls in ["auto", "off"] {
        Bench::with_server(tls).is_judged_by(&Judge::interop(IRONIC_PROFILE), &[IRONIC]);
    }
}

#[test]
fn profile_of_ocp() {
    Bench::with_server("auto").is_judged_by(&Judge::interop(OCP_PROFILE), &[OCP]);
    let no_tls =
        failure("Certificate", "not found", "who configures `tls = \"off\"` has no certificate to show");
    Bench::with_server("off").is_judged_by(&Judge::interop(OCP_PROFILE), &[OCP, &[no_tls]]);
}

#[test]
fn protocol_validator_over_https() {
    Bench::new("auto").is_judged_by(&Judge::protocol(), &[PROTOCOL]);
}

#[test]
fn protocol_validator_over_http() {
    Bench::new("off").is_judged_by(&Judge::protocol(), &[PROTOCOL, PLAIN]);
}

#[test]
fn use_case_checkers_over_https() {
    Bench::new("auto").is_judged_by(&Judge::use_cases(), &[USE_CASES]);
}

#[test]
fn use_case_checkers_over_http() {
    Bench::new("off").is_judged_by(&Judge::use_cases(), &[USE_CASES]);
}

/// All judges on a guest that really runs.
#[test]
fn guest_before_every_judge() {
    let mut guest = Guest::define(Firmware::SeaBios);
    let config = format!(
        "[backend.guests]\ntype = \"libvirt\"\nuri = {URI:?}\n\
         [[bmc]]\nname = \"web\"\nbackend = \"guests\"\nmachine = {:?}\n",
        guest.name()
    );
    let lab = Lab::builder(0).log("warn").config(&config).start();
    lab.daemon.cli(["power", "web", "on"]).ok();
    guest.next_boot();
    let root = lab.named("web").redfish;
    Judge::service().acquits(&lab, &root, SERVICE);
    Judge::interop(IRONIC_PROFILE).acquits(&lab, &root, IRONIC);
    Judge::interop(OCP_PROFILE).acquits(&lab, &root, OCP);
    Judge::protocol().acquits(&lab, &root, PROTOCOL);
    // A guest that is still booting does not feel the power button; overrides on guests have tests of their own.
    Judge::use_cases_but_boot().acquits(&lab, &root, USE_CASES);
}
