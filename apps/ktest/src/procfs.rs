//! /proc: what the system tells about itself and its processes.

use crate::helper;
use crate::support::*;
use std::collections::HashSet;
use std::fs;
use std::os::fd::AsRawFd;

crate::harness::tests![
    self_is_this_process: Native,
    every_process_has_a_directory: Native,
    cmdline_is_the_argument_vector: Native,
    stat_has_its_fields: Native,
    status_is_readable: Native,
    maps_list_the_address_space: Native,
    fd_lists_open_files,
    exe_and_cwd_point: Native,
    environ_is_the_environment: Native,
    a_zombie_is_marked: Native,
    meminfo_adds_up,
    cpuinfo_lists_every_core: Native,
    version_uptime_and_loadavg,
    mounts_lists_file_systems,
    stat_counts_time_and_processes,
    proc_is_not_writable,
    missing_processes_are_enoent,
    directories_of_a_dead_process_are_empty: Native,
    uname_and_hostname,
    sysinfo_agrees_with_meminfo: Native,
];

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn own() -> i32 {
    sys!(getpid())
}

fn self_is_this_process() {
    let target = fs::read_link("/proc/self").expect("a link");
    assert_eq!(target.to_str(), Some(own().to_string().as_str()));
    let end = end_of(|| {
        let target = fs::read_link("/proc/self").expect("a link");
        i32::from(target.to_str() != Some(own().to_string().as_str()))
    });
    assert_eq!(end, End::Exit(0));
}

fn pids() -> HashSet<i32> {
    fs::read_dir("/proc")
        .expect("procfs")
        .filter_map(|entry| entry.expect("an entry").file_name().to_str()?.parse().ok())
        .collect()
}

fn every_process_has_a_directory() {
    let child = spawn(|| {
        loop {
            sys!(pause());
        }
    });
    let found = pids();
    assert!(found.contains(&own()) && found.contains(&child) && found.contains(&1));
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
    assert!(!pids().contains(&child));
    assert!(fs::metadata(format!("/proc/{child}")).is_err());
}

fn cmdline_is_the_argument_vector() {
    let (reader, writer) = pipe_with(libc::O_CLOEXEC);
    let child = spawn(|| helper::become_helper(&["sleep", "", "last one"]));
    drop(writer);
    assert_ne!(poll_for(&reader, libc::POLLIN, 20_000) & libc::POLLHUP, 0);
    let line = read(&format!("/proc/{child}/cmdline"));
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
    assert_eq!(
        line,
        format!("ktest\0{}\0sleep\0\0last one\0", helper::SWITCH)
    );
}

fn stat_fields(pid: &str) -> Vec<String> {
    let text = read(&format!("/proc/{pid}/stat"));
    // The name stands in parentheses and may hold anything.
    let (start, rest) = text.rsplit_once(')').expect("a name");
    let mut fields: Vec<String> = start.splitn(2, " (").map(String::from).collect();
    fields.extend(rest.split_whitespace().map(String::from));
    fields
}

fn stat_has_its_fields() {
    let fields = stat_fields("self");
    assert_eq!(fields.len(), 52);
    assert_eq!(fields[0], own().to_string());
    assert!(
        "ktest".starts_with(&fields[1]) || fields[1] == "ktest",
        "{:?}",
        fields[1]
    );
    assert_eq!(fields[2], "R");
    assert_eq!(fields[3], sys!(getppid()).to_string());
    assert_eq!(fields[4], sys!(getpgrp()).to_string());
    assert_eq!(fields[5], sys!(getsid(0)).to_string());
    assert_eq!(fields[19], "1", "one thread");
    assert!(fields[22].parse::<u64>().expect("vsize") > 100_000);
    assert!(fields[23].parse::<u64>().expect("rss") > 10);
}

fn status_is_readable() {
    let text = read("/proc/self/status");
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing in {text}"));
        line.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_string()
    };
    assert_eq!(value("Name:"), "ktest");
    assert_eq!(value("State:"), "R");
    assert_eq!(value("Pid:"), own().to_string());
    assert_eq!(value("PPid:"), sys!(getppid()).to_string());
    assert_eq!(value("Uid:"), sys!(getuid()).to_string());
    assert_eq!(value("Threads:"), "1");
    assert!(value("VmRSS:").parse::<u64>().expect("kB") > 40);
    block(&[libc::SIGUSR1]);
    let text = read("/proc/self/status");
    let line = text
        .lines()
        .find(|line| line.starts_with("SigBlk:"))
        .expect("a mask");
    let mask = u64::from_str_radix(line[7..].trim(), 16).expect("hex");
    assert_ne!(mask & (1 << (libc::SIGUSR1 - 1)), 0);
}

fn maps_list_the_address_space() {
    let size = 5 * 4096;
    let prot = libc::PROT_READ;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let at = sys!(mmap(std::ptr::null_mut(), size, prot, flags, -1, 0)).addr();
    let text = read("/proc/self/maps");
    let mut last_end = 0;
    let mut rights = String::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (start, end) = words
            .next()
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let start = usize::from_str_radix(start, 16).expect("hex");
        let end = usize::from_str_radix(end, 16).expect("hex");
        let permissions = words.next().expect("permissions");
        assert_eq!(permissions.len(), 4, "{line}");
        assert!(start < end && start >= last_end, "{line}");
        last_end = end;
        if start <= at && at < end {
            assert!(at + size <= end, "{line}");
            rights = permissions.to_string();
        }
    }
    assert_eq!(rights, "r--p");
    assert!(text.contains("[stack]"), "{text}");
}

fn fd_lists_open_files() {
    fs::write("f", "").expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let target = fs::read_link(&link).expect("a link");
    assert_eq!(target, std::env::current_dir().expect("here").join("f"));
    let (reader, _writer) = pipe();
    let target = fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).expect("a link");
    assert!(
        target.to_str().is_some_and(|t| t.starts_with("pipe:[")),
        "{target:?}"
    );
    let count = fs::read_dir("/proc/self/fd").expect("procfs").count();
    drop(reader);
    assert_eq!(
        fs::read_dir("/proc/self/fd").expect("procfs").count(),
        count - 1
    );
    fs::remove_file("f").expect("there");
    let target = fs::read_link(&link).expect("a link");
    assert!(
        target.to_str().is_some_and(|t| t.ends_with("/f (deleted)")),
        "{target:?}"
    );
}

fn exe_and_cwd_point() {
    assert_eq!(
        fs::read_link("/proc/self/cwd").expect("a link"),
        std::env::current_dir().expect("here")
    );
    assert_eq!(
        fs::read_link("/proc/self/root").expect("a link").to_str(),
        Some("/")
    );
    let exe = fs::read_link("/proc/self/exe").expect("a link");
    assert!(exe.is_absolute() && exe.ends_with("ktest"), "{exe:?}");
    assert!(
        fs::metadata("/proc/self/exe")
            .expect("it leads somewhere")
            .is_file()
    );
}

fn environ_is_the_environment() {
    let (reader, writer) = pipe_with(libc::O_CLOEXEC);
    let path = helper::path();
    let child = spawn(|| {
        helper::exec(
            &path,
            &["ktest", helper::SWITCH, "sleep"],
            &["A=1", "B=x y"],
        )
    });
    drop(writer);
    assert_ne!(poll_for(&reader, libc::POLLIN, 20_000) & libc::POLLHUP, 0);
    let text = read(&format!("/proc/{child}/environ"));
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
    assert_eq!(text, "A=1\0B=x y\0");
}

fn a_zombie_is_marked() {
    let child = spawn(|| 0);
    until("it is a zombie", || {
        stat_fields(&child.to_string())[2] == "Z"
    });
    assert_eq!(read(&format!("/proc/{child}/cmdline")), "");
    wait(child);
    let child = spawn(|| {
        sys!(raise(libc::SIGSTOP));
        0
    });
    let mut status = 0;
    ok(sys!(waitpid(child, &mut status, libc::WUNTRACED)));
    assert_eq!(stat_fields(&child.to_string())[2], "T");
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
}

fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("{name} is missing"));
    assert!(line.ends_with(" kB"), "{line}");
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

fn meminfo_adds_up() {
    let text = read("/proc/meminfo");
    let total = kilobytes(&text, "MemTotal");
    let free = kilobytes(&text, "MemFree");
    let available = kilobytes(&text, "MemAvailable");
    assert!(total > 10_000 && free < total && available <= total);
    for name in [
        "Buffers",
        "Cached",
        "SwapTotal",
        "SwapFree",
        "Shmem",
        "Slab",
    ] {
        kilobytes(&text, name);
    }
}

fn cpuinfo_lists_every_core() {
    let text = read("/proc/cpuinfo");
    let cores = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    assert_eq!(cores as i64, sys!(sysconf(libc::_SC_NPROCESSORS_ONLN)));
}

fn version_uptime_and_loadavg() {
    let version = read("/proc/version");
    assert!(
        version.contains(" version ") && version.ends_with('\n'),
        "{version}"
    );
    let uptime = || -> f64 {
        let text = read("/proc/uptime");
        text.split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .expect("seconds")
    };
    let before = uptime();
    sleep_ms(30);
    let passed = uptime() - before;
    assert!((0.01..20.0).contains(&passed), "{passed} s in 30 ms");
    let load = read("/proc/loadavg");
    assert_eq!(load.split_whitespace().count(), 5, "{load}");
}

fn mounts_lists_file_systems() {
    let text = read("/proc/mounts");
    let targets: Vec<&str> = text
        .lines()
        .filter_map(|l| l.split_whitespace().nth(1))
        .collect();
    assert!(
        targets.contains(&"/") && targets.contains(&"/proc"),
        "{text}"
    );
    assert!(
        text.lines()
            .all(|line| line.split_whitespace().count() == 6)
    );
    assert_eq!(read("/proc/self/mounts"), text);
    let kinds = read("/proc/filesystems");
    assert!(
        kinds.lines().any(|line| line.ends_with("\tproc")),
        "{kinds}"
    );
}

fn stat_counts_time_and_processes() {
    let processes = || -> u64 {
        let text = read("/proc/stat");
        assert!(text.starts_with("cpu "), "{text}");
        let line = text
            .lines()
            .find(|line| line.starts_with("processes"))
            .expect("a count");
        line.split_whitespace()
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a number")
    };
    let before = processes();
    (0..5).for_each(|n| assert_eq!(end_of(|| n), End::Exit(n)));
    assert!(processes() >= before + 5);
}

fn proc_is_not_writable() {
    fails(sys!(mkdir(c"/proc/new".as_ptr(), 0o700)), libc::ENOENT);
    let result = try_open("/proc/new", libc::O_CREAT | libc::O_WRONLY, 0o600);
    fails(result, libc::ENOENT);
    fails(sys!(unlink(c"/proc/version".as_ptr())), libc::EPERM);
}

fn missing_processes_are_enoent() {
    fails(
        try_open("/proc/999999/stat", libc::O_RDONLY, 0),
        libc::ENOENT,
    );
    fails(
        try_open("/proc/self/nothing", libc::O_RDONLY, 0),
        libc::ENOENT,
    );
    fails(try_open("/proc/01/stat", libc::O_RDONLY, 0), libc::ENOENT);
}

fn directories_of_a_dead_process_are_empty() {
    let child = spawn(|| {
        loop {
            sys!(pause());
        }
    });
    let thread = format!("/task/{child}");
    let expected = [
        ("", libc::ESRCH),
        ("/fd", libc::ENOENT),
        ("/fdinfo", libc::ESRCH),
        ("/task", libc::ESRCH),
        (thread.as_str(), libc::ENOENT),
    ];
    let places = expected.map(|(below, _)| {
        let path = format!("/proc/{child}{below}");
        open(&path, libc::O_RDONLY | libc::O_DIRECTORY, 0)
    });
    ok(sys!(kill(child, libc::SIGKILL)));
    wait(child);
    for (place, (_, error)) in places.iter().zip(expected) {
        for name in ["stat", "0", "nothing"] {
            let name = c(name);
            let opened = sys!(openat(place.as_raw_fd(), name.as_ptr(), libc::O_RDONLY));
            fails(opened, error);
        }
    }
}

fn uname_and_hostname() {
    let mut name: libc::utsname = zeroed();
    ok(sys!(uname(&mut name)));
    // SAFETY: uname fills its fields with strings.
    let text = |field: &[libc::c_char]| unsafe {
        std::ffi::CStr::from_ptr(field.as_ptr())
            .to_string_lossy()
            .into_owned()
    };
    assert!(!text(&name.sysname).is_empty() && !text(&name.release).is_empty());
    assert_eq!(text(&name.machine), std::env::consts::ARCH);
    let mut host = [0 as libc::c_char; 65];
    ok(sys!(gethostname(host.as_mut_ptr(), 65)));
    assert_eq!(text(&host), text(&name.nodename));
}

fn sysinfo_agrees_with_meminfo() {
    let mut about: libc::sysinfo = zeroed();
    ok(sys!(sysinfo(&mut about)));
    let total = kilobytes(&read("/proc/meminfo"), "MemTotal");
    assert_eq!(about.totalram * u64::from(about.mem_unit) / 1024, total);
    assert!(about.procs > 0);
    assert_eq!(sys!(sysconf(libc::_SC_PAGESIZE)), 4096);
}
