//! What a simulated machine prints on its serial line, and who answers there: firmware, a boot loader, and an operating system with a login
//! and a few commands. Pure: what happens and what is typed goes in, text and actions come out.
//!
//! ```text
//!   Nobody ──firmware, loader──► Login ──a name, Enter──► Shell ──exit──► Login
//!     ▲                            │                        │
//!     └───── reset, shutdown, power off ────────────────────┘
//! ```

use std::time::{Duration, Instant};

use bmc_core::backend::MachineInfo;
use bmc_core::boot::FirmwareMode;

/// Longest line that is taken, in bytes; what is typed beyond it rings the bell.
pub const LINE_MAX_BYTES: usize = 256;

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const ERASE: &[u8] = b"\x08 \x08";
const BELL: u8 = 0x07;

const HELP: &str = "\
help      this list\r
uptime    how long the system has been up\r
uname     what system this is\r
echo ...  prints its words\r
reboot    restarts the machine\r
poweroff  shuts it down\r
exit      logs out\r
";

/// Something that happened to the machine and shows on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment<'a> {
    /// Firmware begins.
    Post(&'a MachineInfo),
    /// Firmware hands over to this.
    Booting(&'a str),
    /// Firmware shows its setup screen instead.
    Setup,
    /// The operating system is up.
    Up(&'a str),
    /// It shuts down.
    GoingDown,
    /// There is no power any more.
    Off,
    /// A diagnostic interrupt came.
    Interrupt,
}

/// What somebody at the shell makes the machine do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Restart.
    Reboot,
    /// Shut down.
    PowerOff,
}

/// Who listens to what is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Listener {
    #[default]
    Nobody,
    Login,
    Shell {
        user: String,
    },
}

/// The line of one machine.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    listener: Listener,
    host: String,
    line: Vec<u8>,
    /// Whether the last character was a carriage return, which makes a line feed behind it part of the same Enter.
    returned: bool,
    up_since: Option<Instant>,
}

impl Terminal {
    /// What shows of a moment.
    pub fn shows(&mut self, now: Instant, moment: Moment<'_>) -> String {
        match moment {
            Moment::Post(info) => {
                *self = Self { host: info.name.clone(), ..Self::default() };
                format!(
                    "\r\nSimulated {} firmware\r\n{}: {} processors, {} MiB memory\r\nSelf-test ...",
                    if info.firmware == FirmwareMode::Uefi { "UEFI" } else { "BIOS" },
                    info.name,
                    info.processors,
                    info.memory_bytes >> 20,
                )
            }
            Moment::Booting(from) => {
                format!(" passed\r\nBooting from {from}\r\nLoading the operating system ...\r\n")
            }
            Moment::Setup => " passed\r\nFirmware setup. A reset leaves it.\r\n".to_owned(),
            Moment::Up(host) => {
                self.host = host.to_owned();
                self.up_since = Some(now);
                format!(
                    "\r\nSimulated operating system on ttyS0. Log in by any name; there is no password.\r\n{}",
                    self.login()
                )
            }
            Moment::GoingDown => {
                self.hang_up();
                "\r\nThe system is going down now.\r\n".to_owned()
            }
            Moment::Off => {
                self.hang_up();
                "\r\nPower is off.\r\n".to_owned()
            }
            Moment::Interrupt => "\r\nNon-maskable interrupt received.\r\n".to_owned(),
        }
    }

    /// What shows of a break.
    pub fn breaks(&mut self) -> String {
        if self.listener == Listener::Nobody {
            return String::new();
        }
        self.line.clear();
        format!("\r\nBreak received.\r\n{}", self.prompt())
    }

    /// Takes what is typed; returns what shows of it, and what it makes the machine do.
    pub fn types(&mut self, now: Instant, typed: &[u8]) -> (Vec<u8>, Option<Action>) {
        let mut shown = Vec::new();
        for byte in typed {
            if self.listener == Listener::Nobody {
                break;
            }
            let returned = std::mem::replace(&mut self.returned, *byte == b'\r');
            match *byte {
                b'\n' if returned => {}
                b'\r' | b'\n' => {
                    shown.extend(b"\r\n");
                    let line = std::mem::take(&mut self.line);
                    let (answer, action) = self.enter(now, &String::from_utf8_lossy(&line));
                    shown.extend(answer.as_bytes());
                    if action.is_some() {
                        return (shown, action);
                    }
                }
                BACKSPACE | DELETE => {
                    if self.erase() {
                        shown.extend(ERASE);
                    }
                }
                CTRL_U => {
                    while self.erase() {
                        shown.extend(ERASE);
                    }
                }
                CTRL_C => {
                    self.line.clear();
                    shown.extend(format!("^C\r\n{}", self.prompt()).bytes());
                }
                CTRL_D if self.line.is_empty() => shown.extend(format!("\r\n{}", self.login()).bytes()),
                // Control characters, tabulators and escape sequences do nothing here.
                byte if byte < b' ' => {}
                _ if self.line.len() >= LINE_MAX_BYTES => shown.push(BELL),
                byte => {
                    self.line.push(byte);
                    shown.push(byte);
                }
            }
        }
        (shown, None)
    }

    fn hang_up(&mut self) {
        *self = Self { host: std::mem::take(&mut self.host), ..Self::default() };
    }

    /// Takes the last character away, all its bytes.
    fn erase(&mut self) -> bool {
        while let Some(byte) = self.line.pop() {
            if byte & 0xc0 != 0x80 {
                return true;
            }
        }
        false
    }

    fn login(&mut self) -> String {
        self.listener = Listener::Login;
        self.line.clear();
        format!("\r\n{} login: ", self.host)
    }

    fn prompt(&self) -> String {
        match &self.listener {
            Listener::Nobody => String::new(),
            Listener::Login => format!("{} login: ", self.host),
            Listener::Shell { user } => format!("{user}@{}:~$ ", self.host),
        }
    }

    fn enter(&mut self, now: Instant, line: &str) -> (String, Option<Action>) {
        let line = line.trim();
        if self.listener == Listener::Login {
            if line.is_empty() {
                return (self.prompt(), None);
            }
            self.listener = Listener::Shell { user: line.to_owned() };
            return (
                format!("Welcome to {}. Type help for what there is.\r\n{}", self.host, self.prompt()),
                None,
            );
        }
        let (command, words) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match command {
            "" => String::new(),
            "help" => HELP.to_owned(),
            "uptime" => {
                let up = self.up_since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
                format!("up {}\r\n", duration(up))
            }
            "uname" => format!("simulated {}\r\n", self.host),
            "echo" => format!("{words}\r\n"),
            "exit" | "logout" => return (self.login(), None),
            "reboot" => return (String::new(), Some(Action::Reboot)),
            "poweroff" | "halt" | "shutdown" => return (String::new(), Some(Action::PowerOff)),
            _ => format!("{command}: no such command; type help\r\n"),
        };
        (answer + &self.prompt(), None)
    }
}

/// A time as people read it.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> (Terminal, Instant) {
        let mut terminal = Terminal::default();
        let now = Instant::now();
        assert!(terminal.shows(now, Moment::Up("node-0")).ends_with("\r\nnode-0 login: "));
        (terminal, now)
    }

    fn types(terminal: &mut Terminal, now: Instant, typed: &str) -> String {
        let (shown, action) = terminal.types(now, typed.as_bytes());
        assert_eq!(action, None, "{typed:?}");
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn nobody_answers_before_the_system_is_up_and_after_it_went_down() {
        let mut terminal = Terminal::default();
        let now = Instant::now();
        let info = MachineInfo {
            name: "node-0".to_owned(),
            processors: 2,
            memory_bytes: 4 << 30,
            ..Default::default()
        };
        assert!(terminal.shows(now, Moment::Post(&info)).contains("node-0: 2 processors, 4096 MiB memory"));
        assert_eq!((types(&mut terminal, now, "x\r"), terminal.breaks()), (String::new(), String::new()));
        assert!(terminal.shows(now, Moment::Booting("disk sda")).contains("Booting from disk sda\r\n"));
        assert!(terminal.shows(now, Moment::Up("node-0")).contains("login: "));
        terminal.shows(now, Moment::GoingDown);
        assert_eq!(types(&mut terminal, now, "x"), "");
    }

    #[test]
    fn what_is_typed_is_echoed_and_can_be_mended() {
        let (mut terminal, now) = up();
        let shown = types(&mut terminal, now, "anna\r\n");
        assert!(
            shown.starts_with("anna\r\nWelcome to node-0.") && shown.ends_with("anna@node-0:~$ "),
            "{shown:?}"
        );
        let shown = types(&mut terminal, now, "ecxy\x7f\x08ho ö\x7fü\n");
        assert_eq!(shown, "ecxy\x08 \x08\x08 \x08ho ö\x08 \x08ü\r\nü\r\nanna@node-0:~$ ");
        assert_eq!(types(&mut terminal, now, "abc\x03"), "abc^C\r\nanna@node-0:~$ ");
        assert_eq!(types(&mut terminal, now, "ab\x15"), "ab\x08 \x08\x08 \x08");
        assert_eq!(types(&mut terminal, now, "\x1b\t"), "");
        assert_eq!(
            types(&mut terminal, now, "what\r"),
            "what\r\nwhat: no such command; type help\r\nanna@node-0:~$ "
        );
        assert_eq!(terminal.breaks(), "\r\nBreak received.\r\nanna@node-0:~$ ");
        let long = types(&mut terminal, now, &"x".repeat(LINE_MAX_BYTES + 2));
        assert!(long.ends_with("x\x07\x07") && long.len() == LINE_MAX_BYTES + 2);
    }

    #[test]
    fn commands_act_on_the_machine() {
        let (mut terminal, now) = up();
        types(&mut terminal, now, "root\r");
        assert!(types(&mut terminal, now, "help\r").contains("poweroff"));
        assert!(
            types(&mut terminal, now + Duration::from_secs(3_700), "uptime\r").contains("up 1 h 1 min\r\n")
        );
        assert!(types(&mut terminal, now, "uptime\r").contains("up 0 s\r\n"));
        assert!(types(&mut terminal, now, "uname\r").contains("node-0"));
        assert_eq!(terminal.types(now, b"poweroff\rmore").1, Some(Action::PowerOff));
        assert_eq!(terminal.types(now, b"reboot\r").1, Some(Action::Reboot));
        assert!(types(&mut terminal, now, "exit\r").ends_with("node-0 login: "));
        assert!(types(&mut terminal, now, "\r").ends_with("node-0 login: "));
        assert!(types(&mut terminal, now, "root\r\x04").ends_with("node-0 login: "));
    }
}
