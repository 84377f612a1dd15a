//! What earlier commits measured: one JSON object a line, and the page that shows the last.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};

use super::{
    results::Results,
    table::{self, HEADINGS},
    targets,
};

use crate::project::Project;
use fs_err::{self as fs, OpenOptions};

/// The page, below the project's root.
pub const PAGE: &str = "docs/performance.md";

fn file(project: &Project) -> PathBuf {
    project.root.join("docs/bench/history.jsonl")
}

pub fn read(project: &Project) -> Result<Vec<Results>> {
    let file = file(project);
    if !file.is_file() {
        return Ok(Vec::new());
    }
    fs::read_to_string(&file)?
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}", file.display(), index + 1))
        })
        .collect()
}

/// Appends the results and writes `docs/performance.md` anew.
pub fn record(project: &Project, results: &Results) -> Result<()> {
    let file = file(project);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut line = serde_json::to_vec(results)?;
    line.push(b'\n');
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut history| history.write_all(&line))?;
    let page = project.root.join(PAGE);
    // What people have written below the mark stays.
    let kept = fs::read_to_string(&page)
        .ok()
        .and_then(|old| Some(old.split_once(MARK)?.1.to_owned()))
        .unwrap_or_else(|| "\n".into());
    Ok(fs::write(
        &page,
        format!("{}{MARK}{kept}", markdown(results)),
    )?)
}

/// Ends the generated part of the page.
const MARK: &str = "<!-- above: written by `cargo xtask bench --record` -->";

fn markdown(results: &Results) -> String {
    let mut text = format!(
        "# Performance\n\n\
         Measured {} UTC at commit {}, on {}, with {}; peer: {}. Guest instructions by\n\
         `-icount shift=0,sleep=off` on one core, exact and the same on any host. On {} core(s), {}.\n\
         A ratio says how many times more Linux takes. To repeat: `{}`; one measure: `cargo xtask bench NAME`.\n\n",
        results.date,
        results.commit,
        results.host,
        results.qemu,
        results.linux.as_deref().unwrap_or("none"),
        results.cores,
        table::wall_runs(results.runs),
        results.to_repeat(),
    );
    let behind = table::behind(results);
    if !behind.is_empty() {
        text += "## Behind Linux\n\n";
        for measured in behind {
            text += &format!(
                "- `{}` ({}): {}\n",
                measured.name,
                measured.about,
                table::ratio(measured.instruction_ratio())
            );
        }
        text += "\n";
    }
    let missed: Vec<_> = targets::all(results)
        .into_iter()
        .filter(targets::Target::is_missed)
        .collect();
    if !missed.is_empty() {
        text += "## Behind their targets\n\n";
        for target in missed {
            text += &format!("- {}\n", target.line());
        }
        text += "\n";
    }
    text += "## All measures\n\n";
    if let Some(median) = table::median_ratio(results) {
        text += &format!("Median ratio of instructions: {median:.1}.\n\n");
    }
    text += &format!(
        "| measure | {} |\n|---|{}\n",
        HEADINGS.join(" | "),
        "---:|".repeat(6)
    );
    for measured in table::in_time(results) {
        text += &format!(
            "| `{}` | {} |\n",
            measured.name,
            table::cells(measured).join(" | ")
        );
    }
    text += "\n## Size\n\n| measure | RustOS | Linux | ratio |\n|---|---:|---:|---:|\n";
    for measured in table::in_bytes(results) {
        text += &format!(
            "| `{}` ({}) | {} |\n",
            measured.name,
            measured.about,
            table::size_cells(measured).join(" | ")
        );
    }
    text += "\n";
    for size in &results.sizes {
        text += &format!("- {}: {:.2} MB\n", size.name, size.bytes as f64 / 1e6);
    }
    if !results.skipped.is_empty() {
        text += "\n## Skipped\n\n";
        for skipped in &results.skipped {
            text += &format!("- {}: {}\n", skipped.what, skipped.reason);
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::collect::Clock;
    use super::*;
    use crate::cli::BenchGuest;

    #[test]
    fn the_page_names_what_is_behind() {
        let mut results = Results::default();
        results.add("slow", BenchGuest::Direct, Clock::Instructions, 20.0);
        results.add("slow", BenchGuest::Linux, Clock::Instructions, 10.0);
        let page = markdown(&results);
        assert!(page.contains("## Behind Linux\n\n- `slow`"), "{page}");
        assert!(page.contains("| `slow` | 20.0 | 10.0 | 0.50x |"), "{page}");
    }
}
