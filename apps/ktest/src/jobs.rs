//! Process groups, sessions, and signals sent by them.

use crate::support::*;

crate::harness::tests![
    a_child_is_in_its_parents_group_and_session,
    setpgid_makes_and_joins_groups,
    setpgid_refuses,
    a_session_leader_cannot_start_another,
    setsid_starts_a_group_too,
    a_group_is_signalled_as_one,
    signalling_reports_who_is_missing,
    signals_need_permission,
    stopped_processes_do_not_run,
    sigcont_wakes_even_if_ignored,
    kill_ends_a_stopped_process,
    orphaned_stopped_groups_are_hung_up: Native,
    the_end_of_a_member_may_orphan_its_group: Native,
    priority_is_inherited,
    who_may_not_signal_holds_up_no_birth: Native,
    what_is_ignored_holds_up_no_birth: Native,
];

fn sleeper() -> i32 {
    spawn(|| {
        loop {
            sys!(pause());
        }
    })
}

fn end(pid: i32) {
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

fn a_child_is_in_its_parents_group_and_session() {
    let (group, session) = (sys!(getpgrp()), sys!(getsid(0)));
    in_child(|| {
        assert_eq!(sys!(getpgrp()), group);
        assert_eq!(sys!(getpgid(0)), group);
        assert_eq!(sys!(getsid(0)), session);
    });
}

fn setpgid_makes_and_joins_groups() {
    let (a, b) = (sleeper(), sleeper());
    ok(sys!(setpgid(a, 0)));
    assert_eq!(ok(sys!(getpgid(a))), a);
    ok(sys!(setpgid(b, a)));
    assert_eq!(ok(sys!(getpgid(b))), a);
    end(a);
    // The group lives on without its leader.
    ok(sys!(kill(-a, 0)));
    end(b);
    fails(sys!(kill(-a, 0)), libc::ESRCH);
}

fn setpgid_refuses() {
    fails(sys!(setpgid(0, -1)), libc::EINVAL);
    fails(sys!(setpgid(999_999, 0)), libc::ESRCH);
    // We lead a session.
    fails(sys!(setpgid(0, 0)), libc::EPERM);
    let child = sleeper();
    // A group that is in another session, or nowhere.
    fails(sys!(setpgid(child, 1)), libc::EPERM);
    end(child);
    fails(sys!(getpgid(999_999)), libc::ESRCH);
    fails(sys!(getsid(999_999)), libc::ESRCH);
}

fn a_session_leader_cannot_start_another() {
    fails(sys!(setsid()), libc::EPERM);
    in_child(|| {
        ok(sys!(setpgid(0, 0)));
        fails(sys!(setsid()), libc::EPERM);
    });
}

fn setsid_starts_a_group_too() {
    in_child(|| {
        let own = sys!(getpid());
        assert_eq!(ok(sys!(setsid())), own);
        assert_eq!(sys!(getpgrp()), own);
        assert_eq!(sys!(getsid(0)), own);
        fails(try_open("/dev/tty", libc::O_RDWR, 0), libc::ENXIO);
    });
}

fn a_group_is_signalled_as_one() {
    let members: Vec<i32> = (0..5).map(|_| sleeper()).collect();
    for &member in &members {
        ok(sys!(setpgid(member, members[0])));
    }
    let outsider = sleeper();
    ok(sys!(killpg(members[0], libc::SIGUSR1)));
    for member in members {
        assert_eq!(wait(member), End::Signal(libc::SIGUSR1));
    }
    let mut status = 0;
    assert_eq!(ok(sys!(waitpid(outsider, &mut status, libc::WNOHANG))), 0);
    end(outsider);
}

fn signalling_reports_who_is_missing() {
    fails(sys!(kill(999_999, 0)), libc::ESRCH);
    fails(sys!(kill(-999_999, 0)), libc::ESRCH);
    fails(sys!(kill(sys!(getpid()), 65)), libc::EINVAL);
    fails(sys!(kill(sys!(getpid()), -1)), libc::EINVAL);
}

fn signals_need_permission() {
    if sys!(geteuid()) != 0 {
        return;
    }
    let roots = sleeper();
    in_child(|| {
        ok(sys!(setuid(1234)));
        fails(sys!(kill(roots, libc::SIGTERM)), libc::EPERM);
        fails(sys!(kill(1, 0)), libc::EPERM);
        let own = sleeper();
        ok(sys!(kill(own, libc::SIGKILL)));
        assert_eq!(wait(own), End::Signal(libc::SIGKILL));
    });
    end(roots);
}

fn stopped_processes_do_not_run() {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let count = shared::<AtomicU32>();
    let pid = spawn(|| {
        loop {
            count.fetch_add(1, SeqCst);
        }
    });
    until("it counts", || count.load(SeqCst) > 0);
    ok(sys!(kill(pid, libc::SIGSTOP)));
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    let before = count.load(SeqCst);
    sleep_ms(50);
    assert_eq!(count.load(SeqCst), before);
    ok(sys!(kill(pid, libc::SIGCONT)));
    until("it counts again", || count.load(SeqCst) > before);
    end(pid);
}

fn sigcont_wakes_even_if_ignored() {
    let pid = spawn(|| {
        on_signal(libc::SIGCONT, 0, libc::SIG_IGN);
        sys!(raise(libc::SIGSTOP));
        12
    });
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    assert_eq!(End::of(status), End::Stop(libc::SIGSTOP));
    ok(sys!(kill(pid, libc::SIGCONT)));
    assert_eq!(wait(pid), End::Exit(12));
}

fn kill_ends_a_stopped_process() {
    let pid = sleeper();
    ok(sys!(kill(pid, libc::SIGSTOP)));
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    // SIGTERM waits until it is continued, SIGKILL does not.
    ok(sys!(kill(pid, libc::SIGTERM)));
    sleep_ms(20);
    assert_eq!(ok(sys!(waitpid(pid, &mut status, libc::WNOHANG))), 0);
    ok(sys!(kill(pid, libc::SIGKILL)));
    assert!(matches!(wait(pid), End::Signal(_)));
}

fn orphaned_stopped_groups_are_hung_up() {
    ok(sys!(prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)));
    let found = shared::<std::sync::atomic::AtomicI32>();
    use std::sync::atomic::Ordering::SeqCst;
    let middle = spawn(|| {
        // A session of its own, so that its end leaves no parent for the group there.
        sys!(setsid());
        let member = spawn(|| {
            sys!(setpgid(0, 0));
            sys!(raise(libc::SIGSTOP));
            1
        });
        let mut status = 0;
        sys!(waitpid(member, &mut status, libc::WUNTRACED));
        found.store(member, SeqCst);
        0
    });
    assert_eq!(wait(middle), End::Exit(0));
    assert_eq!(wait(found.load(SeqCst)), End::Signal(libc::SIGHUP));
}

fn the_end_of_a_member_may_orphan_its_group() {
    ok(sys!(prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)));
    let found = shared::<std::sync::atomic::AtomicI32>();
    use std::sync::atomic::Ordering::SeqCst;
    let (reader, writer) = pipe();
    let leader = spawn(|| {
        sys!(setsid());
        let member = spawn(|| {
            // Its parent leads another group of the session; it has a stopped child in its own.
            sys!(setpgid(0, 0));
            let stopped = spawn(|| {
                sys!(raise(libc::SIGSTOP));
                1
            });
            sys!(waitpid(stopped, std::ptr::null_mut(), libc::WUNTRACED));
            found.store(stopped, SeqCst);
            0
        });
        wait(member);
        // Stays, so that it is the member's end that counts.
        std::io::Write::write_all(&mut &writer, b"x").expect("room");
        loop {
            sys!(pause());
        }
    });
    let ended = poll_for(&reader, libc::POLLIN, 20_000);
    assert_eq!(ended, libc::POLLIN, "the member has ended");
    assert_eq!(wait(found.load(SeqCst)), End::Signal(libc::SIGHUP));
    end(leader);
}

fn priority_is_inherited() {
    in_child(|| {
        ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, 7)));
        assert_eq!(sys!(getpriority(libc::PRIO_PROCESS as _, 0)), 7);
        assert_eq!(
            end_of(|| sys!(getpriority(libc::PRIO_PROCESS as _, 0))),
            End::Exit(7)
        );
        ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, 100)));
        assert_eq!(sys!(getpriority(libc::PRIO_PROCESS as _, 0)), 19, "clamped");
    });
}

/// Makes children while `disturb` is called all the time by somebody who is `user`.
fn births_among(user: u32, disturb: fn()) {
    let disturber = spawn(|| {
        ok(sys!(setuid(user)));
        loop {
            disturb();
        }
    });
    for _ in 0..200 {
        assert_eq!(end_of(|| 0), End::Exit(0));
    }
    ok(sys!(kill(disturber, libc::SIGKILL)));
    wait(disturber);
}

fn who_may_not_signal_holds_up_no_birth() {
    births_among(4321, || _ = sys!(kill(-1, libc::SIGUSR1)));
}

fn what_is_ignored_holds_up_no_birth() {
    births_among(0, || {
        ok(sys!(kill(0, 0)));
        ok(sys!(kill(0, libc::SIGWINCH)));
    });
}
