//! Directories, missing files and usage errors.

use std::fs;
use std::path::{Path, PathBuf};

fn tree(name: &str) -> PathBuf {
    let base = std::env::temp_dir().join(format!("diff-{name}.{}", std::process::id()));
    for (path, content) in [
        ("1/same", "s\n"),
        ("2/same", "s\n"),
        ("1/file", "one\n"),
        ("2/file", "two\n"),
        ("1/only", "here\n"),
        ("1/sub/deep", "x\n"),
        ("2/sub/deep", "y\n"),
        ("1/kind/inner", ""),
        ("2/kind", "a file\n"),
    ] {
        let path = base.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, content).expect("a new file");
    }
    base
}

fn diff(base: &Path, options: &[&str], first: &str, second: &str) -> (i32, String) {
    let names = [first, second].map(|name| base.join(name).into_os_string());
    let args = options.iter().map(Into::into).chain(names).collect();
    let mut output = Vec::new();
    let status = diff::run_to(args, &mut output);
    let text = String::from_utf8(output).expect("text");
    (status, text.replace(&format!("{}/", base.display()), ""))
}

#[test]
fn directories_are_compared_flat_and_deep() {
    let base = tree("deep");
    let (status, text) = diff(&base, &[], "1", "2");
    assert_eq!(status, 1);
    assert_eq!(
        text,
        "diff 1/file 2/file\n1c1\n< one\n---\n> two\n\
         File 1/kind is a directory while file 2/kind is a regular file\n\
         Only in 1: only\nCommon subdirectories: 1/sub and 2/sub\n"
    );
    let (_, text) = diff(&base, &["-rq"], "1", "2");
    assert_eq!(
        text,
        "Files 1/file and 2/file differ\n\
         File 1/kind is a directory while file 2/kind is a regular file\n\
         Only in 1: only\nFiles 1/sub/deep and 2/sub/deep differ\n"
    );
    let (_, text) = diff(&base, &["-rN", "-x", "kind"], "1", "2");
    assert!(
        text.contains("diff -rN -x kind 1/only 2/only\n1d0\n< here\n"),
        "{text}"
    );
    fs::remove_dir_all(base).expect("our own");
}

#[test]
fn a_file_meets_its_namesake_in_a_directory() {
    let base = tree("namesake");
    assert_eq!(
        diff(&base, &["-q"], "1/file", "2").1,
        "Files 1/file and 2/file differ\n"
    );
    assert_eq!(
        diff(&base, &["-s"], "1", "2/same").1,
        "Files 1/same and 2/same are identical\n"
    );
    fs::remove_dir_all(base).expect("our own");
}

#[test]
fn trouble_is_status_two() {
    let base = tree("trouble");
    assert_eq!(diff(&base, &[], "1/file", "nowhere").0, 2);
    assert_eq!(diff(&base, &["-u", "-c"], "1/file", "2/file").0, 2);
    assert_eq!(diff(&base, &["--no-such"], "1/file", "2/file").0, 2);
    assert_eq!(
        diff(&base, &["-N"], "1/file", "nowhere"),
        (1, "1d0\n< one\n".into())
    );
    fs::remove_dir_all(base).expect("our own");
}
