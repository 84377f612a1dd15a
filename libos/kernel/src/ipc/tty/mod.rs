//! Terminals: [`ldisc`] is what one makes of the bytes typed, with [`edit`] for the line that they are in; [`terminal`] binds it to programs and to a port,
//! [`job`] is job control, [`console`] and [`pty`] are the two kinds there are.

mod console;
mod edit;
mod ioctl;
pub mod job;
pub mod ldisc;
pub mod output;
mod port;
mod pty;
mod shown;
pub mod terminal;
pub mod termios;
mod turns;

pub use console::console;
pub use job::disassociate;
pub use terminal::Tty;

use crate::base::{Errno, Result};
use crate::fs::{Dev, register_char};
use crate::process::current;
use alloc::sync::Arc;

/// Makes the terminal devices. The console's mode must be settled.
pub(super) fn init() -> Result<()> {
    console::init()?;
    pty::init()?;
    // `/dev/tty`: the caller's controlling terminal, whatever it is.
    let open = |_, flags| {
        let terminal = current().process().terminal();
        terminal.ok_or(Errno::ENXIO)?.open(flags)
    };
    register_char("tty", Dev::new(5, 0), 0o666, Arc::new(open))
}
