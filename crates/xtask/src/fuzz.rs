//! Fuzzing with libFuzzer on the stable toolchain: coverage counters come from the compiler's own pass, so that no nightly feature and
//! no sanitizer is needed. `unsafe` is confined to the libvirt backend, which is not fuzzed: what can go wrong is a panic.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;

/// How long each target runs unless told otherwise, in seconds; what continuous integration spends.
pub(crate) const DEFAULT_SECONDS: u32 = 10;
/// The longest input in bytes: a few of the longest datagrams.
const INPUT_MAX_BYTES: u32 = 4096;
/// An input that takes longer, in seconds, counts as a hang.
const HANG_SECONDS: u32 = 20;
/// Instrumentation that libFuzzer understands: counters at every edge, a table of them, and the operands of comparisons.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";
const TARGET_VARIABLE: &str = "POLYBMC_FUZZ_TARGET";

/// Builds the targets and runs each for so many seconds from its seeds, and from what earlier runs on this machine found.
pub(crate) fn run(seconds: u32) -> Result<()> {
    let folder = shell::target_dir().join("fuzz");
    let triple = host()?;
    let mut build = shell::cargo();
    build.args(["build", "--locked", "--release", "-p", "fuzz", "--features", "libfuzzer"]);
    // A target named in words keeps the flags away from build scripts and macros.
    build.args(["--target", &triple]).env("RUSTFLAGS", INSTRUMENTED).env("CARGO_TARGET_DIR", &folder);
    shell::run(&mut build)?;
    let program = folder.join(&triple).join("release/fuzz");
    let seeds = shell::root().join("crates/fuzz/seeds");
    let mut targets: Vec<String> = fs::read_dir(&seeds)
        .with_context(|| format!("cannot list {}", seeds.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    targets.sort();
    for target in &targets {
        println!("==> fuzz: {target}, {seconds} s");
        one(&program, target, &seeds.join(target), &folder, seconds)?;
    }
    Ok(())
}

fn one(program: &Path, target: &str, seeds: &Path, folder: &Path, seconds: u32) -> Result<()> {
    let found = folder.join("found").join(target);
    let failures = folder.join("failures").join(target);
    for folder in [&found, &failures] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = shell::command(program);
    command.env(TARGET_VARIABLE, target);
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_MAX_BYTES}"),
        format!("-timeout={HANG_SECONDS}"),
        format!("-artifact_prefix={}/", failures.display()),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ]);
    // What is new goes to the first folder.
    command.arg(&found).arg(seeds);
    if shell::run(&mut command).is_err() {
        bail!(
            "the target {target} failed; the input lies in {dir}; again: {TARGET_VARIABLE}={target} {program} {dir}/FILE; once mended, keep it \
             in crates/fuzz/seeds/{target}",
            dir = failures.display(),
            program = program.display()
        );
    }
    Ok(())
}

/// The triple of this host, as cargo names it.
fn host() -> Result<String> {
    let version = shell::output(shell::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for which host it is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_a_triple() {
        assert!(host().unwrap().contains('-'));
    }
}
