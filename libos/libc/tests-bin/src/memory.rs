//! Blocks of memory: copy, fill, compare, search, allocate.

use std::time::*;

unsafe extern "C" {
    fn memcpy(d: *mut u8, s: *const u8, n: usize) -> *mut u8;
    fn memmove(d: *mut u8, s: *const u8, n: usize) -> *mut u8;
    fn memset(d: *mut u8, c: i32, n: usize) -> *mut u8;
    fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32;
    fn memchr(a: *const u8, c: i32, n: usize) -> *const u8;
    fn memrchr(a: *const u8, c: i32, n: usize) -> *const u8;
    fn strchrnul(a: *const u8, c: i32) -> *const u8;
    fn strlen(a: *const u8) -> usize;
}
struct Rng(u64);
impl Rng {
    fn n(&mut self, m: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % m as u64) as usize
    }
}

pub fn mem() {
    let mut r = Rng(88172645463325252);
    let mut a = vec![0u8; 9000];
    let mut b = vec![0u8; 9000];
    for x in a.iter_mut() {
        *x = r.n(256) as u8
    }
    for i in 0..30000 {
        let max = if i % 10 == 0 { 4000 } else { 300 };
        let n = r.n(max);
        let s = r.n(4000);
        let d = r.n(4000);
        let mut want = b.clone();
        for k in 0..n {
            want[d + k] = a[s + k]
        }
        unsafe { memcpy(b.as_mut_ptr().add(d), a.as_ptr().add(s), n) };
        assert!(b == want, "memcpy {n} {s} {d}");
        let d = s + r.n(2 * 200);
        let (s, d) = if r.n(2) == 0 { (s, d) } else { (d, s) };
        let mut want = b.clone();
        for k in 0..n {
            want[d + k] = b[s + k]
        }
        unsafe { memmove(b.as_mut_ptr().add(d), b.as_ptr().add(s), n) };
        assert!(b == want, "memmove {n} {s} {d}");
        let c = r.n(3) as u8;
        let mut want = b.clone();
        for k in 0..n {
            want[d + k] = c
        }
        let save = b.clone();
        unsafe { memset(b.as_mut_ptr().add(d), c as i32, n) };
        assert!(b == want, "memset {n} {d}");
        // cmp
        let mut x = a[s..s + n].to_vec();
        let y = x.clone();
        if n > 0 && r.n(2) == 0 {
            let k = r.n(n);
            x[k] = r.n(256) as u8
        }
        let mut off = vec![0u8; r.n(16)];
        let o = off.len();
        off.extend_from_slice(&x);
        let got = unsafe { memcmp(off.as_ptr().add(o), y.as_ptr(), n) };
        let want = match x.iter().cmp(y.iter()) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            _ => 1,
        };
        assert_eq!(got.signum(), want, "memcmp {n} {got}");
        let c = r.n(256) as u8;
        let p = unsafe { memchr(x.as_ptr(), c as i32, n) };
        let w = x.iter().position(|&v| v == c);
        assert_eq!(
            if p.is_null() {
                None
            } else {
                Some(p as usize - x.as_ptr() as usize)
            },
            w
        );
        let p = unsafe { memrchr(x.as_ptr(), c as i32, n) };
        let w = x.iter().rposition(|&v| v == c);
        assert_eq!(
            if p.is_null() {
                None
            } else {
                Some(p as usize - x.as_ptr() as usize)
            },
            w,
            "memrchr {n} {c}"
        );
        for v in off.iter_mut() {
            if *v == 0 {
                *v = 1
            }
        }
        off.push(0);
        assert_eq!(unsafe { strlen(off.as_ptr().add(o)) }, n);
        let p = unsafe { strchrnul(off.as_ptr().add(o), c as i32) } as usize
            - off.as_ptr() as usize
            - o;
        assert_eq!(p, off[o..].iter().position(|&v| v == c || v == 0).unwrap());
        b = save;
    }
    // huge
    let a = vec![7u8; 3 << 20];
    let mut b = a.clone();
    assert!(a == b);
    b.fill(0);
    assert!(b.iter().all(|&x| x == 0));
    b.copy_within(1.., 0);
}

pub fn malloc() {
    let hs: Vec<_> = (0..4)
        .map(|k| {
            std::thread::spawn(move || {
                let mut r = Rng(0x9E3779B97F4A7C15 + k);
                let mut live: Vec<(Vec<u8>, u8)> = vec![];
                for i in 0..40000 {
                    if live.len() > 200 || (r.n(3) == 0 && !live.is_empty()) {
                        let k = r.n(live.len());
                        let (v, c) = live.swap_remove(k);
                        assert!(v.iter().all(|&x| x == c));
                    } else {
                        let n = match r.n(100) {
                            0 => r.n(600000),
                            1..=10 => r.n(20000),
                            _ => r.n(300),
                        };
                        let c = i as u8;
                        let mut v = if r.n(2) == 0 {
                            vec![c; n]
                        } else {
                            let mut v = vec![0u8; n];
                            assert!(v.iter().all(|&x| x == 0));
                            v.fill(c);
                            v
                        };
                        if r.n(4) == 0 {
                            v.resize(r.n(2 * n + 1), c);
                        }
                        live.push((v, c));
                    }
                }
            })
        })
        .collect();
    for h in hs {
        h.join().unwrap()
    }
    for a in [32, 64, 4096, 1 << 16] {
        let l = std::alloc::Layout::from_size_align(100, a).unwrap();
        let p = unsafe { std::alloc::alloc(l) };
        assert_eq!(p as usize % a, 0);
        unsafe {
            p.write_bytes(1, 100);
            let p2 = std::alloc::realloc(p, l, 5000);
            assert_eq!(p2 as usize % a, 0);
            assert_eq!(*p2.add(99), 1);
            std::alloc::dealloc(p2, std::alloc::Layout::from_size_align(5000, a).unwrap())
        }
    }
    unsafe {
        assert!(std::hint::black_box(libc::malloc(std::hint::black_box(usize::MAX / 2))).is_null());
        assert_eq!(*libc::__errno_location(), libc::ENOMEM);
        assert!(std::hint::black_box(libc::calloc(usize::MAX, 16)).is_null());
    }
    let t = Instant::now();
    for i in 0..1_000_000u64 {
        std::hint::black_box(Box::new(i));
    }
    println!("1M box {:?}", t.elapsed());
}
