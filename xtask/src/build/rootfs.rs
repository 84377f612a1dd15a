//! The root file system that is packed into the image: a ustar archive of `multicall/rootfs`.
//!
//! Two entries are made here: `.programs`, one program name a line (each becomes `/bin/NAME`), and, when
//! the build names one, `.init`, the program that the kernel starts first. The archive depends on
//! nothing but contents: same files, same bytes.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use tar::{Builder, EntryType, Header};

use super::{contents, metadata::Metadata, object_file::ObjectFile, write_if_changed};
use crate::{cli::BuildOptions, project::Project};

const FOLDER: &str = "multicall/rootfs";
const PROGRAM_LIST: &str = "multicall/programs.txt";
/// Programs that only an image with the shell has; one name a line, like the list itself.
const SHELL_NAMES: &[&str] = &["sh", "yash"];
/// Every entry's time: git keeps none. 2026-01-01 00:00 UTC.
const TIME: u64 = 1_767_225_600;

/// Packs the folder; returns the object with the archive in its section `.rootfs`.
pub fn build(
    project: &Project,
    options: &BuildOptions,
    metadata: &Metadata,
    out: &Path,
) -> Result<PathBuf> {
    let list = project.root.join(PROGRAM_LIST);
    let list = fs::read_to_string(&list)
        .with_context(|| format!("cannot read the list of programs, {}", list.display()))?;
    let user: Vec<_> = metadata
        .programs
        .iter()
        .map(|program| program.name.as_str())
        .collect();
    let names = program_names(&list, &user, options.no_shell)?;
    if let Some(init) = &options.init
        && !names.contains(init)
    {
        bail!("--init {init}: the image has no program of that name");
    }

    let mut archive = Vec::new();
    let mut tar = Builder::new(&mut archive);
    add_file(
        &mut tar,
        contents::PROGRAMS,
        0o444,
        (names.join("\n") + "\n").as_bytes(),
    )?;
    if let Some(init) = &options.init {
        add_file(&mut tar, ".init", 0o444, init.as_bytes())?;
    }
    let folder = project.root.join(FOLDER);
    add_folder(&mut tar, &folder, Path::new(""))
        .with_context(|| format!("cannot pack {}", folder.display()))?;
    tar.finish()?;
    drop(tar);

    let mut object = ObjectFile::new(".rootfs");
    object.append(&archive, 16);
    let path = out.join("rootfs.o");
    write_if_changed(&path, &object.finish()?)?;
    Ok(path)
}

/// Names for `/bin`, sorted, each once.
fn program_names(list: &str, user: &[&str], no_shell: bool) -> Result<Vec<String>> {
    let listed = list
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let listed = listed.filter(|name| !(no_shell && SHELL_NAMES.contains(name)));
    let mut names: Vec<String> = listed
        .chain(user.iter().copied())
        .map(str::to_owned)
        .collect();
    for name in &names {
        if name.contains('/') || name.len() > 100 {
            bail!("`{name}` cannot be a program's name");
        }
    }
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two programs are called `{}`", twice[0]);
    }
    Ok(names)
}

fn add_folder(tar: &mut Builder<&mut Vec<u8>>, from: &Path, inside: &Path) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = inside.join(entry.file_name());
        let name = path.to_str().context("a file name is not UTF-8")?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let mut header = header(EntryType::Directory, folder_mode(name));
            tar.append_data(&mut header, format!("{name}/"), &[][..])?;
            add_folder(tar, &entry.path(), &path)?;
        } else if kind.is_symlink() {
            let mut header = header(EntryType::Symlink, 0o777);
            tar.append_link(&mut header, name, fs::read_link(entry.path())?)?;
        } else if entry.file_name() != ".gitkeep" {
            // Of permissions git keeps one bit: whether a file is executable.
            let executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mode = match name {
                "etc/shadow" => 0o600,
                _ if executable => 0o755,
                _ => 0o644,
            };
            add_file(tar, name, mode, &fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn folder_mode(name: &str) -> u32 {
    match name {
        "root" => 0o700,
        "tmp" | "var/tmp" => 0o1777,
        _ => 0o755,
    }
}

pub(super) fn add_file(
    tar: &mut Builder<&mut Vec<u8>>,
    name: &str,
    mode: u32,
    data: &[u8],
) -> Result<()> {
    let mut header = header(EntryType::Regular, mode);
    header.set_size(data.len() as u64);
    Ok(tar.append_data(&mut header, name, data)?)
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_mtime(TIME);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_the_shell_can_be_left_out() {
        let list = "# programs\nsh\nls\n\ncat\n";
        assert_eq!(
            program_names(list, &["mine"], false).unwrap(),
            ["cat", "ls", "mine", "sh"]
        );
        assert_eq!(program_names(list, &[], true).unwrap(), ["cat", "ls"]);
    }

    #[test]
    fn a_name_taken_twice_is_refused() {
        assert!(program_names("ls\n", &["ls"], false).is_err());
        assert!(program_names("a/b\n", &[], false).is_err());
    }

    #[test]
    fn the_archive_is_the_same_each_time_and_keeps_links_and_modes() {
        let dir = std::env::temp_dir().join(format!("xtask-rootfs-{}", std::process::id()));
        fs::create_dir_all(dir.join("root")).unwrap();
        fs::write(dir.join("root/b"), "content").unwrap();
        fs::write(dir.join("a"), "").unwrap();
        std::os::unix::fs::symlink("root/b", dir.join("link")).unwrap();
        let pack = || {
            let mut archive = Vec::new();
            let mut tar = Builder::new(&mut archive);
            add_folder(&mut tar, &dir, Path::new("")).unwrap();
            tar.finish().unwrap();
            drop(tar);
            archive
        };
        let archive = pack();
        assert_eq!(archive, pack());
        let mut reader = tar::Archive::new(&archive[..]);
        let entries: Vec<_> = reader
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                (
                    path,
                    entry.header().mode().unwrap(),
                    entry.header().entry_type(),
                )
            })
            .collect();
        let expected = [
            ("a".to_string(), 0o644, EntryType::Regular),
            ("link".to_string(), 0o777, EntryType::Symlink),
            ("root/".to_string(), 0o700, EntryType::Directory),
            ("root/b".to_string(), 0o644, EntryType::Regular),
        ];
        assert_eq!(entries, expected);
        fs::remove_dir_all(dir).unwrap();
    }
}
