//! What init does to the machine: its streams, its terminal, its end.

use std::ffi::CStr;

/// `ioctl` of `/dev/hostout`: hands the host the exit status of the command.
const HOSTLINK_EXIT: u64 = 0x5201;

const HOME: &CStr = c"/root";

/// The kernel command line; empty where there is no `/proc`.
pub fn read_command_line() -> Vec<u8> {
    std::fs::read("/proc/cmdline").unwrap_or_default()
}

/// Makes the host's three streams the standard ones, which the shell then inherits.
pub fn attach_host_streams() {
    install(c"/dev/hostin", libc::O_RDONLY, &[0]);
    install(c"/dev/hostout", libc::O_WRONLY, &[1]);
    install(c"/dev/hosterr", libc::O_WRONLY, &[2]);
}

/// Makes the console the controlling terminal of a new session, and the three standard streams.
pub fn attach_console(window_size: Option<(u16, u16)>) {
    // SAFETY: takes no pointer. It fails when the kernel started us as a session leader already,
    // which is what we want.
    unsafe { libc::setsid() };
    install(c"/dev/console", libc::O_RDWR, &[0, 1, 2]);
    // SAFETY: TIOCSCTTY takes an integer. Without a controlling terminal the shell says itself
    // that it has no job control.
    unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
    if let Some((rows, columns)) = window_size {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: `size` is the structure that TIOCSWINSZ reads.
        unsafe { libc::ioctl(0, libc::TIOCSWINSZ, &size) };
    }
}

/// Opens `path` as each of `targets`; where that fails, what the kernel gave us stays.
fn install(path: &CStr, mode: i32, targets: &[i32]) {
    // SAFETY: the path is a C string; the descriptors are ours: nothing else runs in PID 1 yet.
    unsafe {
        let fd = libc::open(path.as_ptr(), mode | libc::O_NOCTTY);
        if fd == -1 {
            return;
        }
        for &target in targets {
            if fd != target {
                libc::dup2(fd, target);
            }
        }
        if !targets.contains(&fd) {
            libc::close(fd);
        }
    }
}

/// Changes to root's home and returns its name, or that of the directory we are left in.
pub fn enter_home() -> &'static str {
    // SAFETY: the path is a C string.
    match unsafe { libc::chdir(HOME.as_ptr()) } {
        0 => HOME.to_str().unwrap_or("/"),
        _ => "/",
    }
}

/// Says on standard error what is wrong, for whoever is left to read it.
pub fn complain(what: &str) {
    eprintln!("init: {what}");
}

/// Writes to the disks what is only in memory.
pub fn sync() {
    // SAFETY: it takes nothing.
    unsafe { libc::sync() };
}

/// Hands the host the status, where a host listens, and turns the machine off.
pub fn power_off(status: i32) {
    sync();
    // SAFETY: HOSTLINK_EXIT takes an integer; a standard output that is no host stream answers
    // ENOTTY. reboot(2) takes no pointers.
    unsafe {
        libc::ioctl(1, HOSTLINK_EXIT as _, status);
        libc::reboot(libc::RB_POWER_OFF);
    }
    // Only a kernel that refuses (we are not PID 1, or not root) comes back.
    complain(&format!(
        "cannot power off: {}",
        std::io::Error::last_os_error()
    ));
}
