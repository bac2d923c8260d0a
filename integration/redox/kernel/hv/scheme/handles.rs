//! What file descriptors stand for.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use super::{
    super::{Vcpu, Vm},
    abi::exit,
};
use crate::{
    sync::{CleanLockToken, Mutex, L2},
    syscall::error::{Error, Result, EBADF, EBUSY, EEXIST, ENOMEM},
};

/// A handle. Clones are references to the same.
#[derive(Clone)]
pub enum Handle {
    Vm(Arc<Vm>),
    Vcpu(Arc<Slot>),
    /// What `stat` was when it was opened.
    Stat(Arc<Vec<u8>>),
}

/// All of them, by the number that the kernel keeps in a file description, ascending.
pub struct Handles {
    by_id: Vec<(usize, Handle)>,
    next: usize,
}

impl Handles {
    pub const fn new() -> Self {
        Self {
            by_id: Vec::new(),
            next: 1,
        }
    }

    fn place(&self, id: usize) -> Result<usize> {
        let found = self.by_id.binary_search_by_key(&id, |(id, _)| *id);

        found.map_err(|_| Error::new(EBADF))
    }

    pub fn get(&self, id: usize) -> Result<Handle> {
        let entry = self.by_id.get(self.place(id)?);

        entry
            .map(|(_, handle)| handle.clone())
            .ok_or(Error::new(EBADF))
    }

    /// [`EEXIST`]: the VM has a virtual CPU of this number.
    pub fn insert(&mut self, handle: Handle) -> Result<usize> {
        if let Handle::Vcpu(slot) = &handle {
            if self
                .slots(&slot.vm)
                .any(|other| other.number == slot.number)
            {
                return Err(Error::new(EEXIST));
            }
        }
        let id = self.next;

        self.next = self.next.wrapping_add(1); // 2^64 of them are never opened
        self.by_id.try_reserve(1).map_err(|_| Error::new(ENOMEM))?;
        self.by_id.push((id, handle));
        Ok(id)
    }

    pub fn remove(&mut self, id: usize) -> Result<Handle> {
        let place = self.place(id)?;

        Ok(self.by_id.remove(place).1)
    }

    fn slots<'a>(&'a self, vm: &'a Arc<Vm>) -> impl Iterator<Item = &'a Arc<Slot>> + 'a {
        self.by_id
            .iter()
            .filter_map(move |(_, handle)| match handle {
                Handle::Vcpu(slot) if Arc::ptr_eq(&slot.vm, vm) => Some(slot),
                _ => None,
            })
    }

    pub fn vcpus_of(&self, vm: &Arc<Vm>) -> usize {
        self.slots(vm).count()
    }

    /// Every VM that is open, with its number and its virtual CPUs.
    pub fn vms(&self) -> Vec<(usize, Arc<Vm>, usize)> {
        let vms = self.by_id.iter().filter_map(|(id, handle)| match handle {
            Handle::Vm(vm) => Some((*id, Arc::clone(vm), self.vcpus_of(vm))),
            _ => None,
        });
        vms.collect()
    }
}

/// The place of a virtual CPU: empty while it is in a call.
pub struct Slot {
    vm: Arc<Vm>,
    number: u32,
    inner: Mutex<L2, Option<Box<Inside>>>,
    kicked: AtomicBool,
    watched: AtomicBool,
}

/// A virtual CPU and its last exit.
pub struct Inside {
    pub vcpu: Vcpu,
    pub last: [u64; exit::WORDS],
}

impl Slot {
    pub fn new(vcpu: Vcpu, number: u32) -> Arc<Self> {
        Arc::new(Self {
            vm: Arc::clone(vcpu.vm()),
            number,
            inner: Mutex::new(Some(Box::new(Inside {
                vcpu,
                last: [0; exit::WORDS],
            }))),
            kicked: AtomicBool::new(false),
            watched: AtomicBool::new(false),
        })
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Do something with the virtual CPU, with no lock held. EBUSY: another call does.
    pub fn with<T>(
        &self,
        token: &mut CleanLockToken,
        action: impl FnOnce(&mut Inside, &mut CleanLockToken) -> Result<T>,
    ) -> Result<T> {
        let taken = self.inner.lock(token.token()).take();
        let mut inside = taken.ok_or(Error::new(EBUSY))?;
        let result = action(&mut inside, token);

        *self.inner.lock(token.token()) = Some(inside);
        result
    }

    /// The RUN that goes on, or the next one, is to end.
    pub fn kick(&self) {
        self.kicked.store(true, Ordering::SeqCst);
    }

    /// Was there a kick? It counts once.
    pub fn was_kicked(&self) -> bool {
        self.kicked.swap(false, Ordering::SeqCst)
    }

    /// Ends of RUN are events from now on. True: there is none going on.
    pub fn watch(&self, token: &mut CleanLockToken) -> bool {
        self.watched.store(true, Ordering::SeqCst);
        self.inner.lock(token.token()).is_some()
    }

    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }
}
