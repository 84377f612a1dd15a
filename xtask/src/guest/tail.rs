//! The last bytes of a text that may be long.

/// How many are kept.
const KEPT: usize = 64 << 10;

#[derive(Default)]
pub struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        if self.bytes.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() - KEPT);
        }
    }

    pub fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(KEPT);
        String::from_utf8_lossy(&self.bytes[from..]).replace('\r', "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_log_is_kept() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.add(format!("{number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.ends_with("99999\n") && text.len() <= KEPT);
    }
}
