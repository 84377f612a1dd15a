//! The guest's standard input, in frames, with its end of file.

use std::{
    io::{self, ErrorKind, Read, Write},
    process::ChildStdin,
    sync::mpsc::Receiver,
};

use super::Input;
use crate::frames;

/// Bytes in one frame. Small enough that the guest's ring takes a few.
const CHUNK: usize = 16 << 10;

/// Sends `input` once the guest is ready. Ends when the line does.
pub fn feed(input: Input, mut serial: ChildStdin, ready: &Receiver<()>) {
    // Bytes that arrive before the guest has set up its UART would be lost, however long that takes.
    if ready.recv().is_err() {
        return;
    }
    let fed = match input {
        Input::Host => feed_from(io::stdin().lock(), &mut serial),
        Input::Bytes(bytes) => feed_from(&bytes[..], &mut serial),
        Input::Silence => Ok(()),
    };
    // Kept open until the guest is gone: QEMU would see the line hang up.
    if fed.is_ok() {
        while ready.recv().is_ok() {}
    }
}

fn feed_from(mut input: impl Read, serial: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                serial.write_all(&frames::encode(frames::TO_GUEST_STDIN, &buffer[..count]))?;
                serial.flush()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A closed or unreadable stdin is an empty one.
            Err(_) => break,
        }
    }
    serial.write_all(&frames::encode(frames::TO_GUEST_EOF, &[]))?;
    serial.flush()
}
