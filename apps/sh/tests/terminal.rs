//! The shell at a terminal: prompt, editing, history, completion, and what ^C, ^Z and ^D do.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A shell on the far side of a pseudo-terminal.
struct Terminal {
    pid: libc::pid_t,
    keys: File,
    screen: Arc<Mutex<String>>,
    /// How much of the screen earlier waits have used up.
    seen: usize,
}

impl Terminal {
    fn start(name: &str) -> Self {
        let home = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(&home).expect("a home");
        _ = fs::remove_file(format!("{home}/.sh_history"));
        let program = format!("{}\0", env!("CARGO_BIN_EXE_sh"));
        let variables = [
            format!("HOME={home}\0"),
            format!("PWD={home}\0"),
            "USER=tester\0".to_owned(),
            "PATH=/usr/bin:/bin\0".to_owned(),
            "TERM=vt100\0".to_owned(),
        ];
        let mut envp: Vec<_> = variables.iter().map(|text| text.as_ptr().cast()).collect();
        envp.push(std::ptr::null());
        let argv = [c"sh".as_ptr(), std::ptr::null()];
        let directory = format!("{home}\0");
        let mut master = 0;
        let size = libc::winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: between fork and exec the child makes system calls only; every pointer is to a
        // string that ends in a zero byte, or to an array that ends in a null pointer.
        let pid = unsafe {
            match libc::forkpty(&mut master, std::ptr::null_mut(), std::ptr::null(), &size) {
                0 => {
                    // Whoever started us may ignore them: `nohup`, a job in the background.
                    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                        libc::signal(signal, libc::SIG_DFL);
                    }
                    libc::chdir(directory.as_ptr().cast());
                    libc::execve(program.as_ptr().cast(), argv.as_ptr(), envp.as_ptr());
                    libc::_exit(99)
                }
                pid => pid,
            }
        };
        assert!(pid > 0, "forkpty: {}", std::io::Error::last_os_error());
        // SAFETY: forkpty gave this descriptor to us alone.
        let keys = unsafe { File::from_raw_fd(master) };
        let mut output = keys.try_clone().expect("a second descriptor");
        let screen = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match output.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                        shared.lock().expect("the screen").push_str(&text);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // The shell has gone.
                    Err(_) => break,
                }
            }
        });
        Self {
            pid,
            keys,
            screen,
            seen: 0,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys");
    }

    /// Waits until the screen shows `text` behind what was waited for before.
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let screen = self.screen.lock().expect("the screen").clone();
            if let Some(index) = screen[self.seen..].find(text) {
                self.seen += index + text.len();
                return;
            }
            assert!(
                Instant::now() < end,
                "no {text:?} in {:?}",
                &screen[self.seen..]
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(20);
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        while unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) } == 0 {
            assert!(Instant::now() < end, "the shell does not end");
            thread::sleep(Duration::from_millis(10));
        }
        self.pid = 0;
        ExitStatus::from_raw(status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.pid > 0 {
            // SAFETY: the call takes no pointer; the process is our child and not yet reaped.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }
}

const PROMPT: &str = ":~";

#[test]
fn lines_are_edited_completed_and_remembered() {
    let mut terminal = Terminal::start("editing");
    terminal.expect("tester@");
    terminal.expect(PROMPT);
    terminal.press("echo onX\u{7f}e\r");
    terminal.expect("\none\r\n");
    terminal.press("echo first\recho second\r");
    terminal.expect("\nfirst\r\n");
    terminal.expect("\nsecond\r\n");
    terminal.press("\u{1b}[A\u{1b}[A\u{1b}[A\r");
    terminal.expect("\none\r\n");
    terminal.press("\u{1b}[A two\r");
    terminal.expect("\none two\r\n");
    terminal.press("printen\tHO\u{7f}\u{7f}HOME\r");
    terminal.expect("/editing\r\n");
    terminal.press("echo $HOM\t!\r");
    terminal.expect("/editing!\r\n");
    terminal.press("if true\rthen echo yes; fi\r");
    terminal.expect("\nyes\r\n");
    terminal.expect(PROMPT);
    terminal.press("\u{4}");
    assert_eq!(terminal.end().code(), Some(0));
    let history = format!("{}/editing/.sh_history", env!("CARGO_TARGET_TMPDIR"));
    let history = fs::read_to_string(history).expect("a history");
    assert!(
        history.starts_with("echo one\necho first\necho second\necho one\necho one two\n"),
        "{history}"
    );
    assert!(
        history.contains("if true\\nthen echo yes; fi\n"),
        "{history}"
    );
}

#[test]
fn signals_from_the_keyboard_reach_the_command_and_leave_the_shell() {
    let mut terminal = Terminal::start("signals");
    terminal.expect(PROMPT);
    // The job itself says when it has the terminal, and is one process: a shell waits for a child that it starts later.
    terminal.press("echo started >job; tail -f job\r");
    terminal.expect("\nstarted");
    terminal.press("\u{3}");
    terminal.expect(PROMPT);
    terminal.press("echo status $?\r");
    terminal.expect("\nstatus 130\r\n");
    terminal.expect(PROMPT);
    terminal.press("if true\r");
    terminal.expect("> ");
    terminal.press("\u{3}");
    terminal.expect(PROMPT);
    terminal.press("echo fresh\r");
    terminal.expect("\nfresh\r\n");
    terminal.press("echo looping; while :; do :; done\r");
    terminal.expect("\nlooping");
    terminal.press("\u{3}");
    terminal.expect(PROMPT);
    terminal.press("tail -f job\r");
    terminal.expect("\nstarted");
    terminal.press("\u{1a}");
    terminal.expect("Stopped");
    terminal.press("kill -9 %1; wait; exit 5\r");
    assert_eq!(terminal.end().code(), Some(5));
}

#[test]
fn a_killed_job_is_named_by_its_signal() {
    let mut terminal = Terminal::start("killed");
    terminal.expect(PROMPT);
    terminal.press("sleep 100 & sleep 100 & kill %1; wait %1; echo status $?\r");
    terminal.expect("\nstatus 143\r\n");
    terminal.expect(PROMPT);
    terminal.press("kill -9 %2; while kill -0 $! 2>/dev/null; do :; done\r");
    terminal.expect("Killed(SIGKILL)");
    terminal.press("exit 6\r");
    assert_eq!(terminal.end().code(), Some(6));
}

#[test]
fn a_trap_on_an_interrupt_runs_at_the_prompt() {
    let mut terminal = Terminal::start("trapped");
    terminal.expect(PROMPT);
    terminal.press("trap 'echo caught it' INT\r");
    terminal.expect(PROMPT);
    terminal.press("half a line\u{3}");
    terminal.expect("\ncaught it\r\n");
    terminal.expect(PROMPT);
    terminal.press("trap - INT\r");
    terminal.expect(PROMPT);
    terminal.press("other half\u{3}");
    terminal.expect(PROMPT);
    terminal.press("exit 7\r");
    assert_eq!(terminal.end().code(), Some(7));
}

/// Gives the names of the processes that `$!` has started.
const NAMES: &str =
    "names() { cat $(printf '/proc/%s/comm ' $(cat /proc/$!/task/$!/children)); }\r";

#[test]
fn a_job_is_the_program_and_no_shell_that_waits_for_it() {
    let mut terminal = Terminal::start("tail");
    terminal.expect(PROMPT);
    for job in [
        "sleep 100",
        "(sleep 100)",
        "(cd /; sleep 100)",
        "{ :; sleep 100; }",
    ] {
        // Another shell in between would be an `sh` for as long as the program runs.
        terminal.press(&format!("{job} &\r"));
        terminal.expect("[1] ");
        terminal.press("until grep sleep /proc/$!/comm; do :; done; kill $!; wait $!; echo $?\r");
        terminal.expect("\nsleep\r\n");
        terminal.expect("143\r\n");
        terminal.expect(PROMPT);
        terminal.press("jobs\r");
        terminal.expect(PROMPT);
    }
    terminal.press("exit 8\r");
    assert_eq!(terminal.end().code(), Some(8));
}

#[test]
fn the_stages_of_a_pipeline_are_the_programs() {
    let mut terminal = Terminal::start("stages");
    terminal.expect(PROMPT);
    terminal.press(NAMES);
    terminal.press("sleep 100 | sleep 101 &\r");
    terminal.expect("[1] ");
    terminal.press(
        "until [ \"$(names 2>/dev/null | tr '\\n' +)\" = sleep+sleep+ ]; do :; done; jobs\r",
    );
    terminal.expect("Running              sleep 100 | sleep 101\r\n");
    terminal.press("kill -9 %sleep; wait %1; echo $?; exit 9\r");
    terminal.expect("\n137\r\n");
    assert_eq!(terminal.end().code(), Some(9));
}

#[test]
fn a_subshell_that_became_its_command_is_stopped_and_continued() {
    let mut terminal = Terminal::start("stopped");
    terminal.expect(PROMPT);
    terminal.press("echo started >job; (cd .; tail -f job)\r");
    terminal.expect("\nstarted");
    terminal.press("\u{1a}");
    terminal.expect("Stopped(SIGTSTP)     (cd .; tail -f job)\r\n");
    terminal.expect(PROMPT);
    terminal.press("bg; jobs\r");
    terminal.expect("Running              (cd .; tail -f job)\r\n");
    terminal.press("kill -9 %1; wait; echo ready; (cd .; cat)\r");
    terminal.expect("\nready\r\n");
    terminal.press("one\r");
    terminal.expect("one\r\none\r\n");
    terminal.press("\u{1a}");
    terminal.expect("Stopped(SIGTSTP)     (cd .; cat)\r\n");
    terminal.expect(PROMPT);
    terminal.press("fg\r");
    terminal.expect("\n(cd .; cat)\r\n");
    terminal.press("two\r");
    terminal.expect("two\r\ntwo\r\n");
    terminal.press("\u{3}");
    terminal.expect(PROMPT);
    terminal.press("echo status $?\r");
    terminal.expect("\nstatus 130\r\n");
    terminal.expect(PROMPT);
    terminal.press("(tail -f job | cat)\r");
    terminal.expect("\nstarted");
    terminal.press("\u{1a}");
    terminal.expect("Stopped(SIGTSTP)     (tail -f job | cat)\r\n");
    terminal.press("kill -9 %1; wait; exit 3\r");
    assert_eq!(terminal.end().code(), Some(3));
}

#[test]
fn what_was_stopped_last_is_the_current_job() {
    let mut terminal = Terminal::start("current");
    terminal.expect(PROMPT);
    terminal.press("echo started >job; tail -n 1 -f job\r");
    terminal.expect("\nstarted");
    terminal.press("\u{1a}");
    terminal.expect("[1] + Stopped(SIGTSTP)     tail -n 1 -f job\r\n");
    terminal.expect(PROMPT);
    terminal.press("tail -n 2 -f job\r");
    terminal.expect("\nstarted");
    terminal.press("\u{1a}");
    terminal.expect("[2] + Stopped(SIGTSTP)     tail -n 2 -f job\r\n");
    terminal.expect(PROMPT);
    terminal.press("jobs\r");
    terminal.expect("[1] - Stopped(SIGTSTP)     tail -n 1 -f job\r\n");
    terminal.expect("[2] + Stopped(SIGTSTP)     tail -n 2 -f job\r\n");
    terminal.expect(PROMPT);
    terminal.press("bg; jobs\r");
    terminal.expect("[2] tail -n 2 -f job\r\n");
    terminal.expect("[1] + Stopped(SIGTSTP)     tail -n 1 -f job\r\n");
    terminal.expect("[2] - Running              tail -n 2 -f job\r\n");
    terminal.press("kill -9 %1 %2; wait; exit 4\r");
    assert_eq!(terminal.end().code(), Some(4));
}

#[test]
fn a_stopped_job_that_is_told_to_end_ends() {
    let mut terminal = Terminal::start("told");
    terminal.expect(PROMPT);
    for (signal, status) in [("", "143"), ("-HUP", "129"), ("-s TERM %9 2>&-", "143")] {
        terminal.press("echo started >job; tail -f job\r");
        terminal.expect("\nstarted");
        terminal.press("\u{1a}");
        terminal.expect("[1] + Stopped");
        terminal.expect(PROMPT);
        terminal.press(&format!("kill {signal} %1; wait %1; echo status $?\r"));
        terminal.expect(&format!("\nstatus {status}\r\n"));
        terminal.expect(PROMPT);
    }
    // Other signals leave it stopped.
    terminal.press("tail -f job\r");
    terminal.expect("\nstarted");
    terminal.press("\u{1a}");
    terminal.expect("[1] + Stopped");
    terminal.expect(PROMPT);
    terminal.press("kill -USR1 %1; jobs; kill -9 %1; wait; exit 5\r");
    terminal.expect("\n[1] + Stopped");
    assert_eq!(terminal.end().code(), Some(5));
}

#[test]
fn stopped_jobs_are_left_at_the_second_attempt_in_a_row() {
    const WARNING: &str = "There are stopped jobs.\r\n";
    for (name, keys, status) in [("exit", "exit 6\r", 6), ("end", "\u{4}", 0)] {
        let mut terminal = Terminal::start(name);
        terminal.expect(PROMPT);
        terminal.press("echo started >job; tail -f job\r");
        terminal.expect("\nstarted");
        terminal.press("\u{1a}");
        terminal.expect("Stopped");
        terminal.expect(PROMPT);
        for between in ["echo between\r", "echo $?\r"] {
            terminal.press(keys);
            terminal.expect(WARNING);
            terminal.expect(PROMPT);
            terminal.press(between);
            terminal.expect(PROMPT);
        }
        terminal.press(keys);
        terminal.expect(WARNING);
        terminal.expect(PROMPT);
        terminal.press(keys);
        assert_eq!(terminal.end().code(), Some(status));
    }
}
