//! Threads: as std uses them, and by the C names.

use std::sync::atomic::*;
use std::sync::*;
use std::time::*;

thread_local!(static D: std::cell::RefCell<Option<Drops>> = const { std::cell::RefCell::new(None) });
static DROPPED: AtomicUsize = AtomicUsize::new(0);
struct Drops;
impl Drop for Drops {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

pub fn threads() {
    let hs: Vec<_> = (0..8)
        .map(|i| {
            std::thread::Builder::new()
                .name(format!("t{i}"))
                .spawn(move || {
                    D.with(|d| *d.borrow_mut() = Some(Drops));
                    i * 2
                })
                .unwrap()
        })
        .collect();
    assert_eq!(hs.into_iter().map(|h| h.join().unwrap()).sum::<i32>(), 56);
    assert_eq!(DROPPED.load(Ordering::SeqCst), 8);
    let m = Arc::new((Mutex::new(0u64), Condvar::new()));
    let hs: Vec<_> = (0..4)
        .map(|_| {
            let m = m.clone();
            std::thread::spawn(move || {
                for _ in 0..5000 {
                    *m.0.lock().unwrap() += 1;
                    m.1.notify_one();
                }
            })
        })
        .collect();
    let mut g = m.0.lock().unwrap();
    while *g < 20000 {
        g = m.1.wait_timeout(g, Duration::from_millis(50)).unwrap().0
    }
    drop(g);
    for h in hs {
        h.join().unwrap()
    }
    let (tx, rx) = mpsc::channel();
    for i in 0..100 {
        let tx = tx.clone();
        std::thread::spawn(move || tx.send(i).unwrap());
    }
    drop(tx);
    assert_eq!(rx.iter().sum::<i32>(), 4950);
    for _ in 0..500 {
        std::thread::spawn(|| {}).join().unwrap()
    }
    let r = std::thread::spawn(|| {
        if true {
            panic!("expected")
        }
    })
    .join();
    assert!(r.is_err());
}

pub fn pthreads() {
    use libc::*;
    unsafe {
        static mut COUNT: i32 = 0;
        let mut attr: pthread_mutexattr_t = std::mem::zeroed();
        pthread_mutexattr_init(&mut attr);
        pthread_mutexattr_settype(&mut attr, PTHREAD_MUTEX_RECURSIVE);
        let mut m: pthread_mutex_t = std::mem::zeroed();
        pthread_mutex_init(&mut m, &attr);
        assert_eq!(pthread_mutex_lock(&mut m), 0);
        assert_eq!(pthread_mutex_lock(&mut m), 0);
        assert_eq!(pthread_mutex_unlock(&mut m), 0);
        assert_eq!(pthread_mutex_unlock(&mut m), 0);
        assert_eq!(pthread_mutex_unlock(&mut m), EPERM);
        pthread_mutexattr_settype(&mut attr, PTHREAD_MUTEX_ERRORCHECK);
        pthread_mutex_init(&mut m, &attr);
        assert_eq!(pthread_mutex_lock(&mut m), 0);
        assert_eq!(pthread_mutex_lock(&mut m), EDEADLK);
        pthread_mutex_unlock(&mut m);
        static mut M: pthread_mutex_t = PTHREAD_MUTEX_INITIALIZER;
        static mut C: pthread_cond_t = PTHREAD_COND_INITIALIZER;
        static mut B: pthread_barrier_t = unsafe { std::mem::zeroed() };
        static mut RW: pthread_rwlock_t = PTHREAD_RWLOCK_INITIALIZER;
        static mut S: sem_t = unsafe { std::mem::zeroed() };
        sem_init(&raw mut S, 0, 0);
        pthread_barrier_init(&raw mut B, std::ptr::null(), 5);
        extern "C" fn work(_: *mut c_void) -> *mut c_void {
            unsafe {
                pthread_barrier_wait(&raw mut B);
                for i in 0..2000 {
                    pthread_mutex_lock(&raw mut M);
                    COUNT += 1;
                    pthread_cond_signal(&raw mut C);
                    pthread_mutex_unlock(&raw mut M);
                    if i % 3 == 0 {
                        pthread_rwlock_wrlock(&raw mut RW);
                        COUNT2 += 1;
                        pthread_rwlock_unlock(&raw mut RW);
                    } else {
                        pthread_rwlock_rdlock(&raw mut RW);
                        let a = (&raw const COUNT2).read_volatile();
                        std::hint::spin_loop();
                        assert_eq!(a, (&raw const COUNT2).read_volatile());
                        pthread_rwlock_unlock(&raw mut RW);
                    }
                }
                sem_post(&raw mut S);
                7 as *mut c_void
            }
        }
        static mut COUNT2: i32 = 0;
        let mut t = [0 as pthread_t; 4];
        for t in t.iter_mut() {
            assert_eq!(
                pthread_create(t, std::ptr::null(), work, std::ptr::null_mut()),
                0
            )
        }
        pthread_barrier_wait(&raw mut B);
        pthread_mutex_lock(&raw mut M);
        while COUNT < 8000 {
            pthread_cond_wait(&raw mut C, &raw mut M);
        }
        pthread_mutex_unlock(&raw mut M);
        for _ in 0..4 {
            sem_wait(&raw mut S);
        }
        for t in t {
            let mut r = std::ptr::null_mut();
            assert_eq!(pthread_join(t, &mut r), 0);
            assert_eq!(r as usize, 7)
        }
        assert_eq!((&raw const COUNT2).read(), 4 * 667);
        // timed
        let mut ca: pthread_condattr_t = std::mem::zeroed();
        pthread_condattr_init(&mut ca);
        pthread_condattr_setclock(&mut ca, CLOCK_MONOTONIC);
        let mut c: pthread_cond_t = std::mem::zeroed();
        pthread_cond_init(&mut c, &ca);
        let mut ts: timespec = std::mem::zeroed();
        clock_gettime(CLOCK_MONOTONIC, &mut ts);
        ts.tv_nsec += 50_000_000;
        if ts.tv_nsec >= 1_000_000_000 {
            ts.tv_sec += 1;
            ts.tv_nsec -= 1_000_000_000
        }
        pthread_mutex_lock(&raw mut M);
        let t0 = Instant::now();
        assert_eq!(pthread_cond_timedwait(&mut c, &raw mut M, &ts), ETIMEDOUT);
        pthread_mutex_unlock(&raw mut M);
        assert!(
            t0.elapsed() >= Duration::from_millis(45) && t0.elapsed() < Duration::from_millis(900),
            "{:?}",
            t0.elapsed()
        );
        let mut a: pthread_attr_t = std::mem::zeroed();
        assert_eq!(pthread_getattr_np(pthread_self(), &mut a), 0);
        let (mut p, mut n) = (std::ptr::null_mut(), 0);
        pthread_attr_getstack(&a, &mut p, &mut n);
        let x = 0;
        assert!(
            (&raw const x as usize) > p as usize && (&raw const x as usize) < p as usize + n,
            "main stack {p:?} {n:x}"
        );
        // detached threads
        pthread_attr_init(&mut a);
        pthread_attr_setdetachstate(&mut a, PTHREAD_CREATE_DETACHED);
        extern "C" fn det(_: *mut c_void) -> *mut c_void {
            unsafe {
                sem_post(&raw mut S);
            }
            std::ptr::null_mut()
        }
        for _ in 0..300 {
            let mut t = 0 as pthread_t;
            assert_eq!(pthread_create(&mut t, &a, det, std::ptr::null_mut()), 0);
        }
        for _ in 0..300 {
            sem_wait(&raw mut S);
        }
    }
}
