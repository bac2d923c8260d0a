//! A thread, as far as it is killed (the stand-in's own; the kernel's `Context` has more).

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

use crate::{
    arch::ipi::{ipi, IpiKind, IpiTarget},
    hv::scheme::HvScheme,
    scheme::KernelScheme,
    sync::CleanLockToken,
};

/// The file descriptors of a process: its threads share them. Where a thread was killed, the last one to go closes them;
/// a program that ends by itself is to have closed its own.
pub struct Files {
    scheme: &'static HvScheme,
    open: Mutex<Vec<usize>>,
    killed: AtomicBool,
}

impl Files {
    pub fn new(scheme: &'static HvScheme) -> Arc<Self> {
        Arc::new(Self {
            scheme,
            open: Mutex::new(Vec::new()),
            killed: AtomicBool::new(false),
        })
    }

    pub fn insert(&self, fd: usize) {
        self.open.lock().push(fd);
    }

    /// All of them, ascending.
    pub fn open(&self) -> Vec<usize> {
        let mut open = self.open.lock().clone();

        open.sort_unstable();
        open
    }

    /// The program closes it by itself.
    pub fn remove(&self, fd: usize) {
        self.open.lock().retain(|open| *open != fd);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: a thread ends with no lock held.
        let token = &mut unsafe { CleanLockToken::new() };

        if self.killed.load(Ordering::SeqCst) {
            for fd in core::mem::take(&mut *self.open.lock()) {
                let _ = self.scheme.close(fd, token);
            }
        }
    }
}

/// A thread: alive, to be killed, or dead.
pub struct Thread {
    being_sigkilled: AtomicBool,
    files: Mutex<Option<Arc<Files>>>,
}

impl Thread {
    pub fn new(files: Arc<Files>) -> Arc<Self> {
        Arc::new(Self {
            being_sigkilled: AtomicBool::new(false),
            files: Mutex::new(Some(files)),
        })
    }

    /// What the process has open. `None`: the thread is dead.
    pub fn files(&self) -> Option<Arc<Files>> {
        self.files.lock().clone()
    }

    /// As `ContextVerb::ForceKill` of another thread: it is marked, and the CPU that it is on is interrupted.
    pub fn force_kill(&self) {
        self.force_kill_here();
        ipi(IpiKind::Wakeup, IpiTarget::Other);
    }

    /// The same of a thread of this CPU, which nobody has to tell.
    pub fn force_kill_here(&self) {
        self.being_sigkilled.store(true, Ordering::SeqCst);
    }

    pub fn is_dead(&self) -> bool {
        self.files.lock().is_none()
    }

    /// The end of a system call, or an interrupt in user mode: one that is to be killed ends here, as
    /// `exit_this_context` has it, on whatever CPU this is. True: it is dead.
    pub fn leave_kernel(&self) -> bool {
        if self.being_sigkilled.load(Ordering::SeqCst) {
            let files = self.files.lock().take();

            if let Some(files) = files {
                files.killed.store(true, Ordering::SeqCst);
            }
        }
        self.is_dead()
    }
}
