//! The coverage document, generated from the tables the service runs on, so that it cannot say what is not so.

use std::fmt::Write as _;

use crate::boot;
use crate::error::{About, Asked, request_problem};
use crate::message::{Message, REGISTRY_FILE};
use crate::privilege::Privilege;
use crate::routes::{self, Access};
use crate::schema;
use bmc_core::boot::BootTarget;
use bmc_core::error::{BackendError, BackendErrorKind, RequestError};
use bmc_core::media::{MediaError, MediaErrorKind};
use bmc_core::power::{PowerAction, PowerState};
use std::time::Duration;

/// `docs/protocols/redfish.md` as it must be.
pub fn document() -> String {
    let mut text = String::from(
        "# Redfish: what is served\n\n\
         Generated from the route table and the error table of `bmc-redfish`; a test fails when it is out of date.\n\
         `POLYBMC_UPDATE_DOCS=1 cargo test -p bmc-redfish document` writes it anew.\n\n\
         The same resources are served below each BMC's own root, with exactly one System, Manager and Chassis, and below the\n\
         aggregate root, with all of them. `{id}` of a System, Manager or Chassis is the machine's UUID; the BMC's name and the\n\
         machine's name in its backend work in every URL too. A trailing slash is accepted everywhere; HEAD works where GET does.\n\n\
         ## Operations\n\n| URI | method | needs | what |\n|---|---|---|---|\n",
    );
    for route in routes::all() {
        for verb in route.verbs {
            let needs = access_name(verb.access);
            line(&mut text, &[&format!("`{}`", route.path), verb.kind.as_str(), &needs, verb.what]);
        }
    }
    text.push_str(
        "\nPrivileges: `User` of IPMI is Redfish's ReadOnly (Login, ConfigureSelf), `Operator` has ConfigureComponents too,\n\
         `Administrator` has all. IPMI's `Callback` cannot log in. The mapping is DMTF's Redfish_1.7 privilege registry.\n\n\
         ## Manners\n\n\
         * A reset and a PATCH are answered with 204, a PATCH with the new `ETag`; an action the machine accepted and has not finished\n\
         \x20 after 700 ms too: the power state shows the transition, and a failure shows as `Status.Health`.\n\
         * `PowerState` is `On` until the machine is off; a start shows as `PoweringOn`. `Status.State` tells the finer states.\n\
         * A PATCH is all or nothing and names every fault. A boot target alone, while no override is in force, means `Once`;\n\
         \x20 `Disabled` or the target `None` clears the override. `BootSourceOverrideMode` is the machine's firmware mode.\n\
         * ETags are strong and a digest of the content. `If-Match` and `If-None-Match` are kept on PATCH, weak tags included, and ignored on\n\
         \x20 actions. Where `require_if_match` is configured, a PATCH without `If-Match` is refused with 428.\n\
         * `$expand` (`*`, `.`, `~`, up to six levels), `$select`, `$filter` (`eq ne gt ge lt le`, `and or not`, parentheses), `$top`, `$skip` and\n\
         \x20 `only` work wherever they have a meaning. Pages are made only for who asks for them. A filter sees what a member shows; what it does not\n\
         \x20 show is null. `$expand` shows a caller no more than that caller may read, and one request reads at most 10,000 resources (507).\n\
         \x20 Other options that begin with `$` are refused with 501, others yet are ignored; on other methods than GET, options are refused.\n\
         * The tag in the body is the resource's own, whatever the query; the header of an expanded or filtered answer has one for all it shows.\n\
         * `Accept` is kept (406). Answers of 1,400 bytes and more are compressed for `Accept-Encoding: gzip`; their tag in the header ends with\n\
         \x20 `-gzip`, and every condition takes it for the plain one.\n\
         * What may take long is waited for up to 2 s; then the answer is 202 with a Task, and `Location` names its monitor. A Task\n\
         \x20 that runs is shown with 202 too, for sushy waits at the Task. There is no `Retry-After`. Tasks live in memory.\n\
         * Events are delivered one by one, in the order of their ids, which grow over restarts. A subscriber that is slow reads on from\n\
         \x20 where it is in a ring of 10,000 events; what the ring no longer has, and what happens while a subscription is suspended or the\n\
         \x20 service is not there, is lost to it. `VerifyCertificate` is false unless asked for, as the schema has it, and means what the\n\
         \x20 system trusts. A stream of server-sent events shows that it is alive every 15 s and ends with the right to\n\
         \x20 read it (account, password, session, reset of the BMC). Its `$filter` takes `and or not`, parentheses, and `eq` and `ne` of\n\
         \x20 what `SSEFilterPropertiesSupported` names; what an event has not is null. Without one all events come, and no metric reports.\n\
         * Metric reports are made each minute for each subscriber (`EventFormatType` `MetricReport`, a minute after it came first), and as they are\n\
         \x20 now for who reads one; those that nobody took are not made up for, and have no id in a stream.\n\
         * A firmware image says what it is by being a manifest, `{\"Component\": \"BIOS\", \"Version\": \"2.4.1\"}`, a UEFI firmware volume or capsule (BIOS), or\n\
         \x20 by its file name, `bmc-2.4.1.bin`. Without a version it has that of the installed firmware with a digest of its content behind it. What\n\
         \x20 says nothing is refused (`VerificationFailed`), and so is what is for another component than its target (`UpdateNotApplicable`): a System\n\
         \x20 is its BIOS, a Manager its BMC. Among several machines one has to be named. Images come by http, https, and `file:` from the folders\n\
         \x20 that [media] allows. An update applies at once.\n\
         * Who gives wrong credentials is told `AccessUnauthorized`; who gives none, or the token of no session, `NoValidSession`.\n\
         * DMTF's registries are named by their published files; what is served of each (`Uri`) are the messages that this service sends, for clients\n\
         \x20 that cannot get at those.\n\
         * OpenAPI: no `openapi.yaml` is served; DSP0266 leaves it to the service, and `$metadata` and the JSON schemas describe the same.\n\
         * `BootProgress` is what the backend knows: of a simulated machine every stage (of its self-test only the beginning), of a libvirt guest\n\
         \x20 that it is off (`None`); while that runs, nobody has looked into it, and the property is not there.\n\
         * Left out on purpose: `EnvironmentMetrics` of single processors and modules, as each sensor is one of all of them together; the `excerpt`\n\
         \x20 option; Rekey and Renew of a certificate (GenerateCSR with ReplaceCertificate does both, and a self-signed one is made anew by itself);\n\
         \x20 `StrictAccountTypes`; `SubordinateResources` in the `$filter` of a stream; `SKU` and `Location` from the FRU inventory.\n\
         * Sessions live in memory, `SessionTimeout` and `AbsoluteSessionTimeout` too: all end with the service.\n\n\
         ## Schemas\n\n| schema | version |\n|---|---|\n",
    );
    for schema in schema::ALL {
        line(&mut text, &[schema.name, schema.version.unwrap_or("(collection)")]);
    }
    text.push_str("\n## Boot targets\n\nWhat a machine does not offer is not in its `AllowableValues`.\n\n| Redfish | boot record |\n|---|---|\n");
    for target in BootTarget::ALL {
        line(&mut text, &[boot::target_name(target), target.as_str()]);
    }
    text.push_str("\n## ResetType\n\n| ResetType | action |\n|---|---|\n");
    for (name, action) in crate::resource::RESET_TYPES {
        line(&mut text, &[name, action.as_str()]);
    }
    let _ = write!(
        text,
        "\n## Errors of the machine\n\nAll messages are of DMTF's registry {REGISTRY_FILE}. A backend's own words become the `Resolution`.\n\n\
         | error | status | message | Retry-After |\n|---|---|---|---|\n"
    );
    for (name, error) in errors() {
        let about = About {
            asked: Asked::Action("ComputerSystem.Reset"),
            uri: "/redfish/v1/Systems/{id}",
            id: "{id}",
        };
        let problem = request_problem(&error, about);
        let message = problem.messages.first().map(Message::id).unwrap_or_default();
        let retry = problem.headers.iter().find(|(header, _)| header == http::header::RETRY_AFTER);
        let retry = retry
            .and_then(|(_, value)| value.to_str().ok())
            .map_or_else(|| "-".to_owned(), |s| format!("{s} s"));
        line(&mut text, &[&name, problem.status.as_str(), &message, &retry]);
    }
    text
}

fn line(text: &mut String, cells: &[&str]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn access_name(access: Access) -> String {
    match access {
        Access::Public => "nothing".to_owned(),
        Access::Needs(privilege) => privilege.as_str().to_owned(),
        Access::OwnOr(privilege) => {
            format!("{} (own) or {}", Privilege::ConfigureSelf.as_str(), privilege.as_str())
        }
    }
}

/// One of each kind of error, in the order of the table.
fn errors() -> Vec<(String, RequestError)> {
    let wrong = |state| RequestError::WrongState { action: PowerAction::Soft, state };
    let mut errors = vec![
        ("wrong state (off)".to_owned(), wrong(PowerState::Off)),
        ("wrong state (other)".to_owned(), wrong(PowerState::PoweringOff)),
        ("busy".to_owned(), RequestError::Busy { retry_after: Duration::from_secs(2) }),
        ("changed meanwhile".to_owned(), RequestError::Conflict),
        ("invalid value".to_owned(), RequestError::Invalid { field: "asset_tag", reason: String::new() }),
        ("store".to_owned(), RequestError::Store(String::new())),
        ("no space".to_owned(), RequestError::NoSpace { what: "event log" }),
        ("missing".to_owned(), RequestError::Missing { what: "LogEntry" }),
        ("removed".to_owned(), RequestError::Removed),
    ];
    for kind in MediaErrorKind::ALL {
        let error = MediaError::new(kind, "http://server/image.iso", "");
        errors.push((format!("media: {kind:?}"), RequestError::Media(error)));
    }
    for kind in BackendErrorKind::ALL {
        errors.push((format!("backend: {kind:?}"), RequestError::Backend(BackendError::new(kind, ""))));
    }
    errors
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    #[test]
    fn the_document_is_what_the_tables_say() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocols/redfish.md");
        let wanted = super::document();
        if std::env::var_os("POLYBMC_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &wanted).unwrap();
        }
        let present = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            present == wanted,
            "docs/protocols/redfish.md is out of date: POLYBMC_UPDATE_DOCS=1 cargo test -p bmc-redfish document"
        );
    }
}
