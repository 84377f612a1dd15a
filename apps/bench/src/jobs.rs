//! Whole jobs: what a person at the shell waits for. Each is timed once, from spawn to reaping.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use crate::measure::{Measure, Sample, nanoseconds};

macro_rules! job {
    ($name:literal, $prepare:literal, $script:literal) => {
        Measure {
            name: $name,
            about: $script,
            limit: 240,
            run: || job($prepare, $script),
        }
    };
}

/// 20 MB of log lines. Doubling is quick, and the lines differ enough to be worth searching.
const LOG: &str = "seq 1 24000 | awk '{ printf \"%s host%d service[%d]: %s request %d took %d ms\\n\", \"2026-01-01T00:00:00\", $1 % 7, $1, ($1 % 13 ? \"info\" : \"error\"), $1 * 31 % 9973, $1 * 17 % 1009 }' > /tmp/l1; \
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat /tmp/l1; done > /tmp/log; rm /tmp/l1";

pub const MEASURES: &[Measure] = &[
    job!("job_sh", "", ":"),
    job!(
        "job_spawn_200",
        "",
        "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"
    ),
    job!(
        "job_subshell_200",
        "",
        "i=0; while [ $i -lt 200 ]; do (:); i=$((i+1)); done"
    ),
    job!(
        "job_loop_10000",
        "",
        "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done"
    ),
    job!(
        "job_create_200",
        "mkdir -p /tmp/create",
        "i=0; while [ $i -lt 200 ]; do : > /tmp/create/$i; i=$((i+1)); done"
    ),
    job!("job_seq_sort_wc", "", "seq 1 300000 | sort -rn | wc"),
    job!(
        "job_dd_wc",
        "",
        "dd if=/dev/zero bs=64k count=4000 2>/dev/null | wc -c"
    ),
    job!(
        "job_yes_head_cksum",
        "",
        "yes abcdefg | head -c 200000000 | cksum"
    ),
    job!(
        "job_pipeline_4",
        "",
        "head -c 50000000 /dev/zero | cat | tr '\\0' a | wc -c"
    ),
    Measure {
        name: "job_find_xargs_wc",
        about: "find / | xargs wc, over 5,000 files besides the system's own",
        limit: 240,
        run: || job(TREE, FIND),
    },
    job!(
        "job_sha256sum_64m",
        "head -c 64000000 /dev/zero > /tmp/sha",
        "sha256sum /tmp/sha"
    ),
    Measure {
        name: "job_awk_20m",
        about: "awk summing a field by host over a log of 20 MB",
        limit: 240,
        run: || {
            job(
                LOG,
                "awk '{ sum[$2] += $(NF-1) } END { for (h in sum) print h, sum[h] }' /tmp/log",
            )
        },
    },
    Measure {
        name: "job_sed_20m",
        about: "sed substituting in a log of 20 MB",
        limit: 240,
        run: || {
            job(
                LOG,
                "sed 's/took \\([0-9]*\\) ms/\\1/' /tmp/log > /dev/null",
            )
        },
    },
    Measure {
        name: "job_grep_20m",
        about: "grep -c in a log of 20 MB",
        limit: 240,
        run: || job(LOG, "grep -c 'error.*99[0-9]' /tmp/log"),
    },
    Measure {
        name: "job_cp_r_5000",
        about: "cp -r of 5,000 files",
        limit: 240,
        run: || job(TREE, "cp -r /tmp/tree /tmp/copy"),
    },
    Measure {
        name: "job_rm_r_5000",
        about: "rm -r of 5,000 files",
        limit: 240,
        run: || job(TREE, "rm -r /tmp/tree"),
    },
    SORT_ON_ONE,
    Measure {
        name: "job_sort_3m_4c",
        about: "sort of 3,000,000 lines by 4 threads, on 4 cores",
        ..SORT_ON_ONE
    },
];

/// xtask boots four cores for what ends in `_4c`; the work is the same.
const SORT_ON_ONE: Measure = Measure {
    name: "job_sort_3m",
    about: "sort of 3,000,000 lines by 4 threads, on one core",
    limit: 240,
    run: || {
        job(
            "seq 1 3000000 | awk '{ print $1 * 7919 % 3000017 }' > /tmp/lines",
            "sort --parallel=4 -o /dev/null /tmp/lines",
        )
    },
};

/// The programs are left out because they are one file on Linux and none on RustOS.
const FIND: &str = r"find / \( -path /proc -o -path /sys -o -path /dev -o -path /bin -o -path /init \) -prune \
    -o -type f -print | xargs wc > /dev/null";

/// 5,000 files of 20 bytes in 50 folders.
const TREE: &str = "rm -rf /tmp/tree /tmp/copy; mkdir -p /tmp/tree; cd /tmp/tree; \
    for d in 0 1 2 3 4 5 6 7 8 9; do for e in 0 1 2 3 4; do mkdir $d$e; \
    seq -f %019.0f 1 100 | split -l 1 -a 2 - $d$e/f; done; done";

fn job(prepare: &str, script: &str) -> Result<Sample, String> {
    if !prepare.is_empty() {
        shell(prepare).map_err(|why| format!("preparing: {why}"))?;
    }
    let start = Instant::now();
    shell(script)?;
    Ok(Sample {
        repetitions: 1,
        rounds: vec![nanoseconds(start)],
    })
}

fn shell(script: &str) -> Result<(), String> {
    let status = Command::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", "/bin:/usr/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|e| format!("/bin/sh: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the script ended with {status}"))
    }
}
