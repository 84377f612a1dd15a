//! Samples by the GDB remote serial protocol (GDB manual, appendix "Remote Protocol").

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// How long QEMU may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Frames of one sample, in case the chain is damaged.
const DEEPEST: usize = 64;
/// Registers of the `g` packet: x0 to x30, sp, pc.
const FRAME_POINTER: usize = 29;
const LINK: usize = 30;
const PC: usize = 32;
const INTERRUPT: u8 = 3;

/// Addresses of one stop, innermost first.
pub type Sample = Vec<u64>;

/// Samples until the guest is gone; `line` leads to QEMU's stub.
pub fn sample(line: UnixStream, pause: Duration) -> Result<Vec<Sample>> {
    line.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut stub = Stub { line };
    let mut samples = Vec::new();
    loop {
        if !stub.resume_for(pause)? {
            return Ok(samples);
        }
        match stub.stack()? {
            Some(sample) => samples.push(sample),
            None => return Ok(samples),
        }
    }
}

struct Stub {
    line: UnixStream,
}

impl Stub {
    /// Lets the guest run for a while; whether it is still there.
    fn resume_for(&mut self, pause: Duration) -> Result<bool> {
        if !self.send("c")? {
            return Ok(false);
        }
        thread::sleep(pause);
        if !self.write(&[INTERRUPT])? {
            return Ok(false);
        }
        // `W` and `X` say that the machine has ended.
        Ok(self
            .answer()?
            .is_some_and(|stop| stop.starts_with('T') || stop.starts_with('S')))
    }

    fn stack(&mut self) -> Result<Option<Sample>> {
        let Some(registers) = self.ask("g")? else {
            return Ok(None);
        };
        let register = |index: usize| words(&registers).nth(index);
        let (Some(pc), Some(link), Some(mut frame)) =
            (register(PC), register(LINK), register(FRAME_POINTER))
        else {
            bail!("the stub's registers are too few: {registers}");
        };
        let mut sample = vec![pc];
        let mut callers = Vec::new();
        while frame != 0 && frame % 8 == 0 && callers.len() < DEEPEST {
            let Some(pair) = self.ask(&format!("m{frame:x},10"))? else {
                return Ok(None);
            };
            let mut pair = words(&pair);
            let (Some(outer), Some(caller)) = (pair.next(), pair.next()) else {
                break;
            };
            if caller == 0 {
                break;
            }
            // The instruction before is the call, which is in the caller for certain.
            callers.push(caller.wrapping_sub(4));
            if outer == frame {
                break;
            }
            frame = outer;
        }
        // A function without a frame of its own has its caller in the link register.
        let link = link.wrapping_sub(4);
        if callers.first() != Some(&link) && link >= 4 {
            sample.push(link);
        }
        sample.extend(callers);
        Ok(Some(sample))
    }

    fn ask(&mut self, question: &str) -> Result<Option<String>> {
        if !self.send(question)? {
            return Ok(None);
        }
        self.answer()
    }

    /// `false` when QEMU is gone.
    fn send(&mut self, payload: &str) -> Result<bool> {
        let packet = format!("${payload}#{:02x}", checksum(payload.as_bytes()));
        self.write(packet.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<bool> {
        match self.line.write_all(bytes) {
            Ok(()) => Ok(true),
            Err(error) if gone(error.kind()) => Ok(false),
            Err(error) => Err(error).context("QEMU's GDB stub"),
        }
    }

    /// The next packet's payload, acknowledged; `None` when QEMU is gone.
    fn answer(&mut self) -> Result<Option<String>> {
        let mut payload = None;
        loop {
            let mut byte = [0];
            match self.line.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if gone(error.kind()) => return Ok(None),
                Err(error) => return Err(error).context("QEMU's GDB stub does not answer"),
            }
            match (byte[0], &mut payload) {
                (b'$', _) => payload = Some(String::new()),
                (b'#', Some(text)) => {
                    // Two digits of a checksum, on a line that loses nothing.
                    let mut checksum = [0; 2];
                    if self.line.read_exact(&mut checksum).is_err() || !self.write(b"+")? {
                        return Ok(None);
                    }
                    return Ok(Some(std::mem::take(text)));
                }
                (byte, Some(text)) => text.push(byte.into()),
                // Acknowledgements of what was sent.
                (_, None) => {}
            }
        }
    }
}

fn gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
    )
}

fn checksum(payload: &[u8]) -> u8 {
    payload.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Little-endian words of a text of hexadecimal digits.
fn words(text: &str) -> impl Iterator<Item = u64> {
    text.as_bytes().chunks_exact(16).map_while(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        u64::from_str_radix(digits, 16).ok().map(u64::swap_bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_little_endian() {
        let text = "00100000000000000200000000000000";
        assert_eq!(words(text).collect::<Vec<_>>(), [0x1000, 2]);
        assert_eq!(words("E14").count(), 0);
    }

    #[test]
    fn a_checksum_is_the_sum_of_the_bytes() {
        assert_eq!(checksum(b"g"), 0x67);
        assert_eq!(checksum(&[200, 100]), 44);
    }
}
