//! Which backend a name means. The only place that knows more than the [`Backend`] trait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bmc_core::backend::{Backend, Link};
use bmc_core::error::BackendError;
use bmc_sim::{SimBackend, SimConfig};
use tokio::runtime::Handle;

use crate::config::{BackendConfig, RaidSettings, SIM, SimSettings};
#[cfg(feature = "libvirt")]
use crate::paths::Environment;

/// What a build without libvirt says to a libvirt URI.
pub(crate) const NO_LIBVIRT: &str = "this polybmc was built without libvirt; build it with the feature `libvirt` \
                                     (`cargo build --features libvirt`), or use the backend `sim`";

/// The backends in use, each made when first asked for and kept: one connection a hypervisor.
pub(crate) struct Backends {
    configured: RwLock<BTreeMap<String, BackendConfig>>,
    made: Mutex<BTreeMap<String, Made>>,
    runtime: Handle,
}

/// A backend in use.
struct Made {
    /// What the configuration said when it was made.
    by: Option<BackendConfig>,
    backend: Arc<dyn Backend>,
}

impl Backends {
    /// None yet.
    pub(crate) fn new(configured: BTreeMap<String, BackendConfig>, runtime: Handle) -> Self {
        Self { configured: RwLock::new(configured), made: Mutex::default(), runtime }
    }

    /// A changed configuration. Backends that were made already stay as they are.
    pub(crate) fn configure(&self, configured: &BTreeMap<String, BackendConfig>) {
        self.configured.write().unwrap_or_else(PoisonError::into_inner).clone_from(configured);
    }

    fn configured(&self, name: &str) -> Option<BackendConfig> {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The backend of `[backend.NAME]`, the built-in `sim`, or a libvirt URI.
    ///
    /// # Errors
    /// No backend has that name, or this build has none of that kind.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<dyn Backend>, BackendError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.get(name) {
            return Ok(Arc::clone(&made.backend));
        }
        let by = self.configured(name);
        let backend = match &by {
            Some(BackendConfig::Sim(settings)) => self.sim(settings),
            Some(BackendConfig::Libvirt { uri, console, media_tray, raid, discover: _ }) => {
                self.libvirt(uri, *console, *media_tray, raid)?
            }
            None if name == SIM => self.sim(&SimSettings::default()),
            None if name.contains("://") => self.libvirt(name, true, false, &RaidSettings::default())?,
            None => {
                return Err(BackendError::new(
                    bmc_core::error::BackendErrorKind::NotFound,
                    format!(
                        "no backend `{name}`; use `sim`, a libvirt URI such as `qemu:///system`, or add [backend.{name}] to the configuration"
                    ),
                ));
            }
        };
        made.insert(name.to_owned(), Made { by, backend: Arc::clone(&backend) });
        Ok(backend)
    }

    /// The names of those that the configuration wants otherwise than they were made.
    pub(crate) fn outdated(&self) -> Vec<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter()
            .filter(|(name, made)| {
                // Which machines get a BMC does not concern the backend.
                let plain = |by: Option<BackendConfig>| by.map(BackendConfig::without_discover);
                plain(made.by.clone()) != plain(self.configured(name))
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Lets go of hypervisors that no BMC is on any more, and so of their connections. Simulators stay: their machines live in them.
    pub(crate) fn keep_only(&self, used: impl Fn(&str) -> bool) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|name, _| self.makes_machines(name) || used(name));
    }

    /// Where a backend's machines are: its URI. Two backends of one place have the same machines.
    pub(crate) fn place(&self, name: &str) -> String {
        match self.configured(name) {
            Some(BackendConfig::Libvirt { uri, .. }) => uri,
            Some(BackendConfig::Sim(_)) | None => name.to_owned(),
        }
    }

    /// The hypervisors that there are connections to, or should be, by the backend's name.
    pub(crate) fn links(&self) -> Vec<(String, Link)> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().filter_map(|(name, made)| Some((name.clone(), made.backend.link()?))).collect()
    }

    /// Whether a machine comes into being when a BMC is attached to its name.
    pub(crate) fn makes_machines(&self, name: &str) -> bool {
        match self.configured(name) {
            Some(backend) => matches!(backend, BackendConfig::Sim(_)),
            None => name == SIM,
        }
    }

    fn sim(&self, settings: &SimSettings) -> Arc<dyn Backend> {
        let own = SimConfig::default();
        let time = |ms: Option<u64>, otherwise| ms.map_or(otherwise, Duration::from_millis);
        let config = SimConfig {
            post: time(settings.post_ms, own.post),
            boot: time(settings.boot_ms, own.boot),
            shutdown: time(settings.shutdown_ms, own.shutdown),
            seed: settings.seed.unwrap_or(own.seed),
            disk_bytes: settings.disk_gib.map_or(own.disk_bytes, gib),
            raid_drives: settings.raid.drives.unwrap_or(own.raid_drives),
            raid_drive_bytes: settings.raid.drive_gib.map_or(own.raid_drive_bytes, gib),
            ..own
        };
        Arc::new(SimBackend::new(config, &self.runtime))
    }

    #[cfg(feature = "libvirt")]
    fn libvirt(
        &self,
        uri: &str,
        console: bool,
        media_tray: bool,
        raid: &RaidSettings,
    ) -> Result<Arc<dyn Backend>, BackendError> {
        let _entered = self.runtime.enter();
        let console =
            if console { bmc_libvirt::ConsolePolicy::Held } else { bmc_libvirt::ConsolePolicy::Off };
        let own = bmc_libvirt::RaidOptions::default();
        let raid = bmc_libvirt::RaidOptions {
            pool: raid.pool.clone(),
            drives: raid.drives.unwrap_or(own.drives),
            drive_bytes: raid.drive_gib.map_or(own.drive_bytes, gib),
        };
        let mut options =
            bmc_libvirt::Options { console, raid, media_tray, ..bmc_libvirt::Options::default() };
        if uri.contains("/session") {
            options.firmware_folders.extend(Environment::of_process().firmware_dir());
        }
        Ok(bmc_libvirt::LibvirtBackend::with(uri, options))
    }

    #[cfg(not(feature = "libvirt"))]
    #[expect(clippy::unused_self, reason = "the same shape with and without the feature")]
    fn libvirt(&self, _: &str, _: bool, _: bool, _: &RaidSettings) -> Result<Arc<dyn Backend>, BackendError> {
        Err(BackendError::unsupported(NO_LIBVIRT))
    }
}

/// Bytes; the configuration has checked the bounds.
fn gib(size: u64) -> u64 {
    size.saturating_mul(1 << 30)
}
