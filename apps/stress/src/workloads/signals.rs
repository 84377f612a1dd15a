//! Signals: queued ones keep order and values, masks hold, waits return, timers fire, faults are caught, groups stop and go.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::support::{
    End, expect_end, map_private, owned, read_full, spawn, spawn_status, unmap, zeroed,
};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..6) {
        0 => queued(rng),
        1 => read_from_a_file(rng),
        2 => storm(rng),
        3 => timers(rng),
        4 => faults(rng),
        _ => stopped(rng),
    }
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set: libc::sigset_t = zeroed();
    sys!(sigemptyset(&mut set));
    signals
        .iter()
        .for_each(|&signal| _ = sys!(sigaddset(&mut set, signal)));
    set
}

fn block(signals: &[i32]) -> Result<()> {
    call!(sigprocmask(
        libc::SIG_BLOCK,
        &set_of(signals),
        std::ptr::null_mut()
    ))
    .map(drop)
}

fn handle(signal: i32, flags: i32, handler: usize) -> Result<()> {
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    call!(sigaction(signal, &action, std::ptr::null_mut())).map(drop)
}

fn queue(pid: i32, signal: i32, value: usize) -> Result<()> {
    let value = libc::sigval {
        sival_ptr: std::ptr::without_provenance_mut(value),
    };
    loop {
        if sys!(sigqueue(pid, signal, value)) == 0 {
            return Ok(());
        }
        // The user has too many under way: somebody will take theirs.
        ensure!(
            crate::support::errno() == libc::EAGAIN,
            "sigqueue: {}",
            std::io::Error::last_os_error()
        );
        std::thread::yield_now();
    }
}

/// Real-time signals arrive lowest first, each number's in order, with their values. In a child: the mask is its own.
fn queued(rng: &mut Rng) -> Result<()> {
    let signals = [
        libc::SIGRTMIN() + 6,
        libc::SIGRTMIN() + 7,
        libc::SIGRTMIN() + 8,
    ];
    let sent: Vec<i32> = (0..rng.usize(1..60))
        .map(|_| signals[rng.usize(..3)])
        .collect();
    let child = spawn(|| {
        block(&signals)?;
        let own = std::process::id() as i32;
        for (value, &signal) in sent.iter().enumerate() {
            queue(own, signal, value)?;
        }
        let mut expected: Vec<(i32, usize)> = sent.iter().copied().zip(0..).collect();
        expected.sort();
        for (signal, value) in expected {
            let mut about: libc::siginfo_t = zeroed();
            let found = call!(sigwaitinfo(&set_of(&signals), &mut about))? as i32;
            // SAFETY: the signal was sent by sigqueue.
            let found_value = unsafe { about.si_value() }.sival_ptr.addr();
            ensure!(
                (found, found_value) == (signal, value),
                "signal {found} with {found_value}, not {signal} with {value}"
            );
        }
        let none = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let more = sys!(sigtimedwait(&set_of(&signals), std::ptr::null_mut(), &none));
        ensure!(more == -1, "signal {more} came twice");
        Ok(())
    })?;
    expect_end(child, End::Exit(0))
}

/// signalfd gives what a child sends.
fn read_from_a_file(rng: &mut Rng) -> Result<()> {
    let signal = libc::SIGRTMIN() + 9;
    let count = rng.usize(1..100);
    let child = spawn(|| {
        block(&[signal])?;
        let file = owned(call!(signalfd(-1, &set_of(&[signal]), libc::SFD_CLOEXEC))?);
        let own = std::process::id() as i32;
        let sender = spawn(|| (0..count).try_for_each(|n| queue(own, signal, n)))?;
        for n in 0..count {
            let mut record = [0; 128];
            ensure!(read_full(&file, &mut record)? == 128, "half a record");
            let value = u64::from_le_bytes(record[48..56].try_into()?) as usize;
            ensure!(
                value & 0xffff_ffff == n,
                "record {n} has value {value} on {}",
                file.as_raw_fd()
            );
        }
        expect_end(sender, End::Exit(0))
    })?;
    expect_end(child, End::Exit(0))
}

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(signal: i32) {
    COUNT.fetch_add(1, SeqCst);
    LAST.store(signal as u32, SeqCst);
}

/// Two processes signal each other as fast as they can, each waiting in sigsuspend for an answer.
fn storm(rng: &mut Rng) -> Result<()> {
    let rounds = rng.usize(5..300);
    let signal = libc::SIGRTMIN() + 10;
    let pair = spawn(|| {
        handle(signal, 0, count as *const () as usize)?;
        block(&[signal])?;
        let mut open: libc::sigset_t = zeroed();
        call!(sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &mut open))?;
        sys!(sigdelset(&mut open, signal));
        COUNT.store(0, SeqCst);
        let parent = std::process::id() as i32;
        let turn = |other: i32, begins: bool| -> Result<()> {
            for round in 1..=rounds {
                if begins {
                    call!(kill(other, signal))?;
                }
                while COUNT.load(SeqCst) < round {
                    sys!(sigsuspend(&open));
                }
                if !begins {
                    call!(kill(other, signal))?;
                }
            }
            let heard = COUNT.load(SeqCst);
            ensure!(heard == rounds, "heard {heard} of {rounds}");
            Ok(())
        };
        let child = spawn(|| turn(parent, false))?;
        turn(child, true)?;
        expect_end(child, End::Exit(0))
    })?;
    expect_end(pair, End::Exit(0))
}

/// Interval timers while the process computes, sleeps and makes calls.
fn timers(rng: &mut Rng) -> Result<()> {
    let (ticks, period) = (rng.usize(1..15), rng.i64(300..3_000));
    let child = spawn(|| {
        handle(libc::SIGALRM, 0, count as *const () as usize)?;
        COUNT.store(0, SeqCst);
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: period as _,
        };
        let timer = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        call!(setitimer(
            libc::ITIMER_REAL as _,
            &timer,
            std::ptr::null_mut()
        ))?;
        while COUNT.load(SeqCst) < ticks {
            sys!(usleep(200));
        }
        let off: libc::itimerval = zeroed();
        call!(setitimer(
            libc::ITIMER_REAL as _,
            &off,
            std::ptr::null_mut()
        ))
        .map(drop)
    })?;
    expect_end(child, End::Exit(0))
}

extern "C" fn caught(_: i32, about: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo; the page was mapped by the step, without access.
    unsafe {
        let page = (*about).si_addr().map_addr(|at| at & !4095);
        libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE);
    }
    COUNT.fetch_add(1, SeqCst);
}

/// A handler on its own stack repairs each fault; without one a fault is the end.
fn faults(rng: &mut Rng) -> Result<()> {
    let pages = rng.usize(1..30);
    let child = spawn(|| {
        let stack = map_private(64 << 10)?;
        let alternate = libc::stack_t {
            ss_sp: stack.cast(),
            ss_flags: 0,
            ss_size: 64 << 10,
        };
        call!(sigaltstack(&alternate, std::ptr::null_mut()))?;
        handle(
            libc::SIGSEGV,
            libc::SA_SIGINFO | libc::SA_ONSTACK,
            caught as *const () as usize,
        )?;
        COUNT.store(0, SeqCst);
        let at = map_private(pages * 4096)?;
        call!(mprotect(at.cast(), pages * 4096, libc::PROT_NONE))?;
        for page in 0..pages {
            // SAFETY: the handler makes the page writable.
            unsafe { at.add(page * 4096 + 8).write_volatile(1) };
        }
        let caught = COUNT.load(SeqCst);
        ensure!(caught == pages, "{caught} of {pages} faults were caught");
        unmap(at, pages * 4096)
    })?;
    expect_end(child, End::Exit(0))?;
    let child = spawn_status(|| {
        sys!(signal(libc::SIGSEGV, libc::SIG_DFL));
        // SAFETY: it is not; nothing is mapped there, and that is the end of this process.
        unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        1
    })?;
    expect_end(child, End::Signal(libc::SIGSEGV))
}

/// Children stopped, continued and killed: the parent sees each change.
fn stopped(rng: &mut Rng) -> Result<()> {
    let child = spawn_status(|| {
        loop {
            std::hint::black_box(vec![1u8; 3_000]);
        }
    })?;
    for _ in 0..rng.u32(1..10) {
        let status = change(child, libc::SIGSTOP)?;
        ensure!(
            libc::WIFSTOPPED(status) || libc::WIFCONTINUED(status),
            "stopped, but the status is {status:#x}"
        );
        let status = change(child, libc::SIGCONT)?;
        ensure!(
            libc::WIFCONTINUED(status) || libc::WIFSTOPPED(status),
            "continued, but {status:#x}"
        );
    }
    call!(kill(child, libc::SIGCONT))?;
    call!(kill(child, libc::SIGKILL))?;
    expect_end(child, End::Signal(libc::SIGKILL))
}

/// Sends a signal that stops or continues, until something has changed. The supervisor stops and continues the whole group at any
/// moment, which may undo a change before anybody can see it, or before it is one.
fn change(child: i32, signal: i32) -> Result<i32> {
    const FLAGS: i32 = libc::WUNTRACED | libc::WCONTINUED | libc::WNOHANG;
    let mut tries = 0;
    loop {
        if tries % 50 == 0 {
            // The other first, as a stopped process cannot be stopped.
            let other = libc::SIGSTOP + libc::SIGCONT - signal;
            if tries > 0 {
                call!(kill(child, other))?;
            }
            call!(kill(child, signal))?;
        }
        let mut status = 0;
        if call!(waitpid(child, &mut status, FLAGS)).context("a change of state")? != 0 {
            return Ok(status);
        }
        tries += 1;
        sys!(usleep(1_000));
    }
}
