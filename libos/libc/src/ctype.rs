//! `<ctype.h>` in the C locale.

use core::ffi::c_int;

macro_rules! classes {
    ($($name:ident = $c:ident => $e:expr;)*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(c: c_int) -> c_int {
            u8::try_from(c).is_ok_and(|$c| $e) as c_int
        }
    )* };
}

classes! {
    isalnum = c => c.is_ascii_alphanumeric();
    isalpha = c => c.is_ascii_alphabetic();
    isascii = c => c.is_ascii();
    isblank = c => c == b' ' || c == b'\t';
    iscntrl = c => c.is_ascii_control();
    isdigit = c => c.is_ascii_digit();
    isgraph = c => c.is_ascii_graphic();
    islower = c => c.is_ascii_lowercase();
    isprint = c => c == b' ' || c.is_ascii_graphic();
    ispunct = c => c.is_ascii_punctuation();
    isspace = c => c == b' ' || (9..=13).contains(&c);
    isupper = c => c.is_ascii_uppercase();
    isxdigit = c => c.is_ascii_hexdigit();
}

#[unsafe(no_mangle)]
pub extern "C" fn tolower(c: c_int) -> c_int {
    if (b'A' as c_int..=b'Z' as c_int).contains(&c) {
        c | 32
    } else {
        c
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn toupper(c: c_int) -> c_int {
    if (b'a' as c_int..=b'z' as c_int).contains(&c) {
        c & !32
    } else {
        c
    }
}
