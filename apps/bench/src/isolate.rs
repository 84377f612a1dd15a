//! Each measure in a child of its own, so that one that crashes or hangs takes nothing with it.

use std::time::{Duration, Instant};

use crate::{
    measure::{Measure, Sample},
    sys,
};

/// Runs a measure in a forked child; its death, silence or complaint is the error.
pub fn run(measure: &Measure) -> Result<Sample, String> {
    let [from_child, to_parent] = sys::pipe()?;
    let child = sys::fork(|| {
        sys::close(from_child);
        // A group of its own, so that what it leaves behind can be ended with it.
        // SAFETY: no memory is involved.
        unsafe { libc::setpgid(0, 0) };
        let text = match (measure.run)() {
            Ok(sample) => encode(&sample),
            Err(why) => format!("!{why}"),
        };
        write_all(to_parent, text.as_bytes());
        0
    })?;
    sys::close(to_parent);
    let text = read_until(from_child, Duration::from_secs(measure.limit.into()));
    sys::close(from_child);
    // SAFETY: the group is the child's; it may be gone already, which is no error here.
    unsafe {
        libc::kill(-child, libc::SIGKILL);
        if text.is_none() {
            libc::kill(child, libc::SIGKILL);
        }
    }
    let status = sys::wait(child)?;
    match text {
        None => Err(format!("no result within {} s", measure.limit)),
        Some(text) => match text.strip_prefix('!') {
            Some(why) => Err(why.into()),
            None => decode(&text).ok_or_else(|| died(status)),
        },
    }
}

fn died(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        format!("killed by signal {}", libc::WTERMSIG(status))
    } else {
        format!("ended with {} and no result", libc::WEXITSTATUS(status))
    }
}

fn encode(sample: &Sample) -> String {
    let mut words = vec![sample.repetitions.to_string()];
    words.extend(sample.rounds.iter().map(u64::to_string));
    words.join(" ") + "\n"
}

fn decode(text: &str) -> Option<Sample> {
    let mut numbers = text
        .strip_suffix('\n')?
        .split(' ')
        .map(|word| word.parse().ok());
    let repetitions = numbers.next()??;
    let rounds = numbers.collect::<Option<Vec<u64>>>()?;
    (!rounds.is_empty()).then_some(Sample {
        repetitions,
        rounds,
    })
}

fn write_all(fd: i32, bytes: &[u8]) {
    // A result is far below PIPE_BUF, so it goes in one piece.
    // SAFETY: the slice is readable.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// All that comes before the end of file or the first line's end; `None` when the time is over.
fn read_until(fd: i32, limit: Duration) -> Option<String> {
    let deadline = Instant::now() + limit;
    let mut text = Vec::new();
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry.
        let ready = unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as i32 + 1) };
        if ready <= 0 {
            continue;
        }
        let mut buffer = [0u8; 512];
        // SAFETY: the buffer has that room.
        let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        let count = usize::try_from(count).unwrap_or(0);
        text.extend(&buffer[..count]);
        if count == 0 || text.ends_with(b"\n") {
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a limit that only what hangs comes to, whatever else the machine does. (The forked children of another test may keep
    /// our pipe open for as long as they live.)
    fn measure(run: fn() -> Result<Sample, String>) -> Measure {
        Measure {
            name: "test",
            about: "",
            limit: 60,
            run,
        }
    }

    #[test]
    fn a_result_comes_back() {
        let sample = || {
            Ok(Sample {
                repetitions: 3,
                rounds: vec![7, 8, 9],
            })
        };
        assert_eq!(run(&measure(sample)), sample());
    }

    #[test]
    fn a_crash_a_hang_and_a_complaint_are_told_apart() {
        let crash = run(&measure(|| std::process::abort())).unwrap_err();
        assert!(crash.contains("signal 6"), "{crash}");
        let hangs = measure(|| {
            loop {
                std::thread::sleep(Duration::from_secs(9));
            }
        });
        let hang = run(&Measure { limit: 1, ..hangs }).unwrap_err();
        assert!(hang.contains("within 1 s"), "{hang}");
        assert_eq!(run(&measure(|| Err("odd".into()))), Err("odd".into()));
    }
}
