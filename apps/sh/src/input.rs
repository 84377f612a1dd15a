//! Where commands come from: a string, a script file, standard input, or a person.

use crate::System;
use crate::heredoc::Closer;
use crate::interactive::{LineEditor, Settled};
use std::cell::RefCell;
use std::ffi::CString;
use std::io::{self, SeekFrom};
use yash_cli::startup::args::Source;
use yash_env::Env;
use yash_env::input::{
    Context, Echo, EofGuard, FdReader2, Input, InputObject, Memory, Reporter, Result,
};
use yash_env::io::{Fd, move_fd_internal};
use yash_env::option::{Interactive, On};
use yash_env::parser::Config;
use yash_env::source::Source as Origin;
use yash_env::system::{Errno, Isatty, Mode, OfdAccess, Open, OpenFlag, Read, Seek};
use yash_prompt::Prompter;
use yash_syntax::parser::lex::Lexer;

/// A script that could not be opened.
pub struct OpenError<'a> {
    pub path: &'a str,
    pub errno: Errno,
}

/// Makes the lexer that reads the commands of `source`.
pub async fn prepare<'a>(
    env: &'a RefCell<&mut Env<System>>,
    source: &'a Source,
) -> std::result::Result<Lexer<'a>, OpenError<'a>> {
    let is_interactive = env.borrow().options.get(Interactive) == On;
    Ok(match source {
        Source::String(command) => {
            let input = Closer::new(Memory::new(command));
            if is_interactive {
                lexer(Box::new(Reporter::new(input, env)), Origin::CommandString)
            } else {
                lexer(Box::new(input), Origin::CommandString)
            }
        }
        Source::File { path } => {
            let fd = open_script(env, path)
                .await
                .map_err(|errno| OpenError { path, errno })?;
            let reader = Blocks::new(fd, env, Rewind::Never);
            let input = Box::new(Echo::new(Closer::new(reader), env));
            lexer(input, Origin::CommandFile { path: path.clone() })
        }
        Source::Stdin if is_interactive => {
            let system = env.borrow().system.clone();
            if system.isatty(Fd::STDIN) && system.isatty(Fd::STDOUT) {
                let reporter = Settled::new(Reporter::new(LineEditor::new(env), env), env);
                lexer(
                    Box::new(EofGuard::new(reporter, Fd::STDIN, env)),
                    Origin::Stdin,
                )
            } else {
                let reader = Echo::new(FdReader2::new(Fd::STDIN, system), env);
                let reporter = Reporter::new(Prompter::new(reader, env), env);
                lexer(
                    Box::new(EofGuard::new(reporter, Fd::STDIN, env)),
                    Origin::Stdin,
                )
            }
        }
        Source::Stdin => {
            let system = env.borrow().system.clone();
            if system.lseek(Fd::STDIN, SeekFrom::Current(0)).is_ok() {
                let reader = Blocks::new(Fd::STDIN, env, Rewind::EachLine);
                lexer(Box::new(Echo::new(Closer::new(reader), env)), Origin::Stdin)
            } else {
                let reader = FdReader2::new(Fd::STDIN, system);
                lexer(Box::new(Echo::new(Closer::new(reader), env)), Origin::Stdin)
            }
        }
    })
}

fn lexer<'a>(input: Box<dyn InputObject + 'a>, origin: Origin) -> Lexer<'a> {
    let mut config = Config::with_input(input);
    config.source = Some(origin.into());
    config.into()
}

async fn open_script(
    env: &RefCell<&mut Env<System>>,
    path: &str,
) -> std::result::Result<Fd, Errno> {
    let system = env.borrow().system.clone();
    let path = CString::new(path).map_err(|_| Errno::ENOENT)?;
    let flags = OpenFlag::CloseOnExec.into();
    let fd = system
        .open(&path, OfdAccess::ReadOnly, flags, Mode::empty())
        .await?;
    move_fd_internal(&system, fd)
}

/// Whether the commands that run may read on from the same file.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rewind {
    /// They cannot: the descriptor is the shell's own.
    Never,
    /// They can, so the file offset must stand right behind the line that was taken.
    EachLine,
}

/// Reads lines in blocks, where yash reads byte by byte.
struct Blocks {
    fd: Fd,
    system: System,
    rewind: Rewind,
    buffer: Vec<u8>,
    position: usize,
}

impl Blocks {
    const BLOCK: usize = 4096;

    fn new(fd: Fd, env: &RefCell<&mut Env<System>>, rewind: Rewind) -> Self {
        let system = env.borrow().system.clone();
        Self {
            fd,
            system,
            rewind,
            buffer: Vec::new(),
            position: 0,
        }
    }

    /// Reads the next block behind what is buffered; `false` at the end of the file.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.position);
        self.position = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + Self::BLOCK, 0);
        let count = self.system.read(self.fd, &mut self.buffer[length..]).await;
        self.buffer.truncate(length + *count.as_ref().unwrap_or(&0));
        Ok(count? > 0)
    }
}

impl Input for Blocks {
    async fn next_line(&mut self, _context: &Context) -> Result {
        let mut searched = self.position;
        let end = loop {
            if let Some(index) = self.buffer[searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                break searched + index + 1;
            }
            searched = self.buffer.len() - self.position;
            if !self.fill().await? {
                break self.buffer.len();
            }
        };
        let line = String::from_utf8_lossy(&self.buffer[self.position..end]).into_owned();
        self.position = end;
        if self.rewind == Rewind::EachLine {
            let ahead = (self.buffer.len() - end) as i64;
            if ahead > 0 {
                self.system.lseek(self.fd, SeekFrom::Current(-ahead))?;
            }
            self.buffer.clear();
            self.position = 0;
        }
        Ok(line)
    }
}
