//! `<locale.h>`, `<langinfo.h>`: the C locale with UTF-8, whatever it is called.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

/// `struct lconv` of musl: ten strings, fourteen chars, among them in this order.
#[repr(C)]
pub struct Lconv {
    decimal_point: *const c_char,
    thousands_sep: *const c_char,
    grouping: *const c_char,
    int_curr_symbol: *const c_char,
    currency_symbol: *const c_char,
    mon_decimal_point: *const c_char,
    mon_thousands_sep: *const c_char,
    mon_grouping: *const c_char,
    positive_sign: *const c_char,
    negative_sign: *const c_char,
    chars: [c_char; 14],
}

// SAFETY: the strings are constants.
unsafe impl Sync for Lconv {}

const EMPTY: *const c_char = c"".as_ptr();
static LCONV: Lconv = Lconv {
    decimal_point: c".".as_ptr(),
    thousands_sep: EMPTY,
    grouping: EMPTY,
    int_curr_symbol: EMPTY,
    currency_symbol: EMPTY,
    mon_decimal_point: EMPTY,
    mon_thousands_sep: EMPTY,
    mon_grouping: EMPTY,
    positive_sign: EMPTY,
    negative_sign: EMPTY,
    chars: [c_char::MAX; 14],
};

#[unsafe(no_mangle)]
pub extern "C" fn localeconv() -> *const Lconv {
    &raw const LCONV
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setlocale(category: c_int, name: *const c_char) -> *mut c_char {
    if !(0..=6).contains(&category) {
        return null_mut();
    }
    if !name.is_null() {
        let name = crate::string::bytes(name);
        if name.len() > 23 {
            return null_mut();
        }
    }
    c"C.UTF-8".as_ptr().cast_mut()
}

static LOCALE: u8 = 0;

#[unsafe(no_mangle)]
pub extern "C" fn newlocale(_mask: c_int, _name: *const c_char, _base: *mut c_void) -> *mut c_void {
    (&raw const LOCALE).cast_mut().cast()
}
#[unsafe(no_mangle)]
pub extern "C" fn duplocale(_l: *mut c_void) -> *mut c_void {
    (&raw const LOCALE).cast_mut().cast()
}
#[unsafe(no_mangle)]
pub extern "C" fn freelocale(_l: *mut c_void) {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn uselocale(new: *mut c_void) -> *mut c_void {
    // LC_GLOBAL_LOCALE is -1.
    let this = crate::tcb::this();
    let old = (*this).locale;
    if !new.is_null() {
        (*this).locale = new;
    }
    if old.is_null() {
        usize::MAX as *mut c_void
    } else {
        old
    }
}

static TIME: [&core::ffi::CStr; 44] = [
    c"Sun",
    c"Mon",
    c"Tue",
    c"Wed",
    c"Thu",
    c"Fri",
    c"Sat",
    c"Sunday",
    c"Monday",
    c"Tuesday",
    c"Wednesday",
    c"Thursday",
    c"Friday",
    c"Saturday",
    c"Jan",
    c"Feb",
    c"Mar",
    c"Apr",
    c"May",
    c"Jun",
    c"Jul",
    c"Aug",
    c"Sep",
    c"Oct",
    c"Nov",
    c"Dec",
    c"January",
    c"February",
    c"March",
    c"April",
    c"May",
    c"June",
    c"July",
    c"August",
    c"September",
    c"October",
    c"November",
    c"December",
    c"AM",
    c"PM",
    c"%a %b %e %T %Y",
    c"%m/%d/%y",
    c"%H:%M:%S",
    c"%I:%M:%S %p",
];

/// Items are `category << 16 | index`, as the constants of `<langinfo.h>` are.
#[unsafe(no_mangle)]
pub extern "C" fn nl_langinfo(item: c_int) -> *mut c_char {
    let text = match (item >> 16, (item & 0xffff) as usize) {
        (0, 14) => c"UTF-8",
        (1, 0) => c".",
        (2, i) if i < TIME.len() => TIME[i],
        (4, _) => c"-",
        (5, 0) => c"^[yY]",
        (5, 1) => c"^[nN]",
        _ => c"",
    };
    text.as_ptr().cast_mut()
}

#[unsafe(no_mangle)]
pub extern "C" fn nl_langinfo_l(item: c_int, _l: *mut c_void) -> *mut c_char {
    nl_langinfo(item)
}

#[unsafe(no_mangle)]
pub extern "C" fn __ctype_get_mb_cur_max() -> usize {
    4
}
