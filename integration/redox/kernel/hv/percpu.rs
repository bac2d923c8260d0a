//! VMX or SVM on each CPU: turned on when a guest first runs there, off on the way out.

use hvpt_redox::{
    cpu::Cpu,
    svm::{self, AsidPool, HostSave, SvmCaps, SvmOn},
    vmx::{VmxOn, VmxonRegion},
};
use spin::Mutex;

use super::{
    error::HvError,
    frames::{Account, KernelFrames},
};
use crate::cpu_set::MAX_CPU_COUNT;

/// A CPU that can run guests.
pub enum OnThisCpu {
    Vmx(VmxOn<KernelFrames>),
    Svm { on: SvmOn<KernelFrames>, asids: AsidPool },
}

/// A CPU's place. The ASIDs outlive SVM being off: virtual CPUs still hold some, which must not be taken for new ones.
struct Slot {
    on: Option<OnThisCpu>,
    asids: Option<AsidPool>,
}

#[allow(clippy::declare_interior_mutable_const)] // copied into each place, which is what is meant
const OFF: Mutex<Slot> = Mutex::new(Slot { on: None, asids: None });

/// By logical CPU. Each CPU uses its own alone; the lock makes that safe and is never contended.
static CPUS: [Mutex<Slot>; MAX_CPU_COUNT as usize] = [OFF; MAX_CPU_COUNT as usize];

fn this_cpu() -> &'static Mutex<Slot> {
    &CPUS[crate::cpu_id().get() as usize]
}

/// Turn virtualization on for this CPU, unless it is on.
pub fn enable_this_cpu(cpu: &'static dyn Cpu) -> Result<(), HvError> {
    with_this_cpu(cpu, |_| Ok(()))
}

/// Turn virtualization off for this CPU, which must not be running a guest, and give its frames back. Call it on every
/// CPU before the machine is stopped or another kernel started: a CPU in VMX operation blocks INIT.
pub fn disable_this_cpu() {
    let mut slot = this_cpu().lock();

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
}

/// Do something with this CPU's state; virtualization is turned on first if it is off. Interrupts are off meanwhile, so
/// that the CPU stays this one.
pub fn with_this_cpu<T>(
    cpu: &'static dyn Cpu,
    action: impl FnOnce(&mut OnThisCpu) -> Result<T, HvError>,
) -> Result<T, HvError> {
    let interrupts = cpu.irq_off();
    let mut slot = this_cpu().lock();
    let Slot { on, asids } = &mut *slot;
    let result = match on {
        Some(on) => action(on),
        empty => turn_on(cpu, asids).and_then(|on| action(empty.get_or_insert(on))),
    };

    drop(slot);
    cpu.irq_restore(interrupts);
    result
}

fn turn_on(cpu: &'static dyn Cpu, kept: &mut Option<AsidPool>) -> Result<OnThisCpu, HvError> {
    let frames = KernelFrames::new(&Account::new());

    if cpu.cpuid(1, 0)[2] & 1 << 5 != 0 {
        let region = VmxonRegion::new(frames).ok_or(HvError::OutOfMemory)?;
        let on = region.enable(cpu).map_err(HvError::Vmx)?;

        info!("VMX on CPU {}: {:?}", crate::cpu_id(), on.caps());
        return Ok(OnThisCpu::Vmx(on));
    }
    if SvmCaps::read(cpu).is_some() {
        let pages = HostSave::new(frames).ok_or(HvError::OutOfMemory)?;
        let on = pages.enable(cpu).map_err(HvError::Svm)?;

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
