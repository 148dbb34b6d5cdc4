//! The definition is sound, every example in a help parses, and wrong usage is refused.

use clap::CommandFactory as _;

use bmc_core::boot::BootTarget;
use bmc_core::power::PowerAction;

use super::machine::{BootVerb, PowerVerb};
use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_shows_an_example() {
    let mut command = Cli::command();
    for verb in command.get_subcommands_mut().filter(|verb| !verb.is_hide_set()) {
        if verb.get_name() == "help" {
            continue;
        }
        let has_example =
            verb.get_after_help().is_some_and(|help| help.to_string().contains("Example: polybmc "));
        assert!(has_example, "{}", verb.get_name());
    }
}

#[test]
fn written_help_fits_a_terminal() {
    const COLUMNS: usize = 80;
    let command = Cli::command();
    for verb in std::iter::once(&command).chain(command.get_subcommands()) {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines() {
            assert!(line.len() <= COLUMNS, "{}: {line}", verb.get_name());
        }
    }
}

#[test]
fn the_name_alone_shows_the_help() {
    let shown = parse("polybmc").unwrap_err().to_string();
    assert!(shown.contains("Begin here:"), "{shown}");
}

#[test]
fn every_example_parses() {
    for verb in Cli::command().get_subcommands() {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples =
            help.lines().filter_map(|line| line.trim().strip_prefix("Example: ").or(Some(line.trim())));
        for example in examples.filter(|line| line.starts_with("polybmc ")) {
            let words = example.split(['>', '|']).next().unwrap();
            assert!(parse(words).is_ok(), "{example}");
        }
    }
}

#[test]
fn control_goes_before_or_behind_the_verb() {
    for line in ["polybmc --control /c list", "polybmc list --control /c", "polybmc serve --control /c"] {
        assert_eq!(parse(line).unwrap().control, Some(PathBuf::from("/c")), "{line}");
    }
}

#[test]
fn wrong_usage_is_refused_with_status_2() {
    for line in [
        "polybmc",
        "polybmc fly",
        "polybmc power node-0",
        "polybmc power node-0 explode",
        "polybmc boot node-0 http",
        "polybmc boot node-0 pxe --once --persistent",
        "polybmc boot node-0 pxe --uefi --legacy",
        "polybmc add",
        "polybmc add a --ipmi nowhere",
        "polybmc add a --password x --password-file y",
        "polybmc set a",
        "polybmc list -o yaml",
        "polybmc serve --sim -1",
        "polybmc serve --sim 100001",
        "polybmc completions tcsh",
    ] {
        let error = parse(line).map(|cli| format!("{cli:?}")).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn words_mean_what_they_say() {
    let Verb::Boot(boot) = parse("polybmc boot n bios --persistent").unwrap().verb else { panic!() };
    assert_eq!(boot.target.target(), Some(BootTarget::BiosSetup));
    for verb in PowerVerb::value_variants() {
        let name = verb.to_possible_value().unwrap().get_name().to_owned();
        assert_eq!(verb.action().map_or("status", PowerAction::as_str), name);
    }
    for verb in BootVerb::value_variants() {
        let name = verb.to_possible_value().unwrap().get_name().to_owned();
        assert_eq!(verb.target().map_or("show", BootTarget::as_str), name);
    }
}
