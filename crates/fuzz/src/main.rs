//! One target under libFuzzer; the variable `POLYBMC_FUZZ_TARGET` names it. `cargo xtask fuzz` builds and starts this.
#![no_main]

use std::sync::LazyLock;

use fuzz::TARGETS;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("POLYBMC_FUZZ_TARGET").unwrap_or_default();
    match TARGETS.iter().find(|target| target.name == wanted) {
        Some(target) => target.run,
        None => {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("POLYBMC_FUZZ_TARGET must name one of {}", names.join(", "));
            std::process::exit(2);
        }
    }
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
