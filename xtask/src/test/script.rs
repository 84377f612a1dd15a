//! The script that runs all cases of a scenario in one go, and the form its results come back in.
//!
//! The same script runs on the host to record and in the guest to compare: a case gets a folder of
//! its own and a time limit, and its two outputs are sent with their lengths before them.

use super::scenario::Scenario;

/// Both sides work here, so that paths in messages agree.
pub const FOLDER: &str = "/tmp/scenario";
/// Ends a here-document; no case may contain it.
const END: &str = "END_OF_THIS_CASE";
/// Seconds that one case may take.
const CASE_LIMIT: u32 = 30;
/// What is written when the set-up of a scenario fails.
pub const SETUP_FAILED: u8 = 90;

/// One case's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Has the runner leave nothing behind, whatever ends it: for a machine that lives on.
pub const TIDY: &str = "trap 'cd / && rm -rf /tmp/scenario' EXIT\ntrap 'exit 130' INT TERM HUP\n";

/// The runner for a scenario, in POSIX shell. `once_made` follows when the folder is there, and is this runner's: what had that
/// name before is nobody's to remove.
pub fn runner(scenario: &Scenario, once_made: &str) -> String {
    let mut script = format!(
        "umask 022\nexport LC_ALL=C TZ=UTC HOME=/root D=../data\nunset LANG LANGUAGE ENV\n\
         mkdir {FOLDER} || exit {SETUP_FAILED}\n{once_made}\
         mkdir {FOLDER}/data && cd {FOLDER}/data || exit {SETUP_FAILED}\n"
    );
    script.push_str(&here_document("../.setup", &scenario.setup));
    script.push_str(&format!(
        "sh ../.setup </dev/null >/dev/null || exit {SETUP_FAILED}\n"
    ));
    for case in &scenario.cases {
        let name = &case.name;
        script.push_str(&format!(
            "mkdir ../{name} && cd ../{name} || exit {SETUP_FAILED}\n"
        ));
        script.push_str(&here_document("../.script", &case.script));
        script.push_str(&format!(
            "timeout {CASE_LIMIT} sh ../.script </dev/null >../.stdout 2>../.stderr\n\
             printf 'case {name} %d %d %d\\n' $? $(wc -c <../.stdout) $(wc -c <../.stderr)\n\
             cat ../.stdout ../.stderr\necho\n"
        ));
    }
    script.push_str(&format!("cd / && rm -rf {FOLDER}\n"));
    script
}

fn here_document(file: &str, text: &str) -> String {
    format!("cat >{file} <<'{END}'\n{text}{END}\n")
}

/// Takes the runner's output apart. What is cut off or malformed ends the list.
pub fn outcomes(mut output: &[u8]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    while let Some((outcome, rest)) = one_outcome(output) {
        outcomes.push(outcome);
        output = rest;
    }
    outcomes
}

fn one_outcome(output: &[u8]) -> Option<(Outcome, &[u8])> {
    let line_end = output.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = output.split_at(line_end);
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.strip_prefix("case ")?.split(' ');
    let name = words.next()?.to_owned();
    let status = words.next()?.parse().ok()?;
    let stdout_len = words.next()?.parse().ok()?;
    let stderr_len = words.next()?.parse().ok()?;
    let (stdout, rest) = rest[1..].split_at_checked(stdout_len)?;
    let (stderr, rest) = rest.split_at_checked(stderr_len)?;
    let rest = rest.strip_prefix(b"\n")?;
    Some((
        Outcome {
            name,
            status,
            stdout: stdout.into(),
            stderr: stderr.into(),
        },
        rest,
    ))
}

/// The inverse of [`outcomes`], for recorded files.
pub fn encode(outcomes: &[Outcome]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Outcome {
        name,
        status,
        stdout,
        stderr,
    } in outcomes
    {
        let line = format!("case {name} {status} {} {}\n", stdout.len(), stderr.len());
        bytes.extend(line.as_bytes());
        bytes.extend(stdout);
        bytes.extend(stderr);
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn outcome(name: &str, status: i32, stdout: &str, stderr: &str) -> Outcome {
        Outcome {
            name: name.into(),
            status,
            stdout: stdout.as_bytes().into(),
            stderr: stderr.as_bytes().into(),
        }
    }

    #[test]
    fn results_survive_the_trip() {
        let all = [
            outcome("a", 0, "case b 0 0 0\n", ""),
            outcome("c", 3, "", "no newline"),
        ];
        assert_eq!(outcomes(&encode(&all)), all);
    }

    #[test]
    fn a_cut_result_is_left_out() {
        let all = [outcome("a", 0, "x", ""), outcome("b", 0, "12345", "")];
        let bytes = encode(&all);
        assert_eq!(outcomes(&bytes[..bytes.len() - 3]), all[..1]);
        assert_eq!(outcomes(b"sh: syntax error\n"), []);
    }

    #[test]
    fn a_shell_can_run_the_script() {
        let scenario = Scenario::parse(
            "demo",
            "### setup\necho data >file\n### case one\ncat $D/file; exit 4\n\
             ### case two\necho it\\'s >&2\n",
        )
        .unwrap();
        // On the host the runner works in a folder under /tmp; another test run may use it now.
        let folder = tempfile::TempDir::new().unwrap();
        let folder = folder.path().join("scenario").display().to_string();
        let script = runner(&scenario, TIDY).replace(FOLDER, &folder);
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let expected = [
            outcome("one", 4, "data\n", ""),
            outcome("two", 0, "", "it's\n"),
        ];
        assert_eq!(outcomes(&output.stdout), expected);
        assert!(!std::path::Path::new(&folder).exists());
    }

    #[test]
    fn a_folder_that_is_there_already_is_left_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let kept = folder.path().join("kept");
        std::fs::write(&kept, "").unwrap();
        let scenario = Scenario::parse("demo", "### case one\ntrue\n").unwrap();
        let name = folder.path().display().to_string();
        let script = runner(&scenario, TIDY).replace(FOLDER, &name);
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.status.code(), Some(SETUP_FAILED.into()));
        assert!(kept.exists());
    }
}
