//! Pseudo-terminals and the line discipline: what typing does.

use crate::support::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};

crate::harness::tests![
    a_pair_connects,
    lines_are_edited_before_they_are_read,
    input_is_echoed,
    control_characters_are_echoed_with_a_caret,
    carriage_returns_become_newlines,
    output_newlines_get_carriage_returns,
    raw_mode_passes_everything,
    vmin_and_vtime_pace_raw_reads,
    end_of_file_is_control_d,
    word_and_line_erasing_work,
    interrupt_goes_to_the_foreground_group,
    quit_and_suspend_too,
    background_readers_are_stopped,
    the_foreground_group_is_settable: Native,
    the_window_size_is_kept_and_announced,
    settings_are_kept,
    hanging_up_is_told,
    closing_the_terminal_is_end_of_input,
    isatty_and_names_work,
    poll_waits_for_a_whole_line,
    nonblocking_reads_say_eagain,
    flushing_drops_input,
    a_controlling_terminal_is_dev_tty,
    long_lines_are_cut_not_lost,
];

/// The two ends of a new pseudo-terminal: the one who types, and the terminal.
pub fn terminal() -> (File, File) {
    let master = ok(sys!(posix_openpt(libc::O_RDWR | libc::O_NOCTTY)));
    ok(sys!(grantpt(master)));
    ok(sys!(unlockpt(master)));
    let mut name = [0 as libc::c_char; 64];
    assert_eq!(sys!(ptsname_r(master, name.as_mut_ptr(), name.len())), 0);
    let slave = ok(sys!(open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY)));
    // SAFETY: both have just been opened.
    unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) }
}

pub fn settings(terminal: &File) -> libc::termios {
    let mut settings: libc::termios = zeroed();
    ok(sys!(tcgetattr(terminal.as_raw_fd(), &mut settings)));
    settings
}

pub fn change(terminal: &File, change: impl FnOnce(&mut libc::termios)) {
    let mut settings = settings(terminal);
    change(&mut settings);
    ok(sys!(tcsetattr(
        terminal.as_raw_fd(),
        libc::TCSANOW,
        &settings
    )));
}

pub fn no_echo(terminal: &File) {
    change(terminal, |s| s.c_lflag &= !libc::ECHO);
}

pub fn read_some(mut file: &File) -> Vec<u8> {
    let mut data = [0; 8192];
    let count = file.read(&mut data).expect("something to read");
    data[..count].to_vec()
}

/// Reads until `expected` has come, as output may come in pieces.
#[track_caller]
pub fn expect_output(mut file: &File, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    let mut have = 0;
    while have < expected.len() {
        assert_ne!(
            poll_for(file, libc::POLLIN, 5000),
            0,
            "only {:?}",
            &found[..have].escape_ascii().to_string()
        );
        have += file.read(&mut found[have..]).expect("it polls as readable");
    }
    assert_eq!(
        found.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

pub fn type_in(mut master: &File, text: &[u8]) {
    master.write_all(text).expect("room");
}

fn a_pair_connects() {
    let (master, mut slave) = terminal();
    type_in(&master, b"hello\n");
    assert_eq!(read_some(&slave), b"hello\n");
    expect_output(&master, b"hello\r\n");
    slave.write_all(b"answer").expect("room");
    expect_output(&master, b"answer");
}

fn lines_are_edited_before_they_are_read() {
    let (master, slave) = terminal();
    no_echo(&slave);
    type_in(&master, b"helpp\x7f\x7flo\n");
    assert_eq!(read_some(&slave), b"hello\n");
    type_in(&master, b"\x7f\x7fx\n");
    assert_eq!(
        read_some(&slave),
        b"x\n",
        "there is nothing before the line to erase"
    );
}

fn input_is_echoed() {
    let (master, slave) = terminal();
    type_in(&master, b"ab\x7fc\n");
    expect_output(&master, b"ab\x08 \x08c\r\n");
    assert_eq!(read_some(&slave), b"ac\n");
    no_echo(&slave);
    type_in(&master, b"secret\n");
    assert_eq!(poll_for(&master, libc::POLLIN, 50), 0);
}

fn control_characters_are_echoed_with_a_caret() {
    let (master, slave) = terminal();
    type_in(&master, b"\x01\t\x1b\n");
    expect_output(&master, b"^A\t^[\r\n");
    assert_eq!(read_some(&slave), b"\x01\t\x1b\n");
}

fn carriage_returns_become_newlines() {
    let (master, slave) = terminal();
    no_echo(&slave);
    type_in(&master, b"enter\r");
    assert_eq!(read_some(&slave), b"enter\n");
    change(&slave, |s| s.c_iflag &= !libc::ICRNL);
    type_in(&master, b"a\rb\n");
    assert_eq!(read_some(&slave), b"a\rb\n");
}

fn output_newlines_get_carriage_returns() {
    let (master, mut slave) = terminal();
    slave.write_all(b"a\nb\n").expect("room");
    expect_output(&master, b"a\r\nb\r\n");
    change(&slave, |s| s.c_oflag &= !libc::OPOST);
    slave.write_all(b"a\nb\n").expect("room");
    expect_output(&master, b"a\nb\n");
}

pub fn raw(terminal: &File) {
    change(terminal, |s| sys!(cfmakeraw(s)));
}

fn raw_mode_passes_everything() {
    let (master, mut slave) = terminal();
    raw(&slave);
    let all: Vec<u8> = (0..=255).collect();
    type_in(&master, &all);
    let mut found = vec![0; 256];
    slave.read_exact(&mut found).expect("all of it");
    assert_eq!(found, all);
    assert_eq!(poll_for(&master, libc::POLLIN, 50), 0, "no echo");
    slave.write_all(&all).expect("room");
    expect_output(&master, &all);
}

fn vmin_and_vtime_pace_raw_reads() {
    let (master, slave) = terminal();
    raw(&slave);
    let pace = |min, time| {
        change(&slave, |s| {
            s.c_cc[libc::VMIN] = min;
            s.c_cc[libc::VTIME] = time;
        });
    };
    pace(0, 0);
    assert_eq!(read_some(&slave), b"", "nothing, at once");
    pace(0, 1);
    let start = std::time::Instant::now();
    assert_eq!(read_some(&slave), b"");
    assert!(start.elapsed().as_millis() >= 90);
    pace(3, 0);
    let writer = spawn(|| {
        for byte in [b"a", b"b", b"c"] {
            sleep_ms(20);
            type_in(&master, byte);
        }
        0
    });
    assert_eq!(read_some(&slave), b"abc");
    wait(writer);
    pace(10, 1);
    type_in(&master, b"xy");
    assert_eq!(read_some(&slave), b"xy", "the pause between bytes ends it");
}

fn end_of_file_is_control_d() {
    let (master, slave) = terminal();
    no_echo(&slave);
    type_in(&master, b"part\x04");
    assert_eq!(
        read_some(&slave),
        b"part",
        "what there is, without a newline"
    );
    type_in(&master, b"\x04");
    assert_eq!(read_some(&slave), b"");
    type_in(&master, b"more\n");
    assert_eq!(read_some(&slave), b"more\n", "the end is not for ever");
}

fn word_and_line_erasing_work() {
    let (master, slave) = terminal();
    no_echo(&slave);
    type_in(&master, b"one two three\x17\x17x\n");
    assert_eq!(read_some(&slave), b"one x\n");
    type_in(&master, b"wrong\x15right\n");
    assert_eq!(read_some(&slave), b"right\n");
    type_in(&master, b"a\x16\x03b\n");
    assert_eq!(
        read_some(&slave),
        b"a\x03b\n",
        "^V takes the next one as it is"
    );
}

/// Makes `slave` the controlling terminal of a new session and runs `body` there.
pub fn in_session(slave: &File, body: impl FnOnce() -> i32) -> i32 {
    let fd = slave.as_raw_fd();
    spawn(|| {
        ok(sys!(setsid()));
        ok(sys!(ioctl(fd, libc::TIOCSCTTY, 0)));
        body()
    })
}

pub extern "C" fn exit_with_signal(signal: i32) {
    sys!(_exit(100 + signal));
}

fn sleep_in_session(slave: &File, ready: &mut File) -> i32 {
    in_session(slave, || {
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGWINCH] {
            on_signal(signal, 0, exit_with_signal as *const () as usize);
        }
        ready.write_all(b"r").expect("room");
        sleep_ms(20_000);
        1
    })
}

fn interrupt_goes_to_the_foreground_group() {
    let (master, slave) = terminal();
    let (mut ready, mut tell) = pipe();
    let child = sleep_in_session(&slave, &mut tell);
    ready.read_exact(&mut [0]).expect("the child is ready");
    type_in(&master, b"typed\x03");
    assert_eq!(wait(child), End::Exit(100 + libc::SIGINT));
    // What was typed before may be flushed with the rest of the queues.
    let echo = read_some(&master);
    assert!(
        echo.ends_with(b"^C"),
        "{:?}",
        echo.escape_ascii().to_string()
    );
}

fn quit_and_suspend_too() {
    let (master, slave) = terminal();
    let (mut ready, mut tell) = pipe();
    let child = sleep_in_session(&slave, &mut tell);
    ready.read_exact(&mut [0]).expect("the child is ready");
    type_in(&master, b"\x1c");
    assert_eq!(wait(child), End::Exit(100 + libc::SIGQUIT));
    let (master, slave) = terminal();
    let stopped = in_session(&slave, || {
        let member = spawn(|| {
            sys!(setpgid(0, 0));
            sys!(pause());
            0
        });
        sys!(setpgid(member, member));
        on_signal(libc::SIGTTOU, 0, libc::SIG_IGN);
        ok(sys!(tcsetpgrp(slave.as_raw_fd(), member)));
        tell.write_all(b"r").expect("room");
        let mut status = 0;
        ok(sys!(waitpid(member, &mut status, libc::WUNTRACED)));
        let end = End::of(status);
        sys!(kill(member, libc::SIGKILL));
        i32::from(end != End::Stop(libc::SIGTSTP))
    });
    ready.read_exact(&mut [0]).expect("the child is ready");
    type_in(&master, b"\x1a");
    assert_eq!(wait(stopped), End::Exit(0));
}

fn background_readers_are_stopped() {
    let (_master, slave) = terminal();
    let child = in_session(&slave, || {
        let member = spawn(|| {
            sys!(setpgid(0, 0));
            on_signal(libc::SIGTTIN, 0, libc::SIG_DFL);
            read_some(&slave);
            0
        });
        let mut status = 0;
        ok(sys!(waitpid(member, &mut status, libc::WUNTRACED)));
        sys!(kill(member, libc::SIGKILL));
        i32::from(End::of(status) != End::Stop(libc::SIGTTIN))
    });
    assert_eq!(wait(child), End::Exit(0));
}

fn the_foreground_group_is_settable() {
    let (master, slave) = terminal();
    let fd = slave.as_raw_fd();
    fails(sys!(tcgetpgrp(fd)), libc::ENOTTY);
    let child = in_session(&slave, || {
        assert_eq!(ok(sys!(tcgetpgrp(fd))), sys!(getpid()));
        assert_eq!(ok(sys!(tcgetsid(fd))), sys!(getpid()));
        fails(sys!(tcsetpgrp(fd, 1)), libc::EPERM);
        fails(sys!(tcsetpgrp(fd, -5)), libc::EINVAL);
        0
    });
    assert_eq!(wait(child), End::Exit(0));
    drop(master);
}

fn the_window_size_is_kept_and_announced() {
    let (master, slave) = terminal();
    let (mut ready, mut tell) = pipe();
    let child = sleep_in_session(&slave, &mut tell);
    ready.read_exact(&mut [0]).expect("the child is ready");
    let size = libc::winsize {
        ws_row: 50,
        ws_col: 132,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    ok(sys!(ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &size)));
    assert_eq!(wait(child), End::Exit(100 + libc::SIGWINCH));
    let mut found: libc::winsize = zeroed();
    ok(sys!(ioctl(slave.as_raw_fd(), libc::TIOCGWINSZ, &mut found)));
    assert_eq!((found.ws_row, found.ws_col), (50, 132));
}

fn settings_are_kept() {
    let (_master, slave) = terminal();
    let now = settings(&slave);
    let wanted = libc::ICANON | libc::ECHO | libc::ISIG;
    assert_eq!(now.c_lflag & wanted, wanted);
    assert_eq!(now.c_cc[libc::VINTR], 3);
    assert_eq!(now.c_cc[libc::VEOF], 4);
    assert_eq!(now.c_cc[libc::VERASE], 0x7f);
    change(&slave, |s| {
        s.c_cc[libc::VINTR] = 7;
        s.c_lflag &= !libc::ICANON;
    });
    let now = settings(&slave);
    assert_eq!((now.c_cc[libc::VINTR], now.c_lflag & libc::ICANON), (7, 0));
    let (reader, _writer) = pipe();
    let mut none: libc::termios = zeroed();
    fails(sys!(tcgetattr(reader.as_raw_fd(), &mut none)), libc::ENOTTY);
}

fn hanging_up_is_told() {
    let (master, slave) = terminal();
    let (mut ready, mut tell) = pipe();
    let fd = master.as_raw_fd();
    let child = in_session(&slave, || {
        // The line is up as long as anyone holds its other end.
        sys!(close(fd));
        on_signal(libc::SIGHUP, 0, exit_with_signal as *const () as usize);
        tell.write_all(b"r").expect("room");
        sleep_ms(20_000);
        1
    });
    ready.read_exact(&mut [0]).expect("the child is ready");
    drop(master);
    assert_eq!(wait(child), End::Exit(100 + libc::SIGHUP));
}

fn closing_the_terminal_is_end_of_input() {
    let (master, slave) = terminal();
    drop(slave);
    let mut byte = [0u8];
    fails(
        sys!(read(master.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EIO,
    );
    assert_ne!(poll_now(&master, libc::POLLIN) & libc::POLLHUP, 0);
    let (master, slave) = terminal();
    drop(master);
    assert_eq!(read_some(&slave), b"");
    fails(
        sys!(write(slave.as_raw_fd(), b"x".as_ptr().cast(), 1)),
        libc::EIO,
    );
}

fn isatty_and_names_work() {
    let (master, slave) = terminal();
    assert_eq!(sys!(isatty(slave.as_raw_fd())), 1);
    assert_eq!(sys!(isatty(master.as_raw_fd())), 1);
    let (reader, _writer) = pipe();
    assert_eq!(sys!(isatty(reader.as_raw_fd())), 0);
    let mut name = [0 as libc::c_char; 64];
    assert_eq!(sys!(ttyname_r(slave.as_raw_fd(), name.as_mut_ptr(), 64)), 0);
    // SAFETY: ttyname_r has written a string.
    let name = unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) };
    assert!(name.to_bytes().starts_with(b"/dev/pts/"), "{name:?}");
}

fn poll_waits_for_a_whole_line() {
    let (master, slave) = terminal();
    type_in(&master, b"half a line");
    assert_eq!(poll_for(&slave, libc::POLLIN, 30), 0);
    type_in(&master, b"\n");
    assert_eq!(poll_for(&slave, libc::POLLIN, 5000), libc::POLLIN);
    assert_eq!(poll_now(&slave, libc::POLLOUT), libc::POLLOUT);
    // A short read leaves the rest of the line.
    let mut four = [0; 4];
    assert_eq!((&slave).read(&mut four).expect("a line"), 4);
    assert_eq!(read_some(&slave), b" a line\n");
}

fn nonblocking_reads_say_eagain() {
    let (master, slave) = terminal();
    ok(sys!(fcntl(
        slave.as_raw_fd(),
        libc::F_SETFL,
        libc::O_NONBLOCK
    )));
    let mut byte = [0u8];
    fails(
        sys!(read(slave.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EAGAIN,
    );
    type_in(&master, b"no newline yet");
    fails(
        sys!(read(slave.as_raw_fd(), byte.as_mut_ptr().cast(), 1)),
        libc::EAGAIN,
    );
}

fn flushing_drops_input() {
    let (master, slave) = terminal();
    no_echo(&slave);
    type_in(&master, b"old line\nold rest");
    assert_ne!(poll_for(&slave, libc::POLLIN, 5000), 0);
    ok(sys!(tcflush(slave.as_raw_fd(), libc::TCIFLUSH)));
    type_in(&master, b"new\n");
    assert_eq!(read_some(&slave), b"new\n");
}

fn a_controlling_terminal_is_dev_tty() {
    let (master, slave) = terminal();
    let child = in_session(&slave, || {
        let mut tty = open("/dev/tty", libc::O_RDWR, 0);
        i32::from(tty.write_all(b"through /dev/tty").is_err())
    });
    assert_eq!(wait(child), End::Exit(0));
    expect_output(&master, b"through /dev/tty");
}

fn long_lines_are_cut_not_lost() {
    let (master, slave) = terminal();
    no_echo(&slave);
    let long = vec![b'x'; 3000];
    type_in(&master, &long);
    type_in(&master, b"\n");
    let mut line = read_some(&slave);
    while line.last() != Some(&b'\n') {
        line.extend(read_some(&slave));
    }
    assert_eq!(line.len(), 3001);
}
