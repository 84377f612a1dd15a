//! The kernel log: a ring that `/var/log/messages`, `/proc/kmsg` and `dmesg` read, and that the console echoes.

use crate::base::SpinLock;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Severity, as syslog(3) numbers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    Emerg = 0,
    Err = 3,
    Warn = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// Bytes of log kept; the oldest lines go first. In the kernel's own image: what is said about a want of memory must not need any.
pub const CAPACITY: usize = 64 * 1024;
/// Bytes of a line; what is longer is cut.
pub const LINE: usize = 1000;
/// Bytes of the level before a line: `<6>`.
const PREFIX: usize = 3;
/// A place in the source writes so many lines, but for errors, in so many nanoseconds: programs can make it write any number.
const BURST: u32 = 10;
const WINDOW: u64 = 5_000_000_000;

/// Leaf lock.
static RING: SpinLock<Ring> = SpinLock::new(Ring::new());

struct Ring {
    bytes: [u8; CAPACITY],
    /// Where the oldest byte is.
    start: usize,
    len: usize,
    /// What came before the oldest byte.
    gone: Place,
    /// Whole lines that ever came.
    lines: u64,
    /// How many of the oldest bytes syslog(2) shows no more.
    cleared: usize,
}

/// A place in the log, counted from its beginning, which may be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    byte: u64,
    pub line: u64,
}

impl Ring {
    const fn new() -> Self {
        Ring {
            bytes: [0; CAPACITY],
            start: 0,
            len: 0,
            gone: Place { byte: 0, line: 0 },
            lines: 0,
            cleared: 0,
        }
    }

    /// Oldest first.
    fn parts(&self) -> (&[u8], &[u8]) {
        let end = self.start + self.len;
        if end <= CAPACITY {
            (&self.bytes[self.start..end], &[])
        } else {
            (&self.bytes[self.start..], &self.bytes[..end - CAPACITY])
        }
    }

    /// Drops whole lines until `room` bytes are free.
    fn make_room(&mut self, room: usize) {
        let over = (self.len + room).saturating_sub(CAPACITY);
        if over == 0 {
            return;
        }
        let (a, b) = self.parts();
        let mut rest = a.iter().chain(b).skip(over - 1);
        let cut = rest
            .position(|&b| b == b'\n')
            .map_or(self.len, |p| over + p);
        let lines = a.iter().chain(b).take(cut).filter(|&&b| b == b'\n').count();
        self.gone.byte += cut as u64;
        self.gone.line += lines as u64;
        self.start = (self.start + cut) % CAPACITY;
        self.len -= cut;
        self.cleared = self.cleared.saturating_sub(cut);
    }

    /// Where the next byte will be, counted from the beginning of all.
    fn end(&self) -> u64 {
        self.gone.byte + self.len as u64
    }

    /// syslog(2) shows nothing more of what came before `place`.
    fn clear(&mut self, place: u64) {
        let bytes = place.saturating_sub(self.gone.byte) as usize;
        self.cleared = self.cleared.max(bytes);
    }

    fn line_at(&self, place: Place, line: &mut [u8]) -> At {
        let Some(skip) = place.byte.checked_sub(self.gone.byte) else {
            return At::Gone;
        };
        let (a, b) = self.parts();
        let bytes = a.iter().chain(b).skip(skip as usize);
        for (n, (to, &from)) in line.iter_mut().zip(bytes).enumerate() {
            *to = from;
            if from == b'\n' {
                let next = Place {
                    byte: place.byte + n as u64 + 1,
                    line: place.line + 1,
                };
                return At::Line(n + 1, next);
            }
        }
        At::End
    }

    /// There is room.
    fn push(&mut self, data: &[u8]) {
        let end = (self.start + self.len) % CAPACITY;
        let (first, second) = data.split_at(data.len().min(CAPACITY - end));
        self.bytes[end..end + first.len()].copy_from_slice(first);
        self.bytes[..second.len()].copy_from_slice(second);
        self.len += data.len();
    }
}

/// A line that is being written.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // A byte is left for the end of the line.
        let n = text.len().min(LINE - 1 - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

/// Everything the ring holds, oldest first: lines of the form `<level>[seconds.micros] text`. Nothing if memory is short.
pub fn contents() -> Vec<u8> {
    collect(|_| 0).map_or(Vec::new(), |(all, _)| all)
}

/// As [`contents`], as far as syslog(2) shows it, and the place where that ends. `None` if memory is short.
pub fn since_cleared() -> Option<(Vec<u8>, u64)> {
    collect(|ring| ring.cleared)
}

/// syslog(2) shows only what comes after `place`, which is the end of what somebody has read.
pub fn clear_to(place: u64) {
    RING.lock().clear(place);
}

/// syslog(2) shows only what comes from now on.
pub fn clear() {
    let mut ring = RING.lock();
    let end = ring.end();
    ring.clear(end);
}

fn collect(from: impl Fn(&Ring) -> usize) -> Option<(Vec<u8>, u64)> {
    let mut all = Vec::new();
    loop {
        let ring = RING.lock();
        let len = ring.len;
        if len <= all.capacity() {
            let ((a, b), from) = (ring.parts(), from(&ring));
            all.extend_from_slice(&a[from.min(a.len())..]);
            all.extend_from_slice(&b[from.saturating_sub(a.len())..]);
            return Some((all, ring.end()));
        }
        drop(ring);
        // With room for what others say meanwhile.
        if all.try_reserve_exact(len + LINE).is_err() {
            return None;
        }
    }
}

/// The oldest line there is.
pub fn oldest() -> Place {
    RING.lock().gone
}

/// Where the next line will be.
pub fn newest() -> Place {
    let ring = RING.lock();
    Place {
        byte: ring.end(),
        line: ring.lines,
    }
}

/// What there is at a place of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// A line of so many bytes, its end included, and where the next one is.
    Line(usize, Place),
    /// Nothing yet.
    End,
    /// Nothing any more.
    Gone,
}

/// Copies the line at `place`, which is the beginning of one.
pub fn line_at(place: Place, line: &mut [u8; LINE + PREFIX]) -> At {
    RING.lock().line_at(place, line)
}

/// A place in the source that writes to the log.
pub struct Site {
    /// When its window began, ns, and how often it has wanted to write since.
    began: AtomicU64,
    count: AtomicU32,
}

impl Site {
    #[expect(clippy::new_without_default, reason = "only the macro makes them")]
    pub const fn new() -> Self {
        Site {
            began: AtomicU64::new(0),
            count: AtomicU32::new(0),
        }
    }

    /// Whether it may write, and how many lines it was refused in the window that has ended.
    fn may_write(&self, now: u64) -> Option<u32> {
        if now.saturating_sub(self.began.load(Ordering::Relaxed)) > WINDOW {
            self.began.store(now, Ordering::Relaxed);
            let before = self.count.swap(1, Ordering::Relaxed);
            return Some(before.saturating_sub(BURST));
        }
        let before = self.count.load(Ordering::Relaxed);
        self.count
            .store(before.saturating_add(1), Ordering::Relaxed);
        (before < BURST).then_some(0)
    }
}

#[doc(hidden)]
pub fn write(level: Level, site: &Site, args: core::fmt::Arguments<'_>) {
    let now = crate::time::monotonic_ns();
    if level >= Level::Warn {
        match site.may_write(now) {
            None => return,
            Some(0) => {}
            Some(n) => write_line(
                level,
                now,
                format_args!("{n} lines like the next were left out"),
            ),
        }
    }
    write_line(level, now, args);
}

fn write_line(level: Level, now: u64, args: core::fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; LINE],
        len: 0,
    };
    let (seconds, micros) = (now / 1_000_000_000, now / 1000 % 1_000_000);
    // Writing to a line cannot fail.
    let _ = write!(line, "[{seconds:5}.{micros:06}] {args}");
    line.bytes[line.len] = b'\n';
    let line = &line.bytes[..=line.len];
    {
        let mut ring = RING.lock();
        ring.make_room(line.len() + PREFIX);
        ring.push(&[b'<', b'0' + level as u8, b'>']);
        ring.push(line);
        ring.lines += 1;
    }
    crate::drivers::console_log(level, line);
}

/// Writes one line to the kernel log: `klog!(Info, "…", …)`.
#[macro_export]
macro_rules! klog {
    ($level:ident, $($arg:tt)*) => {{
        static SITE: $crate::log::Site = $crate::log::Site::new();
        $crate::log::write($crate::log::Level::$level, &SITE, format_args!($($arg)*))
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_whole_lines_only() {
        let mut ring = Ring::new();
        let line = |n: usize| format!("{n:0width$}\n", width = n % 700 + 1).into_bytes();
        let mut all = Vec::new();
        for n in 0..3000 {
            let line = line(n);
            ring.make_room(line.len());
            ring.push(&line);
            all.extend(line);
            assert!(ring.len <= CAPACITY);
        }
        let (a, b) = ring.parts();
        let kept = [a, b].concat();
        assert!(all.ends_with(&kept));
        assert!(kept.len() > CAPACITY - 702);
        assert_eq!(all[all.len() - kept.len() - 1], b'\n');
        let gone = &all[..all.len() - kept.len()];
        let lines = gone.iter().filter(|&&b| b == b'\n').count();
        let (byte, line) = (gone.len() as u64, lines as u64);
        let mut at = Place { byte, line };
        assert_eq!(ring.gone, at);
        // One after the other they are all of it.
        let mut read = Vec::new();
        let mut bytes = [0; LINE + PREFIX];
        while let At::Line(len, next) = ring.line_at(at, &mut bytes) {
            read.extend_from_slice(&bytes[..len]);
            assert_eq!(next.line, at.line + 1);
            at = next;
        }
        assert_eq!(read, kept);
        assert_eq!(at.line, 3000);
        assert_eq!(ring.line_at(at, &mut bytes), At::End);
        let before = Place {
            byte: ring.gone.byte - 1,
            ..ring.gone
        };
        assert_eq!(ring.line_at(before, &mut bytes), At::Gone);
    }

    #[test]
    fn what_comes_after_a_reader_has_looked_is_not_cleared() {
        let mut ring = Ring::new();
        ring.push(b"read\n");
        let read = ring.end();
        ring.push(b"new\n");
        ring.clear(read);
        assert_eq!(ring.cleared, 5);
        // Another who had read less takes nothing back.
        ring.clear(3);
        assert_eq!(ring.cleared, 5);
        // What was read may be gone, and more.
        ring.make_room(CAPACITY - 4);
        assert_eq!((ring.cleared, ring.len), (0, 4));
        ring.clear(read);
        assert_eq!(ring.cleared, 0);
    }

    #[test]
    fn a_place_that_writes_too_often_is_heard_now_and_then() {
        let site = Site::new();
        let heard = (0..100).filter(|_| site.may_write(1).is_some()).count();
        assert_eq!(heard, BURST as usize);
        assert_eq!(site.may_write(WINDOW + 1), Some(90));
        assert_eq!(site.may_write(WINDOW + 2), Some(0));
        assert_eq!(site.may_write(3 * WINDOW), Some(0));
    }
}
