//! The direction of dependencies between crates (`docs/architecture.md`), judged by `cargo tree`.

use anyhow::Result;

use super::Finding;
use crate::shell;

/// What a crate's tree of normal dependencies may not contain.
struct Rule {
    name: &'static str,
    never: &'static [&'static [&'static str]],
    because: &'static str,
}

const RUNTIME: &[&str] = &["tokio", "tokio-util", "mio", "socket2"];
const LIBVIRT: &[&str] = &["virt", "virt-sys"];
const WEB: &[&str] = &["axum", "hyper", "rustls", "tower-http"];
const CORE: &[&str] = &["bmc-core"];
const BACKENDS: &[&str] = &["bmc-sim", "bmc-libvirt"];
const STORE: &[&str] = &["bmc-store", "redb"];
const FRONTENDS: &[&str] = &["bmc-ipmi", "bmc-redfish", "bmc-control", "ipmi-session"];
const BINARY: &[&str] = &["polybmc", "testkit", "xtask"];

const RULES: &[Rule] = &[
    Rule {
        name: "ipmi-wire",
        never: &[RUNTIME, LIBVIRT, WEB, CORE, BACKENDS, STORE, FRONTENDS, BINARY],
        because: "the wire knows bytes and types only",
    },
    Rule {
        name: "ipmi-session",
        never: &[
            RUNTIME,
            LIBVIRT,
            WEB,
            CORE,
            BACKENDS,
            STORE,
            &["bmc-ipmi", "bmc-redfish", "bmc-control"],
            BINARY,
        ],
        because: "sessions are pure: no sockets, no machines",
    },
    Rule {
        name: "bmc-core",
        never: &[LIBVIRT, WEB, BACKENDS, STORE, FRONTENDS, BINARY],
        because: "both sides depend on the core, never the other way",
    },
    Rule {
        name: "bmc-store",
        never: &[LIBVIRT, WEB, BACKENDS, FRONTENDS, BINARY],
        because: "a store knows records only",
    },
    Rule {
        name: "bmc-sim",
        never: &[LIBVIRT, WEB, STORE, FRONTENDS, BINARY, &["bmc-libvirt"]],
        because: "a backend sees neither frontends nor other backends",
    },
    Rule {
        name: "bmc-libvirt",
        never: &[WEB, STORE, FRONTENDS, BINARY, &["bmc-sim"]],
        because: "a backend sees neither frontends nor other backends",
    },
    Rule {
        name: "bmc-ipmi",
        never: &[LIBVIRT, WEB, STORE, BACKENDS, BINARY, &["bmc-redfish", "bmc-control"]],
        because: "a frontend sees neither backends nor other frontends",
    },
    Rule {
        name: "bmc-redfish",
        never: &[LIBVIRT, STORE, BACKENDS, BINARY, &["bmc-ipmi", "bmc-control", "ipmi-session"]],
        because: "a frontend sees neither backends nor other frontends",
    },
    Rule {
        name: "bmc-control",
        never: &[LIBVIRT, STORE, BACKENDS, BINARY, &["bmc-ipmi", "bmc-redfish", "ipmi-session"]],
        because: "a frontend sees neither backends nor other frontends",
    },
    Rule {
        name: "xtask",
        never: &[
            RUNTIME,
            LIBVIRT,
            WEB,
            CORE,
            BACKENDS,
            STORE,
            FRONTENDS,
            &["ipmi-wire", "polybmc", "testkit"],
        ],
        because: "it must build on a bare Rust machine",
    },
];

/// Asks cargo for every crate's tree and judges it.
pub(super) fn check() -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for rule in RULES {
        let args = [
            "tree",
            "-p",
            rule.name,
            "-e",
            "normal",
            "--all-features",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ];
        let tree = shell::output(shell::cargo().args(args))?;
        findings.extend(judge(rule, &tree));
    }
    Ok(findings)
}

/// One finding for each forbidden crate in the tree; the first line is the crate itself.
fn judge(rule: &Rule, tree: &str) -> Vec<Finding> {
    let names: Vec<&str> = tree.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let forbidden = rule.never.iter().flat_map(|group| group.iter());
    forbidden
        .filter(|name| names.contains(*name))
        .map(|name| {
            let Rule { name: crate_name, because, .. } = rule;
            let message = format!(
                "`{crate_name}` depends on `{name}`, but {because} (`cargo tree -p {crate_name} -i {name}`)"
            );
            Finding::new("", 0, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> &'static Rule {
        RULES.iter().find(|rule| rule.name == name).unwrap()
    }

    #[test]
    fn allowed_trees_pass() {
        let tree = "ipmi-session v0.1.0 (path)\nhmac v0.13.0\nipmi-wire v0.1.0 (path)\nbitflags v2.13.2\n";
        assert_eq!(judge(rule("ipmi-session"), tree), []);
    }

    #[test]
    fn forbidden_crates_are_named() {
        for (name, bad) in [
            ("ipmi-wire", "tokio"),
            ("ipmi-wire", "bmc-core"),
            ("ipmi-session", "virt-sys"),
            ("bmc-core", "bmc-sim"),
            ("bmc-sim", "bmc-redfish"),
            ("bmc-libvirt", "ipmi-session"),
            ("bmc-ipmi", "bmc-libvirt"),
            ("bmc-redfish", "bmc-ipmi"),
            ("bmc-control", "bmc-store"),
            ("xtask", "virt-sys"),
        ] {
            let found = judge(rule(name), &format!("{name} v0.1.0\n{bad} v1.0.0 (*)\n"));
            assert_eq!(found.len(), 1, "{name} {bad}");
            assert!(found[0].message.contains(&format!("`{bad}`")), "{found:?}");
        }
    }

    #[test]
    fn the_crate_itself_and_longer_names_are_no_finding() {
        assert_eq!(judge(rule("bmc-core"), "bmc-core v0.1.0\ntokio-stream v0.1.0\n"), []);
    }
}
