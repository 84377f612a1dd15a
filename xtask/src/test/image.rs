//! Properties of the image itself: no system calls in linked programs, and whose code is GPL's. Its size is a matter of
//! the suite `bench`. Each check is also made where it must find something.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
    process::Command,
};

use anyhow::{Context, Result};
use fs_err as fs;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use serde::Deserialize;

use super::report::Report;
use crate::{
    build::Image,
    process,
    project::{PROGRAM_TARGET, Project},
};

pub fn run(project: &Project, image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let elf = image.elf()?;
    let elf = fs::read(elf)?;
    report.record(
        suite,
        "linked programs contain no svc",
        none_of(system_calls(&elf)?, "svc in"),
    );
    report.record(
        suite,
        "one that did would be caught",
        one_is_caught(elf.clone()),
    );

    let shell = gpl_crates(project, Shell::Linked)?;
    report.record(
        suite,
        "the shell's crates are found to be GPL's",
        shell
            .contains("yash-env")
            .then_some(())
            .ok_or_else(|| format!("GPL crates with the shell: {shell:?}")),
    );
    report.record(
        suite,
        "and their functions in the image",
        some_of(functions_of(&elf, &shell)?, "none"),
    );
    let bare = gpl_crates(project, Shell::LeftOut)?;
    report.record(
        suite,
        "without the shell holds no GPL crate",
        none_of(&bare, "GPL:"),
    );
    Ok(())
}

/// No crate under the GPL has a function in `image`, an appliance.
pub fn holds_no_gpl(project: &Project, image: &Image) -> Result<Result<(), String>> {
    let shell = gpl_crates(project, Shell::Linked)?;
    let found = functions_of(&fs::read(image.elf()?)?, &shell)?;
    Ok(none_of(&found, "GPL:"))
}

fn some_of<T>(found: impl IntoIterator<Item = T>, otherwise: &str) -> Result<(), String> {
    match found.into_iter().next() {
        Some(_) => Ok(()),
        None => Err(otherwise.into()),
    }
}

fn none_of<T: Display>(found: impl IntoIterator<Item = T>, what: &str) -> Result<(), String> {
    let mut found = found.into_iter().peekable();
    if found.peek().is_none() {
        return Ok(());
    }
    Err(found
        .map(|name| format!("{what} {name}"))
        .collect::<Vec<_>>()
        .join("\n"))
}

/// An `svc` instruction, and the function that it is in.
#[derive(Debug, PartialEq, Eq)]
struct SystemCall {
    address: u64,
    function: String,
}

impl Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} at {:#x}", self.function, self.address)
    }
}

/// Where linked programs hold an `svc` instruction.
fn system_calls(elf: &[u8]) -> Result<Vec<SystemCall>> {
    let file = object::File::parse(elf)?;
    let text = file
        .section_by_name(".text")
        .context("the image has no program text")?;
    let index = text.index();
    // Mapping symbols say where code (`$x`) and data (`$d`) begin.
    let mut marks: Vec<(u64, bool)> = Vec::new();
    let mut functions: Vec<(u64, &str)> = Vec::new();
    for symbol in file
        .symbols()
        .filter(|symbol| symbol.section_index() == Some(index))
    {
        let name = symbol.name()?;
        if name.starts_with("$x") || name.starts_with("$d") {
            marks.push((symbol.address(), name.starts_with("$x")));
        } else if symbol.kind() == SymbolKind::Text {
            functions.push((symbol.address(), name));
        }
    }
    marks.sort();
    functions.sort();
    let mut found = Vec::new();
    for (number, word) in text.data()?.as_chunks::<4>().0.iter().enumerate() {
        // SVC #imm16 (Arm ARM C6.2.412): the immediate is in bits 20 to 5.
        if u32::from_le_bytes(*word) & 0xffe0_001f != 0xd400_0001 {
            continue;
        }
        let address = text.address() + 4 * number as u64;
        let mark = marks.partition_point(|&(at, _)| at <= address);
        if mark > 0 && !marks[mark - 1].1 {
            continue;
        }
        let function = functions.partition_point(|&(at, _)| at <= address);
        let name = function
            .checked_sub(1)
            .map_or("?", |index| functions[index].1);
        found.push(SystemCall {
            address,
            function: format!("{:#}", rustc_demangle::demangle(name)),
        });
    }
    Ok(found)
}

/// Puts an `svc` into the first function of `hello`, an ordinary program, and looks for it.
fn one_is_caught(mut elf: Vec<u8>) -> Result<(), String> {
    let place = |elf: &[u8]| -> Result<(u64, usize)> {
        let file = object::File::parse(elf)?;
        let text = file.section_by_name(".text").context("no program text")?;
        let (offset, _) = text.file_range().context("the text is not in the file")?;
        let function = file
            .symbols()
            .find(|symbol| {
                symbol.kind() == SymbolKind::Text
                    && symbol.name().is_ok_and(|name| {
                        format!("{:#}", rustc_demangle::demangle(name)).starts_with("hello::")
                    })
            })
            .context("no function of `hello`")?;
        let address = function.address();
        Ok((address, (offset + address - text.address()) as usize))
    };
    let (address, at) = place(&elf).map_err(|error| format!("{error:#}"))?;
    elf[at..at + 4].copy_from_slice(&0xd400_0001u32.to_le_bytes());
    let found = system_calls(&elf).map_err(|error| format!("{error:#}"))?;
    match &found[..] {
        [call] if call.address == address => Ok(()),
        other => Err(format!("an svc at {address:#x} gave {other:?}")),
    }
}

/// Functions in the image that come from one of these crates.
fn functions_of(elf: &[u8], crates: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let crates: BTreeSet<_> = crates.iter().map(|name| name.replace('-', "_")).collect();
    let file = object::File::parse(elf)?;
    let mut found = BTreeSet::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
        // `yash_env::job::…`, `<yash_env::Env as …>::…`, `<alloc::vec::Vec<yash_env::Job> as …`.
        let owner = name.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let owners = owner.filter_map(|path| path.split_once("::"));
        if owners.into_iter().any(|(krate, _)| crates.contains(krate)) {
            found.insert(name);
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Licences {
    packages: Vec<Licence>,
}

#[derive(Deserialize)]
struct Licence {
    name: String,
    license: Option<String>,
}

/// Whether an image is asked about that holds the shell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shell {
    Linked,
    LeftOut,
}

/// Names of the packages under the GPL that an image links.
fn gpl_crates(project: &Project, shell: Shell) -> Result<BTreeSet<String>> {
    let mut tree = project.cargo();
    tree.args([
        "tree",
        "--package=rustos",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
        "--target",
        PROGRAM_TARGET,
    ]);
    if shell == Shell::LeftOut {
        tree.arg("--no-default-features");
    }
    let linked = process::capture(&mut tree)?;
    let linked = String::from_utf8_lossy(&linked);
    let linked: BTreeSet<_> = linked
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut command: Command = project.cargo();
    let metadata = process::capture(command.args(["metadata", "--format-version=1"]))?;
    let licences: Licences = serde_json::from_slice(&metadata)?;
    Ok(licences
        .packages
        .iter()
        .filter(|package| linked.contains(package.name.as_str()))
        .filter(|package| only_gpl(package.license.as_deref().unwrap_or_default()))
        .map(|package| package.name.clone())
        .collect())
}

/// Whether a licence expression leaves no choice but the GPL.
fn only_gpl(expression: &str) -> bool {
    let gpl = |term: &str| term.contains("GPL") && !term.contains("LGPL");
    !expression.is_empty() && expression.replace('/', " OR ").split(" OR ").all(gpl)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with one `svc` in its code and the same bytes among its constants.
    #[test]
    fn an_svc_is_found_in_code_and_not_in_data() {
        use object::write::{Symbol, SymbolFlags, SymbolScope, SymbolSection};
        let mut file = object::write::Object::new(
            object::BinaryFormat::Elf,
            object::Architecture::Aarch64,
            object::Endianness::Little,
        );
        let text = file.section_id(object::write::StandardSection::Text);
        let words: [u32; 4] = [0xd503_201f, 0xd400_0001, 0xd65f_03c0, 0xd400_0001];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.append_section_data(text, &bytes, 4);
        for (name, value, kind) in [
            ("$x", 0, SymbolKind::Label),
            ("$d", 12, SymbolKind::Label),
            ("calls", 0, SymbolKind::Text),
        ] {
            file.add_symbol(Symbol {
                name: name.into(),
                value,
                size: 0,
                kind,
                scope: SymbolScope::Compilation,
                weak: false,
                section: SymbolSection::Section(text),
                flags: SymbolFlags::None,
            });
        }
        let found = system_calls(&file.write().unwrap()).unwrap();
        let call = SystemCall {
            address: 4,
            function: "calls".into(),
        };
        assert_eq!(found, [call]);
    }

    #[test]
    fn a_choice_is_not_the_gpl() {
        assert!(only_gpl("GPL-3.0-or-later"));
        assert!(only_gpl("AGPL-3.0"));
        assert!(!only_gpl("MIT OR GPL-2.0"));
        assert!(!only_gpl("MIT/Apache-2.0"));
        assert!(!only_gpl(""));
    }
}
