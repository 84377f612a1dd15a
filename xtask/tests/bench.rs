//! What `cargo xtask bench` does when something is missing or dies, with a QEMU that is a script.

mod support;

use std::{
    fs,
    process::{Command, Output},
};

use support::{Host, check};

/// Measures with these words.
fn bench(host: &Host, words: &[&str]) -> Output {
    command(host, words).output().unwrap()
}

fn command(host: &Host, words: &[&str]) -> Command {
    let mut command = host.xtask(&["bench", "--runs", "0", "--image"]);
    command.arg(host.image());
    command
        .arg("--report")
        .arg(host.folder().join("report.html"));
    command.args(words);
    command
}

const ALL_WELL: &str = "line 2000000\nline '{\"name\":\"getpid\",\"ns\":47.000}'\n\
                        line '{\"name\":\"null_call\",\"ns\":111.000}'\nend\n";
/// What apt needs, so that nothing can be installed or fetched.
const APT: [&str; 3] = ["apt", "dpkg", "sudo"];

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let host = Host::new();
    let output = bench(&host, &["getpid", "getpyd"]);
    check(
        &output,
        2,
        &["`getpyd`", "getpid", "job_sort_3m_4c", "boot_to_init"],
    );
}

#[test]
fn without_qemu_all_is_skipped_by_name() {
    let host = Host::without(&["qemu-system", APT[0], APT[1], APT[2]]);
    let output = bench(&host, &["--only", "direct", "getpid", "null_call"]);
    check(
        &output,
        3,
        &["SKIPPED: null_call getpid", "qemu-system-arm"],
    );
}

#[test]
fn without_the_linux_package_the_rest_runs() {
    let host = Host::without(&["qemu-system", APT[0], APT[1], APT[2]]).with_qemu(ALL_WELL);
    let output = bench(&host, &["getpid", "null_call"]);
    let said = [
        "SKIPPED: on Linux: null_call getpid",
        "linux-image",
        "47.0",
        "111",
    ];
    check(&output, 3, &said);
}

#[test]
fn a_door_that_is_not_built_is_skipped_by_name() {
    let host = Host::new().with_qemu(ALL_WELL);
    let output = bench(&host, &["--only", "svc", "getpid"]);
    check(&output, 3, &["SKIPPED: svc: getpid", "not built yet"]);
}

#[test]
fn a_guest_that_dies_costs_the_measure_it_died_of() {
    // The first boot is for both measures (in hex), the second for what is left.
    let script = "case \"$*\" in *6e756c6c5f63616c6c20676574706964*)\n\
                  line 2000000; echo 'kernel: boom'; exit 9;; esac\n";
    let host = Host::new().with_qemu(&format!("{script}{ALL_WELL}"));
    let kept = host.folder().join("results.json");
    let words = [
        "--only",
        "direct",
        "--json",
        kept.to_str().unwrap(),
        "getpid",
        "null_call",
    ];
    let output = bench(&host, &words);
    check(&output, 1, &["FAILED on RustOS: null_call", "47.0"]);
    let results = fs::read_to_string(kept).unwrap();
    assert!(results.contains("kernel: boom"), "{results}");
}

#[test]
fn a_measure_that_fails_in_the_guest_is_told_with_its_reason() {
    let boot = "line 2000000\nline '{\"name\":\"getpid\",\"failed\":\"killed by signal 11\"}'\n\
                line '{\"name\":\"null_call\",\"ns\":111.000}'\nend\n";
    let host = Host::new().with_qemu(boot);
    let output = bench(&host, &["--only", "direct", "getpid", "null_call"]);
    let said = ["FAILED on RustOS: getpid: killed by signal 11", "111"];
    check(&output, 1, &said);
}

#[test]
fn what_rose_by_more_than_two_percent_ends_with_a_status_of_its_own() {
    let host = Host::new().with_qemu(ALL_WELL);
    let kept = host.folder().join("results.json");
    let kept = kept.to_str().unwrap();
    check(
        &bench(&host, &["--only", "direct", "--json", kept, "getpid"]),
        0,
        &[],
    );
    check(
        &bench(&host, &["--only", "direct", "--against", kept, "getpid"]),
        0,
        &["0 of 2"],
    );
    let slower = ALL_WELL.replace("47.000", "48.000");
    let host = Host::new().with_qemu(&slower);
    let output = bench(&host, &["--only", "direct", "--against", kept, "getpid"]);
    check(&output, 4, &["+2.1%  SLOWER", "1 of 2"]);
}

#[test]
fn a_comparison_of_nothing_is_no_success() {
    let host =
        Host::new().with_qemu("line 2000000\nline '{\"name\":\"getpid\",\"ns\":47.000}'\nend\n");
    let kept = host.folder().join("results.json");
    let kept = kept.to_str().unwrap();
    let direct = ["--only", "direct", "--memory", "512M"];
    let words = [&direct[..], &["--json", kept, "getpid"]].concat();
    check(&bench(&host, &words), 0, &[]);
    let host = Host::new()
        .with_qemu("line 2000000\nline '{\"name\":\"null_call\",\"ns\":111.000}'\nend\n");
    let words = ["--only", "direct", "--against", kept, "null_call"];
    let said = [
        "only in this run: null_call",
        "nothing could be compared",
        "warning: the earlier results are of machines with 512 MiB",
    ];
    check(&bench(&host, &words), 3, &said);
}

#[test]
fn a_file_that_holds_no_results_is_refused() {
    let host = Host::new().with_qemu(ALL_WELL);
    let image = host.image();
    let words = [
        "--only",
        "direct",
        "--against",
        image.to_str().unwrap(),
        "getpid",
    ];
    check(&bench(&host, &words), 2, &["holds no results"]);
    for option in ["--against", "--peer"] {
        let words = ["--only", "direct", option, "/no/such/file", "getpid"];
        check(&bench(&host, &words), 2, &["/no/such/file"]);
    }
    let mut command = host.xtask(&["bench", "--only", "direct", "--image", "/dev/null"]);
    check(&command.output().unwrap(), 2, &["no image for arm64"]);
}

#[test]
fn what_could_not_be_used_is_refused_before_anything_is_measured() {
    let host = Host::new().with_qemu("echo booted >&2\nexit 1");
    for (words, why) in [
        (&["--only", "linux"][..], "--only linux"),
        (&["--only", "linux", "--against", "/"], "--against compares"),
        (&["--only", "direct", "--record"], "--peer"),
        (&["--record", "getpid"], "cannot be used with"),
        (&["--json", "/no/such/folder/file"], "its folder must exist"),
        (&["--json", "/"], "is a directory"),
    ] {
        let output = bench(&host, words);
        check(&output, 2, &[why]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("booted"), "{said}");
    }
}

#[test]
fn a_full_disk_costs_only_the_file_on_it() {
    let host = Host::new().with_qemu(ALL_WELL);
    let words = ["--only", "direct", "--json", "/dev/full", "getpid"];
    check(
        &bench(&host, &words),
        2,
        &["/dev/full was not written", "47.0"],
    );
    let page = fs::read_to_string(host.folder().join("report.html")).unwrap();
    let repeat = "cargo xtask bench --runs 0 --cores 1 --memory 1G --only direct --image /";
    assert!(page.contains(repeat), "{page}");
}

#[test]
fn a_boot_that_is_measured_does_not_depend_on_the_other_names() {
    let host = Host::new();
    let calls = host.folder().join("calls");
    let host = host.with_qemu(&format!("echo \"$*\" >>{}\n{ALL_WELL}", calls.display()));
    let first_call = |names: &[&str]| {
        let words = [&["--only", "direct", "boot_to_first_line"], names].concat();
        let output = bench(&host, &words);
        check(&output, 0, &["boot_to_first_line", "2.00 M"]);
        let text = fs::read_to_string(&calls).unwrap();
        fs::remove_file(&calls).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(first_call(&[]), first_call(&["getpid", "null_call"]));
}

#[test]
fn what_failed_is_not_recorded() {
    let host = Host::new().with_qemu("exit 1");
    // A repository with a history to keep: its root is found by the linker script.
    let root = host.folder().join("repository");
    fs::create_dir_all(root.join("docs/bench")).unwrap();
    for (file, text) in [
        ("linker.ld", ""),
        ("docs/performance.md", "kept"),
        ("list", "getpid\tthe shortest call\n"),
        (
            "peer",
            "{\"date\":\"\",\"commit\":\"\",\"qemu\":\"\",\"host\":\"\",\"linux\":null,\"cores\":1,\"runs\":0,\"memory\":0,\"sizes\":[],\"skipped\":[],\"measures\":[]}",
        ),
    ] {
        fs::write(root.join(file), text).unwrap();
    }
    let host = host.with("list", &format!("exec cat {}/list", root.display()));
    let peer = root.join("peer");
    let words = [
        "--only",
        "direct",
        "--record",
        "--peer",
        peer.to_str().unwrap(),
    ];
    let output = command(&host, &words)
        .env("CARGO_MANIFEST_DIR", &root)
        .env("CARGO", host.folder().join("bin/list"))
        .output()
        .unwrap();
    check(&output, 1, &["not recorded"]);
    let page = fs::read_to_string(root.join("docs/performance.md")).unwrap();
    assert_eq!(page, "kept");
    assert!(!root.join("docs/bench/history.jsonl").exists());
}
