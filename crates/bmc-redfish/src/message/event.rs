//! The messages of the other registries that this service sends, registry by registry, each text as published.

use super::Registry;

/// What became of a resource.
pub(crate) const RESOURCE_EVENT: Registry =
    Registry { name: "ResourceEvent.1.4", file: "ResourceEvent.1.4.3" };

/// How tasks get on.
pub(crate) const TASK_EVENT: Registry = Registry { name: "TaskEvent.1.0", file: "TaskEvent.1.0.5" };

/// Readings and their thresholds.
pub(crate) const SENSOR_EVENT: Registry = Registry { name: "SensorEvent.1.1", file: "SensorEvent.1.1.0" };

/// Resets.
pub(crate) const PLATFORM: Registry = Registry { name: "Platform.1.3", file: "Platform.1.3.2" };

/// The supply of power.
pub(crate) const POWER: Registry = Registry { name: "Power.1.2", file: "Power.1.2.0" };

/// The BMC itself.
pub(crate) const MANAGER_EVENT: Registry = Registry { name: "ManagerEvent.1.0", file: "ManagerEvent.1.0.0" };

/// Logins.
pub(crate) const ACCOUNT_SECURITY: Registry =
    Registry { name: "AccountSecurity.1.0", file: "AccountSecurity.1.0.1" };

/// Updates of firmware.
pub(crate) const UPDATE: Registry = Registry { name: "Update.1.3", file: "Update.1.3.0" };

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod resource_event {
    use super::super::Entry;
    use super::RESOURCE_EVENT;

    entries! { RESOURCE_EVENT;
        PropertyValueModifiedByClient 2 "OK"
            "The property %1 was assigned the value '%2' due to modification by a client."
            "No resolution is required.";
        ResourceChanged 0 "OK"
            "One or more resource properties have changed."
            "None.";
        ResourceCreated 0 "OK"
            "The resource was created successfully."
            "None.";
        ResourceErrorsDetected 2 "Warning"
            "The resource property %1 has detected errors of type '%2'."
            "Resolution is dependent upon error type.";
        ResourcePaused 1 "OK"
            "The resource '%1' was paused."
            "None.";
        ResourcePoweredOff 1 "OK"
            "The resource '%1' has powered off."
            "None.";
        ResourcePoweredOn 1 "OK"
            "The resource '%1' has powered on."
            "None.";
        ResourcePoweringOff 1 "OK"
            "The resource '%1' is powering off."
            "None.";
        ResourceRemoved 0 "OK"
            "The resource was removed successfully."
            "None.";
        ResourceStateChanged 2 "OK"
            "The state of resource '%1' has changed to %2."
            "None.";
        ResourceStatusChangedCritical 2 "Critical"
            "The health of resource '%1' has changed to %2."
            "None.";
        ResourceStatusChangedOK 2 "OK"
            "The health of resource '%1' has changed to %2."
            "None.";
        TestMessage 0 "OK"
            "Test message."
            "None.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod task_event {
    use super::super::Entry;
    use super::TASK_EVENT;

    entries! { TASK_EVENT;
        TaskAborted 1 "Critical"
            "The task with Id '%1' has completed with errors."
            "None.";
        TaskCancelled 1 "Warning"
            "Work on the task with Id '%1' was halted prior to completion due to an explicit request."
            "None.";
        TaskCompletedOK 1 "OK"
            "The task with Id '%1' has completed."
            "None.";
        TaskRemoved 1 "Warning"
            "The task with Id '%1' was removed."
            "None.";
        TaskStarted 1 "OK"
            "The task with Id '%1' has started."
            "None.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod sensor_event {
    use super::super::Entry;
    use super::SENSOR_EVENT;

    entries! { SENSOR_EVENT;
        ReadingAboveLowerCriticalThreshold 4 "Warning"
            "Sensor '%1' reading of %2 (%3) is now above the %4 lower critical threshold but remains outside of normal range."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingAboveLowerFatalThreshold 4 "Critical"
            "Sensor '%1' reading of %2 (%3) is now above the %4 lower fatal threshold but remains outside of normal range."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingAboveUpperCautionThreshold 4 "Warning"
            "Sensor '%1' reading of %2 (%3) is above the %4 upper caution threshold."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingAboveUpperCriticalThreshold 4 "Critical"
            "Sensor '%1' reading of %2 (%3) is above the %4 upper critical threshold."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingAboveUpperFatalThreshold 4 "Critical"
            "Sensor '%1' reading of %2 (%3) is above the %4 upper fatal threshold."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingBelowLowerCautionThreshold 4 "Warning"
            "Sensor '%1' reading of %2 (%3) is below the %4 lower caution threshold."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingBelowLowerCriticalThreshold 4 "Critical"
            "Sensor '%1' reading of %2 (%3) is below the %4 lower critical threshold."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingBelowLowerFatalThreshold 4 "Critical"
            "Sensor '%1' reading of %2 (%3) is below the %4 lower fatal threshold."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingBelowUpperCriticalThreshold 4 "Warning"
            "Sensor '%1' reading of %2 (%3) is now below the %4 upper critical threshold but remains outside of normal range."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingBelowUpperFatalThreshold 4 "Critical"
            "Sensor '%1' reading of %2 (%3) is now below the %4 upper fatal threshold but remains outside of normal range."
            "Check the condition of the resources listed in RelatedItem.";
        ReadingCritical 3 "Critical"
            "Sensor '%1' reading of %2 (%3) exceeds the critical level."
            "Check the condition of the resources listed in RelatedItem.";
        SensorDisconnected 1 "Warning"
            "Sensor '%1' was disconnected."
            "Check the sensor connection or re-connect the sensor.";
        SensorReadingNormalRange 3 "OK"
            "Sensor '%1' reading of %2 (%3) is within normal operating range."
            "None.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod platform {
    use super::super::Entry;
    use super::PLATFORM;

    entries! { PLATFORM;
        PlatformReset 1 "OK"
            "A platform performed a '%1' type of reset."
            "None.";
        PlatformResetWatchdogTimer 1 "Warning"
            "A platform performed a '%1' type of reset due to watchdog timer action."
            "Check additional diagnostic data if available.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod power {
    use super::super::Entry;
    use super::POWER;

    entries! { POWER;
        LineInputPowerFault 1 "Warning"
            "Line input power fault at '%1'."
            "Check the electrical power input and connections.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod manager_event {
    use super::super::Entry;
    use super::MANAGER_EVENT;

    entries! { MANAGER_EVENT;
        ManagerReset 2 "OK"
            "Manager `%1` performed a '%2' type of reset."
            "None.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod account_security {
    use super::super::Entry;
    use super::ACCOUNT_SECURITY;

    entries! { ACCOUNT_SECURITY;
        AccountCreated 1 "OK"
            "Account '%1' was created."
            "None.";
        AccountDisabled 1 "Warning"
            "Account '%1' was disabled."
            "None.";
        AccountEnabled 1 "OK"
            "Account '%1' was enabled."
            "None.";
        AccountLocked 1 "Critical"
            "Account '%1' was locked due to excessive failed authorization attempts."
            "None.";
        AccountRemoved 1 "OK"
            "Account '%1' was removed."
            "None.";
        InvalidCredentials 2 "Critical"
            "'%1' provided invalid credentials over '%2'."
            "None.";
        ManagerAccountRoleChanged 3 "OK"
            "Account '%1' has changed from role '%2' to '%3'."
            "None.";
        PasswordModified 1 "OK"
            "The password for account '%1' was changed."
            "None.";
        SuccessfulLogin 3 "OK"
            "Successful login of user '%1' from '%2' over '%3'."
            "None.";
    }
}

#[allow(non_upper_case_globals, reason = "the names are the registry's own")]
pub(crate) mod update {
    use super::super::Entry;
    use super::UPDATE;

    entries! { UPDATE;
        ApplyingOnComponent 2 "OK"
            "Image '%1' is being applied on '%2'."
            "None.";
        TargetDetermined 2 "OK"
            "The target device '%1' will be updated with image '%2'."
            "None.";
        TransferFailed 2 "Critical"
            "Transfer of image '%1' to '%2' failed."
            "None.";
        TransferringToComponent 2 "OK"
            "Image '%1' is being transferred to '%2'."
            "None.";
        UpdateNotApplicable 2 "Warning"
            "Image '%1' was not applicable to device '%2'."
            "None.";
        UpdateSuccessful 2 "OK"
            "Device '%1' successfully updated with image '%2'."
            "None.";
        VerificationFailed 2 "Critical"
            "Verification of image '%1' at '%2' failed."
            "None.";
    }
}

/// Every message of these registries that is sent.
pub(crate) fn all() -> impl Iterator<Item = &'static super::Entry> {
    [
        resource_event::ALL,
        task_event::ALL,
        sensor_event::ALL,
        platform::ALL,
        power::ALL,
        manager_event::ALL,
        account_security::ALL,
        update::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every registry that events come from.
pub(crate) const REGISTRIES: &[Registry] =
    &[RESOURCE_EVENT, TASK_EVENT, SENSOR_EVENT, PLATFORM, POWER, MANAGER_EVENT, ACCOUNT_SECURITY, UPDATE];
