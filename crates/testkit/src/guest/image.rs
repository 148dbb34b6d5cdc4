//! Boot media of a test guest: a Linux kernel and a one-file userland under GRUB, one image per medium, each of which says on
//! the serial console which one it is. The images are hybrid: the same file boots as disk, stick or CD, by BIOS or by UEFI.

use std::fs;
use std::path::{Path, PathBuf};

use crate::paths;
use crate::tools::Tool;

const INIT: &str = include_str!("init.sh");
/// Where Debian and Ubuntu put a busybox that needs no libraries.
const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// Modules that the power button and virtio disks need in kernels built for clouds, each after those that it needs itself.
const MODULES: [&str; 8] = [
    "drivers/input/evdev.ko",
    "drivers/acpi/button.ko",
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
];
/// The module behind UEFI variables, which only `init.sh` loads, and only when it is asked for them.
const EFI_MODULE: &str = "fs/efivarfs/efivarfs.ko";
/// Modules by which a guest talks to its BMC, in the order in which they need each other.
const IPMI_MODULES: [&str; 3] = [
    "drivers/char/ipmi/ipmi_msghandler.ko",
    "drivers/char/ipmi/ipmi_devintf.ko",
    "drivers/char/ipmi/ipmi_si.ko",
];
/// Where QEMU's own DHCP server says that its TFTP server is.
const TFTP: &str = "(tftp,10.0.2.2)";

/// Kernel and userland, in a folder of their own.
#[derive(Debug)]
pub(super) struct Payload {
    folder: PathBuf,
}

impl Payload {
    /// Packs the userland next to the kernel, into `folder`.
    pub(super) fn build(folder: &Path) -> Self {
        Self::pack(folder, &paths::guest_kernel(), |_, _| ())
    }

    /// The same with what a guest needs to talk to its BMC: another kernel, its drivers, and ipmitool.
    pub(super) fn build_with_ipmi(folder: &Path) -> Self {
        Self::pack(folder, &paths::guest_kernel_with_ipmi(), |root, modules| {
            for (number, module) in IPMI_MODULES.iter().enumerate() {
                let source = modules.join(module);
                let name = source.file_name().expect("a module has a name").to_string_lossy();
                // Those that come first are put in first.
                let to = root.join("modules").join(format!("{number}-{name}"));
                fs::copy(&source, to).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
            }
            add_program(root, "ipmitool");
        })
    }

    fn pack(folder: &Path, kernel: &Path, add: impl FnOnce(&Path, &Path)) -> Self {
        let image = only_file(&kernel.join("boot"), "vmlinuz-");
        fs::create_dir_all(folder).expect("the folder of the guest can be written");
        fs::copy(&image, folder.join("vmlinuz")).expect("the kernel can be copied");

        let root = folder.join("root");
        for dir in ["bin", "dev", "proc", "sys", "modules", "modules/efi"] {
            fs::create_dir_all(root.join(dir)).expect("the userland can be written");
        }
        let busybox = BUSYBOX.iter().find(|path| Path::new(path).exists());
        let busybox = busybox.expect("missing a static busybox: run `cargo xtask setup`");
        fs::copy(busybox, root.join("bin/busybox")).expect("busybox can be copied");
        let versions = only_file(&kernel.join("lib/modules"), "");
        let numbered = MODULES.iter().enumerate();
        // Those that are loaded at once are in the order of their names.
        let modules = numbered.map(|(number, module)| (*module, format!("modules/{number:02}.ko")));
        for (module, to) in modules.chain([(EFI_MODULE, "modules/efi/efivarfs.ko".to_owned())]) {
            let source = versions.join("kernel").join(module);
            // A kernel may have it built in.
            if source.exists() {
                fs::copy(&source, root.join(to)).expect("a module can be copied");
            }
        }
        add(&root, &versions.join("kernel"));
        fs::write(root.join("init"), INIT).expect("the userland can be written");
        let pack = "chmod 0755 init && find . | cpio -o -H newc --quiet --owner=0:0 | gzip -1 > ../initrd";
        Tool::find("sh").args(["-euc", pack]).current_dir(&root).ok();
        fs::remove_dir_all(&root).expect("the packed userland can be removed");
        Self { folder: folder.to_path_buf() }
    }

    /// One that [`build`](Self::build) has made in `folder`.
    pub(super) fn built(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    /// An image that says `medium`.
    pub(super) fn image(&self, medium: &str, file: &Path) {
        let tree = self.folder.join(format!("tree-{medium}"));
        let grub = tree.join("boot/grub");
        fs::create_dir_all(&grub).expect("the image's tree can be written");
        for name in ["vmlinuz", "initrd"] {
            fs::hard_link(self.folder.join(name), tree.join(name))
                .expect("kernel and userland can be linked");
        }
        fs::write(grub.join("grub.cfg"), menu(medium, "")).expect("the image's tree can be written");
        Tool::find("grub-mkrescue").arg("-o").arg(file).arg(&tree).ok();
        fs::remove_dir_all(&tree).expect("the image's tree can be removed");
    }

    /// A program for UEFI that has kernel and userland in it and says `medium`.
    pub(super) fn program(&self, medium: &str) -> Vec<u8> {
        let file = |name: &str| self.folder.join(format!("{medium}-{name}"));
        let (config, disk, program) = (file("grub.cfg"), file("memdisk.tar"), file("program.efi"));
        fs::write(&config, menu(medium, "(memdisk)")).expect("the guest's folder can be written");
        let tar = Tool::find("tar").arg("-C").arg(&self.folder).arg("-cf").arg(&disk);
        tar.args(["vmlinuz", "initrd"]).ok();
        let make = Tool::find("grub-mkimage").args(["-O", "x86_64-efi", "-p", "/", "-c"]).arg(&config);
        let make = make.arg("-m").arg(&disk).arg("-o").arg(&program);
        make.args(["memdisk", "tar", "linux", "serial", "terminal", "echo", "normal", "boot"]).ok();
        fs::read(&program).expect("what was made can be read")
    }

    /// The folder of a TFTP server from which both firmwares boot; returns the two boot files, for BIOS and for UEFI.
    pub(super) fn tftp(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("the TFTP folder can be written");
        for name in ["vmlinuz", "initrd"] {
            fs::hard_link(self.folder.join(name), folder.join(name))
                .expect("kernel and userland can be linked");
        }
        let config = folder.join("grub.cfg");
        fs::write(&config, menu("pxe", TFTP)).expect("the TFTP folder can be written");
        let common = ["tftp", "linux", "serial", "terminal", "echo", "normal", "boot"];
        for (file, format, own) in [
            (BIOS_BOOT_FILE, "i386-pc-pxe", &["pxe"][..]),
            (UEFI_BOOT_FILE, "x86_64-efi", &["efinet", "net"][..]),
        ] {
            let make = Tool::find("grub-mkimage").args(["-O", format, "-p", "/", "-c"]).arg(&config);
            make.arg("-o").arg(folder.join(file)).args(own).args(common).ok();
        }
    }
}

/// Copies a program with the libraries that it is linked with into a userland, where they lie on this host.
fn add_program(root: &Path, name: &str) {
    let program = Tool::find("sh").args(["-c", &format!("command -v {name}")]).ok();
    let program = Path::new(program.trim());
    let linked = Tool::find("ldd").arg(program).ok();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    for file in libraries.chain([program]) {
        let to = root.join(file.strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(to.parent().expect("a file has a folder")).expect("the userland can be written");
        fs::copy(file, to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// The boot file for BIOS in the TFTP folder.
pub(super) const BIOS_BOOT_FILE: &str = "bios.0";
/// The boot file for UEFI in the TFTP folder.
pub(super) const UEFI_BOOT_FILE: &str = "uefi.efi";

/// GRUB's commands: everything on the serial line, no menu, no wait.
fn menu(medium: &str, device: &str) -> String {
    format!(
        "serial --unit=0 --speed=115200\n\
         terminal_output serial\n\
         linux {device}/vmlinuz console=ttyS0,115200 quiet panic=-1 testguest.from={medium}\n\
         initrd {device}/initrd\n\
         boot\n"
    )
}

/// The one entry of a folder whose name starts with `prefix`.
fn only_file(folder: &Path, prefix: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    found
        .pop()
        .unwrap_or_else(|| panic!("nothing named {prefix}* in {}: run `cargo xtask setup`", folder.display()))
}
