//! `sync`: locks in levels, and the tokens that say which are held. A lock that waits answers the kernel's TLB
//! shoot-downs.

use core::{
    hint,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use crate::percpu::PercpuBlock;

pub trait Level {}

/// A lock of this level may be held when one of level `O` is taken.
pub trait Lower<O: Level>: Level {}
pub trait Higher<O: Level>: Level {}
impl<A: Level, B: Level> Higher<B> for A where B: Lower<A> {}

macro_rules! levels {
    ($($name:ident below $($higher:ident)*;)*) => {
        $(
            #[derive(Debug)]
            pub struct $name {}
            impl Level for $name {}
            $(impl Lower<$higher> for $name {})*
        )*
    };
}
levels! {
    L0 below L1 L2 L3 L4 L5 L6;
    L1 below L2 L3 L4 L5 L6;
    L2 below L3 L4 L5 L6;
    L3 below L4 L5 L6;
    L4 below L5 L6;
    L5 below L6;
    L6 below;
}

/// While it exists only locks of higher levels may be taken.
pub struct LockToken<'a, L: Level>(PhantomData<&'a mut L>);

impl<'a, L: Level> LockToken<'a, L> {
    pub fn token(&mut self) -> LockToken<'_, L> {
        LockToken(PhantomData)
    }
    pub fn downgrade<LC: Higher<L>>(&mut self) -> LockToken<'_, LC> {
        LockToken(PhantomData)
    }
    pub fn downgraded<LP: Lower<L>>(_: LockToken<'a, LP>) -> Self {
        LockToken(PhantomData)
    }
}

/// The thread holds no lock while this is not borrowed.
pub struct CleanLockToken(());

impl CleanLockToken {
    pub fn token(&mut self) -> LockToken<'_, L0> {
        LockToken(PhantomData)
    }
    pub fn downgrade<L: Level>(&mut self) -> LockToken<'_, L> {
        LockToken(PhantomData)
    }
    /// # Safety
    /// The thread holds no lock.
    pub unsafe fn new() -> Self {
        Self(())
    }
}

fn wait<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let percpu = PercpuBlock::current();

    loop {
        match attempt() {
            Some(guard) => return guard,
            None => {
                percpu.maybe_handle_tlb_shootdown();
                hint::spin_loop();
            }
        }
    }
}

#[derive(Debug)]
pub struct Mutex<L: Level, T> {
    inner: spin::Mutex<T>,
    level: PhantomData<L>,
}

impl<L: Level, T> Mutex<L, T> {
    pub const fn new(value: T) -> Self {
        Self {
            inner: spin::Mutex::new(value),
            level: PhantomData,
        }
    }
    pub fn lock<'a, LP: Lower<L> + 'a>(&'a self, token: LockToken<'a, LP>) -> MutexGuard<'a, L, T> {
        MutexGuard {
            inner: wait(|| self.inner.try_lock()),
            token: LockToken::downgraded(token),
        }
    }
    pub fn try_lock<'a, LP: Lower<L> + 'a>(
        &'a self,
        token: LockToken<'a, LP>,
    ) -> Option<MutexGuard<'a, L, T>> {
        self.inner.try_lock().map(|inner| MutexGuard {
            inner,
            token: LockToken::downgraded(token),
        })
    }
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

pub struct MutexGuard<'a, L: Level, T> {
    inner: spin::MutexGuard<'a, T>,
    token: LockToken<'a, L>,
}

impl<L: Level, T> MutexGuard<'_, L, T> {
    pub fn token_split(&mut self) -> (&mut T, LockToken<'_, L>) {
        (&mut self.inner, self.token.token())
    }
}

impl<L: Level, T> Deref for MutexGuard<'_, L, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}
impl<L: Level, T> DerefMut for MutexGuard<'_, L, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[derive(Debug)]
pub struct RwLock<L: Level, T> {
    inner: spin::RwLock<T>,
    level: PhantomData<L>,
}

impl<L: Level, T> RwLock<L, T> {
    pub const fn new(value: T) -> Self {
        Self {
            inner: spin::RwLock::new(value),
            level: PhantomData,
        }
    }
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
    pub fn write<'a, LP: Lower<L> + 'a>(
        &'a self,
        token: LockToken<'a, LP>,
    ) -> RwLockWriteGuard<'a, L, T> {
        RwLockWriteGuard {
            inner: wait(|| self.inner.try_write()),
            token: LockToken::downgraded(token),
        }
    }
    pub fn read<'a, LP: Lower<L> + 'a>(
        &'a self,
        token: LockToken<'a, LP>,
    ) -> RwLockReadGuard<'a, L, T> {
        RwLockReadGuard {
            inner: wait(|| self.inner.try_read()),
            token: LockToken::downgraded(token),
        }
    }
}

pub struct RwLockWriteGuard<'a, L: Level, T> {
    inner: spin::RwLockWriteGuard<'a, T>,
    token: LockToken<'a, L>,
}

impl<'a, L: Level, T> RwLockWriteGuard<'a, L, T> {
    pub fn token_split(&mut self) -> (&mut T, LockToken<'_, L>) {
        (&mut self.inner, self.token.token())
    }
    pub fn into_token(self) -> LockToken<'a, L> {
        self.token
    }
}

impl<L: Level, T> Deref for RwLockWriteGuard<'_, L, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}
impl<L: Level, T> DerefMut for RwLockWriteGuard<'_, L, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

pub struct RwLockReadGuard<'a, L: Level, T> {
    inner: spin::RwLockReadGuard<'a, T>,
    token: LockToken<'a, L>,
}

impl<L: Level, T> RwLockReadGuard<'_, L, T> {
    pub fn token_split(&mut self) -> (&T, LockToken<'_, L>) {
        (&self.inner, self.token.token())
    }
}

impl<L: Level, T> Deref for RwLockReadGuard<'_, L, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}
