//! Users, groups, hosts and services, as the files of `/etc` have them.

use crate::more;
use crate::support::*;
use libc::{c_char, c_int, gid_t};
use std::ffi::{CStr, CString};
use std::fs;
use std::ptr::{null, null_mut};

crate::harness::tests![
    root_is_known_by_name_and_number,
    a_long_line_hides_nobody: Native,
    a_small_buffer_is_told_so,
    groups_of_a_user_are_all_found: Native,
    a_raw_protocol_has_an_address,
    addresses_are_numbers_or_names,
    a_long_interface_name_leaves_nothing_open,
];

fn bytes(text: *const c_char) -> Vec<u8> {
    assert!(!text.is_null());
    // SAFETY: what the library gives is a C string.
    unsafe { CStr::from_ptr(text) }.to_bytes().to_vec()
}

fn root_is_known_by_name_and_number() {
    for user in [sys!(getpwnam(c"root".as_ptr())), sys!(getpwuid(0))] {
        assert!(!user.is_null());
        // SAFETY: the entry that has just been found.
        let user = unsafe { &*user };
        assert_eq!((user.pw_uid, user.pw_gid), (0, 0));
        assert_eq!(bytes(user.pw_name), b"root");
        assert_eq!(bytes(user.pw_dir), b"/root");
    }
    for group in [sys!(getgrnam(c"root".as_ptr())), sys!(getgrgid(0))] {
        assert!(!group.is_null());
        // SAFETY: as above.
        assert_eq!(bytes(unsafe { (*group).gr_name }), b"root");
    }
    assert!(sys!(getpwnam(c"nobodyhere".as_ptr())).is_null());
    assert!(sys!(getgrgid(4_000_000_000)).is_null());
    more::setpwent();
    let mut count = 0;
    while !more::getpwent().is_null() {
        count += 1;
    }
    more::endpwent();
    assert!(count > 1);
}

/// Runs checks where `/etc` holds these files; as root, in a child.
fn with_etc(files: &[(&str, &str)], checks: impl FnOnce()) {
    fs::create_dir_all("root/etc").expect("a directory");
    for (name, text) in files {
        fs::write(format!("root/etc/{name}"), text).expect("a directory");
    }
    in_child(|| {
        ok(sys!(chroot(c"root".as_ptr())));
        ok(sys!(chdir(c"/".as_ptr())));
        checks();
    });
}

fn a_long_line_hides_nobody() {
    let long = "x".repeat(9000);
    let passwd = format!(
        "long:x:5:5:{long}:/:/bin/sh\nbad line\nshort:x:6:7:Short One:/home:/bin/sh\nlast:x:8:9::/l:/s"
    );
    let members: Vec<_> = (0..1500).map(|n| format!("member{n}")).collect();
    let group = format!(
        "many:x:5:{}\nempty:x:6:\nfew:x:7:a,short\n",
        members.join(",")
    );
    with_etc(&[("passwd", &passwd), ("group", &group)], || {
        let user = sys!(getpwnam(c"short".as_ptr()));
        assert!(!user.is_null());
        // SAFETY: the entry that has just been found, until the next is asked for.
        unsafe {
            assert_eq!(((*user).pw_uid, (*user).pw_gid), (6, 7));
            assert_eq!(bytes((*user).pw_gecos), b"Short One");
            let user = sys!(getpwuid(5));
            assert_eq!(bytes((*user).pw_gecos).len(), 9000);
            let user = sys!(getpwuid(8));
            assert_eq!(bytes((*user).pw_shell), b"/s");
        }
        more::setpwent();
        let mut names = Vec::new();
        loop {
            let user = more::getpwent();
            if user.is_null() {
                break;
            }
            // SAFETY: as above.
            names.push(bytes(unsafe { (*user).pw_name }));
        }
        assert_eq!(names, [&b"long"[..], b"short", b"last"]);
        let members = |group: *mut libc::group| {
            assert!(!group.is_null());
            let mut count = 0;
            // SAFETY: the list ends in null.
            while !unsafe { *(*group).gr_mem.add(count) }.is_null() {
                count += 1;
            }
            count
        };
        assert_eq!(members(sys!(getgrnam(c"few".as_ptr()))), 2);
        assert_eq!(members(sys!(getgrgid(5))), 1500);
        assert_eq!(members(sys!(getgrnam(c"empty".as_ptr()))), 0);
    });
}

fn a_small_buffer_is_told_so() {
    let mut entry = zeroed();
    let mut buffer = vec![0 as c_char; 4096];
    let mut found: *mut libc::passwd = null_mut();
    let name = c"root".as_ptr();
    let mut ask = |len| {
        let buffer = buffer.as_mut_ptr();
        let e = sys!(getpwnam_r(name, &mut entry, buffer, len, &mut found));
        (e, found.is_null())
    };
    assert_eq!(ask(5), (libc::ERANGE, true));
    assert_eq!(ask(4096), (0, false));
}

fn groups_of_a_user_are_all_found() {
    let others: Vec<_> = (0..800).map(|n| format!("other{n}")).collect();
    let others = others.join(",");
    let mut group = String::new();
    for n in 0..90 {
        group += &format!("group{n}:x:{}:{others},user\n", 1000 + n);
        group += &format!("not{n}:x:{}:{others}\n", 3000 + n);
    }
    let expected: Vec<gid_t> = [77].into_iter().chain(1000..1090).collect();
    with_etc(
        &[("passwd", "user:x:5:77::/:/bin/sh\n"), ("group", &group)],
        || {
            let mut list = [0; 200];
            let mut count = 10;
            let user = c"user".as_ptr();
            assert_eq!(
                sys!(getgrouplist(user, 77, list.as_mut_ptr(), &mut count)),
                -1
            );
            assert_eq!(count, 91);
            count = 200;
            assert_eq!(
                sys!(getgrouplist(user, 77, list.as_mut_ptr(), &mut count)),
                91
            );
            assert_eq!(list[..91], expected);
            ok(sys!(initgroups(user, 77)));
            let count = ok(sys!(getgroups(200, list.as_mut_ptr()))) as usize;
            let mut found = list[..count].to_vec();
            found.sort_unstable();
            assert_eq!(found, expected);
        },
    );
}

/// What `getaddrinfo` says: types, protocols and port of each answer.
fn addresses(
    node: &CStr,
    service: Option<&CStr>,
    kind: c_int,
    protocol: c_int,
) -> Result<Vec<(c_int, c_int, u16)>, c_int> {
    let mut hints: libc::addrinfo = zeroed();
    hints.ai_socktype = kind;
    hints.ai_protocol = protocol;
    hints.ai_flags = libc::AI_NUMERICHOST;
    let mut list = null_mut();
    let service = service.map_or(null(), CStr::as_ptr);
    match sys!(getaddrinfo(node.as_ptr(), service, &hints, &mut list)) {
        0 => {}
        e => return Err(e),
    }
    let mut found = Vec::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: an answer of the list, which is freed below.
        let answer = unsafe { &*at };
        assert_eq!(answer.ai_family, libc::AF_INET);
        // SAFETY: of that family.
        let address = unsafe { &*answer.ai_addr.cast::<libc::sockaddr_in>() };
        assert_eq!(address.sin_addr.s_addr, u32::from_ne_bytes([127, 0, 0, 1]));
        found.push((
            answer.ai_socktype,
            answer.ai_protocol,
            u16::from_be(address.sin_port),
        ));
        at = answer.ai_next;
    }
    sys!(freeaddrinfo(list));
    Ok(found)
}

fn a_raw_protocol_has_an_address() {
    let (raw, icmp) = (libc::SOCK_RAW, libc::IPPROTO_ICMP);
    let local = c"127.0.0.1";
    assert_eq!(addresses(local, None, 0, icmp), Ok(vec![(raw, icmp, 0)]));
    assert_eq!(addresses(local, None, raw, icmp), Ok(vec![(raw, icmp, 0)]));
    assert!(addresses(local, None, libc::SOCK_STREAM, icmp).is_err());
}

fn addresses_are_numbers_or_names() {
    let local = c"127.0.0.1";
    let tcp = (libc::SOCK_STREAM, libc::IPPROTO_TCP, 80);
    let udp = (libc::SOCK_DGRAM, libc::IPPROTO_UDP, 80);
    let eighty = Some(c"80");
    assert_eq!(addresses(local, eighty, tcp.0, 0), Ok(vec![tcp]));
    assert_eq!(addresses(local, eighty, 0, udp.1), Ok(vec![udp]));
    let all = addresses(local, eighty, 0, 0).expect("a number");
    assert_eq!(all[..2], [tcp, udp]);
    assert_eq!(addresses(c"no number", eighty, 0, 0), Err(libc::EAI_NONAME));
    use std::net::ToSocketAddrs;
    let mut named = "localhost:1".to_socket_addrs().expect("/etc/hosts");
    assert!(named.all(|address| address.ip().is_loopback()));
}

fn a_long_interface_name_leaves_nothing_open() {
    let name = CString::new("x".repeat(100)).expect("no NUL");
    let open = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    for _ in 0..20 {
        assert_eq!(sys!(if_nametoindex(name.as_ptr())), 0);
    }
    assert_eq!(open(), before);
}
