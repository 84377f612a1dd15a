//! `target/bench/report.html`: one page that opens without network.

use anyhow::Result;

use super::{
    charts,
    results::{Figures, Results},
    table::{self, HEADINGS},
    targets,
};

const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#222;--bg:#fff;--line:#ddd}\
@media(prefers-color-scheme:dark){:root{--fg:#ddd;--bg:#181a1b;--line:#444}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right}\
td:first-child,th:first-child{text-align:left}figure{margin:0}figure[id^=history]{display:inline-block}svg{max-width:100%;height:auto}svg text{fill:var(--fg)}\
svg polyline{stroke-opacity:.8}svg polyline[stroke=\"#000000\"]{stroke:var(--fg)}figcaption{display:flex;justify-content:space-between;font-size:.7rem}.direct{color:#d96b27}.linux{color:#4a8fd6}pre{overflow:auto;border:1px solid var(--line);padding:.5rem}";

pub fn render(results: &Results, history: &[Results]) -> Result<String> {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>RustOS benchmarks</title>\
         <style>{STYLE}</style></head><body>\n<h1>RustOS beside Linux</h1>\n"
    );
    page += &format!(
        "<p>{} UTC, commit {}. {}; {}; {} MiB of RAM, Cortex-A72. Peer: {}.</p>\n",
        escape(&results.date),
        escape(&results.commit),
        escape(&results.host),
        escape(&results.qemu),
        results.memory >> 20,
        escape(results.linux.as_deref().unwrap_or("none")),
    );
    page += &behind(results);
    page += "<h2>How many times more instructions Linux takes</h2>\n";
    page += &figure("ratios", &charts::ratios(results)?);
    page += "<h2>Guest instructions</h2>\n<p><span class=\"direct\">■</span> RustOS \
             <span class=\"linux\">■</span> Linux; logarithmic</p>\n";
    page += &figure("instructions", &charts::instructions(results)?);
    page += &table_html(results);
    page += &failures(results);
    page += &over_commits(results, history)?;
    page += &format!(
        "<h2>To repeat</h2>\n<p><code>{}</code>; <code>cargo xtask bench</code> takes all measures, \
         <code>cargo xtask bench NAME</code> one. Instructions are counted on one core with \
         <code>-icount shift=0,sleep=off</code>; {}.</p>\n</body></html>\n",
        escape(&results.to_repeat()),
        table::wall_runs(results.runs)
    );
    Ok(page)
}

/// A chart with the name that links and tests find it by.
fn figure(name: &str, svg: &str) -> String {
    format!("<figure id=\"{}\">{svg}</figure>\n", escape(name))
}

fn behind(results: &Results) -> String {
    let behind = table::behind(results);
    let mut text = String::from("<h2>Behind Linux</h2>\n");
    if behind.is_empty() {
        text += "<p>None of the measures that were taken in both guests.</p>\n";
    } else {
        text += "<ul>";
        for measured in behind {
            text += &format!(
                "<li><code>{}</code> ({}): {}</li>",
                escape(&measured.name),
                escape(&measured.about),
                table::ratio(measured.instruction_ratio())
            );
        }
        text += "</ul>\n";
    }
    let missed: Vec<_> = targets::all(results)
        .into_iter()
        .filter(targets::Target::is_missed)
        .collect();
    if !missed.is_empty() {
        text += "<h2>Behind their targets</h2>\n<ul>";
        for target in missed {
            text += &format!("<li>{}</li>", escape(&target.line()).replace('`', ""));
        }
        text += "</ul>\n";
    }
    if let Some(median) = table::median_ratio(results) {
        text += &format!("<p>Median ratio over all measures: {median:.1}.</p>\n");
    }
    text
}

fn table_html(results: &Results) -> String {
    let mut text = String::from("<h2>All figures</h2>\n<table><tr><th>measure</th>");
    for heading in HEADINGS {
        text += &format!("<th>{heading}</th>");
    }
    text += "</tr>\n";
    for measured in table::in_time(results) {
        text += &format!(
            "<tr><td title=\"{}\"><code>{}</code></td>",
            escape(&measured.about),
            escape(&measured.name)
        );
        for cell in table::cells(measured) {
            text += &format!("<td>{}</td>", escape(&cell));
        }
        text += "</tr>\n";
    }
    text += "</table>\n<h2>Size</h2>\n<table><tr><th>measure</th><th>RustOS</th><th>Linux</th><th>ratio</th></tr>\n";
    for measured in table::in_bytes(results) {
        text += &format!(
            "<tr><td><code>{}</code> ({})</td>",
            escape(&measured.name),
            escape(&measured.about)
        );
        for cell in table::size_cells(measured) {
            text += &format!("<td>{}</td>", escape(&cell));
        }
        text += "</tr>\n";
    }
    for size in &results.sizes {
        text += &format!(
            "<tr><td>{}</td><td>{:.2} MB</td><td></td><td></td></tr>\n",
            escape(&size.name),
            size.bytes as f64 / 1e6
        );
    }
    text + "</table>\n"
}

fn failures(results: &Results) -> String {
    let mut text = String::new();
    let mut add = |guest: &str, name: &str, figures: &Figures| {
        if let Some(why) = &figures.failed {
            text += &format!(
                "<h3>{guest}: <code>{}</code></h3><p>{}</p>",
                escape(name),
                escape(why)
            );
            if !figures.log.trim().is_empty() {
                text += &format!("<pre>{}</pre>", escape(figures.log.trim()));
            }
            text += "\n";
        }
    };
    for measured in &results.measures {
        add("RustOS", &measured.name, &measured.direct);
        add("Linux", &measured.name, &measured.linux);
    }
    for skipped in &results.skipped {
        text += &format!(
            "<p>Skipped: {}: {}</p>\n",
            escape(&skipped.what),
            escape(&skipped.reason)
        );
    }
    if text.is_empty() {
        return text;
    }
    format!("<h2>Failed and skipped</h2>\n{text}")
}

fn over_commits(results: &Results, history: &[Results]) -> Result<String> {
    let mut text = String::new();
    // The axis is that of all records, whichever of them have the measure.
    let ends = [history.first(), history.last()].map(|record| {
        record.map_or_else(String::new, |Results { commit, date, .. }| {
            let day = date.split_once(' ').map_or(date.as_str(), |(day, _)| day);
            format!("<span>{} {}</span>", escape(commit), escape(day))
        })
    });
    for measured in &results.measures {
        if let Some(svg) = charts::history(&measured.name, history)? {
            let chart = format!("{svg}<figcaption>{}</figcaption>", ends.concat());
            text += &figure(&format!("history-{}", measured.name), &chart);
        }
    }
    if text.is_empty() {
        return Ok("<h2>Over commits</h2><p>Fewer than two recorded runs.</p>\n".into());
    }
    Ok(format!("<h2>Over commits</h2>\n{text}\n"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::collect::Clock;
    use super::*;
    use crate::cli::BenchGuest;

    #[test]
    fn the_page_needs_no_network() {
        let mut results = Results::default();
        results.add("m", BenchGuest::Direct, Clock::Instructions, 5.0);
        results.fail("n", BenchGuest::Linux, "a < b", "log & more");
        let page = render(&results, &[]).unwrap();
        assert!(
            page.contains("<svg") && page.contains("a &lt; b") && page.contains("log &amp; more")
        );
        let foreign = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http") && !foreign.contains("<script"));
    }

    #[test]
    fn charts_over_commits_name_the_first_and_the_last() {
        let mut results = Results::default();
        results.add("m", BenchGuest::Direct, Clock::Instructions, 5.0);
        let record = |commit: &str, date: &str| Results {
            commit: commit.into(),
            date: date.into(),
            ..results.clone()
        };
        let history = [
            record("abc", "2026-11-22 18:33"),
            record("def", "2026-11-27 12:08"),
        ];
        let page = render(&results, &history).unwrap();
        let caption =
            "<figcaption><span>abc 2026-11-22</span><span>def 2026-11-27</span></figcaption>";
        assert!(page.contains(caption), "{page}");
    }
}
