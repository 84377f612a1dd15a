//! Every case of `cases/*.txt` behaves as recorded in `expected/*.txt`: standard output, standard
//! error and status, byte for byte. The records were made by gawk; to make them anew, run
//! `AWK_RECORD=gawk cargo test -p awk --test conformance` on a host that has it.
//!
//! A case is a line `#% name` and the shell script below it, which calls `awk`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MARK: &[u8] = b"#% ";

/// Splits a file into (name, body) at its marks.
fn sections(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut list: Vec<(String, Vec<u8>)> = Vec::new();
    for line in text.split_inclusive(|&b| b == b'\n') {
        if let Some(name) = line.strip_prefix(MARK) {
            let name = String::from_utf8_lossy(name).trim().to_string();
            list.push((name, Vec::new()));
        } else if let Some((_, body)) = list.last_mut() {
            body.extend_from_slice(line);
        }
    }
    list
}

/// A directory of its own in which `awk` is the program to test, first in PATH.
struct Bench {
    bin: PathBuf,
    work: PathBuf,
}

impl Bench {
    fn new(awk: &Path) -> Bench {
        let root =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("awk-{}", std::process::id()));
        let bin = root.join("bin");
        let work = root.join("work");
        fs::create_dir_all(&bin).expect("create the bin directory");
        fs::create_dir_all(&work).expect("create the work directory");
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        for entry in fs::read_dir(data).expect("read the data directory") {
            let entry = entry.expect("read a data entry");
            fs::copy(entry.path(), work.join(entry.file_name())).expect("copy a data file");
        }
        let link = bin.join("awk");
        if fs::symlink_metadata(&link).is_err() {
            symlink(awk, link).expect("link awk");
        }
        Bench { bin, work }
    }

    fn run(&self, script: &[u8]) -> Vec<u8> {
        let path = format!(
            "{}:{}",
            self.bin.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let file = self.work.join(".case.sh");
        fs::write(&file, script).expect("write the script");
        let output = Command::new("sh")
            .arg(&file)
            .current_dir(&self.work)
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC0")
            .env_remove("POSIXLY_CORRECT")
            .stdin(Stdio::null())
            .output()
            .expect("run sh");
        let mut result = output.stdout;
        if !output.stderr.is_empty() {
            end_line(&mut result);
            result.extend_from_slice(b"--- stderr\n");
            result.extend_from_slice(&output.stderr);
        }
        end_line(&mut result);
        result.extend_from_slice(
            format!("--- status {}\n", output.status.code().unwrap_or(-1)).as_bytes(),
        );
        result
    }
}

/// Makes the next line start at a line's start, and an unfinished last line visible.
fn end_line(text: &mut Vec<u8>) {
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.extend_from_slice(b"\\c\n");
    }
}

#[test]
fn behaves_as_recorded() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let record = std::env::var_os("AWK_RECORD");
    let awk = match &record {
        Some(other) => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|dir| dir.join(other))
            .find(|file| file.is_file())
            .expect("the awk to record from is in PATH"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_awk")),
    };
    let bench = Bench::new(&awk);
    let mut files: Vec<PathBuf> = fs::read_dir(tests.join("cases"))
        .expect("read the cases")
        .map(|entry| entry.expect("read an entry").path())
        .collect();
    files.sort();
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let cases = sections(&fs::read(&file).expect("read a case file"));
        let expected_file = tests
            .join("expected")
            .join(file.file_name().expect("a file name"));
        if record.is_some() {
            let mut text = Vec::new();
            for (name, script) in &cases {
                text.extend_from_slice(format!("#% {name}\n").as_bytes());
                text.extend_from_slice(&bench.run(script));
            }
            fs::write(&expected_file, text).expect("write the record");
            continue;
        }
        let expected = sections(&fs::read(&expected_file).expect("read the record"));
        assert_eq!(
            cases.len(),
            expected.len(),
            "{}: record anew",
            file.display()
        );
        for ((name, script), (expected_name, expected)) in cases.iter().zip(&expected) {
            assert_eq!(name, expected_name, "{}: record anew", file.display());
            let got = bench.run(script);
            if got == *expected {
                passed += 1;
                continue;
            }
            failed += 1;
            eprintln!(
                "FAILED {name}\n{}expected:\n{}got:\n{}",
                String::from_utf8_lossy(script),
                String::from_utf8_lossy(expected),
                String::from_utf8_lossy(&got)
            );
        }
    }
    eprintln!("{passed} cases as recorded, {failed} not");
    assert_eq!(failed, 0, "cases differ from the record");
}
