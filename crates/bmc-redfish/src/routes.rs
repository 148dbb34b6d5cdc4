//! What is served: the one table behind the router, the `Allow` header, the privileges and the coverage document.

use http::{HeaderValue, Method};

use crate::privilege::Privilege;

/// Everything a client can do, one by one. [`crate::resource::carry_out`] knows how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    GetVersions,
    GetRoot,
    GetOdata,
    GetMetadata,
    GetSystems,
    GetSystem,
    PatchSystem,
    GetResetActionInfo,
    ResetSystem,
    GetLogServices,
    GetLogService,
    ClearLog,
    GetLogEntries,
    GetLogEntry,
    GetManagers,
    GetManager,
    GetChassisCollection,
    GetChassis,
    PatchChassis,
    GetSensors,
    GetSensor,
    GetSessionService,
    PatchSessionService,
    GetSessions,
    PostSession,
    GetSession,
    DeleteSession,
    GetRegistries,
    GetRegistry,
}

/// Who may carry out an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody: what a client needs in order to log in (DSP0266, "Authentication").
    Public,
    /// Who has this privilege.
    Needs(Privilege),
    /// Who has this privilege, or whose own it is; the resource decides.
    OwnOr(Privilege),
}

/// One method of a route.
#[derive(Debug)]
pub(crate) struct Verb {
    pub(crate) method: Method,
    pub(crate) operation: Operation,
    pub(crate) access: Access,
    /// What it does, for the coverage document.
    pub(crate) what: &'static str,
    /// Members of the request body that no journal may show.
    pub(crate) secrets: &'static [&'static str],
}

/// One URI.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) verbs: &'static [Verb],
}

impl Route {
    /// The verb for a method. HEAD is GET without the body.
    pub(crate) fn verb(&self, method: &Method) -> Option<&'static Verb> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.verbs.iter().find(|verb| verb.method == *method)
    }

    /// The methods allowed, as the `Allow` header lists them.
    pub(crate) fn allow(&self) -> HeaderValue {
        let mut methods: Vec<&str> = Vec::new();
        for verb in self.verbs {
            methods.push(verb.method.as_str());
            if verb.method == Method::GET {
                methods.push("HEAD");
            }
        }
        HeaderValue::from_str(&methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("GET"))
    }
}

const fn verb(method: Method, operation: Operation, access: Access, what: &'static str) -> Verb {
    Verb { method, operation, access, what, secrets: &[] }
}

const fn get(operation: Operation, what: &'static str) -> Verb {
    verb(Method::GET, operation, Access::Needs(Privilege::Login), what)
}

const fn open(operation: Operation, what: &'static str) -> Verb {
    verb(Method::GET, operation, Access::Public, what)
}

const COMPONENTS: Access = Access::Needs(Privilege::ConfigureComponents);
const LOG_IN: Verb = Verb {
    method: Method::POST,
    operation: Operation::PostSession,
    access: Access::Public,
    what: "opens a session: 201, `X-Auth-Token`, `Location`",
    secrets: &["Password"],
};

/// The table.
pub(crate) static ROUTES: &[Route] = &[
    Route { path: "/redfish", verbs: &[open(Operation::GetVersions, "the protocol's versions")] },
    Route { path: "/redfish/v1", verbs: &[open(Operation::GetRoot, "ServiceRoot")] },
    Route { path: "/redfish/v1/odata", verbs: &[open(Operation::GetOdata, "OData service document")] },
    Route {
        path: "/redfish/v1/$metadata",
        verbs: &[open(Operation::GetMetadata, "OData metadata (XML), naming DMTF's published schemas")],
    },
    Route { path: "/redfish/v1/Systems", verbs: &[get(Operation::GetSystems, "ComputerSystemCollection")] },
    Route {
        path: "/redfish/v1/Systems/{id}",
        verbs: &[
            get(Operation::GetSystem, "ComputerSystem"),
            verb(
                Method::PATCH,
                Operation::PatchSystem,
                COMPONENTS,
                "`Boot` (`BootSourceOverrideTarget`, `-Enabled`, `-Mode`, `HttpBootUri`), `AssetTag`, `PowerRestorePolicy`, \
                 `LocationIndicatorActive`, `IndicatorLED`, `HostWatchdogTimer`",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/ResetActionInfo",
        verbs: &[get(Operation::GetResetActionInfo, "ActionInfo of the reset action")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/Actions/ComputerSystem.Reset",
        verbs: &[verb(Method::POST, Operation::ResetSystem, COMPONENTS, "power: `ResetType`")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices",
        verbs: &[get(Operation::GetLogServices, "LogServiceCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL",
        verbs: &[get(Operation::GetLogService, "LogService: IPMI's system event log")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL/Actions/LogService.ClearLog",
        verbs: &[verb(
            Method::POST,
            Operation::ClearLog,
            Access::Needs(Privilege::ConfigureManager),
            "clears the log; `LogEntriesETag` makes it conditional",
        )],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL/Entries",
        verbs: &[get(Operation::GetLogEntries, "LogEntryCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/LogServices/SEL/Entries/{member}",
        verbs: &[get(Operation::GetLogEntry, "LogEntry: a record of the log")],
    },
    Route { path: "/redfish/v1/Managers", verbs: &[get(Operation::GetManagers, "ManagerCollection")] },
    Route { path: "/redfish/v1/Managers/{id}", verbs: &[get(Operation::GetManager, "Manager")] },
    Route {
        path: "/redfish/v1/Chassis",
        verbs: &[get(Operation::GetChassisCollection, "ChassisCollection")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}",
        verbs: &[
            get(Operation::GetChassis, "Chassis"),
            verb(
                Method::PATCH,
                Operation::PatchChassis,
                COMPONENTS,
                "`AssetTag`, `LocationIndicatorActive`, `IndicatorLED`: the System's own",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/Sensors",
        verbs: &[get(Operation::GetSensors, "SensorCollection: the analogue sensors")],
    },
    Route {
        path: "/redfish/v1/Chassis/{id}/Sensors/{member}",
        verbs: &[get(Operation::GetSensor, "Sensor, with the value that IPMI's sensor of that name shows")],
    },
    Route {
        path: "/redfish/v1/SessionService",
        verbs: &[
            get(Operation::GetSessionService, "SessionService"),
            verb(
                Method::PATCH,
                Operation::PatchSessionService,
                Access::Needs(Privilege::ConfigureManager),
                "`SessionTimeout`, 30 to 86400 s",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/SessionService/Sessions",
        verbs: &[get(Operation::GetSessions, "SessionCollection"), LOG_IN],
    },
    Route { path: "/redfish/v1/SessionService/Sessions/Members", verbs: &[LOG_IN] },
    Route {
        path: "/redfish/v1/SessionService/Sessions/{id}",
        verbs: &[
            get(Operation::GetSession, "Session"),
            verb(
                Method::DELETE,
                Operation::DeleteSession,
                Access::OwnOr(Privilege::ConfigureManager),
                "closes a session: one's own, or any for an administrator",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Registries",
        verbs: &[get(Operation::GetRegistries, "MessageRegistryFileCollection")],
    },
    Route {
        path: "/redfish/v1/Registries/{id}",
        verbs: &[get(
            Operation::GetRegistry,
            "MessageRegistryFile of `Base`, pointing to DMTF's published file",
        )],
    },
];
