//! Every case of `gnu-cases` gives the bytes and the status that GNU diff 3.8 gave for it.
//!
//! A case is a line `case SIZE-A SIZE-B SIZE-OUTPUT STATUS OPTIONS...`, the two files, the output and
//! a newline.

use std::ffi::OsString;
use std::fs;

const CASES: &[u8] = include_bytes!("gnu-cases");

#[test]
fn output_is_that_of_gnu_diff() {
    let directory = std::env::temp_dir().join(format!("diff-test.{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory to work in");
    // The names are part of the output. No other test shares this process.
    std::env::set_current_dir(&directory).expect("just made");
    let mut rest = CASES;
    let (mut count, mut wrong) = (0, Vec::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|b| *b == b'\n').expect("a case line");
        let line = std::str::from_utf8(&rest[..end]).expect("a case line is text");
        rest = &rest[end + 1..];
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let number = |n: usize| words[n].parse::<usize>().expect("a number");
        let mut take = |size: usize| {
            let (part, tail) = rest.split_at(size);
            rest = tail;
            part
        };
        fs::write("a", take(number(1))).expect("room");
        fs::write("b", take(number(2))).expect("room");
        let expected = take(number(3));
        take(1);
        let args = words[5..].iter().chain(&["a", "b"]).map(OsString::from);
        let mut output = Vec::new();
        let status = diff::run_to(args.collect(), &mut output);
        if output != expected || status as usize != number(4) {
            wrong.push(format!("case {count}: {line}"));
        }
        count += 1;
    }
    fs::remove_dir_all(&directory).expect("our own directory");
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}
