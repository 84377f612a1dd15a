//! The framing that lets one serial line carry several streams: `0xF5, kind, length (u16, little endian), payload`.
//!
//! Bytes outside frames are text that was sent before the framing was agreed on.

/// First byte of each frame.
pub const MARK: u8 = 0xf5;
/// Longest payload.
pub const MAX_PAYLOAD: usize = 0xffff;

/// What a frame from the guest carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ToHost {
    Stdout = 1,
    Stderr = 2,
    Log = 3,
    /// An `i32`, little endian: the status that the host's command ends with.
    Exit = 4,
    Panic = 5,
}

/// What a frame from the host carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FromHost {
    Stdin,
    StdinEnd,
}

/// The header of a frame whose payload has `len` bytes (at most [`MAX_PAYLOAD`]).
pub fn header(kind: ToHost, len: usize) -> [u8; 4] {
    debug_assert!(len <= MAX_PAYLOAD);
    let [low, high] = (len as u16).to_le_bytes();
    [MARK, kind as u8, low, high]
}

#[derive(Clone, Copy)]
enum State {
    Outside,
    Kind,
    LengthLow { kind: u8 },
    LengthHigh { kind: u8, low: u8 },
    Payload { kind: u8, left: u16 },
}

/// Takes frames apart as their bytes arrive, in pieces of any size.
pub struct Parser {
    state: State,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    pub const fn new() -> Self {
        Parser {
            state: State::Outside,
        }
    }

    /// Takes `bytes` and hands each piece of payload to `sink`; frames of unknown kind and bytes outside frames are dropped.
    /// [`FromHost::StdinEnd`] is reported once per frame, with no payload.
    pub fn feed(&mut self, mut bytes: &[u8], mut sink: impl FnMut(FromHost, &[u8])) {
        while let Some((&b, rest)) = bytes.split_first() {
            match self.state {
                State::Outside => {
                    if b == MARK {
                        self.state = State::Kind;
                    }
                }
                State::Kind => self.state = State::LengthLow { kind: b },
                State::LengthLow { kind } => self.state = State::LengthHigh { kind, low: b },
                State::LengthHigh { kind, low } => {
                    if kind == 2 {
                        sink(FromHost::StdinEnd, &[]);
                    }
                    let left = u16::from_le_bytes([low, b]);
                    self.state = if left == 0 {
                        State::Outside
                    } else {
                        State::Payload { kind, left }
                    };
                }
                State::Payload { kind, left } => {
                    let n = bytes.len().min(left.into());
                    if kind == 1 {
                        sink(FromHost::Stdin, &bytes[..n]);
                    }
                    let left = left - n as u16;
                    self.state = if left == 0 {
                        State::Outside
                    } else {
                        State::Payload { kind, left }
                    };
                    bytes = &bytes[n..];
                    continue;
                }
            }
            bytes = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> (Vec<u8>, usize) {
        let (mut data, mut ends) = (Vec::new(), 0);
        let mut parser = Parser::new();
        for piece in pieces {
            parser.feed(piece, |kind, payload| match kind {
                FromHost::Stdin => data.extend_from_slice(payload),
                FromHost::StdinEnd => ends += 1,
            });
        }
        (data, ends)
    }

    #[test]
    fn a_frame_may_arrive_byte_by_byte() {
        let stream = [b'x', MARK, 1, 3, 0, b'a', MARK, b'c', b'y', MARK, 2, 0, 0];
        let whole = parse(&[&stream]);
        let pieces: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(whole, (vec![b'a', MARK, b'c'], 1));
        assert_eq!(parse(&pieces), whole);
    }

    #[test]
    fn an_unknown_kind_is_skipped_whole() {
        assert_eq!(
            parse(&[&[MARK, 9, 2, 0, MARK, 1, MARK, 1, 1, 0, b'z']]),
            (vec![b'z'], 0)
        );
    }

    #[test]
    fn an_empty_frame_leaves_the_next_one_intact() {
        assert_eq!(
            parse(&[&[MARK, 1, 0, 0, MARK, 1, 1, 0, b'q']]),
            (vec![b'q'], 0)
        );
    }

    #[test]
    fn the_header_is_little_endian() {
        assert_eq!(header(ToHost::Stderr, 0x1234), [0xf5, 2, 0x34, 0x12]);
    }
}
