//! A CPU that is played, of either vendor: VMX and SVM turn on, and the world switch leads to the exits of a script.

use std::{
    alloc::{alloc_zeroed, Layout},
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, Once},
};

use hvpt_redox::{
    cpu::{Cpu, VmxInstruction, VmxResult},
    svm, vmx, Gpr, GuestRegs, Hpa,
};
use redox_standin::{control, cpu_id, hv};

pub const BASE: usize = 64 << 20;
const FRAMES: usize = 4096;

static SERIAL: Mutex<()> = Mutex::new(());
static INIT: Once = Once::new();

/// The stand-in has one memory: tests take turns. Fresh, with every CPU's virtualization off.
pub fn turn() -> MutexGuard<'static, ()> {
    let guard = SERIAL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    INIT.call_once(|| {
        let size = FRAMES * 4096;
        let memory = unsafe { alloc_zeroed(Layout::from_size_align(size, 4 << 20).unwrap()) } as usize;
        unsafe { control::init(BASE, memory - BASE, FRAMES) };
        control::set_log(|line| println!("{}", line));
    });
    control::fail_at(None);
    for cpu in [1, 0] {
        // whatever a test that failed left on
        control::set_cpu(cpu);
        hv::disable_this_cpu();
    }
    guard
}

/// What happens when the guest is entered: field or member values, and what the guest does to its registers.
#[derive(Clone, Default)]
pub struct Scene {
    pub values: Vec<(u32, u64)>,
    pub regs: Vec<(Gpr, u64)>,
}

#[derive(Default)]
pub struct State {
    pub script: VecDeque<Scene>,
    pub fields: BTreeMap<u32, u64>,
    pub msrs: BTreeMap<u32, u64>,
    /// Control registers of each CPU.
    pub cr: [[u64; 5]; 2],
    pub log: Vec<String>,
    /// VM entry fails with this number.
    pub refuse: Option<u64>,
    pub current: u64,
    /// EVENTINJ of the last VMRUN.
    pub injected: u64,
}

pub struct Sim {
    pub amd: bool,
    pub state: Mutex<State>,
}

/// Null, code, data, and a TSS at selector 24.
static GDT: [u64; 5] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x0000_8900_0000_0067, 0];

impl Sim {
    pub fn new(amd: bool) -> &'static Self {
        let mut state = State { cr: [[0x8000_0031, 0, 0, 0x1000, 0x220]; 2], current: u64::MAX, ..Default::default() };
        // SDM vol. 3, appendix "VMX Capability Reporting Facility": a CPU of the newer kind
        let intel = [
            (0x3a, 5),
            (0x480, 0x0158_1000_0000_002b),
            (0x481, 0x0000_007f_0000_0016),
            (0x482, 0xfff9_fffe_0401_e172),
            (0x483, 0x117f_ffff_0003_6dff),
            (0x484, 0x0017_ffff_0000_11ff),
            (0x485, 0x7004_01e5),
            (0x486, 0x8000_0021),
            (0x487, 0xffff_ffff),
            (0x488, 0x2000),
            (0x489, 0x00ff_ffff),
            (0x48a, 0x3a),
            (0x48b, 0x0297_7fff_0000_0000),
            (0x48c, 0x0f01_0673_4141),
            (0x48d, 0x0000_007f_0000_0016),
            (0x48e, 0xfff9_fffe_0400_6172),
            (0x48f, 0x117f_ffff_0003_6dfb),
            (0x490, 0x0017_ffff_0000_11fb),
            (0x491, 1),
        ];
        let both = [0x174, 0x175, 0x176, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100, 0xc000_0101];

        state.msrs.extend(both.map(|msr| (msr, u64::from(msr) << 16)));
        state.msrs.extend([(0x277, 0x0007_0406_0007_0406), (0xc000_0080, 0xd01), (0xc000_0102, 0x1234_0000)]);
        if amd {
            state.msrs.extend([(0xc001_0114, 0), (0xc001_0117, 0)]);
        } else {
            state.msrs.extend(intel);
        }
        Box::leak(Box::new(Self { amd, state: Mutex::new(state) }))
    }

    pub fn on(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// One more entry of the guest ends like this.
    pub fn scene(&self, values: &[(u32, u64)], regs: &[(Gpr, u64)]) {
        self.on().script.push_back(Scene { values: values.to_vec(), regs: regs.to_vec() });
    }

    /// An exit by either vendor's number, with what it says of itself.
    pub fn exit(
        &self,
        reason: vmx::Reason,
        qualification: u64,
        code: svm::ExitCode,
        info: [u64; 2],
        regs: &[(Gpr, u64)],
    ) {
        if self.amd {
            let values = [
                (svm::field::EXITCODE.offset(), code.number()),
                (svm::field::EXITINFO1.offset(), info[0]),
                (svm::field::EXITINFO2.offset(), info[1]),
            ];
            self.scene(&values, regs);
        } else {
            let values = [
                (vmx::field::EXIT_REASON.encoding(), u64::from(reason.number())),
                (vmx::field::EXIT_QUALIFICATION.encoding(), qualification),
                (vmx::field::GUEST_PHYSICAL_ADDRESS.encoding(), info[1]),
                (vmx::field::VM_EXIT_INSTRUCTION_LENGTH.encoding(), 2),
            ];
            self.scene(&values, regs);
        }
    }
}

unsafe impl Cpu for Sim {
    fn rdmsr(&self, msr: u32) -> Option<u64> {
        self.on().msrs.get(&msr).copied()
    }
    fn wrmsr(&self, msr: u32, value: u64) -> bool {
        self.on().msrs.insert(msr, value);
        true
    }
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        match (leaf, self.amd) {
            (0, _) => [0xd, 0, 0, 0],
            (7, _) if subleaf == 0 => [0, 1 << 10 | 1, 1 << 22 | 1 << 5 | 1, 0],
            (0xd, _) if subleaf == 1 => [1 << 3 | 1, 0, 0, 0],
            (1, false) => [0x806c1, 0x0500_0800, 1 << 5 | 1 << 26, 0],
            (1, true) => [0x800f11, 0x0500_0800, 1 << 26, 0],
            (0x8000_0000, _) => [0x8000_000a, 0, 0, 0],
            (0x8000_0001, amd) => [0, 0, u32::from(amd) << 2, 1 << 29 | 1 << 27 | 1 << 26 | 1 << 20],
            (0x8000_0008, _) => [0x3028, 0, 0, 0],
            (0x8000_000a, true) => [1, 8, 0, 1],
            _ => [0; 4],
        }
    }
    fn read_cr(&self, number: u32) -> u64 {
        self.on().cr[cpu_id().get() as usize][number as usize]
    }
    fn write_cr(&self, number: u32, value: u64) -> bool {
        self.on().cr[cpu_id().get() as usize][number as usize] = value;
        true
    }
    fn selectors(&self) -> [u16; 8] {
        [16, 8, 16, 16, 0, 0, 0, 24]
    }
    fn table(&self, _: bool) -> (u64, u16) {
        (GDT.as_ptr() as u64, 39)
    }
    fn vmx(&self, instruction: VmxInstruction, operand: u64) -> VmxResult {
        let mut state = self.on();
        match instruction {
            VmxInstruction::Vmclear if state.current == operand => state.current = u64::MAX,
            VmxInstruction::Vmptrld => state.current = operand,
            VmxInstruction::Vmxoff => assert_eq!(state.current, u64::MAX, "VMXOFF with a VMCS that was not cleared"),
            _ => (),
        }
        if instruction != VmxInstruction::Vmclear && instruction != VmxInstruction::Vmptrld {
            state.log.push(format!("{:?}", instruction));
        }
        VmxResult::Succeed
    }
    fn vmread(&self, field: u32) -> Option<u64> {
        let state = self.on();
        assert_ne!(state.current, u64::MAX, "VMREAD without a VMCS");
        Some(state.fields.get(&field).copied().unwrap_or(0))
    }
    fn vmwrite(&self, field: u32, value: u64) -> bool {
        let mut state = self.on();
        assert_ne!(state.current, u64::MAX, "VMWRITE without a VMCS");
        state.fields.insert(field, value);
        true
    }
    fn invalidate(&self, vpid: bool, kind: u32, low: u64, _: u64) -> VmxResult {
        assert!(!vpid && kind == 1 && low != 0);
        self.on().log.push("INVEPT".into());
        VmxResult::Succeed
    }
    fn vmx_switch(&self, regs: &mut GuestRegs, launched: bool) -> VmxResult {
        let mut state = self.on();
        if let Some(number) = state.refuse {
            state.fields.insert(vmx::field::VM_INSTRUCTION_ERROR.encoding(), number);
            return VmxResult::FailValid;
        }
        state.log.push(if launched { "VMRESUME" } else { "VMLAUNCH" }.into());
        let scene = state.script.pop_front().expect("the script is at its end");
        state.fields.insert(vmx::field::IDT_VECTORING_INFORMATION_FIELD.encoding(), 0);
        state.fields.extend(scene.values);
        scene.regs.iter().for_each(|(register, value)| regs.set(*register, *value));
        VmxResult::Succeed
    }
    fn svm_switch(&self, regs: &mut GuestRegs, vmcb: Hpa, host: Hpa, interrupts: bool) {
        let page = |frame| <hv::KernelFrames as hvpt_redox::FrameAllocator>::phys_to_virt(frame);
        let mut state = self.on();
        assert!(interrupts && host != vmcb);
        let tlb = unsafe { page(vmcb).add(svm::field::TLB_CONTROL.offset() as usize).read() };
        let asid = unsafe { (page(vmcb).add(svm::field::GUEST_ASID.offset() as usize) as *const u32).read() };
        state.injected = unsafe { (page(vmcb).add(svm::field::EVENTINJ.offset() as usize) as *const u64).read() };
        // VMRUN clears EVENTINJ's valid bit: APM vol. 2, "Event Injection"
        unsafe { (page(vmcb).add(svm::field::EVENTINJ.offset() as usize) as *mut u64).write(0) };
        state.log.push(format!("VMRUN asid {} tlb {}", asid, tlb));
        let scene = state.script.pop_front().expect("the script is at its end");
        for (offset, value) in scene.values {
            unsafe { (page(vmcb).add(offset as usize) as *mut u64).write(value) };
        }
        for (register, value) in scene.regs {
            if register == Gpr::Rax {
                unsafe { (page(vmcb).add(svm::field::RAX.offset() as usize) as *mut u64).write(value) };
            } else {
                regs.set(register, value);
            }
        }
    }
    fn stgi(&self) {}
    fn irq_off(&self) -> u64 {
        0x200
    }
    fn irq_restore(&self, flags: u64) {
        assert_eq!(flags, 0x200);
    }
    fn nmi(&self) {
        self.on().log.push("NMI".into());
    }
    unsafe fn state_save(&self, area: *mut u8, _: bool) {
        // tells host from guest by what was loaded last
        unsafe { area.add(512).write(1) };
        self.on().log.push("save".into());
    }
    unsafe fn state_load(&self, _: *const u8, _: bool) {
        self.on().log.push("load".into());
    }
}
