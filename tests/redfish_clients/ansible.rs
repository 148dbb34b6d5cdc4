//! Ansible's `community.general.redfish_info`, `redfish_command` and `redfish_config`.
//!
//! A playbook is written as JSON, which is YAML; what each task said is written by a last task for the test to look at.

use polybmc_tests::images::Images;
use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};
use serde_json::{Map, Value, json};
use std::time::Duration;
use testkit::python;

use super::{await_ipmi_power, ipmi, ipmi_boot, ipmi_field, ipmi_lets_in};

/// How long one playbook may take. Every task is a Python process of its own.
const LIMIT: Duration = Duration::from_secs(240);

/// Tasks to do one after the other.
struct Playbook<'a> {
    lab: &'a Lab,
    root: String,
    tasks: Vec<Value>,
}

impl<'a> Playbook<'a> {
    fn of(lab: &'a Lab, node: &Node<'_>) -> Self {
        Self { lab, root: node.redfish.clone(), tasks: Vec::new() }
    }

    /// Adds a task; `more` are the parameters beside category and command.
    fn task(mut self, module: &str, category: &str, command: &str, more: Value) -> Self {
        let (scheme, host) = self.root.split_once("://").unwrap();
        assert_eq!(scheme, "https", "the modules know no other");
        let mut parameters = json!({
            "baseuri": host,
            "username": USER,
            "password": PASSWORD,
            "category": category,
            "command": command,
            "validate_certs": true,
            "ca_path": self.lab.certificate(),
        });
        let object = parameters.as_object_mut().unwrap();
        object.extend(more.as_object().cloned().unwrap_or_default());
        let mut task = Map::new();
        task.insert(format!("community.general.redfish_{module}"), parameters);
        task.insert("register".to_owned(), format!("step_{}", self.tasks.len()).into());
        task.insert("ignore_errors".to_owned(), true.into());
        self.tasks.push(task.into());
        self
    }

    fn info(self, category: &str, command: &str) -> Self {
        self.task("info", category, command, json!({}))
    }

    fn command(self, category: &str, command: &str, more: Value) -> Self {
        self.task("command", category, command, more)
    }

    fn config(self, category: &str, command: &str, more: Value) -> Self {
        self.task("config", category, command, more)
    }

    /// Plays it; what each task said, in order.
    #[track_caller]
    fn play(self) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let answers = folder.path().join("answers.json");
        let names: Vec<String> = (0..self.tasks.len()).map(|number| format!("step_{number}")).collect();
        let mut tasks = self.tasks;
        let content = format!("{{{{ [{}] | to_json }}}}", names.join(", "));
        tasks.push(json!({"ansible.builtin.copy": {"dest": answers, "content": content}, "no_log": true}));
        let play = json!([{"hosts": "localhost", "gather_facts": false, "tasks": tasks}]);
        let file = folder.path().join("play.yml");
        std::fs::write(&file, play.to_string()).unwrap();
        let tool = python::program("ansible-playbook").args(["-i", "localhost,", "-c", "local"]).arg(&file);
        let python = python::venv().join("bin/python");
        let tool = tool.args(["-e", &format!("ansible_python_interpreter={}", python.display())]);
        let tool = tool.env("ANSIBLE_COLLECTIONS_PATH", python::venv().join("collections"));
        let tool = tool
            .env("HOME", folder.path())
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("LC_ALL", "C.UTF-8");
        let ran = tool.limit(LIMIT).current_dir(folder.path()).run();
        let text = std::fs::read_to_string(&answers).unwrap_or_else(|error| panic!("{error}: {ran}"));
        serde_json::from_str(&text).unwrap()
    }

    /// Plays it; no task may fail.
    #[track_caller]
    fn succeed(self) -> Vec<Value> {
        let answers = self.play();
        for (number, answer) in answers.iter().enumerate() {
            assert_eq!(answer["failed"], false, "task {number}: {answer:#}");
        }
        answers
    }
}

#[test]
fn power_boot_and_light() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let before = lab.last_event();
    let answers = Playbook::of(&lab, &node)
        .command("Systems", "SetOneTimeBoot", json!({"bootdevice": "Pxe", "boot_override_mode": "UEFI"}))
        .command("Systems", "PowerOn", json!({}))
        .succeed();
    assert_eq!((&answers[0]["changed"], &answers[1]["changed"]), (&true.into(), &true.into()));
    let booted = lab.await_event(before, &node.name, "booted");
    assert!(booted["from"].as_str().is_some_and(|from| from.starts_with("network")), "{booted}");
    await_ipmi_power(&node, "on");

    let answers = Playbook::of(&lab, &node)
        .command("Systems", "PowerOn", json!({}))
        .command("Systems", "EnableContinuousBootOverride", json!({"bootdevice": "Cd"}))
        .command("Systems", "IndicatorLedOn", json!({}))
        .config("Systems", "SetPowerRestorePolicy", json!({"power_restore_policy": "LastState"}))
        .info("Systems", "GetBootOverride")
        .command("Systems", "PowerForceOff", json!({}))
        .succeed();
    assert_eq!(answers[0]["changed"], false, "it is on already: {:#}", answers[0]);
    assert_eq!(ipmi_boot(&node), "Force Boot from CD/DVD");
    assert!(ipmi(&node, "chassis status").contains("previous"));
    let shown = &answers[4]["redfish_facts"]["boot_override"]["entries"][0][1];
    assert_eq!(
        (&shown["BootSourceOverrideTarget"], &shown["BootSourceOverrideEnabled"]),
        (&"Cd".into(), &"Continuous".into()),
        "{:#}",
        answers[4]
    );
    await_ipmi_power(&node, "off");
    let refused = Playbook::of(&lab, &node).command("Systems", "PowerForceRestart", json!({})).play();
    assert_eq!(refused[0]["failed"], true, "{:#}", refused[0]);
}

#[test]
fn what_there_is() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    node.bring_up();
    let answers = Playbook::of(&lab, &node)
        .info("Service", "CheckAvailability")
        .info("Systems", "GetSystemInventory")
        .info("Systems", "GetHealthReport")
        .info("Manager", "GetManagerInventory")
        .info("Chassis", "GetChassisInventory")
        .info("Sessions", "GetSessions")
        .succeed();
    let facts = |number: usize, what: &str| &answers[number]["redfish_facts"][what];
    assert_eq!(facts(1, "system")["entries"][0][1]["Id"], node.uuid.as_str());
    assert_eq!(facts(2, "health_report")["entries"][0][1]["System"]["Status"]["Health"], "OK");
    assert_eq!(facts(3, "manager")["entries"][0][1]["ManagerType"], "BMC");
}

#[test]
fn accounts() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let user =
        json!({"account_username": "dora", "account_password": "Secret-1", "account_roleid": "Operator"});
    Playbook::of(&lab, &node).command("Accounts", "AddUser", user).succeed();
    assert!(ipmi_lets_in(&node, "dora", "Secret-1"));
    let answers = Playbook::of(&lab, &node)
        .info("Accounts", "ListUsers")
        .command(
            "Accounts",
            "UpdateUserPassword",
            json!({"account_username": "dora", "account_password": "Secret-2"}),
        )
        .command(
            "Accounts",
            "UpdateUserRole",
            json!({"account_username": "dora", "account_roleid": "ReadOnly"}),
        )
        .succeed();
    assert!(answers[0].to_string().contains("dora"), "{:#}", answers[0]);
    assert!(ipmi_lets_in(&node, "dora", "Secret-2") && !ipmi_lets_in(&node, "dora", "Secret-1"));
    Playbook::of(&lab, &node)
        .command("Accounts", "DisableUser", json!({"account_username": "dora"}))
        .succeed();
    assert!(!ipmi_lets_in(&node, "dora", "Secret-2"));
    Playbook::of(&lab, &node)
        .command("Accounts", "EnableUser", json!({"account_username": "dora"}))
        .command("Accounts", "DeleteUser", json!({"account_username": "dora"}))
        .succeed();
    assert!(!ipmi_lets_in(&node, "dora", "Secret-2"));
}

#[test]
fn settings_and_updates() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("image.iso"), vec![7; 70_000]).unwrap();
    std::fs::write(folder.path().join("new.bin"), r#"{"Component": "BIOS", "Version": "7.1.2"}"#).unwrap();
    let images = Images::serve(folder.path());
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let attributes = json!({"bios_attributes": {"BootTimeoutSeconds": 9, "AcPowerRecovery": "LastState"}});
    let media = json!({"virtual_media": {"image_url": images.url("image.iso"), "media_types": ["CD"]}});
    let network = json!({"nic_config": {"VLAN": {"VLANEnable": true, "VLANId": 7}}});
    let update = json!({"update_image_uri": images.url("new.bin")});
    let drive = |bay: &str| format!("/redfish/v1/Systems/{}/Storage/RAID/Drives/{bay}", node.uuid);
    let drives = ["bay0", "bay1"].map(drive);
    let details = json!({"RAIDType": "RAID1", "Drives": drives, "DisplayName": "mirror"});
    let volume = json!({"storage_subsystem_id": "RAID", "volume_details": details});
    let answers = Playbook::of(&lab, &node)
        .config("Systems", "SetBiosAttributes", attributes.clone())
        .config(
            "Systems",
            "SetBootOrder",
            json!({"boot_order": ["Boot0003", "Boot0000", "Boot0001", "Boot0002", "Boot0004"]}),
        )
        .command("Systems", "VirtualMediaInsert", media)
        .config("Manager", "SetManagerNic", network.clone())
        .config("Manager", "SetManagerNic", network)
        .command("Update", "SimpleUpdate", update)
        .config("Systems", "CreateVolume", volume)
        .info("Systems", "GetVirtualMedia")
        .info("Systems", "GetBootOrder")
        .info("Manager", "GetNetworkProtocols")
        .info("Manager", "GetManagerNicInventory")
        .info("Update", "GetFirmwareInventory")
        .info("Systems", "GetVolumeInventory")
        .succeed();
    assert_eq!((&answers[3]["changed"], &answers[4]["changed"]), (&true.into(), &false.into()));
    assert!(answers[7].to_string().contains(&images.url("image.iso")), "{:#}", answers[7]);
    assert!(answers[12].to_string().contains("mirror"), "{:#}", answers[12]);
    assert_eq!(ipmi_field(&node, "lan print 1", "802.1q VLAN ID"), "7");
    assert_eq!(ipmi_field(&node, "chassis status", "Power Restore Policy"), "always-off");
    let before = lab.last_event();
    node.bring_up();
    let booted = lab.await_event(before, &node.name, "booted");
    assert!(
        booted["from"].as_str().is_some_and(|from| from.starts_with("network")),
        "the order's first: {booted}"
    );
    assert_eq!(ipmi_field(&node, "chassis status", "Power Restore Policy"), "previous");
    assert_eq!(ipmi(&node, "mc getsysinfo system_fw_version").trim(), "7.1.2");

    let answers = Playbook::of(&lab, &node)
        .config("Systems", "SetBiosAttributes", attributes.clone())
        .command("Systems", "VerifyBiosAttributes", attributes)
        .command(
            "Systems",
            "VirtualMediaEject",
            json!({"virtual_media": {"image_url": images.url("image.iso")}}),
        )
        .config(
            "Manager",
            "SetNetworkProtocols",
            json!({"network_protocols": {"IPMI": {"ProtocolEnabled": false}}}),
        )
        .succeed();
    assert_eq!(answers[0]["changed"], false, "they are so already: {:#}", answers[0]);
    assert!(!ipmi_lets_in(&node, USER, PASSWORD), "IPMI is off");
    let shown = lab.json(&["media", &node.name, "show", "-o", "json"]).to_string();
    assert!(!shown.contains("image.iso"), "{shown}");
}
