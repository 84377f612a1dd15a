//! The results as text: for the terminal and for `docs/performance.md`.

use super::{
    results::{Figures, Measured, Results},
    targets,
};

/// Instructions or nanoseconds as people read them.
pub fn figure(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

pub fn wall(figures: &Figures) -> String {
    let Some(ns) = figures.wall_median() else {
        return "-".into();
    };
    let time = match ns {
        v if v >= 1e9 => format!("{:.2} s", v / 1e9),
        v if v >= 1e6 => format!("{:.2} ms", v / 1e6),
        v if v >= 1e3 => format!("{:.2} us", v / 1e3),
        v => format!("{v:.1} ns"),
    };
    match figures.wall_spread() {
        Some(spread) => format!("{time} ±{:.0}%", spread * 100.0),
        None => time,
    }
}

/// How wall times were taken, in words.
pub fn wall_runs(runs: u8) -> String {
    match runs {
        0 => "wall time was not taken".into(),
        1 => "wall time is that of one run".into(),
        _ => format!(
            "wall time is the median of {runs} runs, which alternate between the guests, ± half the distance between the extremes"
        ),
    }
}

pub fn instructions(figures: &Figures) -> String {
    match (figures.instructions, &figures.failed) {
        (Some(value), _) => figure(value),
        (None, Some(_)) => "FAILED".into(),
        (None, None) => "-".into(),
    }
}

pub fn ratio(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".into(),
        // What is close to 1 has to show on which side it is.
        |ratio| match ratio {
            r if r < 2.0 => format!("{r:.2}x"),
            r => format!("{r:.1}x"),
        },
    )
}

/// The cells of one row after its name.
pub fn cells(measured: &Measured) -> [String; 6] {
    [
        instructions(&measured.direct),
        instructions(&measured.linux),
        ratio(measured.instruction_ratio()),
        wall(&measured.direct),
        wall(&measured.linux),
        ratio(measured.wall_ratio()),
    ]
}

pub const HEADINGS: [&str; 6] = [
    "RustOS instr.",
    "Linux instr.",
    "ratio",
    "RustOS wall",
    "Linux wall",
    "ratio",
];

/// Measures of RAM.
pub fn in_bytes(results: &Results) -> impl Iterator<Item = &Measured> {
    let known = |m: &&Measured| m.direct.bytes.is_some() || m.linux.bytes.is_some();
    results.measures.iter().filter(known)
}

/// Measures of time.
pub fn in_time(results: &Results) -> impl Iterator<Item = &Measured> {
    let sized = |m: &&Measured| m.direct.bytes.is_none() && m.linux.bytes.is_none();
    results.measures.iter().filter(sized)
}

/// The cells of a measure of RAM after its name.
pub fn size_cells(measured: &Measured) -> [String; 3] {
    [
        bytes(measured.direct.bytes),
        bytes(measured.linux.bytes),
        ratio(measured.size_ratio()),
    ]
}

fn bytes(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(v) if v >= 1e6 => format!("{:.2} MB", v / 1e6),
        Some(v) => format!("{:.1} KiB", v / 1024.0),
    }
}

pub fn plain(results: &Results) -> String {
    let row = |name: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>16}")).collect();
        format!("{name:<20}{cells}\n")
    };
    let mut text = row("measure", &HEADINGS.map(String::from));
    for measured in in_time(results) {
        text += &row(&measured.name, &cells(measured));
    }
    for measured in in_bytes(results) {
        text += &row(&measured.name, &size_cells(measured));
    }
    for size in &results.sizes {
        text += &format!("{:<20} {:>10.2} MB\n", size.name, size.bytes as f64 / 1e6);
    }
    for measured in behind(results) {
        let ratio = ratio(measured.instruction_ratio());
        text += &format!("BEHIND Linux: {}: {ratio}\n", measured.name);
    }
    for target in targets::all(results).iter().filter(|t| t.is_missed()) {
        text += &format!("BEHIND its target: {}\n", target.line());
    }
    for measured in &results.measures {
        for (guest, figures) in [("RustOS", &measured.direct), ("Linux", &measured.linux)] {
            if let Some(why) = &figures.failed {
                text += &format!("FAILED on {guest}: {}: {why}\n", measured.name);
            }
        }
    }
    for skipped in &results.skipped {
        text += &format!("SKIPPED: {}: {}\n", skipped.what, skipped.reason);
    }
    text
}

/// Measures that take more instructions than Linux does, worst first.
pub fn behind(results: &Results) -> Vec<&Measured> {
    let mut behind: Vec<_> = results
        .measures
        .iter()
        .filter(|m| m.instruction_ratio().is_some_and(|ratio| ratio < 1.0))
        .collect();
    behind.sort_by(|a, b| {
        let ratio = |m: &Measured| m.instruction_ratio().unwrap_or(f64::INFINITY);
        ratio(a).total_cmp(&ratio(b))
    });
    behind
}

/// The middle of all ratios.
pub fn median_ratio(results: &Results) -> Option<f64> {
    let mut ratios: Vec<_> = results
        .measures
        .iter()
        .filter_map(Measured::instruction_ratio)
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::collect::Clock;
    use super::*;
    use crate::cli::BenchGuest;

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(figure(23.44), "23.4");
        assert_eq!(figure(8_000_000.0), "8.00 M");
        assert_eq!(figure(190_000.0), "190.0 k");
    }

    #[test]
    fn the_time_of_one_run_has_no_spread() {
        let mut figures = Figures {
            wall: vec![1500.0],
            ..Figures::default()
        };
        assert_eq!(wall(&figures), "1.50 us");
        figures.wall.push(1500.0);
        assert_eq!(wall(&figures), "1.50 us ±0%");
        assert!(wall_runs(1).ends_with("one run") && wall_runs(3).contains("3 runs"));
    }

    #[test]
    fn sizes_and_times_are_told_apart() {
        let mut results = Results::default();
        results.add("t", BenchGuest::Direct, Clock::Instructions, 10.0);
        results.add_bytes("ram_t", BenchGuest::Direct, 4096.0);
        results.add_bytes("ram_t", BenchGuest::Linux, 2_500_000.0);
        let names = |list: Vec<&Measured>| list.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(in_time(&results).collect()), ["t"]);
        assert_eq!(names(in_bytes(&results).collect()), ["ram_t"]);
        assert_eq!(
            size_cells(&results.measures[1]),
            ["4.0 KiB", "2.50 MB", "610.4x"]
        );
    }

    #[test]
    fn the_measures_that_are_behind_come_worst_first() {
        let mut results = Results::default();
        for (name, direct, linux) in [("a", 10.0, 9.0), ("b", 10.0, 5.0), ("c", 10.0, 90.0)] {
            results.add(name, BenchGuest::Direct, Clock::Instructions, direct);
            results.add(name, BenchGuest::Linux, Clock::Instructions, linux);
        }
        let names: Vec<_> = behind(&results).iter().map(|m| &*m.name).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(median_ratio(&results), Some(0.9));
    }
}
