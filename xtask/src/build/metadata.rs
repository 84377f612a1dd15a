//! What the image's Cargo.toml says about it: the user programs, and where local packages live.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{cli::BuildOptions, process, project::Project};

/// A program that the user added to the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name in `/bin`.
    pub name: String,
    /// Package of the workspace.
    pub package: String,
    /// Binary of that package.
    pub bin: String,
}

pub struct Metadata {
    pub programs: Vec<Program>,
    /// Folders of local packages outside the repository.
    pub folders: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct CargoMetadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    #[serde(default)]
    metadata: Option<PackageMetadata>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize, Default)]
struct PackageMetadata {
    #[serde(default)]
    image: Option<ImageMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ImageMetadata {
    #[serde(default)]
    programs: BTreeMap<String, Source>,
    /// What only images for tests hold.
    #[serde(default)]
    test_programs: BTreeMap<String, Source>,
}

/// `NAME = "package"` or `NAME = { package = "…", bin = "…" }`.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Source {
    Package(String),
    Full {
        package: String,
        bin: Option<String>,
    },
}

/// Asks cargo; nothing is compiled.
pub fn read(project: &Project, options: &BuildOptions) -> Result<Metadata> {
    let text =
        process::capture(
            project
                .cargo()
                .args(["metadata", "--no-deps", "--format-version=1"]),
        )?;
    let metadata: CargoMetadata = serde_json::from_slice(&text).context(
        "`cargo metadata` printed what it should not, or [package.metadata.image] is wrong",
    )?;
    let folders = metadata
        .packages
        .iter()
        .filter_map(|package| package.manifest_path.parent())
        .filter(|folder| !folder.starts_with(&project.root))
        .map(Into::into)
        .collect();
    let programs = programs(&metadata, options.tests)?;
    Ok(Metadata { programs, folders })
}

fn programs(metadata: &CargoMetadata, tests: bool) -> Result<Vec<Program>> {
    let image = metadata
        .packages
        .iter()
        .find(|package| package.name == "rustos")
        .and_then(|package| package.metadata.as_ref()?.image.as_ref());
    let Some(image) = image else {
        return Ok(Vec::new());
    };
    let mut sources = image.programs.clone();
    if tests {
        // One that every image holds may be named for tests as well.
        sources.extend(image.test_programs.clone());
    }
    sources
        .iter()
        .map(|(name, source)| program(metadata, name, source))
        .collect()
}

fn program(metadata: &CargoMetadata, name: &str, source: &Source) -> Result<Program> {
    let (package, bin) = match source {
        Source::Package(package) => (package, None),
        Source::Full { package, bin } => (package, bin.as_deref()),
    };
    let Some(found) = metadata.packages.iter().find(|p| &p.name == package) else {
        bail!("program `{name}`: no package `{package}` in the workspace; put its folder in apps/");
    };
    let bins: Vec<_> = found
        .targets
        .iter()
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
        .map(|target| target.name.as_str())
        .collect();
    let bin = match (bin, &bins[..]) {
        (Some(bin), _) if bins.contains(&bin) => bin,
        (None, [only]) => only,
        (None, _) if bins.contains(&name) => name,
        _ => bail!("program `{name}`: package `{package}` has the binaries {bins:?}; name one"),
    };
    Ok(Program {
        name: name.into(),
        package: package.clone(),
        bin: bin.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(image: &str) -> CargoMetadata {
        let text = format!(
            r#"{{"packages": [
                {{"name": "rustos", "manifest_path": "/r/Cargo.toml", "targets": [],
                  "metadata": {{"image": {{"programs": {image}, "test-programs": {{"t": "hello"}}}}}}}},
                {{"name": "hello", "manifest_path": "/r/apps/hello/Cargo.toml", "metadata": null,
                  "targets": [{{"name": "hello", "kind": ["bin"]}}]}},
                {{"name": "two", "manifest_path": "/r/apps/two/Cargo.toml",
                  "targets": [{{"name": "a", "kind": ["bin"]}}, {{"name": "b", "kind": ["bin"]}}]}}
            ]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn one_line_adds_a_program() {
        let programs = programs(&workspace(r#"{"hi": "hello"}"#), false).unwrap();
        let expected = Program {
            name: "hi".into(),
            package: "hello".into(),
            bin: "hello".into(),
        };
        assert_eq!(programs, [expected]);
    }

    #[test]
    fn only_images_for_tests_hold_test_programs() {
        let names = |tests| -> Vec<String> {
            let programs = programs(&workspace(r#"{"hi": "hello"}"#), tests).unwrap();
            programs.into_iter().map(|program| program.name).collect()
        };
        assert_eq!(names(false), ["hi"]);
        assert_eq!(names(true), ["hi", "t"]);
    }

    #[test]
    fn a_package_of_several_binaries_needs_one_named() {
        assert!(programs(&workspace(r#"{"x": "two"}"#), false).is_err());
        let named = r#"{"x": {"package": "two", "bin": "b"}}"#;
        assert_eq!(programs(&workspace(named), false).unwrap()[0].bin, "b");
        let alike = workspace(r#"{"a": "two"}"#);
        assert_eq!(programs(&alike, false).unwrap()[0].bin, "a");
    }

    #[test]
    fn an_unknown_package_is_an_error_that_names_it() {
        let error = programs(&workspace(r#"{"x": "nowhere"}"#), false).unwrap_err();
        assert!(error.to_string().contains("nowhere"));
    }
}
