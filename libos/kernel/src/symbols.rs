//! Names for kernel addresses, so that a trace reads `name+offset`. The build writes the table into the image after the link:
//! magic, count, `count` pairs of (offset from the kernel's base, offset of the name), then the names, NUL-terminated.

use crate::memory::layout::KERNEL_BASE;
use core::fmt;

const MAGIC: u32 = 0x4b53_594d;

#[cfg(target_os = "none")]
fn table() -> *const u8 {
    unsafe extern "C" {
        /// The linker script's: where the build writes the table.
        static __ksyms_start: u8;
    }
    &raw const __ksyms_start
}

/// A host's is empty.
#[cfg(not(target_os = "none"))]
fn table() -> *const u8 {
    static EMPTY: [u32; 2] = [0; 2];
    EMPTY.as_ptr().cast()
}

fn word(at: usize) -> u32 {
    // SAFETY: within the table, which begins with its magic, or with zeros. Volatile, since the build changes the contents behind the
    // compiler's back.
    unsafe { table().add(at).cast::<u32>().read_volatile() }
}

/// The kernel function that `address` lies in, and how far.
pub fn resolve(address: usize) -> Option<(&'static str, usize)> {
    let offset = address.checked_sub(KERNEL_BASE)? as u32;
    if word(0) != MAGIC {
        return None;
    }
    let count = word(4) as usize;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        if word(8 + 8 * middle) <= offset {
            low = middle + 1
        } else {
            high = middle
        }
    }
    let at = 8 + 8 * low.checked_sub(1)?;
    let name = word(at + 4) as usize;
    // SAFETY: as in `word`; names end with NUL within the table.
    let name = unsafe { core::ffi::CStr::from_ptr(table().add(name).cast()) };
    Some((name.to_str().ok()?, (offset - word(at)) as usize))
}

/// An address, printed as `name+0xoffset` where the table knows it.
pub struct Symbol(pub usize);

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match resolve(self.0) {
            Some((name, offset)) => write!(f, "{name}+{offset:#x}"),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
