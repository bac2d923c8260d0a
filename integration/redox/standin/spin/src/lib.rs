//! Spin locks with the names of the crate that the kernel uses.
#![no_std]

use core::{
    cell::UnsafeCell,
    hint,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Taken by one writer, or by this many readers.
const WRITER: usize = usize::MAX;

macro_rules! guard {
    ($name:ident, $lock:ident, $release:expr) => {
        /// The right to use what the lock protects.
        pub struct $name<'a, T: ?Sized>(&'a $lock<T>);

        impl<T: ?Sized> Deref for $name<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                // SAFETY: the guard holds the lock.
                unsafe { &*self.0.value.get() }
            }
        }

        impl<T: ?Sized> Drop for $name<'_, T> {
            fn drop(&mut self) {
                $release(&self.0.users);
            }
        }
    };
}

macro_rules! writes {
    ($name:ident) => {
        impl<T: ?Sized> DerefMut for $name<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: the guard is the one holder.
                unsafe { &mut *self.0.value.get() }
            }
        }
    };
}

fn release_all(users: &AtomicUsize) {
    users.store(0, Ordering::Release);
}

fn release_one(users: &AtomicUsize) {
    users.fetch_sub(1, Ordering::Release);
}

fn take_all(users: &AtomicUsize) -> bool {
    users
        .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
        .is_ok()
}

/// A lock that waits by spinning.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized> {
    users: AtomicUsize,
    value: UnsafeCell<T>,
}
guard!(MutexGuard, Mutex, release_all);
writes!(MutexGuard);

// SAFETY: one holder at a time.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: one holder at a time.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self {
            users: AtomicUsize::new(0),
            value: UnsafeCell::new(value),
        }
    }

    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    pub fn lock(&self) -> MutexGuard<'_, T> {
        loop {
            match self.try_lock() {
                Some(guard) => return guard,
                None => hint::spin_loop(),
            }
        }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        if take_all(&self.users) {
            Some(MutexGuard(self))
        } else {
            None
        }
    }
}

/// A lock of many readers or one writer.
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized> {
    users: AtomicUsize,
    value: UnsafeCell<T>,
}
guard!(RwLockReadGuard, RwLock, release_one);
guard!(RwLockWriteGuard, RwLock, release_all);
writes!(RwLockWriteGuard);

// SAFETY: as for Mutex.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers share, a writer is alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    pub const fn new(value: T) -> Self {
        Self {
            users: AtomicUsize::new(0),
            value: UnsafeCell::new(value),
        }
    }

    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let more = |users| {
            if users < WRITER - 1 {
                Some(users + 1)
            } else {
                None
            }
        };

        match self
            .users
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, more)
        {
            Ok(_) => Some(RwLockReadGuard(self)),
            Err(_) => None,
        }
    }

    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        if take_all(&self.users) {
            Some(RwLockWriteGuard(self))
        } else {
            None
        }
    }
}
