//! Sockets that nobody has open and that lie in each other's queues (`SCM_RIGHTS`): messages in a ring keep each other alive
//! though nobody can ever receive them. They are looked for when a socket ends, as on Linux.
//!
//! What is in flight is counted queue by queue while other cores go on, and judged afterwards: a file to which there are more
//! references than messages is open somewhere, and what lies in an open socket's queue can be received, and so on from there. The
//! rest is lost, if nothing was received meanwhile: a file leaves a queue in no other way, so what was in flight still is, and a
//! file that is not open can only become so again by being received. What is sent meanwhile makes references that were not
//! counted, which is taken for being open.

use super::{Socket, State};
use crate::base::SpinLock;
use crate::fs::File;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// Sockets in whose queues sockets lie, or lay. Taken inside a socket's lock.
static CARRIERS: SpinLock<Vec<Weak<Socket>>> = SpinLock::new(Vec::new());
/// How many there are: most systems send no sockets.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Receives that got files.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);
static COLLECTING: AtomicBool = AtomicBool::new(false);

/// What is known of a socket that is, or holds one that is, in flight.
#[derive(Clone, Copy)]
struct Node {
    /// Its address.
    socket: usize,
    /// Messages that hold its file.
    messages: usize,
    /// All references to its file; 0 where it is in no message.
    references: usize,
}

/// `state` of `socket`, locked, is about to take `files` in. Without memory the socket stays unknown, and its messages count
/// as being received some day.
pub fn sent(socket: &Socket, state: &mut State, files: &[Arc<File>]) {
    if state.carries || !files.iter().any(|file| file.ops_as::<Socket>().is_some()) {
        return;
    }
    let mut carriers = CARRIERS.lock();
    if carriers.try_reserve(1).is_ok() {
        carriers.push(socket.this.clone());
        state.carries = true;
        COUNT.store(carriers.len(), Ordering::Relaxed);
    }
}

/// Files were taken, or copied, out of a queue. Called with its socket locked.
pub fn received() {
    RECEIVED.fetch_add(1, Ordering::SeqCst);
}

/// Ends the sockets that nobody can reach. Called with no lock held.
pub fn collect() {
    if COUNT.load(Ordering::Relaxed) == 0 || COLLECTING.swap(true, Ordering::Acquire) {
        return;
    }
    let weak = core::mem::take(&mut *CARRIERS.lock());
    let mut carriers = Vec::new();
    if carriers.try_reserve(weak.len()).is_ok() {
        carriers.extend(weak.iter().filter_map(Weak::upgrade));
        for socket in lost_among(&carriers).unwrap_or_default() {
            let mut state = carriers[socket].state.lock();
            let queue = core::mem::take(&mut state.queue);
            state.carries = false;
            drop(state);
            drop(queue);
        }
    }
    drop(carriers);
    let mut still = weak;
    still.retain(|weak| weak.upgrade().is_some_and(|s| s.state.lock().carries));
    let mut known = CARRIERS.lock();
    if still.try_reserve(known.len()).is_ok() {
        still.append(&mut known);
        *known = still;
    }
    COUNT.store(known.len(), Ordering::Relaxed);
    drop(known);
    COLLECTING.store(false, Ordering::Release);
}

/// Which of the carriers nobody can reach, as indices; `None` if that cannot be said now.
fn lost_among(carriers: &[Arc<Socket>]) -> Option<Vec<usize>> {
    let before = RECEIVED.load(Ordering::SeqCst);
    let (mut edges, mut files) = (Vec::new(), Vec::new());
    for (index, carrier) in carriers.iter().enumerate() {
        let mut state = carrier.state.lock();
        let mut any = false;
        for file in state.queue.files() {
            let Some(socket) = file.ops_as::<Socket>() else {
                continue;
            };
            any = true;
            edges.try_reserve(1).ok()?;
            files.try_reserve(1).ok()?;
            edges.push((index, core::ptr::from_ref(socket).addr()));
            // Not a reference of our own, which would count.
            files.push((core::ptr::from_ref(socket).addr(), Arc::downgrade(file)));
        }
        state.carries = any;
    }
    // What the cores did before they let go of the queues that were looked at is seen now.
    fence(Ordering::SeqCst);
    let mut nodes = Vec::new();
    nodes.try_reserve(carriers.len() + files.len()).ok()?;
    nodes.extend(files.iter().map(|(socket, file)| Node {
        socket: *socket,
        messages: 1,
        references: file.strong_count(),
    }));
    nodes.extend(carriers.iter().map(|carrier| Node {
        socket: Arc::as_ptr(carrier).addr(),
        messages: 0,
        references: 0,
    }));
    let mut addresses = Vec::new();
    addresses.try_reserve(carriers.len()).ok()?;
    addresses.extend(carriers.iter().map(|carrier| Arc::as_ptr(carrier).addr()));
    let lost = unreachable(nodes, &edges, &addresses)?;
    (RECEIVED.load(Ordering::SeqCst) == before).then_some(lost)
}

/// The indices of the `carriers` (addresses) that cannot be reached from a socket that is open. `edges` lead from a carrier's index
/// to the address of a socket in its queue.
fn unreachable(
    mut nodes: Vec<Node>,
    edges: &[(usize, usize)],
    carriers: &[usize],
) -> Option<Vec<usize>> {
    nodes.sort_unstable_by_key(|node| node.socket);
    nodes.dedup_by(|next, node| {
        let same = next.socket == node.socket;
        if same {
            node.messages += next.messages;
            node.references = node.references.max(next.references);
        }
        same
    });
    let is_open = |socket: usize| {
        let found = nodes.binary_search_by_key(&socket, |node| node.socket);
        found.map_or(true, |at| {
            nodes[at].messages == 0 || nodes[at].references > nodes[at].messages
        })
    };
    let mut lost = Vec::new();
    let mut reached = Vec::new();
    lost.try_reserve(carriers.len()).ok()?;
    reached.try_reserve(carriers.len()).ok()?;
    for (index, &socket) in carriers.iter().enumerate() {
        if is_open(socket) {
            reached.push(index);
        } else {
            lost.push(index);
        }
    }
    while let Some(from) = reached.pop() {
        for (_, to) in edges.iter().filter(|(source, _)| *source == from) {
            lost.retain(|&index| {
                let found = carriers[index] == *to;
                if found {
                    reached.push(index);
                }
                !found
            });
        }
    }
    Some(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carriers 0..n at addresses 100.., each in so many messages with so many references; edges between carriers.
    fn lost(carriers: &[(usize, usize)], edges: &[(usize, usize)]) -> Vec<usize> {
        let addresses: Vec<_> = (100..100 + carriers.len()).collect();
        let mut nodes = Vec::new();
        for (address, &(messages, references)) in addresses.iter().zip(carriers) {
            nodes.push(Node {
                socket: *address,
                messages: 0,
                references: 0,
            });
            nodes.extend((0..messages).map(|_| Node {
                socket: *address,
                messages: 1,
                references,
            }));
        }
        let edges: Vec<_> = edges.iter().map(|(a, b)| (*a, 100 + b)).collect();
        unreachable(nodes, &edges, &addresses).unwrap()
    }

    #[test]
    fn a_ring_that_nobody_has_open_is_lost() {
        assert_eq!(lost(&[(1, 1), (1, 1)], &[(0, 1), (1, 0)]), [0, 1]);
        assert_eq!(lost(&[(1, 1)], &[(0, 0)]), [0]);
        assert_eq!(lost(&[(2, 2)], &[(0, 0), (0, 0)]), [0]);
    }

    #[test]
    fn what_an_open_socket_holds_is_not() {
        assert!(lost(&[(1, 2), (1, 1)], &[(0, 1), (1, 0)]).is_empty());
        // 0 is open and in no message; it holds 1, which holds 2, which holds itself.
        let edges = [(0, 1), (1, 2), (2, 2)];
        assert!(lost(&[(0, 0), (1, 1), (2, 2)], &edges).is_empty());
        assert_eq!(
            lost(&[(0, 0), (1, 2), (2, 2)], &[(1, 2), (2, 2)]),
            [] as [usize; 0]
        );
    }

    #[test]
    fn rings_are_judged_apart() {
        let edges = [(0, 1), (1, 0), (2, 3), (3, 2)];
        assert_eq!(lost(&[(1, 1), (1, 1), (1, 2), (1, 1)], &edges), [0, 1]);
    }
}
