//! `build`: kernel, user programs and root file system to objects, those and the linked programs to
//! one ELF, that to the flat image which machines load.
//!
//! The kernel and each user program are link units of their own (linked with `-r`, every symbol but
//! their surface made local), so that each has its own allocator and its own statics.

mod contents;
mod fingerprint;
mod kernel;
mod ksyms;
mod link;
mod metadata;
mod object_file;
mod programs;
mod rootfs;

use std::{
    fs::TryLockError,
    io::Read,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use fs_err::{self as fs, File};

use crate::{cli::BuildOptions, process, project::Project, setup};
pub use contents::Contents;

/// The header of an arm64 image, and what it says where (Linux's Documentation/arch/arm64/booting).
const HEADER: u64 = 64;
const MAGIC_AT: usize = 56;
const MAGIC: &[u8] = b"ARM\x64";

/// A finished build.
#[derive(Clone, Debug)]
pub struct Image {
    /// The flat image: Linux arm64 `Image` format.
    pub file: PathBuf,
    /// The same as ELF, with symbols and line tables; it may be missing beside an image built elsewhere.
    elf: PathBuf,
}

impl Image {
    /// An image built earlier; its ELF stands beside it.
    pub fn existing(file: &Path) -> Result<Self> {
        let mut head = Vec::new();
        File::open(file).and_then(|image| image.take(HEADER).read_to_end(&mut head))?;
        if file.to_str().is_none() {
            bail!("{} is no name that QEMU could be given", file.display());
        }
        if head.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) != Some(MAGIC) {
            bail!("{} is no image for arm64", file.display());
        }
        Ok(Self {
            file: file.into(),
            elf: beside(file),
        })
    }

    pub fn elf(&self) -> Result<&Path> {
        if !self.elf.is_file() {
            bail!(
                "{} is missing: the image's symbols are taken from it",
                self.elf.display()
            );
        }
        Ok(&self.elf)
    }

    pub fn contents(&self) -> Result<Contents> {
        let name = || self.file.display().to_string();
        let image = fs::read(&self.file).with_context(name)?;
        contents::of(&image).with_context(name)
    }
}

/// FILE.elf for FILE.img, and NAME.elf for any other name.
fn beside(image: &Path) -> PathBuf {
    if image.extension().is_some_and(|end| end == "img") {
        return image.with_extension("elf");
    }
    let mut elf = image.to_owned().into_os_string();
    elf.push(".elf");
    elf.into()
}

/// `cargo xtask build`.
pub fn run(project: &Project, options: &BuildOptions) -> Result<u8> {
    let image = image(project, options)?;
    let size = fs::metadata(&image.file)?.len();
    say!("{}: {:.1} MB", image.file.display(), size as f64 / 1e6);
    Ok(0)
}

/// Builds the image unless nothing it depends on has changed.
pub fn image(project: &Project, options: &BuildOptions) -> Result<Image> {
    let out = project.target.join("rustos").join(variant(options));
    let image = Image {
        file: out.join("rustos.img"),
        elf: out.join("rustos.elf"),
    };
    let is_current = || -> Result<bool> {
        let there = image.file.is_file() && image.elf.is_file();
        Ok(there && fingerprint::is_current(project, options, &out)?)
    };
    if is_current()? {
        return Ok(image);
    }
    setup::ensure(project, setup::TO_BUILD)?;
    let _alone = alone(project)?;
    // Whoever was waited for may have made it.
    if is_current()? {
        return Ok(image);
    }
    fs::create_dir_all(&out)?;

    let start = Instant::now();
    let metadata = metadata::read(project, options)?;
    // Before the build: a source that is saved while it runs counts as changed afterwards.
    let fingerprint = fingerprint::take(project, options, &metadata.folders)?;
    // From here on until the end there is no current image for anybody to start.
    fingerprint::forget(&out)?;
    // First what finds mistakes in a moment.
    let rootfs = rootfs::build(project, options, &metadata, &out)?;
    let kernel = kernel::build(project, options, &out)?;
    let symbols = ksyms::reserve(&kernel, &out)?;
    let mut objects = vec![kernel, symbols, rootfs];
    objects.extend(programs::build(project, &metadata, &out)?);
    let elf = link::image(project, options, &objects, &out)?;

    let patched = ksyms::fill(&fs::read(&elf)?)?;
    write_if_changed(&image.elf, &patched)?;
    flatten(project, &image.elf, &image.file)?;
    fingerprint::store(&fingerprint, &out)?;
    note!(
        "xtask: built {} in {:.1?}",
        image.file.display(),
        start.elapsed()
    );
    Ok(image)
}

/// For as long as the value lives, no other xtask builds in this checkout: builds share what cargo makes, whatever the variant.
pub fn alone(project: &Project) -> Result<File> {
    let folder = project.target.join("rustos");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(".lock"))?;
    match lock.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            note!("xtask: waiting for another xtask, which builds");
            lock.file().lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("locking the build"),
    }
    Ok(lock)
}

/// The state of every source, to notice changes by.
pub fn sources(project: &Project) -> Result<impl PartialEq + use<>> {
    // Besides what the image is made of: what tests read, and what runs them.
    let others = ["README.md", "docs", "tests", "xtask"].map(|name| project.root.join(name));
    fingerprint::take(project, &BuildOptions::default(), &others)
}

/// ELF to flat binary, by load address.
fn flatten(project: &Project, elf: &Path, to: &Path) -> Result<()> {
    let objcopy = project.toolchain()?.tool("llvm-objcopy");
    // Whoever boots the old one meanwhile gets a whole image.
    let fresh = to.with_extension("img.new");
    process::capture(
        std::process::Command::new(objcopy)
            .args(["-O", "binary"])
            .arg(elf)
            .arg(&fresh),
    )?;
    Ok(fs::rename(fresh, to)?)
}

/// Folder name for one combination of options, so that switching between them builds nothing.
fn variant(options: &BuildOptions) -> String {
    let mut name = String::from(if options.debug { "debug" } else { "release" });
    if options.no_shell {
        name.push_str("-no-shell");
    }
    if options.tests {
        name.push_str("-tests");
    }
    if options.slow {
        name.push_str("-slow");
    }
    if options.frame_pointers {
        name.push_str("-frames");
    }
    if let Some(init) = &options.init {
        name.push_str("-init-");
        name.extend(
            init.chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
        );
    }
    name
}

/// Writes a file only when that changes it, so that what depends on it by time stays fresh.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    Ok(fs::write(path, content)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ending_that_images_have_is_replaced() {
        let elf = |image: &str| beside(Path::new(image)).display().to_string();
        assert_eq!(elf("a/rustos.img"), "a/rustos.elf");
        assert_eq!(elf("a/image.v2"), "a/image.v2.elf");
        assert_eq!(elf("a.b/image"), "a.b/image.elf");
    }

    #[test]
    fn every_combination_has_a_folder_of_its_own() {
        let plain = BuildOptions::default();
        let debug = BuildOptions {
            debug: true,
            ..plain.clone()
        };
        let bare = BuildOptions {
            no_shell: true,
            init: Some("a/b".into()),
            ..plain.clone()
        };
        assert_eq!(variant(&plain), "release");
        assert_eq!(variant(&debug), "debug");
        assert_eq!(variant(&bare), "release-no-shell-init-a_b");
    }
}
