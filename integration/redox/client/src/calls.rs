//! The kernel's calls, as far as the scheme needs them.

use core::fmt;

/// An error number of the kernel's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// There is no such page, MSR or name.
    pub const ENOENT: Self = Self(2);
    /// The guest cannot take the event now: ask for a window.
    pub const EAGAIN: Self = Self(11);
    /// No frame, or no room in the kernel's heap.
    pub const ENOMEM: Self = Self(12);
    /// Only root has guests.
    pub const EACCES: Self = Self(13);
    /// The virtual CPU is in another call.
    pub const EBUSY: Self = Self(16);
    /// Something is there already.
    pub const EEXIST: Self = Self(17);
    /// The machine has neither VMX nor SVM.
    pub const ENODEV: Self = Self(19);
    /// The program has no number left for a file descriptor.
    pub const EMFILE: Self = Self(24);
    /// An argument is wrong.
    pub const EINVAL: Self = Self(22);
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno {}", self.0)
    }
}

/// How system calls are made.
pub trait Calls {
    /// Open `path` below the directory `fd`.
    fn openat(&self, fd: usize, path: &str) -> Result<usize, Errno>;

    /// `dup` with a name.
    fn dup(&self, fd: usize, name: &str) -> Result<usize, Errno>;

    /// SYS_CALL: the payload goes both ways.
    fn call(&self, fd: usize, payload: &mut [u64], metadata: [u64; 3]) -> Result<usize, Errno>;

    /// The same with bytes.
    fn call_bytes(&self, fd: usize, payload: &mut [u8], metadata: [u64; 3])
        -> Result<usize, Errno>;

    /// Read words.
    fn read(&self, fd: usize, words: &mut [u64]) -> Result<usize, Errno>;

    /// Write words.
    fn write(&self, fd: usize, words: &[u64]) -> Result<usize, Errno>;

    /// Map `size` bytes of `fd` from `offset` on, shared; `write`: to be written as well.
    fn map(&self, fd: usize, offset: usize, size: usize, write: bool) -> Result<usize, Errno>;

    /// Close.
    fn close(&self, fd: usize);
}

impl<C: Calls> Calls for &C {
    fn openat(&self, fd: usize, path: &str) -> Result<usize, Errno> {
        (**self).openat(fd, path)
    }
    fn dup(&self, fd: usize, name: &str) -> Result<usize, Errno> {
        (**self).dup(fd, name)
    }
    fn call(&self, fd: usize, payload: &mut [u64], metadata: [u64; 3]) -> Result<usize, Errno> {
        (**self).call(fd, payload, metadata)
    }
    fn call_bytes(
        &self,
        fd: usize,
        payload: &mut [u8],
        metadata: [u64; 3],
    ) -> Result<usize, Errno> {
        (**self).call_bytes(fd, payload, metadata)
    }
    fn read(&self, fd: usize, words: &mut [u64]) -> Result<usize, Errno> {
        (**self).read(fd, words)
    }
    fn write(&self, fd: usize, words: &[u64]) -> Result<usize, Errno> {
        (**self).write(fd, words)
    }
    fn map(&self, fd: usize, offset: usize, size: usize, write: bool) -> Result<usize, Errno> {
        (**self).map(fd, offset, size, write)
    }
    fn close(&self, fd: usize) {
        (**self).close(fd)
    }
}

/// A file descriptor that is closed when it goes.
#[derive(Debug)]
pub struct Fd<C: Calls> {
    calls: C,
    number: usize,
}

impl<C: Calls> Fd<C> {
    /// This one's from now on.
    pub fn new(calls: C, number: usize) -> Self {
        Self { calls, number }
    }

    /// The number, for a call of another kind; it stays this one's.
    pub fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn calls(&self) -> &C {
        &self.calls
    }

    pub(crate) fn call(
        &self,
        op: u64,
        m1: u64,
        m2: u64,
        payload: &mut [u64],
    ) -> Result<usize, Errno> {
        self.calls.call(self.number, payload, [op, m1, m2])
    }
}

impl<C: Calls> Drop for Fd<C> {
    fn drop(&mut self) {
        self.calls.close(self.number);
    }
}
