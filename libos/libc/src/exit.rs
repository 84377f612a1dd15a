//! The ends of a process: `exit` and what runs before it, `_exit`, `abort`, `assert`.

use crate::lock::Lock;
use crate::malloc::realloc;
use crate::tcb::{self, Pthread};
use crate::{pthread, signal, stdio};
use core::ffi::{c_char, c_int, c_uint, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::*};

#[derive(Clone, Copy)]
struct Handler {
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
}

const FIRST: usize = 32;
#[unsafe(link_section = ".bss.libos.atexit")]
static mut BUILT_IN: [Option<Handler>; FIRST] = [None; FIRST];
static mut MORE: *mut Option<Handler> = null_mut();
#[unsafe(link_section = ".bss.libos.atexit")]
static mut COUNT: usize = 0;
#[unsafe(link_section = ".bss.libos.atexit")]
pub static LOCK: Lock = Lock::new();

unsafe extern "C" {
    static __fini_array_start: unsafe extern "C" fn();
    static __fini_array_end: unsafe extern "C" fn();
}

unsafe fn slot(i: usize) -> *mut Option<Handler> {
    if i < FIRST {
        (&raw mut BUILT_IN).cast::<Option<Handler>>().add(i)
    } else {
        MORE.add(i - FIRST)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cxa_atexit(
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
    _dso: *mut c_void,
) -> c_int {
    LOCK.lock();
    let mut result = 0;
    if COUNT >= FIRST && (COUNT - FIRST).is_multiple_of(FIRST) {
        let bytes = (COUNT - FIRST + FIRST) * size_of::<Option<Handler>>();
        let p = realloc(MORE.cast(), bytes);
        if p.is_null() {
            result = -1;
        } else {
            MORE = p.cast();
        }
    }
    if result == 0 {
        *slot(COUNT) = Some(Handler { f, arg });
        COUNT += 1;
    }
    LOCK.unlock();
    result
}

unsafe extern "C" fn call_plain(f: *mut c_void) {
    // SAFETY: `atexit` put a plain function there.
    let f: unsafe extern "C" fn() = core::mem::transmute(f);
    f()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn atexit(f: unsafe extern "C" fn()) -> c_int {
    __cxa_atexit(call_plain, f as *mut c_void, null_mut())
}

/// The thread that ends the process by `exit`. It may call it again, from a handler; any other waits for the end.
static EXITING: AtomicPtr<Pthread> = AtomicPtr::new(null_mut());

pub fn after_fork_child() {
    if EXITING.load(Relaxed) != tcb::this() {
        EXITING.store(null_mut(), Relaxed);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn exit(status: c_int) -> ! {
    let me = tcb::this();
    let first = EXITING.compare_exchange(null_mut(), me, AcqRel, Acquire);
    while first.is_err_and(|other| other != me) {
        crate::unistd::pause();
    }
    pthread::run_hooks(me);
    // Handlers may register more; the newest runs first.
    loop {
        LOCK.lock();
        if COUNT == 0 {
            LOCK.unlock();
            break;
        }
        COUNT -= 1;
        let handler = (*slot(COUNT)).take();
        LOCK.unlock();
        if let Some(h) = handler {
            (h.f)(h.arg);
        }
    }
    let mut f = &raw const __fini_array_end;
    while f > &raw const __fini_array_start {
        f = f.sub(1);
        (*f)();
    }
    stdio::flush_all();
    _exit(status)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _exit(status: c_int) -> ! {
    loop {
        door!(exit_group, status);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _Exit(status: c_int) -> ! {
    _exit(status)
}

static mut QUICK: [Option<unsafe extern "C" fn()>; 32] = [None; 32];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn at_quick_exit(f: unsafe extern "C" fn()) -> c_int {
    let table = &mut *(&raw mut QUICK);
    match table.iter_mut().find(|s| s.is_none()) {
        Some(s) => {
            *s = Some(f);
            0
        }
        None => -1,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn quick_exit(status: c_int) -> ! {
    for f in (*(&raw const QUICK)).iter().rev().flatten() {
        f();
    }
    _exit(status)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn abort() -> ! {
    signal::set_mask(libc::SIG_UNBLOCK, 1 << (libc::SIGABRT - 1));
    signal::raise(libc::SIGABRT);
    // A handler returned, or the signal was ignored: die of it all the same.
    signal::signal(libc::SIGABRT, libc::SIG_DFL);
    signal::raise(libc::SIGABRT);
    core::arch::asm!("brk #1", options(noreturn))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __assert_fail(
    expr: *const c_char,
    file: *const c_char,
    line: c_uint,
    func: *const c_char,
) -> ! {
    use core::fmt::Write;
    let text = |s: *const c_char| {
        if s.is_null() {
            b"?"
        } else {
            crate::string::bytes(s)
        }
    };
    let mut number = stdio::Fixed::<12>::new();
    let _ = write!(number, "{line}");
    stdio::tell(&[
        text(file),
        b":",
        number.bytes(),
        b": ",
        text(func),
        b": Assertion `",
        text(expr),
        b"' failed.\n",
    ]);
    abort()
}
