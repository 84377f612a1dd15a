//! A guest on a terminal that nobody looks at: keys go in, and a terminal emulator interprets what comes out, so that
//! a test sees what a person would see.

use std::{
    ffi::c_int,
    io::{Read, Write},
    num::NonZeroU16,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    build::Image,
    cli::MachineOptions,
    deadline::Deadline,
    emulator::{self, Emulator},
    failure::Failure,
    guest::{Said, complaints},
    qemu,
    signals::{self, Listening},
};

const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();
/// How the prompt ends.
const PROMPT: &str = "#";
/// What waits for the guest. More is a guest that floods the terminal, which then has to wait itself.
const PIECES: usize = 64;

/// Something on the screen.
#[derive(Clone, Copy, Debug)]
pub enum See {
    /// The cursor behind an empty prompt.
    Prompt,
    /// That in the first row, and nothing else.
    EmptyScreen,
    /// A row that is exactly this.
    Row(&'static str),
    /// A row that contains this.
    Text(&'static str),
    /// The cursor's row ends with this.
    Typed(&'static str),
}

pub struct Screen {
    qemu: Emulator,
    keys: Sender<Vec<u8>>,
    /// What the guest says; nothing more comes after `None`.
    line: Receiver<Option<Vec<u8>>>,
    /// That xtask got, 0 if none.
    signal: Arc<AtomicI32>,
    screen: vt100::Parser,
    said: Said,
    _listening: Listening,
}

impl Screen {
    pub fn start(image: &Image, rows: NonZeroU16) -> Result<Self> {
        let words = format!("console=tty winsize={rows}x{COLUMNS} TERM=xterm");
        let arguments = qemu::arguments(&image.file, &MachineOptions::default(), &words);
        // Signals first: from here on there is something to end.
        let (send, line) = mpsc::sync_channel(PIECES);
        let signal = Arc::new(AtomicI32::new(0));
        let listening = signals::listen({
            let (send, signal) = (send.clone(), signal.clone());
            move |number| {
                signal.store(number, Ordering::Relaxed);
                // Wakes the test, which is awake if there is no room.
                send.try_send(Some(Vec::new())).ok();
            }
        })?;
        let mut qemu = Emulator::start(arguments, Stdio::piped(), Stdio::piped(), Stdio::piped())?;
        let mut serial = qemu.child.stdin.take().context("stdin is a pipe")?;
        let mut output = qemu.child.stdout.take().context("stdout is a pipe")?;
        let stderr = qemu.child.stderr.take().context("stderr is a pipe")?;
        let said = Said::default();
        thread::spawn({
            let said = said.clone();
            move || complaints(stderr, &said)
        });
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = output.read(&mut buffer) {
                if count == 0 || send.send(Some(buffer[..count].to_vec())).is_err() {
                    break;
                }
            }
            // Nobody may look any more.
            send.send(None).ok();
        });
        // A guest that takes no keys blocks this thread, not the test.
        let (keys, typed) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            while let Ok(keys) = typed.recv() {
                if serial
                    .write_all(&keys)
                    .and_then(|()| serial.flush())
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Self {
            qemu,
            keys,
            line,
            signal,
            screen: vt100::Parser::new(rows, COLUMNS, 0),
            said,
            _listening: listening,
        })
    }

    pub fn press(&self, keys: &str) -> Result<()> {
        self.keys
            .send(keys.into())
            .ok()
            .context("the machine takes no keys any more")
    }

    pub fn wait(&mut self, sight: See, limit: Duration) -> Result<()> {
        self.wait_until(&format!("{sight:?}"), limit, |screen| screen.sees(sight))
    }

    pub fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Deadline::after(limit);
        while !is_so(self) {
            // Asked first: a guest that never falls silent would hide it.
            let left = deadline.left();
            let why = match self.next(left) {
                Ok(()) if !left.is_zero() => continue,
                Ok(()) | Err(Silence::Still) => "did not appear",
                Err(Silence::Ended) => "did not appear before the end",
                Err(Silence::Interrupted(signal)) => bail!(Failure::Interrupted(signal)),
            };
            let complaints = self.said.texts().0;
            let shown = self.rows().join("\n");
            bail!("{what} {why}:\n{}\n{complaints}", shown.trim_end());
        }
        Ok(())
    }

    /// Shows what comes next.
    fn next(&mut self, limit: Duration) -> Result<(), Silence> {
        let bytes = self.line.recv_timeout(limit);
        match self.signal.load(Ordering::Relaxed) {
            0 => {}
            signal => return Err(Silence::Interrupted(signal)),
        }
        match bytes {
            Ok(Some(bytes)) => {
                self.screen.process(&bytes);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err(Silence::Still),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => Err(Silence::Ended),
        }
    }

    pub fn sees(&self, sight: See) -> bool {
        let rows = self.rows();
        let (row, column) = self.screen.screen().cursor_position();
        let here = &rows[usize::from(row)];
        let prompt = here.ends_with(PROMPT) && usize::from(column) == here.chars().count() + 1;
        match sight {
            See::Prompt => prompt,
            See::EmptyScreen => prompt && row == 0 && rows[1..].iter().all(String::is_empty),
            See::Row(text) => rows.iter().any(|row| row == text),
            See::Text(text) => rows.iter().any(|row| row.contains(text)),
            See::Typed(text) => here.ends_with(text),
        }
    }

    /// The cursor's row.
    pub fn row(&self) -> u16 {
        self.screen.screen().cursor_position().0
    }

    /// What stands in it.
    pub fn here(&self) -> String {
        self.rows()[usize::from(self.row())].clone()
    }

    /// The screen's rows without the blanks at their ends.
    pub fn rows(&self) -> Vec<String> {
        self.screen
            .screen()
            .rows(0, COLUMNS.get())
            .map(|row| row.trim_end().to_owned())
            .collect()
    }

    /// Waits for the machine to be switched off.
    pub fn end(&mut self, limit: Duration) -> Result<()> {
        let deadline = Deadline::after(limit);
        loop {
            let left = deadline.left();
            match self.next(left) {
                Ok(()) if !left.is_zero() => {}
                // The line ends with QEMU.
                Err(Silence::Ended) => break,
                Ok(()) | Err(Silence::Still) => bail!("the machine still runs"),
                Err(Silence::Interrupted(signal)) => bail!(Failure::Interrupted(signal)),
            }
        }
        match self.qemu.end_within(deadline.left()) {
            None => bail!("QEMU closed the serial line and did not end"),
            Some(status) => match emulator::complaint(status) {
                None => Ok(()),
                Some(why) => bail!("{why}\n{}", self.said.texts().0),
            },
        }
    }
}

/// Why nothing new is on the screen.
enum Silence {
    Still,
    Ended,
    Interrupted(c_int),
}
