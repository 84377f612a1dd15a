//! Numbers and texts: `printf` one way, `strtol` and `strtod` the other.

use crate::more;
use libc::{c_char, c_int};
use std::ffi::CStr;
use std::ptr::null_mut;

crate::harness::tests![
    integers_print_as_asked,
    texts_and_characters_print_as_asked,
    floats_print_as_asked,
    hexadecimal_floats_print_as_asked,
    long_doubles_that_are_no_numbers_print,
    arguments_come_from_registers_and_stack,
    arguments_can_be_numbered,
    what_does_not_fit_is_counted,
];

/// What a format makes of its arguments.
macro_rules! assert_prints {
    ($expected:expr, $format:expr $(, $arg:expr)* $(,)?) => {{
        let mut buffer = [0 as c_char; 3000];
        let count = sys!(snprintf(buffer.as_mut_ptr(), 3000, $format.as_ptr() $(, $arg)*));
        // SAFETY: snprintf has put a NUL there.
        let text = unsafe { CStr::from_ptr(buffer.as_ptr()) };
        assert_eq!(text.to_string_lossy(), $expected);
        assert_eq!(count as usize, $expected.len());
    }};
}

fn integers_print_as_asked() {
    assert_prints!(
        "5 -7 ff 0x1f 017 FF",
        c"%d %i %x %#x %#o %X",
        5,
        -7,
        255,
        31,
        15,
        255
    );
    let padded = c"[%5d][%-5d][%05d][%+d][% d]";
    assert_prints!(
        "[   42][42   ][00042][+42][ 42]",
        padded,
        42,
        42,
        42,
        42,
        42
    );
    assert_prints!(
        "[  5][5  ][002][5  ]",
        c"[%*d][%-*d][%.3d][%*d]",
        3,
        5,
        3,
        5,
        2,
        -3,
        5
    );
    assert_prints!(
        "[00000010][  000010][0][00]",
        c"[%#08o][%#8.6o][%#o][%#.2o]",
        8,
        8,
        0,
        0
    );
    assert_prints!(
        "[][0][+][0x0000001f]",
        c"[%.0d][%#.0o][%+.0d][%#010x]",
        0,
        0,
        0,
        31
    );
    assert_prints!("[0x1][0]", c"[%#.0x][%#x]", 1, 0);
    let lengths = c"%ld %lld %lu %hhu %hd %zu %jd %td";
    let (least, most) = (i64::MIN, u64::MAX);
    assert_prints!(
        "-9223372036854775808 -1 18446744073709551615 255 -1 7 8 9",
        lengths,
        least,
        -1i64,
        most,
        511,
        65535,
        7usize,
        8i64,
        9isize
    );
}

fn texts_and_characters_print_as_asked() {
    let text = c"abc".as_ptr();
    let format = c"[%s][%5s][%-5s][%.2s][%5.1s]";
    assert_prints!(
        "[abc][  abc][abc  ][ab][    a]",
        format,
        text,
        text,
        text,
        text,
        text
    );
    assert_prints!("[x][  x][x  ]%", c"[%c][%3c][%-3c]%%", 120, 120, 120);
    more::set_errno(libc::ENOENT);
    assert_prints!("<No such file or directory>", c"<%m>");
    let mut counted = 0 as c_int;
    assert_prints!("12345", c"%d%n%d", 123, &raw mut counted, 45);
    assert_eq!(counted, 3);
    let some = std::ptr::without_provenance::<u8>(0x1f2e);
    assert_prints!("0x1f2e", c"%p", some);
}

fn floats_print_as_asked() {
    let format = c"%f %.2f %.0f %g %g %g %g %g %g";
    assert_prints!(
        "2.345679 2.35 2 1e+10 1.5e-05 0.0001 1e-05 100000 1e+06",
        format,
        2.3456789,
        2.34567,
        2.34567,
        1e10,
        1.5e-5,
        1e-4,
        1e-5,
        1e5,
        1e6
    );
    let (infinite, none) = (f64::INFINITY, f64::NAN.copysign(1.0));
    assert_prints!(
        "1.000000e+00 1.23E-10 inf -INF nan [  inf]",
        c"%e %.2E %f %F %f [%05f]",
        1.0,
        1.234e-10,
        infinite,
        -infinite,
        none,
        infinite
    );
    assert_prints!(
        "100 1.e+00 1.00000 0.1 -0",
        c"%.3g %#.0e %#g %.1g %g",
        100.0,
        1.0,
        1.0,
        0.1,
        -0.0
    );
    assert_prints!("0.1000000000000000055511151231257827", c"%.34f", 0.1);
    assert_prints!("[-0001.50][+1.5    ]", c"[%08.2f][%-+8.1f]", -1.5, 1.5);
    let zeroes = "0".repeat(1500 - 1);
    assert_prints!(format!("0.5{zeroes}"), c"%.1500f", 0.5);
}

fn hexadecimal_floats_print_as_asked() {
    assert_prints!(
        "0x1p+0 0x1.8p+1 0x1.999999999999ap-4 0x0p+0 0x2p+0 -0X1.8P-1",
        c"%a %a %a %a %.0a %A",
        1.0,
        3.0,
        0.1,
        0.0,
        1.75,
        -0.75
    );
}

/// Rust has no `long double` to hand over; on this processor one is 128 bits in a vector register.
#[cfg(target_arch = "aarch64")]
fn print_long_double(high: u64, format: &CStr) -> String {
    let mut buffer = [0 as c_char; 100];
    // SAFETY: a call of `snprintf(buffer, 100, format, value)` by the calling convention.
    unsafe {
        std::arch::asm!(
            "fmov d0, xzr",
            "mov v0.d[1], {high}",
            "blr {function}",
            high = in(reg) high,
            function = in(reg) libc::snprintf as *const () as usize,
            inout("x0") buffer.as_mut_ptr() => _,
            inout("x1") 100usize => _,
            inout("x2") format.as_ptr() => _,
            clobber_abi("C"),
        );
    }
    // SAFETY: snprintf has put a NUL there.
    unsafe { CStr::from_ptr(buffer.as_ptr()) }
        .to_string_lossy()
        .into_owned()
}

#[cfg(target_arch = "aarch64")]
fn long_doubles_that_are_no_numbers_print() {
    for (high, expected) in [
        (0x7fff_0000_0000_0000, "inf"),
        (0xffff_0000_0000_0000, "-inf"),
        (0x7fff_8000_0000_0000, "nan"),
        (0x3fff_8000_0000_0000, "1.500000"),
        (0xc000_0000_0000_0000, "-2.000000"),
        (0x8000_0000_0000_0000, "-0.000000"),
    ] {
        assert_eq!(print_long_double(high, c"%Lf"), expected);
        assert_eq!(print_long_double(high, c"<%1$Lf>"), format!("<{expected}>"));
    }
}

#[cfg(not(target_arch = "aarch64"))]
fn long_doubles_that_are_no_numbers_print() {}

fn arguments_come_from_registers_and_stack() {
    let words = c"%d %d %d %d %d %d %d %d %d %g %d";
    assert_prints!(
        "1 2 3 4 5 6 7 8 9 1.5 10",
        words,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        1.5,
        10
    );
    let numbers = c"%g %g %g %g %g %g %g %g %g %g %d";
    assert_prints!(
        "1 2 3 4 5 6 7 8 9 10 11",
        numbers,
        1.,
        2.,
        3.,
        4.,
        5.,
        6.,
        7.,
        8.,
        9.,
        10.,
        11
    );
}

fn arguments_can_be_numbered() {
    let (one, two) = (c"one".as_ptr(), c"two".as_ptr());
    assert_prints!("two one two", c"%2$s %1$s %2$s", one, two);
    assert_prints!("[  1.50] 7 one", c"[%3$6.2f] %2$d %1$s", one, 7, 1.5);
    assert_prints!("[    7][007]", c"[%1$*2$d][%1$.*3$d]", 7, 5, 3);
    assert_prints!("costs 5$ or %", c"costs %d$ or %%", 5);
    assert_prints!("00000005", c"%1$08d", 5);
    let many = c"%10$d %9$d %8$d %7$g %6$d %5$d %4$d %3$d %2$d %1$g";
    assert_prints!(
        "10 9 8 7 6 5 4 3 2 1",
        many,
        1.,
        2,
        3,
        4,
        5,
        6,
        7.,
        8,
        9,
        10
    );
}

fn what_does_not_fit_is_counted() {
    let mut buffer = [7 as c_char; 8];
    let text = c"abcdef".as_ptr();
    assert_eq!(
        sys!(snprintf(buffer.as_mut_ptr(), 4, c"%s".as_ptr(), text)),
        6
    );
    assert_eq!(&buffer[..5], [97, 98, 99, 0, 7]);
    assert_eq!(
        sys!(snprintf(buffer.as_mut_ptr(), 0, c"%s".as_ptr(), text)),
        6
    );
    assert_eq!(buffer[0], 97);
    assert_eq!(sys!(snprintf(null_mut(), 0, c"%d".as_ptr(), 12345)), 5);
}
