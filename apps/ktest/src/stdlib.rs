//! What else a C library has: sorting, random numbers, directories, commands, memory.

use crate::more;
use crate::support::*;
use libc::{c_char, c_int, c_void, dirent};
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::ptr::{null, null_mut};

crate::harness::tests![
    items_of_every_size_are_sorted,
    an_unseeded_sequence_is_that_of_seed_one,
    templates_are_checked,
    the_break_moves: Native,
    niceness_stops_at_its_limits: Native,
    a_selector_may_change_errno,
    directories_are_listed_in_order,
    a_script_without_a_first_line_is_run_by_the_shell,
    such_a_script_takes_many_arguments,
    arguments_in_registers_and_on_the_stack,
    system_gives_the_commands_status,
    system_says_that_the_status_is_lost,
    system_without_a_shell_says_so: Native,
    the_environment_changes,
    paths_are_resolved,
    blocks_keep_their_alignment,
    impossible_blocks_are_refused,
    a_block_freed_twice_ends_the_process,
];

extern "C" fn compare_bytes(a: *const c_void, b: *const c_void) -> c_int {
    // SAFETY: the first byte of each item.
    unsafe { c_int::from(*a.cast::<u8>()) - c_int::from(*b.cast::<u8>()) }
}

fn items_of_every_size_are_sorted() {
    for size in [1, 2, 3, 4, 7, 8, 12, 16, 24, 33, 100] {
        let mut x = 1u32;
        // The first byte of an item is repeated in all of it.
        let mut items: Vec<u8> = (0..200)
            .flat_map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                std::iter::repeat_n((x >> 24) as u8, size)
            })
            .collect();
        let mut expected: Vec<u8> = items.iter().step_by(size).copied().collect();
        expected.sort_unstable();
        sys!(qsort(
            items.as_mut_ptr().cast(),
            200,
            size,
            Some(compare_bytes)
        ));
        assert!(items.chunks(size).map(|item| item[0]).eq(expected));
        assert!(
            items
                .chunks(size)
                .all(|item| item.iter().all(|b| *b == item[0]))
        );
        let key = items[size * 77];
        let found = sys!(bsearch(
            (&raw const key).cast(),
            items.as_ptr().cast(),
            200,
            size,
            Some(compare_bytes)
        ));
        // SAFETY: an item of ours.
        assert_eq!(unsafe { *found.cast::<u8>() }, key);
    }
}

fn an_unseeded_sequence_is_that_of_seed_one() {
    in_child(|| {
        let draw = || (0..10).map(|_| sys!(rand())).collect::<Vec<_>>();
        let unseeded = draw();
        sys!(srand(1));
        assert_eq!(draw(), unseeded);
        sys!(srand(2));
        assert_ne!(draw(), unseeded);
    });
}

fn templates_are_checked() {
    let try_with = |template: &str, suffix| {
        let name = CString::new(template).expect("no NUL").into_raw();
        let fd = sys!(mkstemps(name, suffix));
        // SAFETY: made above.
        let name = unsafe { CString::from_raw(name) };
        let name = name.into_string().expect("ASCII");
        (fd, name)
    };
    let (fd, name) = try_with("aXXXXXX.txt", 4);
    ok(fd);
    assert!(name.starts_with('a') && name.ends_with(".txt") && !name.contains("XXXXXX"));
    for (template, suffix) in [
        ("aXXXXXX", -1),
        ("aXXXXXX", 1),
        ("XXXXX", 0),
        ("XXXXXX", 99),
        ("aXXXXXX", c_int::MIN),
    ] {
        fails(try_with(template, suffix).0, libc::EINVAL);
    }
}

fn the_break_moves() {
    in_child(|| {
        let now = sys!(sbrk(0));
        assert_eq!(sys!(brk(now.wrapping_byte_add(8192))), 0);
        assert_eq!(sys!(sbrk(0)), now.wrapping_byte_add(8192));
        // SAFETY: just added.
        unsafe { now.cast::<u8>().write(1) };
        fails(sys!(brk(now.wrapping_byte_add(1 << 46))), libc::ENOMEM);
        assert_eq!(sys!(sbrk(0)), now.wrapping_byte_add(8192));
        assert_eq!(sys!(brk(now)), 0);
    });
}

fn niceness_stops_at_its_limits() {
    in_child(|| {
        ok(sys!(setpriority(libc::PRIO_PROCESS as _, 0, 0)));
        assert_eq!(sys!(nice(c_int::MAX)), 19);
        // From there the sum is more than an int holds; glibc does not see to that.
        if cfg!(target_env = "musl") {
            assert_eq!(sys!(nice(c_int::MAX)), 19);
        }
        assert_eq!(sys!(nice(-1)), 18);
    });
}

extern "C" fn only_x(entry: *const dirent) -> c_int {
    more::set_errno(libc::EDOM);
    // SAFETY: the entry's own name.
    c_int::from(unsafe { (*entry).d_name[0] } == b'x' as c_char)
}

fn names_in(path: &CStr, select: Option<extern "C" fn(*const dirent) -> c_int>) -> Vec<String> {
    let mut list: *mut *mut dirent = null_mut();
    let count = ok(more::scandir(
        path.as_ptr(),
        &mut list,
        select,
        Some(more::alphasort),
    ));
    let names = (0..count as usize).map(|i| {
        // SAFETY: so many entries there are, each a block of its own.
        unsafe {
            let entry = *list.add(i);
            let name = CStr::from_ptr((*entry).d_name.as_ptr())
                .to_string_lossy()
                .into_owned();
            libc::free(entry.cast());
            name
        }
    });
    let names = names.collect();
    sys!(free(list.cast()));
    names
}

fn a_selector_may_change_errno() {
    for name in ["x1", "y", "x2"] {
        fs::write(name, "").expect("a directory");
    }
    assert_eq!(names_in(c".", Some(only_x)), ["x1", "x2"]);
    let mut list = null_mut();
    fails(
        more::scandir(c"no/such".as_ptr(), &mut list, None, None),
        libc::ENOENT,
    );
}

fn directories_are_listed_in_order() {
    let expected: Vec<_> = (0..1000).map(|n| format!("name{n:04}")).collect();
    for name in &expected {
        fs::write(name, "").expect("a directory");
    }
    let names = names_in(c".", None);
    assert_eq!(names[..2], [".", ".."]);
    assert_eq!(names[2..], expected);
}

fn a_script_without_a_first_line_is_run_by_the_shell() {
    fs::write("script", "test \"$1\" = one && test $# = 2 && exit 7\n").expect("a directory");
    fs::set_permissions("script", fs::Permissions::from_mode(0o755)).expect("ours");
    let args = [
        c"whatever".as_ptr(),
        c"one".as_ptr(),
        c"two".as_ptr(),
        null(),
    ];
    let end = end_of(|| sys!(execvp(c"./script".as_ptr(), args.as_ptr())));
    assert_eq!(end, End::Exit(7));
    // By way of `PATH`, too.
    let end = end_of(|| {
        let here = std::env::current_dir().expect("a directory");
        let here = c(&here.display().to_string());
        sys!(setenv(c"PATH".as_ptr(), here.as_ptr(), 1));
        let (name, one) = (c"script".as_ptr(), c"one".as_ptr());
        sys!(execlp(name, name, one, one, null::<c_char>()))
    });
    assert_eq!(end, End::Exit(7));
    let end = end_of(|| {
        let r = sys!(execv(c"./script".as_ptr(), args.as_ptr()));
        i32::from(r != -1 || errno() != libc::ENOEXEC)
    });
    assert_eq!(end, End::Exit(0));
}

fn such_a_script_takes_many_arguments() {
    fs::write(
        "script",
        "test $# = 3000 && test ${3000} = last && exit 7\n",
    )
    .expect("a directory");
    fs::set_permissions("script", fs::Permissions::from_mode(0o755)).expect("ours");
    let mut args = vec![c"word".as_ptr(); 3000];
    args.extend([c"last".as_ptr(), null()]);
    let end = end_of(|| sys!(execvp(c"./script".as_ptr(), args.as_ptr())));
    assert_eq!(end, End::Exit(7));
}

fn arguments_in_registers_and_on_the_stack() {
    let end = end_of(|| {
        let word = |n: &'static CStr| n.as_ptr();
        sys!(execlp(
            word(c"sh"),
            word(c"sh"),
            word(c"-c"),
            word(c"test $# = 9 && test $9 = 9"),
            word(c"0"),
            word(c"1"),
            word(c"2"),
            word(c"3"),
            word(c"4"),
            word(c"5"),
            word(c"6"),
            word(c"7"),
            word(c"8"),
            word(c"9"),
            null::<c_char>()
        ))
    });
    assert_eq!(end, End::Exit(0));
}

fn system_gives_the_commands_status() {
    assert_ne!(sys!(system(null())), 0);
    assert_eq!(sys!(system(c"exit 4".as_ptr())), 4 << 8);
    assert_eq!(sys!(system(c"kill -9 $$".as_ptr())), 9);
}

fn system_says_that_the_status_is_lost() {
    in_child(|| {
        // Then nobody can wait for a child.
        on_signal(libc::SIGCHLD, 0, libc::SIG_IGN);
        more::set_errno(0);
        fails(sys!(system(c"exit 4".as_ptr())), libc::ECHILD);
    });
}

fn system_without_a_shell_says_so() {
    fs::create_dir("root").expect("a directory");
    in_child(|| {
        ok(sys!(chroot(c"root".as_ptr())));
        assert_eq!(sys!(system(null())), 0);
        assert_eq!(sys!(system(c"exit 4".as_ptr())), 127 << 8);
    });
}

fn the_environment_changes() {
    in_child(|| {
        let get = |name: &CStr| {
            let value = sys!(getenv(name.as_ptr()));
            // SAFETY: a string of the environment.
            (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) })
        };
        let set =
            |name: &CStr, value: &CStr, over| sys!(setenv(name.as_ptr(), value.as_ptr(), over));
        ok(set(c"KTEST", c"1", 0));
        ok(set(c"KTEST", c"2", 0));
        assert_eq!(get(c"KTEST"), Some(c"1"));
        ok(set(c"KTEST", c"3", 1));
        assert_eq!(get(c"KTEST"), Some(c"3"));
        fails(set(c"KT=EST", c"3", 1), libc::EINVAL);
        fails(set(c"", c"3", 1), libc::EINVAL);
        let entry = c"KTEST=put";
        assert_eq!(sys!(putenv(entry.as_ptr().cast_mut())), 0);
        assert_eq!(get(c"KTEST"), Some(c"put"));
        ok(sys!(unsetenv(c"KTEST".as_ptr())));
        assert_eq!(get(c"KTEST"), None);
        for n in 0..300 {
            ok(set(&c(&format!("KTEST{n}")), &c(&n.to_string()), 1));
        }
        assert_eq!(get(c"KTEST299"), Some(c"299"));
        ok(sys!(clearenv()));
        assert_eq!(get(c"KTEST299"), None);
    });
}

fn paths_are_resolved() {
    fs::create_dir("dir").expect("a directory");
    fs::write("dir/file", "").expect("a directory");
    std::os::unix::fs::symlink("dir", "link").expect("a directory");
    let here = std::env::current_dir().expect("a directory");
    let resolved = sys!(realpath(c"link/../link/./file".as_ptr(), null_mut()));
    assert!(!resolved.is_null());
    // SAFETY: a string of its own.
    let text = unsafe { CStr::from_ptr(resolved) }
        .to_string_lossy()
        .into_owned();
    assert_eq!(text, here.join("dir/file").display().to_string());
    sys!(free(resolved.cast()));
    assert!(sys!(realpath(c"no/such".as_ptr(), null_mut())).is_null());
}

fn blocks_keep_their_alignment() {
    for align in [16, 32, 64, 4096, 1 << 16] {
        let mut block = null_mut();
        assert_eq!(sys!(posix_memalign(&mut block, align, 100)), 0);
        assert!(block.addr().is_multiple_of(align));
        sys!(memset(block, 1, 100));
        let larger = sys!(realloc(block, 300_000)).cast::<u8>();
        // SAFETY: the bytes that were set.
        assert!((0..100).all(|i| unsafe { *larger.add(i) } == 1));
        sys!(free(larger.cast()));
    }
    let mut block = null_mut();
    assert_eq!(sys!(posix_memalign(&mut block, 24, 100)), libc::EINVAL);
}

fn impossible_blocks_are_refused() {
    // What the compiler does not see it cannot do without.
    use std::hint::black_box;
    let much = black_box(usize::MAX / 2);
    assert!(black_box(sys!(malloc(much))).is_null());
    assert_eq!(errno(), libc::ENOMEM);
    assert!(black_box(sys!(calloc(usize::MAX, black_box(16)))).is_null());
    let small = black_box(sys!(malloc(10)));
    assert!(black_box(sys!(realloc(small, much))).is_null());
    sys!(free(small));
}

fn a_block_freed_twice_ends_the_process() {
    let end = end_of(|| {
        // It says so on standard error.
        sys!(close(2));
        let block = std::hint::black_box(sys!(malloc(10)));
        sys!(free(block));
        sys!(free(std::hint::black_box(block)));
        0
    });
    assert_eq!(end, End::Signal(libc::SIGABRT));
}
