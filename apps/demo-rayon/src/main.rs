//! Data parallelism with rayon: sums, sorts and searches on a pool of threads, each checked against
//! what one thread computes.

use rayon::prelude::*;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// A reproducible sequence of numbers.
fn numbers(count: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn is_prime(n: u32) -> bool {
    n >= 2
        && (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
}

fn word_counts(words: &[&'static str]) -> BTreeMap<&'static str, usize> {
    words
        .par_iter()
        .fold(BTreeMap::new, |mut counts, word| {
            *counts.entry(*word).or_insert(0) += 1;
            counts
        })
        .reduce(BTreeMap::new, |mut all, some| {
            for (word, count) in some {
                *all.entry(word).or_insert(0) += count;
            }
            all
        })
}

fn main() -> ExitCode {
    let data = numbers(200_000);
    let mut failures = 0;
    let mut check = |what: &str, parallel: String, expected: String| {
        let right = parallel == expected;
        println!("{what}: {parallel} {}", if right { "ok" } else { "WRONG" });
        failures += u8::from(!right);
    };

    let sum = data.par_iter().fold(|| 0u64, |a, b| a.wrapping_add(*b));
    let sum = sum.reduce(|| 0, u64::wrapping_add);
    let expected = data.iter().fold(0u64, |a, b| a.wrapping_add(*b));
    check("sum", sum.to_string(), expected.to_string());

    let mut sorted = data.clone();
    sorted.par_sort_unstable();
    let mut expected = data.clone();
    expected.sort_unstable();
    check("sort", (sorted == expected).to_string(), "true".into());

    let primes = (0..50_000u32)
        .into_par_iter()
        .filter(|n| is_prime(*n))
        .count();
    check("primes below 50000", primes.to_string(), "5133".into());

    let words: Vec<&str> = (0..30_000)
        .map(|n| ["one", "two", "three"][n % 7 % 3])
        .collect();
    let counts = word_counts(&words);
    let expected = words.iter().filter(|word| **word == "one").count();
    check(
        "count of \"one\"",
        counts["one"].to_string(),
        expected.to_string(),
    );

    let (a, b) = rayon::join(|| data[..1000].iter().max(), || data[1000..].iter().max());
    check(
        "maximum",
        format!("{:?}", a.max(b)),
        format!("{:?}", data.iter().max()),
    );

    println!("demo-rayon: {failures} wrong");
    ExitCode::from(failures)
}
