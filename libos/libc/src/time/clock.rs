//! Clocks: read from the kernel's time page where it is, asked of the kernel otherwise.

use crate::errno::cvt_int;
use crate::startup::aux;
use crate::timepage::{AT_TIMEPAGE, SHIFT, TimePage};
use core::ffi::{c_int, c_long, c_uint};
use core::ptr::{null_mut, without_provenance_mut};
use core::sync::atomic::{AtomicPtr, Ordering::*, fence};
use libc::{clockid_t, timespec, timeval};

/// Null: not looked for yet. `ABSENT`: looked for in vain.
#[unsafe(link_section = ".bss.libos.time")]
static PAGE: AtomicPtr<TimePage> = AtomicPtr::new(null_mut());
const ABSENT: *mut TimePage = without_provenance_mut(1);

#[cold]
#[inline(never)]
unsafe fn find_page() -> *mut TimePage {
    let page = match aux(AT_TIMEPAGE) {
        // Without 8-byte alignment it is no page of ours.
        Some(a) if a != 0 && a.is_multiple_of(8) => a as *mut TimePage,
        _ => ABSENT,
    };
    let page = if page != ABSENT && (*page).mult == 0 {
        ABSENT
    } else {
        page
    };
    PAGE.store(page, Relaxed);
    page
}

/// The page, or `ABSENT` or null as long as it is not known to be there.
#[inline(always)]
fn page_at_hand() -> *mut TimePage {
    PAGE.load(Relaxed)
}

/// Nanoseconds since boot, and what to add for the time of day.
///
/// # Safety
/// `page` is the time page.
#[inline(always)]
unsafe fn read_page(page: *const TimePage) -> (u64, i64) {
    loop {
        let seq = (&raw const (*page).seq).read_volatile();
        fence(Acquire);
        let now: u64;
        // SAFETY: ISB keeps the counter from being read early.
        core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) now, options(nostack, nomem));
        let since = now.wrapping_sub((&raw const (*page).cnt_base).read_volatile());
        let product = since as u128 * (&raw const (*page).mult).read_volatile() as u128;
        let elapsed = (product >> SHIFT) as u64;
        let base = (&raw const (*page).mono_base_ns).read_volatile();
        let offset = (&raw const (*page).real_offset_ns).read_volatile();
        fence(Acquire);
        if seq & 1 == 0 && (&raw const (*page).seq).read_volatile() == seq {
            return (base.wrapping_add(elapsed), offset);
        }
        core::hint::spin_loop();
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, t: *mut timespec) -> c_int {
    let page = page_at_hand();
    // REALTIME and MONOTONIC, the page being known, are nearly all there is.
    if clock as u32 > libc::CLOCK_MONOTONIC as u32 || page.addr() <= ABSENT.addr() {
        return other_clock(clock, t);
    }
    let (ns, offset) = read_page(page);
    let real = clock == libc::CLOCK_REALTIME;
    tell(t, ns.wrapping_add_signed(if real { offset } else { 0 }));
    0
}

#[inline(always)]
unsafe fn tell(t: *mut timespec, ns: u64) {
    let sec = ns / 1_000_000_000;
    *t = timespec {
        tv_sec: sec as i64,
        tv_nsec: (ns - sec * 1_000_000_000) as c_long,
    };
}

#[inline(never)]
unsafe fn other_clock(clock: clockid_t, t: *mut timespec) -> c_int {
    // REALTIME, MONOTONIC, MONOTONIC_RAW, their coarse ones and BOOTTIME.
    const SERVED: u32 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
    const REAL: u32 = 1 << libc::CLOCK_REALTIME | 1 << libc::CLOCK_REALTIME_COARSE;
    let mut page = page_at_hand();
    if page.is_null() {
        page = find_page();
    }
    if page == ABSENT || clock as u32 >= 8 || SERVED >> clock & 1 == 0 {
        return cvt_int(door!(clock_gettime, clock, t));
    }
    let (ns, offset) = read_page(page);
    let real = REAL >> clock & 1 != 0;
    tell(t, ns.wrapping_add_signed(if real { offset } else { 0 }));
    0
}

passthrough! {
    fn clock_settime(clock: clockid_t, t: *const timespec) -> c_int = clock_settime(clock, t);
    fn clock_getres(clock: clockid_t, t: *mut timespec) -> c_int = clock_getres(clock, t);
    fn nanosleep(t: *const timespec, left: *mut timespec) -> c_int = nanosleep(t, left);
    fn settimeofday(tv: *const timeval, tz: *const libc::timezone) -> c_int = settimeofday(tv, tz);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    t: *const timespec,
    left: *mut timespec,
) -> c_int {
    -door!(clock_nanosleep, clock, flags, t, left) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(tv: *mut timeval, _tz: *mut libc::timezone) -> c_int {
    if !tv.is_null() {
        let mut t: timespec = core::mem::zeroed();
        if clock_gettime(libc::CLOCK_REALTIME, &raw mut t) < 0 {
            return -1;
        }
        *tv = timeval {
            tv_sec: t.tv_sec,
            tv_usec: t.tv_nsec / 1000,
        };
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(out: *mut i64) -> i64 {
    let mut t: timespec = core::mem::zeroed();
    clock_gettime(libc::CLOCK_REALTIME, &raw mut t);
    if !out.is_null() {
        *out = t.tv_sec;
    }
    t.tv_sec
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timespec_get(t: *mut timespec, base: c_int) -> c_int {
    if base == 1 && clock_gettime(libc::CLOCK_REALTIME, t) == 0 {
        1
    } else {
        0
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock() -> libc::clock_t {
    let mut t: timespec = core::mem::zeroed();
    if clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut t) < 0 {
        return -1;
    }
    t.tv_sec * 1_000_000 + t.tv_nsec / 1000
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn difftime(a: i64, b: i64) -> f64 {
    (a - b) as f64
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sleep(seconds: c_uint) -> c_uint {
    let mut t = timespec {
        tv_sec: seconds as i64,
        tv_nsec: 0,
    };
    let p = &raw mut t;
    if nanosleep(p, p) < 0 {
        t.tv_sec as c_uint
    } else {
        0
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn usleep(us: c_uint) -> c_int {
    let t = timespec {
        tv_sec: (us / 1_000_000) as i64,
        tv_nsec: (us % 1_000_000 * 1000) as c_long,
    };
    nanosleep(&raw const t, null_mut())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_getcpuclockid(pid: libc::pid_t, clock: *mut clockid_t) -> c_int {
    let id = (-pid - 1).wrapping_mul(8) + 2;
    let mut t: timespec = core::mem::zeroed();
    let r = door!(clock_getres, id, &raw mut t);
    if r < 0 {
        return if r == -(libc::EINVAL as isize) {
            libc::ESRCH
        } else {
            -r as c_int
        };
    }
    *clock = id;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn times(t: *mut libc::tms) -> libc::clock_t {
    // Not `cvt`: every value is a time.
    door!(times, t) as libc::clock_t
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stime(t: *const i64) -> c_int {
    let ts = timespec {
        tv_sec: *t,
        tv_nsec: 0,
    };
    clock_settime(libc::CLOCK_REALTIME, &raw const ts)
}
