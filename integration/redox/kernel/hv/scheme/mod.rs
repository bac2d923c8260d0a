//! The scheme `hv`: guests for programs.
//!
//! `openat(root, "vm")` makes a VM, `dup(vm, "vcpu/N")` a virtual CPU of it; the file descriptor is the handle, and the
//! last one of it takes everything with it. Calls, registers and exits are in [`abi`]. `openat(root, "stat")` is a text
//! about every VM there is.
//!
//! A virtual CPU is in one call at a time: another one meanwhile is answered by EBUSY, but for KICK. Nothing here waits
//! for a guest, and no interrupt is let in: RUN comes back as INTERRUPTED, and the program runs on.

#[allow(dead_code)] // half of it is for programs
pub mod abi;
mod handles;
mod memory;
mod text;
mod vcpu;
mod vm;
mod words;

use alloc::sync::Arc;

use hvpt::cpu::{Cpu, Native};

use self::{
    handles::{Handle, Handles, Slot},
    vcpu::VcpuCall,
};
use super::{stop::is_stopping, Vm};
use crate::{
    context::{file::InternalFlags, memory::AddrSpaceWrapper},
    event,
    scheme::{CallerCtx, KernelScheme, OpenResult, SchemeExt, StrOrBytes},
    sync::{CleanLockToken, RwLock, L1},
    syscall::{
        data::{GlobalSchemes, Map},
        error::{Error, Result, EACCES, EBADF, EINVAL, EISDIR, ENODEV, ENOENT, EOPNOTSUPP},
        flag::{CallFlags, EventFlags, EVENT_READ},
        usercopy::{UserSliceRo, UserSliceRw, UserSliceWo},
    },
};

const ROOT: usize = usize::MAX;
/// The longest name that is asked for here, and room to see that one is too long.
const NAME: usize = 16;

// SAFETY: the kernel runs at CPL 0.
pub(super) static CPU: Native = unsafe { Native::new() };

/// The kernel's.
pub static HV: HvScheme = HvScheme::new(&CPU);

/// The scheme. The kernel has one: [`HV`].
pub struct HvScheme {
    cpu: &'static dyn Cpu,
    handles: RwLock<L1, Handles>,
}

impl HvScheme {
    pub const fn new(cpu: &'static dyn Cpu) -> Self {
        Self {
            cpu,
            handles: RwLock::new(Handles::new()),
        }
    }

    /// The handle, with a reference of its own: no lock is held while something is done to it.
    fn handle(&self, id: usize, token: &mut CleanLockToken) -> Result<Handle> {
        self.handles.read(token.token()).get(id)
    }

    fn vm(&self, id: usize, token: &mut CleanLockToken) -> Result<Arc<Vm>> {
        match self.handle(id, token)? {
            Handle::Vm(vm) => Ok(vm),
            _ => Err(Error::new(EBADF)),
        }
    }

    fn vcpu(&self, id: usize, token: &mut CleanLockToken) -> Result<Arc<Slot>> {
        match self.handle(id, token)? {
            Handle::Vcpu(slot) => Ok(slot),
            _ => Err(Error::new(EBADF)),
        }
    }

    fn insert(
        &self,
        handle: Handle,
        positioned: bool,
        token: &mut CleanLockToken,
    ) -> Result<OpenResult> {
        let flags = if positioned {
            InternalFlags::POSITIONED
        } else {
            InternalFlags::empty()
        };
        // One that is refused goes when no lock is held any more.
        let kept = handle.clone();
        let id = self.handles.write(token.token()).insert(kept)?;

        drop(handle);
        Ok(OpenResult::SchemeLocal(id, flags))
    }

    /// A RUN has ended, and somebody waits for that.
    fn notify(id: usize, token: &mut CleanLockToken) {
        event::trigger(GlobalSchemes::Hv.scheme_id(), id, EVENT_READ, token);
    }
}

impl KernelScheme for HvScheme {
    fn scheme_root(&self, _: &mut CleanLockToken) -> Result<usize> {
        Ok(ROOT)
    }

    fn kopenat(
        &self,
        id: usize,
        path: StrOrBytes<'_>,
        _flags: usize,
        _fcntl_flags: u32,
        caller: CallerCtx,
        token: &mut CleanLockToken,
    ) -> Result<OpenResult> {
        let path = path.as_str().or(Err(Error::new(EINVAL)))?;

        // Only root: a guest takes memory and time that no limit of a user's is counted against.
        if id != ROOT || caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        if is_stopping() {
            return Err(Error::new(ENODEV));
        }
        match path.trim_matches('/') {
            "" => Ok(OpenResult::SchemeLocal(ROOT, InternalFlags::empty())),
            "vm" => {
                let vm = Vm::new(self.cpu)?;
                self.insert(Handle::Vm(vm), false, token)
            }
            "stat" => {
                let vms = self.handles.read(token.token()).vms();
                let text = text::stat(&vms, token);
                self.insert(Handle::Stat(Arc::new(text)), true, token)
            }
            _ => Err(Error::new(ENOENT)),
        }
    }

    fn kdup(
        &self,
        id: usize,
        name: UserSliceRo,
        _caller: CallerCtx,
        token: &mut CleanLockToken,
    ) -> Result<OpenResult> {
        let vm = self.vm(id, token)?;
        let mut bytes = [0; NAME];
        let length = name.copy_common_bytes_to_slice(&mut bytes)?;
        let number = bytes
            .get(..length)
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .and_then(|name| name.strip_prefix("vcpu/"))
            .and_then(|number| number.parse::<u32>().ok())
            .ok_or(Error::new(ENOENT))?;
        let slot = Slot::new(vcpu::create(&vm, number)?, number);

        self.insert(Handle::Vcpu(slot), false, token)
    }

    fn kcall(
        &self,
        fds: &[usize],
        payload: UserSliceRw,
        _flags: CallFlags,
        metadata: &[u64],
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        let (id, op, args) = match (fds, metadata) {
            ([id], [op, args @ ..]) => (*id, op, args),
            _ => return Err(Error::new(EINVAL)),
        };
        let m1 = args.first().copied().unwrap_or(0);
        let m2 = args.get(1).copied().unwrap_or(0);

        match self.handle(id, token)? {
            Handle::Vm(vm) => vm::call(&vm, *op, m1, m2, payload, token),
            Handle::Vcpu(slot) => {
                let call = VcpuCall {
                    op: *op,
                    m1,
                    m2,
                    payload,
                };
                let result = call.carry_out(&slot, token);

                if *op == abi::op::RUN && slot.is_watched() {
                    Self::notify(id, token);
                }
                result
            }
            Handle::Stat(_) => Err(Error::new(EOPNOTSUPP)),
        }
    }

    fn kread(
        &self,
        id: usize,
        to: UserSliceWo,
        _flags: u32,
        _stored_flags: u32,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        match self.handle(id, token)? {
            Handle::Vm(vm) => {
                let vcpus = self.handles.read(token.token()).vcpus_of(&vm);
                words::write_wo(to, &text::words(&vm.stats(token), vcpus))
            }
            Handle::Vcpu(slot) => {
                let regs = slot.with(token, |inside, _| Ok(vcpu::get_regs(&inside.vcpu)))?;
                words::write_wo(to, &regs)
            }
            Handle::Stat(_) => Err(Error::new(EISDIR)), // has an offset: kreadoff
        }
    }

    fn kreadoff(
        &self,
        id: usize,
        to: UserSliceWo,
        offset: u64,
        flags: u32,
        stored_flags: u32,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        match self.handle(id, token)? {
            Handle::Stat(text) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                to.copy_common_bytes_from_slice(text.get(from..).unwrap_or(&[]))
            }
            _ => self.kread(id, to, flags, stored_flags, token),
        }
    }

    fn kwrite(
        &self,
        id: usize,
        from: UserSliceRo,
        _flags: u32,
        _stored_flags: u32,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        let slot = self.vcpu(id, token)?;
        let regs = words::read_ro(from)?;

        slot.with(token, |inside, _| vcpu::set_regs(&mut inside.vcpu, &regs))?;
        Ok(regs.len() * 8)
    }

    fn kfmap(
        &self,
        id: usize,
        process: &Arc<AddrSpaceWrapper>,
        map: &Map,
        _consume: bool,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        let vm = self.vm(id, token)?;

        memory::share(&vm, process, map, token)
    }

    fn fevent(
        &self,
        id: usize,
        flags: EventFlags,
        token: &mut CleanLockToken,
    ) -> Result<EventFlags> {
        let slot = self.vcpu(id, token)?;
        let idle = slot.watch(token);

        Ok(if idle {
            flags & EVENT_READ
        } else {
            EventFlags::empty()
        })
    }

    /// What `sys:iostat` shows of a process's file descriptors, beside the number that `stat` has.
    fn kfpath(&self, id: usize, to: UserSliceWo, token: &mut CleanLockToken) -> Result<usize> {
        let text = if id == ROOT {
            text::path("")
        } else {
            match self.handle(id, token)? {
                Handle::Vm(_) => text::path("vm"),
                Handle::Vcpu(slot) => text::path(format_args!("vcpu/{}", slot.number())),
                Handle::Stat(_) => text::path("stat"),
            }
        };
        to.copy_common_bytes_from_slice(&text)
    }

    fn close(&self, id: usize, token: &mut CleanLockToken) -> Result<()> {
        if id == ROOT {
            return Ok(());
        }
        let handle = self.handles.write(token.token()).remove(id)?;

        drop(handle); // with no lock held
        Ok(())
    }
}
