//! Where things lie unless somebody says otherwise. The daemon and the command line agree by asking here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Whether this process runs as root.
    pub(crate) root: bool,
    /// `$POLYBMC_CONTROL`.
    pub(crate) control: Option<OsString>,
    /// `$XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<OsString>,
    /// `$XDG_STATE_HOME`.
    pub(crate) state_home: Option<OsString>,
    /// `$XDG_CONFIG_HOME`.
    pub(crate) config_home: Option<OsString>,
    /// `$HOME`.
    pub(crate) home: Option<OsString>,
}

impl Environment {
    /// This process's. A variable that is empty counts as absent.
    pub(crate) fn of_process() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            root: rustix::process::geteuid().is_root(),
            control: variable("POLYBMC_CONTROL"),
            runtime_dir: variable("XDG_RUNTIME_DIR"),
            state_home: variable("XDG_STATE_HOME"),
            config_home: variable("XDG_CONFIG_HOME"),
            home: variable("HOME"),
        }
    }

    /// The default state folder.
    pub(crate) fn state_dir(&self) -> PathBuf {
        if self.root {
            return PathBuf::from("/var/lib/polybmc");
        }
        let local = || Some(Path::new(self.home.as_ref()?).join(".local/state"));
        let base = self.state_home.as_ref().map(PathBuf::from).or_else(local);
        base.unwrap_or_default().join("polybmc")
    }

    /// Where this user's own descriptors of firmware lie, beside those of the host; a hypervisor of this user's looks there too.
    #[cfg_attr(not(feature = "libvirt"), expect(dead_code, reason = "simulated machines have no images"))]
    pub(crate) fn firmware_dir(&self) -> Option<PathBuf> {
        let own = || Some(Path::new(self.home.as_ref()?).join(".config"));
        let base = self.config_home.as_ref().map(PathBuf::from).or_else(own)?;
        Some(base.join("qemu/firmware"))
    }

    /// The control socket that `$POLYBMC_CONTROL` names.
    pub(crate) fn control_named(&self) -> Option<PathBuf> {
        self.control.as_ref().map(PathBuf::from)
    }

    /// The default control socket. Root's does not depend on how root logged in: a service and a shell must find each other.
    pub(crate) fn control(&self) -> PathBuf {
        if self.root {
            return PathBuf::from("/run/polybmc.sock");
        }
        match &self.runtime_dir {
            Some(folder) => Path::new(folder).join("polybmc.sock"),
            None => self.state_dir().join("polybmc.sock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        let root =
            Environment { root: true, runtime_dir: Some("/run/user/0".into()), ..Environment::default() };
        assert_eq!(root.state_dir(), Path::new("/var/lib/polybmc"));
        assert_eq!(root.control(), Path::new("/run/polybmc.sock"));
        let user = Environment {
            runtime_dir: Some("/run/user/7".into()),
            home: Some("/home/u".into()),
            ..Environment::default()
        };
        assert_eq!(user.state_dir(), Path::new("/home/u/.local/state/polybmc"));
        assert_eq!(user.control(), Path::new("/run/user/7/polybmc.sock"));
        let bare = Environment { state_home: Some("/s".into()), ..Environment::default() };
        assert_eq!(bare.control(), Path::new("/s/polybmc/polybmc.sock"));
    }
}
