//! Descriptors: what one entry of a table says (Arm ARM D8.3.2, "VMSAv8-64 descriptor formats").

use crate::base::PhysAddr;
use crate::memory::area::Protection;

/// Which door the programs of a space use; it decides who may touch their pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramKind {
    /// Linked with the kernel, runs at EL1t.
    Linked,
    /// A loaded ELF file, runs at EL0.
    Loaded,
}

/// A level-3 descriptor, or 0.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Entry(pub u64);

const VALID: u64 = 1;
/// A table at levels 1 and 2, a page at level 3.
const TABLE_OR_PAGE: u64 = 1 << 1;
const AP_EL0: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const SHARE_INNER: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
/// 16 aligned entries that map 64 adjacent, aligned KiB alike: one TLB entry may serve them.
pub const CONTIGUOUS: u64 = 1 << 52;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
/// Software (ignored by the walker): the entry holds a reference to its frame. Without it the frame is part of the image
/// or the page of zeros and is never freed.
const OWNED: u64 = 1 << 55;
/// Software: the page was written after a fork had made it read-only, and will be again after the next one.
const HOT: u64 = 1 << 56;
/// Software, in a level-2 entry: the level-3 table belongs to every linked process.
const BORROWED: u64 = 1 << 57;
/// Software: the file's own page in a private mapping, which it leaves when it is written.
const OF_FILE: u64 = 1 << 58;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// MAIR slots.
const NORMAL: u64 = 0;

/// The bits of a page with these rights; what a program may neither read, write nor execute is not valid.
pub fn attributes(kind: ProgramKind, protection: Protection) -> u64 {
    let mut bits = TABLE_OR_PAGE | NORMAL << 2 | SHARE_INNER | ACCESSED | NOT_GLOBAL;
    if !protection.is_empty() {
        bits |= VALID;
    }
    let exec = protection.contains(Protection::EXEC);
    bits |= match (kind, exec) {
        (ProgramKind::Linked, true) => UXN,
        (ProgramKind::Loaded, true) => AP_EL0 | PXN,
        (ProgramKind::Linked, false) => UXN | PXN,
        (ProgramKind::Loaded, false) => AP_EL0 | PXN | UXN,
    };
    if !protection.contains(Protection::WRITE) {
        bits |= READ_ONLY;
    }
    bits
}

impl Entry {
    pub const NONE: Entry = Entry(0);

    /// Points from level 1 or 2 to a table.
    pub fn table(table: PhysAddr) -> Self {
        Entry(table.0 as u64 | VALID | TABLE_OR_PAGE)
    }
    /// Points to a level-3 table that is not this tree's own.
    pub fn borrowed_table(table: PhysAddr) -> Self {
        Entry(table.0 as u64 | VALID | TABLE_OR_PAGE | BORROWED)
    }
    #[inline(always)]
    pub fn is_borrowed(self) -> bool {
        self.0 & BORROWED != 0
    }
    /// Maps a frame whose reference the entry takes over.
    #[inline(always)]
    pub fn owned(phys: PhysAddr, attributes: u64) -> Self {
        Entry(phys.0 as u64 | attributes | OWNED)
    }
    /// Maps a frame that is never freed.
    #[inline(always)]
    pub fn fixed(phys: PhysAddr, attributes: u64) -> Self {
        Entry(phys.0 as u64 | attributes)
    }
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
    #[inline(always)]
    pub fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }
    #[inline(always)]
    pub fn is_writable(self) -> bool {
        self.0 & (VALID | READ_ONLY) == VALID
    }
    #[inline(always)]
    pub fn is_owned(self) -> bool {
        self.0 & OWNED != 0
    }
    #[inline(always)]
    pub fn is_hot(self) -> bool {
        self.0 & HOT != 0
    }
    #[inline(always)]
    pub fn phys(self) -> PhysAddr {
        PhysAddr((self.0 & ADDRESS) as usize)
    }
    #[inline(always)]
    pub fn read_only(self) -> Self {
        Entry((self.0 | READ_ONLY) & !HOT)
    }
    /// Writable again, because it was just written.
    #[inline(always)]
    pub fn written(self) -> Self {
        Entry(self.0 & !(READ_ONLY | OF_FILE) | HOT)
    }
    /// As the page of a file that is mapped privately and has not been written there.
    pub fn of_file(self) -> Self {
        Entry(self.0 | READ_ONLY | OF_FILE)
    }
    pub fn is_of_file(self) -> bool {
        self.0 & OF_FILE != 0
    }
    /// Not to be copied ahead by fork.
    #[inline(always)]
    pub fn cold(self) -> Self {
        Entry(self.0 & !HOT)
    }
    #[inline(always)]
    pub fn invalid(self) -> Self {
        Entry(self.0 & !VALID)
    }
    /// The same frame with other rights.
    pub fn with_attributes(self, attributes: u64) -> Self {
        Entry(self.0 & (ADDRESS | OWNED | HOT | OF_FILE) | attributes)
    }
    /// The same rights for another frame, whose reference the entry takes over.
    #[inline(always)]
    pub fn replaced(self, phys: PhysAddr) -> Self {
        Entry(self.0 & !ADDRESS | phys.0 as u64 | OWNED)
    }
}
