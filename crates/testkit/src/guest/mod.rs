//! Real guests under a real libvirtd: a tiny Linux that boots in seconds in software emulation, says on its serial console what it
//! booted from, obeys the power button, and restarts on command.
//!
//! ```no_run
//! use testkit::guest::{Firmware, Guest};
//!
//! let mut guest = Guest::define(Firmware::SeaBios);
//! guest.virsh(["start", guest.name()]);
//! assert_eq!(guest.next_boot().from, "disk");
//! guest.tell("reboot");
//! assert_eq!(guest.next_boot().from, "disk");
//! ```
//!
//! Every guest has a disk, a CD, a USB stick, and a network with its own PXE server, and boots from its disk by itself.
//! `virsh` is the witness for what libvirt thinks, the serial console for what the guest did. Domain, processes and files
//! vanish with the [`Guest`]; what a killed test left behind is removed by the next one. Needs root: the images lie where the
//! emulator's user can read them.

mod image;
mod libvirtd;
mod web;

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::tools::Tool;
use crate::{ports, wait};
use image::{BIOS_BOOT_FILE, Payload, UEFI_BOOT_FILE};
pub use libvirtd::Libvirtd;
pub use web::Web;

/// The libvirt connection of real guests.
pub const URI: &str = "qemu:///system";
/// How long a guest may take to boot: about 5 s in software emulation on an idle machine, 12 s over the network.
pub const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// How long a guest may take to answer or to shut down.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Where libvirt keeps images, and the emulator's user may read.
const IMAGES: &str = "/var/lib/libvirt/images";
/// Where libvirt keeps UEFI variables.
const VARIABLES: &str = "/var/lib/libvirt/qemu/nvram";
/// Folders and domains of guests are named so, followed by the process and a number.
const PREFIX: &str = "polybmc-tests-";
/// The password of the guest's screen; a definition has to keep its secrets.
pub const SCREEN_PASSWORD: &str = "hush1234";

/// What starts the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// PC BIOS.
    SeaBios,
    /// UEFI, selected by libvirt, with variables of its own.
    Ovmf,
}

/// What a guest said when its userland was up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// `disk`, `cdrom`, `usb`, `pxe`, or what else a medium or a program was made to say.
    pub from: String,
    /// `bios` or `efi`.
    pub firmware: String,
}

/// A disk as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the guest calls it, such as `vda`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its serial number, where the guest is told one.
    pub serial: String,
}

/// What the guest's serial line is for libvirt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialLine {
    /// A socket that only [`Guest::tell`] types into: libvirt cannot connect others to it.
    Socket,
    /// A pseudo-terminal, which one program at a time can have of libvirt. [`Guest::tell`] is of no use; what the guest says is
    /// witnessed all the same.
    Pty,
}

/// A defined domain that is off at first.
#[derive(Debug)]
pub struct Guest {
    name: String,
    folder: PathBuf,
    /// How much of the console's log has been read.
    read: usize,
    net: Option<Child>,
}

impl Guest {
    /// Builds the media and defines the domain.
    ///
    /// # Panics
    /// When libvirtd, QEMU or a tool is missing, or this user may not use them: `cargo xtask setup` mends it.
    #[track_caller]
    pub fn define(firmware: Firmware) -> Self {
        Self::define_with(firmware, SerialLine::Socket)
    }

    /// As [`define`](Self::define), with a choice of the serial line.
    ///
    /// # Panics
    /// As [`define`](Self::define).
    #[track_caller]
    pub fn define_with(firmware: Firmware, line: SerialLine) -> Self {
        let (name, folder) = fresh();
        let payload = Payload::build(&folder);
        for medium in ["disk", "cdrom", "usb"] {
            payload.image(medium, &folder.join(format!("{medium}.img")));
        }
        let tftp = folder.join("tftp");
        payload.tftp(&tftp);
        let boot_file = match firmware {
            Firmware::SeaBios => BIOS_BOOT_FILE,
            Firmware::Ovmf => UEFI_BOOT_FILE,
        };
        let address = ports::free_tcp();
        let net = serve_network(address, &tftp, boot_file);
        let guest = Self { name, folder, read: 0, net: Some(net) };
        let file = guest.folder.join("domain.xml");
        fs::write(&file, domain_xml(&guest.name, &guest.folder, firmware, line, address))
            .expect("the folder can be written");
        guest.virsh([Path::new("define"), &file]);
        guest
    }

    /// A guest whose kernel has drivers for IPMI and whose userland has ipmitool: QEMU loads both itself, from nothing that could be booted
    /// otherwise. [`Guest::ipmi`] speaks through it.
    ///
    /// # Panics
    /// As [`define`](Self::define).
    #[track_caller]
    pub fn define_with_ipmi() -> Self {
        let (name, folder) = fresh();
        Payload::build_with_ipmi(&folder);
        let guest = Self { name, folder, read: 0, net: None };
        let file = guest.folder.join("domain.xml");
        fs::write(&file, direct_xml(&guest.name, &guest.folder)).expect("the folder can be written");
        guest.virsh([Path::new("define"), &file]);
        guest
    }

    /// Has ipmitool in the guest ask the guest's own BMC; returns whether that went well, and what it printed.
    ///
    /// # Panics
    /// When it does not end within [`ANSWER_LIMIT`].
    #[track_caller]
    pub fn ipmi(&mut self, arguments: &str) -> (bool, String) {
        const END: &str = "TESTGUEST ipmi-end ";
        let _line = self.type_line(&format!("ipmi {arguments}"));
        self.next_line("TESTGUEST ipmi-begin", ANSWER_LIMIT);
        self.next(END, ANSWER_LIMIT, |said| {
            let at = said.find(END)?;
            let (status, _) = said[at + END.len()..].split_once('\n')?;
            let end = at + END.len() + status.len() + 1;
            Some((end, (status.trim() == "0", said[..at].replace('\r', ""))))
        })
    }

    /// Types a line on the serial console. What is returned is to be held until the guest has read it.
    ///
    /// # Panics
    /// When the guest does not run.
    #[track_caller]
    pub fn type_line(&self, text: &str) -> Typing {
        let mut line =
            UnixStream::connect(self.folder.join("console.sock")).expect("a running guest has a console");
        let mut said = line.try_clone().expect("a console can be read");
        // The emulator writes byte by byte, and soon waits for who is connected and does not read.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        writeln!(line, "{text}").expect("the console takes a line");
        Typing(line)
    }

    /// The folder of its media, which the emulator's user can read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds one more medium, from which the guest says that it has booted from `says`; returns its file, in the guest's folder.
    ///
    /// # Panics
    /// When it cannot be built.
    #[track_caller]
    pub fn medium(&self, says: &str) -> PathBuf {
        let file = self.folder.join(format!("{says}.img"));
        Payload::built(&self.folder).image(says, &file);
        file
    }

    /// A program for UEFI, whole in one file, that boots the guest and makes it say that it has booted from `says`.
    ///
    /// # Panics
    /// When it cannot be built.
    #[track_caller]
    pub fn program(&self, says: &str) -> Vec<u8> {
        Payload::built(&self.folder).program(says)
    }

    /// The domain's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain's UUID.
    pub fn uuid(&self) -> String {
        self.virsh(["domuuid", &self.name]).trim().to_owned()
    }

    /// The domain's definition, with its secrets.
    pub fn definition(&self) -> String {
        self.virsh(["dumpxml", "--inactive", "--security-info", &self.name])
    }

    /// The domain's state in libvirt's words, such as `running` or `shut off`.
    pub fn state(&self) -> String {
        self.virsh(["domstate", &self.name]).trim().to_owned()
    }

    /// Runs `virsh` on the connection of the guests and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn virsh<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        virsh().args(args).ok()
    }

    /// Waits for the next boot and returns what it was from.
    ///
    /// # Panics
    /// When it does not come within [`BOOT_LIMIT`]; the message holds what the console said instead.
    #[track_caller]
    pub fn next_boot(&mut self) -> Boot {
        let line = self.next_line("TESTGUEST booted-from=", BOOT_LIMIT);
        let field = |key: &str| {
            let value = line.split_whitespace().find_map(|word| word.strip_prefix(key));
            value.unwrap_or_else(|| panic!("no {key} in {line:?}")).to_owned()
        };
        Boot { from: field("booted-from="), firmware: field("firmware=") }
    }

    /// Waits for the next line of the serial console that contains `text`, and returns it.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    #[track_caller]
    pub fn next_line(&mut self, text: &str, limit: Duration) -> String {
        self.next(text, limit, |said| {
            let mut end = 0;
            said.split_inclusive('\n').find_map(|line| {
                end += line.len();
                (line.contains(text) && line.ends_with('\n')).then(|| (end, line.trim().to_owned()))
            })
        })
    }

    /// Waits until the serial console has said `text`, which may be part of a screen that a firmware paints.
    ///
    /// # Panics
    /// When it does not come within `limit`.
    #[track_caller]
    pub fn next_words(&mut self, text: &str, limit: Duration) {
        self.next(text, limit, |said| said.find(text).map(|at| (at + text.len(), ())));
    }

    /// Waits until `find` finds something in what the console said since the last find, and how far that reaches.
    #[track_caller]
    fn next<T>(&mut self, text: &str, limit: Duration, find: impl Fn(&str) -> Option<(usize, T)>) -> T {
        let log = self.folder.join("console.log");
        let mut bytes = Vec::new();
        let found = wait::poll(limit, || {
            bytes = fs::read(&log).unwrap_or_default().split_off(self.read);
            find(&String::from_utf8_lossy(&bytes))
        });
        let Some((length, found)) = found else {
            let said = String::from_utf8_lossy(&bytes);
            panic!(
                "waited {limit:?} in vain for {text:?} on the console of {}, which said:\n{said}",
                self.name
            )
        };
        self.read += consumed(&bytes, length);
        found
    }

    /// The disks that the guest itself sees.
    ///
    /// # Panics
    /// When the guest does not answer.
    #[track_caller]
    pub fn blocks(&mut self) -> Vec<Block> {
        let _line = self.type_line("blocks");
        let mut blocks = Vec::new();
        loop {
            let line = self.next_line("TESTGUEST block", ANSWER_LIMIT);
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, "block", name, sectors, serial] = words[..] else { return blocks };
            let sectors = sectors.strip_prefix("sectors=").and_then(|sectors| sectors.parse::<u64>().ok());
            let serial = serial.strip_prefix("serial=").and_then(|serial| serial.strip_suffix('.'));
            blocks.push(Block {
                name: name.to_owned(),
                bytes: sectors.expect("a number of sectors") * 512,
                serial: serial.unwrap_or_default().to_owned(),
            });
        }
    }

    /// Types a line on the serial console: `ping`, `work`, `rest`, `reboot`, `poweroff` or `panic`; waits until the guest has answered it.
    ///
    /// # Panics
    /// When the guest does not answer.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        let answer = match command {
            "ping" => "TESTGUEST pong",
            "reboot" => "TESTGUEST rebooting",
            "poweroff" => "TESTGUEST powering-off",
            "panic" => "TESTGUEST panicking",
            "work" => "TESTGUEST working",
            "rest" => "TESTGUEST resting",
            _ => panic!("the guest does not know {command:?}"),
        };
        let _line = self.type_line(command);
        self.next_line(answer, ANSWER_LIMIT);
    }

    /// What the guest finds in its firmware's variable `SecureBoot`: `1` when signatures are enforced, `0` when not, `none` without such a
    /// variable.
    ///
    /// # Panics
    /// When the guest does not answer.
    #[track_caller]
    pub fn secure_boot(&mut self) -> String {
        let _line = self.type_line("secure-boot");
        let line = self.next_line("TESTGUEST secure-boot=", ANSWER_LIMIT);
        line.rsplit('=').next().unwrap_or_default().to_owned()
    }

    /// Waits until libvirt says that the domain is in this state.
    ///
    /// # Panics
    /// When it does not come within [`ANSWER_LIMIT`].
    #[track_caller]
    pub fn await_state(&self, state: &str) {
        wait::eventually(&format!("{} is {state}", self.name), ANSWER_LIMIT, || self.state() == state);
    }
}

/// Somebody at a guest's console.
#[derive(Debug)]
#[must_use = "a line that is typed by somebody who leaves at once is lost"]
pub struct Typing(UnixStream);

impl Drop for Typing {
    fn drop(&mut self) {
        // Ends the reader too.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Ending its standard input ends the shell, and that the network.
        if let Some(mut net) = self.net.take() {
            drop(net.stdin.take());
            let _ = net.wait();
        }
        remove(&self.name, &self.folder);
    }
}

/// Kernel and userland of a test guest, in `folder`, for a domain that QEMU boots from them directly. On its serial console, which its
/// command line has to name (`console=ttyS0`), it says `TESTGUEST booted-from=...` with what `testguest.from=` there says, and answers
/// lines: `ping` and what else `init.sh` knows.
///
/// # Panics
/// When the kernel or a tool is missing.
pub fn boot_files(folder: &Path) -> (PathBuf, PathBuf) {
    Payload::build(folder);
    (folder.join("vmlinuz"), folder.join("initrd"))
}

/// A name that no guest has, and its folder. What killed tests have left is removed.
fn fresh() -> (String, PathBuf) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    sweep();
    let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(IMAGES).join(&name);
    (name, folder)
}

fn virsh() -> Tool {
    Tool::find("virsh").args(["-q", "-c", URI])
}

/// Removes what there is of a guest.
fn remove(name: &str, folder: &Path) {
    // A domain that is off, or not there, is as good as removed.
    virsh().args(["destroy", name]).run();
    virsh().args(["undefine", "--nvram", "--managed-save", name]).run();
    let _ = fs::remove_dir_all(folder);
    // Of a guest that was given Secure Boot the variables of its other firmware stay.
    for file in fs::read_dir(VARIABLES).into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(&format!("{name}_VARS")) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Removes the guests of tests that were killed.
fn sweep() {
    let entries = fs::read_dir(IMAGES).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            remove(&name, &entry.path());
        }
    }
}

/// A network behind a TCP port: an emulator without a machine, whose DHCP and TFTP servers are what a guest boots from. It ends with
/// this process, however that ends: its shell waits for the end of our pipe.
fn serve_network(address: SocketAddr, tftp: &Path, boot_file: &str) -> Child {
    let script = "qemu-system-x86_64 \"$@\" </dev/null & read -r _; kill $!; wait";
    let child = Command::new("sh")
        .args(["-c", script, "network", "-M", "none", "-nodefaults", "-display", "none"])
        .args(["-netdev", &format!("user,id=servers,tftp={},bootfile={boot_file}", tftp.display())])
        .args(["-netdev", &format!("socket,id=guest,listen={address}")])
        .args([
            "-netdev",
            "hubport,id=a,hubid=0,netdev=servers",
            "-netdev",
            "hubport,id=b,hubid=0,netdev=guest",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be started");
    // A probe's connection that ends is followed by the next one.
    wait::eventually("the guest's network listens", ANSWER_LIMIT, || TcpStream::connect(address).is_ok());
    child
}

/// A guest that QEMU boots directly.
fn direct_xml(name: &str, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{folder}/vmlinuz</kernel>
    <initrd>{folder}/initrd</initrd>
    <cmdline>console=ttyS0,115200 quiet panic=-1 testguest.from=kernel</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <devices>
    <serial type='unix'><source mode='bind' path='{folder}/console.sock'/><log file='{folder}/console.log' append='on'/></serial>
  </devices>
</domain>
"
    )
}

fn domain_xml(
    name: &str,
    folder: &Path,
    firmware: Firmware,
    line: SerialLine,
    network: SocketAddr,
) -> String {
    // SeaBIOS says what it does on the serial console only when told to; OVMF always does.
    let (mode, features) = match firmware {
        Firmware::SeaBios => ("", "<bios useserial='yes'/>"),
        Firmware::Ovmf => {
            (" firmware='efi'", "<firmware><feature enabled='no' name='secure-boot'/></firmware>")
        }
    };
    let (folder, host, port) = (folder.display(), network.ip(), network.port());
    let (line, source) = match line {
        SerialLine::Socket => ("unix", format!("<source mode='bind' path='{folder}/console.sock'/>")),
        SerialLine::Pty => ("pty", String::new()),
    };
    // Slots into which disks can be plugged while it runs: libvirt makes as many as the devices need, and no more.
    let slots = "<controller type='pci' model='pcie-root'/>".to_owned()
        + &"<controller type='pci' model='pcie-root-port'/>".repeat(8);
    format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <metadata><app:note xmlns:app='urn:example:app' app:kept='yes'>a note of another tool</app:note></metadata>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os{mode}>
    <type arch='x86_64' machine='q35'>hvm</type>
    {features}
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/></features>
  <devices>
    {slots}
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{folder}/disk.img'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/><source file='{folder}/cdrom.img'/><target dev='sda' bus='sata'/><readonly/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{folder}/usb.img'/><target dev='sdb' bus='usb'/>
    </disk>
    <interface type='client'>
      <mac address='52:54:00:00:00:01'/><source address='{host}' port='{port}'/><model type='virtio'/>
    </interface>
    <serial type='{line}'>{source}<log file='{folder}/console.log' append='on'/></serial>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1' passwd='{SCREEN_PASSWORD}'/>
    <video><model type='vga'/></video>
  </devices>
  <qemu:commandline><qemu:env name='POLYBMC_TEST' value='1'/></qemu:commandline>
</domain>
"
    )
}

/// How many bytes of `bytes` make up `length` bytes of their text with broken UTF-8 replaced.
fn consumed(bytes: &[u8], length: usize) -> usize {
    let (mut taken, mut text) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        if text + chunk.valid().len() >= length {
            return taken + (length - text);
        }
        text += chunk.valid().len();
        taken += chunk.valid().len() + chunk.invalid().len();
        if !chunk.invalid().is_empty() {
            text += char::REPLACEMENT_CHARACTER.len_utf8();
        }
    }
    bytes.len()
}
