//! Locks.
//!
//! The kernel runs with interrupts masked, so an interrupt can never find its own core holding a lock and a plain
//! spinlock is enough. Rules: nothing sleeps while it holds one; locks nest in one order; program memory may be copied under a
//! lock that the page-fault path does not take (it takes: address space, inode pages, frame allocator, kernel heap).
//! A kernel with assertions checks all three: [`super::lockdep`], docs/waiting.md.

#[cfg(debug_assertions)]
use super::lockdep;

/// Atomics, by a name that the model checker's can take the place of.
pub use core::sync::atomic;

/// What a loop does that waits for another core; the model checker has its own.
pub use core::hint::spin_loop as relax;

/// Initialised once, on first use or explicitly.
pub type Once<T> = spin::Once<T>;

/// A spinlock. Uncontended: one load-exclusive/store-exclusive pair.
pub struct SpinLock<T: ?Sized> {
    /// Made at one place in the source: locks of one class, which nest with other classes in one order.
    #[cfg(debug_assertions)]
    class: lockdep::Class,
    inner: spin::mutex::SpinMutex<T>,
}

/// The guard of a [`SpinLock`].
#[cfg(not(debug_assertions))]
pub type SpinLockGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T>;

impl<T> SpinLock<T> {
    #[cfg_attr(debug_assertions, track_caller)]
    #[inline]
    pub const fn new(value: T) -> Self {
        SpinLock {
            #[cfg(debug_assertions)]
            class: lockdep::Class::here(),
            inner: spin::mutex::SpinMutex::new(value),
        }
    }

    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }

    /// The value, for one who knows for another reason than this lock that nobody changes it.
    ///
    /// # Safety
    /// While the reference is in use, others may lock it to look, but not to change anything.
    #[inline(always)]
    pub unsafe fn get_unlocked(&self) -> &T {
        // SAFETY: the pointer is valid as long as `self`, and the value is not changed, as the caller says.
        unsafe { &*self.inner.as_mut_ptr() }
    }
}

impl<T: Default> Default for SpinLock<T> {
    #[cfg_attr(debug_assertions, track_caller)]
    fn default() -> Self {
        SpinLock::new(T::default())
    }
}

impl<T: ?Sized> SpinLock<T> {
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

#[cfg(not(debug_assertions))]
impl<T: ?Sized> SpinLock<T> {
    #[inline(always)]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        self.inner.lock()
    }

    /// As `lock`, for one that is taken while another made at the same place is held; say at the call what orders the two.
    #[inline(always)]
    pub fn lock_nested(&self) -> SpinLockGuard<'_, T> {
        self.inner.lock()
    }

    #[inline(always)]
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        self.inner.try_lock()
    }
}

/// The guard of a [`SpinLock`], which also is on the core's list of held locks.
#[cfg(debug_assertions)]
pub struct SpinLockGuard<'a, T: ?Sized> {
    inner: core::mem::ManuallyDrop<spin::mutex::SpinMutexGuard<'a, T>>,
    held: lockdep::Held,
}

#[cfg(debug_assertions)]
impl<T: ?Sized> SpinLock<T> {
    #[track_caller]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        self.take(lockdep::How::Lock)
    }

    /// As `lock`, for one that is taken while another made at the same place is held; say at the call what orders the two.
    #[track_caller]
    pub fn lock_nested(&self) -> SpinLockGuard<'_, T> {
        self.take(lockdep::How::Nested)
    }

    #[track_caller]
    fn take(&self, how: lockdep::How) -> SpinLockGuard<'_, T> {
        let held = lockdep::acquire(&self.class, core::ptr::from_ref(self).cast(), how);
        let inner = core::mem::ManuallyDrop::new(self.inner.lock());
        lockdep::acquired(&held);
        SpinLockGuard { inner, held }
    }

    #[track_caller]
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        let address = core::ptr::from_ref(self).cast();
        Some(SpinLockGuard {
            inner: core::mem::ManuallyDrop::new(inner),
            held: lockdep::acquire(&self.class, address, lockdep::How::Try),
        })
    }
}

#[cfg(debug_assertions)]
impl<T: ?Sized> core::ops::Deref for SpinLockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

#[cfg(debug_assertions)]
impl<T: ?Sized> core::ops::DerefMut for SpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(debug_assertions)]
impl<T: ?Sized> Drop for SpinLockGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this is the end of its owner.
        unsafe { core::mem::ManuallyDrop::drop(&mut self.inner) };
        lockdep::release(&self.held);
    }
}

/// Says that what follows may sleep: a kernel with assertions panics if the core holds a spinlock.
#[cfg_attr(debug_assertions, track_caller)]
#[inline(always)]
pub fn may_sleep() {
    #[cfg(debug_assertions)]
    lockdep::may_sleep();
}

/// Says that what follows may touch program memory, and so take what the page-fault path takes.
#[cfg_attr(debug_assertions, track_caller)]
#[inline(always)]
pub fn may_fault() {
    #[cfg(debug_assertions)]
    lockdep::may_fault();
}
