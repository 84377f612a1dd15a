//! What programs ask of a terminal (ioctl_tty(2)).

use super::job;
use super::terminal::Tty;
use super::termios::{IXON, Termios, VSTART, VSTOP};
use crate::base::{Errno, Result};
use crate::fs::OpenFlags;
use crate::user::UserPtr;
use linux_raw_sys::general as linux;
use linux_raw_sys::ioctl::*;

pub(super) const TCXONC: u32 = 0x540a;
pub(super) const TCFLSH: u32 = 0x540b;
const TCSBRK: u32 = 0x5409;
const TCSBRKP: u32 = 0x5425;

/// `struct termios` as the kernel passes it is this long; `termios2` adds the two speeds.
const TERMIOS_LEN: usize = 36;
const TERMIOS2_LEN: usize = 44;

impl Termios {
    /// As `struct termios2`, which `struct termios` is the beginning of.
    fn encode(&self) -> [u8; TERMIOS2_LEN] {
        let mut out = [0; TERMIOS2_LEN];
        for (i, word) in [self.iflag, self.oflag, self.cflag, self.lflag]
            .into_iter()
            .enumerate()
        {
            out[i * 4..i * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        out[16] = self.line;
        out[17..36].copy_from_slice(&self.cc);
        out[36..40].copy_from_slice(&self.ispeed.to_le_bytes());
        out[40..44].copy_from_slice(&self.ospeed.to_le_bytes());
        out
    }

    /// These settings with what `bytes` (a `termios` or `termios2`) says; a speed comes from `c_cflag` unless it is `BOTHER`.
    fn decode(mut self, bytes: &[u8]) -> Termios {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        (self.iflag, self.oflag, self.cflag, self.lflag) = (word(0), word(4), word(8), word(12));
        self.line = bytes[16];
        self.cc.copy_from_slice(&bytes[17..36]);
        let coded = baud(self.cflag & linux::CBAUD);
        (self.ispeed, self.ospeed) = match coded {
            Some(speed) => (speed, speed),
            None if bytes.len() >= TERMIOS2_LEN => (word(36), word(40)),
            None => (self.ispeed, self.ospeed),
        };
        self
    }
}

/// The speed that a `B…` code stands for; `None` for `BOTHER`.
fn baud(code: u32) -> Option<u32> {
    const LOW: [u32; 16] = [
        0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
    ];
    const HIGH: [u32; 15] = [
        57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
        2500000, 3000000, 3500000, 4000000,
    ];
    let index = (code & 15) as usize;
    match code & linux::CBAUDEX {
        0 => Some(LOW[index]),
        _ => index.checked_sub(1).map(|i| HIGH[i]),
    }
}

/// `arg` is a number or the address of the argument, as `cmd` has it; `flags` are those of the open file.
pub(super) fn ioctl(tty: &Tty, flags: OpenFlags, cmd: u32, arg: usize) -> Result<usize> {
    if tty.state.lock().hung_up {
        return Err(if cmd == TIOCSPGRP {
            Errno::ENOTTY
        } else {
            Errno::EIO
        });
    }
    match cmd {
        TIOCSCTTY => job::set_controlling(tty, arg == 1, flags.readable()),
        TIOCNOTTY => job::give_up(tty),
        TIOCGPGRP => put_i32(arg, job::of_caller(tty)?.group),
        TIOCGSID => put_i32(arg, job::of_caller(tty)?.session),
        TIOCSPGRP => job::set_foreground(tty, UserPtr::new(arg).read()?),
        TCSETS | TCSETSW | TCSETSF | TCSETS2 | TCSETSW2 | TCSETSF2 | TCFLSH | TCSBRK | TCSBRKP
        | TCXONC => {
            job::check_background(tty, linux::SIGTTOU)?;
            change(tty, cmd, arg)
        }
        TIOCEXCL | TIOCNXCL => {
            tty.state.lock().exclusive = cmd == TIOCEXCL;
            Ok(0)
        }
        TIOCGEXCL => put_i32(arg, tty.state.lock().exclusive as i32),
        _ => common(tty, cmd, arg),
    }
}

fn put_i32(arg: usize, value: i32) -> Result<usize> {
    UserPtr::new(arg).write(value)?;
    Ok(0)
}

/// The requests that only a foreground process may make.
fn change(tty: &Tty, cmd: u32, arg: usize) -> Result<usize> {
    // Output leaves as it is written, so there is never any to wait for.
    match cmd {
        TCSETS | TCSETSW | TCSETSF => {
            set_termios(tty, &UserPtr::<[u8; TERMIOS_LEN]>::new(arg).read()?)
        }
        TCSETS2 | TCSETSW2 | TCSETSF2 => {
            set_termios(tty, &UserPtr::<[u8; TERMIOS2_LEN]>::new(arg).read()?)
        }
        TCFLSH => flush(tty, queue(arg)?),
        TCXONC => flow(tty, arg as u32)?,
        _ => {}
    }
    if matches!(cmd, TCSETSF | TCSETSF2) {
        flush(tty, linux::TCIFLUSH);
    }
    Ok(0)
}

/// Whether the usual keys stop output and start it again, so that the far end may take them for that.
fn has_usual_flow(t: &Termios) -> bool {
    t.i(IXON) && t.is(VSTOP, 0x13) && t.is(VSTART, 0x11)
}

fn set_termios(tty: &Tty, bytes: &[u8]) {
    {
        let mut state = tty.state.lock();
        let old = *state.ldisc.termios();
        let new = old.decode(bytes);
        state.ldisc.set_termios(new);
        match (has_usual_flow(&old), has_usual_flow(&new)) {
            (false, true) => tty.port.tell(linux::TIOCPKT_DOSTOP),
            (true, false) => tty.port.tell(linux::TIOCPKT_NOSTOP),
            _ => {}
        }
    }
    // The new mode may make readable what is there, or let output go on.
    tty.output_changed();
    tty.readable.wake_all();
    tty.port.input_taken();
}

/// The argument of `TCFLSH`.
pub(super) fn queue(arg: usize) -> Result<u32> {
    match arg as u32 {
        which @ 0..=linux::TCIOFLUSH => Ok(which),
        _ => Err(Errno::EINVAL),
    }
}

fn flush(tty: &Tty, which: u32) {
    {
        let mut state = tty.state.lock();
        if which != linux::TCOFLUSH {
            state.ldisc.flush_input();
            tty.port.tell(linux::TIOCPKT_FLUSHREAD);
        }
        if which != linux::TCIFLUSH {
            tty.port.flush();
        }
    }
    tty.port.input_taken();
    tty.output_changed();
}

/// What `TCIOFF` and `TCION` send; 0: nothing.
pub(super) fn flow_character(tty: &Tty, action: u32) -> Result<u8> {
    let index = match action {
        linux::TCIOFF => VSTOP,
        linux::TCION => VSTART,
        _ => return Err(Errno::EINVAL),
    };
    Ok(tty.state.lock().ldisc.termios().cc[index as usize])
}

fn flow(tty: &Tty, action: u32) -> Result<()> {
    match action {
        linux::TCOOFF => tty.state.lock().ldisc.hold(true),
        linux::TCOON => tty.state.lock().ldisc.hold(false),
        _ => {
            let c = flow_character(tty, action)?;
            let _state = tty.state.lock();
            if c != 0 && tty.port.room() > 0 {
                tty.port.send(&[c]);
            }
        }
    }
    tty.output_changed();
    Ok(())
}

/// The requests that the master of a pseudo-terminal passes on; it is in no session, so nothing stops it.
pub(super) fn master(tty: &Tty, cmd: u32, arg: usize) -> Result<usize> {
    match cmd {
        TCSETS | TCSETSW | TCSETSF | TCSETS2 | TCSETSW2 | TCSETSF2 | TCSBRK | TCSBRKP => {
            change(tty, cmd, arg)
        }
        _ => common(tty, cmd, arg),
    }
}

fn common(tty: &Tty, cmd: u32, arg: usize) -> Result<usize> {
    match cmd {
        TCGETS | TCGETS2 => {
            let bytes = tty.state.lock().ldisc.termios().encode();
            let len = if cmd == TCGETS {
                TERMIOS_LEN
            } else {
                TERMIOS2_LEN
            };
            UserPtr::<u8>::new(arg).write_slice(&bytes[..len])?;
            Ok(0)
        }
        TIOCGWINSZ => {
            UserPtr::new(arg).write(tty.state.lock().window)?;
            Ok(0)
        }
        TIOCSWINSZ => {
            let window = UserPtr::<[u16; 4]>::new(arg).read()?;
            let (changed, job) = {
                let mut state = tty.state.lock();
                (
                    core::mem::replace(&mut state.window, window) != window,
                    state.job,
                )
            };
            if changed {
                job::send(job, linux::SIGWINCH);
            }
            Ok(0)
        }
        FIONREAD => put_i32(arg, tty.state.lock().ldisc.input_len() as i32),
        TIOCOUTQ => put_i32(arg, tty.port.queued() as i32),
        TIOCGDEV => put_i32(arg, tty.dev.encode() as i32),
        // There is one line discipline, N_TTY.
        TIOCGETD => put_i32(arg, 0),
        TIOCSETD => match UserPtr::<i32>::new(arg).read()? {
            0 => Ok(0),
            _ => Err(Errno::EINVAL),
        },
        // Typing in another's name is off, as `dev.tty.legacy_tiocsti=0` has it.
        TIOCSTI => Err(Errno::EIO),
        _ => Err(Errno::ENOTTY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_through_a_program() {
        let t = Termios {
            line: 3,
            ..Termios::default()
        };
        assert_eq!(Termios::default().decode(&t.encode()), t);
        assert_eq!(Termios::default().decode(&t.encode()[..TERMIOS_LEN]), t);
    }

    #[test]
    fn speed_codes_are_understood() {
        assert_eq!(baud(linux::B9600), Some(9600));
        assert_eq!(baud(linux::B115200), Some(115200));
        assert_eq!(baud(linux::BOTHER), None);
    }
}
