//! The messages of DMTF's registries that this service sends; here those of the Base registry. A test holds every text, severity, count of arguments and resolution to
//! the published registry.

use serde_json::{Map, Value, json};

use crate::schema;

/// The registry all refusals come from, as `MessageId` names it: prefix, major and minor version (DSP0266, "Message registry").
pub(crate) const REGISTRY: &str = "Base.1.22";
/// The registry's file version, as `Registries` and its published file name it.
pub(crate) const REGISTRY_FILE: &str = "Base.1.22.1";

/// A registry of messages that DMTF publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    /// As `MessageId` names it: prefix, major and minor version.
    pub(crate) name: &'static str,
    /// As its published file is named.
    pub(crate) file: &'static str,
}

impl Registry {
    /// Its name without the version.
    pub(crate) fn prefix(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }
}

/// What goes wrong with a request, and what goes well.
pub(crate) const BASE: Registry = Registry { name: REGISTRY, file: REGISTRY_FILE };

/// One message of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whose message it is.
    pub(crate) registry: Registry,
    /// Its key in the registry.
    pub(crate) key: &'static str,
    /// Its text with `%1`, `%2`, ... for the arguments.
    pub(crate) text: &'static str,
    /// How bad it is: `OK`, `Warning` or `Critical`.
    pub(crate) severity: &'static str,
    /// How many arguments the text takes.
    pub(crate) args: usize,
    /// What to do about it.
    pub(crate) resolution: &'static str,
}

impl Entry {
    /// What kinds of arguments the text takes, as registries call them. A test holds them to the published registries.
    pub(crate) fn param_types(&self) -> impl Iterator<Item = &'static str> {
        let (registry, key) = (self.registry.prefix(), self.key);
        (0..self.args).map(move |at| match (registry, key, at) {
            ("Base", "ArraySizeTooShort" | "StringValueTooLong", 1) | ("SensorEvent", _, 1 | 3) => "number",
            _ => "string",
        })
    }
}

macro_rules! entries {
    ($registry:expr; $($name:ident $args:literal $severity:literal $text:literal $resolution:literal;)*) => {
        $(pub(crate) const $name: &Entry = &Entry {
            registry: $registry, key: stringify!($name), text: $text, severity: $severity, args: $args,
            resolution: $resolution,
        };)*

        /// Every message sent: what is served of the registry, and what the tests hold to the published one.
        pub(crate) const ALL: &[&Entry] = &[$($name),*];
    };
}

pub(crate) mod event;

#[allow(
    non_upper_case_globals,
    reason = "the names are the registry's own, so that a reader finds them there"
)]
mod entries {
    use super::{BASE, Entry};

    entries! { BASE;
        AccessDenied 1 "Critical"
            "While attempting to establish a connection to '%1', the service denied access."
            "Attempt to ensure that the URI is correct and that the service has the appropriate credentials.";
        AccountNotModified 0 "Warning"
            "The account modification request failed."
            "The modification may have failed due to permission issues or issues with the request body.";
        AccessUnauthorized 0 "Critical"
            "Unauthorized."
            "Resubmit the request with valid credentials.";
        ActionNotSupported 1 "Critical"
            "The action %1 is not supported by the resource."
            "Check the Actions property in the resource for the supported actions.";
        ActionParameterMissing 2 "Critical"
            "The action %1 requires the parameter %2 to be present in the request body."
            "Supply the action with the required parameter in the request body when the request is resubmitted.";
        ActionParameterNotSupported 2 "Warning"
            "The parameter %1 for the action %2 is not supported on the target resource."
            "Remove the parameter supplied and resubmit the request if the operation failed.";
        ActionParameterUnknown 2 "Warning"
            "The action %1 was submitted with the invalid parameter %2."
            "Correct the invalid action parameter and resubmit the request if the operation failed.";
        ActionParameterValueConflict 2 "Warning"
            "The parameter '%1' with the requested value of '%2' does not meet the constraints of the implementation."
            "None.";
        ActionParameterValueError 2 "Warning"
            "The value for the parameter %1 in the action %2 is invalid."
            "Correct the value for the parameter in the request body and resubmit the request if the operation failed.";
        ActionParameterValueFormatError 3 "Warning"
            "The value '%1' for the parameter %2 in the action %3 is not a format that the parameter can accept."
            "Correct the value for the parameter in the request body and resubmit the request if the operation failed.";
        ActionParameterValueNotInList 3 "Warning"
            "The value '%1' for the parameter %2 in the action %3 is not in the list of acceptable values."
            "Choose a value from the enumeration list that the implementation can support and resubmit the request if the operation failed.";
        ActionParameterValueTypeError 3 "Warning"
            "The value '%1' for the parameter %2 in the action %3 is not a type that the parameter can accept."
            "Correct the value for the parameter in the request body and resubmit the request if the operation failed.";
        ArraySizeTooShort 2 "Warning"
            "The array provided for property %1 is under the minimum size limit %2."
            "Resubmit the request with an appropriate array size.";
        ChassisPowerStateOffRequired 1 "Warning"
            "The chassis with Id '%1' is required to be powered off to perform this request."
            "Power off the specified chassis and resubmit the request.";
        ChassisPowerStateOnRequired 1 "Warning"
            "The chassis with Id '%1' is required to be powered on to perform this request."
            "Power on the specified chassis and resubmit the request.";
        CouldNotEstablishConnection 1 "Critical"
            "The service failed to establish a connection with the URI '%1'."
            "Ensure that the URI contains a valid and reachable node name, protocol information, and other URI components.";
        CreateFailedMissingReqProperties 1 "Critical"
            "The create operation failed because the required property %1 was missing from the request."
            "Correct the body to include the required property with a valid value and resubmit the request if the operation failed.";
        CreateLimitReachedForResource 0 "Critical"
            "The create operation failed because the resource has reached the limit of possible resources."
            "Either delete resources and resubmit the request if the operation failed or do not resubmit the request.";
        EmptyJSON 0 "Warning"
            "The request body submitted contained an empty JSON object and the service is unable to process it."
            "Add properties in the JSON object and resubmit the request.";
        GeneralError 0 "Critical"
            "A general error has occurred.  See Resolution for information on how to resolve the error, or @Message.ExtendedInfo if Resolution is not provided."
            "None.";
        HeaderInvalid 1 "Critical"
            "Header '%1' is invalid."
            "Resubmit the request with a valid request header.";
        HeaderMissing 1 "Critical"
            "Required header '%1' is missing in the request."
            "Resubmit the request with the required request header.";
        InsufficientPrivilege 0 "Critical"
            "There are insufficient privileges for the account or credentials associated with the current session to perform the requested operation."
            "Either abandon the operation or change the associated access rights and resubmit the request if the operation failed.";
        InsufficientStorage 0 "Critical"
            "Insufficient storage or memory available to complete the request."
            "Increase the free storage space available to the service and resubmit the request.";
        InternalError 0 "Critical"
            "The request failed due to an internal service error.  The service is still operational."
            "Resubmit the request.  If the problem persists, consider resetting the service.";
        InvalidURI 1 "Critical"
            "The URI %1 was not found."
            "Provide a valid URI and resubmit the request.";
        MalformedJSON 0 "Critical"
            "The request body submitted was malformed JSON and could not be parsed by the receiving service."
            "Ensure that the request body is valid JSON and resubmit the request.";
        NoOperation 0 "Warning"
            "The request body submitted contain no data to act upon and no changes to the resource took place."
            "Add properties in the JSON object and resubmit the request.";
        NoValidSession 0 "Critical"
            "There is no valid session established with the implementation."
            "Establish a session before attempting any operations.";
        OperationNotAllowed 0 "Critical"
            "The HTTP method is not allowed on this resource."
            "None.";
        OperationTimeout 0 "Warning"
            "A timeout internal to the service occurred as part of the request.  Partial results may have been returned."
            "Resubmit the request.  If the problem persists, consider resetting the service or provider.";
        PasswordChangeRequired 1 "Critical"
            "The password provided for this account must be changed before access is granted.  PATCH the Password property for this account located at the target URI '%1' to complete this process."
            "Change the password for this account using a PATCH to the Password property at the URI provided.";
        PasswordIncorrectLength 0 "Critical"
            "The password provided for this account does not meet the password length requirements of the service."
            "Resubmit the request with a password that meets the password length requirements as specified by the `MinPasswordLength` and `MaxPasswordLength` properties in the `AccountService` resource.";
        PayloadTooLarge 0 "Critical"
            "The supplied payload exceeds the maximum size supported by the service."
            "Check that the supplied payload is correct and supported by this service.";
        PreconditionFailed 0 "Critical"
            "The ETag supplied did not match the ETag required to change this resource."
            "Try the operation again using the appropriate ETag.";
        PreconditionRequired 0 "Critical"
            "A precondition header or annotation is required to change this resource."
            "Try the operation again using an If-Match or If-None-Match header and appropriate ETag.";
        PropertyDuplicate 1 "Warning"
            "The property %1 was duplicated in the request."
            "Remove the duplicate property from the request body and resubmit the request if the operation failed.";
        PropertyMissing 1 "Warning"
            "The property %1 is a required property and must be included in the request."
            "Ensure that the property is in the request body and has a valid value and resubmit the request if the operation failed.";
        PropertyNotUpdated 1 "Critical"
            "The property %1 was not updated due to an internal service error.  The service is still operational."
            "Resubmit the request.  If the problem persists, check for additional messages and consider resetting the service.";
        PropertyNotWritable 1 "Warning"
            "The property %1 is a read-only property and cannot be assigned a value."
            "Remove the property from the request body and resubmit the request if the operation failed.";
        PropertyUnknown 1 "Warning"
            "The property %1 is not in the list of valid properties for the resource."
            "Remove the unknown property from the request body and resubmit the request if the operation failed.";
        PropertyValueConflict 2 "Warning"
            "The property '%1' could not be written because its value would conflict with the value of the '%2' property."
            "None.";
        PropertyValueError 1 "Warning"
            "The value provided for the property %1 is not valid."
            "Correct the value for the property in the request body and resubmit the request if the operation failed.";
        PropertyValueFormatError 2 "Warning"
            "The value '%1' for the property %2 is not a format that the property can accept."
            "Correct the value for the property in the request body and resubmit the request if the operation failed.";
        PropertyValueNotInList 2 "Warning"
            "The value '%1' for the property %2 is not in the list of acceptable values."
            "Choose a value from the enumeration list that the implementation can support and resubmit the request if the operation failed.";
        PropertyValueOutOfRange 2 "Warning"
            "The value '%1' for the property %2 is not in the supported range of acceptable values."
            "Correct the value for the property in the request body and resubmit the request if the operation failed.";
        PropertyValueResourceConflict 3 "Warning"
            "The property '%1' with the requested value of '%2' could not be written because the value conflicts with the state or configuration of the resource at '%3'."
            "None.";
        PropertyValueTypeError 2 "Warning"
            "The value '%1' for the property %2 is not a type that the property can accept."
            "Correct the value for the property in the request body and resubmit the request if the operation failed.";
        QueryCombinationInvalid 0 "Warning"
            "Two or more query parameters in the request cannot be used together."
            "Remove one or more of the query parameters and resubmit the request if the operation failed.";
        QueryNotSupportedOnOperation 0 "Warning"
            "Querying is not supported with the requested operation."
            "Remove the query parameters and resubmit the request if the operation failed.";
        QueryNotSupportedOnResource 0 "Warning"
            "Querying is not supported on the requested resource."
            "Remove the query parameters and resubmit the request if the operation failed.";
        QueryParameterOutOfRange 3 "Warning"
            "The value '%1' for the query parameter %2 is out of range %3."
            "Reduce the value for the query parameter to a value that is within range, such as a start or count value that is within bounds of the number of resources in a collection or a page number that is within the range of valid pages.";
        QueryParameterUnsupported 1 "Warning"
            "Query parameter '%1' is not supported."
            "Correct or remove the query parameter and resubmit the request.";
        QueryParameterValueFormatError 2 "Warning"
            "The value '%1' for the parameter %2 is not a format that the parameter can accept."
            "Correct the value for the query parameter in the request and resubmit the request if the operation failed.";
        QueryParameterValueTypeError 2 "Warning"
            "The value '%1' for the query parameter %2 is not a type that the parameter can accept."
            "Correct the value for the query parameter in the request and resubmit the request if the operation failed.";
        ResourceAlreadyExists 3 "Critical"
            "The requested resource of type %1 with the property %2 with the value '%3' already exists."
            "Do not repeat the create operation as the resource was already created.";
        ResourceAtUriUnauthorized 2 "Critical"
            "While accessing the resource at '%1', the service received an authorization error '%2'."
            "Ensure that the appropriate access is provided for the service in order for it to access the URI.";
        ResourceCannotBeDeleted 0 "Critical"
            "The delete request failed because the resource requested cannot be deleted."
            "Do not attempt to delete a non-deletable resource.";
        ResourceInUse 0 "Warning"
            "The change to the requested resource failed because the resource is in use or in transition."
            "Remove the condition and resubmit the request if the operation failed.";
        ResourceMissingAtURI 1 "Critical"
            "The resource at the URI '%1' was not found."
            "Place a valid resource at the URI or correct the URI and resubmit the request.";
        ResourceNotFound 2 "Critical"
            "The requested resource of type %1 named '%2' was not found."
            "Provide a valid resource identifier and resubmit the request.";
        ServiceTemporarilyUnavailable 1 "Critical"
            "The service is temporarily unavailable.  Retry in %1 seconds."
            "Wait for the indicated retry duration and retry the operation.";
        SessionLimitExceeded 0 "Critical"
            "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation."
            "Reduce the number of other sessions before trying to establish the session or increase the limit of simultaneous sessions, if supported.";
        SourceDoesNotSupportProtocol 2 "Critical"
            "The other end of the connection at '%1' does not support the specified protocol %2."
            "Change protocols or URIs.";
        StringValueTooLong 2 "Warning"
            "The string '%1' exceeds the length limit %2."
            "Resubmit the request with an appropriate string length.";
        Success 0 "OK"
            "The request completed successfully."
            "None.";
        UnrecognizedRequestBody 0 "Warning"
            "The service detected a malformed request body that it was unable to interpret."
            "Correct the request body and resubmit the request if it failed.";
    }
}

pub(crate) use entries::*;

/// A message with its arguments, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) entry: &'static Entry,
    pub(crate) args: Vec<String>,
    /// JSON pointer of the property it is about, without the leading `#`.
    pub(crate) property: Option<String>,
    /// What to do, where that is known better than the registry can.
    pub(crate) resolution: Option<String>,
}

/// As many values as a message does not list any more.
const CHOICES_MAX: usize = 33;
/// Longest argument shown in characters: a hostile value is not echoed in full.
const ARGUMENT_MAX_CHARS: usize = 256;

impl Message {
    pub(crate) fn new<const N: usize>(entry: &'static Entry, args: [&str; N]) -> Self {
        debug_assert_eq!(entry.args, N, "{} takes {} arguments", entry.key, entry.args);
        let args = args.iter().map(|arg| arg.chars().take(ARGUMENT_MAX_CHARS).collect()).collect();
        Self { entry, args, property: None, resolution: None }
    }

    /// Names the property it is about.
    pub(crate) fn about(mut self, pointer: &str) -> Self {
        self.property = Some(pointer.chars().take(ARGUMENT_MAX_CHARS).collect());
        self
    }

    /// Says better than the registry what to do.
    pub(crate) fn resolution(mut self, resolution: impl Into<String>) -> Self {
        self.resolution = Some(resolution.into());
        self
    }

    /// Says which values there are, unless they are too many to read.
    pub(crate) fn choices<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut choices: Vec<&str> = Vec::new();
        for name in names {
            if !choices.contains(&name) {
                choices.push(name);
            }
        }
        match choices.len() {
            0 | CHOICES_MAX.. => self,
            1 => self.resolution(format!("The only value is: {}.", choices.concat())),
            _ => self.resolution(format!("Choose one of: {}.", choices.join(", "))),
        }
    }

    /// What to do about it: known better than the registry can, the registry's own, or what can be said where the registry says nothing.
    fn what_to_do(&self) -> &str {
        let general = match self.entry.key {
            "ActionParameterValueConflict" => {
                "Resubmit the request with a value that the resource can have, or without the parameter."
            }
            "OperationNotAllowed" => "Use one of the methods that the Allow header lists.",
            "PropertyValueConflict" => {
                "Resubmit the request with values that go together, or without one of the two properties."
            }
            "PropertyValueResourceConflict" => {
                "Change the resource that is named first, or choose another value."
            }
            _ => self.entry.resolution,
        };
        self.resolution.as_deref().unwrap_or(general)
    }

    /// As `MessageId` has it: `Base.1.22.Key`.
    pub(crate) fn id(&self) -> String {
        format!("{}.{}", self.entry.registry.name, self.entry.key)
    }

    /// The text with its arguments filled in.
    pub(crate) fn text(&self) -> String {
        // Piece by piece, so that an argument that contains `%2` is not filled in itself.
        let mut filled = String::new();
        let mut rest = self.entry.text;
        while let Some(at) = rest.find('%') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let number = rest.chars().next().and_then(|digit| digit.to_digit(10));
            match number.and_then(|number| self.args.get((number as usize).wrapping_sub(1))) {
                Some(arg) => {
                    filled.push_str(arg);
                    rest = &rest[1..];
                }
                None => filled.push('%'),
            }
        }
        filled.push_str(rest);
        filled
    }

    /// As a `Message` object of the Redfish schema.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("@odata.type".to_owned(), schema::MESSAGE.odata_type().into());
        object.insert("MessageId".to_owned(), self.id().into());
        object.insert("Message".to_owned(), self.text().into());
        object.insert("MessageArgs".to_owned(), json!(self.args));
        // `Severity` is deprecated in favour of `MessageSeverity`; clients of either age find theirs.
        object.insert("Severity".to_owned(), self.entry.severity.into());
        object.insert("MessageSeverity".to_owned(), self.entry.severity.into());
        object.insert("Resolution".to_owned(), self.what_to_do().into());
        if let Some(property) = &self.property {
            object.insert("RelatedProperties".to_owned(), json!([format!("#{property}")]));
        }
        Value::Object(object)
    }
}
