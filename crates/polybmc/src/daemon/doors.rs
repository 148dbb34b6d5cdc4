//! The machines' own ways to their BMCs: where their sockets lie, when they are open, and the devices in the machines' definitions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bmc_control::types::SystemInterfaceView;
use bmc_control::{ControlError, ErrorKind};
use bmc_core::fleet::MachineHandle;
use bmc_core::request::Request;
use bmc_core::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};
use bmc_ipmi::{SystemInterface, SystemInterfaceConfig};
use nix::unistd::{Group, User};
use rustix::process::geteuid;
use uuid::Uuid;

use super::change::no_bmc;
use super::endpoints::Endpoints;
use super::record::BmcRecord;
use super::{Bmc, Daemon, Serving};
use crate::config::{BmcConfig, SystemInterfacePlace, SystemInterfaceWord};

/// The folder of the sockets, beside the control socket.
const FOLDER: &str = "polybmc-system-interface";
/// As whom distributions have libvirt run its emulators: Debian's, then the others'.
const EMULATOR_USERS: [&str; 2] = ["libvirt-qemu", "qemu"];

/// Where the sockets lie, and who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doors {
    dir: PathBuf,
    owner: Option<u32>,
    group: Option<u32>,
}

impl Doors {
    /// As the configuration says, and where it does not, beside the control socket and for libvirt's emulators.
    ///
    /// # Errors
    /// There is no such user or group.
    pub(crate) fn new(place: &SystemInterfacePlace, control: &Path) -> anyhow::Result<Self> {
        let owner = match &place.owner {
            Some(name) => {
                let user = User::from_name(name).ok().flatten();
                Some(user.with_context(|| format!("[system_interface] owner: there is no user {name}"))?)
            }
            // Nobody else can give a socket away.
            None if geteuid().is_root() => {
                EMULATOR_USERS.iter().find_map(|name| User::from_name(name).ok().flatten())
            }
            None => None,
        };
        let group = match &place.group {
            Some(name) => {
                let group = Group::from_name(name).ok().flatten();
                Some(group.with_context(|| format!("[system_interface] group: there is no group {name}"))?)
            }
            None => None,
        };
        Ok(Self {
            dir: folder(place, control),
            owner: owner.map(|user| user.uid.as_raw()),
            group: group.map(|group| group.gid.as_raw()),
        })
    }

    /// A BMC's socket. What it is called is the BMC's alone ([`BmcRecord::door`]): a name is given again, and the emulator of a machine that had the BMC
    /// of that name keeps knocking.
    pub(super) fn config(&self, door: Uuid, kind: SystemInterfaceKind) -> SystemInterfaceConfig {
        let socket = self.dir.join(format!("{door}.sock"));
        SystemInterfaceConfig { socket, kind, owner: self.owner, group: self.group }
    }
}

/// Where the sockets lie.
pub(crate) fn folder(place: &SystemInterfacePlace, control: &Path) -> PathBuf {
    let beside = || control.parent().unwrap_or(Path::new(".")).join(FOLDER);
    let dir = place.dir.clone().unwrap_or_else(beside);
    // It stands in the definitions of machines.
    std::path::absolute(&dir).unwrap_or(dir)
}

/// A BMC's system interface.
#[derive(Debug, Default)]
pub(super) enum Door {
    /// There is none.
    #[default]
    Off,
    Open(SystemInterface),
    /// It could not be opened; why.
    Failed(String),
}

impl Door {
    pub(super) async fn stop(self) {
        if let Self::Open(interface) = self {
            interface.stop().await;
        }
    }

    /// What is wrong with it, where something is.
    pub(super) fn problem(&self) -> Option<&str> {
        match self {
            Self::Failed(problem) => Some(problem),
            Self::Off | Self::Open(_) => None,
        }
    }
}

/// Which kind of system interface a BMC is to have: the file has the first word.
pub(super) fn wanted(config: &BmcConfig, record: Option<SystemInterfaceKind>) -> Option<SystemInterfaceKind> {
    match config.system_interface {
        Some(SystemInterfaceWord::On(kind)) => Some(kind),
        Some(SystemInterfaceWord::Off) => None,
        None => record,
    }
}

/// What QEMU has to be told, when it is started by hand.
fn arguments(device: &SystemInterfaceDevice) -> Vec<String> {
    let path = device.socket.display().to_string().replace(',', ",,");
    vec![
        "-chardev".to_owned(),
        format!("socket,id=ipmi,path={path},reconnect=1"),
        "-device".to_owned(),
        "ipmi-bmc-extern,id=bmc,chardev=ipmi".to_owned(),
        "-device".to_owned(),
        format!("isa-ipmi-{},bmc=bmc", device.kind),
    ]
}

fn view(bmc: &Bmc) -> SystemInterfaceView {
    let door = match &bmc.serving {
        Serving::Endpoints(endpoints) => Some(&endpoints.door),
        Serving::Stopped | Serving::Failed(_) => None,
    };
    let open = match door {
        Some(Door::Open(interface)) => Some(interface),
        _ => None,
    };
    let served = open.map(|interface| {
        let config = interface.config();
        SystemInterfaceDevice { kind: config.kind, socket: config.socket.clone() }
    });
    let device = bmc.handle.snapshot().info.as_ref().and_then(|info| info.system_interface.clone());
    let problem = match (door.and_then(Door::problem), &served, &device) {
        (Some(problem), ..) => Some(problem.to_owned()),
        (None, Some(served), Some(device)) if served != device => Some(format!(
            "the machine has a {} device at {}; `polybmc system-interface {} add` mends it",
            device.kind,
            device.socket.display(),
            bmc.config.name
        )),
        (None, None, Some(_)) => Some(
            "the machine has a device, and the BMC does not serve it: its guest is told to wait".to_owned(),
        ),
        _ => None,
    };
    SystemInterfaceView {
        name: bmc.config.name.clone(),
        kind: served.as_ref().map(|served| served.kind),
        socket: served.as_ref().map(|served| served.socket.clone()),
        connected: open.is_some_and(SystemInterface::is_connected),
        device,
        arguments: served.as_ref().map(arguments).unwrap_or_default(),
        problem,
    }
}

impl super::endpoints::Binder {
    /// Opens the system interface that a BMC is to have. One that cannot be had leaves the BMC serving the network.
    pub(super) fn open_door(
        &self,
        name: &str,
        door: Uuid,
        kind: Option<SystemInterfaceKind>,
        bmc: Arc<bmc_ipmi::Bmc>,
    ) -> Door {
        let Some(kind) = kind else { return Door::Off };
        match SystemInterface::bind(self.doors.config(door, kind), bmc) {
            Ok(interface) => Door::Open(interface),
            Err(error) => {
                tracing::error!(bmc = %name, "{error}");
                Door::Failed(error.to_string())
            }
        }
    }
}

impl Daemon {
    pub(super) fn view_door(&self, name: &str) -> Result<SystemInterfaceView, ControlError> {
        let name = self.resolve(name)?;
        self.bmcs().get(&name).map(view).ok_or_else(|| no_bmc(&name))
    }

    /// Ends the system interface of a BMC, if it has one, and opens what it is to have.
    pub(super) async fn reopen_door(
        &self,
        name: &str,
        kind: Option<SystemInterfaceKind>,
    ) -> Result<(), ControlError> {
        let Some((old, bmc)) = self.of_endpoints(name, |endpoints| {
            (std::mem::take(&mut endpoints.door), Arc::clone(endpoints.ipmi.bmc()))
        })?
        else {
            return Ok(());
        };
        old.stop().await;
        let door = self.bmcs().get(name).map(|bmc| bmc.record.door).ok_or_else(|| no_bmc(name))?;
        let door = self.binder.open_door(name, door, kind, bmc);
        let failed = door.problem().map(str::to_owned);
        self.of_endpoints(name, |endpoints| endpoints.door = door)?;
        failed.map_or(Ok(()), |problem| Err(ControlError::invalid(problem)))
    }

    fn of_endpoints<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Endpoints) -> T,
    ) -> Result<Option<T>, ControlError> {
        let mut bmcs = self.bmcs_mut();
        let bmc = bmcs.get_mut(name).ok_or_else(|| no_bmc(name))?;
        Ok(match &mut bmc.serving {
            Serving::Endpoints(endpoints) => Some(work(endpoints)),
            Serving::Stopped | Serving::Failed(_) => None,
        })
    }

    /// Gives a machine's definition the device and the BMC its socket, or takes both away. Whatever waits for the hypervisor does so without holding
    /// anybody up but who changes the same BMC's.
    pub(super) async fn change_door(
        &self,
        name: &str,
        kind: Option<SystemInterfaceKind>,
    ) -> Result<SystemInterfaceView, ControlError> {
        let name = self.resolve(name)?;
        let changing = self.bmcs().get(&name).map(|bmc| Arc::clone(&bmc.changing_door));
        let changing = changing.ok_or_else(|| no_bmc(&name))?;
        let _alone = changing.lock().await;
        match kind {
            Some(kind) => self.add_door(&name, kind).await?,
            None => self.remove_door(&name).await?,
        }
        self.view_door(&name)
    }

    async fn add_door(&self, name: &str, kind: SystemInterfaceKind) -> Result<(), ControlError> {
        let (handle, record, before) = {
            let _present = self.changes.lock().await;
            let (handle, record, config, serves) = self.with_door(name)?;
            if config.system_interface.is_some_and(|said| said != SystemInterfaceWord::On(kind)) {
                return Err(ControlError::invalid(format!(
                    "the configuration file says otherwise with `system_interface` for {name}; change it there and run `polybmc reload`"
                )));
            }
            if !serves {
                let message = format!("{name} does not serve; start it first: polybmc start {name}");
                return Err(ControlError::new(ErrorKind::WrongState, message));
            }
            if !self.is_open(name, kind) {
                self.reopen_door(name, Some(kind)).await?;
            }
            let before = wanted(&config, record.system_interface);
            (handle, record, before)
        };
        let put = match self.backends.makes_machines(&record.backend) {
            true => Ok(()),
            false => put_in(&handle, Some(self.device(record.door, kind))).await,
        };
        let _present = self.changes.lock().await;
        let (_, present, config, _) = self.with_door(name)?;
        if present.door != record.door {
            // It is another by now.
            return put.and(Err(no_bmc(name)));
        }
        if let Err(error) = put {
            // Nothing half-done: the socket is as it was.
            if before != Some(kind) {
                self.reopen_door(name, before).await?;
            }
            return Err(error);
        }
        // What the file says needs no keeping.
        let kept = if config.system_interface.is_none() { Some(kind) } else { present.system_interface };
        let new = BmcRecord { system_interface: kept, ..present.clone() };
        self.keep(name, &present, new).await
    }

    async fn remove_door(&self, name: &str) -> Result<(), ControlError> {
        let (handle, record, ..) = self.with_door(name)?;
        if !self.backends.makes_machines(&record.backend) {
            put_in(&handle, None).await?;
        }
        let _present = self.changes.lock().await;
        let (_, present, config, _) = self.with_door(name)?;
        if present.door != record.door {
            return Err(no_bmc(name));
        }
        let before = wanted(&config, present.system_interface);
        let new = BmcRecord { system_interface: None, ..present.clone() };
        self.keep(name, &present, new).await?;
        if config.system_interface.is_none() && before.is_some() {
            self.reopen_door(name, None).await?;
        }
        Ok(())
    }

    /// A BMC's machine, record and configuration, and whether it serves.
    fn with_door(&self, name: &str) -> Result<(MachineHandle, BmcRecord, BmcConfig, bool), ControlError> {
        let bmcs = self.bmcs();
        let bmc = bmcs.get(name).ok_or_else(|| no_bmc(name))?;
        let serves = matches!(bmc.serving, Serving::Endpoints(_));
        Ok((bmc.handle.clone(), bmc.record.clone(), bmc.config.clone(), serves))
    }

    fn device(&self, door: Uuid, kind: SystemInterfaceKind) -> SystemInterfaceDevice {
        SystemInterfaceDevice { kind, socket: self.binder.doors.config(door, kind).socket }
    }

    fn is_open(&self, name: &str, kind: SystemInterfaceKind) -> bool {
        self.bmcs().get(name).is_some_and(|bmc| match &bmc.serving {
            Serving::Endpoints(endpoints) => {
                matches!(&endpoints.door, Door::Open(interface) if interface.config().kind == kind)
            }
            Serving::Stopped | Serving::Failed(_) => false,
        })
    }

    /// Stores a changed record, and shows it.
    async fn keep(&self, name: &str, old: &BmcRecord, new: BmcRecord) -> Result<(), ControlError> {
        if *old != new {
            self.save(name, Some(&new)).await?;
            if let Some(bmc) = self.bmcs_mut().get_mut(name) {
                bmc.record = new;
            }
        }
        Ok(())
    }
}

/// Has the machine's definition changed.
async fn put_in(handle: &MachineHandle, device: Option<SystemInterfaceDevice>) -> Result<(), ControlError> {
    handle.request(Request::SetSystemInterface(device.map(Box::new))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_first_word() {
        let mut config = crate::config::Config::default().defaults.bmc("node");
        let (kcs, bt) = (SystemInterfaceKind::Kcs, SystemInterfaceKind::Bt);
        assert_eq!((wanted(&config, None), wanted(&config, Some(bt))), (None, Some(bt)));
        config.system_interface = Some(SystemInterfaceWord::On(kcs));
        assert_eq!(wanted(&config, Some(bt)), Some(kcs));
        config.system_interface = Some(SystemInterfaceWord::Off);
        assert_eq!(wanted(&config, Some(bt)), None);
    }

    #[test]
    fn sockets_lie_beside_the_control_socket_unless_a_folder_is_named() {
        let place = SystemInterfacePlace::default();
        let doors = Doors::new(&place, Path::new("/run/polybmc.sock")).unwrap();
        let socket = doors.config(Uuid::nil(), SystemInterfaceKind::Kcs).socket;
        let name = "00000000-0000-0000-0000-000000000000.sock";
        assert_eq!(socket, Path::new("/run/polybmc-system-interface").join(name));
        let named = SystemInterfacePlace { dir: Some("/srv/doors".into()), ..place.clone() };
        assert_eq!(folder(&named, Path::new("x")), Path::new("/srv/doors"));
        let nobody = SystemInterfacePlace { owner: Some("no such user".to_owned()), ..place.clone() };
        assert!(Doors::new(&nobody, Path::new("x")).unwrap_err().to_string().contains("no such user"));
        let root = SystemInterfacePlace { group: Some("root".to_owned()), ..place };
        assert_eq!(Doors::new(&root, Path::new("x")).unwrap().group, Some(0));
    }
}
