//! Charts as SVG text to stand in the page. Colours read on light and on dark; text and lines take the
//! page's own colour by its style sheet.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{
    results::{Measured, Results},
    table,
};

const WIDTH: u32 = 860;
const ROW: u32 = 22;
const DIRECT: RGBColor = RGBColor(0xd9, 0x6b, 0x27);
const LINUX: RGBColor = RGBColor(0x4a, 0x8f, 0xd6);
const GREY: RGBColor = RGBColor(0x88, 0x88, 0x88);

/// Bars of both guests on a logarithmic scale, a pair for each measure.
pub fn instructions(results: &Results) -> Result<String> {
    let rows: Vec<_> = results
        .measures
        .iter()
        .filter(|m| m.direct.instructions.is_some() || m.linux.instructions.is_some())
        .collect();
    bars(&rows, |m| {
        vec![
            (m.direct.instructions, DIRECT),
            (m.linux.instructions, LINUX),
        ]
    })
}

/// One bar a measure: how many times more instructions Linux takes.
pub fn ratios(results: &Results) -> Result<String> {
    let rows: Vec<_> = results
        .measures
        .iter()
        .filter(|m| m.instruction_ratio().is_some())
        .collect();
    bars(&rows, |m| vec![(m.instruction_ratio(), DIRECT)])
}

type Bars = Vec<(Option<f64>, RGBColor)>;

fn bars(rows: &[&Measured], of: impl Fn(&Measured) -> Bars) -> Result<String> {
    if rows.is_empty() {
        return Ok("<p>No figures.</p>".into());
    }
    let values: Vec<_> = rows
        .iter()
        .flat_map(|m| of(m))
        .filter_map(|(value, _)| value)
        .filter(|&value| value > 0.0)
        .collect();
    let least = values.iter().copied().fold(1.0, f64::min) * 0.8;
    let most = values.iter().copied().fold(1.0, f64::max) * 3.0;
    let mut svg = String::new();
    {
        // Two margins of 5 and the axis: a row of the plot is as high as its name.
        let height = ROW * rows.len() as u32 + 40;
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(5)
            .x_label_area_size(30)
            .y_label_area_size(160)
            .build_cartesian_2d((least..most).log_scale(), 0.0..rows.len() as f64)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_label_formatter(&|value| table::figure(*value))
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.3))
            .draw()
            .map_err(failed)?;
        for (index, measured) in rows.iter().enumerate() {
            let top = (rows.len() - index) as f64;
            let list = of(measured);
            let thickness = 0.8 / list.len() as f64;
            for (place, (value, colour)) in list.into_iter().enumerate() {
                let Some(value) = value.filter(|&value| value > 0.0) else {
                    continue;
                };
                let upper = top - 0.1 - thickness * place as f64;
                // A bar on a logarithmic scale grows from 1 where 1 means something.
                let bar = Rectangle::new(
                    [(least.max(1.0), upper), (value, upper - thickness)],
                    colour.filled(),
                );
                let label = Text::new(
                    table::figure(value),
                    (value.max(1.0) * 1.05, upper),
                    ("sans-serif", 10),
                );
                chart.draw_series([bar]).map_err(failed)?;
                chart.draw_series([label]).map_err(failed)?;
            }
            let name = Text::new(
                measured.name.clone(),
                (4, 10 + (index as u32 * ROW) as i32),
                ("sans-serif", 12),
            );
            root.draw(&name).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

/// One measure over the recorded commits.
pub fn history(name: &str, history: &[Results]) -> Result<Option<String>> {
    let points: Vec<_> = history
        .iter()
        .enumerate()
        .filter_map(|(index, results)| {
            let figures = &results.find(name)?.direct;
            let figure = figures.instructions.or(figures.bytes)?;
            Some((index as f64, figure))
        })
        .collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.1;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (280, 120)).into_drawing_area();
        let last = history.len() as f64 - 1.0;
        let mut chart = ChartBuilder::on(&root)
            .caption(name, ("sans-serif", 12))
            .margin(5)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..last.max(1.0), 0.0..most.max(1.0))
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .disable_x_axis()
            .y_labels(3)
            .y_label_formatter(&|value| table::figure(*value))
            .draw()
            .map_err(failed)?;
        chart
            .draw_series(LineSeries::new(points.clone(), DIRECT))
            .map_err(failed)?;
        chart
            .draw_series(
                points
                    .into_iter()
                    .map(|point| Circle::new(point, 3, DIRECT.filled())),
            )
            .map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(Some(svg))
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing a chart: {error}")
}

#[cfg(test)]
mod tests {
    use super::super::collect::Clock;
    use super::*;
    use crate::cli::BenchGuest;

    #[test]
    fn every_measure_has_a_bar() {
        let mut results = Results::default();
        for name in ["first", "second"] {
            results.add(name, BenchGuest::Direct, Clock::Instructions, 100.0);
            results.add(name, BenchGuest::Linux, Clock::Instructions, 900.0);
        }
        for svg in [instructions(&results).unwrap(), ratios(&results).unwrap()] {
            assert!(svg.starts_with("<svg") && svg.contains("first") && svg.contains("second"));
        }
        let twice = [results.clone(), results];
        assert!(history("first", &twice).unwrap().is_some());
        assert!(history("first", &twice[..1]).unwrap().is_none());
    }
}
