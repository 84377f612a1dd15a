//! The kernel command line as init reads it: words separated by spaces, `name=value` or bare.

use std::ffi::CString;

/// The words of `/proc/cmdline` that concern init.
#[derive(Debug, Default)]
pub struct CommandLine {
    words: Vec<Vec<u8>>,
}

impl CommandLine {
    pub fn parse(text: &[u8]) -> Self {
        let words = text
            .split(|b| b.is_ascii_whitespace() || *b == 0)
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        Self { words }
    }

    /// The value of the last `name=value`, as later boot arguments override earlier ones.
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.words
            .iter()
            .rev()
            .find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    /// The `-c` command, which travels in hex so that it may hold spaces, quotes and any byte.
    pub fn command(&self) -> Option<Result<Vec<u8>, String>> {
        self.value("cmd").map(decode_hex)
    }

    /// Whether the serial line carries the host's streams.
    pub fn has_host(&self) -> bool {
        self.value("console") == Some(b"framed")
    }

    /// Whether the kernel ends a terminal's text with the status that process 1 ends with.
    pub fn tells_status(&self) -> bool {
        self.value("status") == Some(b"framed")
    }

    /// `winsize=ROWSxCOLUMNS`: the size of the terminal at the other end of a serial line.
    pub fn window_size(&self) -> Option<(u16, u16)> {
        let text = std::str::from_utf8(self.value("winsize")?).ok()?;
        let (rows, columns) = text.split_once('x')?;
        Some((rows.parse().ok()?, columns.parse().ok()?))
    }

    /// What a login would set, overridden by `NAME=value` words of the command line whose name is
    /// in capitals: those are for the environment, as on Linux. `home` is set for a session that
    /// has changed into it.
    pub fn environment(&self, home: Option<&str>) -> Vec<CString> {
        let mut variables: Vec<(&[u8], &[u8])> = vec![
            (b"HOME", b"/root"),
            (b"PATH", b"/bin:/usr/bin"),
            (b"USER", b"root"),
            (b"LOGNAME", b"root"),
            (b"SHELL", b"/bin/sh"),
        ];
        if let Some(home) = home {
            variables.push((b"TERM", b"vt100"));
            variables.push((b"PWD", home.as_bytes()));
        }
        for word in &self.words {
            let Some(at) = word.iter().position(|b| *b == b'=') else {
                continue;
            };
            let (name, value) = (&word[..at], &word[at + 1..]);
            if !is_variable_name(name) {
                continue;
            }
            match variables.iter_mut().find(|(known, _)| *known == name) {
                Some(variable) => variable.1 = value,
                None => variables.push((name, value)),
            }
        }
        variables
            .into_iter()
            // Words hold no NUL: parsing splits at it.
            .filter_map(|(name, value)| CString::new([name, b"=", value].concat()).ok())
            .collect()
    }
}

fn is_variable_name(name: &[u8]) -> bool {
    name.first().is_some_and(|b| b.is_ascii_uppercase())
        && name
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

fn decode_hex(hex: &[u8]) -> Result<Vec<u8>, String> {
    if !hex.len().is_multiple_of(2) {
        return Err(format!("{} hex digits, an odd number", hex.len()));
    }
    hex.chunks_exact(2)
        .map(|pair| Ok(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?))
        .collect()
}

fn hex_digit(byte: u8) -> Result<u8, String> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(format!("{:?} is not a hex digit", byte as char)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment_of(text: &[u8], home: Option<&str>) -> Vec<String> {
        CommandLine::parse(text)
            .environment(home)
            .into_iter()
            .map(|variable| variable.into_string().unwrap())
            .collect()
    }

    #[test]
    fn command_is_any_bytes() {
        let line = CommandLine::parse(b"console=framed cmd=6563686f20ff0a loglevel=3\n");
        assert_eq!(line.command(), Some(Ok(b"echo \xff\n".to_vec())));
    }

    #[test]
    fn no_command_means_a_terminal() {
        assert_eq!(CommandLine::parse(b"console=tty\n").command(), None);
        assert_eq!(CommandLine::parse(b"").command(), None);
    }

    #[test]
    fn only_a_framed_line_has_a_host() {
        let has_host = |text: &[u8]| CommandLine::parse(text).has_host();
        assert!(has_host(b"console=framed cmd=61"));
        assert!(!has_host(b"console=tty cmd=61") && !has_host(b"cmd=61"));
    }

    #[test]
    fn broken_hex_is_an_error_not_a_command() {
        for text in [&b"cmd=6"[..], b"cmd=zz", b"cmd=6 5"] {
            assert!(CommandLine::parse(text).command().unwrap().is_err());
        }
    }

    #[test]
    fn later_words_win() {
        let line = CommandLine::parse(b"cmd=61 cmd=62");
        assert_eq!(line.command(), Some(Ok(b"b".to_vec())));
    }

    #[test]
    fn capitals_go_to_the_environment() {
        let with_home = environment_of(b"TERM=xterm TZ=UTC0 loglevel=4 Foo=1 =x", Some("/root"));
        assert!(with_home.contains(&"TERM=xterm".to_string()));
        assert!(with_home.contains(&"TZ=UTC0".to_string()));
        assert!(with_home.contains(&"PWD=/root".to_string()));
        assert!(!with_home.iter().any(|v| v.contains("loglevel")));
        assert!(!with_home.iter().any(|v| v.contains("Foo")));
        let terms = with_home.iter().filter(|v| v.starts_with("TERM=")).count();
        assert_eq!(terms, 1);
    }

    #[test]
    fn a_command_has_no_terminal_type_unless_told() {
        assert!(
            !environment_of(b"", None)
                .iter()
                .any(|v| v.starts_with("TERM="))
        );
    }

    #[test]
    fn window_size_is_rows_by_columns() {
        let size = |text: &[u8]| CommandLine::parse(text).window_size();
        assert_eq!(size(b"winsize=50x132"), Some((50, 132)));
        assert_eq!(size(b"winsize=50"), None);
        assert_eq!(size(b"winsize=ax1"), None);
    }
}
