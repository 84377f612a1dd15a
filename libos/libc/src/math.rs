//! `<math.h>`, by the crate `libm`.

use core::ffi::c_int;

macro_rules! math {
    (1: $($f:ident $ff:ident)*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $f(x: f64) -> f64 { libm::$f(x) }
        #[unsafe(no_mangle)]
        pub extern "C" fn $ff(x: f32) -> f32 { libm::$ff(x) }
    )* };
    (2: $($f:ident $ff:ident)*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $f(x: f64, y: f64) -> f64 { libm::$f(x, y) }
        #[unsafe(no_mangle)]
        pub extern "C" fn $ff(x: f32, y: f32) -> f32 { libm::$ff(x, y) }
    )* };
}

math! { 1:
    acos acosf acosh acoshf asin asinf asinh asinhf atan atanf atanh atanhf cbrt cbrtf ceil ceilf
    cos cosf cosh coshf erf erff erfc erfcf exp expf exp2 exp2f exp10 exp10f expm1 expm1f fabs fabsf
    floor floorf lgamma lgammaf log logf log10 log10f log1p log1pf log2 log2f rint rintf round roundf
    sin sinf sinh sinhf sqrt sqrtf tan tanf tanh tanhf tgamma tgammaf trunc truncf
    j0 j0f j1 j1f y0 y0f y1 y1f
}

math! { 2:
    atan2 atan2f copysign copysignf fdim fdimf fmax fmaxf fmin fminf fmod fmodf hypot hypotf
    nextafter nextafterf pow powf remainder remainderf
}

#[unsafe(no_mangle)]
pub extern "C" fn nearbyint(x: f64) -> f64 {
    libm::rint(x)
}
#[unsafe(no_mangle)]
pub extern "C" fn nearbyintf(x: f32) -> f32 {
    libm::rintf(x)
}
#[unsafe(no_mangle)]
pub extern "C" fn fma(x: f64, y: f64, z: f64) -> f64 {
    libm::fma(x, y, z)
}
#[unsafe(no_mangle)]
pub extern "C" fn fmaf(x: f32, y: f32, z: f32) -> f32 {
    libm::fmaf(x, y, z)
}
#[unsafe(no_mangle)]
pub extern "C" fn ldexp(x: f64, n: c_int) -> f64 {
    libm::ldexp(x, n)
}
#[unsafe(no_mangle)]
pub extern "C" fn ldexpf(x: f32, n: c_int) -> f32 {
    libm::ldexpf(x, n)
}
#[unsafe(no_mangle)]
pub extern "C" fn scalbn(x: f64, n: c_int) -> f64 {
    libm::scalbn(x, n)
}
#[unsafe(no_mangle)]
pub extern "C" fn scalbnf(x: f32, n: c_int) -> f32 {
    libm::scalbnf(x, n)
}
#[unsafe(no_mangle)]
pub extern "C" fn ilogb(x: f64) -> c_int {
    libm::ilogb(x)
}
#[unsafe(no_mangle)]
pub extern "C" fn ilogbf(x: f32) -> c_int {
    libm::ilogbf(x)
}
#[unsafe(no_mangle)]
pub extern "C" fn lrint(x: f64) -> i64 {
    libm::rint(x) as i64
}
#[unsafe(no_mangle)]
pub extern "C" fn lrintf(x: f32) -> i64 {
    libm::rintf(x) as i64
}
#[unsafe(no_mangle)]
pub extern "C" fn lround(x: f64) -> i64 {
    libm::round(x) as i64
}
#[unsafe(no_mangle)]
pub extern "C" fn lroundf(x: f32) -> i64 {
    libm::roundf(x) as i64
}
#[unsafe(no_mangle)]
pub extern "C" fn llround(x: f64) -> i64 {
    libm::round(x) as i64
}
#[unsafe(no_mangle)]
pub extern "C" fn llrint(x: f64) -> i64 {
    libm::rint(x) as i64
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn frexp(x: f64, e: *mut c_int) -> f64 {
    let (m, n) = libm::frexp(x);
    *e = n;
    m
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn frexpf(x: f32, e: *mut c_int) -> f32 {
    let (m, n) = libm::frexpf(x);
    *e = n;
    m
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn modf(x: f64, i: *mut f64) -> f64 {
    let (f, n) = libm::modf(x);
    *i = n;
    f
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn modff(x: f32, i: *mut f32) -> f32 {
    let (f, n) = libm::modff(x);
    *i = n;
    f
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sincos(x: f64, s: *mut f64, c: *mut f64) {
    (*s, *c) = libm::sincos(x);
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sincosf(x: f32, s: *mut f32, c: *mut f32) {
    (*s, *c) = libm::sincosf(x);
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lgamma_r(x: f64, sign: *mut c_int) -> f64 {
    let (v, s) = libm::lgamma_r(x);
    *sign = s;
    v
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lgammaf_r(x: f32, sign: *mut c_int) -> f32 {
    let (v, s) = libm::lgammaf_r(x);
    *sign = s;
    v
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remquo(x: f64, y: f64, q: *mut c_int) -> f64 {
    let (r, n) = libm::remquo(x, y);
    *q = n;
    r
}
