//! Pseudo-terminals as seen from both ends: flow, bounds, packet mode, who may have them.

use crate::support::*;
use crate::terminals::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

crate::harness::tests![
    echo_that_nobody_reads_is_bounded,
    one_character_may_show_many_times_what_there_is_room_for,
    ends_of_file_take_room,
    a_full_master_holds_writers,
    one_write_is_one_piece,
    what_two_write_at_the_master_all_arrives,
    stopped_output_holds_echo_back,
    what_a_program_stopped_no_key_starts,
    a_start_key_does_not_need_a_program,
    a_signal_key_keeps_what_the_master_has,
    erasing_a_long_line_is_quick,
    a_literal_newline_shows_as_one,
    echoprt_shows_what_is_erased,
    a_line_that_was_not_read_goes_with_the_master,
    a_peer_that_was_refused_leaves_the_master_waiting,
    the_peer_has_a_name,
    packet_mode_tells_data_from_events,
    packet_mode_tells_of_flow_control,
    packet_mode_tells_of_flushing,
    an_exclusive_terminal_is_not_opened_again,
    the_master_can_signal,
    writing_alone_gains_no_terminal: Native,
    flow_control_is_for_the_foreground,
    who_does_not_lead_may_leave_its_terminal,
];

const TIOCSIG: u64 = 0x4004_5436;
const TIOCGPKT: u64 = 0x8004_5438;
const TIOCGEXCL: u64 = 0x8004_5440;
const TIOCGPTPEER: u64 = 0x5441;
const ECHOPRT: u32 = 0o2000;
// What a packet of one byte tells.
const FLUSHREAD: u8 = 1;
const FLUSHWRITE: u8 = 2;
const STOP: u8 = 4;
const START: u8 = 8;
const NOSTOP: u8 = 16;
const DOSTOP: u8 = 32;

fn nonblocking(file: &File) {
    ok(sys!(fcntl(
        file.as_raw_fd(),
        libc::F_SETFL,
        libc::O_NONBLOCK
    )));
}

/// An ioctl whose argument is the address of an integer.
fn set(file: &File, request: u64, value: i32) -> i32 {
    sys!(ioctl(file.as_raw_fd(), request as _, &raw const value))
}

fn get(file: &File, request: u64) -> i32 {
    let mut value = -7;
    ok(sys!(ioctl(file.as_raw_fd(), request as _, &raw mut value)));
    value
}

/// Writes `data` over and over until there is no room for a while, at most `most` bytes.
fn stuff(file: &File, data: &[u8], most: usize) -> usize {
    stuff_for(file, data, most, 100)
}

fn stuff_for(mut file: &File, data: &[u8], most: usize, patience_ms: i32) -> usize {
    let mut total = 0;
    while total < most && poll_for(file, libc::POLLOUT, patience_ms) == libc::POLLOUT {
        let rest = &data[total % data.len()..];
        match file.write(&rest[..rest.len().min(most - total)]) {
            Ok(count) => total += count,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EAGAIN)),
        }
    }
    total
}

/// Everything that can be read until nothing comes for a while.
fn drain(mut file: &File) -> Vec<u8> {
    let (mut all, mut data) = (Vec::new(), [0; 8192]);
    while poll_for(file, libc::POLLIN, 100) & libc::POLLIN != 0 {
        let count = file.read(&mut data).expect("it polls as readable");
        all.extend_from_slice(&data[..count]);
    }
    all
}

fn echo_that_nobody_reads_is_bounded() {
    let (master, slave) = terminal();
    nonblocking(&master);
    let reader = spawn(|| {
        let mut left = 400_000;
        while left > 0 {
            left -= read_some(&slave).len();
        }
        0
    });
    let line = [[b'x'; 99].as_slice(), b"\n"].concat();
    assert_eq!(stuff_for(&master, &line, 400_000, 20_000), 400_000);
    assert_eq!(wait(reader), End::Exit(0));
    let shown = drain(&master).len();
    assert!((2000..50_000).contains(&shown), "{shown}");
    // A line without an end is cut, however long.
    assert_eq!(stuff_for(&master, &[0; 1000], 300_000, 20_000), 300_000);
}

fn one_character_may_show_many_times_what_there_is_room_for() {
    let (master, slave) = terminal();
    nonblocking(&master);
    change(&slave, |s| s.c_oflag |= libc::XTABS);
    assert_eq!(stuff_for(&master, &[b'\t'; 1000], 4000, 20_000), 4000);
    // Each shows the whole line again, eight columns a character.
    stuff(&master, &[0x12; 250], 3000);
    // And takes it away again.
    stuff(&master, &[0x15], 1);
    drain(&master);
    type_in(&master, b"x\n");
    assert!(read_some(&slave).ends_with(b"x\n"));
}

fn ends_of_file_take_room() {
    let (master, slave) = terminal();
    nonblocking(&master);
    let count = stuff(&master, &[4; 250], 200_000);
    assert!((4000..100_000).contains(&count), "{count}");
    for _ in 0..count {
        assert_eq!(read_some(&slave), b"");
    }
    assert_eq!(poll_for(&slave, libc::POLLIN, 0), 0);
    type_in(&master, b"x\n");
    assert_eq!(read_some(&slave), b"x\n");
}

fn a_full_master_holds_writers() {
    let (master, slave) = terminal();
    nonblocking(&slave);
    let count = stuff(&slave, &[b'x'; 1000], 200_000);
    assert!((4000..100_000).contains(&count), "{count}");
    assert_eq!(drain(&master).len(), count);
    assert_eq!(poll_for(&slave, libc::POLLOUT, 5000), libc::POLLOUT);
}

fn one_write_is_one_piece() {
    const SIZE: usize = 30_000;
    let (master, slave) = terminal();
    let writers = [b'a', b'b', b'c'].map(|byte| {
        let mut slave = &slave;
        spawn(move || i32::from(slave.write(&[byte; SIZE]).ok() != Some(SIZE)))
    });
    let mut all = Vec::new();
    while all.len() < 3 * SIZE {
        all.extend(read_some(&master));
    }
    let mut runs: Vec<_> = all
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect();
    runs.sort_unstable();
    assert_eq!(runs, [(b'a', SIZE), (b'b', SIZE), (b'c', SIZE)]);
    for writer in writers {
        assert_eq!(wait(writer), End::Exit(0));
    }
}

fn what_two_write_at_the_master_all_arrives() {
    const EACH: usize = 400_000;
    let (master, slave) = terminal();
    raw(&slave);
    let typists = [b'a', b'b', b'c'].map(|byte| {
        spawn(|| {
            let mut master = &master;
            master.write_all(&vec![byte; EACH]).expect("it takes all");
            0
        })
    });
    let mut counts = [0; 3];
    while counts.iter().sum::<usize>() < 3 * EACH {
        assert_eq!(poll_for(&slave, libc::POLLIN, 10_000), libc::POLLIN);
        for byte in read_some(&slave) {
            counts[(byte - b'a') as usize] += 1;
        }
    }
    assert_eq!(counts, [EACH; 3]);
    for typist in typists {
        assert_eq!(wait(typist), End::Exit(0));
    }
}

fn stopped_output_holds_echo_back() {
    let (master, slave) = terminal();
    nonblocking(&slave);
    type_in(&master, b"a");
    expect_output(&master, b"a");
    type_in(&master, b"\x13b");
    assert_eq!(poll_for(&master, libc::POLLIN, 50), 0);
    let error = (&slave).write(b"x").expect_err("stopped");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(poll_now(&slave, libc::POLLOUT), 0);
    type_in(&master, b"c\x11");
    expect_output(&master, b"bc");
    (&slave).write_all(b"x").expect("it goes on");
    expect_output(&master, b"x");
    // Any character starts it if IXANY says so; a signal does in any case, but drops what is held back.
    change(&slave, |s| s.c_iflag |= libc::IXANY);
    type_in(&master, b"\x13d");
    expect_output(&master, b"d");
    change(&slave, |s| s.c_iflag &= !libc::IXANY);
    type_in(&master, b"\x13e\x03f");
    expect_output(&master, b"^Cf");
    // So does leaving flow control to others.
    type_in(&master, b"\x13g");
    until("it is stopped", || poll_now(&slave, libc::POLLOUT) == 0);
    change(&slave, |s| s.c_iflag &= !libc::IXON);
    expect_output(&master, b"g");
}

fn what_a_program_stopped_no_key_starts() {
    let (master, slave) = terminal();
    nonblocking(&slave);
    change(&slave, |s| s.c_iflag |= libc::IXANY);
    let flow = |action| ok(sys!(tcflow(slave.as_raw_fd(), action)));
    flow(libc::TCOOFF);
    type_in(&master, b"\x11a\x03\n");
    let error = (&slave).write(b"x").expect_err("stopped");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    change(&slave, |s| s.c_iflag &= !libc::IXON);
    assert_eq!(poll_for(&slave, libc::POLLOUT, 20), 0);
    assert_eq!(poll_for(&master, libc::POLLIN, 20), 0);
    flow(libc::TCOON);
    assert_eq!(poll_for(&slave, libc::POLLOUT, 5000), libc::POLLOUT);
    (&slave).write_all(b"x").expect("it goes on");
    expect_output(&master, b"^C\r\nx");
}

fn a_start_key_does_not_need_a_program() {
    let (master, slave) = terminal();
    nonblocking(&slave);
    type_in(&master, b"\x13");
    until("it is stopped", || poll_now(&slave, libc::POLLOUT) == 0);
    // What a key stopped, a program does not start.
    ok(sys!(tcflow(slave.as_raw_fd(), libc::TCOON)));
    assert_eq!(poll_now(&slave, libc::POLLOUT), 0);
    type_in(&master, b"\x11");
    assert_eq!(poll_for(&slave, libc::POLLOUT, 5000), libc::POLLOUT);
}

fn a_signal_key_keeps_what_the_master_has() {
    let (master, mut slave) = terminal();
    slave.write_all(&[b'x'; 3000]).expect("room");
    until("it has arrived", || {
        get(&master, libc::FIONREAD as _) == 3000
    });
    type_in(&master, b"\x03");
    let shown = drain(&master);
    assert_eq!(shown.len(), 3002);
    assert!(shown.ends_with(b"x^C"));
}

fn erasing_a_long_line_is_quick() {
    let (master, slave) = terminal();
    nonblocking(&master);
    for _ in 0..100 {
        assert_eq!(stuff_for(&master, &[b'\t'; 4000], 4000, 20_000), 4000);
        drain(&master);
        type_in(&master, b"\x15");
    }
    drain(&master);
    type_in(&master, b"x\n");
    assert_eq!(read_some(&slave), b"x\n");
}

fn a_literal_newline_shows_as_one() {
    let (master, slave) = terminal();
    type_in(&master, b"a\x16\nb\x7f\x7f\x7fc\n");
    let erased = b"a^\x08^Jb\x08 \x08\x08 \x08\x08 \x08\x08 \x08c\r\n";
    expect_output(&master, erased);
    assert_eq!(read_some(&slave), b"c\n");
}

fn echoprt_shows_what_is_erased() {
    let (master, slave) = terminal();
    change(&slave, |s| s.c_lflag |= ECHOPRT);
    type_in(&master, b"abc\x7f\x7fx\n");
    expect_output(&master, b"abc\\cb/x\r\n");
    type_in(&master, b"one two\x17\x7f\x7f\x7f\x7f\x7f\n");
    expect_output(&master, b"one two\\owt eno/\r\n");
    type_in(&master, b"a\x01\x15b\n");
    expect_output(&master, b"a^A\\^Aa/b\r\n");
    assert_eq!(read_some(&slave), b"ax\n");
    assert_eq!(read_some(&slave), b"\n");
    assert_eq!(read_some(&slave), b"b\n");
}

fn a_line_that_was_not_read_goes_with_the_master() {
    let (master, slave) = terminal();
    type_in(&master, b"typed\n");
    assert_ne!(poll_for(&slave, libc::POLLIN, 5000), 0);
    drop(master);
    assert_eq!(read_some(&slave), b"");
}

fn a_peer_that_was_refused_leaves_the_master_waiting() {
    let master = owned(sys!(posix_openpt(libc::O_RDWR | libc::O_NOCTTY)));
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let fd = master.as_raw_fd();
    fails(sys!(ioctl(fd, TIOCGPTPEER as _, flags)), libc::EIO);
    nonblocking(&master);
    let error = (&master).read(&mut [0]).expect_err("nobody was there yet");
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(poll_now(&master, libc::POLLIN), 0);
}

fn the_peer_has_a_name() {
    let (master, slave) = terminal();
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let peer = owned(sys!(ioctl(master.as_raw_fd(), TIOCGPTPEER as _, flags)));
    let about = |file: &File| {
        let mut about: libc::stat = zeroed();
        ok(sys!(fstat(file.as_raw_fd(), &mut about)));
        (
            about.st_dev,
            about.st_ino,
            about.st_rdev,
            about.st_mode & libc::S_IFMT,
        )
    };
    assert_eq!(about(&peer), about(&slave));
    assert_eq!(about(&peer).3, libc::S_IFCHR);
    let mut name = [0 as libc::c_char; 64];
    assert_eq!(sys!(ttyname_r(peer.as_raw_fd(), name.as_mut_ptr(), 64)), 0);
    let link = std::fs::read_link(format!("/proc/self/fd/{}", peer.as_raw_fd()));
    let text = link.expect("a link").to_string_lossy().into_owned();
    assert!(text.starts_with("/dev/pts/"), "{text}");
}

fn packets(master: &File) {
    assert_eq!(get(master, TIOCGPKT), 0);
    ok(set(master, libc::TIOCPKT as _, 1));
    assert_eq!(get(master, TIOCGPKT), 1);
}

#[track_caller]
fn packet(master: &File, expected: &[u8]) {
    assert_ne!(poll_for(master, libc::POLLIN, 5000), 0, "a packet");
    let found = read_some(master);
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert_eq!(text(&found), text(expected));
}

fn packet_mode_tells_data_from_events() {
    let (master, mut slave) = terminal();
    fails(set(&slave, libc::TIOCPKT as _, 1), libc::ENOTTY);
    packets(&master);
    assert_eq!(poll_now(&master, libc::POLLIN | libc::POLLPRI), 0);
    slave.write_all(b"out").expect("room");
    packet(&master, b"\0out");
    slave.write_all(b"abc").expect("room");
    // The first byte counts.
    assert_ne!(poll_for(&master, libc::POLLIN, 5000), 0);
    let mut two = [9; 2];
    assert_eq!((&master).read(&mut two).expect("a packet"), 2);
    assert_eq!(two, *b"\0a");
    let mut one = [9; 1];
    assert_eq!((&master).read(&mut one).expect("its kind alone"), 1);
    assert_eq!(one, [0]);
    packet(&master, b"\0bc");
    ok(set(&master, libc::TIOCPKT as _, 0));
    slave.write_all(b"plain").expect("room");
    expect_output(&master, b"plain");
    drop(slave);
    let error = (&master).read(&mut one).expect_err("nobody is there");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
}

fn packet_mode_tells_of_flow_control() {
    let (master, slave) = terminal();
    let fd = slave.as_raw_fd();
    packets(&master);
    ok(sys!(tcflow(fd, libc::TCOOFF)));
    let all = libc::POLLIN | libc::POLLPRI;
    assert_eq!(poll_for(&master, all, 5000), all);
    packet(&master, &[STOP]);
    ok(sys!(tcflow(fd, libc::TCOON)));
    packet(&master, &[START]);
    type_in(&master, b"\x13");
    packet(&master, &[STOP]);
    type_in(&master, b"\x11");
    packet(&master, &[START]);
    // Only the last of both counts; what was there already says nothing.
    type_in(&master, b"\x13\x11\x11");
    packet(&master, &[START]);
    change(&slave, |s| s.c_iflag &= !libc::IXON);
    packet(&master, &[NOSTOP]);
    change(&slave, |s| s.c_cc[libc::VEOL] = 1);
    assert_eq!(poll_for(&master, libc::POLLIN, 20), 0);
    change(&slave, |s| s.c_iflag |= libc::IXON);
    packet(&master, &[DOSTOP]);
    change(&slave, |s| s.c_cc[libc::VSTOP] = 1);
    packet(&master, &[NOSTOP]);
}

fn packet_mode_tells_of_flushing() {
    let (master, slave) = terminal();
    let fd = slave.as_raw_fd();
    packets(&master);
    let (read, write) = (FLUSHREAD, FLUSHWRITE);
    ok(sys!(tcflush(fd, libc::TCIFLUSH)));
    packet(&master, &[read]);
    ok(sys!(tcflush(fd, libc::TCOFLUSH)));
    packet(&master, &[write]);
    ok(sys!(tcflush(fd, libc::TCIOFLUSH)));
    packet(&master, &[read | write]);
    type_in(&master, b"\x03");
    packet(&master, &[read | write]);
    packet(&master, b"\0^C");
    change(&slave, |s| s.c_lflag |= libc::NOFLSH);
    type_in(&master, b"\x03");
    packet(&master, b"\0^C");
    // Events go before data.
    (&slave).write_all(b"text").expect("room");
    until("it has arrived", || get(&master, libc::FIONREAD as _) == 4);
    ok(sys!(tcflush(fd, libc::TCIFLUSH)));
    packet(&master, &[read]);
    packet(&master, b"\0text");
    // What happened before it was asked for is forgotten.
    ok(set(&master, libc::TIOCPKT as _, 0));
    ok(sys!(tcflush(fd, libc::TCIFLUSH)));
    packets(&master);
    assert_eq!(poll_for(&master, libc::POLLIN, 20), 0);
}

fn name_of(slave: &File) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", slave.as_raw_fd()));
    link.expect("a link").to_string_lossy().into_owned()
}

fn an_exclusive_terminal_is_not_opened_again() {
    let (_master, slave) = terminal();
    let (fd, name) = (slave.as_raw_fd(), name_of(&slave));
    assert_eq!(get(&slave, TIOCGEXCL), 0);
    ok(sys!(ioctl(fd, libc::TIOCEXCL as _)));
    assert_eq!(get(&slave, TIOCGEXCL), 1);
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    if sys!(geteuid()) == 0 {
        drop(open(&name, flags, 0));
        ok(sys!(chmod(c(&name).as_ptr(), 0o666)));
        in_child(|| {
            ok(sys!(setuid(1234)));
            fails(try_open(&name, flags, 0), libc::EBUSY);
            ok(sys!(ioctl(fd, libc::TIOCNXCL as _)));
            ok(try_open(&name, flags, 0));
        });
    }
}

fn the_master_can_signal() {
    let (master, slave) = terminal();
    let (mut ready, mut tell) = pipe();
    let fd = master.as_raw_fd();
    fails(
        sys!(ioctl(slave.as_raw_fd(), TIOCSIG as _, 2)),
        libc::ENOTTY,
    );
    for wrong in [0, libc::SIGUSR1, libc::SIGKILL, 1000] {
        fails(sys!(ioctl(fd, TIOCSIG as _, wrong)), libc::EINVAL);
    }
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        let (master, slave) = terminal();
        let child = in_session(&slave, || {
            on_signal(signal, 0, exit_with_signal as *const () as usize);
            tell.write_all(b"r").expect("room");
            sleep_ms(20_000);
            1
        });
        ready.read_exact(&mut [0]).expect("the child is ready");
        ok(sys!(ioctl(master.as_raw_fd(), TIOCSIG as _, signal)));
        assert_eq!(wait(child), End::Exit(100 + signal));
    }
}

fn writing_alone_gains_no_terminal() {
    let (_master, slave) = terminal();
    let name = name_of(&slave);
    if sys!(geteuid()) == 0 {
        ok(sys!(chmod(c(&name).as_ptr(), 0o666)));
    }
    in_child(|| {
        ok(sys!(setsid()));
        let writer = open(&name, libc::O_WRONLY, 0);
        fails(try_open("/dev/tty", libc::O_RDWR, 0), libc::ENXIO);
        if sys!(geteuid()) == 0 {
            ok(sys!(setuid(1234)));
        }
        let taken = sys!(ioctl(writer.as_raw_fd(), libc::TIOCSCTTY as _, 0));
        fails(taken, libc::EPERM);
        let _reader = open(&name, libc::O_RDONLY, 0);
        ok(try_open("/dev/tty", libc::O_RDWR, 0));
    });
}

fn flow_control_is_for_the_foreground() {
    let (_master, slave) = terminal();
    let child = in_session(&slave, || {
        let member = spawn(|| {
            sys!(setpgid(0, 0));
            on_signal(libc::SIGTTOU, 0, libc::SIG_DFL);
            sys!(tcflow(slave.as_raw_fd(), libc::TCOON));
            0
        });
        let mut status = 0;
        ok(sys!(waitpid(member, &mut status, libc::WUNTRACED)));
        sys!(kill(member, libc::SIGKILL));
        i32::from(End::of(status) != End::Stop(libc::SIGTTOU))
    });
    assert_eq!(wait(child), End::Exit(0));
}

fn who_does_not_lead_may_leave_its_terminal() {
    let (_master, slave) = terminal();
    let fd = slave.as_raw_fd();
    let child = in_session(&slave, || {
        in_child(|| {
            ok(sys!(ioctl(fd, libc::TIOCNOTTY as _)));
            fails(sys!(ioctl(fd, libc::TIOCNOTTY as _)), libc::ENOTTY);
            fails(try_open("/dev/tty", libc::O_RDWR, 0), libc::ENXIO);
            fails(sys!(tcgetpgrp(fd)), libc::ENOTTY);
            // A child has none either.
            in_child(|| fails(try_open("/dev/tty", libc::O_RDWR, 0), libc::ENXIO));
        });
        // The others keep theirs.
        ok(try_open("/dev/tty", libc::O_RDWR, 0));
        ok(sys!(tcgetpgrp(fd)));
        0
    });
    assert_eq!(wait(child), End::Exit(0));
}
