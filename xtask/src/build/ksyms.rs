//! The kernel's own symbol table, inside the image, so that a panic can name functions.
//!
//! Addresses are final only after the link, but the number and length of names are known before it:
//! room is reserved as an object, and filled in the linked ELF. The format is little-endian: magic and
//! count, then per symbol its offset from the kernel's base and the offset of its name from the table's
//! start, sorted by address, then the names, each ended by a NUL.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::{object_file::ObjectFile, write_if_changed};

/// "MYSK" in the bytes' order: `0x4b53594d`.
const MAGIC: u32 = 0x4b53_594d;
/// Name of a function in the table is cut to this many bytes.
const LONGEST_NAME: usize = 160;
/// How the linker script's own symbols in the kernel's text begin.
const BOUNDARY: &str = "__kernel_";

/// Makes the object that reserves the table's room.
pub fn reserve(kernel: &Path, out: &Path) -> Result<PathBuf> {
    let data = fs::read(kernel)?;
    let file = object::File::parse(&*data)?;
    // Keyed by section too: in a relocatable object every section starts at 0.
    let mut names = BTreeMap::new();
    for symbol in functions(&file) {
        let section = symbol.section_index().map_or(0, |index| index.0);
        keep_first(
            &mut names,
            (section, symbol.address()),
            name(symbol.name()?),
        );
    }
    let room = encode(
        &names
            .into_values()
            .map(|name| (0, name))
            .collect::<Vec<_>>(),
    )?
    .len();
    let mut object = ObjectFile::new(".kernel.ksyms");
    object.append(&vec![0; room], 16);
    let path = out.join("ksyms.o");
    write_if_changed(&path, &object.finish()?)?;
    Ok(path)
}

/// Returns the linked ELF with the table filled in.
pub fn fill(elf: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf)?;
    let address = |name: &str| {
        file.symbol_by_name(name)
            .map(|symbol| symbol.address())
            .with_context(|| format!("the linked image has no symbol {name}"))
    };
    let (start, end) = (address("__ksyms_start")?, address("__ksyms_end")?);
    let text = file
        .section_by_name(".kernel.text")
        .context("the image has no kernel text")?;
    let range = text.address()..text.address() + text.size();

    let mut names = BTreeMap::new();
    for symbol in functions(&file).filter(|symbol| range.contains(&symbol.address())) {
        keep_first(&mut names, symbol.address(), name(symbol.name()?));
    }
    let symbols: Vec<_> = names
        .into_iter()
        .map(|(address, name)| Ok((u32::try_from(address - range.start)?, name)))
        .collect::<Result<_>>()?;
    let table = encode(&symbols)?;
    if table.len() as u64 > end - start {
        bail!(
            "the kernel's symbol table has {} bytes, reserved were {}",
            table.len(),
            end - start
        );
    }

    let section = file
        .sections()
        .find(|s| (s.address()..s.address() + s.size()).contains(&start))
        .context("the kernel's symbol table is in no section")?;
    let (offset, _) = section
        .file_range()
        .context("the kernel's symbol table has no bytes")?;
    let at = usize::try_from(offset + (start - section.address()))?;
    let mut filled = elf.to_vec();
    filled[at..at + table.len()].copy_from_slice(&table);
    Ok(filled)
}

/// Of several names for one address keeps the one that sorts first, whatever order they come in.
fn keep_first<K: Ord>(names: &mut BTreeMap<K, String>, key: K, name: String) {
    let kept = names.entry(key).or_insert_with(|| name.clone());
    if name < *kept {
        *kept = name;
    }
}

fn functions<'data, 'file>(
    file: &'file object::File<'data>,
) -> impl Iterator<Item = object::Symbol<'data, 'file>> {
    file.symbols().filter(|symbol| {
        let code = symbol
            .section_index()
            .and_then(|index| file.section_by_index(index).ok())
            .is_some_and(|section| section.kind() == SectionKind::Text);
        // Assembly labels have no type; `$x` and `$d` are mapping symbols, and the linker script's
        // boundaries stand at functions' addresses.
        let named = symbol
            .name()
            .is_ok_and(|n| !n.is_empty() && !n.starts_with(['$', '.']) && !n.starts_with(BOUNDARY));
        code && named && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown)
    })
}

fn name(mangled: &str) -> String {
    let mut name = format!("{:#}", rustc_demangle::demangle(mangled));
    if name.len() > LONGEST_NAME {
        let cut = (0..=LONGEST_NAME)
            .rev()
            .find(|&i| name.is_char_boundary(i))
            .unwrap_or(0);
        name.truncate(cut);
    }
    name
}

fn encode(symbols: &[(u32, String)]) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    let mut names = Vec::new();
    let names_start = 8 + 8 * symbols.len();
    for (address, name) in symbols {
        entries.extend(address.to_le_bytes());
        entries.extend(u32::try_from(names_start + names.len())?.to_le_bytes());
        names.extend(name.as_bytes());
        names.push(0);
    }
    let mut table = MAGIC.to_le_bytes().to_vec();
    table.extend(u32::try_from(symbols.len())?.to_le_bytes());
    table.extend(entries);
    table.extend(names);
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_point_at_their_names() {
        let table = encode(&[(0, "first".into()), (64, "second".into())]).unwrap();
        let word = |at: usize| u32::from_le_bytes(table[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4)), (MAGIC, 2));
        assert_eq!((word(8), word(16)), (0, 64));
        assert!(table[word(12) as usize..].starts_with(b"first\0"));
        assert!(table[word(20) as usize..].starts_with(b"second\0"));
    }

    #[test]
    fn names_are_demangled_and_cut() {
        assert_eq!(
            name("_ZN4core3fmt5write17h0123456789abcdefE"),
            "core::fmt::write"
        );
        assert_eq!(name("memcpy"), "memcpy");
        assert_eq!(name(&"é".repeat(200)).len(), LONGEST_NAME);
    }
}
