//! Terminal settings (termios(3)), with the defaults that Linux gives a new terminal.

use linux_raw_sys::general as linux;
pub use linux_raw_sys::general::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ECHOPRT, ICANON, ICRNL, IEXTEN, IGNCR, INLCR,
    ISIG, ISTRIP, IUCLC, IUTF8, IXANY, IXON, NOFLSH, OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST,
    PARMRK, TABDLY, TOSTOP, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VMIN, VQUIT, VREPRINT,
    VSTART, VSTOP, VSUSP, VTIME, VWERASE, XTABS,
};

/// The settings of one terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Termios {
    pub iflag: u32,
    pub oflag: u32,
    pub cflag: u32,
    pub lflag: u32,
    pub line: u8,
    pub cc: [u8; 19],
    pub ispeed: u32,
    pub ospeed: u32,
}

impl Default for Termios {
    fn default() -> Self {
        let mut cc = [0; 19];
        for (index, value) in [
            (VINTR, 0x03),
            (VQUIT, 0x1c),
            (VERASE, 0x7f),
            (VKILL, 0x15),
            (VEOF, 0x04),
            (VMIN, 1),
            (VSTART, 0x11),
            (VSTOP, 0x13),
            (VSUSP, 0x1a),
            (VREPRINT, 0x12),
            (linux::VDISCARD, 0x0f),
            (VWERASE, 0x17),
            (VLNEXT, 0x16),
        ] {
            cc[index as usize] = value;
        }
        Termios {
            iflag: ICRNL | IXON,
            oflag: OPOST | ONLCR,
            cflag: linux::B38400 | linux::CS8 | linux::CREAD | linux::HUPCL,
            lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            line: 0,
            cc,
            ispeed: 38400,
            ospeed: 38400,
        }
    }
}

impl Termios {
    pub fn i(&self, flag: u32) -> bool {
        self.iflag & flag != 0
    }
    pub fn o(&self, flag: u32) -> bool {
        self.oflag & flag != 0
    }
    pub fn l(&self, flag: u32) -> bool {
        self.lflag & flag != 0
    }

    /// Whether `c` is the special character at `index`. A character of 0 is disabled (`_POSIX_VDISABLE`).
    pub fn is(&self, index: u32, c: u8) -> bool {
        c != 0 && self.cc[index as usize] == c
    }

    /// As [`is`](Self::is), for the characters that only IEXTEN enables.
    pub fn is_extended(&self, index: u32, c: u8) -> bool {
        self.l(IEXTEN) && self.is(index, c)
    }

    /// `VMIN` and `VTIME` (tenths of a second).
    pub fn min_time(&self) -> (usize, u64) {
        (
            self.cc[VMIN as usize].into(),
            self.cc[VTIME as usize].into(),
        )
    }
}
