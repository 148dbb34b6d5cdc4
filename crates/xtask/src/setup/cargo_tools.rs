//! Cargo subcommands that the checks use: an installed one when it is new enough, else built once into the target
//! folder, where it bothers nobody.

use anyhow::Result;

use crate::shell;

/// A cargo subcommand.
struct CargoTool {
    name: &'static str,
    /// The oldest version whose configuration files and options are ours.
    at_least: (u32, u32, u32),
    /// The version to build where none is found.
    install: &'static str,
}

const TOOLS: &[CargoTool] = &[
    CargoTool { name: "cargo-nextest", at_least: (0, 9, 100), install: "0.9.143" },
    CargoTool { name: "cargo-deny", at_least: (0, 18, 0), install: "0.20.2" },
];

/// Makes sure that each subcommand can be run.
pub(crate) fn prepare() -> Result<()> {
    for tool in TOOLS {
        match installed_version(tool.name) {
            Some(version) if version >= tool.at_least => println!("==> {}: {}", tool.name, dotted(version)),
            found => {
                let why =
                    found.map_or("not installed".to_owned(), |old| format!("{} is too old", dotted(old)));
                println!(
                    "==> {}: {why}; building {} into {} (a few minutes)",
                    tool.name,
                    tool.install,
                    shell::tools_dir().display()
                );
                let mut install = shell::cargo();
                install.args(["install", "--quiet", "--locked", "--version", tool.install, "--root"]);
                shell::run(install.arg(shell::tools_dir()).arg(tool.name))?;
            }
        }
    }
    Ok(())
}

/// The command to run a subcommand with: our own build of it first, because it is there only where the user's was
/// missing or too old.
pub(crate) fn command(name: &str) -> std::process::Command {
    let own = shell::tools_dir().join("bin").join(name);
    if own.is_file() { shell::command(own) } else { shell::command(name) }
}

fn installed_version(name: &str) -> Option<(u32, u32, u32)> {
    let subcommand = name.strip_prefix("cargo-")?;
    parse_version(&shell::output(command(name).args([subcommand, "--version"])).ok()?)
}

/// The first `a.b.c` in the text that `--version` prints.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut parts = word.splitn(3, '.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.get(..digits).and_then(|number| number.parse().ok())
        });
        Some((parts.next()??, parts.next()??, parts.next()??))
    })
}

fn dotted((major, minor, patch): (u32, u32, u32)) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_as_numbers() {
        assert_eq!(parse_version("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)"), Some((0, 9, 143)));
        assert_eq!(parse_version("cargo-deny 0.20.2\n"), Some((0, 20, 2)));
        assert_eq!(parse_version("tool 1.2.3-rc.1"), Some((1, 2, 3)));
        assert_eq!(parse_version("no version here"), None);
        assert!(parse_version("x 0.9.99") < Some((0, 9, 100)));
    }
}
