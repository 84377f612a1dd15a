//! Samples summed up: by stack for the flame graph, by symbol for the table.

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Result, anyhow};
use fs_err::File;
use inferno::flamegraph::{self, Options};

use super::{calls::Calls, stub::Sample, symbols::Symbols};

pub struct Stacks {
    /// Names from the outermost in, joined by `;`, and how often.
    folded: BTreeMap<String, usize>,
    /// Symbol and side to samples in the function itself, and in it or what it called.
    by_symbol: BTreeMap<(String, &'static str), (usize, usize)>,
    total: usize,
}

impl Stacks {
    pub fn new(samples: &[Sample], symbols: &Symbols) -> Self {
        let mut stacks = Self {
            folded: BTreeMap::new(),
            by_symbol: BTreeMap::new(),
            total: samples.len(),
        };
        for sample in samples {
            let frames: Vec<_> = sample
                .iter()
                .map(|&address| (symbols.name(address), Symbols::side(address)))
                .collect();
            let names: Vec<_> = frames.iter().rev().map(|frame| frame.0.as_str()).collect();
            *stacks.folded.entry(names.join(";")).or_default() += 1;
            for (index, frame) in frames.iter().enumerate() {
                let counts = stacks.by_symbol.entry(frame.clone()).or_default();
                counts.0 += usize::from(index == 0);
                // A function that calls itself is on the stack once.
                counts.1 += usize::from(!frames[..index].contains(frame));
            }
        }
        stacks
    }

    pub fn flame_graph(&self, file: &Path, title: &str, small: bool) -> Result<()> {
        if self.total == 0 {
            return Err(anyhow!("the guest ended before the first sample"));
        }
        let lines: Vec<_> = self
            .folded
            .iter()
            .map(|(stack, count)| format!("{stack} {count}"))
            .collect();
        let mut options = Options::default();
        options.title = title.into();
        options.count_name = "samples".into();
        if small {
            options.no_javascript = true;
            options.min_width = 1.0;
        }
        let mut to = BufWriter::new(File::create(file)?);
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut to)
            .map_err(|error| anyhow!("drawing the flame graph: {error}"))?;
        // Dropping it would lose the error of a full disk.
        Ok(to.flush()?)
    }

    /// The symbols with most samples of their own.
    pub fn table(&self, lines: usize) -> String {
        let mut symbols: Vec<_> = self.by_symbol.iter().collect();
        symbols.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.0));
        let share = |count: usize| 100.0 * count as f64 / self.total.max(1) as f64;
        let mut text = format!(
            "{} samples\n{:>7} {:>7}  side     symbol\n",
            self.total, "self", "total"
        );
        for ((name, side), (own, all)) in symbols.into_iter().take(lines) {
            text += &format!(
                "{:>6.1}% {:>6.1}%  {side:<7}  {name}\n",
                share(*own),
                share(*all)
            );
        }
        let kernel: usize = self
            .by_symbol
            .iter()
            .filter(|((_, side), _)| *side == "kernel")
            .map(|(_, counts)| counts.0)
            .sum();
        text + &format!("{:.1}% in the kernel\n", share(kernel))
    }
}

/// A column of the table of calls, for the door that is built.
const DIRECT: &str = "direct";

impl Stacks {
    /// Calls by door, those that took most first.
    pub fn doors(&self, calls: &Calls, lines: usize) -> String {
        let below = |name: &str| {
            let key = (name.to_owned(), "kernel");
            let samples = self.by_symbol.get(&key).map_or(0, |counts| counts.1);
            samples as f64 / self.total.max(1) as f64
        };
        let mut doors: Vec<_> = calls
            .by_door
            .iter()
            .map(|(name, &count)| (name, count, below(name)))
            .collect();
        doors.sort_by(|a, b| b.2.total_cmp(&a.2).then(b.1.cmp(&a.1)));
        let all: u64 = calls.by_door.values().sum();
        let mut text = format!(
            "\n{all} calls, {} instructions from power-on\n{:>9} {:>7} {:>12}  door    call\n",
            calls.instructions, "count", "total", "instr. each"
        );
        for (name, count, share) in doors.into_iter().take(lines) {
            // What no sample fell into is not free, but too little to be seen.
            let (share, each) = if share > 0.0 {
                let each = share * calls.instructions as f64 / count.max(1) as f64;
                (format!("{:.1}%", share * 100.0), format!("{each:.0}"))
            } else {
                ("-".into(), "-".into())
            };
            text += &format!(
                "{count:>9} {share:>7} {each:>12}  {DIRECT:<6}  {}\n",
                name.trim_start_matches("os_")
            );
        }
        text + "-: no sample fell into it\n\
                while nobody runs (all sleep or wait), a nanosecond counts as an instruction: a command that waits makes all these figures larger\n\
                svc: not built yet\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recursive_function_counts_once_a_sample() {
        let symbols = Symbols::new(vec![(0x1000, "a".into()), (0x2000, "b".into())]);
        let stacks = Stacks::new(&[vec![0x2000, 0x1000, 0x1000], vec![0x1000]], &symbols);
        assert_eq!(stacks.by_symbol[&("a".into(), "program")], (1, 2));
        assert_eq!(stacks.by_symbol[&("b".into(), "program")], (1, 1));
        assert_eq!(stacks.folded["a;a;b"], 1);
        assert!(stacks.table(1).contains("2 samples"));
    }

    #[test]
    fn a_call_costs_its_share_of_all_instructions() {
        let door = 0xffff_ffff_8000_0000;
        let symbols = Symbols::new(vec![(0x1000, "main".into()), (door, "os_read".into())]);
        let stacks = Stacks::new(&[vec![door, 0x1000], vec![0x1000]], &symbols);
        let calls = Calls {
            by_door: [("os_read".into(), 10), ("os_write".into(), 3)].into(),
            instructions: 1_000,
        };
        let table = stacks.doors(&calls, 9);
        assert!(table.contains("13 calls"), "{table}");
        assert!(
            table.contains("       10   50.0%           50  direct  read"),
            "{table}"
        );
        assert!(
            table.contains("        3       -            -  direct  write"),
            "{table}"
        );
    }
}
