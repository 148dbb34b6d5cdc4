//! The schemas of what is served: each resource's type and version, and where DMTF publishes it. `$metadata`, `@odata.type` and the
//! `describedby` link come from this one table.

/// A schema as DMTF publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Its name, e.g. `ComputerSystem`.
    pub(crate) name: &'static str,
    /// The version satisfied, e.g. `v1_27_0`; none for collections, which have only one.
    pub(crate) version: Option<&'static str>,
}

macro_rules! schemas {
    ($($constant:ident = $name:literal $($version:literal)?;)*) => {
        $(pub(crate) const $constant: Schema = Schema { name: $name, version: schemas!(@version $($version)?) };)*

        /// Every schema in use.
        pub(crate) const ALL: &[Schema] = &[$($constant),*];
    };
    (@version) => { None };
    (@version $version:literal) => { Some($version) };
}

schemas! {
    ACCOUNT_SERVICE = "AccountService" "v1_18_1";
    ACTION_INFO = "ActionInfo" "v1_5_0";
    ASSEMBLY = "Assembly" "v1_6_1";
    ATTRIBUTE_REGISTRY = "AttributeRegistry" "v1_4_0";
    BIOS = "Bios" "v1_2_3";
    BOOT_OPTION = "BootOption" "v1_0_6";
    BOOT_OPTION_COLLECTION = "BootOptionCollection";
    CERTIFICATE = "Certificate" "v1_11_0";
    CERTIFICATE_COLLECTION = "CertificateCollection";
    CERTIFICATE_LOCATIONS = "CertificateLocations" "v1_0_4";
    CERTIFICATE_SERVICE = "CertificateService" "v1_2_1";
    CHASSIS = "Chassis" "v1_28_0";
    CHASSIS_COLLECTION = "ChassisCollection";
    COLLECTION_CAPABILITIES = "CollectionCapabilities" "v1_4_1";
    COMPUTER_SYSTEM = "ComputerSystem" "v1_27_0";
    COMPUTER_SYSTEM_COLLECTION = "ComputerSystemCollection";
    DRIVE = "Drive" "v1_22_0";
    ENVIRONMENT_METRICS = "EnvironmentMetrics" "v1_5_0";
    ETHERNET_INTERFACE = "EthernetInterface" "v1_12_4";
    ETHERNET_INTERFACE_COLLECTION = "EthernetInterfaceCollection";
    EVENT = "Event" "v1_13_0";
    EVENT_DESTINATION = "EventDestination" "v1_16_0";
    EVENT_DESTINATION_COLLECTION = "EventDestinationCollection";
    EVENT_SERVICE = "EventService" "v1_12_0";
    FAN = "Fan" "v1_6_0";
    FAN_COLLECTION = "FanCollection";
    JSON_SCHEMA_FILE = "JsonSchemaFile" "v1_1_5";
    JSON_SCHEMA_FILE_COLLECTION = "JsonSchemaFileCollection";
    LOG_ENTRY = "LogEntry" "v1_21_0";
    LOG_ENTRY_COLLECTION = "LogEntryCollection";
    LOG_SERVICE = "LogService" "v1_9_0";
    LOG_SERVICE_COLLECTION = "LogServiceCollection";
    MANAGER = "Manager" "v1_24_0";
    MANAGER_ACCOUNT = "ManagerAccount" "v1_14_1";
    MANAGER_ACCOUNT_COLLECTION = "ManagerAccountCollection";
    MANAGER_COLLECTION = "ManagerCollection";
    MANAGER_NETWORK_PROTOCOL = "ManagerNetworkProtocol" "v1_12_0";
    MEMORY = "Memory" "v1_23_0";
    MEMORY_COLLECTION = "MemoryCollection";
    MESSAGE = "Message" "v1_3_0";
    MESSAGE_REGISTRY = "MessageRegistry" "v1_7_0";
    NETWORK_ADAPTER = "NetworkAdapter" "v1_14_0";
    NETWORK_ADAPTER_COLLECTION = "NetworkAdapterCollection";
    NETWORK_DEVICE_FUNCTION = "NetworkDeviceFunction" "v1_11_1";
    NETWORK_DEVICE_FUNCTION_COLLECTION = "NetworkDeviceFunctionCollection";
    NETWORK_INTERFACE = "NetworkInterface" "v1_2_3";
    NETWORK_INTERFACE_COLLECTION = "NetworkInterfaceCollection";
    PCIE_DEVICE = "PCIeDevice" "v1_21_0";
    PCIE_DEVICE_COLLECTION = "PCIeDeviceCollection";
    PCIE_FUNCTION = "PCIeFunction" "v1_7_0";
    PCIE_FUNCTION_COLLECTION = "PCIeFunctionCollection";
    PORT = "Port" "v1_18_0";
    PORT_COLLECTION = "PortCollection";
    POWER = "Power" "v1_7_3";
    POWER_SUBSYSTEM = "PowerSubsystem" "v1_1_3";
    POWER_SUPPLY = "PowerSupply" "v1_6_0";
    POWER_SUPPLY_COLLECTION = "PowerSupplyCollection";
    POWER_SUPPLY_METRICS = "PowerSupplyMetrics" "v1_2_0";
    PRIVILEGE_REGISTRY = "PrivilegeRegistry" "v1_2_0";
    METRIC_DEFINITION = "MetricDefinition" "v1_3_5";
    METRIC_DEFINITION_COLLECTION = "MetricDefinitionCollection";
    METRIC_REPORT = "MetricReport" "v1_5_2";
    METRIC_REPORT_COLLECTION = "MetricReportCollection";
    METRIC_REPORT_DEFINITION = "MetricReportDefinition" "v1_4_7";
    METRIC_REPORT_DEFINITION_COLLECTION = "MetricReportDefinitionCollection";
    PROCESSOR = "Processor" "v1_22_0";
    PROCESSOR_COLLECTION = "ProcessorCollection";
    REGISTRY_FILE = "MessageRegistryFile" "v1_1_5";
    REGISTRY_FILE_COLLECTION = "MessageRegistryFileCollection";
    RESOURCE = "Resource" "v1_23_0";
    ROLE = "Role" "v1_3_3";
    ROLE_COLLECTION = "RoleCollection";
    SECURE_BOOT = "SecureBoot" "v1_1_2";
    SECURE_BOOT_DATABASE = "SecureBootDatabase" "v1_0_3";
    SECURE_BOOT_DATABASE_COLLECTION = "SecureBootDatabaseCollection";
    SENSOR = "Sensor" "v1_12_0";
    SENSOR_COLLECTION = "SensorCollection";
    SERIAL_INTERFACE = "SerialInterface" "v1_3_0";
    SERIAL_INTERFACE_COLLECTION = "SerialInterfaceCollection";
    SERVICE_ROOT = "ServiceRoot" "v1_20_0";
    SESSION = "Session" "v1_8_0";
    SESSION_COLLECTION = "SessionCollection";
    SESSION_SERVICE = "SessionService" "v1_2_0";
    SIGNATURE = "Signature" "v1_0_3";
    SIGNATURE_COLLECTION = "SignatureCollection";
    SIMPLE_STORAGE = "SimpleStorage" "v1_3_2";
    SIMPLE_STORAGE_COLLECTION = "SimpleStorageCollection";
    SOFTWARE_INVENTORY = "SoftwareInventory" "v1_13_0";
    SOFTWARE_INVENTORY_COLLECTION = "SoftwareInventoryCollection";
    STORAGE = "Storage" "v1_21_0";
    STORAGE_COLLECTION = "StorageCollection";
    STORAGE_CONTROLLER = "StorageController" "v1_11_0";
    STORAGE_CONTROLLER_COLLECTION = "StorageControllerCollection";
    TASK = "Task" "v1_7_4";
    TASK_COLLECTION = "TaskCollection";
    TASK_SERVICE = "TaskService" "v1_3_0";
    TELEMETRY_SERVICE = "TelemetryService" "v1_4_1";
    UPDATE_SERVICE = "UpdateService" "v1_17_0";
    THERMAL = "Thermal" "v1_7_3";
    THERMAL_METRICS = "ThermalMetrics" "v1_3_2";
    THERMAL_SUBSYSTEM = "ThermalSubsystem" "v1_5_0";
    VIRTUAL_MEDIA = "VirtualMedia" "v1_6_5";
    VIRTUAL_MEDIA_COLLECTION = "VirtualMediaCollection";
    VOLUME = "Volume" "v1_10_2";
    VOLUME_COLLECTION = "VolumeCollection";
}

impl Schema {
    /// The `@odata.type` of a resource of this schema.
    pub(crate) fn odata_type(&self) -> String {
        match self.version {
            Some(version) => format!("#{0}.{version}.{0}", self.name),
            None => format!("#{0}.{0}", self.name),
        }
    }

    /// The name of its JSON file, without `.json`: e.g. `ComputerSystem.v1_27_0`.
    pub(crate) fn file(&self) -> String {
        match self.version {
            Some(version) => format!("{}.{version}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Where DMTF publishes that file.
    pub(crate) fn json_uri(&self) -> String {
        format!("{}/{}.json", folder(self.name), self.file())
    }

    /// Where DMTF publishes the CSDL.
    pub(crate) fn csdl_uri(&self) -> String {
        format!("{}/{}_v1.xml", folder(self.name), self.name)
    }
}

/// Where a schema is published: those of volumes are SNIA's.
fn folder(name: &str) -> &'static str {
    match name {
        "Volume" | "VolumeCollection" => "http://redfish.dmtf.org/schemas/swordfish/v1",
        _ => "http://redfish.dmtf.org/schemas/v1",
    }
}

/// Where DMTF publishes the JSON schema of a resource with this `@odata.type`, for the `describedby` link (DSP0266, "Link header").
pub(crate) fn json_schema_uri(odata_type: &str) -> Option<String> {
    let full = odata_type.strip_prefix('#')?;
    let (schema, name) = full.rsplit_once('.')?;
    Some(format!("{}/{schema}.json", folder(name)))
}
