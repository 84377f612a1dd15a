//! Results for people, and for xtask as one JSON object a line.

use crate::measure::{Measure, Sample};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    JsonLines,
}

pub fn header(format: Format) {
    if format == Format::Table {
        println!("{:<20} {:>16}  of one", "measure", "ns or bytes");
    }
}

pub fn line(format: Format, measure: &Measure, outcome: &Result<Sample, String>) {
    match format {
        Format::Table => println!("{}", table_line(measure, outcome)),
        Format::JsonLines => println!("{}", json_line(measure, outcome)),
    }
}

fn table_line(measure: &Measure, outcome: &Result<Sample, String>) -> String {
    match outcome {
        Ok(sample) => {
            let each = sample.millis_each();
            let number = format!("{}.{}", each / 1000, each % 1000 / 100);
            format!("{:<20} {number:>16}  {}", measure.name, measure.about)
        }
        Err(why) => format!("{:<20} {:>16}  {why}", measure.name, "FAILED"),
    }
}

fn json_line(measure: &Measure, outcome: &Result<Sample, String>) -> String {
    match outcome {
        Ok(sample) => {
            let each = sample.millis_each();
            let unit = if measure.in_bytes() { "bytes" } else { "ns" };
            let rounds: Vec<_> = sample.rounds.iter().map(u64::to_string).collect();
            format!(
                r#"{{"name":"{}","{unit}":{}.{:03},"repetitions":{},"rounds":[{}]}}"#,
                measure.name,
                each / 1000,
                each % 1000,
                sample.repetitions,
                rounds.join(",")
            )
        }
        Err(why) => format!(
            r#"{{"name":"{}","failed":"{}"}}"#,
            measure.name,
            escape(why)
        ),
    }
}

fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => vec![' '],
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURE: Measure = Measure {
        name: "m",
        about: "thing",
        limit: 1,
        run: || Err(String::new()),
    };

    #[test]
    fn a_result_is_one_json_object() {
        let sample = Ok(Sample {
            repetitions: 2,
            rounds: vec![3],
        });
        assert_eq!(
            json_line(&MEASURE, &sample),
            r#"{"name":"m","ns":1.500,"repetitions":2,"rounds":[3]}"#
        );
        assert_eq!(
            json_line(&MEASURE, &Err("a \"b\"\n".into())),
            r#"{"name":"m","failed":"a \"b\" "}"#
        );
    }
}
