//! `/dev/hostin`, `/dev/hostout`, `/dev/hosterr`: the standard streams of the host's command.

use crate::base::{Errno, Result};
use crate::drivers::frame::ToHost;
use crate::drivers::hostlink::{self, WhenEmpty};
use crate::fs::{Dev, File, FileOps, PollEvents, register_char};
use crate::process::wait::PollTable;
use crate::user::{Buffer, UserPtr};
use alloc::sync::Arc;
use core::any::Any;

/// `ioctl` on any of the three: the argument is the exit status that the host's command is to end with.
pub const HOSTLINK_EXIT: u32 = 0x5201;
const FIONREAD: u32 = linux_raw_sys::ioctl::FIONREAD;
/// Major number of the three, from the range for local use.
const MAJOR: u32 = 240;

#[derive(Clone, Copy)]
enum HostStream {
    In,
    Out(ToHost),
}

impl FileOps for HostStream {
    fn read(&self, file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        match self {
            HostStream::In => hostlink::read(
                buf,
                if file.nonblocking() {
                    WhenEmpty::Refuse
                } else {
                    WhenEmpty::Wait
                },
            ),
            HostStream::Out(_) => Err(Errno::EINVAL),
        }
    }

    fn write(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        match self {
            HostStream::In => Err(Errno::EINVAL),
            HostStream::Out(kind) => hostlink::write(*kind, buf),
        }
    }

    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        match self {
            HostStream::In => {
                if let Some(table) = table {
                    table.register(hostlink::read_queue());
                }
                if hostlink::is_readable() {
                    PollEvents::IN | PollEvents::RDNORM
                } else {
                    PollEvents::default()
                }
            }
            HostStream::Out(_) => PollEvents::OUT | PollEvents::WRNORM,
        }
    }

    fn ioctl(&self, _file: &File, cmd: u32, arg: usize) -> Result<usize> {
        match cmd {
            HOSTLINK_EXIT => hostlink::report_exit(arg as i32),
            FIONREAD if matches!(self, HostStream::In) => {
                UserPtr::new(arg).write(hostlink::readable_bytes() as i32)?;
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes the devices.
pub(super) fn init() -> Result<()> {
    let streams = [
        ("hostin", 0o600, HostStream::In),
        ("hostout", 0o600, HostStream::Out(ToHost::Stdout)),
        ("hosterr", 0o600, HostStream::Out(ToHost::Stderr)),
    ];
    for (minor, (name, perm, stream)) in streams.into_iter().enumerate() {
        let open = move |_, _| Ok(Arc::new(stream) as Arc<dyn FileOps>);
        register_char(name, Dev::new(MAJOR, minor as u32), perm, Arc::new(open))?;
    }
    Ok(())
}
