//! The arguments of a format: `va_list`, and what is taken from it by number.

use core::ffi::c_int;

/// AAPCS64, section B.4: five fields, 32 bytes, passed by reference.
#[repr(C)]
pub struct VaList {
    stack: *mut u8,
    gr_top: *mut u8,
    vr_top: *mut u8,
    gr_offs: c_int,
    vr_offs: c_int,
}

impl VaList {
    /// The next integer or pointer.
    pub unsafe fn word(&mut self) -> u64 {
        if self.gr_offs < 0 {
            let p = self.gr_top.offset(self.gr_offs as isize);
            self.gr_offs += 8;
            return *p.cast();
        }
        let p = self.stack;
        self.stack = p.add(8);
        *p.cast()
    }

    pub unsafe fn double(&mut self) -> f64 {
        if self.vr_offs < 0 {
            let p = self.vr_top.offset(self.vr_offs as isize);
            self.vr_offs += 16;
            return *p.cast();
        }
        f64::from_bits({
            let p = self.stack;
            self.stack = p.add(8);
            *p.cast()
        })
    }

    /// A `long double` is 128 bits; it is printed with a double's precision.
    pub unsafe fn long_double(&mut self) -> f64 {
        let p = if self.vr_offs < 0 {
            let p = self.vr_top.offset(self.vr_offs as isize);
            self.vr_offs += 16;
            p
        } else {
            let p = self.stack.map_addr(|a| (a + 15) & !15);
            self.stack = p.add(16);
            p
        };
        let bits = p.cast::<u128>().read_unaligned();
        let sign = (bits >> 127) as u64;
        let exp = (bits >> 112) as i64 & 0x7fff;
        let frac = bits & ((1 << 112) - 1);
        let signed = |v: f64| f64::from_bits(v.to_bits() | sign << 63);
        if exp == 0x7fff {
            return signed(if frac == 0 { f64::INFINITY } else { f64::NAN });
        }
        if exp == 0 {
            return signed(0.0);
        }
        // 61 bits with the lost ones folded into the last, then one rounding to a double's 53.
        let mantissa = (1u128 << 112) | frac;
        let top = (mantissa >> 52) as u64 | (mantissa & ((1 << 52) - 1) != 0) as u64;
        let v = libm::scalbn(top as f64, (exp - 16383 - 60).clamp(-3000, 3000) as c_int);
        signed(v)
    }
}

/// The most arguments that a format may ask for by number.
const PLACES: usize = 32;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Unknown,
    Word,
    Double,
    LongDouble,
}

/// A format's arguments: one after the other, or by number. Doubles travel as their bits.
pub struct Args<'a> {
    list: &'a mut VaList,
    /// Only types are collected; nothing is fetched.
    pub learning: bool,
    wrong: bool,
    kinds: [Kind; PLACES],
    values: [u64; PLACES],
}

impl<'a> Args<'a> {
    pub fn new(list: &'a mut VaList) -> Self {
        Args {
            list,
            learning: false,
            wrong: false,
            kinds: [Kind::Unknown; PLACES],
            values: [0; PLACES],
        }
    }

    unsafe fn fetch(&mut self, kind: Kind) -> u64 {
        match kind {
            Kind::Double => self.list.double().to_bits(),
            Kind::LongDouble => self.list.long_double().to_bits(),
            _ => self.list.word(),
        }
    }

    /// An argument by its number, or the next (0).
    pub unsafe fn get(&mut self, place: usize, kind: Kind) -> u64 {
        match (place, self.learning) {
            (0, false) => self.fetch(kind),
            (0, true) => 0,
            (1..=PLACES, false) => self.values[place - 1],
            (1..=PLACES, true) => {
                self.kinds[place - 1] = kind;
                0
            }
            _ => {
                self.wrong = true;
                0
            }
        }
    }

    /// Learning is over: fetches what has a number; one that is left out is taken for an `int`. False if one is too high.
    pub unsafe fn fetch_all(&mut self) -> bool {
        self.learning = false;
        let known = |kind: &Kind| *kind != Kind::Unknown;
        let count = self.kinds.iter().rposition(known).map_or(0, |i| i + 1);
        for i in 0..count {
            self.values[i] = self.fetch(self.kinds[i]);
        }
        !self.wrong
    }
}
