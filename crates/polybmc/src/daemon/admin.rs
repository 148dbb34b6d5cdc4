//! The control API over the daemon.

use async_trait::async_trait;
use bmc_control::types::{
    AddBmc, BmcDetail, BmcSummary, BootView, DriveView, Hypervisor, InsertImage, PowerOutcome, PowerReply,
    ReloadReport, SelView, SensorView, SetBmc, SetBoot, SystemInterfaceView, VersionInfo,
};
use bmc_control::{Admin, ControlError, ErrorKind};
use bmc_core::account::Secret;
use bmc_core::backend::Link;
use bmc_core::boot::{BootEnabled, BootOverride, BootTarget, FirmwareMode};
use bmc_core::console::Console;
use bmc_core::event::Event;
use bmc_core::fleet::MachineHandle;
use bmc_core::media::{InsertMedia, MediaRequest, MediaSlot, Transfer, TransferMethod};
use bmc_core::power::{Origin, PowerAction};
use bmc_core::request::{Change, Outcome, Request, SelRequest};
use bmc_core::screen::Screenshot;
use bmc_core::system_interface::SystemInterfaceKind;
use percent_encoding::percent_decode_str;
use tokio::sync::broadcast;
use url::Url;

use super::change::no_bmc;
use super::{Daemon, view};

/// The version of the control API.
const API_VERSION: u32 = 1;

impl Daemon {
    fn machine(&self, name: &str) -> Result<MachineHandle, ControlError> {
        let name = self.resolve(name)?;
        self.bmcs().get(&name).map(|bmc| bmc.handle.clone()).ok_or_else(|| no_bmc(&name))
    }
}

impl Daemon {
    fn hypervisors(&self) -> Vec<Hypervisor> {
        let bmcs = self.bmcs();
        let count = |backend: &str| bmcs.values().filter(|bmc| bmc.record.backend == backend).count();
        let links = self.backends.links().into_iter();
        links
            .map(|(name, Link { uri, problem, calls })| {
                let (bmcs, connected) = (count(&name), problem.is_none());
                Hypervisor { name, uri, connected, problem, bmcs, calls }
            })
            .collect()
    }
}

#[async_trait]
impl Admin for Daemon {
    async fn version(&self) -> VersionInfo {
        VersionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: API_VERSION,
            pid: std::process::id(),
            started: self.started,
            bmcs: self.bmcs().len(),
            state_dir: self.state_dir.clone(),
            config: self.config_file.clone(),
            redfish: self.aggregate_url(),
            hypervisors: self.hypervisors(),
        }
    }

    async fn list(&self) -> Vec<BmcSummary> {
        let secure = self.secure();
        self.bmcs().values().map(|bmc| view::summary(bmc, secure)).collect()
    }

    async fn show(&self, name: &str) -> Result<BmcDetail, ControlError> {
        let name = self.resolve(name)?;
        self.bmcs().get(&name).map(|bmc| view::detail(bmc, self.secure())).ok_or_else(|| no_bmc(&name))
    }

    async fn add(&self, bmc: AddBmc) -> Result<BmcDetail, ControlError> {
        self.add_bmc(bmc).await
    }

    async fn set(&self, name: &str, change: SetBmc) -> Result<BmcDetail, ControlError> {
        self.set_bmc(name, change).await
    }

    async fn remove(&self, name: &str, keep_state: bool) -> Result<(), ControlError> {
        self.remove_bmc(name, keep_state).await
    }

    async fn start(&self, name: &str) -> Result<BmcDetail, ControlError> {
        self.start_bmc(name).await
    }

    async fn stop(&self, name: &str) -> Result<BmcDetail, ControlError> {
        self.stop_bmc(name).await
    }

    async fn power(&self, name: &str, action: PowerAction) -> Result<PowerReply, ControlError> {
        let machine = self.machine(name)?;
        let outcome = match machine.request(Request::Power(action, Origin::Client)).await? {
            Outcome::Done | Outcome::Logged(_) | Outcome::Volume(_) => PowerOutcome::Done,
            Outcome::NothingToDo => PowerOutcome::NothingToDo,
            Outcome::Joined => PowerOutcome::Joined,
            Outcome::Accepted => PowerOutcome::Accepted,
        };
        Ok(PowerReply { name: machine.name().to_string(), action, outcome, power: machine.snapshot().power })
    }

    async fn boot(&self, name: &str) -> Result<BootView, ControlError> {
        Ok(view::boot(&self.machine(name)?.snapshot().boot))
    }

    async fn sensors(&self, name: &str) -> Result<Vec<SensorView>, ControlError> {
        Ok(view::sensors(&self.machine(name)?.snapshot()))
    }

    async fn set_boot(&self, name: &str, boot: SetBoot) -> Result<BootView, ControlError> {
        let machine = self.machine(name)?;
        let firmware = machine.snapshot().info.as_ref().map(|info| info.firmware);
        let change = Change { boot: Some(boot_override(boot, firmware)?), ..Change::default() };
        machine.request(Request::Change(Box::new(change))).await?;
        Ok(view::boot(&machine.snapshot().boot))
    }

    async fn media(&self, name: &str) -> Result<Vec<DriveView>, ControlError> {
        Ok(view::media(&self.machine(name)?.snapshot()))
    }

    async fn insert(&self, name: &str, drive: MediaSlot, image: InsertImage) -> Result<(), ControlError> {
        let insert = insert_media(drive, image)?;
        self.machine(name)?.request(Request::Media(MediaRequest::Insert(Box::new(insert)))).await?;
        Ok(())
    }

    async fn eject(&self, name: &str, drive: MediaSlot) -> Result<(), ControlError> {
        self.machine(name)?.request(Request::Media(MediaRequest::Eject(drive))).await?;
        Ok(())
    }

    async fn sel(&self, name: &str) -> Result<SelView, ControlError> {
        Ok(view::sel(&self.machine(name)?.snapshot()))
    }

    async fn clear_sel(&self, name: &str) -> Result<(), ControlError> {
        self.machine(name)?.request(Request::Sel(SelRequest::Clear { if_erasures: None })).await?;
        Ok(())
    }

    async fn console(&self, name: &str) -> Result<Console, ControlError> {
        let machine = self.machine(name)?;
        let none =
            || ControlError::new(ErrorKind::Unsupported, "this machine's backend has no serial console");
        machine.console().cloned().ok_or_else(none)
    }

    async fn screenshot(&self, name: &str) -> Result<Screenshot, ControlError> {
        Ok(self.machine(name)?.screenshot().await?)
    }

    fn events(&self, after: u64) -> (Vec<Event>, broadcast::Receiver<Event>) {
        self.fleet.events().follow(after)
    }

    async fn system_interface(&self, name: &str) -> Result<SystemInterfaceView, ControlError> {
        self.view_door(name)
    }

    async fn set_system_interface(
        &self,
        name: &str,
        kind: Option<SystemInterfaceKind>,
    ) -> Result<SystemInterfaceView, ControlError> {
        self.change_door(name, kind).await
    }

    async fn reload(&self) -> Result<ReloadReport, ControlError> {
        self.reload_file().await
    }
}

/// The image that was asked for, with the user name and the password taken out of its URL.
fn insert_media(slot: MediaSlot, image: InsertImage) -> Result<InsertMedia, ControlError> {
    let InsertImage { image, mut username, mut password, writable } = image;
    let mut url = Url::parse(&image).map_err(|error| {
        ControlError::invalid(format!("`{}` is no URL: {error}", image.split('@').next_back().unwrap_or("")))
    })?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if !url.username().is_empty() {
        username = username.or_else(|| Some(decoded(url.username())));
        password = password.or_else(|| url.password().map(|password| Secret::new(decoded(password))));
    }
    // A URL that cannot have them has none.
    let _ = (url.set_username(""), url.set_password(None));
    if writable && slot == MediaSlot::Cd {
        return Err(ControlError::invalid("nothing can be written to a CD; use the drive usb"));
    }
    let image = String::from(url);
    let method = TransferMethod::default();
    let transfer = Transfer::default();
    Ok(InsertMedia { slot, image, username, password, write_protected: !writable, method, transfer })
}

/// The override that was asked for; where nothing was said of UEFI, as the machine's firmware is.
fn boot_override(boot: SetBoot, firmware: Option<FirmwareMode>) -> Result<BootOverride, ControlError> {
    match (boot.target, &boot.uri) {
        (BootTarget::Http, None) => {
            return Err(ControlError::invalid("the target http needs a URI to load from"));
        }
        (target, Some(_)) if target != BootTarget::Http => {
            return Err(ControlError::invalid(format!("the target {} takes no URI", target.as_str())));
        }
        (BootTarget::None | BootTarget::BiosSetup, _) if boot.device.is_some() => {
            return Err(ControlError::invalid(format!(
                "the target {} takes no device",
                boot.target.as_str()
            )));
        }
        (BootTarget::None, _) => return Ok(BootOverride::default()),
        _ => {}
    }
    Ok(BootOverride {
        target: boot.target,
        enabled: if boot.persistent { BootEnabled::Continuous } else { BootEnabled::Once },
        efi: boot.uefi.unwrap_or(firmware == Some(FirmwareMode::Uefi)),
        http_uri: boot.uri,
        device: boot.device,
        ..BootOverride::default()
    })
}
