//! Operations about the system or the process as a whole that fit nowhere else.

use super::accounting::{Rusage, Usage};
use super::signal::SIGRTMAX;
use super::{current, scheduler, table};
use crate::base::{Errno, PAGE_SIZE, Result, SpinLock};
use crate::memory::frames;
use crate::user::{Plain, UserPtr};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// What `uname` and `/proc/version` say.
pub const SYSTEM_NAME: &str = "RustOS";
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");
pub const MACHINE: &str = "aarch64";

static HOST_NAME: SpinLock<Vec<u8>> = SpinLock::new(Vec::new());
static DOMAIN_NAME: SpinLock<Vec<u8>> = SpinLock::new(Vec::new());

pub fn host_name() -> Vec<u8> {
    let name = HOST_NAME.lock().clone();
    if name.is_empty() {
        b"rustos".to_vec()
    } else {
        name
    }
}

/// Says how the kernel was built.
pub fn build_version() -> alloc::string::String {
    let kind = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    alloc::format!("#1 SMP {kind} kernel")
}

pub fn sys_uname(out: UserPtr<[[u8; 65]; 6]>) -> Result<usize> {
    let field = |s: &[u8]| {
        let mut f = [0u8; 65];
        let n = s.len().min(64);
        f[..n].copy_from_slice(&s[..n]);
        f
    };
    let domain = DOMAIN_NAME.lock().clone();
    let domain = if domain.is_empty() {
        b"(none)".to_vec()
    } else {
        domain
    };
    out.write([
        field(SYSTEM_NAME.as_bytes()),
        field(&host_name()),
        field(RELEASE.as_bytes()),
        field(build_version().as_bytes()),
        field(MACHINE.as_bytes()),
        field(&domain),
    ])?;
    Ok(0)
}

fn set_name(which: &SpinLock<Vec<u8>>, name: UserPtr<u8>, len: usize) -> Result<usize> {
    if !current().process().creds().is_privileged() {
        return Err(Errno::EPERM);
    }
    if len > 64 {
        return Err(Errno::EINVAL);
    }
    let new = name.read_vec(len)?;
    *which.lock() = new;
    Ok(0)
}

pub fn sys_sethostname(name: UserPtr<u8>, len: usize) -> Result<usize> {
    set_name(&HOST_NAME, name, len)
}

pub fn sys_setdomainname(name: UserPtr<u8>, len: usize) -> Result<usize> {
    set_name(&DOMAIN_NAME, name, len)
}

/// `struct sysinfo` on 64-bit Linux.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SysInfo {
    uptime: i64,
    loads: [u64; 3],
    total: u64,
    free: u64,
    shared: u64,
    buffers: u64,
    swap_total: u64,
    swap_free: u64,
    processes: u16,
    pad: [u16; 3],
    high_total: u64,
    high_free: u64,
    unit: u32,
    pad2: u32,
}
// SAFETY: integers without hidden padding.
unsafe impl Plain for SysInfo {}

pub fn sys_sysinfo(out: UserPtr<SysInfo>) -> Result<usize> {
    // /proc/loadavg keeps 11 fractional bits, sysinfo(2) has 16.
    let now = crate::time::monotonic_ns();
    let loads = super::load::averages(now, super::scheduler::runnable).map(|l| l << 5);
    out.write(SysInfo {
        uptime: (now / 1_000_000_000) as i64,
        loads,
        total: frames::total_count() as u64 * 4096,
        free: free_bytes() as u64,
        shared: 0,
        buffers: 0,
        swap_total: 0,
        swap_free: 0,
        processes: table::count() as u16,
        pad: [0; 3],
        high_total: 0,
        high_free: 0,
        unit: 1,
        pad2: 0,
    })?;
    Ok(0)
}

/// Free memory, kept kernel stacks included.
pub fn free_bytes() -> usize {
    (frames::free_count() + super::stack::cached_frames()) * 4096
}

pub fn sys_times(out: UserPtr<[i64; 4]>) -> Result<usize> {
    let p = current().process();
    let ticks = |ns: u64| (ns / 10_000_000) as i64;
    if let Some(out) = out.option() {
        let (own, children) = (p.times(), p.usage.children().times);
        out.write([own.user, own.system, children.user, children.system].map(ticks))?;
    }
    Ok(ticks(crate::time::monotonic_ns()) as usize)
}

pub fn sys_getrusage(who: i32, out: UserPtr<Rusage>) -> Result<usize> {
    let me = current();
    let p = me.process();
    let usage = match who {
        0 => p.usage(),
        1 => {
            let mut usage = Usage {
                times: me.times(),
                peak_pages: p.usage().peak_pages,
                ..Usage::default()
            };
            usage.count(me);
            usage
        }
        -1 => p.usage.children(),
        _ => return Err(Errno::EINVAL),
    };
    out.write(usage.into())?;
    Ok(0)
}

/// `getrandom(2)`. A signal ends it after the first page; and it lets others run.
pub fn sys_getrandom(buf: usize, len: usize, flags: u32) -> Result<usize> {
    if flags & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    let mut out = crate::user::Buffer::user(buf, len)?;
    let total = out.len();
    let mut chunk = [0u8; 256];
    while !out.is_empty() {
        let n = out.len().min(chunk.len());
        crate::random::fill(&mut chunk[..n]);
        out.put(&chunk[..n])?;
        if (total - out.len()).is_multiple_of(PAGE_SIZE) {
            if current().signal_pending() {
                break;
            }
            scheduler::give_way();
        }
    }
    Ok(total - out.len())
}

/// What `syslog(2)` is asked to do.
mod log_action {
    pub const CLOSE: i32 = 0;
    pub const OPEN: i32 = 1;
    pub const READ_ALL: i32 = 3;
    pub const READ_CLEAR: i32 = 4;
    pub const CLEAR: i32 = 5;
    pub const CONSOLE_OFF: i32 = 6;
    pub const CONSOLE_LEVEL: i32 = 8;
    pub const SIZE_UNREAD: i32 = 9;
    pub const SIZE_BUFFER: i32 = 10;
}

/// `syslog(2)`: reading, clearing and measuring the kernel log.
pub fn sys_syslog(action: i32, buf: UserPtr<u8>, len: i32) -> Result<usize> {
    use log_action as a;
    let shows = matches!(action, a::READ_ALL | a::SIZE_BUFFER);
    if !shows && !current().process().creds().is_privileged() {
        return Err(Errno::EPERM);
    }
    match action {
        a::CLOSE | a::OPEN | a::CONSOLE_OFF..=a::CONSOLE_LEVEL => Ok(0),
        a::READ_ALL | a::READ_CLEAR => {
            if len < 0 {
                return Err(Errno::EINVAL);
            }
            let (all, end) = crate::log::since_cleared().ok_or(Errno::ENOMEM)?;
            let start = all.len().saturating_sub(len as usize);
            buf.write_slice(&all[start..])?;
            if action == a::READ_CLEAR {
                // What has come since is for the next reader.
                crate::log::clear_to(end);
            }
            Ok(all.len() - start)
        }
        a::CLEAR => {
            crate::log::clear();
            Ok(0)
        }
        a::SIZE_UNREAD => Ok(crate::log::contents().len()),
        a::SIZE_BUFFER => Ok(crate::log::CAPACITY),
        _ => Err(Errno::EINVAL),
    }
}

/// What `prctl(2)` is asked to do, `PR_…`.
mod option {
    pub const SET_PDEATHSIG: i32 = 1;
    pub const GET_PDEATHSIG: i32 = 2;
    pub const GET_DUMPABLE: i32 = 3;
    pub const SET_DUMPABLE: i32 = 4;
    pub const SET_NAME: i32 = 15;
    pub const GET_NAME: i32 = 16;
    pub const SET_TIMERSLACK: i32 = 29;
    pub const GET_TIMERSLACK: i32 = 30;
    pub const SET_CHILD_SUBREAPER: i32 = 36;
    pub const GET_CHILD_SUBREAPER: i32 = 37;
    pub const SET_NO_NEW_PRIVS: i32 = 38;
    pub const GET_NO_NEW_PRIVS: i32 = 39;
}

pub fn sys_prctl(option: i32, a: usize, b: usize, _c: usize, _d: usize) -> Result<usize> {
    let me = current();
    let p = me.process();
    match option {
        option::SET_PDEATHSIG => {
            if a > SIGRTMAX as usize {
                return Err(Errno::EINVAL);
            }
            p.death_signal.store(a as i32, Ordering::Relaxed);
        }
        option::GET_PDEATHSIG => {
            UserPtr::<i32>::new(a).write(p.death_signal.load(Ordering::Relaxed))?
        }
        option::GET_DUMPABLE => return Ok(usize::from(p.dumpable.load(Ordering::Relaxed))),
        option::SET_DUMPABLE if a <= 1 => p.dumpable.store(a == 1, Ordering::Relaxed),
        option::SET_NAME => {
            let name = UserPtr::<u8>::new(a);
            let mut comm = [0u8; 16];
            for (i, c) in comm.iter_mut().take(15).enumerate() {
                *c = name.offset(i).read()?;
                if *c == 0 {
                    break;
                }
            }
            *me.name.lock() = comm;
        }
        option::GET_NAME => {
            // Copied before it is told: who runs out of memory there looks at names.
            let name = *me.name.lock();
            UserPtr::<[u8; 16]>::new(a).write(name)?;
        }
        option::SET_CHILD_SUBREAPER => p.child_subreaper.store(a != 0, Ordering::Relaxed),
        option::GET_CHILD_SUBREAPER => {
            let subreaper = p.child_subreaper.load(Ordering::Relaxed);
            UserPtr::<i32>::new(a).write(i32::from(subreaper))?
        }
        option::SET_NO_NEW_PRIVS if a == 1 && b == 0 => {}
        option::GET_NO_NEW_PRIVS => return Ok(0),
        option::SET_TIMERSLACK => {}
        option::GET_TIMERSLACK => return Ok(1),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub fn sys_personality(persona: u32) -> Result<usize> {
    if persona == u32::MAX || persona == 0 {
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}

/// Process 1 has ended, with this status as `wait` has it, and with it the machine. (Linux panics; here one program may be all
/// that the image is for.)
pub fn end_machine(status: i32) -> ! {
    let status = match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    };
    klog!(Info, "process 1 has ended with status {status}");
    // A terminal shows text only, unless the host takes this one frame out of it.
    let told = crate::drivers::console_mode() == crate::drivers::ConsoleMode::Framed
        || crate::arch::boot::command_line()
            .split_whitespace()
            .any(|word| word == "status=framed");
    if told {
        crate::drivers::hostlink::report_exit(status);
    }
    crate::arch::psci::system_off();
    panic!(
        "process 1 has ended with status {status}, and this machine cannot be switched off by software"
    );
}

/// `reboot(2)`: power off, halt, restart.
pub fn sys_reboot(magic: u32, magic2: u32, command: u32, _arg: usize) -> Result<usize> {
    if !current().process().creds().is_privileged() {
        return Err(Errno::EPERM);
    }
    if magic != 0xfee1_dead
        || ![672_274_793, 85_072_278, 369_367_448, 537_993_216].contains(&magic2)
    {
        return Err(Errno::EINVAL);
    }
    match command {
        0 | 0x89ab_cdef => Ok(0),
        0x4321_fedc | 0xcdef_0123 => {
            crate::arch::psci::system_off();
            klog!(
                Err,
                "reboot: this machine cannot be switched off by software"
            );
            loop {
                // SAFETY: nothing is left to do but wait for the switch.
                unsafe { core::arch::asm!("wfi") };
            }
        }
        0x0123_4567 | 0xa1b2_c3d4 => {
            crate::arch::psci::system_reset();
            Err(Errno::EINVAL)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// membarrier(2). Every command is carried out by all cores at once, which is more than any of them asks for.
pub fn sys_membarrier(command: i32, flags: u32) -> Result<usize> {
    const GLOBAL: i32 = 1;
    const GLOBAL_EXPEDITED: i32 = 2;
    const REGISTER_GLOBAL_EXPEDITED: i32 = 4;
    const PRIVATE_EXPEDITED: i32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 16;
    const ALL: i32 = 31;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let space = current().process().space();
    let registered = &space.membarrier;
    match command {
        0 => return Ok(ALL as usize),
        REGISTER_GLOBAL_EXPEDITED => {}
        REGISTER_PRIVATE_EXPEDITED => registered.store(true, Ordering::Relaxed),
        PRIVATE_EXPEDITED if !registered.load(Ordering::Relaxed) => return Err(Errno::EPERM),
        GLOBAL | GLOBAL_EXPEDITED | PRIVATE_EXPEDITED => crate::arch::barrier::on_every_core(),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
