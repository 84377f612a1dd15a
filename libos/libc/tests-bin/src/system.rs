//! Time, directories, names, networks; crates that lean on all of it.

use std::ffi::*;
use std::io::{Read, Write};
use std::time::*;

unsafe extern "C" {
    fn tzset();
}
pub fn time() {
    use libc::*;
    unsafe {
        let mut t: tm = std::mem::zeroed();
        for (tz, at, want) in [
            ("UTC0", 0i64, "1970-01-01 00:00:00 UTC +0000 Thu 001 01"),
            ("", 951782400, "2000-02-29 00:00:00 UTC +0000 Tue 060 09"),
            (
                "CET-1CEST,M3.5.0,M10.5.0/3",
                1700000000,
                "2023-11-14 23:13:20 CET +0100 Tue 318 46",
            ),
            (
                "CET-1CEST,M3.5.0,M10.5.0/3",
                1690000000,
                "2023-07-22 06:26:40 CEST +0200 Sat 203 29",
            ),
            (
                "EST5EDT",
                1690000000,
                "2023-07-22 00:26:40 EDT -0400 Sat 203 29",
            ),
            (
                "<+0330>-3:30",
                1690000000,
                "2023-07-22 07:56:40 +0330 +0330 Sat 203 29",
            ),
            ("UTC0", -1, "1969-12-31 23:59:59 UTC +0000 Wed 365 01"),
            (
                "UTC0",
                -62135596800,
                "1-01-01 00:00:00 UTC +0000 Mon 001 01",
            ),
        ] {
            std::env::set_var("TZ", tz);
            let mut b = [0 as c_char; 100];
            assert!(!localtime_r(&at, &mut t).is_null());
            strftime(
                b.as_mut_ptr(),
                100,
                c"%Y-%m-%d %H:%M:%S %Z %z %a %j %V".as_ptr(),
                &t,
            );
            assert_eq!(CStr::from_ptr(b.as_ptr()).to_str().unwrap(), want);
            assert_eq!(mktime(&mut t), at, "{tz}");
        }
        for f in ["Europe/Berlin", "America/New_York"] {
            if std::path::Path::new("/usr/share/zoneinfo").join(f).exists() {
                std::env::set_var("TZ", f);
                let at = 1690000000;
                localtime_r(&at, &mut t);
                println!("{f} {} {:?}", t.tm_hour, CStr::from_ptr(t.tm_zone));
                assert_eq!(mktime(&mut t), at);
                let at = 4102444800;
                localtime_r(&at, &mut t);
                println!("2100 {} {:?}", t.tm_hour, CStr::from_ptr(t.tm_zone));
            }
        }
        std::env::remove_var("TZ");
        tzset();
        assert_eq!(strtod(c"  -1.5e3x".as_ptr(), std::ptr::null_mut()), -1500.0);
        assert_eq!(strtol(c"0x7fz".as_ptr(), std::ptr::null_mut(), 0), 127);
        assert_eq!(
            strtol(c"-99999999999999999999".as_ptr(), std::ptr::null_mut(), 10),
            i64::MIN
        );
    }
    let a = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    assert!(a.elapsed() >= Duration::from_millis(20));
    assert!(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
            > 1_700_000_000
    );
}

pub fn misc() {
    let names: Vec<_> = std::fs::read_dir("/")
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(names.iter().any(|n| n == "etc"));
    assert_eq!(
        std::fs::canonicalize("/usr/../etc/passwd")
            .unwrap()
            .to_str(),
        Some("/etc/passwd")
    );
    assert_eq!(
        std::io::Error::from_raw_os_error(2).to_string(),
        "No such file or directory (os error 2)"
    );
    unsafe { std::env::set_var("A", "1") };
    assert_eq!(std::env::var("A").unwrap(), "1");
    unsafe { std::env::remove_var("A") };
    assert!(std::env::var("A").is_err());
    unsafe {
        let p = libc::getpwnam(c"root".as_ptr());
        assert!(!p.is_null());
        assert_eq!((*p).pw_uid, 0);
        assert_eq!(CStr::from_ptr((*p).pw_dir), c"/root");
        assert!(libc::getpwnam(c"nobodyhere".as_ptr()).is_null());
        let g = libc::getgrnam(c"root".as_ptr());
        assert_eq!((*g).gr_gid, 0);
        let mut n = 10;
        let mut l = [0; 10];
        assert!(libc::getgrouplist(c"root".as_ptr(), 0, l.as_mut_ptr(), &mut n) >= 1);
        assert_eq!(CStr::from_ptr(libc::nl_langinfo(libc::CODESET)), c"UTF-8");
        assert_eq!(libc::syscall(libc::SYS_gettid) as i32, libc::gettid());
    }
    use std::net::*;
    let a: Vec<_> = ("127.0.0.1", 80).to_socket_addrs().unwrap().collect();
    assert_eq!(a, [SocketAddr::from(([127, 0, 0, 1], 80))]);
    assert!("localhost:1".to_socket_addrs().unwrap().next().is_some());
    assert!("nohost.invalid:1".to_socket_addrs().is_err());
    println!("cpus {:?}", std::thread::available_parallelism());
    assert!((2f64.powf(0.5) - 2f64.sqrt()).abs() < 1e-15);
    assert!((1f64.exp().ln() - 1.0).abs() < 1e-12);
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    (&a).write_all(b"hey").unwrap();
    let mut buf = [0; 3];
    (&b).read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"hey");
}

pub fn crates() {
    use rayon::prelude::*;
    let s: u64 = (0..1_000_000u64).into_par_iter().map(|x| x * x % 7).sum();
    assert_eq!(s, (0..1_000_000u64).map(|x| x * x % 7).sum());
    let mut v: Vec<u32> = (0..300000)
        .map(|x: u32| x.wrapping_mul(2654435761))
        .collect();
    v.par_sort();
    assert!(v.is_sorted());
    crossbeam::scope(|s| {
        let (tx, rx) = crossbeam::channel::bounded(3);
        for i in 0..4 {
            let tx = tx.clone();
            s.spawn(move |_| {
                for k in 0..1000 {
                    tx.send(i * k).unwrap()
                }
            });
        }
        drop(tx);
        assert_eq!(rx.iter().count(), 4000);
    })
    .unwrap();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let t = Instant::now();
            let hs: Vec<_> = (0..50)
                .map(|i| {
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        i
                    })
                })
                .collect();
            let mut s = 0;
            for h in hs {
                s += h.await.unwrap()
            }
            assert_eq!(s, 1225);
            assert!(t.elapsed() < Duration::from_secs(2));
            let o = tokio::process::Command::new("echo")
                .arg("hi")
                .output()
                .await
                .unwrap();
            assert_eq!(o.stdout, b"hi\n");
            let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let a = l.local_addr().unwrap();
            tokio::spawn(async move {
                use tokio::io::*;
                let mut c = tokio::net::TcpStream::connect(a).await.unwrap();
                c.write_all(b"ping").await.unwrap();
            });
            use tokio::io::*;
            let (mut c, _) = l.accept().await.unwrap();
            let mut s = String::new();
            c.read_to_string(&mut s).await.unwrap();
            assert_eq!(s, "ping");
        });
}
