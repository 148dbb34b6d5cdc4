//! What the command line prints: tables for people, JSON for programs.

use std::io::{self, Write as _};

use bmc_control::types::{
    BmcDetail, BmcSummary, BootView, DriveView, Hypervisor, ReloadReport, SelView, SensorView,
    SystemInterfaceView,
};
use bmc_core::boot::{BootEnabled, FirmwareMode};
use bmc_core::event::Event;
use bmc_core::power::PowerPolicy;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// Writes a text to stdout. That nobody reads it any more (`| head`) is no failure.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout, as [`print()`] does.
pub(crate) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a line to stdout; `false` when nobody reads it any more.
pub(crate) fn print_line(line: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// JSON with a line end.
pub(crate) fn json<T: Serialize>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n")
}

/// The list as a table, and below it what is wrong with whom.
pub(crate) fn list(bmcs: &[BmcSummary]) -> String {
    if bmcs.is_empty() {
        return "no BMCs; `polybmc add NAME` makes one\n".to_owned();
    }
    let mut table = table();
    table.set_header(["NAME", "BACKEND", "MACHINE", "ORIGIN", "IPMI", "REDFISH", "POWER", "STATE"]);
    for bmc in bmcs {
        let state = match &bmc.problem {
            Some(_) => format!("{}, see below", bmc.state.as_str()),
            None => bmc.state.as_str().to_owned(),
        };
        let none = || "-".to_owned();
        table.add_row([
            bmc.name.clone(),
            bmc.backend.clone(),
            bmc.machine.clone(),
            bmc.origin.as_str().to_owned(),
            bmc.ipmi.clone().unwrap_or_else(none),
            bmc.redfish.clone().unwrap_or_else(none),
            power(bmc).to_owned(),
            state,
        ]);
    }
    let mut text = finish(&table);
    for (bmc, problem) in bmcs.iter().filter_map(|bmc| Some((bmc, bmc.problem.as_ref()?))) {
        text.push_str(&format!("\n{}: {problem}\n", bmc.name));
    }
    text
}

/// The hypervisors as a table, and below it why which cannot be reached.
pub(crate) fn hypervisors(hypervisors: &[Hypervisor]) -> String {
    if hypervisors.is_empty() {
        return "no hypervisors; simulated machines need none\n".to_owned();
    }
    let mut table = table();
    table.set_header(["NAME", "URI", "STATE", "BMCS", "CALLS"]);
    for hypervisor in hypervisors {
        table.add_row([
            hypervisor.name.clone(),
            hypervisor.uri.clone(),
            if hypervisor.connected { "connected" } else { "unreachable, see below" }.to_owned(),
            hypervisor.bmcs.to_string(),
            hypervisor.calls.to_string(),
        ]);
    }
    let mut text = finish(&table);
    for (hypervisor, problem) in hypervisors.iter().filter_map(|one| Some((one, one.problem.as_ref()?))) {
        text.push_str(&format!("\n{}: {problem}\n", hypervisor.name));
    }
    text
}

/// The power in a word. What was known before a machine got out of reach may be wrong by now.
fn power(bmc: &BmcSummary) -> &'static str {
    if bmc.reachable { bmc.power.as_str() } else { "unknown" }
}

/// One BMC, a line a property.
pub(crate) fn show(bmc: &BmcDetail) -> String {
    let unknown = || "unknown".to_owned();
    let summary = &bmc.summary;
    let mut table = table();
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("name", summary.name.clone());
    row("state", summary.state.as_str().to_owned());
    if let Some(problem) = &summary.problem {
        row("problem", problem.clone());
    }
    row("backend", summary.backend.clone());
    row("machine", summary.machine.clone());
    row("origin", summary.origin.as_str().to_owned());
    row("uuid", summary.uuid.to_string());
    row("ipmi", summary.ipmi.clone().unwrap_or_else(|| "off".to_owned()));
    row("redfish", summary.redfish.clone().unwrap_or_else(|| "off".to_owned()));
    row("username", bmc.username.clone());
    let fault = if bmc.power_fault { " (the last operation failed)" } else { "" };
    row("power", format!("{}{fault}", power(summary)));
    row("power policy", policy(bmc.power_policy).to_owned());
    row("boot", boot(&bmc.boot));
    let firmware = bmc.firmware.map(|mode| match mode {
        FirmwareMode::Legacy => "legacy".to_owned(),
        FirmwareMode::Uefi => "uefi".to_owned(),
    });
    row("firmware", firmware.unwrap_or_else(unknown));
    row("processors", bmc.processors.map_or_else(unknown, |count| count.to_string()));
    row("memory", bmc.memory_bytes.map_or_else(unknown, |bytes| format!("{} MiB", bytes >> 20)));
    row("nics", bmc.nics.join(", "));
    if let Some(vnc) = &bmc.vnc {
        row("vnc", vnc.clone());
    }
    row("manufacturer", bmc.manufacturer.clone());
    row("model", bmc.model.clone());
    row("serial", bmc.serial.clone());
    row("asset tag", bmc.asset_tag.clone());
    finish(&table)
}

/// The boot override in a few words.
pub(crate) fn boot(boot: &BootView) -> String {
    if boot.enabled == BootEnabled::Disabled {
        return "none".to_owned();
    }
    let mut words = format!("{}, {}", boot.target.as_str(), boot.enabled.as_str());
    if boot.uefi {
        words.push_str(", uefi");
    }
    for detail in [&boot.device, &boot.uri].into_iter().flatten() {
        words.push_str(", ");
        words.push_str(detail);
    }
    words
}

/// The drives as a table.
pub(crate) fn media(drives: &[DriveView]) -> String {
    let mut table = table();
    table.set_header(["DRIVE", "IMAGE", "SIZE", "SHA-256"]);
    for drive in drives {
        let image = match (&drive.image, &drive.inserting) {
            (_, Some(inserting)) => format!("(inserting {inserting})"),
            (Some(image), None) if drive.write_protected == Some(false) => format!("{image} (writable)"),
            (Some(image), None) => image.clone(),
            (None, None) => "(empty)".to_owned(),
        };
        let size = drive.size.map(|size| size.to_string()).unwrap_or_default();
        let sum = drive.sha256.clone().unwrap_or_default();
        table.add_row([drive.drive.as_str().to_owned(), image, size, sum]);
    }
    finish(&table)
}

/// A machine's own way to its BMC.
pub(crate) fn system_interface(view: &SystemInterfaceView) -> String {
    let mut table = table();
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("name", view.name.clone());
    row("served", view.kind.map_or_else(|| "no".to_owned(), |kind| kind.to_string()));
    if let Some(socket) = &view.socket {
        row("socket", socket.display().to_string());
        row("connected", if view.connected { "yes" } else { "no" }.to_owned());
    }
    let device = view.device.as_ref();
    let device = device.map(|device| format!("{}, {}", device.kind, device.socket.display()));
    row("device in the definition", device.unwrap_or_else(|| "none of polybmc's".to_owned()));
    if let Some(problem) = &view.problem {
        row("problem", problem.clone());
    }
    if !view.arguments.is_empty() {
        row("by hand", format!("qemu-system-x86_64 {} ...", view.arguments.join(" ")));
    }
    format!("{table}\n")
}

/// The event log as a table.
pub(crate) fn sel(sel: &SelView) -> String {
    let lost = if sel.overflow { "events were lost because the log was full\n" } else { "" };
    if sel.entries.is_empty() {
        return format!("the event log is empty\n{lost}");
    }
    let mut table = table();
    table.set_header(["ID", "TIME", "SEVERITY", "EVENT"]);
    for entry in &sel.entries {
        let id = entry.id.to_string();
        table.add_row([id, entry.time.to_string(), entry.severity.clone(), entry.message.clone()]);
    }
    finish(&table) + lost
}

/// The sensors as a table.
pub(crate) fn sensors(sensors: &[SensorView]) -> String {
    let mut table = table();
    table.set_header(["NUMBER", "NAME", "KIND", "READING", "STATUS", "THRESHOLDS"]);
    for sensor in sensors {
        let states = |names: &Vec<String>| {
            if names.is_empty() { "no state".to_owned() } else { names.join(", ") }
        };
        let reading = match (sensor.reading, &sensor.state_names) {
            (Some(reading), _) => format!("{reading} {}", sensor.unit.as_deref().unwrap_or_default()),
            (None, Some(held)) => states(held),
            (None, None) => "-".to_owned(),
        };
        let limits: Vec<String> =
            sensor.thresholds.iter().map(|(name, limit)| format!("{name} {limit}")).collect();
        table.add_row([
            format!("{:02x}h", sensor.number),
            sensor.name.clone(),
            sensor.kind.clone(),
            reading,
            sensor.status.as_str().to_owned(),
            limits.join(", "),
        ]);
    }
    finish(&table)
}

fn policy(policy: PowerPolicy) -> &'static str {
    match policy {
        PowerPolicy::AlwaysOff => "always-off",
        PowerPolicy::Previous => "previous",
        PowerPolicy::AlwaysOn => "always-on",
    }
}

/// One event as a line.
pub(crate) fn event(event: &Event) -> String {
    format!("{} {} {} {}", event.id, event.time, event.bmc, event.kind)
}

/// What a reload did.
pub(crate) fn reload(report: &ReloadReport) -> String {
    let mut text = String::new();
    if let Some(config) = &report.config {
        text.push_str(&format!("read {}\n", config.display()));
    }
    for (what, names) in
        [("added", &report.added), ("changed", &report.changed), ("removed", &report.removed)]
    {
        if !names.is_empty() {
            text.push_str(&format!("{what}: {}\n", names.join(", ")));
        }
    }
    text.push_str(&format!("unchanged: {}\n", report.unchanged));
    for failed in &report.failed {
        text.push_str(&format!("failed: {failed}\n"));
    }
    for setting in &report.needs_restart {
        text.push_str(&format!("needs a restart: {setting}\n"));
    }
    text
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table without the blanks that pad its last column and its edge.
pub(crate) fn finish(table: &Table) -> String {
    let text = table.to_string();
    let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.flat_map(|line| [line, "\n"]).collect()
}
