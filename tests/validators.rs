//! DMTF's validators over everything: no failure, and each warning and each thing that was not tested explained here.
//!
//! Over https with the certificate checked and over plain http; on the simulator and on libvirt; at a BMC's own root and at the root over all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use polybmc_tests::judge::{Accepted, Judge, untested, warning};
use polybmc_tests::lab::Lab;

/// Two simulated machines, and one of libvirt's test driver, which is the same each time.
const LIBVIRT: &str = "[backend.driver]\ntype = \"libvirt\"\nuri = \"test:///default\"\n\
                       [[bmc]]\nname = \"web\"\nbackend = \"driver\"\nmachine = \"test\"\n";

/// What every kind of service looks like to the service validator.
const SERVICE: &[Accepted] = &[
    untested(
        "*",
        "Skip: The property is not present.",
        "optional: what is not known of a machine is left out",
    ),
    warning(
        "ComputerSystem/IndicatorLED",
        "is deprecated",
        "Ironic drives the light by it; its successor is there too",
    ),
    warning(
        "Chassis/IndicatorLED",
        "is deprecated",
        "Ironic drives the light by it; its successor is there too",
    ),
];

fn lab(tls: &str) -> Lab {
    let lab = Lab::builder(2).log("warn").defaults(&format!("tls = \"{tls}\"")).config(LIBVIRT).start();
    lab.node(0).bring_up();
    lab
}

fn roots(lab: &Lab) -> [String; 3] {
    [lab.node(0).redfish, lab.named("web").redfish, lab.aggregate.clone()]
}

#[test]
fn service_validator_over_https() {
    let lab = lab("auto");
    for root in roots(&lab) {
        Judge::service().acquits(&lab, &root, SERVICE);
    }
}

#[test]
fn service_validator_over_http() {
    let lab = lab("off");
    for root in roots(&lab) {
        Judge::service().with_basic_login().acquits(&lab, &root, SERVICE);
    }
}
