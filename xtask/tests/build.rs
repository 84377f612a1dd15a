//! Builds that do not get far: the lock between two of them, and mistakes that need no compiler.

mod support;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::Stdio,
};

use support::{Host, check, ends};

#[test]
fn a_second_build_waits_for_the_first() {
    let host = Host::new().with("no-cargo", "exit 7");
    let target = tempfile::TempDir::new().unwrap();
    let folder = target.path().join("rustos");
    fs::create_dir(&folder).unwrap();
    let lock = File::create(folder.join(".lock")).unwrap();
    lock.lock().unwrap();
    let mut child = host
        .xtask(&["build"])
        .env("CARGO", host.folder().join("bin/no-cargo"))
        .env("CARGO_TARGET_DIR", target.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("waiting for another xtask"), "{line}");
    drop(lock);
    // It went on to cargo.
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("no-cargo metadata"), "{line}");
    assert_eq!(ends(&mut child).code(), Some(1));
}

#[test]
fn a_first_program_that_the_image_lacks_is_noticed_before_anything_is_compiled() {
    let host = Host::new();
    // Metadata is all that it gives.
    let cargo = "[ \"$1\" = metadata ] && exec cargo \"$@\"\necho compiling\nexit 1";
    let host = host.with("only-metadata", cargo);
    let output = host
        .xtask(&["build", "--init", "nosuch"])
        .env("CARGO", host.folder().join("bin/only-metadata"))
        .output()
        .unwrap();
    check(&output, 1, &["--init nosuch: the image has no program"]);
}
