//! Files and directories, and waiting on many descriptors.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{
    measure::{Measure, Sample, nanoseconds, repeat, repeat_timed},
    sys::{self, check},
};

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "file_create_0k",
        about: "an empty file created",
        limit: 20,
        run: || create(0),
    },
    Measure {
        name: "file_delete_0k",
        about: "an empty file deleted",
        limit: 20,
        run: || delete(0),
    },
    Measure {
        name: "file_create_10k",
        about: "a file of 10 KiB created and written",
        limit: 20,
        run: || create(10 << 10),
    },
    Measure {
        name: "file_delete_10k",
        about: "a file of 10 KiB deleted",
        limit: 20,
        run: || delete(10 << 10),
    },
    Measure {
        name: "dir_walk",
        about: "one entry of a tree of 1,110 read and looked at",
        limit: 30,
        run: walk,
    },
    Measure {
        name: "epoll_1000",
        about: "epoll_wait on 1,000 descriptors, one of them ready",
        limit: 20,
        run: epoll,
    },
    Measure {
        name: "poll_100",
        about: "poll of 100 descriptors, none of them ready",
        limit: 20,
        run: poll,
    },
];

const FILES: usize = 200;

fn text(what: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", what.display())
}

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(text(&path))?;
        Ok(Self(path))
    }

    fn names(&self) -> Vec<PathBuf> {
        (0..FILES).map(|i| self.0.join(format!("f{i}"))).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("bench: {}: {error}", self.0.display());
        }
    }
}

fn create(len: usize) -> Result<Sample, String> {
    timed_files(len).map(|(create, _)| create)
}

fn delete(len: usize) -> Result<Sample, String> {
    timed_files(len).map(|(_, delete)| delete)
}

/// Creates and deletes many files in each round; gives the times of both.
fn timed_files(len: usize) -> Result<(Sample, Sample), String> {
    let folder = Folder::new()?;
    let names = folder.names();
    let content = vec![b'x'; len];
    let mut deletes = Vec::new();
    let create = repeat_timed(FILES as u64, || {
        let start = Instant::now();
        for name in &names {
            fs::write(name, &content).map_err(text(name))?;
        }
        let created = nanoseconds(start);
        let start = Instant::now();
        for name in &names {
            fs::remove_file(name).map_err(text(name))?;
        }
        deletes.push(nanoseconds(start));
        Ok(created)
    })?;
    let delete = Sample {
        repetitions: FILES as u64,
        // The first round warms up.
        rounds: deletes.split_off(1),
    };
    Ok((create, delete))
}

fn walk() -> Result<Sample, String> {
    let folder = Folder::new()?;
    let mut entries = 0;
    for i in 0..10 {
        for j in 0..10 {
            let inner = folder.0.join(format!("d{i}/e{j}"));
            fs::create_dir_all(&inner).map_err(text(&inner))?;
            for k in 0..10 {
                let file = inner.join(format!("f{k}"));
                fs::write(&file, b"x").map_err(text(&file))?;
                entries += 1;
            }
            entries += 1;
        }
        entries += 1;
    }
    let mut sample = repeat(2, || match count(&folder.0)? {
        seen if seen == entries => Ok(()),
        seen => Err(format!("{seen} of {entries} entries were found")),
    })?;
    sample.repetitions *= entries;
    Ok(sample)
}

fn count(folder: &Path) -> Result<u64, String> {
    let mut seen = 0;
    for entry in fs::read_dir(folder).map_err(text(folder))? {
        let entry = entry.map_err(text(folder))?;
        seen += 1;
        if entry.metadata().map_err(text(folder))?.is_dir() {
            seen += count(&entry.path())?;
        }
    }
    Ok(seen)
}

fn eventfds(count: usize) -> Result<Vec<i32>, String> {
    // SAFETY: no memory is involved.
    (0..count)
        .map(|_| check("eventfd", unsafe { libc::eventfd(0, libc::EFD_NONBLOCK) }))
        .collect()
}

fn epoll() -> Result<Sample, String> {
    const COUNT: usize = 1_000;
    let mut limit = libc::rlimit {
        rlim_cur: COUNT as u64 + 64,
        rlim_max: 4_096,
    };
    // Where the limit is higher already, failing to set it is no loss: eventfd would tell.
    // SAFETY: the struct is valid.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    // SAFETY: no memory is involved.
    let epoll = check("epoll_create1", unsafe { libc::epoll_create1(0) })?;
    let descriptors = eventfds(COUNT)?;
    for &fd in &descriptors {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: fd as u64,
        };
        check("epoll_ctl", unsafe {
            // SAFETY: both descriptors are open and the event is valid.
            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event)
        })?;
    }
    let one = 1u64;
    // SAFETY: eight bytes, as an eventfd takes them.
    check("write", unsafe {
        libc::write(descriptors[COUNT / 2], (&raw const one).cast(), 8)
    })?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
    repeat(2_000, || {
        // SAFETY: room for 16 events.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 16, 0) };
        match check("epoll_wait", count)? {
            1 => Ok(()),
            other => Err(format!("epoll_wait found {other} ready")),
        }
    })
}

fn poll() -> Result<Sample, String> {
    let mut entries: Vec<_> = eventfds(100)?
        .into_iter()
        .map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let sample = repeat(1_000, || {
        // SAFETY: the list has that many entries.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, 0) };
        check("poll", ready).map(drop)
    });
    for entry in entries {
        sys::close(entry.fd);
    }
    sample
}
