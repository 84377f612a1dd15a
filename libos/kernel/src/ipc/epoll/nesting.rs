//! Epolls that watch epolls: how deep, and in how many ways a wake-up may come to one from below.
//!
//! A wake-up goes up all ways at once with interrupts masked, and asking goes down them, by recursion. So both are bounded
//! when a link is made.

use super::Epoll;
use super::item::Item;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::sleep_lock::SleepLock;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Links in a chain of epolls (Linux's `EP_MAX_NESTS`).
const MAX_LINKS: usize = 4;
/// Ways up from one epoll. (Linux has a limit of 500 for those of one link, and lower ones for longer ways.)
const MAX_WAYS_UP: usize = 500;
/// Ways down from an epoll that is itself to be watched: they all have to be looked at.
const MAX_WAYS_DOWN: usize = 1000;

/// Held while a link is made, so that no two can close a loop, or make a chain too long, together.
static LINKING: SleepLock = SleepLock::new();

/// The items by which epolls watch this one, and those by which it watches epolls. Changed with `LINKING` held.
#[derive(Default)]
pub struct Links {
    above: SpinLock<Vec<Weak<Item>>>,
    below: SpinLock<Vec<Weak<Item>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Links {
    fn list(&self, way: Way) -> &SpinLock<Vec<Weak<Item>>> {
        match way {
            Way::Up => &self.above,
            Way::Down => &self.below,
        }
    }

    fn push(&self, way: Way, item: &Arc<Item>) -> Result<()> {
        let mut list = self.list(way).lock();
        list.retain(|item| item.upgrade().is_some_and(|item| !item.is_gone()));
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        list.push(Arc::downgrade(item));
        Ok(())
    }
}

/// Calls `visit` with every epoll above, or below, as often as there are ways to it; `EINVAL` for more than `budget`.
/// Returns the number of links in the longest way.
fn walk(
    from: &Epoll,
    way: Way,
    budget: &mut usize,
    visit: &mut dyn FnMut(&Epoll) -> Result<()>,
) -> Result<usize> {
    let mut longest = 0;
    for index in 0.. {
        let Some(item) = from.links.list(way).lock().get(index).cloned() else {
            break;
        };
        let next = item.upgrade().filter(|item| !item.is_gone());
        let next = next.and_then(|item| match way {
            Way::Up => item.epoll.upgrade(),
            Way::Down => item.inner.upgrade(),
        });
        if let Some(next) = next {
            *budget = budget.checked_sub(1).ok_or(Errno::EINVAL)?;
            visit(&next)?;
            longest = longest.max(1 + walk(&next, way, budget, visit)?);
        }
    }
    Ok(longest)
}

fn count_ways_up(from: &Epoll) -> Result<usize> {
    walk(from, Way::Up, &mut MAX_WAYS_UP.clone(), &mut |_| Ok(()))
}

/// Lets `outer` watch `inner` by `item`. `ELOOP` if that would close a loop, or make a chain that is too long.
pub(super) fn link(outer: &Epoll, inner: &Epoll, item: &Arc<Item>) -> Result<()> {
    let _linking = LINKING.lock();
    let not_outer = &mut |epoll: &Epoll| {
        if core::ptr::eq(epoll, outer) {
            Err(Errno::ELOOP)
        } else {
            Ok(())
        }
    };
    let below = walk(inner, Way::Down, &mut MAX_WAYS_DOWN.clone(), not_outer)?;
    if count_ways_up(outer)? + 1 + below > MAX_LINKS {
        return Err(Errno::ELOOP);
    }
    outer.links.push(Way::Down, item)?;
    inner.links.push(Way::Up, item)?;
    // If it turns out to be one too many, the caller forgets the item, and with it the link.
    count_ways_up(inner)?;
    let all_below = &mut |epoll: &Epoll| count_ways_up(epoll).map(drop);
    walk(inner, Way::Down, &mut MAX_WAYS_DOWN.clone(), all_below)?;
    Ok(())
}
