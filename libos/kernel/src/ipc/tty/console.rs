//! `/dev/console`: the terminal on the serial line. When the line carries frames, what is written here goes to the host
//! with the kernel's messages, and nothing is ever typed.

use super::port::Port;
use super::terminal::Tty;
use super::termios::{IUTF8, Termios};
use crate::base::Result;
use crate::base::sync::Once;
use crate::drivers::frame::ToHost;
use crate::drivers::{ConsoleMode, console_mode, hostlink, uart};
use crate::fs::{Dev, register_char};
use alloc::boxed::Box;
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

struct SerialPort;

impl Port for SerialPort {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn send(&self, bytes: &[u8]) {
        match console_mode() {
            ConsoleMode::Tty => uart::send(&[bytes]),
            ConsoleMode::Framed => hostlink::send(ToHost::Log, bytes),
            ConsoleMode::Silent => {}
        }
    }

    fn input_taken(&self) {
        uart::resume();
    }
}

struct Keyboard;

impl uart::Receiver for Keyboard {
    fn room(&self) -> usize {
        console().room()
    }

    fn receive(&self, bytes: &[u8]) {
        console().receive(bytes);
    }
}

/// The terminal on the serial line.
pub fn console() -> &'static Arc<Tty> {
    static CONSOLE: Once<Arc<Tty>> = Once::new();
    CONSOLE.call_once(|| {
        let default = Termios::default();
        let termios = Termios {
            iflag: default.iflag | IUTF8,
            cflag: linux::B115200 | linux::CS8 | linux::CREAD | linux::HUPCL | linux::CLOCAL,
            ispeed: 115200,
            ospeed: 115200,
            ..default
        };
        Tty::new(Dev::new(5, 1), termios, Box::new(SerialPort))
    })
}

/// Makes the device and, if the line is a terminal, starts listening to it.
pub(super) fn init() -> Result<()> {
    let open = |_, flags| {
        // As on Linux, the console becomes a controlling terminal only when asked to.
        console().open(flags | crate::fs::types::OpenFlags::NOCTTY)
    };
    register_char("console", Dev::new(5, 1), 0o600, Arc::new(open))?;
    if console_mode() == ConsoleMode::Tty {
        uart::set_receiver(&Keyboard);
    }
    Ok(())
}
