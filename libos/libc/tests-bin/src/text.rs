//! `printf` and files.

use std::ffi::*;

unsafe extern "C" {
    fn snprintf(b: *mut c_char, n: usize, f: *const c_char, ...) -> i32;
}
fn fmt(want: &str, n: i32, buf: &[c_char; 3000]) {
    let s = unsafe { CStr::from_ptr(buf.as_ptr()) }.to_str().unwrap();
    assert_eq!(s, want);
    assert_eq!(n as usize, want.len());
}
macro_rules! pf { ($want:expr, $f:expr $(, $a:expr)*) => {{ let mut b = [0 as c_char; 3000]; let n = unsafe { snprintf(b.as_mut_ptr(), 3000, $f.as_ptr() $(, $a)*) }; fmt($want, n, &b) }} }
pub fn printf() {
    pf!(
        "hi 5 -7 ff 0x1f 017 x",
        c"hi %d %i %x %#x %#o %c",
        5i32,
        -7i32,
        255u32,
        31u32,
        15u32,
        b'x' as i32
    );
    pf!(
        "[   42][42   ][00042][+42][ 42]",
        c"[%5d][%-5d][%05d][%+d][% d]",
        42i32,
        42i32,
        42i32,
        42i32,
        42i32
    );
    pf!(
        "[abc][  abc][abc  ][ab]",
        c"[%s][%5s][%-5s][%.2s]",
        c"abc".as_ptr(),
        c"abc".as_ptr(),
        c"abc".as_ptr(),
        c"abc".as_ptr()
    );
    pf!(
        "3.141593 3.14 3 1e+10 1.5e-05 0.0001 1e-05 100000 1e+06",
        c"%f %.2f %.0f %g %g %g %g %g %g",
        3.14159265f64,
        3.14159,
        3.14159,
        1e10,
        1.5e-5,
        1e-4,
        1e-5,
        1e5,
        1e6
    );
    pf!(
        "1.000000e+00 1.23E-10 inf -inf nan",
        c"%e %.2E %f %f %f",
        1.0f64,
        1.234e-10,
        f64::INFINITY,
        -f64::INFINITY,
        f64::NAN
    );
    pf!(
        "0x1p+0 0x1.8p+1 0x1.999999999999ap-4 0x0p+0 0x2p+0",
        c"%a %a %a %a %.0a",
        1.0f64,
        3.0f64,
        0.1f64,
        0.0f64,
        1.75f64
    );
    pf!(
        "9223372036854775807 -1 18446744073709551615 255 -1",
        c"%lld %ld %llu %hhu %hd",
        i64::MAX,
        -1i64,
        u64::MAX,
        255u32,
        65535u32
    );
    pf!(
        "1 2 3 4 5 6 7 8 9 1.5 10",
        c"%d %d %d %d %d %d %d %d %d %g %d",
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        1.5f64,
        10
    );
    pf!(
        "1 2 3 4 5 6 7 8 9 10 11",
        c"%g %g %g %g %g %g %g %g %g %g %d",
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
    pf!(
        "[  5][5  ][002][%]",
        c"[%*d][%-*d][%.3d][%%]",
        3,
        5,
        3,
        5,
        2
    );
    pf!(
        "100 1.e+00 1.00000 0.1",
        c"%.3g %#.0e %#g %.1g",
        100.0f64,
        1.0,
        1.0,
        0.1
    );
    pf!("0.1000000000000000055511151231257827", c"%.34f", 0.1f64);
    assert_eq!(
        unsafe {
            let mut b = [0 as c_char; 4];
            snprintf(b.as_mut_ptr(), 4, c"%s".as_ptr(), c"abcdef".as_ptr())
        },
        6
    );
}

pub fn stdio() {
    use libc::*;
    unsafe {
        let path = c"/tmp/libc-test.txt".as_ptr();
        let f = fopen(path, c"w+".as_ptr());
        assert!(!f.is_null());
        for i in 0..2000 {
            assert!(fprintf(f, c"line %d\n".as_ptr(), i) > 0);
        }
        assert_eq!(ftell(f), 10 * 7 + 90 * 8 + 900 * 9 + 1000 * 10);
        rewind(f);
        let (mut l, mut n) = (std::ptr::null_mut(), 0);
        for i in 0..2000 {
            assert!(getline(&mut l, &mut n, f) > 0);
            assert_eq!(CStr::from_ptr(l).to_str().unwrap(), format!("line {i}\n"));
        }
        assert_eq!(getline(&mut l, &mut n, f), -1);
        assert_ne!(feof(f), 0);
        free(l.cast());
        fseek(f, 5, SEEK_SET);
        assert_eq!(fgetc(f), b'0' as i32);
        ungetc(b'z' as i32, f);
        assert_eq!(fgetc(f), b'z' as i32);
        assert_eq!(ftell(f), 6);
        assert_eq!(fclose(f), 0);
        assert_eq!(
            std::fs::metadata("/tmp/libc-test.txt").unwrap().len(),
            18890
        );
        std::fs::remove_file("/tmp/libc-test.txt").unwrap();
        assert!(fopen(c"/nonexist/x".as_ptr(), c"r".as_ptr()).is_null());
    }
}
