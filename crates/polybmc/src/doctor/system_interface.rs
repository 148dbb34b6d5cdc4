//! Checks of the machines' own ways to their BMCs: which machines have one, and whether their emulators may reach the sockets.

use std::path::{Path, PathBuf};

use bmc_control::Client;
use bmc_control::types::SystemInterfaceView;

use super::{Finding, Host, Status};
use crate::config::SystemInterfaceWord;
use crate::daemon::doors_folder;

const CHECK: &str = "guest-ipmi";
/// Of more BMCs than these nobody reads a line each.
const BMCS_LOOKED_AT: usize = 200;
/// Names that are told of those without a device.
const NAMES_TOLD: usize = 5;
/// Whether AppArmor confines programs on this host.
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
/// Where an administrator may allow libvirt's emulators more.
const ALLOWANCES: [&str; 2] =
    ["/etc/apparmor.d/local/abstractions/libvirt-qemu", "/etc/apparmor.d/abstractions/libvirt-qemu.d"];

pub(super) fn checks(host: &Host, daemon_runs: bool) -> Vec<Finding> {
    let says_so = |word: &Option<SystemInterfaceWord>| matches!(word, Some(SystemInterfaceWord::On(_)));
    let mut served = host.config.bmcs.iter().any(|bmc| says_so(&bmc.system_interface))
        || says_so(&host.config.defaults.system_interface);
    let mut findings = Vec::new();
    if daemon_runs {
        match views(&host.control) {
            Ok(views) => {
                served |= views.iter().any(|view| view.kind.is_some());
                findings.extend(machines(&views));
            }
            Err(error) => {
                let mend = "look whether the daemon is of this version";
                findings.push(Finding::bad(
                    CHECK,
                    Status::Warn,
                    format!("the daemon does not tell: {error}"),
                    mend,
                ));
            }
        }
    }
    if served && host.wants_libvirt {
        let folder = doors_folder(&host.config.system_interface, &host.control);
        findings.push(apparmor(Path::new(APPARMOR), &ALLOWANCES.map(PathBuf::from), &folder));
    }
    findings
}

/// What the daemon says of its real machines.
fn views(control: &Path) -> anyhow::Result<Vec<SystemInterfaceView>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::new(control);
        let mut views = Vec::new();
        let bmcs = client.list().await?;
        for bmc in bmcs.iter().filter(|bmc| bmc.backend != crate::config::SIM).take(BMCS_LOOKED_AT) {
            views.push(client.system_interface(&bmc.name).await?);
        }
        Ok(views)
    })
}

/// Which machines have a device, and what is wrong with whose.
pub(super) fn machines(views: &[SystemInterfaceView]) -> Vec<Finding> {
    let problems = views.iter().filter_map(|view| {
        let problem = view.problem.as_ref()?;
        let mend = format!("polybmc system-interface {} show", view.name);
        Some(Finding::bad(CHECK, Status::Warn, format!("{}: {problem}", view.name), mend))
    });
    let mut findings: Vec<Finding> = problems.collect();
    let without: Vec<&str> =
        views.iter().filter(|view| view.device.is_none()).map(|view| view.name.as_str()).collect();
    if let Some(first) = without.first() {
        let more = if without.len() > NAMES_TOLD { ", ..." } else { "" };
        let names = without.iter().take(NAMES_TOLD).copied().collect::<Vec<_>>().join(", ");
        findings.push(Finding::ok(
            CHECK,
            format!(
                "{} of {} machines have no way to their BMC from inside ({names}{more}); `polybmc system-interface {first} add` gives one",
                without.len(),
                views.len()
            ),
        ));
    } else if !views.is_empty() {
        findings
            .push(Finding::ok(CHECK, format!("all {} machines reach their BMC from inside", views.len())));
    }
    findings
}

/// Whether AppArmor lets emulators connect to sockets in a folder: its rules for them know of none.
pub(super) fn apparmor(enabled: &Path, allowances: &[PathBuf], folder: &Path) -> Finding {
    if std::fs::read_to_string(enabled).map_or(true, |text| text.trim() != "Y") {
        return Finding::ok(CHECK, "no AppArmor here that would keep emulators from the sockets");
    }
    let files = allowances.iter().flat_map(|path| {
        let inside = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        inside.chain([path.clone()]).collect::<Vec<_>>()
    });
    let shown = folder.display().to_string();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(&shown)) {
            return Finding::ok(CHECK, format!("{} lets emulators reach {shown}", file.display()));
        }
    }
    let rule = format!("{shown}/*.sock rw,");
    let file = allowances.first().map(|file| file.display().to_string()).unwrap_or_default();
    Finding::bad(
        CHECK,
        Status::Warn,
        format!("AppArmor does not let libvirt's emulators reach {shown}"),
        format!("echo '  {rule}' | sudo tee -a {file}; it holds for machines that are started afterwards"),
    )
}
