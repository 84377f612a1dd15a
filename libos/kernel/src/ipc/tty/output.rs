//! What a terminal does to bytes on their way out (`OPOST`), and the column it knows the cursor to be in.

use super::shown::Shown;
use super::termios::*;

/// Whether `c` is an ASCII control character.
pub fn is_control(c: u8) -> bool {
    c < 0x20 || c == 0x7f
}

/// Whether `c` continues a UTF-8 sequence, so that it takes no column and goes with the byte before it.
pub fn is_continuation(t: &Termios, c: u8) -> bool {
    t.i(IUTF8) && c & 0xc0 == 0x80
}

/// Output processing.
#[derive(Default)]
pub struct Output {
    /// Where the cursor is, counted from 0.
    pub column: usize,
    /// Where the line being typed begins.
    pub start: usize,
}

impl Output {
    /// Appends `bytes` to `out` as the settings `t` want them sent.
    pub fn process(&mut self, t: &Termios, bytes: &[u8], out: &mut Shown) {
        if !t.o(OPOST) {
            out.extend(bytes);
            return;
        }
        for &c in bytes {
            self.put(t, c, out);
        }
    }

    /// A control character as two that can be seen.
    pub fn show_control(&mut self, c: u8, out: &mut Shown) {
        out.extend(&[b'^', c ^ 0x40]);
        self.column += 2;
    }

    /// Back over so many columns of a tab.
    pub fn back(&mut self, columns: usize, out: &mut Shown) {
        out.fill(0x08, columns);
        self.column = self.column.saturating_sub(columns);
    }

    fn put(&mut self, t: &Termios, c: u8, out: &mut Shown) {
        match c {
            b'\n' => {
                if t.o(ONLCR) {
                    out.push(b'\r');
                }
                if t.o(ONLCR) || t.o(ONLRET) {
                    self.column = 0;
                }
                self.start = self.column;
                out.push(b'\n');
            }
            b'\r' => {
                if t.o(ONOCR) && self.column == 0 {
                    return;
                }
                if !t.o(OCRNL) || t.o(ONLRET) {
                    (self.column, self.start) = (0, 0);
                }
                out.push(if t.o(OCRNL) { b'\n' } else { b'\r' });
            }
            b'\t' => {
                let width = 8 - self.column % 8;
                self.column += width;
                if t.oflag & TABDLY == XTABS {
                    out.fill(b' ', width);
                } else {
                    out.push(b'\t');
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                out.push(c);
            }
            c if is_control(c) => out.push(c),
            c => {
                if !is_continuation(t, c) {
                    self.column += 1;
                }
                out.push(if t.o(OLCUC) {
                    c.to_ascii_uppercase()
                } else {
                    c
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(t: &Termios, bytes: &[u8]) -> (Vec<u8>, usize) {
        let (mut output, mut out) = (Output::default(), Shown::with_capacity(0));
        output.process(t, bytes, &mut out);
        (out.to_vec(), output.column)
    }

    #[test]
    fn a_newline_becomes_two_characters() {
        assert_eq!(
            sent(&Termios::default(), b"ab\nc"),
            (b"ab\r\nc".to_vec(), 1)
        );
    }

    #[test]
    fn tabs_are_expanded_from_the_column_they_start_in() {
        let t = Termios {
            oflag: OPOST | XTABS,
            ..Termios::default()
        };
        assert_eq!(sent(&t, b"abc\td"), (b"abc     d".to_vec(), 9));
    }

    #[test]
    fn nothing_changes_without_output_processing() {
        let t = Termios {
            oflag: ONLCR,
            ..Termios::default()
        };
        assert_eq!(sent(&t, b"a\n\t").0, b"a\n\t");
    }
}
