//! `/dev/kmsg`: the kernel log, a record with each read and each write.

use super::file::{File, FileOps};
use super::io::Whence;
use super::types::PollEvents;
use crate::base::{Errno, Result, SpinLock};
use crate::log::{self, At, Place};
use crate::process::wait::{PollTable, WaitQueue};
use crate::time::monotonic_ns;
use crate::user::Buffer;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt::Write;

/// The longest record that can be written.
const WRITE_MAX: usize = 1024;
/// How often a reader looks who waits. Nobody wakes it for what the kernel says: whoever says it may hold any lock.
const LOOK_NS: u64 = 100_000_000;

struct KernelLog {
    /// What is read next. Taken before the log's own lock.
    next: SpinLock<Place>,
}

/// Woken for what programs say.
fn news() -> &'static Arc<WaitQueue> {
    static NEWS: crate::base::sync::Once<Arc<WaitQueue>> = crate::base::sync::Once::new();
    NEWS.call_once(|| Arc::new(WaitQueue::new()))
}

pub fn open() -> Arc<dyn FileOps> {
    Arc::new(KernelLog {
        next: SpinLock::new(log::oldest()),
    })
}

impl KernelLog {
    /// The next record. `EPIPE` if some have gone unread; reading goes on behind them.
    fn next(&self, room: usize) -> Option<Result<String>> {
        let mut line = [0; log::LINE + 3];
        let mut next = self.next.lock();
        match log::line_at(*next, &mut line) {
            At::End => None,
            At::Gone => {
                *next = log::oldest();
                Some(Err(Errno::EPIPE))
            }
            At::Line(len, after) => {
                let record = format_record(&line[..len - 1], next.line);
                if record.len() > room {
                    return Some(Err(Errno::EINVAL));
                }
                *next = after;
                Some(Ok(record))
            }
        }
    }
}

impl FileOps for KernelLog {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let room = buf.len();
        let record = loop {
            if let Some(record) = self.next(room) {
                break record?;
            }
            if file.nonblocking() {
                return Err(Errno::EAGAIN);
            }
            match news().wait(Some(monotonic_ns() + LOOK_NS), || self.next(room)) {
                Err(Errno::ETIMEDOUT) => {}
                record => break record??,
            }
        };
        buf.put(record.as_bytes())
    }

    fn write(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let mut bytes = [0; WRITE_MAX];
        let total = buf.len();
        if total > WRITE_MAX {
            return Err(Errno::EINVAL);
        }
        let n = buf.take(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..n]);
        // A leading `<N>` gives a priority; the ring keeps its own.
        let text = text.trim_end();
        let text = text
            .strip_prefix('<')
            .and_then(|t| t.split_once('>'))
            .map_or(text, |(_, rest)| rest);
        crate::klog!(Info, "{}", escaped(text));
        news().wake_all();
        Ok(total)
    }

    fn seek(&self, _offset: i64, whence: Whence) -> Result<u64> {
        let place = match whence {
            Whence::Set | Whence::Data => log::oldest(),
            Whence::End => log::newest(),
            _ => return Err(Errno::EINVAL),
        };
        *self.next.lock() = place;
        Ok(0)
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(news());
        }
        let readable = match *self.next.lock() == log::newest() {
            true => PollEvents::empty(),
            false => PollEvents::IN | PollEvents::RDNORM,
        };
        readable | PollEvents::OUT | PollEvents::WRNORM
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A text that is one line, whatever was in it.
fn escaped(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\x{:02x}", c as u32);
        } else {
            line.push(c);
        }
    }
    line
}

/// `<6>[    1.000002] text` as `6,17,1000002,-;text`.
fn format_record(line: &[u8], sequence: u64) -> String {
    let line = String::from_utf8_lossy(line);
    let parsed = || {
        let (level, rest) = line.strip_prefix('<')?.split_once('>')?;
        let (time, text) = rest.strip_prefix('[')?.split_once("] ")?;
        let (seconds, micros) = time.trim().split_once('.')?;
        let seconds = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?;
        let micros = seconds.checked_add(micros.parse().ok()?)?;
        Some(alloc::format!("{level},{sequence},{micros},-;{text}\n"))
    };
    parsed().unwrap_or_else(|| alloc::format!("6,{sequence},0,-;{line}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_become_records() {
        assert_eq!(
            format_record(b"<4>[    1.000002] disk on fire", 17),
            "4,17,1000002,-;disk on fire\n"
        );
        assert_eq!(format_record(b"bare", 3), "6,3,0,-;bare\n");
        let odd = "<4>[18446744073709551615.9] x";
        assert_eq!(
            format_record(odd.as_bytes(), 3),
            alloc::format!("6,3,0,-;{odd}\n")
        );
    }

    #[test]
    fn what_is_written_is_one_line() {
        assert_eq!(escaped("a\tb"), "a\tb");
        assert_eq!(escaped("a\n<0>b\x1b["), "a\\x0a<0>b\\x1b[");
    }
}
