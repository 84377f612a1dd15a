//! Commands from a person: line editing, history and completion, by rustyline.
//!
//! A command of several lines is asked for line by line, under PS2, before the shell gets any of it:
//! so ^C drops all of it, and the history keeps it as one.

mod complete;
pub mod history;
mod jobs;
pub mod leave;
mod prompt;

use crate::System;
use crate::system::{self, Host};
use complete::Names;
use history::History;
use rustyline::config::{BellStyle, CompletionType, Config, Configurer as _};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Behavior, Editor};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use yash_env::Env;
use yash_env::input::{Context, Input, Result};
use yash_env::option::{Off, PosixlyCorrect};
use yash_env::semantics::ExitStatus;
use yash_env::system::Signals as _;
use yash_env::trap::Action;
use yash_env::variable::{PS1, Scope};

/// How many lines of history are kept.
const HISTORY: usize = 1000;

/// Gives an interactive shell what its user expects: above all a prompt that says where one is.
pub fn prepare(env: &mut Env<System>) {
    // yash turns this on for any shell called `sh`. All it does is to let `exit` and ^D drop
    // stopped jobs without a word.
    env.options.set(PosixlyCorrect, Off);
    let chosen = env
        .variables
        .get_scalar(PS1)
        .is_some_and(|prompt| prompt != "$ ");
    if !chosen {
        let mut variable = env.variables.get_or_new(PS1, Scope::Global);
        // A read-only PS1 is a choice, too.
        _ = variable.assign(r"\u@\h:\w\$ ", None);
    }
}

/// Settles what a signal left behind before the shell says or asks anything: the cursor goes to a
/// new line after `^C` or `^Z`, and `$?` becomes 128+N, where yash counts from 384.
pub struct Settled<'a, 'b, T> {
    inner: T,
    env: &'a RefCell<&'b mut Env<System>>,
}

impl<'a, 'b, T> Settled<'a, 'b, T> {
    pub fn new(inner: T, env: &'a RefCell<&'b mut Env<System>>) -> Self {
        Self { inner, env }
    }
}

impl<T: Input> Input for Settled<'_, '_, T> {
    async fn next_line(&mut self, context: &Context) -> Result {
        let status = self.env.borrow().exit_status;
        let usual = system::usual_status(status);
        if usual != status {
            self.env.borrow_mut().exit_status = usual;
            eprintln!();
        }
        jobs::name_stopped(&mut self.env.borrow_mut());
        self.inner.next_line(context).await
    }
}

pub struct LineEditor<'a, 'b> {
    env: &'a RefCell<&'b mut Env<System>>,
    editor: Option<Editor<Names, MemHistory>>,
    history: Option<History>,
    /// Lines of the last text that yash has not taken yet.
    lines: VecDeque<String>,
}

impl<'a, 'b> LineEditor<'a, 'b> {
    pub fn new(env: &'a RefCell<&'b mut Env<System>>) -> Self {
        Self {
            env,
            editor: None,
            history: None,
            lines: VecDeque::new(),
        }
    }

    /// The editor, made when the first line is asked for.
    fn editor(&mut self) -> rustyline::Result<&mut Editor<Names, MemHistory>> {
        if self.editor.is_none() {
            let config = Config::builder()
                .max_history_size(HISTORY)?
                .history_ignore_dups(true)?
                .history_ignore_space(true)
                .completion_type(CompletionType::List)
                .bell_style(BellStyle::None)
                .bracketed_paste(false)
                .check_cursor_position(false)
                .behavior(Behavior::Stdio)
                .build();
            let history = MemHistory::with_config(&config);
            let mut editor = Editor::with_history(config, history)?;
            // A serial terminal may print the sequences that it does not know.
            editor.enable_synchronized_output(false);
            self.history = History::open(&self.env.borrow(), HISTORY);
            for line in self.history.iter().flat_map(History::lines) {
                editor.add_history_entry(line)?;
                history::add(line);
            }
            editor.set_helper(Some(Names::default()));
            self.editor = Some(editor);
        }
        self.editor.as_mut().ok_or(ReadlineError::Eof)
    }

    /// Asks for one line.
    fn line(&mut self, prompt: &prompt::Prompt) -> rustyline::Result<String> {
        let names = Names::collect(&self.env.borrow());
        let editor = self.editor()?;
        for command in history::unknown() {
            editor.add_history_entry(command)?;
        }
        editor.set_helper(Some(names));
        let _terminal = Output::to_the_terminal();
        loop {
            let_reads_wait();
            keep_unfinished_line();
            match editor.readline(&(prompt.raw.as_str(), prompt.styled.as_str())) {
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Asks for lines until they make a whole command.
    async fn command(&mut self, context: &Context) -> rustyline::Result<String> {
        let mut prompt = self.prompt(context).await;
        let mut text = self.line(&prompt)?;
        let mut second = Context::default();
        second.set_is_first_line(false);
        while complete::is_incomplete(&text) {
            prompt = self.prompt(&second).await;
            match self.line(&prompt) {
                Ok(line) => text = format!("{text}\n{line}"),
                Err(ReadlineError::Eof) => {
                    eprintln!("sh: syntax error: unexpected end of file");
                    self.env.borrow_mut().exit_status = ExitStatus::ERROR;
                    return Ok(String::new());
                }
                Err(error) => return Err(error),
            }
        }
        history::begin(&text);
        jobs::begin(&text);
        if !text.trim().is_empty() && self.editor()?.add_history_entry(text.as_str())? {
            history::add(&text);
            // History that cannot be kept is no reason to refuse a command.
            _ = self.history.as_ref().map(|history| history.append(&text));
        }
        Ok(text)
    }

    #[allow(
        clippy::await_holding_refcell_ref,
        reason = "nothing runs beside the line editor"
    )]
    async fn prompt(&self, context: &Context) -> prompt::Prompt {
        prompt::expand(&mut self.env.borrow_mut(), context).await
    }
}

/// The editor begins by clearing the line that it is on. Where the output so far does not end with a newline, a mark follows it, and
/// the prompt goes to the next line: so many blanks come after the mark that the cursor is there, unless it was at a line's start.
fn keep_unfinished_line() {
    // SAFETY: the kernel fills in a `winsize`, which is plain data, on success.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        match libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) {
            0 => usize::from(size.ws_col),
            _ => 0,
        }
    };
    let unable = ["dumb", "cons25", "emacs"];
    let terminal = std::env::var("TERM").unwrap_or_default();
    if columns > 1 && !unable.contains(&terminal.as_str()) {
        let blanks = columns - 1;
        // What cannot be written now the prompt cannot either, and says so.
        let mut stdout = io::stdout();
        _ = write!(stdout, "\x1b[7m%\x1b[27m{:blanks$}\r\x1b[K", "").and_then(|()| stdout.flush());
    }
}

/// What standard output is to be again.
enum Output {
    Same,
    Closed,
    Other(OwnedFd),
}

impl Output {
    /// Has the terminal for standard output while a line is asked for, whatever `exec` has made of it.
    fn to_the_terminal() -> Self {
        let stdout = libc::STDOUT_FILENO;
        // SAFETY: the calls take integers and a C string; each descriptor that comes back is nobody else's.
        unsafe {
            if libc::isatty(stdout) == 1 {
                return Self::Same;
            }
            // Out of the way of those that commands use, as yash does it.
            let kept = match libc::fcntl(stdout, libc::F_DUPFD_CLOEXEC, 10) {
                -1 => Self::Closed,
                fd => Self::Other(OwnedFd::from_raw_fd(fd)),
            };
            let terminal = libc::open(c"/dev/tty".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            match terminal {
                -1 => return Self::Same,
                1 => {}
                _ => {
                    libc::dup2(terminal, stdout);
                    libc::close(terminal);
                }
            }
            kept
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the calls take integers.
        unsafe {
            match self {
                Self::Same => {}
                Self::Closed => _ = libc::close(libc::STDOUT_FILENO),
                Self::Other(fd) => _ = libc::dup2(fd.as_raw_fd(), libc::STDOUT_FILENO),
            }
        }
    }
}

/// Has reads from the terminal wait again. It is shared with every program on it, and one that was stopped or killed may have
/// left it otherwise.
fn let_reads_wait() {
    // SAFETY: both calls take integers.
    unsafe {
        let flags = libc::fcntl(libc::STDIN_FILENO, libc::F_GETFL);
        if flags != -1 && flags & libc::O_NONBLOCK != 0 {
            libc::fcntl(libc::STDIN_FILENO, libc::F_SETFL, flags & !libc::O_NONBLOCK);
        }
    }
}

impl Input for LineEditor<'_, '_> {
    async fn next_line(&mut self, context: &Context) -> Result {
        if let Some(line) = self.lines.pop_front() {
            return Ok(line);
        }
        jobs::forget_ended(&mut self.env.borrow_mut());
        leave::begin();
        match self.command(context).await {
            Ok(text) => {
                self.lines = text.split('\n').map(|line| format!("{line}\n")).collect();
                Ok(self.lines.pop_front().unwrap_or_default())
            }
            Err(ReadlineError::Interrupted) => {
                let mut env = self.env.borrow_mut();
                env.exit_status = ExitStatus(128 + libc::SIGINT);
                let (trap, _) = env.traps.get_state(Host::SIGINT);
                if trap.is_some_and(|trap| matches!(trap.action, Action::Command(_))) {
                    // The key was the editor's. As the signal that it stands for it is what the trap waits for.
                    // SAFETY: the call takes an integer; the shell catches the signal.
                    unsafe { libc::raise(libc::SIGINT) };
                }
                Ok("\n".to_owned())
            }
            Err(ReadlineError::Eof) => {
                leave::attempt(&mut self.env.borrow_mut());
                // yash takes an empty line for the end of the input.
                Ok(String::new())
            }
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
