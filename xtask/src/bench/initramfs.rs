//! The Linux guest's root file system: an archive in the "newc" form that the kernel unpacks at boot.

use std::{io::Write, path::Path};

use anyhow::{Context, Result};
use cpio::{NewcBuilder, newc};
use fs_err as fs;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

pub struct Archive<W: Write> {
    to: W,
    next_inode: u32,
}

impl<W: Write> Archive<W> {
    pub fn new(to: W) -> Self {
        Self { to, next_inode: 1 }
    }

    pub fn folder(&mut self, path: &str) -> Result<()> {
        self.entry(path, FOLDER, b"")
    }

    pub fn program(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, PROGRAM, content)
    }

    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.entry(path, LINK, target.as_bytes())
    }

    /// Everything below `from`, at `to` (empty, or ending with a slash).
    pub fn tree(&mut self, from: &Path, to: &str) -> Result<()> {
        let mut entries = fs::read_dir(from)?.collect::<std::io::Result<Vec<_>>>()?;
        // The order of a folder is the host's; the archive's must not be.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = format!("{to}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.folder(&path)?;
                self.tree(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_symlink() {
                self.link(&path, &fs::read_link(entry.path())?.to_string_lossy())?;
            } else {
                self.entry(&path, FILE, &fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Result<W> {
        newc::trailer(self.to).context("the archive's end")
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len())
            .with_context(|| format!("{path} does not fit in the archive"))?;
        let header = NewcBuilder::new(path).ino(self.next_inode).mode(mode);
        self.next_inode += 1;
        let mut writer = header.write(&mut self.to, size);
        writer.write_all(content)?;
        writer
            .finish()
            .with_context(|| format!("{path} in the archive"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_can_be_read_back() {
        let mut archive = Archive::new(Vec::new());
        archive.folder("bin").unwrap();
        archive.program("bin/a", b"content").unwrap();
        archive.link("bin/b", "a").unwrap();
        let bytes = archive.finish().unwrap();
        let mut rest = &bytes[..];
        let mut seen = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut content).unwrap();
            let entry = reader.entry();
            seen.push((entry.name().to_owned(), entry.mode(), content));
            rest = reader.finish().unwrap();
        }
        assert_eq!(
            seen,
            [
                ("bin".into(), FOLDER, vec![]),
                ("bin/a".into(), PROGRAM, b"content".to_vec()),
                ("bin/b".into(), LINK, b"a".to_vec()),
            ]
        );
    }
}
