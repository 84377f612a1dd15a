//! `<termios.h>`, `isatty` and terminal names: ioctls all.

use crate::errno::{cvt, cvt_int, fail};
use core::ffi::{c_char, c_int};
use core::ptr::null_mut;
use libc::{pid_t, speed_t, termios};

passthrough! {
    fn tcgetattr(fd: c_int, t: *mut termios) -> c_int = ioctl(fd, libc::TCGETS as u32, t);
    fn tcsetpgrp(fd: c_int, group: pid_t) -> c_int = ioctl(fd, libc::TIOCSPGRP as u32, &raw const group);
    fn tcsendbreak(fd: c_int, _n: c_int) -> c_int = ioctl(fd, libc::TCSBRK as u32, 0usize);
    fn tcdrain(fd: c_int) -> c_int = ioctl(fd, libc::TCSBRK as u32, 1usize);
    fn tcflush(fd: c_int, which: c_int) -> c_int = ioctl(fd, libc::TCFLSH as u32, which);
    fn tcflow(fd: c_int, how: c_int) -> c_int = ioctl(fd, libc::TCXONC as u32, how);
    fn tcgetwinsize(fd: c_int, w: *mut libc::winsize) -> c_int = ioctl(fd, libc::TIOCGWINSZ as u32, w);
    fn tcsetwinsize(fd: c_int, w: *const libc::winsize) -> c_int = ioctl(fd, libc::TIOCSWINSZ as u32, w);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcsetattr(fd: c_int, when: c_int, t: *const termios) -> c_int {
    if !(0..=2).contains(&when) {
        return fail(libc::EINVAL) as c_int;
    }
    cvt_int(door!(ioctl, fd, libc::TCSETS as u32 + when as u32, t))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcgetpgrp(fd: c_int) -> pid_t {
    let mut group: pid_t = 0;
    if cvt(door!(ioctl, fd, libc::TIOCGPGRP as u32, &raw mut group)) < 0 {
        -1
    } else {
        group
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcgetsid(fd: c_int) -> pid_t {
    let mut sid: pid_t = 0;
    if cvt(door!(ioctl, fd, libc::TIOCGSID as u32, &raw mut sid)) < 0 {
        -1
    } else {
        sid
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfmakeraw(t: *mut termios) {
    use libc::*;
    (*t).c_iflag &= !(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    (*t).c_oflag &= !OPOST;
    (*t).c_lflag &= !(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    (*t).c_cflag &= !(CSIZE | PARENB);
    (*t).c_cflag |= CS8;
    (*t).c_cc[VMIN] = 1;
    (*t).c_cc[VTIME] = 0;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfgetospeed(t: *const termios) -> speed_t {
    (*t).c_cflag & libc::CBAUD
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfgetispeed(t: *const termios) -> speed_t {
    cfgetospeed(t)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfsetospeed(t: *mut termios, speed: speed_t) -> c_int {
    if speed & !libc::CBAUD != 0 {
        return fail(libc::EINVAL) as c_int;
    }
    (*t).c_cflag = (*t).c_cflag & !libc::CBAUD | speed;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfsetispeed(t: *mut termios, speed: speed_t) -> c_int {
    if speed == 0 { 0 } else { cfsetospeed(t, speed) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfsetspeed(t: *mut termios, speed: speed_t) -> c_int {
    cfsetospeed(t, speed)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn isatty(fd: c_int) -> c_int {
    let mut w: libc::winsize = core::mem::zeroed();
    let r = door!(ioctl, fd, libc::TIOCGWINSZ as u32, &raw mut w);
    if r == 0 {
        return 1;
    }
    fail(if r == -(libc::EBADF as isize) {
        libc::EBADF
    } else {
        libc::ENOTTY
    });
    0
}

/// The link `/proc/self/fd/N` names the terminal, and naming must lead back to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ttyname_r(fd: c_int, buf: *mut c_char, len: usize) -> c_int {
    use core::fmt::Write;
    if isatty(fd) == 0 {
        return crate::errno::get();
    }
    let mut link = crate::stdio::Fixed::<40>::new();
    if write!(link, "/proc/self/fd/{fd}\0").is_err() {
        return libc::EBADF;
    }
    let n = door!(readlinkat, libc::AT_FDCWD, link.as_ptr(), buf, len);
    if n < 0 {
        return -n as c_int;
    }
    if n as usize == len {
        return libc::ERANGE;
    }
    *buf.add(n as usize) = 0;
    let (mut a, mut b): (libc::stat, libc::stat) = (core::mem::zeroed(), core::mem::zeroed());
    let ra = door!(newfstatat, libc::AT_FDCWD, buf, &raw mut a, 0);
    let rb = door!(fstat, fd, &raw mut b);
    if ra < 0 || rb < 0 || a.st_ino != b.st_ino || a.st_dev != b.st_dev {
        return libc::ENODEV;
    }
    0
}

static mut TTYNAME: [c_char; 64] = [0; 64];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ttyname(fd: c_int) -> *mut c_char {
    let buf = (&raw mut TTYNAME).cast::<c_char>();
    match ttyname_r(fd, buf, 64) {
        0 => buf,
        e => {
            fail(e);
            null_mut()
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctermid(buf: *mut c_char) -> *mut c_char {
    static mut NAME: [c_char; 16] = [0; 16];
    let buf = if buf.is_null() {
        (&raw mut NAME).cast()
    } else {
        buf
    };
    crate::string::strcpy(buf, c"/dev/tty".as_ptr())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_openpt(flags: c_int) -> c_int {
    cvt_int(door!(
        openat,
        libc::AT_FDCWD,
        c"/dev/ptmx".as_ptr(),
        flags,
        0
    ))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn grantpt(_fd: c_int) -> c_int {
    // devpts hands the slave to its opener with the right owner and mode.
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlockpt(fd: c_int) -> c_int {
    let unlock: c_int = 0;
    cvt_int(door!(ioctl, fd, 0x4004_5431u32, &raw const unlock))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptsname_r(fd: c_int, buf: *mut c_char, len: usize) -> c_int {
    use core::fmt::Write;
    let mut n: c_int = 0;
    let r = door!(ioctl, fd, 0x8004_5430u32, &raw mut n);
    if r < 0 {
        return -r as c_int;
    }
    let mut name = crate::stdio::Fixed::<32>::new();
    if write!(name, "/dev/pts/{n}").is_err() || !crate::string::put(name.bytes(), buf, len) {
        return libc::ERANGE;
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptsname(fd: c_int) -> *mut c_char {
    let buf = (&raw mut TTYNAME).cast::<c_char>();
    match ptsname_r(fd, buf, 64) {
        0 => buf,
        e => {
            fail(e);
            null_mut()
        }
    }
}
