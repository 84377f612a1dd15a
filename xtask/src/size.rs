//! An amount of memory as people write it: `48M`, `1G`, `65536K`.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    kib: u64,
}

impl Size {
    pub const GIB: Self = Self { kib: 1 << 20 };

    pub fn bytes(self) -> u64 {
        self.kib * 1024
    }

    /// As people would write it.
    pub fn short(self) -> String {
        match self.kib {
            kib if kib.is_multiple_of(1 << 20) => format!("{}G", kib >> 20),
            kib if kib.is_multiple_of(1 << 10) => format!("{}M", kib >> 10),
            kib => format!("{kib}K"),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a number and a unit of K, M or G, found `{text}`");
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match &text[digits.len()..] {
            "K" | "k" => 1,
            "M" | "m" => 1 << 10,
            "G" | "g" => 1 << 20,
            _ => return Err(expected()),
        };
        let count: u64 = digits.parse().map_err(|_| expected())?;
        match count.checked_mul(unit) {
            Some(kib) if kib > 0 => Ok(Self { kib }),
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for Size {
    /// The form that QEMU's `-m` takes.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}K", self.kib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_scale() {
        assert_eq!("1G".parse(), Ok(Size::GIB));
        assert_eq!("48M".parse(), Ok(Size { kib: 48 << 10 }));
        assert_eq!("64k".parse(), Ok(Size { kib: 64 }));
    }

    #[test]
    fn a_size_is_written_as_it_was_read() {
        for text in ["1G", "48M", "2049K"] {
            assert_eq!(text.parse::<Size>().unwrap().short(), text);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "G",
            "1",
            "0M",
            "-1M",
            "1T",
            "1.5G",
            "99999999999999999999G",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
