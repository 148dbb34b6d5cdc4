//! What the machine is made of: the parts agree with the whole, and with each other.

use bmc_sim::SimConfig;
use serde_json::Value;

use super::{Lab, lab};
use crate::config::RedfishConfig;

async fn members(lab: &Lab, uri: &str) -> Vec<Value> {
    let all = lab.get(uri).await.json();
    let mut members = Vec::new();
    for member in all["Members"].as_array().unwrap() {
        members.push(lab.get(member["@odata.id"].as_str().unwrap()).await.json());
    }
    members
}

async fn follow(lab: &Lab, link: &Value) -> Value {
    lab.get(link["@odata.id"].as_str().unwrap()).await.json()
}

#[tokio::test]
async fn processors_and_memory_add_up() {
    let sim = SimConfig { processors: 6, memory_bytes: 40 << 30, ..SimConfig::default() };
    let lab = Lab::with_sim(1, RedfishConfig::default(), sim).await;
    let system = lab.get(&lab.system()).await.json();
    let processors = members(&lab, system["Processors"]["@odata.id"].as_str().unwrap()).await;
    let summary = &system["ProcessorSummary"];
    assert_eq!(summary["Count"], processors.len());
    assert_eq!((&summary["CoreCount"], &summary["LogicalProcessorCount"]), (&6.into(), &6.into()));
    assert_eq!(processors.iter().filter_map(|each| each["TotalThreads"].as_u64()).sum::<u64>(), 6);
    // As Ironic's inspection reads it.
    assert_eq!(processors[0]["ProcessorArchitecture"], "x86");
    assert_eq!(processors[0]["InstructionSet"], "x86-64");
    let modules = members(&lab, system["Memory"]["@odata.id"].as_str().unwrap()).await;
    assert_eq!(system["MemorySummary"]["TotalSystemMemoryGiB"], 40);
    let sizes: Vec<_> = modules.iter().map(|module| module["CapacityMiB"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [16 << 10, 16 << 10, 8 << 10]);
}

#[tokio::test]
async fn memory_that_is_less_than_a_gibibyte_is_not_nothing() {
    let sim = SimConfig { memory_bytes: 256 << 20, ..SimConfig::default() };
    let lab = Lab::with_sim(1, RedfishConfig::default(), sim).await;
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["MemorySummary"]["TotalSystemMemoryGiB"], 0.25);
}

#[tokio::test]
async fn every_interface_is_found_from_every_side() {
    let lab = lab().await;
    let system = lab.get(&lab.system()).await.json();
    let macs: Vec<String> =
        lab.machine.snapshot().info.as_ref().unwrap().nics.iter().map(|nic| nic.mac.clone()).collect();
    let interfaces = members(&lab, system["EthernetInterfaces"]["@odata.id"].as_str().unwrap()).await;
    assert_eq!(interfaces.iter().map(|each| each["MACAddress"].as_str().unwrap()).collect::<Vec<_>>(), macs);
    for interface in &interfaces {
        assert_eq!(interface["Status"], serde_json::json!({"State": "Enabled", "Health": "OK"}));
        assert_eq!(interface["LinkStatus"], "LinkDown", "the machine is off");
        let port = follow(&lab, &interface["Links"]["Ports"][0]).await;
        assert_eq!(port["Ethernet"]["AssociatedMACAddresses"][0], interface["MACAddress"]);
        assert!(port["Ethernet"].get("LLDPReceive").is_none(), "nothing is heard over a dead link");
        let function = follow(&lab, &interface["Links"]["NetworkDeviceFunctions"][0]).await;
        let pci = follow(&lab, &function["Links"]["PCIeFunction"]).await;
        assert_eq!((&pci["VendorId"], &pci["DeviceId"]), (&"0x1AF4".into(), &"0x1000".into()));
        assert_eq!(pci["ClassCode"], "0x020000");
        assert_eq!(pci["Links"]["EthernetInterfaces"][0], interface_link(interface));
    }
    // sushy-tools names interfaces by MAC address.
    let by_mac = format!("{}/EthernetInterfaces/{}", lab.system(), macs[1].to_uppercase());
    assert_eq!(lab.get(&by_mac).await.json()["Id"], "NIC1");
    assert_eq!(lab.get(&format!("{}/EthernetInterfaces/NIC9", lab.system())).await.status, 404);
    assert_eq!(system["PCIeDevices"].as_array().unwrap().len(), 4, "two interfaces, disks, RAID");
    assert_eq!(system["PCIeDevices@odata.count"], 4);
}

fn interface_link(interface: &Value) -> Value {
    serde_json::json!({"@odata.id": interface["@odata.id"]})
}

#[tokio::test]
async fn ports_of_a_running_machine_hear_their_switch() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(bmc_core::power::PowerState::On).await;
    let chassis = lab.system().replace("Systems", "Chassis");
    let port = lab.get(&format!("{chassis}/NetworkAdapters/NIC1/Ports/1")).await.json();
    assert_eq!((&port["LinkStatus"], &port["PortProtocol"]), (&"LinkUp".into(), &"Ethernet".into()));
    let heard = &port["Ethernet"]["LLDPReceive"];
    assert_eq!(
        (&heard["SystemName"], &heard["ChassisIdSubtype"]),
        (&"sim-switch-1".into(), &"MacAddr".into())
    );
    for (path, status) in
        [("NIC1/Ports/2", 404), ("NIC7/Ports/1", 404), ("NIC1/NetworkDeviceFunctions/2", 404)]
    {
        assert_eq!(lab.get(&format!("{chassis}/NetworkAdapters/{path}")).await.status, status, "{path}");
    }
    for path in
        ["PCIeDevices/0000-00-09", "PCIeDevices/0000-00-03/PCIeFunctions/7", "PCIeDevices/x/PCIeFunctions"]
    {
        assert_eq!(lab.get(&format!("{chassis}/{path}")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn consoles_are_told_as_they_are() {
    let lab = lab().await;
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["SerialConsole"]["IPMI"]["ServiceEnabled"], true);
    assert_eq!(system["GraphicalConsole"]["ServiceEnabled"], false, "a simulated machine has no screen");
}
