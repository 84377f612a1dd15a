//! `<netdb.h>`: addresses written as numbers, and the names of `/etc/hosts`. There is no resolver
//! behind it: any other name is unknown (`EAI_NONAME`).

use crate::malloc::{free, malloc};
use crate::stdio::{Lines, Room};
use crate::string::{bytes, put};
use core::ffi::{c_char, c_int, c_void};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ptr::null_mut;
use libc::*;

/// An answer and the address that it points to, freed together.
#[repr(C)]
struct Answer {
    info: addrinfo,
    addr: sockaddr_in6,
    name: [c_char; 256],
}

unsafe fn parse(name: &[u8]) -> Option<IpAddr> {
    core::str::from_utf8(name).ok()?.parse().ok()
}

/// Calls `found` with each address that `/etc/hosts` gives the name.
unsafe fn hosts(name: &[u8], mut found: impl FnMut(IpAddr)) {
    let Ok(mut lines) = Lines::open(c"/etc/hosts".as_ptr()) else {
        return;
    };
    let mut text = Room::growing();
    while let Ok(true) = lines.next(&mut text) {
        let line = bytes(text.at);
        let line = line.split(|&c| c == b'#').next().unwrap_or(b"");
        let mut words = line
            .split(|c| c.is_ascii_whitespace())
            .filter(|w| !w.is_empty());
        let Some(addr) = words.next() else { continue };
        if words.any(|w| w.eq_ignore_ascii_case(name))
            && let Some(a) = parse(addr)
        {
            found(a);
        }
    }
}

/// A number, or a name of `/etc/services`.
unsafe fn port(service: *const c_char, hints: c_int, proto: &[u8]) -> Result<u16, c_int> {
    if service.is_null() {
        return Ok(0);
    }
    let service = bytes(service);
    if let Some(n) = core::str::from_utf8(service)
        .ok()
        .and_then(|s| s.parse().ok())
    {
        return Ok(n);
    }
    if hints & AI_NUMERICSERV != 0 {
        return Err(EAI_NONAME);
    }
    let mut lines = Lines::open(c"/etc/services".as_ptr()).map_err(|_| EAI_SERVICE)?;
    let mut text = Room::growing();
    while let Ok(true) = lines.next(&mut text) {
        let line = bytes(text.at).split(|&c| c == b'#').next().unwrap_or(b"");
        let mut words = line
            .split(|c| c.is_ascii_whitespace())
            .filter(|w| !w.is_empty());
        let (Some(name), Some(number)) = (words.next(), words.next()) else {
            continue;
        };
        let Some(slash) = number.iter().position(|&c| c == b'/') else {
            continue;
        };
        if (name == service || words.any(|w| w == service))
            && (proto.is_empty() || &number[slash + 1..] == proto)
        {
            let n = core::str::from_utf8(&number[..slash])
                .ok()
                .and_then(|s| s.parse().ok());
            return n.ok_or(EAI_SERVICE);
        }
    }
    Err(EAI_SERVICE)
}

unsafe fn answer(
    a: IpAddr,
    port: u16,
    kind: (c_int, c_int),
    flags: c_int,
    name: &[u8],
) -> *mut addrinfo {
    let p = malloc(size_of::<Answer>()).cast::<Answer>();
    if p.is_null() {
        return null_mut();
    }
    p.write_bytes(0, 1);
    let info = &raw mut (*p).info;
    (*info).ai_socktype = kind.0;
    (*info).ai_protocol = kind.1;
    (*info).ai_flags = flags;
    (*info).ai_addr = (&raw mut (*p).addr).cast();
    match a {
        IpAddr::V4(a) => {
            (*info).ai_family = AF_INET;
            (*info).ai_addrlen = size_of::<sockaddr_in>() as socklen_t;
            let s = (&raw mut (*p).addr).cast::<sockaddr_in>();
            (*s).sin_family = AF_INET as sa_family_t;
            (*s).sin_port = port.to_be();
            (*s).sin_addr.s_addr = u32::from_ne_bytes(a.octets());
        }
        IpAddr::V6(a) => {
            (*info).ai_family = AF_INET6;
            (*info).ai_addrlen = size_of::<sockaddr_in6>() as socklen_t;
            (*p).addr.sin6_family = AF_INET6 as sa_family_t;
            (*p).addr.sin6_port = port.to_be();
            (*p).addr.sin6_addr.s6_addr = a.octets();
        }
    }
    if flags & AI_CANONNAME != 0 && put(name, (&raw mut (*p).name).cast(), 256) {
        (*info).ai_canonname = (&raw mut (*p).name).cast();
    }
    info
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    out: *mut *mut addrinfo,
) -> c_int {
    let (mut family, mut want, mut flags) = (AF_UNSPEC, (0, 0), 0);
    if !hints.is_null() {
        family = (*hints).ai_family;
        want = ((*hints).ai_socktype, (*hints).ai_protocol);
        flags = (*hints).ai_flags;
    }
    if node.is_null() && service.is_null() {
        return EAI_NONAME;
    }
    if ![AF_UNSPEC, AF_INET, AF_INET6].contains(&family) {
        return EAI_FAMILY;
    }
    let kinds = [
        (SOCK_STREAM, IPPROTO_TCP),
        (SOCK_DGRAM, IPPROTO_UDP),
        (SOCK_RAW, 0),
    ];
    let fits = |k: &(c_int, c_int)| {
        (want.0 == 0 || want.0 == k.0) && (want.1 == 0 || want.1 == k.1 || k.0 == SOCK_RAW)
    };
    if want.0 != 0 && !kinds.iter().any(fits) {
        return EAI_SOCKTYPE;
    }
    let mut addrs = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); 16];
    let mut n = 0;
    let mut add = |a: IpAddr| {
        let right = family == AF_UNSPEC || (family == AF_INET) == a.is_ipv4();
        if right && n < addrs.len() && !addrs[..n].contains(&a) {
            addrs[n] = a;
            n += 1;
        }
    };
    let name = if node.is_null() {
        &b""[..]
    } else {
        bytes(node)
    };
    if node.is_null() {
        if flags & AI_PASSIVE != 0 {
            add(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            // After the first: 0.0.0.0 is what the array held before it was filled.
            add(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        } else {
            add(IpAddr::V4(Ipv4Addr::LOCALHOST));
            add(IpAddr::V6(Ipv6Addr::LOCALHOST));
        }
    } else if let Some(a) = parse(name) {
        add(a);
    } else if flags & AI_NUMERICHOST == 0 {
        hosts(name, &mut add);
        if n == 0 && name.eq_ignore_ascii_case(b"localhost") && family != AF_INET6 {
            addrs[0] = IpAddr::V4(Ipv4Addr::LOCALHOST);
            n = 1;
        }
    }
    if n == 0 {
        return EAI_NONAME;
    }
    let mut list: *mut addrinfo = null_mut();
    let mut last = &raw mut list;
    // Raw sockets only when asked for, or when the protocol is one that the others do not have.
    let raw = want.0 != 0 || !kinds[..2].iter().any(fits);
    for &a in &addrs[..n] {
        for k in kinds.iter().filter(|k| fits(k) && (raw || k.0 != SOCK_RAW)) {
            let proto: &[u8] = [&b"udp"[..], b"tcp"][(k.0 == SOCK_STREAM) as usize];
            let port = match port(service, flags, proto) {
                Ok(p) => p,
                Err(e) => {
                    freeaddrinfo(list);
                    return e;
                }
            };
            let protocol = if k.0 == SOCK_RAW { want.1 } else { k.1 };
            let info = answer(a, port, (k.0, protocol), flags, name);
            if info.is_null() {
                freeaddrinfo(list);
                return EAI_MEMORY;
            }
            *last = info;
            last = &raw mut (*info).ai_next;
        }
    }
    *out = list;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn freeaddrinfo(mut list: *mut addrinfo) {
    while !list.is_null() {
        let next = (*list).ai_next;
        free(list.cast());
        list = next;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn gai_strerror(e: c_int) -> *const c_char {
    match e {
        0 => c"Success",
        EAI_BADFLAGS => c"Bad value for ai_flags",
        EAI_NONAME => c"Name or service not known",
        EAI_AGAIN => c"Temporary failure in name resolution",
        EAI_FAIL => c"Non-recoverable failure in name resolution",
        EAI_NODATA => c"No address associated with hostname",
        EAI_FAMILY => c"ai_family not supported",
        EAI_SOCKTYPE => c"ai_socktype not supported",
        EAI_SERVICE => c"Servname not supported for ai_socktype",
        EAI_MEMORY => c"Memory allocation failure",
        EAI_SYSTEM => c"System error",
        EAI_OVERFLOW => c"Argument buffer overflow",
        _ => c"Unknown error",
    }
    .as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getnameinfo(
    addr: *const sockaddr,
    _len: socklen_t,
    host: *mut c_char,
    host_len: socklen_t,
    serv: *mut c_char,
    serv_len: socklen_t,
    flags: c_int,
) -> c_int {
    use core::fmt::Write;
    if flags & NI_NAMEREQD != 0 {
        return EAI_NONAME;
    }
    let mut name = crate::stdio::Fixed::<64>::new();
    let port;
    let written = match (*addr).sa_family as c_int {
        AF_INET => {
            let s = &*addr.cast::<sockaddr_in>();
            port = u16::from_be(s.sin_port);
            write!(name, "{}", Ipv4Addr::from(s.sin_addr.s_addr.to_ne_bytes()))
        }
        AF_INET6 => {
            let s = &*addr.cast::<sockaddr_in6>();
            port = u16::from_be(s.sin6_port);
            write!(name, "{}", Ipv6Addr::from(s.sin6_addr.s6_addr))
        }
        _ => return EAI_FAMILY,
    };
    let mut number = crate::stdio::Fixed::<8>::new();
    let fits = written.is_ok()
        && write!(number, "{port}").is_ok()
        && (host.is_null() || put(name.bytes(), host, host_len as usize))
        && (serv.is_null() || put(number.bytes(), serv, serv_len as usize));
    if fits { 0 } else { EAI_OVERFLOW }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn inet_pton(family: c_int, s: *const c_char, out: *mut c_void) -> c_int {
    match (family, parse(bytes(s))) {
        (AF_INET, Some(IpAddr::V4(a))) => *out.cast() = a.octets(),
        (AF_INET6, Some(IpAddr::V6(a))) => *out.cast() = a.octets(),
        (AF_INET | AF_INET6, _) => return 0,
        _ => return crate::errno::fail(EAFNOSUPPORT) as c_int,
    }
    1
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn inet_ntop(
    family: c_int,
    a: *const c_void,
    buf: *mut c_char,
    len: socklen_t,
) -> *const c_char {
    use core::fmt::Write;
    let mut text = crate::stdio::Fixed::<48>::new();
    let written = match family {
        AF_INET => write!(text, "{}", Ipv4Addr::from(*a.cast::<[u8; 4]>())),
        AF_INET6 => write!(text, "{}", Ipv6Addr::from(*a.cast::<[u8; 16]>())),
        _ => {
            crate::errno::fail(EAFNOSUPPORT);
            return null_mut();
        }
    };
    if written.is_err() || !put(text.bytes(), buf, len as usize) {
        crate::errno::fail(ENOSPC);
        return null_mut();
    }
    buf
}
