//! `<sys/socket.h>` and byte-order helpers of `<arpa/inet.h>`: the kernel does the work.

use core::ffi::{c_char, c_int, c_void};
use libc::{msghdr, size_t, sockaddr, socklen_t, ssize_t};

passthrough! {
    fn socket(domain: c_int, kind: c_int, proto: c_int) -> c_int = socket(domain, kind, proto);
    fn socketpair(domain: c_int, kind: c_int, proto: c_int, fds: *mut c_int) -> c_int = socketpair(domain, kind, proto, fds);
    fn bind(fd: c_int, a: *const sockaddr, n: socklen_t) -> c_int = bind(fd, a, n);
    fn connect(fd: c_int, a: *const sockaddr, n: socklen_t) -> c_int = connect(fd, a, n);
    fn listen(fd: c_int, n: c_int) -> c_int = listen(fd, n);
    fn accept(fd: c_int, a: *mut sockaddr, n: *mut socklen_t) -> c_int = accept4(fd, a, n, 0);
    fn accept4(fd: c_int, a: *mut sockaddr, n: *mut socklen_t, flags: c_int) -> c_int = accept4(fd, a, n, flags);
    fn getsockname(fd: c_int, a: *mut sockaddr, n: *mut socklen_t) -> c_int = getsockname(fd, a, n);
    fn getpeername(fd: c_int, a: *mut sockaddr, n: *mut socklen_t) -> c_int = getpeername(fd, a, n);
    fn send(fd: c_int, buf: *const c_void, n: size_t, flags: c_int) -> ssize_t = sendto(fd, buf, n, flags, 0usize, 0usize);
    fn recv(fd: c_int, buf: *mut c_void, n: size_t, flags: c_int) -> ssize_t = recvfrom(fd, buf, n, flags, 0usize, 0usize);
    fn sendto(fd: c_int, buf: *const c_void, n: size_t, flags: c_int, a: *const sockaddr, l: socklen_t) -> ssize_t = sendto(fd, buf, n, flags, a, l);
    fn recvfrom(fd: c_int, buf: *mut c_void, n: size_t, flags: c_int, a: *mut sockaddr, l: *mut socklen_t) -> ssize_t = recvfrom(fd, buf, n, flags, a, l);
    fn setsockopt(fd: c_int, level: c_int, name: c_int, v: *const c_void, n: socklen_t) -> c_int = setsockopt(fd, level, name, v, n);
    fn getsockopt(fd: c_int, level: c_int, name: c_int, v: *mut c_void, n: *mut socklen_t) -> c_int = getsockopt(fd, level, name, v, n);
    fn shutdown(fd: c_int, how: c_int) -> c_int = shutdown(fd, how);
}

/// musl's `msghdr` has ints and padding where the kernel has words: the kernel must see clean ones.
#[repr(C)]
struct KernelMsg {
    name: *mut c_void,
    namelen: u32,
    iov: *mut libc::iovec,
    iovlen: usize,
    control: *mut c_void,
    controllen: usize,
    flags: c_int,
}

unsafe fn to_kernel(m: *const msghdr) -> KernelMsg {
    KernelMsg {
        name: (*m).msg_name,
        namelen: (*m).msg_namelen,
        iov: (*m).msg_iov,
        iovlen: (*m).msg_iovlen as usize,
        control: (*m).msg_control,
        controllen: (*m).msg_controllen as usize,
        flags: (*m).msg_flags,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendmsg(fd: c_int, m: *const msghdr, flags: c_int) -> ssize_t {
    let mut k = to_kernel(m);
    // Control headers too: musl pads their 32-bit length to a word, and the pad may hold anything.
    // Room for the most descriptors that a message may have, 253, and for credentials, each with a header.
    const ROOM: usize = (16 + 253 * 4usize).next_multiple_of(8) + 16 + size_of::<libc::ucred>();
    let mut control = [0u64; ROOM.div_ceil(8)];
    if k.controllen > size_of_val(&control) {
        return crate::errno::fail(libc::ENOMEM);
    }
    if !k.control.is_null() && k.controllen > 0 {
        crate::string::memcpy(control.as_mut_ptr().cast(), k.control, k.controllen);
        let base = control.as_mut_ptr().cast::<u8>();
        let mut at = 0;
        while at + 16 <= k.controllen {
            let len = *base.add(at).cast::<u32>();
            *base.add(at).cast::<u64>() = len as u64;
            if len < 16 {
                break;
            }
            at += (len as usize + 7) & !7;
        }
        k.control = base.cast();
    }
    crate::errno::cvt(door!(sendmsg, fd, &raw const k, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn recvmsg(fd: c_int, m: *mut msghdr, flags: c_int) -> ssize_t {
    let mut k = to_kernel(m);
    let r = crate::errno::cvt(door!(recvmsg, fd, &raw mut k, flags));
    if r >= 0 {
        (*m).msg_namelen = k.namelen;
        (*m).msg_controllen = k.controllen as _;
        (*m).msg_flags = k.flags;
    }
    r
}

#[unsafe(no_mangle)]
pub extern "C" fn htons(v: u16) -> u16 {
    v.to_be()
}
#[unsafe(no_mangle)]
pub extern "C" fn ntohs(v: u16) -> u16 {
    u16::from_be(v)
}
#[unsafe(no_mangle)]
pub extern "C" fn htonl(v: u32) -> u32 {
    v.to_be()
}
#[unsafe(no_mangle)]
pub extern "C" fn ntohl(v: u32) -> u32 {
    u32::from_be(v)
}

/// There are no network interfaces to name but the loopback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn if_nametoindex(name: *const c_char) -> core::ffi::c_uint {
    let mut req: libc::ifreq = core::mem::zeroed();
    let name = crate::string::bytes(name);
    if !crate::string::put(name, req.ifr_name.as_mut_ptr(), req.ifr_name.len()) {
        crate::errno::fail(libc::ENODEV);
        return 0;
    }
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let fd = crate::errno::cvt(door!(socket, libc::AF_UNIX, kind, 0));
    if fd < 0 {
        return 0;
    }
    let r = crate::errno::cvt(door!(ioctl, fd, libc::SIOCGIFINDEX as u32, &raw mut req));
    door!(close, fd);
    if r < 0 {
        0
    } else {
        req.ifr_ifru.ifru_ifindex as core::ffi::c_uint
    }
}
