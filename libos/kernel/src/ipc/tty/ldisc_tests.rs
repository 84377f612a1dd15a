//! Known sequences; what they show and give was compared with a Linux pseudo-terminal.

use super::*;

struct Terminal {
    ldisc: LineDiscipline,
    screen: Vec<u8>,
    outcome: Outcome,
}

fn terminal(change: impl FnOnce(&mut Termios)) -> Terminal {
    let mut termios = Termios::default();
    change(&mut termios);
    Terminal {
        ldisc: LineDiscipline::new(termios),
        screen: Vec::new(),
        outcome: Outcome::default(),
    }
}

impl Terminal {
    fn type_in(&mut self, bytes: &[u8]) -> &mut Self {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut echo = Shown::with_capacity(0);
            let (outcome, taken) = self.ldisc.receive(rest, &mut echo);
            self.screen.extend_from_slice(&echo);
            self.outcome = outcome;
            rest = &rest[taken..];
        }
        self
    }

    /// What read(2) with a buffer of `max` gives; `None` when it would wait.
    fn read(&mut self, max: usize) -> Option<Vec<u8>> {
        if !self.ldisc.has_input(1) {
            return None;
        }
        let (a, b) = self.ldisc.readable();
        let mut data = [a, b].concat();
        data.truncate(max);
        self.ldisc.consume(data.len());
        Some(data)
    }
}

#[test]
fn a_line_is_readable_only_once_it_ends() {
    let mut t = terminal(|_| {});
    assert_eq!(t.type_in(b"ab").read(9), None);
    assert_eq!(t.type_in(b"c\rd").read(9), Some(b"abc\n".to_vec()));
    assert_eq!(t.read(9), None);
    assert_eq!(t.screen, b"abc\r\nd");
}

#[test]
fn a_short_read_leaves_the_rest_of_its_line_only() {
    let mut t = terminal(|_| {});
    t.type_in(b"abc\rdef\r");
    assert_eq!(t.read(2), Some(b"ab".to_vec()));
    assert_eq!(t.read(99), Some(b"c\n".to_vec()));
    assert_eq!(t.read(99), Some(b"def\n".to_vec()));
}

#[test]
fn eof_ends_a_line_without_a_character_and_an_empty_one_ends_the_file() {
    let mut t = terminal(|_| {});
    assert_eq!(t.type_in(b"ab\x04").read(2), Some(b"ab".to_vec()));
    assert_eq!(t.read(9), None);
    assert_eq!(t.type_in(b"\x04").read(9), Some(Vec::new()));
    assert_eq!(t.read(9), None);
    assert_eq!(t.screen, b"ab");
}

#[test]
fn erase_takes_one_character_and_its_echo() {
    let mut t = terminal(|_| {});
    t.type_in(b"ab\x7f\x7f\x7fx\r");
    assert_eq!(t.screen, b"ab\x08 \x08\x08 \x08x\r\n");
    assert_eq!(t.read(9), Some(b"x\n".to_vec()));
}

#[test]
fn erase_of_a_control_character_takes_two_columns() {
    let mut t = terminal(|_| {});
    t.type_in(b"\x01\x7f");
    assert_eq!(t.screen, b"^A\x08 \x08\x08 \x08");
}

#[test]
fn erase_of_a_tab_backs_up_to_where_it_began() {
    let mut t = terminal(|_| {});
    t.type_in(b"ab\t\x7f");
    assert_eq!(t.screen, b"ab\t\x08\x08\x08\x08\x08\x08");
    // After a prompt the columns count from there.
    let mut t = terminal(|_| {});
    let mut out = Shown::with_capacity(0);
    t.ldisc.process_output(b"$ ", &mut out);
    t.type_in(b"ab\t\x7f");
    assert_eq!(t.screen, b"ab\t\x08\x08\x08\x08");
}

#[test]
fn erase_takes_a_whole_utf8_character() {
    let mut t = terminal(|t| t.iflag |= IUTF8);
    t.type_in("aé€\x7f\x7f\r".as_bytes());
    assert_eq!(t.screen, "aé€\x08 \x08\x08 \x08\r\n".as_bytes());
    assert_eq!(t.read(9), Some(b"a\n".to_vec()));
}

#[test]
fn without_echoe_erase_shows_itself() {
    let mut t = terminal(|t| t.lflag &= !ECHOE);
    t.type_in(b"ab\x7f\r");
    assert_eq!(t.screen, b"ab^?\r\n");
    assert_eq!(t.read(9), Some(b"a\n".to_vec()));
}

#[test]
fn word_erase_takes_trailing_space_and_one_word() {
    let mut t = terminal(|_| {});
    t.type_in(b"one two_2  \x17\r");
    assert_eq!(t.read(9), Some(b"one \n".to_vec()));
    assert_eq!(
        t.screen,
        [b"one two_2  ".as_slice(), &b"\x08 \x08".repeat(7), b"\r\n"].concat()
    );
}

#[test]
fn kill_takes_the_line() {
    let mut t = terminal(|_| {});
    t.type_in(b"abc\x15x\r");
    assert_eq!(t.read(9), Some(b"x\n".to_vec()));
    assert_eq!(t.screen, b"abc\x08 \x08\x08 \x08\x08 \x08x\r\n");
    let mut t = terminal(|t| t.lflag &= !ECHOKE);
    t.type_in(b"abc\x15x\r");
    assert_eq!(t.screen, b"abc^U\r\nx\r\n");
}

#[test]
fn literal_next_takes_away_meaning() {
    let mut t = terminal(|_| {});
    t.type_in(b"\x16\x03\x16\x7f\r");
    assert_eq!(t.outcome.signals, []);
    assert_eq!(t.screen, b"^\x08^C^\x08^?\r\n");
    assert_eq!(t.read(9), Some(b"\x03\x7f\n".to_vec()));
}

#[test]
fn reprint_shows_the_line_again() {
    let mut t = terminal(|_| {});
    t.type_in(b"ab\x12c\r");
    assert_eq!(t.screen, b"ab^R\r\nabc\r\n");
}

#[test]
fn interrupt_discards_the_input_and_shows_itself() {
    let mut t = terminal(|_| {});
    t.type_in(b"x\rabc\x03d\r");
    assert_eq!(
        t.outcome,
        Outcome {
            signals: vec![TtySignal::Interrupt],
            flushed: true
        }
    );
    assert_eq!(t.read(9), Some(b"d\n".to_vec()));
    // What was typed in the same moment is not shown any more.
    assert_eq!(t.screen, b"^Cd\r\n");
}

#[test]
fn with_noflsh_a_signal_keeps_the_input() {
    let mut t = terminal(|t| t.lflag |= NOFLSH);
    t.type_in(b"ab\x1ac\r");
    assert_eq!(
        t.outcome,
        Outcome {
            signals: vec![TtySignal::Suspend],
            flushed: false
        }
    );
    assert_eq!(t.read(9), Some(b"abc\n".to_vec()));
}

#[test]
fn quit_is_a_plain_character_without_isig() {
    let mut t = terminal(|t| t.lflag &= !ISIG);
    t.type_in(b"\x1c\r");
    assert_eq!(t.outcome.signals, []);
    assert_eq!(t.read(9), Some(b"\x1c\n".to_vec()));
}

#[test]
fn stop_and_start_hold_output_and_are_not_input() {
    let mut t = terminal(|_| {});
    t.type_in(b"a\x13");
    assert!(t.ldisc.is_stopped());
    t.type_in(b"\x11\r");
    assert!(!t.ldisc.is_stopped());
    assert_eq!(t.read(9), Some(b"a\n".to_vec()));
}

#[test]
fn carriage_return_and_newline_follow_the_input_flags() {
    let input = |iflag: u32| {
        let mut t = terminal(|t| {
            t.iflag = iflag;
            t.lflag = 0;
        });
        t.type_in(b"a\rb\n").read(99).unwrap()
    };
    assert_eq!(input(0), b"a\rb\n");
    assert_eq!(input(ICRNL), b"a\nb\n");
    assert_eq!(input(IGNCR | ICRNL), b"ab\n");
    assert_eq!(input(INLCR), b"a\rb\r");
    assert_eq!(input(ISTRIP), b"a\rb\n");
}

#[test]
fn raw_mode_gives_each_byte_at_once() {
    let mut t = terminal(|t| t.lflag &= !(ICANON | ECHO));
    assert_eq!(t.type_in(b"\x7f\x04").read(9), Some(b"\x7f\x04".to_vec()));
    assert!(t.screen.is_empty());
}

#[test]
fn a_line_holds_4095_characters_and_its_end() {
    let mut t = terminal(|t| t.lflag &= !ECHO);
    t.type_in(&[b'x'; 5000]);
    assert!(t.ldisc.room() > 0);
    let line = t.type_in(b"\r").read(9999).unwrap();
    assert_eq!((line.len(), line[4094], line[4095]), (4096, b'x', b'\n'));
}

#[test]
fn a_full_raw_buffer_holds_the_sender_off() {
    let mut t = terminal(|t| t.lflag &= !(ICANON | ECHO));
    t.type_in(&[b'x'; 4095]);
    assert_eq!(t.ldisc.room(), 0);
    t.read(100);
    assert_eq!(t.ldisc.room(), 100);
}

#[test]
fn leaving_canonical_mode_gives_the_unfinished_line() {
    let mut t = terminal(|_| {});
    t.type_in(b"ab");
    let raw = Termios {
        lflag: 0,
        ..*t.ldisc.termios()
    };
    t.ldisc.set_termios(raw);
    assert_eq!(t.read(9), Some(b"ab".to_vec()));
    t.type_in(b"cd");
    t.ldisc.set_termios(Termios::default());
    assert_eq!(t.read(9), Some(b"cd".to_vec()));
}

#[test]
fn echonl_shows_only_the_end_of_the_line() {
    let mut t = terminal(|t| t.lflag = ICANON | ECHONL);
    t.type_in(b"secret\r");
    assert_eq!(t.screen, b"\r\n");
}

#[test]
fn eol_ends_a_line_and_stays_in_it() {
    let mut t = terminal(|t| t.cc[VEOL as usize] = b';');
    assert_eq!(t.type_in(b"a;b").read(9), Some(b"a;".to_vec()));
}

#[test]
fn ends_of_file_take_room_and_are_no_bytes() {
    let mut t = terminal(|_| {});
    t.type_in(&[4; 4095]);
    assert_eq!((t.ldisc.room(), t.ldisc.input_len()), (0, 0));
    assert_eq!(t.read(9), Some(Vec::new()));
    assert_eq!(t.ldisc.room(), 1);
    // In raw mode they are zeros, as on Linux.
    let mut t = terminal(|_| {});
    t.type_in(b"a\x04\x04");
    t.ldisc.set_termios(Termios {
        lflag: 0,
        ..Termios::default()
    });
    assert_eq!(t.read(9), Some(b"a\0\0".to_vec()));
}

#[test]
fn a_literal_newline_is_shown_with_a_caret() {
    let mut t = terminal(|_| {});
    t.type_in(b"\x16\nb\x7f\x7f\r");
    let expected = b"^\x08^Jb\x08 \x08\x08 \x08\x08 \x08\r\n";
    assert_eq!(t.screen, expected);
    assert_eq!(t.read(9), Some(b"\n".to_vec()));
}

#[test]
fn echoprt_shows_what_is_erased_between_slashes() {
    let mut t = terminal(|t| {
        t.lflag |= ECHOPRT;
        t.iflag |= IUTF8;
    });
    t.type_in("aé\x01\x7f\x7fb\x7f\x7f\r".as_bytes());
    assert_eq!(t.screen, "aé^A\\^Aé/b\\ba/\r\n".as_bytes());
    assert_eq!(t.read(9), Some(b"\n".to_vec()));
}

#[test]
fn who_stopped_output_starts_it_again() {
    let mut t = terminal(|t| t.iflag |= IXANY);
    t.ldisc.hold(true);
    t.type_in(b"\x11a\x03");
    assert!(t.ldisc.is_stopped());
    t.ldisc.hold(false);
    assert!(!t.ldisc.is_stopped());
    assert_eq!(t.ldisc.take_flow_change(), Some(false));
    t.type_in(b"\x13");
    t.ldisc.hold(false);
    assert!(t.ldisc.is_stopped());
    t.type_in(b"a");
    assert!(!t.ldisc.is_stopped());
    assert_eq!(t.ldisc.take_flow_change(), Some(false));
    assert_eq!(t.ldisc.take_flow_change(), None);
}

#[test]
fn leaving_flow_control_starts_output() {
    let without = |t: &Terminal| Termios {
        iflag: t.ldisc.termios().iflag & !IXON,
        ..*t.ldisc.termios()
    };
    let mut t = terminal(|_| {});
    t.type_in(b"\x13");
    t.ldisc.set_termios(without(&t));
    assert!(!t.ldisc.is_stopped());
    t.ldisc.hold(true);
    t.ldisc.set_termios(Termios::default());
    t.ldisc.set_termios(without(&t));
    assert!(t.ldisc.is_stopped());
}

#[test]
fn much_echo_is_given_in_pieces() {
    let mut t = terminal(|t| t.oflag |= XTABS);
    t.type_in(&[b'\t'; 4000]);
    let mut echo = Shown::with_capacity(0);
    let (_, taken) = t.ldisc.receive(&[0x12; 100], &mut echo);
    assert_eq!(taken, 1);
    assert_eq!(echo.len(), 32_000 + 4);
}
