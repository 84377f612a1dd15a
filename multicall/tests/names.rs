//! The list of programs that the build reads is the list that the code has.

#[test]
fn programs_txt_lists_every_program_and_no_other() {
    let listed: Vec<_> = include_str!("../programs.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let hint = "write it anew: (head -1 programs.txt; multicall --list-names)";
    assert_eq!(multicall::names(), listed, "{hint}");
}

#[test]
fn every_utility_of_coreutils_is_there() {
    assert!(multicall::names().len() > 106);
    for name in [
        "[",
        "ls",
        "sort",
        "test",
        "coreutils",
        "grep",
        "sed",
        "find",
        "ps",
        "kibi",
        "sh",
    ] {
        assert!(multicall::names().contains(&name), "{name}");
    }
}
