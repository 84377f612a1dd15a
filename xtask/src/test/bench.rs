//! The benchmark tested: it counts the same twice, notices a call that became slower, and its page
//! shows its charts in a browser. The image it measures must not outgrow its limit.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use wait_timeout::ChildExt;

use super::report::Report;
use crate::{
    bench,
    build::{self, Image},
    cli::{BenchGuest, BenchOptions, BuildOptions},
    project::Project,
    setup,
    size::Size,
};

/// Measures of each kind, small enough for a test: calls, memory, processes, files, the shell.
const NAMES: &[&str] = &[
    "boot_to_init",
    "boot_to_first_line",
    "getpid",
    "clock_gettime",
    "open_close",
    "fault_cow",
    "malloc_mix",
    "pipe_round_trip",
    "posix_spawn",
    "thread",
    "sig_deliver",
    "file_create_0k",
    "ram_process",
    "ram_thread",
    "job_sh",
];
/// Bytes of a release image with everything in it.
const LARGEST_IMAGE: u64 = 24_000_000;
/// What a browser may take to show one page, on a busy host.
const BROWSER_LIMIT: Duration = Duration::from_secs(120);

/// `all` makes a missing browser a failure.
pub fn run(project: &Project, suite: &str, all: bool, report: &mut Report) -> Result<()> {
    let folder = project.target.join("bench-test");
    fs::create_dir_all(&folder)?;
    const PAGE: &str = "the page shows its charts in a browser";
    match browser(project) {
        Ok(browser) => {
            let shown = text(charts_are_there(project, &browser, &folder));
            report.record(suite, PAGE, shown);
        }
        Err(why) if all => report.failed(suite, PAGE, &format!("{why:#}")),
        Err(why) => report.skipped(suite, PAGE, &format!("{why:#}").replace('\n', " ")),
    }
    let images = build::image(project, &BuildOptions::default()).and_then(|usual| {
        let slow = BuildOptions {
            slow: true,
            ..BuildOptions::default()
        };
        Ok((usual, build::image(project, &slow)?))
    });
    let (usual, slow) = match images {
        Ok(images) => images,
        Err(error) => {
            report.failed(suite, "builds", &format!("{error:#}"));
            return Ok(());
        }
    };
    report.record(suite, "the image is at most 24 MB", text(is_small(&usual)));
    let kept = folder.join("usual.json");
    let twice = BenchOptions {
        check_repeat: true,
        json: Some(kept.clone()),
        ..options(&usual, &folder, NAMES)
    };
    report.record(
        suite,
        "two counts agree to within 0.5%",
        ends_with(project, &twice, 0),
    );
    let same = BenchOptions {
        against: Some(kept.clone()),
        ..options(&usual, &folder, &["getpid", "open_close"])
    };
    report.record(
        suite,
        "the same image is not slower than itself",
        ends_with(project, &same, 0),
    );
    let slower = BenchOptions {
        against: Some(kept),
        ..options(&slow, &folder, &["getpid", "open_close"])
    };
    report.record(
        suite,
        "a call made slower is noticed",
        ends_with(project, &slower, bench::STATUS_SLOWER),
    );
    Ok(())
}

fn is_small(image: &Image) -> Result<()> {
    let size = fs::metadata(&image.file)?.len();
    if size > LARGEST_IMAGE {
        bail!("{size} bytes, more than {LARGEST_IMAGE}");
    }
    Ok(())
}

fn options(image: &Image, folder: &Path, names: &[&str]) -> BenchOptions {
    BenchOptions {
        names: names.iter().map(|&name| name.into()).collect(),
        list: false,
        cores: 1,
        runs: 0,
        memory: Size::GIB,
        json: None,
        against: None,
        peer: None,
        check_repeat: false,
        only: Some(BenchGuest::Direct),
        record: false,
        report: Some(folder.join("report.html")),
        image: Some(image.file.clone()),
    }
}

fn ends_with(project: &Project, options: &BenchOptions, expected: u8) -> Result<(), String> {
    match bench::run(project, options) {
        Ok(status) if status == expected => Ok(()),
        Ok(status) => Err(format!("bench ended with {status} instead of {expected}")),
        Err(error) => Err(format!("{error:#}")),
    }
}

fn text(result: Result<()>) -> Result<(), String> {
    result.map_err(|error| format!("{error:#}"))
}

/// A browser that can be run without a screen; installed where that is possible.
fn browser(project: &Project) -> Result<PathBuf> {
    setup::ensure(project, &[setup::Need::Browser])?;
    setup::browser().context("no browser")
}

/// Opens the page of the last recorded results and looks for its charts in what the browser made of it.
fn charts_are_there(project: &Project, browser: &Path, folder: &Path) -> Result<()> {
    let page = folder.join("recorded.html");
    fs::write(&page, bench::recorded_page(project)?)?;
    let dom = dump_dom(browser, &page, folder)?;
    if !dom.trim_end().ends_with("</html>") {
        bail!("the browser did not get to the page's end");
    }
    for chart in ["ratios", "instructions"] {
        let bars = bars_of(&dom, chart).with_context(|| format!("no chart `{chart}`"))?;
        if bars < 40 {
            bail!("chart `{chart}` has {bars} bars");
        }
    }
    let foreign = dom.replace("http://www.w3.org/2000/svg", "");
    if foreign.contains("http:") || foreign.contains("https:") || foreign.contains("<script") {
        bail!("the page needs something from outside");
    }
    Ok(())
}

/// Bars in the figure of that name.
fn bars_of(dom: &str, name: &str) -> Option<usize> {
    let (_, rest) = dom.split_once(&format!("<figure id=\"{name}\">"))?;
    let (figure, _) = rest.split_once("</figure>")?;
    Some(figure.matches("<rect ").count())
}

/// The page as the browser holds it. Its output goes to a file: a pipe that fills up would stop it.
fn dump_dom(browser: &Path, page: &Path, folder: &Path) -> Result<String> {
    let profile = folder.join("browser");
    let out = folder.join("dom.html");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            // Containers often have next to none.
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(std::process::Stdio::null())
        .stdout(fs::File::create(&out)?.into_file())
        .stderr(fs::File::create(folder.join("browser.log"))?.into_file())
        .spawn()
        .with_context(|| format!("cannot start {}", browser.display()))?;
    let Some(status) = child.wait_timeout(BROWSER_LIMIT)? else {
        child.kill()?;
        child.wait()?;
        bail!("the browser took longer than {} s", BROWSER_LIMIT.as_secs());
    };
    fs::remove_dir_all(&profile).ok();
    if !status.success() {
        bail!("the browser ended with {status}");
    }
    Ok(fs::read_to_string(&out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_counted_in_their_own_figure() {
        let dom = "<figure id=\"a\"><svg><rect x=\"1\"></rect></svg></figure>\
                   <figure id=\"b\"><svg></svg></figure><rect >";
        assert_eq!(bars_of(dom, "a"), Some(1));
        assert_eq!(bars_of(dom, "b"), Some(0));
        assert_eq!(bars_of(dom, "c"), None);
    }
}
