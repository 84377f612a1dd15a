//! Files of `/proc` while they are open.

use super::node::Node;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::file::{File, FileOps, Offsets};
use crate::user::Buffer;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// An open file of text. It is made when it is read from the start, and stays as it was for the reads that follow.
pub struct OpenText {
    node: Node,
    text: SpinLock<Arc<Vec<u8>>>,
}

impl OpenText {
    pub fn new(node: Node) -> Self {
        OpenText {
            node,
            text: SpinLock::new(Arc::default()),
        }
    }
}

/// Longest value that can be written to a control file.
const VALUE_MAX: usize = 256;

impl FileOps for OpenText {
    fn read(&self, _file: &File, buf: &mut Buffer<'_>, at: Option<u64>) -> Result<usize> {
        let at = usize::try_from(at.unwrap_or(0)).unwrap_or(usize::MAX);
        if at == 0 {
            let text = Arc::new(self.node.text()?);
            let old = core::mem::replace(&mut *self.text.lock(), text);
            drop(old);
        }
        let text = self.text.lock().clone();
        buf.put(&text[at.min(text.len())..])
    }

    fn write(&self, _file: &File, buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        let mut value = [0; VALUE_MAX];
        let total = buf.len();
        if total > VALUE_MAX {
            return Err(Errno::EINVAL);
        }
        let n = buf.take(&mut value)?;
        let text = core::str::from_utf8(&value[..n]).map_err(|_| Errno::EINVAL)?;
        self.node.store(text.trim())?;
        Ok(total)
    }

    fn offsets(&self) -> Offsets {
        Offsets::InTurn
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
