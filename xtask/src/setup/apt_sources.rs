//! Where apt gets its packages from: whether a suite is among it, and how the entry looks that adds one.

use std::path::PathBuf;

use fs_err as fs;

/// The release whose entries others are derived from.
const RELEASE: &str = "bookworm";
pub const BACKPORTS: &str = "bookworm-backports";
const LIST: &str = "/etc/apt/sources.list";
const FOLDER: &str = "/etc/apt/sources.list.d";

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `deb [options] URI suite components`.
    OneLine,
    /// Stanzas of fields (sources.list(5), "deb822-style format").
    Deb822,
}

/// A file that apt reads.
#[derive(Debug)]
pub struct Source {
    format: Format,
    text: String,
}

/// A file that is not there yet.
#[derive(Debug, PartialEq, Eq)]
pub struct New {
    pub path: String,
    pub text: String,
}

/// What apt reads on this host. Of other names (a file that was switched off by renaming it) it takes no notice.
pub fn read() -> Vec<Source> {
    let mut files = vec![PathBuf::from(LIST)];
    files.extend(
        fs::read_dir(FOLDER)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    files
        .iter()
        .filter_map(|file| {
            let format = match file.extension()?.to_str()? {
                "list" => Format::OneLine,
                "sources" => Format::Deb822,
                _ => return None,
            };
            let text = fs::read_to_string(file).ok()?;
            Some(Source { format, text })
        })
        .collect()
}

pub fn has_backports(sources: &[Source]) -> bool {
    sources.iter().any(|source| source.has(BACKPORTS))
}

/// The entry for the backports, from the same place and with the same key as the release itself.
pub fn backports(sources: &[Source]) -> Option<New> {
    sources.iter().find_map(|source| {
        let (text, ending) = match source.format {
            Format::OneLine => (one_line_entry(&source.text)?, "list"),
            Format::Deb822 => (deb822_entry(&source.text)?, "sources"),
        };
        Some(New {
            path: format!("{FOLDER}/rustos-backports.{ending}"),
            text,
        })
    })
}

impl Source {
    #[cfg(test)]
    pub fn of_line(line: &str) -> Self {
        Self {
            format: Format::OneLine,
            text: line.into(),
        }
    }

    /// Whether packages come from that suite.
    fn has(&self, suite: &str) -> bool {
        match self.format {
            Format::OneLine => self
                .text
                .lines()
                .filter_map(OneLine::parse)
                .any(|entry| entry.suite == suite),
            Format::Deb822 => stanzas(&self.text).any(|stanza| stanza.has(suite)),
        }
    }
}

struct OneLine<'a> {
    /// The kind, the options and the place.
    before: &'a str,
    suite: &'a str,
    components: &'a str,
}

impl<'a> OneLine<'a> {
    /// Of a line that stands for binary packages.
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.split('#').next()?.trim();
        let rest = line.strip_prefix("deb")?;
        if !rest.starts_with([' ', '\t']) {
            return None;
        }
        let mut rest = rest.trim_start();
        if rest.starts_with('[') {
            rest = rest.split_once(']')?.1.trim_start();
        }
        let (_, rest) = rest.split_once([' ', '\t'])?;
        let rest = rest.trim_start();
        let before = line[..line.len() - rest.len()].trim_end();
        let (suite, components) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        Some(Self {
            before,
            suite,
            components: components.trim(),
        })
    }
}

fn one_line_entry(text: &str) -> Option<String> {
    let mut entries = text.lines().filter_map(OneLine::parse);
    let entry = entries.find(|entry| entry.suite == RELEASE)?;
    Some(format!(
        "{} {BACKPORTS} {}\n",
        entry.before, entry.components
    ))
}

/// Fields with their values, which may go on over several lines.
struct Stanza<'a>(Vec<(&'a str, String)>);

fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stanzas: Vec<_> = lines
        .split(|line| line.trim().is_empty())
        .map(Stanza::parse)
        .collect();
    stanzas.into_iter()
}

impl<'a> Stanza<'a> {
    fn parse(lines: &[&'a str]) -> Self {
        let mut fields: Vec<(&str, String)> = Vec::new();
        for line in lines {
            match (line.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => {
                    value.push('\n');
                    value.push_str(line);
                }
                _ => {
                    if let Some((name, value)) = line.split_once(':') {
                        fields.push((name.trim(), value.trim().into()));
                    }
                }
            }
        }
        Self(fields)
    }

    fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split_whitespace())
    }

    /// Whether binary packages come from that suite, and apt has not been told to leave it out.
    fn has(&self, suite: &str) -> bool {
        // What apt takes for "no".
        const NO: &[&str] = &["no", "false", "without", "off", "disable", "0"];
        let is_off = |word: &str| NO.contains(&word.to_ascii_lowercase().as_str());
        self.words("Types").any(|word| word == "deb")
            && self.words("Suites").any(|word| word == suite)
            && !self.words("Enabled").any(is_off)
    }
}

fn deb822_entry(text: &str) -> Option<String> {
    let stanza = stanzas(text).find(|stanza| stanza.has(RELEASE))?;
    let line = |(name, value): &(&str, String)| {
        if name.eq_ignore_ascii_case("Suites") {
            format!("{name}: {BACKPORTS}\n")
        } else {
            format!("{name}: {value}\n")
        }
    };
    Some(stanza.0.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\n\
        Suites: bookworm\n bookworm-updates\nComponents: main\nSigned-By: /usr/share/key.gpg\n\n\
        Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\n";

    fn has(format: Format, text: &str) -> bool {
        let text = text.into();
        has_backports(&[Source { format, text }])
    }

    #[test]
    fn the_entry_keeps_place_and_key() {
        assert_eq!(
            deb822_entry(DEB822).unwrap(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\
             Components: main\nSigned-By: /usr/share/key.gpg\n"
        );
        let line = "# deb x\ndeb [ signed-by=/k.gpg arch=amd64 ] http://mirror.example/d bookworm main # it\n";
        assert_eq!(
            one_line_entry(line).unwrap(),
            "deb [ signed-by=/k.gpg arch=amd64 ] http://mirror.example/d bookworm-backports main\n"
        );
        let sources = [Source {
            format: Format::OneLine,
            text: line.into(),
        }];
        let path = backports(&sources).unwrap().path;
        assert_eq!(path, "/etc/apt/sources.list.d/rustos-backports.list");
    }

    #[test]
    fn a_source_without_the_release_gives_nothing() {
        assert_eq!(deb822_entry("Types: deb\nSuites: nodistro\n"), None);
        assert_eq!(
            one_line_entry("deb http://mirror.example/x stable main\n"),
            None
        );
        assert_eq!(
            one_line_entry("deb-src http://mirror.example/x bookworm main\n"),
            None
        );
    }

    #[test]
    fn what_is_switched_off_does_not_count() {
        use Format::{Deb822, OneLine};
        let stanza = "Types: deb\nSuites: bookworm-backports\n";
        assert!(has(Deb822, stanza));
        assert!(!has(Deb822, &format!("{stanza}Enabled: No\n")));
        assert!(has(Deb822, &format!("{stanza}Enabled: yes\n")));
        assert!(!has(Deb822, "Types: deb-src\nSuites: bookworm-backports\n"));
        assert!(!has(Deb822, "Types: deb\n# Suites: bookworm-backports\n"));
        assert!(!has(Deb822, DEB822));
        let line = "deb http://mirror.example/d bookworm-backports main";
        assert!(has(OneLine, line));
        assert!(!has(OneLine, &format!("# {line}")));
        assert!(!has(OneLine, &line.replace("deb ", "deb-src ")));
    }
}
