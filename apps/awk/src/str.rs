//! Byte strings: short ones live inline, long ones are shared. Data are bytes; characters are
//! counted as UTF-8 only where awk asks for them, and a string remembers whether it is ASCII.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

const INLINE: usize = 22;

#[derive(Clone, Copy, PartialEq)]
enum Ascii {
    Unknown,
    Yes,
    No,
}

/// The shared part of a long string.
pub struct Heap {
    bytes: Vec<u8>,
    ascii: Cell<Ascii>,
}

impl Clone for Heap {
    fn clone(&self) -> Self {
        Heap {
            bytes: self.bytes.clone(),
            ascii: Cell::new(self.ascii.get()),
        }
    }
}

/// An immutable-by-value byte string that is cheap to clone.
#[derive(Clone)]
pub enum Str {
    Inline(u8, [u8; INLINE]),
    /// Whether it is ASCII, and the bytes: one allocation.
    Shared(bool, Rc<[u8]>),
    /// A string that was or will be built up.
    Heap(Rc<Heap>),
}

impl Str {
    pub const EMPTY: Str = Str::Inline(0, [0; INLINE]);

    #[inline]
    pub fn new(bytes: &[u8]) -> Str {
        if bytes.len() <= INLINE {
            let mut buf = [0; INLINE];
            buf[..bytes.len()].copy_from_slice(bytes);
            Str::Inline(bytes.len() as u8, buf)
        } else {
            Str::Shared(bytes.is_ascii(), Rc::from(bytes))
        }
    }

    #[inline]
    pub fn from_vec(bytes: Vec<u8>) -> Str {
        if bytes.len() <= INLINE {
            Str::new(&bytes)
        } else {
            Str::from_heap(bytes)
        }
    }

    fn from_heap(bytes: Vec<u8>) -> Str {
        Str::Heap(Rc::new(Heap {
            bytes,
            ascii: Cell::new(Ascii::Unknown),
        }))
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Str::Inline(len, buf) => &buf[..*len as usize],
            Str::Shared(_, bytes) => bytes,
            Str::Heap(heap) => &heap.bytes,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Str::Inline(len, _) => *len as usize,
            Str::Shared(_, bytes) => bytes.len(),
            Str::Heap(heap) => heap.bytes.len(),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Whether byte positions are character positions.
    pub fn is_ascii(&self) -> bool {
        match self {
            Str::Inline(len, buf) => buf[..*len as usize].is_ascii(),
            Str::Shared(ascii, _) => *ascii,
            Str::Heap(heap) => match heap.ascii.get() {
                Ascii::Yes => true,
                Ascii::No => false,
                Ascii::Unknown => {
                    let ascii = heap.bytes.is_ascii();
                    heap.ascii.set(if ascii { Ascii::Yes } else { Ascii::No });
                    ascii
                }
            },
        }
    }

    /// Number of characters, an invalid byte counting as one.
    pub fn chars(&self) -> usize {
        if self.is_ascii() {
            self.len()
        } else {
            char_count(self.as_bytes())
        }
    }

    /// Appends in place when nobody else holds this string, so that building one up is linear.
    pub fn push(&mut self, more: &[u8]) {
        match self {
            Str::Inline(len, buf) => {
                let old = *len as usize;
                let new = old + more.len();
                if new <= INLINE {
                    buf[old..new].copy_from_slice(more);
                    *len = new as u8;
                } else {
                    let mut bytes = Vec::with_capacity(new * 2);
                    bytes.extend_from_slice(&buf[..old]);
                    bytes.extend_from_slice(more);
                    *self = Str::from_heap(bytes);
                }
            }
            Str::Shared(_, old) => {
                let mut bytes = Vec::with_capacity((old.len() + more.len()) * 2);
                bytes.extend_from_slice(old);
                bytes.extend_from_slice(more);
                *self = Str::from_heap(bytes);
            }
            Str::Heap(rc) => {
                let heap = Rc::make_mut(rc);
                heap.bytes.extend_from_slice(more);
                heap.ascii.set(Ascii::Unknown);
            }
        }
    }
}

impl From<&str> for Str {
    fn from(s: &str) -> Str {
        Str::new(s.as_bytes())
    }
}

impl PartialEq for Str {
    #[inline]
    fn eq(&self, other: &Str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl Hash for Str {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

/// Length in bytes of the character that starts `bytes` (which is not empty); 1 for a byte that
/// starts no valid one.
#[inline]
pub fn char_len(bytes: &[u8]) -> usize {
    let b = bytes[0];
    if b < 0x80 {
        return 1;
    }
    let want = match b {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return 1,
    };
    match bytes.get(..want) {
        Some(seq) if std::str::from_utf8(seq).is_ok() => want,
        _ => 1,
    }
}

/// The character that starts `bytes`, if it is a valid one, and its length in bytes.
pub fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    let n = char_len(bytes);
    let c = std::str::from_utf8(&bytes[..n])
        .ok()
        .and_then(|s| s.chars().next());
    (c, n)
}

pub fn char_count(bytes: &[u8]) -> usize {
    if let Ok(s) = std::str::from_utf8(bytes) {
        return s.chars().count();
    }
    let mut rest = bytes;
    let mut n = 0;
    while !rest.is_empty() {
        rest = &rest[char_len(rest)..];
        n += 1;
    }
    n
}

/// Byte offset of character number `n` (from 0), or the length if there are fewer.
pub fn char_offset(bytes: &[u8], n: usize) -> usize {
    let mut at = 0;
    for _ in 0..n {
        if at >= bytes.len() {
            break;
        }
        at += char_len(&bytes[at..]);
    }
    at
}

/// A multiply-fold hash over eight-byte words: keys are short and come from the program's own data.
#[derive(Clone, Copy, Default)]
pub struct FoldHasher(u64);

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl Hasher for FoldHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        const K: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut h = self.0 ^ (bytes.len() as u64).wrapping_mul(0xa076_1d64_78bd_642f);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
            h = fold(h ^ word, K);
        }
        let rest = chunks.remainder();
        let mut word = 0u64;
        for &b in rest {
            word = word << 8 | u64::from(b);
        }
        self.0 = fold(h ^ word ^ 0x2d35_8dcc_aa6c_78a5, K);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

pub type FoldState = std::hash::BuildHasherDefault<FoldHasher>;

impl std::fmt::Debug for Str {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}
