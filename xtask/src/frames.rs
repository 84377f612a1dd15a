//! The framing that carries four streams over one serial line, both ways.
//!
//! A frame is `0xF5`, a kind, a little-endian `u16` length, and that many bytes. What stands between
//! frames is raw early log text of the guest. The kernel's side is its console driver.

/// First byte of every frame. It cannot start a UTF-8 character, so log text is unlikely to hold it.
pub const MARK: u8 = 0xF5;

/// Kinds from host to guest.
pub const TO_GUEST_STDIN: u8 = 1;
pub const TO_GUEST_EOF: u8 = 2;

/// One thing that the guest said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Log(Vec<u8>),
    Exit(i32),
    Panic(Vec<u8>),
    /// Bytes outside any frame.
    Raw(Vec<u8>),
    /// A frame whose kind or length this xtask does not know: the two sides disagree.
    Unknown(u8, Vec<u8>),
}

/// Wraps one payload of at most 65,535 bytes.
pub fn encode(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("the caller cuts payloads to fit");
    let mut frame = Vec::with_capacity(4 + payload.len());
    frame.extend([MARK, kind]);
    frame.extend(len.to_le_bytes());
    frame.extend(payload);
    frame
}

/// Takes the serial line apart; bytes may arrive in pieces of any size.
#[derive(Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Adds received bytes and returns the messages that are now complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.pending.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut rest = &self.pending[..];
        loop {
            let raw = rest.iter().position(|&b| b == MARK).unwrap_or(rest.len());
            if raw > 0 {
                messages.push(Message::Raw(rest[..raw].into()));
                rest = &rest[raw..];
            }
            let &[_, kind, low, high, ref body @ ..] = rest else {
                break;
            };
            let len = usize::from(u16::from_le_bytes([low, high]));
            let Some((payload, after)) = body.split_at_checked(len) else {
                break;
            };
            messages.push(message(kind, payload));
            rest = after;
        }
        let used = self.pending.len() - rest.len();
        self.pending.drain(..used);
        messages
    }

    /// What is left when the line went silent for good: the start of a frame that never ended.
    pub fn rest(&self) -> &[u8] {
        &self.pending
    }
}

fn message(kind: u8, payload: &[u8]) -> Message {
    let bytes = payload.to_vec();
    match (kind, payload) {
        (1, _) => Message::Stdout(bytes),
        (2, _) => Message::Stderr(bytes),
        (3, _) => Message::Log(bytes),
        (4, &[a, b, c, d]) => Message::Exit(i32::from_le_bytes([a, b, c, d])),
        (5, _) => Message::Panic(bytes),
        _ => Message::Unknown(kind, bytes),
    }
}

/// The frame that text on a terminal may end with: the status of the program in init's place.
#[derive(Default)]
pub struct Farewell {
    held: Vec<u8>,
}

impl Farewell {
    const HEAD: [u8; 4] = [MARK, 4, 4, 0];
    const LENGTH: usize = Self::HEAD.len() + 4;

    /// Adds received bytes and returns those that are text for certain.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let may_be_its_start = |from: &usize| {
            let end = &self.held[*from..];
            end.iter().zip(Self::HEAD).all(|(&is, head)| is == head)
        };
        let earliest = self.held.len().saturating_sub(Self::LENGTH);
        let from = (earliest..self.held.len())
            .find(may_be_its_start)
            .unwrap_or(self.held.len());
        self.held.drain(..from).collect()
    }

    /// At the line's end: the status, or text that only looked like one.
    pub fn end(self) -> Result<i32, Vec<u8>> {
        match self.held[..] {
            [.., a, b, c, d] if self.held.len() == Self::LENGTH => {
                Ok(i32::from_le_bytes([a, b, c, d]))
            }
            _ => Err(self.held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_any_cut() {
        let mut line = b"early\n".to_vec();
        line.extend(encode(1, b"out\xF5put"));
        line.extend(encode(4, &7i32.to_le_bytes()));
        for cut in 0..line.len() {
            let mut decoder = Decoder::default();
            let mut messages = decoder.feed(&line[..cut]);
            messages.extend(decoder.feed(&line[cut..]));
            let raw: Vec<u8> = messages
                .iter()
                .filter_map(|m| {
                    if let Message::Raw(b) = m {
                        Some(b.clone())
                    } else {
                        None
                    }
                })
                .flatten()
                .collect();
            assert_eq!(raw, b"early\n");
            messages.retain(|m| !matches!(m, Message::Raw(_)));
            assert_eq!(
                messages,
                [Message::Stdout(b"out\xF5put".into()), Message::Exit(7)]
            );
            assert!(decoder.rest().is_empty());
        }
    }

    #[test]
    fn an_unfinished_frame_waits() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(&[MARK, 1, 3, 0, b'a']), []);
        assert_eq!(decoder.rest().len(), 5);
        assert_eq!(decoder.feed(b"bc"), [Message::Stdout(b"abc".into())]);
    }

    #[test]
    fn empty_payloads_and_unknown_kinds_are_reported() {
        let mut decoder = Decoder::default();
        let line = [encode(3, b""), encode(9, b"?"), encode(4, b"x")].concat();
        assert_eq!(
            decoder.feed(&line),
            [
                Message::Log(vec![]),
                Message::Unknown(9, b"?".into()),
                Message::Unknown(4, b"x".into())
            ]
        );
    }

    #[test]
    fn a_status_is_found_at_the_end_of_text_only() {
        let status = encode(4, &3i32.to_le_bytes());
        let text = [b"a\xF5b".to_vec(), status.clone(), b"c\xF5\x04".to_vec()].concat();
        let line = [text.clone(), status].concat();
        for cut in 0..=line.len() {
            let mut farewell = Farewell::default();
            let mut shown = farewell.feed(&line[..cut]);
            shown.extend(farewell.feed(&line[cut..]));
            assert_eq!(shown, text);
            assert_eq!(farewell.end(), Ok(3));
        }
        let mut farewell = Farewell::default();
        assert_eq!(farewell.feed(&text), text[..text.len() - 2]);
        assert_eq!(farewell.end(), Err(b"\xF5\x04".to_vec()));
    }
}
