//! `build`: kernel, user programs and root file system to objects, those and the linked programs to
//! one ELF, that to the flat image which machines load.
//!
//! The kernel and each user program are link units of their own (linked with `-r`, every symbol but
//! their surface made local), so that each has its own allocator and its own statics.

mod fingerprint;
mod kernel;
mod ksyms;
mod link;
mod metadata;
mod object_file;
mod programs;
mod rootfs;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{cli::BuildOptions, process, project::Project, setup};

/// The header of an arm64 image, and what it says where (Linux's Documentation/arch/arm64/booting).
const HEADER: u64 = 64;
const MAGIC_AT: usize = 56;
const MAGIC: &[u8] = b"ARM\x64";

/// A finished build.
#[derive(Clone, Debug)]
pub struct Image {
    /// The flat image: Linux arm64 `Image` format.
    pub file: PathBuf,
    /// The same as ELF, with symbols and line tables.
    pub elf: PathBuf,
}

impl Image {
    /// An image built earlier; its ELF stands beside it.
    pub fn existing(file: &Path) -> Result<Self> {
        let mut head = Vec::new();
        fs::File::open(file)
            .and_then(|image| image.take(HEADER).read_to_end(&mut head))
            .with_context(|| format!("cannot read {}", file.display()))?;
        if head.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) != Some(MAGIC) {
            bail!("{} is no image for arm64", file.display());
        }
        Ok(Self {
            file: file.into(),
            elf: file.with_extension("elf"),
        })
    }
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
    if fingerprint::is_current(project, options, &out)? && image.file.is_file() {
        return Ok(image);
    }
    setup::ensure(project, setup::TO_BUILD)?;
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;

    let start = Instant::now();
    let metadata = metadata::read(project, options)?;
    // Before the build: a source that is saved while it runs counts as changed afterwards.
    let fingerprint = fingerprint::take(project, options, &metadata.folders)?;
    let kernel = kernel::build(project, options, &out)?;
    let mut objects = vec![kernel.clone()];
    objects.push(ksyms::reserve(&kernel, &out)?);
    objects.push(rootfs::build(project, options, &metadata, &out)?);
    objects.extend(programs::build(project, &metadata, &out)?);
    let elf = link::image(project, options, &objects, &out)?;

    let patched = ksyms::fill(&fs::read(&elf)?)?;
    write_if_changed(&image.elf, &patched)?;
    flatten(project, &image)?;
    fingerprint::store(&fingerprint, &out)?;
    note!(
        "xtask: built {} in {:.1?}",
        image.file.display(),
        start.elapsed()
    );
    Ok(image)
}

/// The state of every source, to notice changes by.
pub fn sources(project: &Project) -> Result<impl PartialEq + use<>> {
    let tests = project.root.join("tests");
    fingerprint::take(project, &BuildOptions::default(), &[tests])
}

/// ELF to flat binary, by load address.
fn flatten(project: &Project, image: &Image) -> Result<()> {
    let objcopy = project.toolchain()?.tool("llvm-objcopy");
    process::capture(
        std::process::Command::new(objcopy)
            .args(["-O", "binary"])
            .arg(&image.elf)
            .arg(&image.file),
    )?;
    Ok(())
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
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
