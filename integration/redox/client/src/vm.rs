//! The scheme, and a guest.

use core::ops::BitOr;

use crate::{
    abi::{op, rights, stats},
    Calls, Errno, Fd, Vcpu,
};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;
/// Pages that the kernel takes in one call.
const A_CALL: usize = 2048;

/// The scheme.
#[derive(Debug)]
pub struct Hv<C: Calls> {
    root: Fd<C>,
}

impl<C: Calls + Clone> Hv<C> {
    /// By the directory `/scheme/hv`, which is open as `root`.
    pub fn new(calls: C, root: usize) -> Self {
        Self {
            root: Fd::new(calls, root),
        }
    }

    /// A guest without memory. [`Errno::EACCES`]: only root has guests; [`Errno::ENODEV`]: not on this machine.
    pub fn vm(&self) -> Result<Vm<C>, Errno> {
        let calls = self.root.calls();
        let number = calls.openat(self.root.number(), "vm")?;

        Ok(Vm {
            fd: Fd::new(calls.clone(), number),
        })
    }
}

/// What a guest may do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u64);

impl Rights {
    /// Read: what every page allows.
    pub const READ: Self = Self(rights::READ);
    /// Write.
    pub const WRITE: Self = Self(rights::READ | rights::WRITE);
    /// Execute.
    pub const EXECUTE: Self = Self(rights::READ | rights::EXECUTE);
    /// All of it.
    pub const ALL: Self = Self(rights::READ | rights::WRITE | rights::EXECUTE);
}

impl BitOr for Rights {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a guest holds, in frames of 4 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tables, control structures and save areas.
    pub held: u64,
    /// The most that there were.
    pub peak: u64,
    /// Memory.
    pub memory: u64,
    /// What the whole kernel uses.
    pub used_frames: u64,
    /// Virtual CPUs that are open.
    pub vcpus: u64,
    /// Pages by level, the smallest first.
    pub pages: [u64; 5],
    /// Tables by level.
    pub tables: [u64; 5],
}

/// A guest. The kernel keeps it until this and every virtual CPU of it is closed.
#[derive(Debug)]
pub struct Vm<C: Calls> {
    fd: Fd<C>,
}

impl<C: Calls + Clone> Vm<C> {
    /// The file descriptor: to send to a program that is to see the guest's memory.
    pub fn fd(&self) -> &Fd<C> {
        &self.fd
    }

    /// A virtual CPU, as after a reset. [`Errno::EEXIST`]: there is one of this number.
    pub fn vcpu(&self, number: u8) -> Result<Vcpu<C>, Errno> {
        let mut name = *b"vcpu/000";
        let digits = [number / 100, number / 10 % 10, number % 10];

        for (place, digit) in name.iter_mut().skip(5).zip(digits) {
            *place += digit;
        }
        let name = core::str::from_utf8(&name).map_err(|_| Errno::EINVAL)?;
        let calls = self.fd.calls();
        let number = calls.dup(self.fd.number(), name)?;
        Ok(Vcpu::new(Fd::new(calls.clone(), number)))
    }

    /// Lend the guest memory of this program's, mapped and writable: `size` bytes from `memory` on, at `gpa`. Pages of
    /// a call that failed are taken back. [`Errno::EEXIST`]: something is there.
    ///
    /// # Safety
    /// The guest changes the memory at any time, and keeps it after this program has unmapped it.
    pub unsafe fn lend(
        &self,
        gpa: u64,
        memory: *mut u8,
        size: usize,
        rights: Rights,
    ) -> Result<(), Errno> {
        self.give(op::MAP, gpa, memory as u64, size, rights)
    }

    /// Give the guest a device's memory, which this program has mapped, with the memory type that it has here.
    ///
    /// # Safety
    /// The guest does with the device whatever it can.
    pub unsafe fn give_device(
        &self,
        gpa: u64,
        device: *mut u8,
        size: usize,
        rights: Rights,
    ) -> Result<(), Errno> {
        self.give(op::MAP_DEVICE, gpa, device as u64, size, rights)
    }

    fn give(&self, op: u64, gpa: u64, from: u64, size: usize, rights: Rights) -> Result<(), Errno> {
        let given = in_calls(gpa, size, |at, pages| {
            let mut payload = [from + (at - gpa), rights.0];
            self.fd.call(op, at, pages as u64, &mut payload).map(drop)
        });

        given.map_err(|(error, done)| {
            let _ = self.unmap(gpa, done);
            error
        })
    }

    /// Take memory away from the guest. Once this returns no CPU reaches it through the guest.
    pub fn unmap(&self, gpa: u64, size: usize) -> Result<(), Errno> {
        let unmap = |at, pages| self.fd.call(op::UNMAP, at, pages as u64, &mut []).map(drop);

        in_calls(gpa, size, unmap).map_err(|(error, _)| error)
    }

    /// Other rights. [`Errno::ENOENT`]: there is a hole; what was before it has changed.
    pub fn protect(&self, gpa: u64, size: usize, rights: Rights) -> Result<(), Errno> {
        let protect = |at, pages| {
            self.fd
                .call(op::PROTECT, at, pages as u64, &mut [rights.0])
                .map(drop)
        };

        in_calls(gpa, size, protect).map_err(|(error, _)| error)
    }

    /// Which pages were written since the last call, a bit each; they count as clean afterwards.
    pub fn dirty(&self, gpa: u64, size: usize, bitmap: &mut [u64]) -> Result<(), Errno> {
        let dirty = |at: u64, pages: usize| {
            let first = (at - gpa) as usize / PAGE_SIZE / 64;
            let words = bitmap
                .get_mut(first..first + (pages + 63) / 64)
                .ok_or(Errno::EINVAL)?;
            self.fd.call(op::DIRTY, at, pages as u64, words).map(drop)
        };

        in_calls(gpa, size, dirty).map_err(|(error, _)| error)
    }

    /// Map the guest's memory into this program, which need not be the one that lent it. It stays when the guest's
    /// goes.
    pub fn share(&self, gpa: u64, size: usize, write: bool) -> Result<*mut u8, Errno> {
        let address = self
            .fd
            .calls()
            .map(self.fd.number(), gpa as usize, size, write)?;

        Ok(address as *mut u8)
    }

    /// What the guest holds.
    pub fn stats(&self) -> Result<Stats, Errno> {
        let mut words = [0; stats::WORDS];
        let mut told = Stats::default();

        self.fd.calls().read(self.fd.number(), &mut words)?;
        told.held = words[stats::HELD];
        told.peak = words[stats::PEAK];
        told.memory = words[stats::MEMORY];
        told.used_frames = words[stats::USED_FRAMES];
        told.vcpus = words[stats::VCPUS];
        told.pages
            .copy_from_slice(&words[stats::PAGES..stats::TABLES]);
        told.tables.copy_from_slice(&words[stats::TABLES..]);
        Ok(told)
    }
}

/// As many pages a call as the kernel takes. With an error: how many bytes were done before.
fn in_calls(
    gpa: u64,
    size: usize,
    mut call: impl FnMut(u64, usize) -> Result<(), Errno>,
) -> Result<(), (Errno, usize)> {
    if size % PAGE_SIZE != 0 || gpa.checked_add(size as u64).is_none() {
        return Err((Errno::EINVAL, 0));
    }
    let mut done = 0;

    while done < size {
        let pages = ((size - done) / PAGE_SIZE).min(A_CALL);
        call(gpa + done as u64, pages).map_err(|error| (error, done))?;
        done += pages * PAGE_SIZE;
    }
    Ok(())
}
