//! Child processes and signals.

use std::ffi::*;
use std::io::{Read, Write};
use std::sync::atomic::*;

pub fn process() {
    use std::process::*;
    let o = Command::new("sh")
        .arg("-c")
        .arg("echo out; echo err >&2; exit 3")
        .output()
        .unwrap();
    assert_eq!(o.stdout, b"out\n");
    assert_eq!(o.stderr, b"err\n");
    assert_eq!(o.status.code(), Some(3));
    assert_eq!(
        Command::new("/nonexistent").spawn().unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
    assert_eq!(
        Command::new("nonexistent-prog").spawn().unwrap_err().kind(),
        std::io::ErrorKind::NotFound
    );
    assert_eq!(
        Command::new("/etc/passwd").spawn().unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
    let mut c = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    c.stdin
        .take()
        .unwrap()
        .write_all(b"x".repeat(100000).as_slice())
        .ok();
    let mut s = vec![];
    c.stdout.take().unwrap().read_to_end(&mut s).unwrap();
    assert!(c.wait().unwrap().success());
    assert_eq!(s.len(), 100000);
    let o = Command::new("pwd")
        .current_dir("/usr")
        .env("A", "b")
        .output()
        .unwrap();
    assert_eq!(o.stdout, b"/usr\n");
    unsafe {
        let p = libc::fork();
        assert!(p >= 0);
        if p == 0 {
            let h = std::thread::spawn(|| 5);
            let v = vec![1u8; 1 << 20];
            libc::_exit(h.join().unwrap() + v.len() as i32 % 2)
        }
        let mut st = 0;
        assert_eq!(libc::waitpid(p, &mut st, 0), p);
        assert_eq!(libc::WEXITSTATUS(st), 5);
    }
    unsafe {
        assert_eq!(libc::system(c"exit 4".as_ptr()), 4 << 8);
        let f = libc::popen(c"echo hi".as_ptr(), c"r".as_ptr());
        let mut b = [0 as c_char; 10];
        assert!(!libc::fgets(b.as_mut_ptr(), 10, f).is_null());
        assert_eq!(CStr::from_ptr(b.as_ptr()), c"hi\n");
        assert_eq!(libc::pclose(f), 0);
    }
    unsafe {
        let p = libc::fork();
        if p == 0 {
            libc::execlp(
                c"sh".as_ptr(),
                c"sh".as_ptr(),
                c"-c".as_ptr(),
                c"test $# = 9".as_ptr(),
                c"0".as_ptr(),
                c"1".as_ptr(),
                c"2".as_ptr(),
                c"3".as_ptr(),
                c"4".as_ptr(),
                c"5".as_ptr(),
                c"6".as_ptr(),
                c"7".as_ptr(),
                c"8".as_ptr(),
                c"9".as_ptr(),
                std::ptr::null::<c_char>(),
            );
            libc::_exit(99)
        }
        let mut st = 0;
        libc::waitpid(p, &mut st, 0);
        assert_eq!(st, 0);
    }
}

static GOT: AtomicI32 = AtomicI32::new(0);
pub fn signals() {
    use libc::*;
    unsafe {
        extern "C" fn h(s: i32, i: *mut siginfo_t, _: *mut c_void) {
            unsafe { assert_eq!((*i).si_signo, s) }
            GOT.fetch_add(s, Ordering::SeqCst);
        }
        let mut a: sigaction = std::mem::zeroed();
        a.sa_sigaction = h as *const () as usize;
        a.sa_flags = SA_SIGINFO;
        assert_eq!(libc::sigaction(SIGUSR1, &a, std::ptr::null_mut()), 0);
        raise(SIGUSR1);
        assert_eq!(GOT.load(Ordering::SeqCst), 10);
        kill(getpid(), SIGUSR1);
        assert_eq!(GOT.load(Ordering::SeqCst), 20);
        let mut o: sigaction = std::mem::zeroed();
        libc::sigaction(SIGUSR1, std::ptr::null(), &mut o);
        assert_eq!(o.sa_sigaction, h as *const () as usize);
        let mut s: sigset_t = std::mem::zeroed();
        sigemptyset(&mut s);
        sigaddset(&mut s, SIGUSR2);
        pthread_sigmask(SIG_BLOCK, &s, std::ptr::null_mut());
        raise(SIGUSR2);
        let mut got = 0;
        assert_eq!(sigwait(&s, &mut got), 0);
        assert_eq!(got, SIGUSR2);
        pthread_kill(pthread_self(), SIGUSR1);
        assert_eq!(GOT.load(Ordering::SeqCst), 30);
        let j = std::thread::spawn(|| {
            libc::pthread_kill(libc::pthread_self(), SIGUSR1);
        });
        j.join().unwrap();
        assert_eq!(GOT.load(Ordering::SeqCst), 40);
    }
}
