//! C's files: what is read ahead, what waits to be written, and when it goes out.

use crate::more::{self, flockfile, funlockfile};
use crate::support::*;
use libc::{FILE, c_char, c_int};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

crate::harness::tests![
    lines_come_back_as_written,
    what_was_read_ahead_stays_where_it_cannot_go_back,
    what_was_read_ahead_goes_back_where_it_can,
    a_failed_seek_loses_nothing,
    a_stream_both_ways_keeps_what_it_has_read,
    setbuf_uses_no_more_than_bufsiz,
    setvbuf_writes_what_waits,
    an_old_error_does_not_spoil_fgets,
    an_interrupted_read_is_an_error,
    an_interrupted_write_is_an_error,
    ungetc_reads_nothing,
    pushed_back_characters_come_first,
    what_is_pushed_back_before_the_start_is_dropped,
    appending_is_known_of_a_descriptor,
    reopening_changes_file_and_mode,
    fwrite_counts_what_went_out,
    absurd_sizes_are_refused,
    the_end_of_a_file_is_told_once_and_cleared,
    an_unbuffered_text_is_one_write,
    messages_are_one_write,
    line_buffers_go_out_at_newlines,
    everything_goes_out_at_exit,
    what_was_read_ahead_goes_back_at_exit,
    locks_of_files_nest_and_exclude,
    who_holds_standard_output_keeps_nobody_from_reading,
    a_file_that_is_held_keeps_nobody_from_opening_others,
    files_are_opened_and_closed_while_all_are_flushed,
    a_commands_output_is_a_file,
    temporary_files_are_nameless,
];

/// The text that C's functions need.
fn text(buffer: &[c_char]) -> &CStr {
    // SAFETY: `fgets` and the like have put a NUL there.
    unsafe { CStr::from_ptr(buffer.as_ptr()) }
}

fn open_c(path: &str, mode: &CStr) -> *mut FILE {
    let file = sys!(fopen(c(path).as_ptr(), mode.as_ptr()));
    assert!(!file.is_null(), "fopen {path}: error {}", errno());
    file
}

fn on_descriptor(fd: c_int, mode: &CStr) -> *mut FILE {
    let file = sys!(fdopen(fd, mode.as_ptr()));
    assert!(!file.is_null(), "fdopen: error {}", errno());
    file
}

/// A stream to read `data` from a pipe, whose other end is closed.
fn piped(data: &[u8]) -> *mut FILE {
    let (reader, mut writer) = pipe();
    writer.write_all(data).expect("room in the pipe");
    on_descriptor(reader.into_raw_fd(), c"r")
}

#[track_caller]
fn expect_line(file: *mut FILE, expected: &CStr) {
    let mut line = [0 as c_char; 100];
    assert!(!sys!(fgets(line.as_mut_ptr(), 100, file)).is_null());
    assert_eq!(text(&line), expected);
}

fn close(file: *mut FILE) {
    assert_eq!(sys!(fclose(file)), 0);
}

fn put(file: *mut FILE, text: &CStr) {
    assert!(sys!(fputs(text.as_ptr(), file)) >= 0);
}

fn contents(path: &str) -> String {
    std::fs::read_to_string(path).expect("a text")
}

fn lines_come_back_as_written() {
    let file = open_c("lines", c"w+");
    for i in 0..2000 {
        assert!(sys!(fprintf(file, c"line %d\n".as_ptr(), i)) > 0);
    }
    assert_eq!(sys!(ftell(file)), 10 * 7 + 90 * 8 + 900 * 9 + 1000 * 10);
    sys!(rewind(file));
    let (mut line, mut room) = (null_mut(), 0);
    for i in 0..2000 {
        let length = more::getline(&mut line, &mut room, file);
        // SAFETY: `getline` has put a NUL there.
        let found = unsafe { CStr::from_ptr(line) };
        let expected = CString::new(format!("line {i}\n")).expect("no NUL");
        assert_eq!(found, expected.as_c_str());
        assert_eq!(length as usize, expected.count_bytes());
    }
    assert_eq!(more::getline(&mut line, &mut room, file), -1);
    assert_ne!(sys!(feof(file)), 0);
    sys!(free(line.cast()));
    assert_eq!(sys!(fseek(file, 5, libc::SEEK_SET)), 0);
    assert_eq!(sys!(fgetc(file)), c_int::from(b'0'));
    assert_eq!(sys!(ftell(file)), 6);
    close(file);
    assert_eq!(contents("lines").len(), 18_890);
    let missing = sys!(fopen(c"no/such".as_ptr(), c"r".as_ptr()));
    assert!(missing.is_null());
    assert_eq!(errno(), libc::ENOENT);
}

fn what_was_read_ahead_stays_where_it_cannot_go_back() {
    let file = piped(b"one\ntwo\nthree\n");
    expect_line(file, c"one\n");
    assert_eq!(sys!(fflush(file)), 0);
    expect_line(file, c"two\n");
    assert_eq!(sys!(fflush(null_mut())), 0);
    expect_line(file, c"three\n");
    close(file);
    // Standard input is one that `fflush(NULL)` looks at.
    let (reader, mut writer) = pipe();
    writer.write_all(b"one\ntwo\n").expect("room in the pipe");
    ok(sys!(dup2(reader.as_raw_fd(), 0)));
    let file = more::stdin();
    expect_line(file, c"one\n");
    assert_eq!(sys!(fflush(null_mut())), 0);
    expect_line(file, c"two\n");
}

fn what_was_read_ahead_goes_back_where_it_can() {
    std::fs::write("text", "one\ntwo\n").expect("a directory");
    let file = open_c("text", c"r");
    expect_line(file, c"one\n");
    let fd = sys!(fileno(file));
    assert_eq!(
        ok(sys!(lseek(fd, 0, libc::SEEK_CUR))),
        8,
        "all of it is read"
    );
    assert_eq!(sys!(fflush(file)), 0);
    assert_eq!(ok(sys!(lseek(fd, 0, libc::SEEK_CUR))), 4);
    expect_line(file, c"two\n");
    close(file);
}

fn a_failed_seek_loses_nothing() {
    let file = piped(b"one\ntwo\n");
    expect_line(file, c"one\n");
    fails(sys!(fseek(file, 0, libc::SEEK_SET)), libc::ESPIPE);
    expect_line(file, c"two\n");
    close(file);
    std::fs::write("text", "one\ntwo\n").expect("a directory");
    let file = open_c("text", c"r");
    expect_line(file, c"one\n");
    fails(sys!(fseek(file, -1, libc::SEEK_SET)), libc::EINVAL);
    assert_eq!(sys!(ftell(file)), 4);
    expect_line(file, c"two\n");
    assert_eq!(sys!(fseek(file, -3, libc::SEEK_CUR)), 0);
    expect_line(file, c"wo\n");
    close(file);
}

fn a_stream_both_ways_keeps_what_it_has_read() {
    let mut ends = [0; 2];
    ok(sys!(socketpair(
        libc::AF_UNIX,
        libc::SOCK_STREAM,
        0,
        ends.as_mut_ptr()
    )));
    let file = on_descriptor(ends[0], c"r+");
    let lines = c"one\ntwo\n";
    ok(sys!(write(ends[1], lines.as_ptr().cast(), 8)));
    expect_line(file, c"one\n");
    assert_eq!(sys!(fflush(file)), 0);
    // glibc cannot write at this point, and need not.
    if cfg!(target_env = "gnu") {
        return;
    }
    put(file, c"answer");
    assert_eq!(sys!(fflush(file)), 0);
    let mut answer = [0u8; 10];
    assert_eq!(ok(sys!(read(ends[1], answer.as_mut_ptr().cast(), 10))), 6);
    assert_eq!(&answer[..6], b"answer");
    expect_line(file, c"two\n");
    close(file);
}

fn setbuf_uses_no_more_than_bufsiz() {
    const SIZE: usize = libc::BUFSIZ as usize;
    let mut buffer = vec![7 as c_char; 3 * SIZE];
    let file = open_c("text", c"w+");
    sys!(setbuf(file, buffer[SIZE..].as_mut_ptr()));
    for _ in 0..3 * SIZE {
        assert_eq!(sys!(fputc(c_int::from(b'x'), file)), c_int::from(b'x'));
    }
    sys!(rewind(file));
    (0..3 * SIZE).for_each(|_| assert_eq!(sys!(fgetc(file)), c_int::from(b'x')));
    close(file);
    assert!(buffer[..SIZE].iter().all(|&c| c == 7));
    assert!(buffer[2 * SIZE..].iter().all(|&c| c == 7));
}

fn setvbuf_writes_what_waits() {
    let file = open_c("text", c"w");
    put(file, c"one ");
    assert_eq!(sys!(setvbuf(file, null_mut(), libc::_IONBF, 0)), 0);
    put(file, c"two");
    assert_eq!(contents("text"), "one two");
    let refused = sys!(setvbuf(file, null_mut(), 77, 0));
    assert_ne!(refused, 0);
    close(file);
}

fn an_old_error_does_not_spoil_fgets() {
    let file = piped(b"one\n");
    assert_eq!(sys!(fputc(c_int::from(b'x'), file)), libc::EOF);
    assert_ne!(sys!(ferror(file)), 0);
    expect_line(file, c"one\n");
    assert_ne!(sys!(ferror(file)), 0, "it is still remembered");
    close(file);
}

extern "C" fn ignore(_: c_int) {}

/// Runs `body` with a signal now and then that interrupts calls.
fn interrupted(body: impl FnOnce()) {
    on_signal(libc::SIGALRM, 0, ignore as *const () as usize);
    let mut timer: libc::itimerval = zeroed();
    timer.it_value.tv_usec = 5000;
    timer.it_interval.tv_usec = 5000;
    ok(sys!(setitimer(0, &timer, null_mut())));
    body();
    ok(sys!(setitimer(0, &zeroed(), null_mut())));
}

fn an_interrupted_read_is_an_error() {
    let (reader, mut writer) = pipe();
    let file = on_descriptor(reader.into_raw_fd(), c"r");
    interrupted(|| {
        assert_eq!(sys!(fgetc(file)), libc::EOF);
        assert_eq!(errno(), libc::EINTR);
    });
    assert_ne!(sys!(ferror(file)), 0);
    assert_eq!(sys!(feof(file)), 0);
    sys!(clearerr(file));
    writer.write_all(b"one\n").expect("room in the pipe");
    expect_line(file, c"one\n");
    close(file);
}

fn an_interrupted_write_is_an_error() {
    let (_reader, writer) = pipe();
    ok(sys!(fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096)));
    let file = on_descriptor(writer.into_raw_fd(), c"w");
    let much = vec![b'x'; 100_000];
    interrupted(|| {
        let count = sys!(fwrite(much.as_ptr().cast(), 1, much.len(), file));
        assert!(count < much.len());
        assert_eq!(errno(), libc::EINTR);
    });
    assert_ne!(sys!(ferror(file)), 0);
}

fn ungetc_reads_nothing() {
    let (reader, mut writer) = pipe();
    let file = on_descriptor(reader.into_raw_fd(), c"r");
    // An empty pipe: a read would wait for ever.
    assert_eq!(sys!(ungetc(c_int::from(b'z'), file)), c_int::from(b'z'));
    assert_eq!(sys!(fgetc(file)), c_int::from(b'z'));
    writer.write_all(b"one\n").expect("room in the pipe");
    expect_line(file, c"one\n");
    close(file);
}

fn pushed_back_characters_come_first() {
    std::fs::write("text", "abc").expect("a directory");
    let file = open_c("text", c"r");
    assert_eq!(sys!(fgetc(file)), c_int::from(b'a'));
    assert_eq!(sys!(ungetc(c_int::from(b'z'), file)), c_int::from(b'z'));
    assert_eq!(sys!(fgetc(file)), c_int::from(b'z'));
    assert_eq!(sys!(ungetc(libc::EOF, file)), libc::EOF);
    while sys!(fgetc(file)) != libc::EOF {}
    assert_ne!(sys!(feof(file)), 0);
    assert_eq!(sys!(ungetc(c_int::from(b'y'), file)), c_int::from(b'y'));
    assert_eq!(sys!(feof(file)), 0);
    assert_eq!(sys!(fgetc(file)), c_int::from(b'y'));
    close(file);
}

fn what_is_pushed_back_before_the_start_is_dropped() {
    std::fs::write("text", "abc").expect("a directory");
    for reads in [false, true] {
        for flushes in [false, true] {
            let file = open_c("text", c"r");
            if reads {
                assert_eq!(sys!(fgetc(file)), c_int::from(b'a'));
                assert_eq!(sys!(ungetc(c_int::from(b'a'), file)), c_int::from(b'a'));
            }
            assert_eq!(sys!(ungetc(c_int::from(b'z'), file)), c_int::from(b'z'));
            // glibc's `fflush` fails here.
            if flushes && cfg!(target_env = "musl") {
                assert_eq!(sys!(fflush(file)), 0);
                expect_line(file, c"abc");
            }
            close(file);
        }
    }
}

fn appending_is_known_of_a_descriptor() {
    std::fs::write("text", "abc").expect("a directory");
    let fd = ok(try_open("text", libc::O_RDWR, 0));
    let file = on_descriptor(fd, c"a");
    put(file, c"d");
    assert_eq!(sys!(ftell(file)), 4);
    close(file);
    assert_eq!(contents("text"), "abcd");
}

fn reopening_changes_file_and_mode() {
    std::fs::write("one", "abc").expect("a directory");
    let file = open_c("two", c"w");
    put(file, c"two");
    let same = sys!(freopen(c"one".as_ptr(), c"a".as_ptr(), file));
    assert_eq!(same, file);
    put(file, c"d");
    assert_eq!(sys!(ftell(file)), 4);
    assert_eq!(contents("two"), "two");
    // The same file in another mode.
    let same = sys!(freopen(std::ptr::null(), c"r".as_ptr(), file));
    assert_eq!(same, file);
    expect_line(file, c"abcd");
    close(file);
    let file = open_c("one", c"r");
    let gone = sys!(freopen(c"no/such".as_ptr(), c"r".as_ptr(), file));
    assert!(gone.is_null());
    assert_eq!(errno(), libc::ENOENT);
}

fn fwrite_counts_what_went_out() {
    in_child(|| {
        let file = open_c("text", c"w");
        assert_eq!(sys!(setvbuf(file, null_mut(), libc::_IONBF, 0)), 0);
        on_signal(libc::SIGXFSZ, 0, libc::SIG_IGN);
        let limit = libc::rlimit {
            rlim_cur: 10,
            rlim_max: 10,
        };
        ok(sys!(setrlimit(libc::RLIMIT_FSIZE as _, &limit)));
        let data = [7u32; 5];
        assert_eq!(sys!(fwrite(data.as_ptr().cast(), 4, 5, file)), 2);
        assert_eq!(errno(), libc::EFBIG);
        assert_ne!(sys!(ferror(file)), 0);
    });
    assert_eq!(contents("text").len(), 10);
}

fn absurd_sizes_are_refused() {
    let file = piped(b"one\n");
    let mut buffer = [0u8; 8];
    assert_eq!(sys!(fread(buffer.as_mut_ptr().cast(), 0, 7, file)), 0);
    // glibc takes the product as it wraps.
    if cfg!(target_env = "musl") {
        let huge = usize::MAX / 2 + 2;
        assert_eq!(sys!(fread(buffer.as_mut_ptr().cast(), huge, 2, file)), 0);
        let other = open_c("text", c"w");
        assert_eq!(sys!(fwrite(buffer.as_ptr().cast(), huge, 2, other)), 0);
        assert_ne!(sys!(ferror(other)), 0);
        close(other);
        assert_eq!(contents("text"), "");
    }
    sys!(clearerr(file));
    expect_line(file, c"one\n");
    close(file);
}

fn the_end_of_a_file_is_told_once_and_cleared() {
    let (reader, mut writer) = pipe();
    let file = on_descriptor(reader.into_raw_fd(), c"r");
    writer.write_all(b"one\nrest").expect("room in the pipe");
    expect_line(file, c"one\n");
    let end = spawn(|| 0);
    assert_eq!(wait(end), End::Exit(0));
    drop(writer);
    expect_line(file, c"rest");
    assert_ne!(sys!(feof(file)), 0);
    assert_eq!(sys!(ferror(file)), 0);
    let mut line = [0 as c_char; 8];
    assert!(sys!(fgets(line.as_mut_ptr(), 8, file)).is_null());
    sys!(clearerr(file));
    assert_eq!(sys!(feof(file)), 0);
    close(file);
}

/// Both ends of a pair that keeps apart what is written apart.
fn packets() -> (File, File) {
    let mut ends = [0; 2];
    ok(sys!(socketpair(
        libc::AF_UNIX,
        libc::SOCK_DGRAM,
        0,
        ends.as_mut_ptr()
    )));
    // SAFETY: socketpair has just made both.
    unsafe {
        (
            std::os::fd::FromRawFd::from_raw_fd(ends[0]),
            std::os::fd::FromRawFd::from_raw_fd(ends[1]),
        )
    }
}

#[track_caller]
fn expect_packet(mut reader: &File, expected: &str) {
    let mut buffer = [0; 1000];
    let length = reader.read(&mut buffer).expect("a packet");
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), expected);
}

fn an_unbuffered_text_is_one_write() {
    let (reader, writer) = packets();
    let fd = writer.into_raw_fd();
    let file = on_descriptor(fd, c"w");
    assert_eq!(sys!(setvbuf(file, null_mut(), libc::_IONBF, 0)), 0);
    let format = c"%s and %d, %5.2f%%\n".as_ptr();
    sys!(fprintf(file, format, c"words".as_ptr(), 17, 2.5));
    expect_packet(&reader, "words and 17,  2.50%\n");
    more::dprintf(fd, format, c"words".as_ptr(), 18, 2.5);
    expect_packet(&reader, "words and 18,  2.50%\n");
    let long = "x".repeat(300);
    sys!(fprintf(
        file,
        c"%s<%s>".as_ptr(),
        c"".as_ptr(),
        c(&long).as_ptr()
    ));
    expect_packet(&reader, &format!("<{long}>"));
    close(file);
}

fn messages_are_one_write() {
    let (reader, writer) = packets();
    ok(sys!(dup2(writer.as_raw_fd(), 2)));
    more::set_errno(libc::ENOENT);
    sys!(perror(c"name".as_ptr()));
    expect_packet(&reader, "name: No such file or directory\n");
    sys!(perror(c"".as_ptr()));
    expect_packet(&reader, "No such file or directory\n");
    more::psignal(libc::SIGTERM, c"name".as_ptr());
    expect_packet(&reader, "name: Terminated\n");
}

fn line_buffers_go_out_at_newlines() {
    let file = open_c("text", c"w");
    assert_eq!(sys!(setvbuf(file, null_mut(), libc::_IOLBF, 0)), 0);
    put(file, c"one\n");
    assert_eq!(contents("text"), "one\n");
    put(file, c"two");
    assert_eq!(contents("text"), "one\n");
    assert_eq!(sys!(fflush(file)), 0);
    assert_eq!(contents("text"), "one\ntwo");
    close(file);
}

fn everything_goes_out_at_exit() {
    let child = spawn(|| {
        put(open_c("one", c"w"), c"one");
        put(open_c("two", c"a"), c"two");
        sys!(exit(0))
    });
    assert_eq!(wait(child), End::Exit(0));
    assert_eq!(contents("one") + &contents("two"), "onetwo");
}

fn what_was_read_ahead_goes_back_at_exit() {
    std::fs::write("text", "one\ntwo\n").expect("a directory");
    let fd = ok(try_open("text", libc::O_RDONLY, 0));
    let child = spawn(|| {
        expect_line(on_descriptor(fd, c"r"), c"one\n");
        sys!(exit(0))
    });
    assert_eq!(wait(child), End::Exit(0));
    assert_eq!(ok(sys!(lseek(fd, 0, libc::SEEK_CUR))), 4);
}

/// A file for several threads.
struct Handle(*mut FILE);
// SAFETY: C's files are made for threads.
unsafe impl Sync for Handle {}

fn locks_of_files_nest_and_exclude() {
    let handle = Handle(open_c("text", c"w"));
    let handle = &handle;
    flockfile(handle.0);
    flockfile(handle.0);
    let free = || std::thread::scope(|s| s.spawn(|| more::ftrylockfile({ handle }.0)).join());
    assert_ne!(free().expect("no panic"), 0);
    funlockfile(handle.0);
    assert_ne!(free().expect("no panic"), 0);
    funlockfile(handle.0);
    std::thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || {
                let file = { handle }.0;
                for _ in 0..500 {
                    flockfile(file);
                    (0..10).for_each(|_| assert!(sys!(fputc(c_int::from(b'a') + n, file)) > 0));
                    assert!(sys!(fputc(c_int::from(b'\n'), file)) > 0);
                    funlockfile(file);
                }
            });
        }
    });
    close(handle.0);
    let text = contents("text");
    assert_eq!(text.lines().count(), 2000);
    assert!(
        text.lines()
            .all(|line| line.len() == 10 && line.matches(&line[..1]).count() == 10)
    );
}

fn who_holds_standard_output_keeps_nobody_from_reading() {
    let (reader, mut writer) = pipe();
    writer.write_all(b"answer\n").expect("room in the pipe");
    ok(sys!(dup2(reader.as_raw_fd(), 0)));
    let output = &Handle(more::stdout());
    assert_eq!(sys!(setvbuf(output.0, null_mut(), libc::_IOLBF, 0)), 0);
    let nowhere = open("/dev/null", libc::O_WRONLY, 0);
    ok(sys!(dup2(nowhere.as_raw_fd(), 1)));
    let steps = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            flockfile({ output }.0);
            put(output.0, c"a prompt");
            steps.store(1, SeqCst);
            until("the answer is read", || steps.load(SeqCst) == 2);
            funlockfile(output.0);
        });
        until("it is held", || steps.load(SeqCst) == 1);
        expect_line(more::stdin(), c"answer\n");
        steps.store(2, SeqCst);
    });
}

fn a_file_that_is_held_keeps_nobody_from_opening_others() {
    // glibc has its list of files locked while it waits for one.
    if cfg!(target_env = "gnu") {
        return;
    }
    let file = &Handle(open_c("text", c"w"));
    let (steps, flusher) = (AtomicU32::new(0), AtomicI32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = { file }.0;
            flockfile(file);
            put(file, c"one");
            steps.store(1, SeqCst);
            until("others wait for it", || {
                let tid = flusher.load(SeqCst);
                tid != 0 && is_thread_asleep(std::process::id() as i32, tid)
            });
            close(open_c("other", c"w"));
            steps.store(2, SeqCst);
            put(file, c" two");
            funlockfile(file);
        });
        scope.spawn(|| {
            until("it is held", || steps.load(SeqCst) == 1);
            flusher.store(sys!(gettid()), SeqCst);
            assert_eq!(sys!(fflush(null_mut())), 0);
            assert_eq!(contents("text"), "one two");
        });
        until("another was opened", || steps.load(SeqCst) == 2);
    });
    close(file.0);
}

fn files_are_opened_and_closed_while_all_are_flushed() {
    let writers = AtomicU32::new(3);
    std::thread::scope(|scope| {
        for n in 0..3 {
            let writers = &writers;
            scope.spawn(move || {
                let name = format!("text{n}");
                for round in 0..1000 {
                    let file = open_c(&name, c"w");
                    put(file, c"one ");
                    put(file, c"two");
                    close(file);
                    assert_eq!(contents(&name), "one two", "round {round}");
                }
                writers.fetch_sub(1, SeqCst);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while writers.load(SeqCst) > 0 {
                    assert_eq!(sys!(fflush(null_mut())), 0);
                }
            });
        }
    });
}

fn a_commands_output_is_a_file() {
    let file = sys!(popen(c"echo hi; exit 3".as_ptr(), c"r".as_ptr()));
    expect_line(file, c"hi\n");
    assert_eq!(sys!(pclose(file)), 3 << 8);
    let file = sys!(popen(c"cat >text".as_ptr(), c"w".as_ptr()));
    put(file, c"to the command");
    assert_eq!(sys!(pclose(file)), 0);
    assert_eq!(contents("text"), "to the command");
}

fn temporary_files_are_nameless() {
    let file = sys!(tmpfile());
    put(file, c"one\n");
    sys!(rewind(file));
    expect_line(file, c"one\n");
    close(file);
}
