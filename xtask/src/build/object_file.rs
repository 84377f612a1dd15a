//! Makes small relocatable objects out of data, without an assembler.

use anyhow::Result;
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope, elf,
    write::{Object, Relocation, StandardSection, Symbol, SymbolSection},
};

/// An object with one read-only section that is loaded.
pub struct ObjectFile {
    object: Object<'static>,
    section: object::write::SectionId,
}

impl ObjectFile {
    pub fn new(section: &str) -> Self {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
        let section = object.add_section(
            Vec::new(),
            section.as_bytes().to_vec(),
            SectionKind::ReadOnlyData,
        );
        object.section_mut(section).flags = SectionFlags::Elf {
            sh_flags: u64::from(elf::SHF_ALLOC),
        };
        Self { object, section }
    }

    /// Adds bytes; returns their offset in the section.
    pub fn append(&mut self, data: &[u8], align: u64) -> u64 {
        self.object.append_section_data(self.section, data, align)
    }

    /// Fills the eight bytes at `at` with the address of a symbol defined elsewhere.
    pub fn refer(&mut self, at: u64, symbol: &str) -> Result<()> {
        let symbol = self.object.add_symbol(Symbol {
            name: symbol.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Unknown,
            scope: SymbolScope::Unknown,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        });
        self.relocate(at, symbol, 0)
    }

    /// Fills the eight bytes at `at` with the address of a NUL-terminated string, which is put in
    /// a section of its own so that this one can be an array.
    pub fn refer_to_string(&mut self, at: u64, text: &str) -> Result<()> {
        let section = self.object.section_id(StandardSection::ReadOnlyString);
        let offset =
            self.object
                .append_section_data(section, &[text.as_bytes(), b"\0"].concat(), 1);
        let symbol = self.object.section_symbol(section);
        self.relocate(at, symbol, offset as i64)
    }

    fn relocate(&mut self, at: u64, symbol: object::write::SymbolId, addend: i64) -> Result<()> {
        let flags = RelocationFlags::Elf {
            r_type: elf::R_AARCH64_ABS64,
        };
        let relocation = Relocation {
            offset: at,
            symbol,
            addend,
            flags,
        };
        Ok(self.object.add_relocation(self.section, relocation)?)
    }

    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.object.write()?)
    }
}
