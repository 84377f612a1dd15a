//! PID 1 of the Linux guest: what the kernel and `init` of RustOS do for a `-c` command, done on Linux,
//! so that xtask drives both guests over the same framed serial line.
//!
//! With no command on the kernel's command line it only says when it was started: what boot to init
//! costs. RustOS boots it so with `init=bench`.

use std::{
    ffi::CStr,
    fs,
    io::{Read, Write},
    os::fd::AsRawFd,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, Mutex},
    thread,
};

const MARK: u8 = 0xF5;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const EXIT: u8 = 4;
const SERIAL: &str = "/dev/ttyAMA0";
/// What stands before the nanoseconds from power-on to the start of PID 1.
const STARTED: &str = "init started at ";

/// Runs the command of the kernel's command line and powers off.
pub fn run() -> ExitCode {
    let started = crate::sys::since_power_on();
    mount(c"proc", c"/proc");
    mount(c"devtmpfs", c"/dev");
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    match line.split_whitespace().find_map(|w| w.strip_prefix("cmd=")) {
        Some(command) => {
            if let Err(why) = serve(command) {
                eprintln!("init: {why}");
            }
        }
        None => println!("{STARTED}{}", started.unwrap_or(0)),
    }
    // SAFETY: PID 1 may switch the machine off; nothing needs to be saved.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
    ExitCode::FAILURE
}

fn mount(kind: &CStr, at: &CStr) {
    // Failing is told by the first open that misses the file system.
    // SAFETY: all strings end with a NUL; no data is passed.
    unsafe {
        libc::mount(
            kind.as_ptr(),
            at.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
}

fn serve(command: &str) -> Result<(), String> {
    let command = unhex(command).ok_or("the command line has no usable cmd=")?;
    let serial = fs::OpenOptions::new()
        .write(true)
        .open(SERIAL)
        .map_err(|e| format!("{SERIAL}: {e}"))?;
    make_raw(serial.as_raw_fd());
    let serial = Arc::new(Mutex::new(serial));

    let mut code = 0;
    for words in commands(&command) {
        code = run_one(&words, &serial)?;
    }
    send(&serial, EXIT, &code.to_le_bytes())
}

/// What is to be run: the shell with its script, or without a shell the script's commands one by one.
fn commands(script: &str) -> Vec<Vec<&str>> {
    if fs::exists("/bin/sh").unwrap_or(false) {
        return vec![vec!["/bin/sh", "-c", script]];
    }
    plain_commands(script)
}

/// Commands between semicolons, words between blanks: all that the benchmark's own scripts use.
fn plain_commands(script: &str) -> Vec<Vec<&str>> {
    script
        .split(';')
        .map(|command| command.split_whitespace().collect())
        .filter(|words: &Vec<_>| !words.is_empty())
        .collect()
}

/// Runs one command with its streams in frames; gives its status.
fn run_one(words: &[&str], serial: &Arc<Mutex<fs::File>>) -> Result<i32, String> {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .env_clear()
        .envs([("PATH", "/bin:/usr/bin"), ("HOME", "/root")])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", words[0]))?;
    let streams = [
        child.stdout.take().map(|s| forward(STDOUT, s, serial)),
        child.stderr.take().map(|s| forward(STDERR, s, serial)),
    ];
    let status = child.wait().map_err(|e| format!("wait: {e}"))?;
    for stream in streams.into_iter().flatten() {
        stream.join().map_err(|_| "a stream's thread panicked")?;
    }
    Ok(status.code().unwrap_or(255))
}

fn forward(
    kind: u8,
    mut from: impl Read + Send + 'static,
    serial: &Arc<Mutex<fs::File>>,
) -> thread::JoinHandle<()> {
    let serial = Arc::clone(serial);
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if send(&serial, kind, &buffer[..count]).is_err() {
                return;
            }
        }
    })
}

fn send(serial: &Mutex<fs::File>, kind: u8, payload: &[u8]) -> Result<(), String> {
    let mut frame = vec![MARK, kind];
    frame.extend((payload.len() as u16).to_le_bytes());
    frame.extend(payload);
    let mut serial = serial.lock().map_err(|e| e.to_string())?;
    serial
        .write_all(&frame)
        .map_err(|e| format!("{SERIAL}: {e}"))
}

/// Bytes as they are: no CR for LF.
fn make_raw(fd: i32) {
    // SAFETY: the structure is filled by the first call before the others read it.
    unsafe {
        let mut mode: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(fd, &raw mut mode) == 0 {
            libc::cfmakeraw(&raw mut mode);
            libc::tcsetattr(fd, libc::TCSANOW, &raw const mode);
        }
    }
}

fn unhex(text: &str) -> Option<String> {
    let bytes = (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_plain_commands_needs_no_shell() {
        assert_eq!(
            plain_commands("a -b; c d;"),
            [vec!["a", "-b"], vec!["c", "d"]]
        );
    }

    #[test]
    fn a_command_comes_back_from_hex() {
        assert_eq!(unhex("61202762").as_deref(), Some("a 'b"));
        assert_eq!(unhex("6"), None);
    }
}
