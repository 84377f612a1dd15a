//! Signals: installing a handler and being interrupted by it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    measure::{Measure, Sample, repeat},
    sys::check,
};

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "sig_install",
        about: "sigaction",
        limit: 10,
        run: || repeat(5_000, install),
    },
    Measure {
        name: "sig_deliver",
        about: "a signal to oneself, handled",
        limit: 10,
        run: deliver,
    },
    Measure {
        name: "sig_mask",
        about: "sigprocmask, blocking and unblocking",
        limit: 10,
        run: mask,
    },
];

static CAUGHT: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

fn install() -> Result<(), String> {
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler is async-signal-safe: it adds to an atomic.
    check("sigaction", unsafe {
        libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut())
    })
    .map(drop)
}

fn deliver() -> Result<Sample, String> {
    install()?;
    // SAFETY: takes nothing.
    let me = unsafe { libc::getpid() };
    repeat(2_000, || {
        let before = CAUGHT.load(Ordering::Relaxed);
        // SAFETY: a handler is installed.
        check("kill", unsafe { libc::kill(me, libc::SIGUSR1) })?;
        if CAUGHT.load(Ordering::Relaxed) == before {
            return Err("the signal was not delivered when kill returned".into());
        }
        Ok(())
    })
}

fn mask() -> Result<Sample, String> {
    // SAFETY: an empty set is all zeroes; sigaddset then names a valid signal.
    let set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, libc::SIGUSR2);
        set
    };
    repeat(5_000, || {
        for how in [libc::SIG_BLOCK, libc::SIG_UNBLOCK] {
            // SAFETY: the set is valid; the old one is not asked for.
            check("sigprocmask", unsafe {
                libc::sigprocmask(how, &raw const set, std::ptr::null_mut())
            })?;
        }
        Ok(())
    })
}
