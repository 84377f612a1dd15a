//! User programs: unmodified std binaries, each a link unit of its own in the image.
//!
//! rustc links the binary with `ld -r` against empty C and unwinder archives, so that exactly the C
//! symbols stay open; objcopy makes everything else local and renames `main`. A table in the section
//! `.apps` then maps names to entry points.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use fs_err as fs;

use super::{
    metadata::{Metadata, Program},
    object_file::ObjectFile,
    write_if_changed,
};
use crate::{
    process,
    project::{BUILDS_ANYWAY, PROGRAM_TARGET, Project},
};

/// An `ar` archive without members.
pub const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";

/// Builds every user program; returns their objects and the table's.
pub fn build(project: &Project, metadata: &Metadata, out: &Path) -> Result<Vec<PathBuf>> {
    let open_symbols = out.join("open");
    fs::create_dir_all(&open_symbols)?;
    for library in ["libc.a", "libunwind.a"] {
        write_if_changed(&open_symbols.join(library), EMPTY_ARCHIVE)?;
    }

    let mut objects = Vec::new();
    for program in &metadata.programs {
        let object = build_one(project, program, &open_symbols, out)
            .with_context(|| format!("program `{}`", program.name))?;
        objects.push(object);
    }
    let table = out.join("apps.o");
    write_if_changed(&table, &table_object(&metadata.programs)?)?;
    objects.push(table);
    Ok(objects)
}

fn build_one(
    project: &Project,
    program: &Program,
    open_symbols: &Path,
    out: &Path,
) -> Result<PathBuf> {
    let mut cargo = project.guest_cargo();
    cargo
        .args([
            "rustc",
            BUILDS_ANYWAY,
            "--release",
            "--target",
            PROGRAM_TARGET,
        ])
        .args([
            "--package",
            &program.package,
            "--bin",
            &program.bin,
            "--",
            "-L",
        ])
        .arg(format!("native={}", open_symbols.display()));
    // No section is collected here: `ld -r` would not see that functions need their unwind tables.
    // The image's own link collects.
    for word in [
        "-r",
        "--no-gc-sections",
        "--force-group-allocation",
        "-u",
        "main",
        "-e",
        "main",
    ] {
        cargo.arg(format!("-Clink-arg={word}"));
    }
    process::run(&mut cargo)?;

    let linked = project
        .target
        .join(PROGRAM_TARGET)
        .join("release")
        .join(&program.bin);
    let entry = entry_symbol(&program.name);
    let fresh = out.join("app.fresh.o");
    process::capture(
        Command::new(project.toolchain()?.tool("llvm-objcopy"))
            .arg(format!("--redefine-sym=main={entry}"))
            .arg("--keep-global-symbol=main")
            .arg(&linked)
            .arg(&fresh),
    )?;
    let object = out.join(format!("{entry}.o"));
    write_if_changed(&object, &fs::read(&fresh)?)?;
    fs::remove_file(&fresh)?;
    Ok(object)
}

/// The linker's name for a program's `main`.
fn entry_symbol(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("app_main_{plain}")
}

/// Entries of two pointers: NUL-terminated name, `main`.
fn table_object(programs: &[Program]) -> Result<Vec<u8>> {
    let mut object = ObjectFile::new(".apps");
    let table = object.append(&vec![0; programs.len() * 16], 8);
    for (index, program) in programs.iter().enumerate() {
        let entry = table + 16 * index as u64;
        object.refer_to_string(entry, &program.name)?;
        object.refer(entry + 8, &entry_symbol(&program.name))?;
    }
    object.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_symbol_is_a_plain_identifier() {
        assert_eq!(entry_symbol("hello"), "app_main_hello");
        assert_eq!(entry_symbol("my-tool.2"), "app_main_my_tool_2");
    }

    #[test]
    fn the_table_refers_to_each_main() {
        use object::{Object, ObjectSymbol};
        let program = |name: &str| Program {
            name: name.into(),
            package: name.into(),
            bin: name.into(),
        };
        let data = table_object(&[program("a"), program("b-c")]).unwrap();
        let file = object::File::parse(&*data).unwrap();
        let open: Vec<_> = file
            .symbols()
            .filter(|s| s.is_undefined())
            .map(|s| s.name().unwrap())
            .collect();
        assert!(
            open.contains(&"app_main_a") && open.contains(&"app_main_b_c"),
            "{open:?}"
        );
    }
}
