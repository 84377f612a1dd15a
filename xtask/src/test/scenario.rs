//! Scenario tests: files of named shell scripts, compared byte for byte with recorded results.
//!
//! A file of `tests/scenarios` has an optional `### setup` part and then `### case NAME` parts, each a
//! script; what stands before the first is a comment. `NAME.expected` beside it holds the results that
//! `cargo xtask test --record` took on the host. A case's line may say `oracle=uutils`: then
//! the results are those of the same uutils release on the host, because GNU's differ with good
//! reason; `stderr=any`: only stdout and status are compared; `expect=ok`: the case checks for itself
//! what must hold in this system alone, and prints `ok`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use super::{
    guest_suites::{command_in_guest, explain},
    report::Report,
    script::{self, Outcome},
};

use crate::{build::Image, cli::TestKind, project::Project};
use fs_err as fs;

pub const FOLDER: &str = "tests/scenarios";
/// For all cases of one file.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub name: String,
    pub setup: String,
    pub cases: Vec<Case>,
    expected: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    pub oracle: Oracle,
    any_stderr: bool,
    pub script: String,
}

/// Whose results are the right ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracle {
    /// The host's own tools: dash, GNU coreutils, grep, sed, gawk, findutils, diffutils.
    Gnu,
    /// The host build of the programs in the image.
    Uutils,
    /// The case itself: it must print `ok` and nothing else.
    Itself,
}

/// Every scenario of the repository, by name.
pub fn all(project: &Project) -> Result<Vec<Scenario>> {
    let folder = project.root.join(FOLDER);
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sh"));
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path)?;
        let mut scenario =
            Scenario::parse(&name, &text).with_context(|| path.display().to_string())?;
        scenario.expected = path.with_extension("expected");
        scenarios.push(scenario);
    }
    Ok(scenarios)
}

impl Scenario {
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut scenario = Self {
            name: name.into(),
            setup: String::new(),
            cases: Vec::<Case>::new(),
            expected: PathBuf::new(),
        };
        enum Part {
            Comment,
            Setup,
            Case,
        }
        let mut part = Part::Comment;
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                let mut words = heading.split_whitespace();
                match words.next() {
                    Some("setup") => part = Part::Setup,
                    Some("case") => {
                        let case = Case::parse(words).with_context(|| line.to_owned())?;
                        if scenario.cases.iter().any(|other| other.name == case.name) {
                            bail!("two cases are called `{}`", case.name);
                        }
                        scenario.cases.push(case);
                        part = Part::Case;
                    }
                    _ => bail!("`{line}`: expected `### setup` or `### case NAME`"),
                }
                continue;
            }
            let text = match part {
                Part::Comment => continue,
                Part::Setup => &mut scenario.setup,
                Part::Case => &mut scenario.cases.last_mut().context("a case")?.script,
            };
            text.push_str(line);
            text.push('\n');
        }
        Ok(scenario)
    }

    /// Long loops are stress tests, everything else integration.
    pub fn kind(&self) -> TestKind {
        if self.name.starts_with("stress") {
            TestKind::Stress
        } else {
            TestKind::Integration
        }
    }

    /// Boots once, runs all cases, compares each.
    pub fn run(&self, image: &Image, suite: &str, report: &mut Report) -> Result<()> {
        let recorded = fs::read(&self.expected).unwrap_or_default();
        let expected = script::outcomes(&recorded);
        // The script is long and binary-safe on stdin; a command line has limits.
        let command = "cat >/tmp/runner && exec sh /tmp/runner";
        let stdin = script::runner(self, "").into_bytes();
        let (boot, output) = command_in_guest(image, command, stdin, LIMIT)?;
        let actual = script::outcomes(&output.stdout);
        let mut all_ran = true;
        for case in &self.cases {
            let find =
                |outcomes: &[Outcome]| outcomes.iter().find(|o| o.name == case.name).cloned();
            let right = match case.oracle {
                Oracle::Itself => Some(case.ok()),
                Oracle::Gnu | Oracle::Uutils => find(&expected),
            };
            let result = match (right, find(&actual)) {
                (Some(expected), Some(actual)) => case.compare(&expected, &actual),
                (None, _) => Err("no recorded result: `cargo xtask test --record`".into()),
                (_, None) => {
                    all_ran = false;
                    Err("did not run: the boot ended before".into())
                }
            };
            report.record(suite, &case.name, result);
        }
        if !all_ran {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let raw = String::from_utf8_lossy(&output.stdout);
            let tail: String = raw
                .chars()
                .rev()
                .take(500)
                .collect::<Vec<_>>()
                .iter()
                .rev()
                .collect();
            let why = format!("{}\n--- end of stdout ---\n{tail}", explain(&boot, &stderr));
            report.failed(suite, "ran to its end", &why);
        }
        Ok(())
    }

    /// Where the recorded results are.
    pub fn expected(&self) -> &PathBuf {
        &self.expected
    }
}

impl Case {
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let name = words.next().context("a case needs a name")?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            bail!("`{name}` is not made of letters, digits and _");
        }
        let mut case = Self {
            name: name.into(),
            oracle: Oracle::Gnu,
            any_stderr: false,
            script: String::new(),
        };
        for word in words {
            match word {
                "oracle=uutils" => case.oracle = Oracle::Uutils,
                "stderr=any" => case.any_stderr = true,
                "expect=ok" => case.oracle = Oracle::Itself,
                _ => bail!("`{word}`: expected oracle=uutils, stderr=any or expect=ok"),
            }
        }
        Ok(case)
    }

    /// What a case that checks for itself must come to.
    fn ok(&self) -> Outcome {
        let stdout = b"ok\n".to_vec();
        Outcome {
            name: self.name.clone(),
            status: 0,
            stdout,
            stderr: Vec::new(),
        }
    }

    fn compare(&self, expected: &Outcome, actual: &Outcome) -> Result<(), String> {
        let mut differences = Vec::new();
        if expected.status != actual.status {
            differences.push(format!(
                "status: expected {}, is {}",
                expected.status, actual.status
            ));
        }
        if expected.stdout != actual.stdout {
            differences.push(difference("stdout", &expected.stdout, &actual.stdout));
        }
        if !self.any_stderr && expected.stderr != actual.stderr {
            differences.push(difference("stderr", &expected.stderr, &actual.stderr));
        }
        if differences.is_empty() {
            return Ok(());
        }
        if expected.stderr == actual.stderr && !actual.stderr.is_empty() {
            differences.push(format!("stderr: {}", excerpt(&actual.stderr)));
        }
        Err(differences.join("\n"))
    }
}

/// Shows both texts from the first line that differs.
fn difference(name: &str, expected: &[u8], actual: &[u8]) -> String {
    let same = expected
        .iter()
        .zip(actual)
        .take_while(|(a, b)| a == b)
        .count();
    let line_start = expected[..same]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |i| i + 1);
    let line = expected[..line_start]
        .iter()
        .filter(|&&b| b == b'\n')
        .count()
        + 1;
    format!(
        "{name} differs in line {line}:\n  expected: {}\n  is:       {}",
        excerpt(&expected[line_start..]),
        excerpt(&actual[line_start..])
    )
}

fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 300;
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(cut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{commands, session::STEPS};
    use std::collections::BTreeSet;

    /// The words of a script that stand where a command's name does.
    fn command_words(script: &str) -> BTreeSet<String> {
        const BEFORE: &[&str] = &[
            "",
            "!",
            "{",
            "}",
            "do",
            "then",
            "else",
            "if",
            "while",
            "until",
            "elif",
            "exec",
            "env",
            "command",
            "xargs",
            "nice",
            "nohup",
            "timeout",
            "sh",
            "coreutils",
        ];
        let mut words = BTreeSet::new();
        for part in script.split(['\n', '\r', ';', '|', '&', '(', ')', '`', '"', '\'', '\x0c']) {
            let mut before = String::new();
            for word in part.split_whitespace() {
                // Options, numbers and assignments go between a command and the one that it runs.
                let between = word.starts_with('-')
                    || word.contains('=')
                    || word.parse::<f32>().is_ok()
                    || word.starts_with(['<', '>']);
                if between {
                    continue;
                }
                if BEFORE.contains(&before.as_str()) {
                    words.insert(word.trim_end_matches('"').to_owned());
                }
                before = word.to_owned();
            }
        }
        words
    }

    #[test]
    fn commands_are_found_where_they_stand() {
        let words = command_words("a b | c; ! d <e && timeout 5 f g; x=$(h i)\nif j; then k; fi");
        for word in ["a", "c", "d", "f", "h", "j", "k"] {
            assert!(words.contains(word), "{word} in {words:?}");
        }
        assert!(!words.contains("b") && !words.contains("g") && !words.contains("i"));
    }

    #[test]
    fn every_program_of_the_image_is_used_by_a_test() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut used = BTreeSet::new();
        for entry in fs::read_dir(root.join(FOLDER)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                let text = fs::read_to_string(&path).unwrap();
                for case in Scenario::parse("x", &text).unwrap().cases {
                    used.extend(command_words(&case.script));
                }
            }
        }
        for step in STEPS {
            used.extend(command_words(step.keys));
        }
        for command in commands::scripts() {
            used.extend(command_words(command));
        }
        let programs = fs::read_to_string(root.join("multicall/programs.txt")).unwrap();
        let unused: Vec<_> = programs
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .filter(|program| !used.contains(*program))
            .collect();
        assert!(unused.is_empty(), "no scenario runs {unused:?}");
    }

    #[test]
    fn parts_are_told_apart() {
        let text =
            "comment\n### setup\nseq 3 >n\n### case a oracle=uutils\nls\n### case b stderr=any\n";
        let scenario = Scenario::parse("x", text).unwrap();
        assert_eq!(scenario.setup, "seq 3 >n\n");
        assert_eq!(scenario.cases[0].script, "ls\n");
        assert_eq!(scenario.cases[0].oracle, Oracle::Uutils);
        assert!(scenario.cases[1].any_stderr);
    }

    #[test]
    fn mistakes_in_a_file_are_errors() {
        for text in [
            "### cases a\n",
            "### case\n",
            "### case a/b\n",
            "### case a\n### case a\n",
        ] {
            assert!(Scenario::parse("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_difference_is_shown() {
        let text = difference("stdout", b"same\nold\n", b"same\nnew\n");
        assert!(
            text.contains("line 2") && text.contains("old") && text.contains("new"),
            "{text}"
        );
    }
}
