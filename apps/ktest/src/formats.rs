//! Numbers and texts: `printf` one way, `strtol` and `strtod` the other.

use crate::more;
use crate::support::*;
use libc::{c_char, c_int};
use std::ffi::{CStr, CString};
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
    strtol_knows_bases_and_limits,
    strtod_reads_decimals,
    strtod_reads_hexadecimals,
    strtod_says_what_is_out_of_range,
    strtof_rounds_once,
    strtod_reads_no_more_than_the_number,
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
    assert_prints!(
        "[0][0][01][01]",
        c"[%#.0o][%#.1o][%#.1o][%#.2o]",
        0,
        0,
        1,
        1
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

/// The value, how much of the text it took, and the error.
fn integer(text: &CStr, base: c_int) -> (i64, usize, c_int) {
    let mut end = null_mut();
    more::set_errno(0);
    let value = sys!(strtol(text.as_ptr(), &mut end, base)) as i64;
    (
        value,
        end.addr().wrapping_sub(text.as_ptr().addr()),
        errno(),
    )
}

fn unsigned(text: &CStr, base: c_int) -> (u64, usize, c_int) {
    let mut end = null_mut();
    more::set_errno(0);
    let value = sys!(strtoul(text.as_ptr(), &mut end, base)) as u64;
    (
        value,
        end.addr().wrapping_sub(text.as_ptr().addr()),
        errno(),
    )
}

fn strtol_knows_bases_and_limits() {
    assert_eq!(integer(c"  -17x", 10), (-17, 5, 0));
    assert_eq!(integer(c"0x7fz", 0), (127, 4, 0));
    assert_eq!(integer(c"0x", 16), (0, 1, 0));
    assert_eq!(integer(c"0789", 0), (7, 2, 0));
    assert_eq!(integer(c"zZ", 36), (35 * 36 + 35, 2, 0));
    assert_eq!(integer(c"9223372036854775807", 10), (i64::MAX, 19, 0));
    assert_eq!(
        integer(c"9223372036854775808", 10),
        (i64::MAX, 19, libc::ERANGE)
    );
    assert_eq!(
        integer(c"-9223372036854775809", 10),
        (i64::MIN, 20, libc::ERANGE)
    );
    assert_eq!(unsigned(c"18446744073709551615", 10), (u64::MAX, 20, 0));
    assert_eq!(
        unsigned(c"18446744073709551616", 10),
        (u64::MAX, 20, libc::ERANGE)
    );
    assert_eq!(unsigned(c"-1", 10), (u64::MAX, 2, 0));
    for base in [1, 37, -1] {
        let (value, _, error) = integer(c"10", base);
        assert_eq!((value, error), (0, libc::EINVAL), "base {base}");
        let (value, _, error) = unsigned(c"10", base);
        assert_eq!((value, error), (0, libc::EINVAL), "base {base}");
    }
}

fn real(text: &CStr) -> (f64, usize, c_int) {
    let mut end = null_mut();
    more::set_errno(0);
    let value = sys!(strtod(text.as_ptr(), &mut end));
    (
        value,
        end.addr().wrapping_sub(text.as_ptr().addr()),
        errno(),
    )
}

fn real32(text: &CStr) -> (f32, c_int) {
    more::set_errno(0);
    let value = sys!(strtof(text.as_ptr(), null_mut()));
    (value, errno())
}

fn strtod_reads_decimals() {
    assert_eq!(real(c" -1.5e3x"), (-1500.0, 7, 0));
    assert_eq!(real(c".5."), (0.5, 2, 0));
    assert_eq!(real(c"5.e1"), (50.0, 4, 0));
    assert_eq!(real(c"1e"), (1.0, 1, 0));
    assert_eq!(real(c"1e+"), (1.0, 1, 0));
    assert_eq!(real(c"-.e1"), (0.0, 0, 0));
    assert_eq!(real(c""), (0.0, 0, 0));
    assert_eq!(real(c"9007199254740993"), (9007199254740992.0, 16, 0));
    assert_eq!(real(c"inFinity!"), (f64::INFINITY, 8, 0));
    assert_eq!(real(c"-infinit"), (-f64::INFINITY, 4, 0));
    assert!(real(c"nan").0.is_nan());
    assert!(real(c"-0").0.is_sign_negative());
}

fn strtod_reads_hexadecimals() {
    assert_eq!(real(c"0x1p4"), (16.0, 5, 0));
    assert_eq!(real(c"-0x1.8p1z"), (-3.0, 8, 0));
    assert_eq!(real(c"0x.8"), (0.5, 4, 0));
    assert_eq!(real(c"0xfe"), (254.0, 4, 0));
    assert_eq!(real(c"0x1p"), (1.0, 3, 0));
    assert_eq!(real(c"0xg"), (0.0, 1, 0));
    assert_eq!(real(c"0x1.999999999999ap-4"), (0.1, 20, 0));
    // Half a last place: to even; and a little more than half.
    assert_eq!(real(c"0x1.00000000000008p0").0, 1.0);
    assert_eq!(real(c"0x1.00000000000018p0").0, 1.0 + 2.0 * f64::EPSILON);
    assert_eq!(
        real(c"0x1.000000000000080000000000000001p0").0,
        1.0 + f64::EPSILON
    );
    assert_eq!(real(c"0x100000000000000000000000p-96"), (1.0 / 16.0, 30, 0));
    assert_eq!(real(c"0x1p-1074"), (f64::from_bits(1), 9, 0));
    assert_eq!(real(c"0x1.fffffffffffffp1023"), (f64::MAX, 22, 0));
}

fn strtod_says_what_is_out_of_range() {
    let beyond = libc::ERANGE;
    assert_eq!(real(c"1e400"), (f64::INFINITY, 5, beyond));
    assert_eq!(real(c"-1e400"), (-f64::INFINITY, 6, beyond));
    assert_eq!(real(c"1e-400"), (0.0, 6, beyond));
    assert_eq!(real(c"0e400"), (0.0, 5, 0));
    assert_eq!(real(c"1e-310").2, beyond);
    assert_eq!(real(c"0x1p1024"), (f64::INFINITY, 8, beyond));
    assert_eq!(
        real(c"0x1.fffffffffffff8p1023"),
        (f64::INFINITY, 23, beyond)
    );
    assert_eq!(real(c"0x1p-1076"), (0.0, 9, beyond));
    for power in [1100, 2973, 3022, 4000, 5120, 1_000_000] {
        let text = format!("-0x1p{power}");
        let expected = (-f64::INFINITY, text.len(), beyond);
        assert_eq!(real(&c(&text)), expected, "{text}");
    }
    assert_eq!(real(c"0x1p999999999999999999999").0, f64::INFINITY);
    assert_eq!(real(c"0x1p-999999999999999999999").0, 0.0);
    assert_eq!(real32(c"1e39"), (f32::INFINITY, beyond));
    assert_eq!(real32(c"1e-46"), (0.0, beyond));
    assert_eq!(real32(c"0x1p-149"), (f32::from_bits(1), 0));
}

fn strtof_rounds_once() {
    // Just above the middle of two neighbours; as a double it is the middle, which goes to the even one.
    let text = c"1.00000017881393432617187500000000000000000001";
    assert_eq!(real32(text).0, f32::from_bits(1.0f32.to_bits() + 2));
    assert_eq!(
        real32(c"0x1.00000300000001p0").0,
        f32::from_bits(1.0f32.to_bits() + 2)
    );
    assert_eq!(real32(c"16777217").0, 16777216.0);
    assert_eq!(real32(c"3.4028235e38"), (f32::MAX, 0));
}

fn strtod_reads_no_more_than_the_number() {
    // A hundred thousand numbers in one text: seconds, if each call read to the end of it.
    let count = 100_000;
    let text = CString::new("1.25 ".repeat(count)).expect("no NUL");
    let (mut at, mut sum) = (text.as_ptr().cast_mut(), 0.0);
    let start = std::time::Instant::now();
    for _ in 0..count {
        sum += sys!(strtod(at, &mut at));
    }
    assert_eq!(sum, 1.25 * count as f64);
    assert!(
        start.elapsed().as_secs() < 10,
        "it took {:?}",
        start.elapsed()
    );
}
