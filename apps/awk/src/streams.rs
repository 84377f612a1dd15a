//! Where records come from and output goes to: operands, `getline`, redirections, `close`.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Stdio};

use crate::array::Key;
use crate::ast::*;
use crate::input::Reader;
use crate::interp::{Eval, Interp, Stop, fatal};
use crate::lexer::unescape;
use crate::output::{Out, shell, status_number, stdin};
use crate::str::Str;
use crate::value::Value;

/// An input that `getline` opened.
pub struct InStream {
    reader: Reader,
    child: Option<Child>,
}

fn open(name: &[u8]) -> io::Result<File> {
    match name {
        b"-" | b"/dev/stdin" => stdin(),
        _ => {
            let file = File::open(std::ffi::OsStr::from_bytes(name))?;
            if file.metadata()?.is_dir() {
                return Err(io::Error::from_raw_os_error(21));
            }
            Ok(file)
        }
    }
}

/// The system's words for an error, without Rust's "(os error n)".
pub fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

/// `name=value` among the operands.
pub fn assignment(operand: &[u8]) -> Option<(&[u8], &[u8])> {
    let eq = memchr::memchr(b'=', operand)?;
    let name = &operand[..eq];
    let ok = !name.is_empty()
        && !name[0].is_ascii_digit()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    ok.then(|| (name, &operand[eq + 1..]))
}

impl<'p> Interp<'p> {
    /// A command-line assignment; a name the program does not use is of no consequence.
    pub fn assign_operand(&mut self, name: &[u8], value: &[u8]) -> Eval<()> {
        let Some(slot) = self.prog.globals.iter().position(|g| g.as_bytes() == name) else {
            return Ok(());
        };
        let value = Value::Input(Str::from_vec(unescape(value, |_| {})));
        let slot = slot as u32;
        if special::is_hooked(slot) {
            return self.set_special(slot, value);
        }
        if let Value::Array(_) = self.globals[slot as usize] {
            let name = &self.prog.globals[slot as usize];
            return fatal(format!("attempt to use array `{name}' in a scalar context"));
        }
        self.globals[slot as usize] = value;
        Ok(())
    }

    // Main input.

    /// Reads the next record of the main input into `$0`, NR, FNR; false at its end.
    #[inline]
    pub fn next_record(&mut self) -> Eval<bool> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.read(&self.rs, self.rec.buffer(), &mut self.rt) {
                    Ok(true) => {
                        self.rec.fresh();
                        self.nr += 1.0;
                        self.fnr += 1.0;
                        return Ok(true);
                    }
                    Ok(false) => self.end_file()?,
                    Err(e) => return self.read_error(&e),
                }
            } else if !self.open_operand()? {
                return Ok(false);
            }
        }
    }

    fn read_error(&mut self, e: &io::Error) -> Eval<bool> {
        let name = self.globals[special::FILENAME as usize].to_str(b"%.6g");
        fatal(format!(
            "error reading input file `{}': {}",
            name.lossy(),
            reason(e)
        ))
    }

    fn end_file(&mut self) -> Eval<()> {
        self.reader = None;
        let prog = self.prog;
        if !prog.end_file.is_empty() {
            self.run_block(&prog.end_file)?;
        }
        Ok(())
    }

    /// `nextfile`: the rest of this file is not read.
    pub fn next_file(&mut self) -> Eval<()> {
        if self.reader.is_some() {
            self.end_file()?;
        }
        Ok(())
    }

    /// Goes on to the next operand that is a file; false after the last.
    fn open_operand(&mut self) -> Eval<bool> {
        let prog = self.prog;
        while !self.input_done {
            let argc = self.globals[special::ARGC as usize].to_num();
            if self.operand as f64 >= argc {
                self.input_done = true;
                if self.read_any_file {
                    return Ok(false);
                }
                return self.start_file(b"-", Value::str(b""));
            }
            let index = self.operand;
            self.operand += 1;
            let argv = self.global_array(special::ARGV);
            let operand = argv
                .borrow()
                .get(&Key::Int(index))
                .map(|v| v.to_str(b"%.6g"));
            let Some(operand) = operand.filter(|s| !s.is_empty()) else {
                continue;
            };
            if let Some((name, value)) = assignment(operand.as_bytes()) {
                self.assign_operand(name, value)?;
                continue;
            }
            self.read_any_file = true;
            self.globals[special::ARGIND as usize] = Value::Num(index as f64);
            let shown = Value::Input(operand.clone());
            if self.start_file(operand.as_bytes(), shown)? {
                return Ok(true);
            }
            if !prog.begin_file.is_empty() {
                continue;
            }
        }
        Ok(false)
    }

    fn start_file(&mut self, name: &[u8], shown: Value) -> Eval<bool> {
        let prog = self.prog;
        self.fnr = 0.0;
        let opened = open(name);
        let shown_name = shown.to_str(b"%.6g");
        self.globals[special::FILENAME as usize] = shown;
        let errno = opened.as_ref().err().map_or(String::new(), reason);
        if !prog.begin_file.is_empty() {
            self.globals[special::ERRNO as usize] = Value::Str(Str::from(errno.as_str()));
            let failed = opened.is_err();
            self.reader = opened.ok().map(|f| Reader::new(Box::new(f)));
            match self.run_block(&prog.begin_file) {
                Ok(()) if failed => {}
                Err(Stop::NextFile) => {
                    self.reader = None;
                    return Ok(false);
                }
                Ok(()) => return Ok(true),
                Err(other) => return Err(other),
            }
        } else {
            match opened {
                Ok(file) => {
                    self.reader = Some(Reader::new(Box::new(file)));
                    return Ok(true);
                }
                Err(e) if e.raw_os_error() == Some(21) => {
                    let message = format!(
                        "command line argument `{}' is a directory: skipped",
                        shown_name.lossy()
                    );
                    self.warn(&message);
                    return Ok(false);
                }
                Err(_) => {}
            }
        }
        fatal(format!(
            "cannot open file `{}' for reading: {errno}",
            shown_name.lossy()
        ))
    }

    pub fn warn(&mut self, message: &str) {
        // What was printed before must be seen before. A failure to flush shows at the next write.
        if self.stdout.flush().is_ok() {
            eprintln!("awk: {}warning: {message}", self.place());
        }
    }

    // getline.

    /// 1 for a record, 0 at the end, -1 for an error.
    #[inline(never)]
    pub fn getline(&mut self, g: &'p Getline) -> Eval<f64> {
        let key = match &g.source {
            Source::Main => return self.getline_main(g),
            Source::File(e) | Source::Command(e) => self.string(e)?,
        };
        let is_command = matches!(g.source, Source::Command(_));
        if !self.inputs.contains_key(&key) {
            let opened = if is_command {
                self.flush_all();
                shell(key.as_bytes())
                    .stdout(Stdio::piped())
                    .spawn()
                    .and_then(|mut child| {
                        let out = child
                            .stdout
                            .take()
                            .ok_or_else(|| io::Error::other("no pipe"))?;
                        Ok(InStream {
                            reader: Reader::new(Box::new(out)),
                            child: Some(child),
                        })
                    })
            } else {
                open(key.as_bytes()).map(|f| InStream {
                    reader: Reader::new(Box::new(f)),
                    child: None,
                })
            };
            match opened {
                Ok(stream) => {
                    self.inputs.insert(key.clone(), stream);
                }
                Err(e) => {
                    self.globals[special::ERRNO as usize] =
                        Value::Str(Str::from(reason(&e).as_str()));
                    return Ok(-1.0);
                }
            }
        }
        let Some(stream) = self.inputs.get_mut(&key) else {
            return Ok(-1.0);
        };
        let mut record = Vec::new();
        match stream.reader.read(&self.rs, &mut record, &mut self.rt) {
            Ok(true) => {}
            Ok(false) => return Ok(0.0),
            Err(e) => {
                self.globals[special::ERRNO as usize] = Value::Str(Str::from(reason(&e).as_str()));
                return Ok(-1.0);
            }
        }
        match &g.target {
            Some(lv) => self.assign(lv, Value::Input(Str::from_vec(record)))?,
            None => self.rec.set_text(&record),
        }
        Ok(1.0)
    }

    #[inline(never)]
    fn getline_main(&mut self, g: &'p Getline) -> Eval<f64> {
        let Some(lv) = &g.target else {
            return Ok(f64::from(u8::from(self.next_record()?)));
        };
        let mut record = Vec::new();
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.read(&self.rs, &mut record, &mut self.rt) {
                    Ok(true) => break,
                    Ok(false) => self.end_file()?,
                    Err(_) => return Ok(-1.0),
                }
            } else if !self.open_operand()? {
                return Ok(0.0);
            }
        }
        self.nr += 1.0;
        self.fnr += 1.0;
        self.assign(lv, Value::Input(Str::from_vec(record)))?;
        Ok(1.0)
    }

    // Output.

    #[inline]
    pub fn settle(&mut self) -> Eval<()> {
        match self.stdout.settle() {
            Ok(()) => Ok(()),
            Err(e) => self.stdout_failed(&e),
        }
    }

    #[cold]
    fn stdout_failed(&mut self, e: &io::Error) -> Eval<()> {
        if e.kind() == io::ErrorKind::BrokenPipe {
            // Nobody reads any more: end as a process that SIGPIPE killed, without a word.
            self.exit_code = 141;
            return fatal(String::new());
        }
        fatal(format!(
            "print to \"standard output\" failed: {}",
            reason(e)
        ))
    }

    pub fn write_to(&mut self, how: Redirect, name: &Str, data: &[u8]) -> Eval<()> {
        match name.as_bytes() {
            b"/dev/stdout" | b"-" if how != Redirect::Pipe => {
                self.stdout.buf.extend_from_slice(data);
                return self.settle();
            }
            b"" => {
                return fatal("expression for `>' redirection has null string value");
            }
            _ => {}
        }
        if !self.outputs.contains_key(name) {
            let opened = match how {
                Redirect::Pipe => {
                    self.flush_all();
                    Out::pipe(name.as_bytes())
                }
                _ if name.as_bytes() == b"/dev/stderr" => Out::stderr(),
                _ => Out::file(name.as_bytes(), how),
            };
            match opened {
                Ok(out) => {
                    self.outputs.insert(name.clone(), out);
                }
                Err(e) => {
                    let what = match how {
                        Redirect::Pipe => "cannot open pipe",
                        _ => "cannot redirect to",
                    };
                    return fatal(format!("{what} `{}': {}", name.lossy(), reason(&e)));
                }
            }
        }
        if name.as_bytes() == b"/dev/stderr" {
            // Keep the order in which the two streams were written.
            self.settle()?;
        }
        let Some(out) = self.outputs.get_mut(name) else {
            return Ok(());
        };
        out.buf.extend_from_slice(data);
        match out.settle() {
            Err(e) if !(out.is_pipe() && e.kind() == io::ErrorKind::BrokenPipe) => fatal(format!(
                "print to \"{}\" failed: {}",
                name.lossy(),
                reason(&e)
            )),
            _ => Ok(()),
        }
    }

    /// Before another process writes or reads. Failures show when the stream is next written.
    pub fn flush_all(&mut self) -> bool {
        let mut ok = self.stdout.flush().is_ok();
        for out in self.outputs.values_mut() {
            ok &= out.flush().is_ok();
        }
        ok
    }

    /// `close(name)`: the status of what was closed, -1 if nothing was open by that name.
    pub fn close(&mut self, name: &Str) -> f64 {
        let mut result = -1.0;
        if let Some(out) = self.outputs.remove(name) {
            if out.is_pipe() {
                self.flush_all();
            }
            result = out.close().unwrap_or(-1.0);
        }
        if let Some(stream) = self.inputs.remove(name) {
            result = close_input(stream);
        }
        result
    }

    /// At the end of the run. The standard output's failure is the run's.
    pub fn close_all(&mut self) -> Result<(), String> {
        let flushed = self.stdout.flush();
        for (_, out) in self.outputs.drain() {
            // A file that could not be written was reported when it was.
            out.close().unwrap_or(-1.0);
        }
        for (_, stream) in self.inputs.drain() {
            close_input(stream);
        }
        match flushed {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.exit_code = 141;
                Err(String::new())
            }
            Err(e) => Err(format!(
                "fflush: cannot flush standard output: {}",
                reason(&e)
            )),
            Ok(()) => Ok(()),
        }
    }
}

fn close_input(stream: InStream) -> f64 {
    drop(stream.reader);
    match stream.child {
        Some(mut child) => child.wait().map_or(-1.0, status_number),
        None => 0.0,
    }
}
