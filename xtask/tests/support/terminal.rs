//! A pseudo-terminal with a program on it.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
    sync::mpsc::{self, Receiver},
    thread,
};

use rustix::{fs, process, pty};

pub struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    /// Runs `command` with the terminal as its own, so that Ctrl-C is a signal to it.
    pub fn run(command: &mut Command) -> Self {
        let ours = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&ours).unwrap();
        pty::unlockpt(&ours).unwrap();
        let name = pty::ptsname(&ours, Vec::new()).unwrap();
        let flags = fs::OFlags::RDWR | fs::OFlags::NOCTTY | fs::OFlags::CLOEXEC;
        let theirs = File::from(fs::open(name, flags, fs::Mode::empty()).unwrap());
        let stream = || theirs.try_clone().unwrap();
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: between fork and exec only setsid(2) and ioctl(2) are called, which are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                process::setsid()?;
                process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        // The command holds the other end as well.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (send, shown) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It fails when nobody has the other end any more.
            while let Ok(count) = screen.read(&mut buffer) {
                if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            shown,
            text: String::new(),
        }
    }

    /// Waits for a text to be shown.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        while !self.text.contains(text) {
            match self.shown.recv_timeout(super::LIMIT) {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => panic!("no `{text}` ({why}) in:\n{}", self.text),
            }
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn process(&self) -> process::Pid {
        process::Pid::from_child(&self.child)
    }

    /// Waits for the program to end; gives all that was shown, too.
    #[track_caller]
    pub fn ends(mut self) -> (ExitStatus, String) {
        let status = super::ends(&mut self.child);
        while let Ok(bytes) = self.shown.recv_timeout(super::LIMIT) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status, self.text)
    }
}
