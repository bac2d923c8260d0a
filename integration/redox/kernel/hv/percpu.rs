//! VMX or SVM on each CPU: turned on when a guest first runs there, off on the way out.

use core::{
    cell::{Cell, UnsafeCell},
    sync::atomic::{AtomicUsize, Ordering},
};

use hvpt::{
    cpu::Cpu,
    svm::{self, AsidPool, HostSave, SvmCaps, SvmOn},
    vmx::{VmxOn, VmxonRegion},
};

use super::{
    error::HvError,
    frames::{Account, KernelFrames},
};
use crate::cpu_set::MAX_CPU_COUNT;

/// A CPU that can run guests.
pub enum OnThisCpu {
    Vmx(VmxOn<KernelFrames>),
    Svm {
        on: SvmOn<KernelFrames>,
        asids: AsidPool,
    },
}

/// Frames that CPUs hold for themselves while virtualization is on, of all of them.
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// What [`FRAMES`] says now.
pub fn frames() -> usize {
    FRAMES.load(Ordering::Relaxed)
}

/// A CPU's place. The ASIDs outlive SVM being off: virtual CPUs still hold some, which must not be taken for new ones.
struct Slot {
    on: Option<OnThisCpu>,
    asids: Option<AsidPool>,
    /// Frames that it holds.
    held: usize,
}

struct Place {
    slot: UnsafeCell<Slot>,
    busy: Cell<bool>,
}

/// The one borrow of a place, on its CPU's own stack.
struct Taken<'a>(&'a Place);

impl Place {
    fn take(&self) -> Result<Taken<'_>, HvError> {
        if self.busy.replace(true) {
            return Err(HvError::Busy);
        }
        Ok(Taken(self))
    }
}

impl Taken<'_> {
    fn get(&mut self) -> &mut Slot {
        // SAFETY: busy keeps out a second one.
        unsafe { &mut *self.0.slot.get() }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
    }
}

// SAFETY: by logical CPU, and each CPU uses its own alone, with interrupts off: this_cpu() is the only way in. What is in
// there never leaves its CPU, which is what VmxOn and SvmOn, not being Send, ask for.
unsafe impl Sync for Place {}

#[allow(clippy::declare_interior_mutable_const)] // copied into each place, which is what is meant
const OFF: Place = Place {
    slot: UnsafeCell::new(Slot {
        on: None,
        asids: None,
        held: 0,
    }),
    busy: Cell::new(false),
};

static CPUS: [Place; MAX_CPU_COUNT as usize] = [OFF; MAX_CPU_COUNT as usize];

/// Do something with this CPU's place. Interrupts are off meanwhile, so that the CPU stays this one.
fn this_cpu<T>(
    cpu: &dyn Cpu,
    action: impl FnOnce(&mut Slot) -> Result<T, HvError>,
) -> Result<T, HvError> {
    let interrupts = cpu.irq_off();
    let result = match CPUS.get(crate::cpu_id().get() as usize) {
        Some(place) => place.take().and_then(|mut slot| action(slot.get())),
        None => Err(HvError::NoVirtualization),
    };

    cpu.irq_restore(interrupts);
    result
}

/// Turn virtualization on for this CPU, unless it is on.
#[allow(dead_code)] // a guest turns it on
pub fn enable_this_cpu(cpu: &'static dyn Cpu) -> Result<(), HvError> {
    with_this_cpu(cpu, |_| Ok(()))
}

/// Turn virtualization off for this CPU, which must not be running a guest, and give its frames back. Call it on every
/// CPU before the machine is stopped or another kernel started: a CPU in VMX operation blocks INIT.
pub fn disable_this_cpu(cpu: &dyn Cpu) {
    let done = this_cpu(cpu, |slot| {
        match slot.on.take() {
            Some(OnThisCpu::Vmx(mut on)) => {
                if let Err(error) = on.disable() {
                    warn!("VMXOFF on CPU {}: {}", crate::cpu_id(), error);
                }
            }
            Some(OnThisCpu::Svm { mut on, mut asids }) => {
                asids.reset();
                slot.asids = Some(asids);
                if let Err(error) = on.disable() {
                    warn!("SVM off on CPU {}: {}", crate::cpu_id(), error);
                }
            }
            None => (),
        }
        FRAMES.fetch_sub(core::mem::take(&mut slot.held), Ordering::Relaxed);
        Ok(())
    });

    if let Err(error) = done {
        warn!(
            "virtualization stays on on CPU {}: {}",
            crate::cpu_id(),
            error
        );
    }
}

/// Do something with this CPU's state; virtualization is turned on first if it is off. Interrupts are off meanwhile, so
/// that the CPU stays this one. [`HvError::Busy`]: it is being done already.
pub fn with_this_cpu<T>(
    cpu: &'static dyn Cpu,
    action: impl FnOnce(&mut OnThisCpu) -> Result<T, HvError>,
) -> Result<T, HvError> {
    this_cpu(cpu, |slot| {
        let Slot { on, asids, held } = slot;
        match on {
            Some(on) => action(on),
            empty => {
                let account = Account::new();
                let on = turn_on(cpu, KernelFrames::new(&account), asids)?;
                *held = account.held();
                FRAMES.fetch_add(*held, Ordering::Relaxed);
                action(empty.get_or_insert(on))
            }
        }
    })
}

fn turn_on(
    cpu: &'static dyn Cpu,
    frames: KernelFrames,
    kept: &mut Option<AsidPool>,
) -> Result<OnThisCpu, HvError> {
    let [_, _, ecx, _] = cpu.cpuid(1, 0);

    if ecx & 1 << 5 != 0 {
        let region = VmxonRegion::new(frames).ok_or(HvError::OutOfMemory)?;
        // SAFETY: it goes into this CPU's place and never leaves it.
        let on = unsafe { region.enable(cpu) }.map_err(HvError::Vmx)?;

        info!("VMX on CPU {}: {:?}", crate::cpu_id(), on.caps());
        return Ok(OnThisCpu::Vmx(on));
    }
    if SvmCaps::read(cpu).is_some() {
        let pages = HostSave::new(frames).ok_or(HvError::OutOfMemory)?;
        // SAFETY: as above.
        let on = unsafe { pages.enable(cpu) }.map_err(HvError::Svm)?;

        if !on.caps().can(svm::feature::NP) {
            error!("SVM without nested paging");
            return Err(HvError::Missing);
        }
        let asids = match kept.take() {
            Some(asids) => asids,
            None => AsidPool::new(on.caps()).ok_or(HvError::Missing)?,
        };
        info!("SVM on CPU {}: {:?}", crate::cpu_id(), on.caps());
        return Ok(OnThisCpu::Svm { on, asids });
    }
    Err(HvError::NoVirtualization)
}
