//! Runs tests: one child each, one directory each, one time limit each.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// One test: it passes by returning, fails by panicking, dying or taking too long.
pub struct Test {
    pub name: &'static str,
    pub body: fn(),
    pub needs: Needs,
}

/// Where a test makes sense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// A kernel of one's own: under an emulator of user programs the host's rules shine through.
    Native,
}

/// Lists a module's tests: `tests![one, two: Native]`.
macro_rules! tests {
    ($($name:ident $(: $needs:ident)?),* $(,)?) => {
        pub const TESTS: &[$crate::harness::Test] = &[$(
            $crate::harness::Test {
                name: stringify!($name),
                body: $name,
                needs: $crate::harness::tests!(@ $($needs)?),
            }
        ),*];
    };
    (@) => { $crate::harness::Needs::Nothing };
    (@ $needs:ident) => { $crate::harness::Needs::$needs };
}
pub(crate) use tests;

/// How long a test may take; generous, as emulated machines are slow and hosts busy.
const LIMIT: Duration = Duration::from_secs(120);
/// Set in the environment where the tests run under qemu-aarch64 or the like.
const EMULATED: &str = "KTEST_EMULATED";
const STATUS_FAILED_TEST: i32 = 101;

/// Where a failing test says why; inherited by all of its processes.
static REPORT: AtomicI32 = AtomicI32::new(2);
static PANICS_ARE_EXPECTED: AtomicBool = AtomicBool::new(false);

/// For tests that panic on purpose: unwind instead of failing.
pub fn expect_panics() {
    PANICS_ARE_EXPECTED.store(true, Ordering::Relaxed);
}

pub fn run(tests: &[(String, &Test)]) -> ExitCode {
    let emulated = std::env::var_os(EMULATED).is_some();
    let base = std::env::temp_dir().join(format!("ktest.{}", std::process::id()));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, test) in tests {
        say(&format!("test {name} ... "));
        if test.needs == Needs::Native && emulated {
            skipped += 1;
            say("skipped (needs a kernel of its own)\n");
            continue;
        }
        match run_one(test, &base) {
            Ok(()) => {
                passed += 1;
                say("ok\n");
            }
            Err(why) => {
                failed += 1;
                say(&format!("FAILED ({why})\n"));
            }
        }
    }
    match skipped {
        0 => say(&format!("{passed} passed, {failed} failed\n")),
        _ => say(&format!(
            "{passed} passed, {failed} failed, {skipped} skipped\n"
        )),
    }
    if let Err(error) = fs::remove_dir_all(&base) {
        eprintln!("ktest: {}: {error}", base.display());
    }
    ExitCode::from(u8::from(failed > 0))
}

/// Nothing stays in a buffer that a forked child would write a second time.
fn say(text: &str) {
    let mut out = io::stdout();
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        // Nobody reads the results: there is no point in going on.
        std::process::exit(1);
    }
}

fn run_one(test: &Test, base: &Path) -> Result<(), String> {
    let directory = base.join(test.name);
    fs::create_dir_all(&directory).map_err(|e| format!("cannot make {directory:?}: {e}"))?;
    let mut ends = [0; 2];
    if sys!(pipe(ends.as_mut_ptr())) == -1 {
        return Err(format!("pipe: {}", io::Error::last_os_error()));
    }
    // SAFETY: pipe has just made both descriptors, and nobody else knows them.
    let (report, report_end) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    let child = sys!(fork());
    match child {
        -1 => return Err(format!("fork: {}", io::Error::last_os_error())),
        0 => {
            drop(report);
            be_the_test(test, directory, report_end);
        }
        _ => drop(report_end),
    }
    let outcome = watch(child, report);
    // Whatever the test has left behind goes with its session.
    sys!(kill(-child, libc::SIGKILL));
    remove(&directory);
    outcome
}

/// The child's whole life.
fn be_the_test(test: &Test, directory: PathBuf, report: File) -> ! {
    sys!(setsid());
    // Out of the way of tests that count descriptors.
    let report = report.into_raw_fd();
    let high = sys!(fcntl(report, libc::F_DUPFD_CLOEXEC, 200));
    if high >= 0 {
        sys!(close(report));
    }
    REPORT.store(if high >= 0 { high } else { report }, Ordering::Relaxed);
    std::panic::set_hook(Box::new(|info| {
        if PANICS_ARE_EXPECTED.load(Ordering::Relaxed) {
            return;
        }
        tell(&info.to_string());
        sys!(_exit(STATUS_FAILED_TEST));
    }));
    if let Err(error) = std::env::set_current_dir(&directory) {
        panic!("cannot enter {directory:?}: {error}");
    }
    (test.body)();
    sys!(_exit(0))
}

/// Writes why a test fails to where the harness reads it.
fn tell(why: &str) {
    let why = why.replace('\n', " ");
    let line = format!("{}; ", why.trim_start_matches("panicked at "));
    sys!(write(
        REPORT.load(Ordering::Relaxed),
        line.as_ptr().cast(),
        line.len()
    ));
}

/// Waits for the end of `child` or of its time.
fn watch(child: i32, mut report: File) -> Result<(), String> {
    let deadline = Instant::now() + LIMIT;
    let mut status = 0;
    loop {
        // The pipe hangs up when the last process of the test is gone: no need to wait longer.
        let mut poll = libc::pollfd {
            fd: report.as_raw_fd(),
            events: 0,
            revents: 0,
        };
        sys!(poll(&mut poll, 1, 10));
        match sys!(waitpid(child, &mut status, libc::WNOHANG)) {
            0 if Instant::now() > deadline => {
                sys!(kill(-child, libc::SIGKILL));
                sys!(kill(child, libc::SIGKILL));
                sys!(waitpid(child, &mut status, 0));
                return Err(format!("still running after {} s", LIMIT.as_secs()));
            }
            0 => {}
            pid if pid == child => break,
            _ => return Err(format!("waitpid: {}", io::Error::last_os_error())),
        }
    }
    let why = reasons(&mut report);
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        Ok(())
    } else if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == STATUS_FAILED_TEST {
        Err(why)
    } else if libc::WIFEXITED(status) {
        Err(format!("{why}exit status {}", libc::WEXITSTATUS(status)))
    } else {
        Err(format!("{why}killed by signal {}", libc::WTERMSIG(status)))
    }
}

/// What has been reported so far; processes that the test left behind may hold the pipe open.
fn reasons(report: &mut File) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    sys!(fcntl(report.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK));
    while let Ok(count @ 1..) = report.read(&mut buffer) {
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&text)
        .trim_end_matches("; ")
        .to_string()
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        eprintln!("ktest: cannot remove {}: {error}", directory.display());
    }
}
