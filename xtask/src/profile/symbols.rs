//! Addresses of the image to names: kernel, libc and programs are one ELF.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use object::{Object, ObjectSymbol, SymbolKind};

pub struct Symbols {
    /// By address.
    table: Vec<(u64, String)>,
}

impl Symbols {
    pub fn load(elf: &Path) -> Result<Self> {
        let bytes = fs::read(elf)?;
        let file = object::File::parse(&*bytes)?;
        let table = file
            .symbols()
            .filter(|symbol| {
                // Assembly labels have no kind; mapping symbols ($x, $d) are no names.
                !symbol.is_undefined()
                    && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown)
            })
            .filter_map(|symbol| {
                let name = symbol
                    .name()
                    .ok()
                    .filter(|n| !n.is_empty() && !n.starts_with('$'))?;
                Some((symbol.address(), readable(name)))
            })
            .collect();
        Ok(Self::new(table))
    }

    pub(super) fn new(mut table: Vec<(u64, String)>) -> Self {
        table.sort();
        table.dedup_by_key(|entry| entry.0);
        Self { table }
    }

    /// Where the kernel's operations are entered, by address.
    pub fn doors(&self) -> Vec<(u64, String)> {
        let is_door =
            |entry: &&(u64, String)| entry.1.starts_with("os_") && Self::side(entry.0) == "kernel";
        self.table.iter().filter(is_door).cloned().collect()
    }

    /// The symbol that an address is in, or the bare address.
    pub fn name(&self, address: u64) -> String {
        let after = self.table.partition_point(|entry| entry.0 <= address);
        match after.checked_sub(1).map(|index| &self.table[index]) {
            // Farther from any symbol than a function is long: not code of the image.
            Some((start, name)) if address - start < 1 << 20 => name.clone(),
            _ => format!("{address:#x}"),
        }
    }

    /// Whose code it is: the kernel has the upper half.
    pub fn side(address: u64) -> &'static str {
        if address >> 63 == 1 {
            "kernel"
        } else {
            "program"
        }
    }
}

/// Without the hash, and without what separates frames in a folded stack.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name)).replace(';', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_symbol_before_it() {
        let symbols = Symbols::new(vec![(0x2000, "b".into()), (0x1000, "a".into())]);
        assert_eq!(symbols.name(0x1000), "a");
        assert_eq!(symbols.name(0x1fff), "a");
        assert_eq!(symbols.name(0x2004), "b");
        assert_eq!(symbols.name(0x10), "0x10");
    }

    #[test]
    fn the_upper_half_is_the_kernels() {
        assert_eq!(Symbols::side(0xffff_ffff_8000_0000), "kernel");
        assert_eq!(Symbols::side(0x1000_0000), "program");
    }
}
