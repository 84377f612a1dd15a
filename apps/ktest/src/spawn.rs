//! posix_spawn(3), std's `Command` and vfork(2): children without a copy of the parent.

use crate::helper::{self, Strings};
use crate::support::*;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

crate::harness::tests![
    a_command_runs: Native,
    output_is_collected,
    input_is_passed_on,
    environment_can_be_set_and_cleared,
    working_directory_can_be_set,
    streams_can_be_files,
    missing_commands_are_errors,
    forbidden_commands_are_errors,
    signals_are_in_the_status,
    pre_exec_runs_in_the_child,
    groups_can_be_set,
    sigpipe_is_back_at_default,
    many_at_once,
    three_hundred_in_a_row,
    file_actions_happen_in_order,
    bad_file_actions_fail_the_spawn,
    attributes_reset_signals: Native,
    attributes_set_the_scheduler: Native,
    killing_a_command_ends_it,
    a_signal_to_a_child_in_its_file_actions_is_the_programs: Native,
];

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn a_command_runs() {
    let status = Command::new(helper::path())
        .args([helper::SWITCH, "exit", "41"])
        .status()
        .expect("this very binary");
    assert_eq!(status.code(), Some(41));
}

fn output_is_collected() {
    let output = sh("echo out; echo err >&2; exit 3")
        .output()
        .expect("a shell");
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(3));
}

fn input_is_passed_on() {
    let mut child = sh("cat; echo end")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let text = "line\n".repeat(50_000);
    let mut stdin = child.stdin.take().expect("a pipe");
    let copy = text.clone();
    // Both pipes fill up, so that writer and reader have to run at once.
    let writer = std::thread::spawn(move || stdin.write_all(copy.as_bytes()));
    let mut output = String::new();
    child
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut output)
        .expect("text");
    writer.join().expect("a thread").expect("cat reads all");
    assert_eq!(output.len(), text.len() + 4);
    assert!(child.wait().expect("our child").success());
}

fn environment_can_be_set_and_cleared() {
    let output = sh("echo \"$A-$HOME-\"")
        .env_clear()
        .env("PATH", "/bin:/usr/bin")
        .env("A", "b c")
        .output()
        .expect("a shell");
    assert_eq!(output.stdout, b"b c--\n");
}

fn working_directory_can_be_set() {
    fs::create_dir("sub").expect("a new directory");
    let output = sh("pwd -P").current_dir("sub").output().expect("a shell");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("/sub\n"));
    let error = sh("pwd")
        .current_dir("nowhere")
        .output()
        .expect_err("no such directory");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn streams_can_be_files() {
    fs::write("in", "from a file").expect("a new file");
    let status = sh("cat")
        .stdin(File::open("in").expect("just written"))
        .stdout(File::create("out").expect("a new file"))
        .status()
        .expect("a shell");
    assert!(status.success());
    assert_eq!(fs::read("out").expect("the child's output"), b"from a file");
}

fn missing_commands_are_errors() {
    let error = Command::new("no-such-command-here")
        .spawn()
        .expect_err("it is missing");
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let error = Command::new("/no/such/path")
        .spawn()
        .expect_err("it is missing");
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    // No child is left behind.
    fails(sys!(waitpid(-1, std::ptr::null_mut(), 0)), libc::ECHILD);
}

fn forbidden_commands_are_errors() {
    fs::write("plain", "x").expect("a new file");
    let error = Command::new("./plain").spawn().expect_err("not executable");
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    let error = Command::new("/").spawn().expect_err("a directory");
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
}

fn signals_are_in_the_status() {
    let status = sh("kill -TERM $$").status().expect("a shell");
    assert_eq!(status.signal(), Some(libc::SIGTERM));
    assert_eq!(status.code(), None);
}

fn pre_exec_runs_in_the_child() {
    let mut command = sh("umask");
    // SAFETY: umask is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o123);
            Ok(())
        });
    }
    let output = command.output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.trim_end().ends_with("123"), "{text:?}");
    let mut command = sh(":");
    // SAFETY: makes an error value only.
    unsafe {
        command.pre_exec(|| Err(std::io::Error::from_raw_os_error(libc::EDOM)));
    }
    let error = command.spawn().expect_err("pre_exec fails");
    assert_eq!(error.raw_os_error(), Some(libc::EDOM));
}

fn groups_can_be_set() {
    let mut child = sh("kill -STOP $$")
        .process_group(0)
        .spawn()
        .expect("a shell");
    let pid = child.id() as i32;
    assert_eq!(ok(sys!(getpgid(pid))), pid);
    let mut status = 0;
    ok(sys!(waitpid(pid, &mut status, libc::WUNTRACED)));
    assert_eq!(End::of(status), End::Stop(libc::SIGSTOP));
    ok(sys!(killpg(pid, libc::SIGCONT)));
    assert!(child.wait().expect("our child").success());
}

fn sigpipe_is_back_at_default() {
    // std ignores it in its own programs; a command's child must not inherit that.
    let status = sh("kill -PIPE $$; exit 1").status().expect("a shell");
    assert_eq!(status.signal(), Some(libc::SIGPIPE));
}

fn many_at_once() {
    let children: Vec<_> = (0..30)
        .map(|n| sh(&format!("exit {n}")).spawn().expect("a shell"))
        .collect();
    for (n, mut child) in children.into_iter().enumerate() {
        assert_eq!(child.wait().expect("our child").code(), Some(n as i32));
    }
}

fn three_hundred_in_a_row() {
    for _ in 0..300 {
        assert!(
            Command::new("true")
                .status()
                .expect("true is in the PATH")
                .success()
        );
    }
}

/// posix_spawn of a shell with file actions; the error number or the child.
fn spawn_with(
    script: &str,
    actions: impl FnOnce(*mut libc::posix_spawn_file_actions_t),
    attributes: *const libc::posix_spawnattr_t,
) -> Result<i32, i32> {
    let mut list = MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
    assert_eq!(sys!(posix_spawn_file_actions_init(list.as_mut_ptr())), 0);
    actions(list.as_mut_ptr());
    let args = Strings::new(&["sh", "-c", script]);
    let env = Strings::new(&["PATH=/bin:/usr/bin"]);
    let mut pid = 0;
    let error = sys!(posix_spawn(
        &mut pid,
        c"/bin/sh".as_ptr(),
        list.as_ptr(),
        attributes,
        args.as_ptr().cast(),
        env.as_ptr().cast()
    ));
    sys!(posix_spawn_file_actions_destroy(list.as_mut_ptr()));
    if error == 0 { Ok(pid) } else { Err(error) }
}

fn file_actions_happen_in_order() {
    let pid = spawn_with(
        "echo to one; echo to nine >&9; exit 6",
        |list| {
            let flags = libc::O_WRONLY | libc::O_CREAT;
            assert_eq!(
                sys!(posix_spawn_file_actions_addopen(
                    list,
                    1,
                    c"one".as_ptr(),
                    flags,
                    0o600
                )),
                0
            );
            assert_eq!(sys!(posix_spawn_file_actions_adddup2(list, 1, 9)), 0);
            assert_eq!(sys!(posix_spawn_file_actions_addclose(list, 0)), 0);
        },
        std::ptr::null(),
    );
    assert_eq!(wait(pid.expect("all actions are possible")), End::Exit(6));
    assert_eq!(
        fs::read_to_string("one").expect("opened there"),
        "to one\nto nine\n"
    );
    // The parent's streams are as they were.
    ok(sys!(fcntl(0, libc::F_GETFD)));
}

fn bad_file_actions_fail_the_spawn() {
    let missing = spawn_with(
        "exit 0",
        |list| {
            sys!(posix_spawn_file_actions_addopen(
                list,
                5,
                c"nowhere".as_ptr(),
                0,
                0
            ));
        },
        std::ptr::null(),
    );
    assert_eq!(missing, Err(libc::ENOENT));
    let closed = spawn_with(
        "exit 0",
        |list| {
            sys!(posix_spawn_file_actions_adddup2(list, 99, 5));
        },
        std::ptr::null(),
    );
    assert_eq!(closed, Err(libc::EBADF));
    fails(sys!(waitpid(-1, std::ptr::null_mut(), 0)), libc::ECHILD);
}

fn attributes_reset_signals() {
    on_signal(libc::SIGUSR2, 0, libc::SIG_IGN);
    block(&[libc::SIGUSR1]);
    let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    assert_eq!(sys!(posix_spawnattr_init(attributes.as_mut_ptr())), 0);
    let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
    let at = attributes.as_mut_ptr();
    assert_eq!(sys!(posix_spawnattr_setflags(at, flags as _)), 0);
    assert_eq!(
        sys!(posix_spawnattr_setsigdefault(at, &set_of(&[libc::SIGUSR2]))),
        0
    );
    assert_eq!(sys!(posix_spawnattr_setsigmask(at, &set_of(&[]))), 0);
    let with = spawn_with("kill -USR2 $$; exit 1", |_| {}, at);
    assert_eq!(wait(with.expect("a shell")), End::Signal(libc::SIGUSR2));
    let with = spawn_with("kill -USR1 $$; exit 1", |_| {}, at);
    assert_eq!(wait(with.expect("a shell")), End::Signal(libc::SIGUSR1));
    let without = spawn_with("kill -USR2 $$; exit 1", |_| {}, std::ptr::null());
    assert_eq!(wait(without.expect("a shell")), End::Exit(1));
}

fn attributes_set_the_scheduler() {
    let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    let at = attributes.as_mut_ptr();
    let mut parameter: libc::sched_param = zeroed();
    assert_eq!(sys!(posix_spawnattr_init(at)), 0);
    ok(sys!(sched_setscheduler(0, libc::SCHED_BATCH, &parameter)));
    // The 41st field of the line: the policy.
    let policy = "read -r line </proc/$$/stat; set -- ${line##*) }; shift 38; exit $1";
    let inherited = spawn_with(policy, |_| {}, at).expect("a shell");
    assert_eq!(wait(inherited), End::Exit(libc::SCHED_BATCH));
    let flags = libc::POSIX_SPAWN_SETSCHEDULER as _;
    assert_eq!(sys!(posix_spawnattr_setflags(at, flags)), 0);
    assert_eq!(
        sys!(posix_spawnattr_setschedpolicy(at, libc::SCHED_OTHER)),
        0
    );
    assert_eq!(sys!(posix_spawnattr_setschedparam(at, &parameter)), 0);
    let set = spawn_with(policy, |_| {}, at).expect("a shell");
    assert_eq!(wait(set), End::Exit(libc::SCHED_OTHER));
    in_child(|| {
        ok(sys!(setuid(65534)));
        parameter.sched_priority = 1;
        assert_eq!(
            sys!(posix_spawnattr_setschedpolicy(at, libc::SCHED_FIFO)),
            0
        );
        assert_eq!(sys!(posix_spawnattr_setschedparam(at, &parameter)), 0);
        assert_eq!(spawn_with(policy, |_| {}, at), Err(libc::EPERM));
    });
}

fn killing_a_command_ends_it() {
    let mut child = sh("sleep 1000").spawn().expect("a shell");
    assert!(child.try_wait().expect("our child").is_none());
    child.kill().expect("our child");
    assert_eq!(
        child.wait().expect("our child").signal(),
        Some(libc::SIGKILL)
    );
}

extern "C" fn nothing(_: i32) {}

fn a_signal_to_a_child_in_its_file_actions_is_the_programs() {
    ok(sys!(mkfifo(c"fifo".as_ptr(), 0o600)));
    let handler = nothing as *const () as usize;
    on_signal(libc::SIGUSR1, libc::SA_RESTART, handler);
    let opener = std::thread::spawn(|| {
        // The child waits for somebody who writes.
        sleep_ms(200);
        ok(sys!(kill(0, libc::SIGUSR1)));
        sleep_ms(200);
        open("fifo", libc::O_WRONLY, 0)
    });
    let child = spawn_with(
        "exit 0",
        |list| {
            sys!(posix_spawn_file_actions_addopen(
                list,
                9,
                c"fifo".as_ptr(),
                libc::O_RDONLY,
                0
            ));
        },
        std::ptr::null(),
    );
    drop(opener.join());
    let child = child.expect("a child");
    assert_eq!(wait(child), End::Signal(libc::SIGUSR1));
}
