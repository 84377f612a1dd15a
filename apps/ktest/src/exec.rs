//! execve(2): what it replaces, what it keeps, what it refuses; `#!` scripts.

use crate::helper::{self, Strings, become_helper, exec, output_of};
use crate::support::*;
use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

crate::harness::tests![
    arguments_arrive_whole: Native,
    environment_is_the_given_one: Native,
    pid_directory_umask_and_mask_are_kept: Native,
    handlers_are_reset_and_ignored_stays: Native,
    close_on_exec_closes: Native,
    pending_signals_and_alarm_are_kept: Native,
    memory_is_fresh: Native,
    a_hundred_kilobytes_of_environment: Native,
    too_long_a_list_is_e2big: Native,
    a_small_stack_takes_a_short_list: Native,
    missing_files_are_enoent,
    what_is_not_executable_is_eacces,
    garbage_is_enoexec: Native,
    odd_paths_have_their_errors,
    bad_pointers_are_efault,
    scripts_run_their_interpreter: Native,
    script_interpreters_get_one_argument: Native,
    scripts_without_interpreter_fail: Native,
    interpreters_may_be_scripts_but_not_for_ever: Native,
    links_to_programs_run: Native,
    execveat_runs_a_descriptor: Native,
    scripts_run_by_descriptor: Native,
    thousands_of_descriptors_are_closed: Native,
    other_threads_end: Native,
    a_thread_that_execs_becomes_the_main_one: Native,
    exec_after_the_main_thread_has_ended: Native,
    of_threads_that_exec_at_once_one_wins: Native,
    exec_while_others_exit_fork_and_make_threads: Native,
    exec_and_a_kill_at_once: Native,
    failed_exec_leaves_everything: Native,
    shell_says_127_and_126,
    five_hundred_in_a_chain: Native,
    setpgid_after_exec_is_refused: Native,
    what_another_thread_gave_up_stays_given_up: Native,
];

fn executable(path: &str, content: &[u8]) {
    fs::write(path, content).expect("a new file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
}

fn arguments_arrive_whole() {
    let words = [
        "arguments",
        "",
        "a b",
        "\"quoted\"",
        "ünïcode",
        "-x",
        "last",
    ];
    let text = output_of(|| become_helper(&words));
    assert_eq!(text, "\na b\n\"quoted\"\nünïcode\n-x\nlast\n");
}

fn environment_is_the_given_one() {
    let path = helper::path();
    let text = output_of(|| {
        exec(
            &path,
            &["ktest", helper::SWITCH, "environment"],
            &["B=2=3", "A=1", "EMPTY="],
        )
    });
    assert_eq!(text, "B=2=3\nA=1\nEMPTY=\n");
}

fn state(prepare: impl FnOnce()) -> Vec<(String, String)> {
    let text = output_of(|| {
        prepare();
        become_helper(&["state"])
    });
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn value<'a>(state: &'a [(String, String)], name: &str) -> &'a str {
    let found = state.iter().find(|(key, _)| key == name);
    found.map_or("absent", |(_, value)| value)
}

fn pid_directory_umask_and_mask_are_kept() {
    fs::create_dir("sub").expect("a new directory");
    let pid = shared::<std::sync::atomic::AtomicI32>();
    use std::sync::atomic::Ordering::SeqCst;
    let state = state(|| {
        pid.store(sys!(getpid()), SeqCst);
        std::env::set_current_dir("sub").expect("it is there");
        sys!(umask(0o27));
        block(&[libc::SIGUSR1]);
    });
    assert_eq!(value(&state, "pid"), pid.load(SeqCst).to_string());
    assert!(value(&state, "cwd").ends_with("/sub"));
    assert_eq!(value(&state, "umask"), "27");
    assert_eq!(value(&state, "blocked-usr1"), "1");
}

extern "C" fn nothing(_: i32) {}

fn handlers_are_reset_and_ignored_stays() {
    let state = state(|| {
        on_signal(libc::SIGUSR1, 0, nothing as *const () as usize);
        on_signal(libc::SIGUSR2, 0, libc::SIG_IGN);
    });
    assert_eq!(value(&state, "usr1"), libc::SIG_DFL.to_string());
    assert_eq!(value(&state, "usr2"), libc::SIG_IGN.to_string());
}

fn close_on_exec_closes() {
    let state = state(|| {
        for fd in 3..100 {
            sys!(close(fd));
        }
        ok(sys!(dup2(1, 10)));
        ok(sys!(dup3(1, 11, libc::O_CLOEXEC)));
        ok(sys!(dup2(1, 12)));
        ok(sys!(fcntl(12, libc::F_SETFD, libc::FD_CLOEXEC)));
        ok(sys!(dup2(12, 13)));
    });
    assert_eq!(value(&state, "open"), "10,13");
}

fn pending_signals_and_alarm_are_kept() {
    let state = state(|| {
        block(&[libc::SIGUSR1]);
        ok(sys!(kill(sys!(getpid()), libc::SIGUSR1)));
        sys!(alarm(1000));
    });
    assert_eq!(value(&state, "pending-usr1"), "1");
    assert!(["999", "1000"].contains(&value(&state, "alarm")));
}

fn memory_is_fresh() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let at = (1usize << 37) as *mut libc::c_void;
    let text = output_of(|| {
        let got = sys!(mmap(at, 4096, libc::PROT_READ, flags, -1, 0));
        assert_eq!(got, at);
        exec(
            "/bin/sh",
            &["sh", "-c", "cat /proc/self/maps"],
            &["PATH=/bin:/usr/bin"],
        )
    });
    assert!(
        !text.contains("2000000000-"),
        "the old mapping is there still: {text}"
    );
}

fn a_hundred_kilobytes_of_environment() {
    let path = helper::path();
    let long = format!("LONG={}", "x".repeat(100_000));
    let many: Vec<String> = (0..1000).map(|n| format!("V{n}={n}")).collect();
    let mut env: Vec<&str> = many.iter().map(String::as_str).collect();
    env.push(&long);
    let text = output_of(|| exec(&path, &["ktest", helper::SWITCH, "environment"], &env));
    assert_eq!(text.lines().count(), 1001);
    assert_eq!(text.lines().last(), Some(long.as_str()));
}

fn too_long_a_list_is_e2big() {
    // One string of more than 128 KiB, then more than a quarter of the stack altogether.
    let long = "x".repeat(200_000);
    in_child(|| fails(exec("/bin/sh", &["sh", &long], &[]), libc::E2BIG));
    let some = "x".repeat(100_000);
    let words = vec![some.as_str(); 100];
    in_child(|| fails(exec("/bin/sh", &words, &[]), libc::E2BIG));
}

fn a_small_stack_takes_a_short_list() {
    let limit = libc::rlimit {
        rlim_cur: 256 << 10,
        rlim_max: libc::RLIM_INFINITY,
    };
    let word = "x".repeat(50 << 10);
    let run = |count: usize| {
        let mut words = vec!["sh", "-c", "exit 3"];
        words.extend([&*word].repeat(count));
        end_of(|| {
            ok(sys!(setrlimit(libc::RLIMIT_STACK, &limit)));
            exec("/bin/sh", &words, &["PATH=/bin:/usr/bin"]);
            errno()
        })
    };
    assert_eq!(run(2), End::Exit(3));
    // A quarter of the stack, or 128 KiB.
    assert_eq!(run(3), End::Exit(libc::E2BIG));
}

fn missing_files_are_enoent() {
    fails(exec("nowhere", &["x"], &[]), libc::ENOENT);
    fails(exec("/nowhere/at/all", &["x"], &[]), libc::ENOENT);
    fails(exec("", &["x"], &[]), libc::ENOENT);
    symlink("gone", "dangling").expect("a new link");
    fails(exec("./dangling", &["x"], &[]), libc::ENOENT);
}

fn what_is_not_executable_is_eacces() {
    fs::write("plain", "#!/bin/sh\n").expect("a new file");
    // Not even for root, as no one may execute it.
    fails(exec("./plain", &["x"], &[]), libc::EACCES);
    fails(exec(".", &["x"], &[]), libc::EACCES);
    fails(exec("/dev/null", &["x"], &[]), libc::EACCES);
}

fn garbage_is_enoexec() {
    executable("empty", b"");
    executable("text", b"echo hello\n");
    executable("binary", &[0x7f, b'E', b'L', b'F', 9, 9, 9]);
    for name in ["./empty", "./text", "./binary"] {
        fails(exec(name, &["x"], &[]), libc::ENOEXEC);
    }
}

fn odd_paths_have_their_errors() {
    executable("file", b"#!/bin/sh\n");
    fails(exec("./file/x", &["x"], &[]), libc::ENOTDIR);
    symlink("loop", "loop").expect("a new link");
    fails(exec("./loop", &["x"], &[]), libc::ELOOP);
    fails(exec(&"x".repeat(300), &["x"], &[]), libc::ENAMETOOLONG);
}

fn bad_pointers_are_efault() {
    let args = Strings::new(&["x"]);
    let bad = 16 as *const *const libc::c_char;
    fails(
        sys!(execve(bad.cast(), args.as_ptr(), args.as_ptr())),
        libc::EFAULT,
    );
    in_child(|| {
        fails(
            sys!(execve(c"/bin/sh".as_ptr(), bad, args.as_ptr())),
            libc::EFAULT,
        )
    });
    in_child(|| {
        fails(
            sys!(execve(c"/bin/sh".as_ptr(), args.as_ptr(), bad)),
            libc::EFAULT,
        )
    });
    let list = [16 as *const libc::c_char, std::ptr::null()];
    in_child(|| {
        let result = sys!(execve(c"/bin/sh".as_ptr(), list.as_ptr(), args.as_ptr()));
        fails(result, libc::EFAULT);
    });
}

fn scripts_run_their_interpreter() {
    executable("script", b"#!/bin/sh\necho \"$0\" \"$@\"\nexit 0\n");
    let text = output_of(|| exec("./script", &["ignored", "a b", "c"], &["PATH=/bin"]));
    assert_eq!(text, "./script a b c\n");
}

fn script_interpreters_get_one_argument() {
    let content = format!(
        "#! {} \t {} a  b \nignored\n",
        helper::path(),
        helper::SWITCH
    );
    executable("script", content.as_bytes());
    // All that follows the interpreter is one word, so the helper does not know itself.
    let end = end_of(|| {
        sys!(close(2));
        exec("./script", &["x"], &[])
    });
    assert_eq!(end, End::Exit(2));
    let content = format!("#!{} {}\n", helper::path(), helper::SWITCH);
    executable("arguments", content.as_bytes());
    let text = output_of(|| exec("arguments", &["x", "one", "two"], &[]));
    assert_eq!(text, "one\ntwo\n");
}

fn scripts_without_interpreter_fail() {
    executable("missing", b"#!/no/such/interpreter\n");
    fails(exec("./missing", &["x"], &[]), libc::ENOENT);
    fs::write("plain", "x").expect("a new file");
    executable("forbidden", b"#!plain\n");
    fails(exec("./forbidden", &["x"], &[]), libc::EACCES);
    executable("directory", b"#!/\n");
    fails(exec("./directory", &["x"], &[]), libc::EACCES);
}

fn interpreters_may_be_scripts_but_not_for_ever() {
    let here = std::env::current_dir().expect("a directory");
    executable("inner", b"#!/bin/sh\necho inner \"$1\"\n");
    let content = format!("#!{}/inner\n", here.display());
    executable("outer", content.as_bytes());
    let text = output_of(|| exec("./outer", &["x"], &["PATH=/bin"]));
    assert_eq!(text, "inner ./outer\n");
    let content = format!("#!{}/itself\n", here.display());
    executable("itself", content.as_bytes());
    fails(exec("./itself", &["x"], &[]), libc::ELOOP);
}

fn links_to_programs_run() {
    symlink(helper::path(), "link").expect("a new link");
    let text = output_of(|| exec("./link", &["ktest", helper::SWITCH, "arguments", "x"], &[]));
    assert_eq!(text, "x\n");
}

fn execveat_runs_a_descriptor() {
    let file = open(&helper::path(), libc::O_RDONLY | libc::O_CLOEXEC, 0);
    use std::os::fd::AsRawFd;
    let args = Strings::new(&["ktest", helper::SWITCH, "arguments", "by descriptor"]);
    let text = output_of(|| sys!(fexecve(file.as_raw_fd(), args.as_ptr(), args.as_ptr())));
    assert_eq!(text, "by descriptor\n");
}

fn scripts_run_by_descriptor() {
    use std::os::fd::AsRawFd;
    executable("script", b"#!/bin/sh\necho \"$0\" \"$1\"\n");
    let args = Strings::new(&["x", "one"]);
    let file = open("script", libc::O_RDONLY, 0);
    let text = output_of(|| sys!(fexecve(file.as_raw_fd(), args.as_ptr(), args.as_ptr())));
    assert_eq!(text, format!("/dev/fd/{} one\n", file.as_raw_fd()));
    // From a directory that is not the one where the interpreter starts.
    let directory = open(".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
    let text = output_of(|| {
        ok(sys!(chdir(c"/".as_ptr())));
        sys!(syscall(
            libc::SYS_execveat,
            directory.as_raw_fd(),
            c"script".as_ptr(),
            args.as_ptr(),
            args.as_ptr(),
            0
        )) as i32
    });
    let fd = directory.as_raw_fd();
    assert_eq!(text, format!("/dev/fd/{fd}/script one\n"));
    // The interpreter would find nothing.
    let closed = open("script", libc::O_RDONLY | libc::O_CLOEXEC, 0);
    fails(
        sys!(fexecve(closed.as_raw_fd(), args.as_ptr(), args.as_ptr())),
        libc::ENOENT,
    );
}

fn thousands_of_descriptors_are_closed() {
    let mut limit: libc::rlimit = zeroed();
    ok(sys!(getrlimit(libc::RLIMIT_NOFILE, &mut limit)));
    limit.rlim_cur = limit.rlim_max.min(20_100);
    let open = || {
        ok(sys!(setrlimit(libc::RLIMIT_NOFILE, &limit)));
        let (reader, writer) = pipe();
        std::mem::forget(reader);
        use std::os::fd::AsRawFd;
        for _ in 0..limit.rlim_cur - 100 {
            ok(sys!(fcntl(writer.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 50)));
        }
        std::mem::forget(writer);
    };
    let text = output_of(|| {
        open();
        become_helper(&["state"])
    });
    let list = text.lines().find(|line| line.starts_with("open "));
    assert!(list.is_some_and(|line| !line.contains("50")), "{list:?}");
    assert_eq!(
        end_of(|| {
            open();
            4
        }),
        End::Exit(4)
    );
}

fn other_threads_end() {
    let text = output_of(|| {
        for _ in 0..4 {
            std::thread::spawn(|| {
                loop {
                    sys!(pause());
                }
            });
        }
        std::thread::spawn(|| become_helper(&["arguments", "from a thread"]))
            .join()
            .unwrap_or(-1)
    });
    assert_eq!(text, "from a thread\n");
}

fn pauses() {
    std::thread::spawn(|| {
        loop {
            sys!(pause());
        }
    });
}

/// What the helper tells about itself when `start` makes a thread exec it.
fn state_of_main(start: impl FnOnce()) {
    let pid = shared::<AtomicI32>();
    let state = state(|| {
        pid.store(sys!(getpid()), SeqCst);
        start();
        loop {
            sys!(pause());
        }
    });
    let pid = pid.load(SeqCst).to_string();
    assert_eq!(value(&state, "pid"), pid);
    assert_eq!(value(&state, "tid"), pid);
    assert_eq!(value(&state, "threads"), "1");
}

fn a_thread_that_execs_becomes_the_main_one() {
    state_of_main(|| {
        (0..3).for_each(|_| pauses());
        std::thread::spawn(|| become_helper(&["state"]));
    });
    // It can be signalled and waited for by its number.
    let (mut reader, writer) = pipe();
    let pid = spawn(|| {
        sys!(dup2(writer.as_raw_fd(), 1));
        std::thread::spawn(|| become_helper(&["ready"]));
        loop {
            sys!(pause());
        }
    });
    drop(writer);
    reader.read_exact(&mut [0]).expect("the helper is there");
    ok(sys!(syscall(libc::SYS_tgkill, pid, pid, libc::SIGTERM)));
    assert_eq!(wait(pid), End::Signal(libc::SIGTERM));
}

fn exec_after_the_main_thread_has_ended() {
    // Where its main thread has ended, Linux no longer tells what a process runs.
    let path = helper::path();
    state_of_main(|| {
        std::thread::spawn(move || {
            until("the main thread has ended", main_has_ended);
            exec(&path, &["ktest", helper::SWITCH, "state"], &[])
        });
        sys!(syscall(libc::SYS_exit, 3));
    });
}

/// Linux keeps it as a zombie as long as there are other threads; here it is gone.
fn main_has_ended() -> bool {
    let path = format!("/proc/self/task/{}/stat", sys!(getpid()));
    fs::read_to_string(path).map_or(true, |text| text.contains(") Z "))
}

fn of_threads_that_exec_at_once_one_wins() {
    for _ in 0..50 {
        let text = output_of(|| {
            let barrier = std::sync::Arc::new(std::sync::Barrier::new(4));
            for _ in 0..4 {
                let barrier = barrier.clone();
                std::thread::spawn(move || {
                    barrier.wait();
                    become_helper(&["arguments", "winner"])
                });
            }
            loop {
                sys!(pause());
            }
        });
        assert_eq!(text, "winner\n");
    }
}

fn exec_while_others_exit_fork_and_make_threads() {
    let path = helper::path();
    for _ in 0..50 {
        let path = path.clone();
        let text = output_of(|| {
            // SIGCHLD of children that are still there is ignored over exec, which leaves no zombies.
            on_signal(libc::SIGCHLD, 0, libc::SIG_IGN);
            for _ in 0..2 {
                std::thread::spawn(|| {
                    loop {
                        // There may be no room for another: that is not what this is about.
                        drop(std::thread::Builder::new().spawn(|| ()));
                    }
                });
                std::thread::spawn(|| {
                    loop {
                        if sys!(fork()) == 0 {
                            sys!(_exit(0));
                        }
                    }
                });
            }
            std::thread::spawn(move || {
                sleep_ms(1);
                exec(&path, &["ktest", helper::SWITCH, "arguments", "here"], &[])
            });
            sys!(syscall(libc::SYS_exit, 0));
            0
        });
        assert_eq!(text, "here\n");
    }
}

fn exec_and_a_kill_at_once() {
    for _ in 0..50 {
        let (mut reader, writer) = pipe();
        let pid = spawn(|| {
            (0..3).for_each(|_| pauses());
            sys!(close(writer.as_raw_fd()));
            std::thread::spawn(|| become_helper(&["sleep"]));
            loop {
                sys!(pause());
            }
        });
        // The end of the pipe says that the thread is about to start.
        drop(writer);
        assert_eq!(reader.read(&mut [0]).expect("a pipe"), 0);
        ok(sys!(kill(pid, libc::SIGKILL)));
        assert_eq!(wait(pid), End::Signal(libc::SIGKILL));
    }
    for _ in 0..50 {
        let pid = spawn(|| {
            (0..3).for_each(|_| pauses());
            std::thread::spawn(|| become_helper(&["exit", "4"]));
            std::thread::spawn(|| sys!(_exit(4)));
            loop {
                sys!(pause());
            }
        });
        assert_eq!(wait(pid), End::Exit(4));
    }
}

fn failed_exec_leaves_everything() {
    let (_reader, writer) = pipe_with(libc::O_CLOEXEC);
    let heap = vec![9u8; 100_000];
    on_signal(libc::SIGUSR1, 0, nothing as *const () as usize);
    executable("garbage", b"garbage");
    fails(exec("./garbage", &["x"], &[]), libc::ENOEXEC);
    assert!(heap.iter().all(|b| *b == 9));
    assert_eq!(poll_now(&writer, libc::POLLOUT), libc::POLLOUT);
    ok(sys!(raise(libc::SIGUSR1)));
}

fn shell_says_127_and_126() {
    let shell = |script: &str| {
        end_of(|| {
            sys!(close(2));
            open("/dev/null", libc::O_WRONLY, 0);
            exec("/bin/sh", &["sh", "-c", script], &["PATH=/bin:/usr/bin"])
        })
    };
    assert_eq!(shell("exit 5"), End::Exit(5));
    assert_eq!(shell("no-such-command"), End::Exit(127));
    assert_eq!(shell("/etc/passwd"), End::Exit(126));
    assert_eq!(shell("/"), End::Exit(126));
    assert_eq!(shell("sh -c 'kill -9 $$'; exit $?"), End::Exit(137));
}

fn five_hundred_in_a_chain() {
    for n in 0..500 {
        let status = (n % 256).to_string();
        assert_eq!(
            end_of(|| become_helper(&["exit", &status])),
            End::Exit(n % 256)
        );
    }
}

fn setpgid_after_exec_is_refused() {
    let (reader, writer) = pipe_with(libc::O_CLOEXEC);
    let pid = spawn(|| become_helper(&["sleep"]));
    drop(writer);
    // The child's copy of the writer closes as it execs.
    assert_ne!(poll_for(&reader, libc::POLLIN, 20_000) & libc::POLLHUP, 0);
    fails(sys!(setpgid(pid, pid)), libc::EACCES);
    ok(sys!(kill(pid, libc::SIGKILL)));
    wait(pid);
}

fn what_another_thread_gave_up_stays_given_up() {
    let gone = shared::<std::sync::atomic::AtomicI32>();
    for round in 0..300 {
        gone.store(0, SeqCst);
        let state = state(|| {
            let started = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    started.wait();
                    (0..round * 20).for_each(|_| std::hint::spin_loop());
                    ok(sys!(setresuid(1234, 1234, 1234)));
                    gone.store(1, SeqCst);
                    loop {
                        sys!(pause());
                    }
                });
                started.wait();
                become_helper(&["state"]);
            });
        });
        if gone.load(SeqCst) == 1 {
            assert_eq!(value(&state, "auxv-euid"), "1234");
            assert_eq!(value(&state, "users"), "1234,1234,1234");
        }
    }
}
