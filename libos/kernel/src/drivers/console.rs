//! Where kernel messages go: nowhere until the boot arguments say how the serial line is used, then to the terminal or
//! to the host in frames of their own.

use super::frame::{self, ToHost};
use super::hostlink;
use super::uart::{self, Unfinished};
use crate::log::Level;
use core::sync::atomic::{AtomicU8, Ordering};

/// How the serial line is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ConsoleMode {
    /// Not known yet: nothing is sent.
    Silent = 0,
    /// A terminal for a person.
    Tty = 1,
    /// Frames that the host takes apart.
    Framed = 2,
}

static MODE: AtomicU8 = AtomicU8::new(ConsoleMode::Silent as u8);
static LOG_LEVEL: AtomicU8 = AtomicU8::new(4);

/// How the serial line is used now.
pub fn console_mode() -> ConsoleMode {
    match MODE.load(Ordering::Relaxed) {
        1 => ConsoleMode::Tty,
        2 => ConsoleMode::Framed,
        _ => ConsoleMode::Silent,
    }
}

/// Settles how the serial line is used; messages of `log_level` and below go to it, those logged so far included.
pub fn set_console_mode(mode: ConsoleMode, log_level: u8) {
    LOG_LEVEL.store(log_level, Ordering::Relaxed);
    MODE.store(mode as u8, Ordering::Relaxed);
    if mode == ConsoleMode::Framed {
        hostlink::listen();
        // The host holds its input back until it hears from us: from here on none is lost.
        hostlink::send(ToHost::Log, &[]);
    }
    // The log's own ring is the buffer of what came before: lines of the form `<level>text`.
    let early = crate::log::contents();
    for line in early.split_inclusive(|&b| b == b'\n') {
        if let [b'<', level, b'>', text @ ..] = line
            && level.wrapping_sub(b'0') <= log_level
        {
            emit(text);
        }
    }
}

/// Shows a line of the kernel log on the console if its level asks for it.
pub fn console_log(level: Level, line: &[u8]) {
    if level as u8 <= LOG_LEVEL.load(Ordering::Relaxed) {
        emit(line);
    }
}

/// Takes no memory: what is said may be that there is none.
fn emit(line: &[u8]) {
    match console_mode() {
        ConsoleMode::Silent => {}
        ConsoleMode::Tty => uart::send(&[line.strip_suffix(b"\n").unwrap_or(line), b"\r\n"]),
        ConsoleMode::Framed => line
            .chunks(frame::MAX_PAYLOAD)
            .for_each(|piece| hostlink::send(ToHost::Log, piece)),
    }
}

/// The last words of a kernel that is going down: needs no heap and no lock that another core may hold for good.
pub fn emergency_write(text: &[u8]) {
    if console_mode() == ConsoleMode::Framed {
        for piece in text.chunks(frame::MAX_PAYLOAD) {
            hostlink::send_broken(ToHost::Panic, piece);
        }
    } else {
        for line in text.split_inclusive(|&b| b == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => uart::send_broken(&[line, b"\r\n"], Unfinished::Leave),
                None => uart::send_broken(&[line], Unfinished::Leave),
            }
        }
    }
}
