//! Output: the standard output, files and pipes to commands, all buffered here.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use crate::ast::Redirect;

const BUFFER: usize = 64 * 1024;

enum Sink {
    File(File),
    Pipe(Option<ChildStdin>, Child),
}

pub struct Out {
    pub buf: Vec<u8>,
    sink: Sink,
    /// A terminal sees each line as it is written, the standard error each byte.
    eager: bool,
}

fn duplicate(fd: impl AsFd) -> io::Result<File> {
    Ok(File::from(fd.as_fd().try_clone_to_owned()?))
}

/// A file of its own for the standard input.
pub fn stdin() -> io::Result<File> {
    duplicate(io::stdin())
}

pub fn shell(command: &[u8]) -> Command {
    use std::os::unix::ffi::OsStrExt;
    let mut c = Command::new("sh");
    c.arg("-c").arg(std::ffi::OsStr::from_bytes(command));
    c
}

/// gawk's number for how a command ended.
pub fn status_number(status: ExitStatus) -> f64 {
    if let Some(code) = status.code() {
        return f64::from(code);
    }
    let signal = status.signal().unwrap_or(0);
    f64::from(signal + if status.core_dumped() { 512 } else { 256 })
}

impl Out {
    fn with(sink: Sink, eager: bool) -> Out {
        Out {
            buf: Vec::with_capacity(BUFFER + 4096),
            sink,
            eager,
        }
    }

    pub fn stdout() -> io::Result<Out> {
        let eager = io::stdout().is_terminal();
        Ok(Out::with(Sink::File(duplicate(io::stdout())?), eager))
    }

    pub fn stderr() -> io::Result<Out> {
        Ok(Out::with(Sink::File(duplicate(io::stderr())?), true))
    }

    pub fn file(name: &[u8], how: Redirect) -> io::Result<Out> {
        use std::os::unix::ffi::OsStrExt;
        let mut options = OpenOptions::new();
        options.create(true);
        match how {
            Redirect::Append => options.append(true),
            _ => options.write(true).truncate(true),
        };
        let file = options.open(std::ffi::OsStr::from_bytes(name))?;
        let eager = file.is_terminal();
        Ok(Out::with(Sink::File(file), eager))
    }

    pub fn pipe(command: &[u8]) -> io::Result<Out> {
        let mut child = shell(command).stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        Ok(Out::with(Sink::Pipe(stdin, child), false))
    }

    /// To be called after adding to `buf`.
    #[inline]
    pub fn settle(&mut self) -> io::Result<()> {
        if self.buf.len() >= BUFFER || self.eager {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if self.buf.is_empty() {
            return Ok(());
        }
        let result = match &mut self.sink {
            Sink::File(f) => f.write_all(&self.buf),
            Sink::Pipe(Some(stdin), _) => stdin.write_all(&self.buf),
            Sink::Pipe(None, _) => Ok(()),
        };
        self.buf.clear();
        result
    }

    /// Flushes and closes; a command is waited for, and its status is the result.
    pub fn close(mut self) -> io::Result<f64> {
        let flushed = self.flush();
        match self.sink {
            Sink::File(_) => flushed.map(|()| 0.0),
            Sink::Pipe(stdin, mut child) => {
                drop(stdin);
                Ok(status_number(child.wait()?))
            }
        }
    }

    pub fn is_pipe(&self) -> bool {
        matches!(self.sink, Sink::Pipe(..))
    }
}
