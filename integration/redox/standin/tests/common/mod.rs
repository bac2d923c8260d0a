//! A CPU that is played, of either vendor: VMX and SVM turn on, and the world switch leads to the exits of a script.
#![allow(dead_code)] // each suite uses a part of it

use std::{
    alloc::{alloc_zeroed, Layout},
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, Once},
};

use hvpt::{
    cpu::{Cpu, VmxInstruction, VmxResult},
    svm, vmx, Gpr, GuestRegs, PhysicalAddress,
};
use redox_standin::{
    control, cpu_id, hv,
    memory::{RmmA, RmmArch},
};

pub const BASE: usize = 64 << 20;
const FRAMES: usize = 4096;

static SERIAL: Mutex<()> = Mutex::new(());
static INIT: Once = Once::new();

/// The stand-in has one memory: tests take turns. Fresh, with every CPU's virtualization off.
pub fn turn() -> MutexGuard<'static, ()> {
    let guard = SERIAL
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());

    INIT.call_once(|| {
        let size = FRAMES * 4096;
        let memory =
            unsafe { alloc_zeroed(Layout::from_size_align(size, 4 << 20).unwrap()) } as usize;
        unsafe { control::init(BASE, memory - BASE, FRAMES) };
        control::set_log(|line| println!("{}", line));
    });
    control::fail_at(None);
    for cpu in [1, 0] {
        // whatever a test that failed left on
        control::set_cpu(cpu);
        hv::disable_this_cpu(&Host);
    }
    guard
}

/// What happens when the guest is entered: field or member values, and what the guest does to its registers.
#[derive(Clone, Default)]
pub struct Scene {
    pub values: Vec<(u32, u64)>,
    pub regs: Vec<(Gpr, u64)>,
    pub msrs: Vec<(u32, u64)>,
}

#[derive(Default)]
pub struct State {
    pub script: VecDeque<Scene>,
    pub fields: BTreeMap<u32, u64>,
    pub msrs: BTreeMap<u32, u64>,
    /// Control registers of each CPU.
    pub cr: [[u64; 5]; 2],
    pub host: HostWords,
    /// Interrupts are on.
    pub interrupts: bool,
    /// What VM entry found in its interruption information, and VMRUN in EVENTINJ.
    pub log: Vec<String>,
    /// VM entry fails with this number.
    pub refuse: Option<u64>,
    pub current: u64,
    pub injected: u64,
    /// V_IRQ of the last VMRUN, with the intercept of VINTR, and RFLAGS.
    pub entered: (bool, u64),
    /// When the script is at its end, an interrupt of the host's comes.
    pub idle: bool,
}

/// What an exit of either vendor may change of the host, word by word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostWords {
    pub gdt: (u64, u16),
    pub idt: (u64, u16),
    pub tr_limit: u32,
    pub selectors: [u16; 8],
    pub dr: [u64; 8],
    pub xcr0: u64,
    pub cr8: u64,
}

impl Default for HostWords {
    fn default() -> Self {
        Self {
            gdt: (GDT.as_ptr() as u64, 39),
            idt: (0xffff_8000_0000_7000, 0xfff),
            tr_limit: 0x2067, // an I/O map behind the TSS
            selectors: [0x2b, 8, 16, 0x2b, 0x33, 0, 0, 24], // ES and DS as user mode left them
            dr: [
                0x1111,
                0x2222,
                0x3333,
                0x4444,
                0,
                0,
                0xffff_0ff1,
                0x0000_0455,
            ],
            xcr0: 7,
            cr8: 0,
        }
    }
}

/// As much of a CPU as turning virtualization off asks of the one that calls: interrupts.
pub struct Host;

unsafe impl Cpu for Host {
    fn irq_off(&self) -> u64 {
        0x200
    }
    fn irq_restore(&self, _: u64) {}
}

/// Something that happens while the guest runs.
type During = std::sync::Arc<dyn Fn() + Send + Sync>;

pub struct Sim {
    pub amd: bool,
    pub state: Mutex<State>,
    pub during: Mutex<Option<During>>,
}

/// Null, code, data, and a TSS at selector 24.
static GDT: [u64; 5] = [
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x0000_8900_0000_2067,
    0,
];

impl Sim {
    pub fn new(amd: bool) -> &'static Self {
        let mut state = State {
            cr: [[0x8000_0031, 0, 0, 0x1000, 0x4_0220]; 2],
            current: u64::MAX,
            ..Default::default()
        };
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
        let both = [
            0x174,
            0x175,
            0x176,
            0xc000_0081,
            0xc000_0082,
            0xc000_0083,
            0xc000_0084,
            0xc000_0100,
            0xc000_0101,
        ];

        state
            .msrs
            .extend(both.map(|msr| (msr, u64::from(msr) & 0xfff)));
        state.msrs.extend([
            (0x277, 0x0007_0406_0007_0406),
            (0xc000_0080, 0xd01),
            (0xc000_0102, 0x1234_0000),
        ]);
        state.msrs.extend([
            (0x10, 1_000_000),
            (0x1d9, 1),
            (0x49, 0),
            (0x10b, 0),
            (0xc000_0103, 5),
            (0x10a, 0),
        ]);
        state.interrupts = true;
        let second = [(0xc000_0080, 0xd01), (0xc001_0114, 0), (0xc001_0117, 0)];
        let second = second.map(|(msr, value)| (msr | SECOND, value));
        state.msrs.extend(second);
        if amd {
            state.msrs.extend([(0xc001_0114, 0), (0xc001_0117, 0)]);
        } else {
            state.msrs.extend(intel);
        }
        Box::leak(Box::new(Self {
            amd,
            state: Mutex::new(state),
            during: Mutex::new(None),
        }))
    }

    /// What the host has now of what an exit may change: registers, and the MSRs that guests use, too.
    pub fn words(&self) -> (HostWords, [u64; 5], Vec<(u32, u64)>) {
        let state = self.on();
        let msrs = state
            .msrs
            .iter()
            .filter(|(msr, _)| !COMMANDS.contains(*msr));
        let msrs = msrs.map(|(msr, value)| (*msr, *value)).collect();
        (state.host.clone(), state.cr[cpu_id().get() as usize], msrs)
    }

    /// What the CPU makes of a value: the rules of SDM vol. 4 and APM vol. 2 for the MSRs that guests use.
    fn takes(&self, msr: u32, value: u64) -> bool {
        let canonical = (value << 16) as i64 >> 16 == value as i64;
        match msr {
            0x175 | 0x176 | 0xc000_0082 | 0xc000_0083 | 0xc000_0100..=0xc000_0102 => canonical,
            0xc000_0084 | 0xc000_0103 | 0x174 => value >> 32 == 0,
            0x277 => value
                .to_le_bytes()
                .iter()
                .all(|kind| ![2, 3].contains(kind) && *kind < 8),
            _ => true,
        }
    }

    fn exits(&self, state: &mut State) {
        // SDM vol. 3, "Loading Host State"; APM vol. 2, "#VMEXIT"
        state.host.dr[7] = 0x400;
        state.msrs.insert(0x1d9, 0);
        state.cr[cpu_id().get() as usize][2] = 0xdead_0000;
        if self.amd {
            state.host.dr[6] = 0xffff_0ff0;
            return;
        }
        let field = |state: &State, field: u32| state.fields.get(&field).copied().unwrap_or(0);
        state.host.gdt.1 = 0xffff;
        state.host.idt.1 = 0xffff;
        state.host.tr_limit = 0x67;
        for (number, encoding) in [(0, 0xc00), (3, 0xc06), (4, 0xc08), (5, 0xc0a)] {
            state.host.selectors[number] = field(state, encoding) as u16;
        }
        state.host.selectors[6] = 0;
    }

    pub fn on(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// One more entry of the guest ends like this.
    pub fn scene(&self, values: &[(u32, u64)], regs: &[(Gpr, u64)]) {
        self.on().script.push_back(Scene {
            values: values.to_vec(),
            regs: regs.to_vec(),
            msrs: Vec::new(),
        });
    }

    /// The guest runs: what is to happen meanwhile happens, and then its next scene ends it.
    fn next_scene(&self, state: &mut State) -> Scene {
        if let Some(scene) = state.script.pop_front() {
            return scene;
        }
        assert!(state.idle, "the script is at its end");
        let (field, value) = if self.amd {
            (svm::field::EXITCODE.offset(), svm::exit::INTR.number())
        } else {
            (
                vmx::field::EXIT_REASON.encoding(),
                vmx::reason::EXTERNAL_INTERRUPT.number().into(),
            )
        };
        Scene {
            values: vec![(field, value)],
            ..Scene::default()
        }
    }

    fn meanwhile(&self) {
        let during = self
            .during
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone();

        if let Some(during) = during {
            during();
        }
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
                (
                    vmx::field::EXIT_REASON.encoding(),
                    u64::from(reason.number()),
                ),
                (vmx::field::EXIT_QUALIFICATION.encoding(), qualification),
                (vmx::field::GUEST_PHYSICAL_ADDRESS.encoding(), info[1]),
                (vmx::field::VM_EXIT_INSTRUCTION_LENGTH.encoding(), 2),
            ];
            self.scene(&values, regs);
        }
    }
}

/// EFER, VM_CR and VM_HSAVE_PA of the second CPU, kept beside the first one's.
fn own(msr: u32) -> u32 {
    let is_each = [0xc000_0080, 0xc001_0114, 0xc001_0117].contains(&msr);

    if is_each && cpu_id().get() != 0 {
        msr | SECOND
    } else {
        msr
    }
}
const SECOND: u32 = 1 << 28;

/// MSRs that hold nothing.
const COMMANDS: [u32; 2] = [0x49, 0x10b];

unsafe impl Cpu for Sim {
    /// As `Native`: what faults, faults in the host, and that is its end.
    fn rdmsr(&self, msr: u32) -> Option<u64> {
        let msr = own(msr);
        let value = self.on().msrs.get(&msr).copied();
        if value.is_none() {
            panic!("#GP in the host: RDMSR {:#x}", msr);
        }
        value
    }
    fn wrmsr(&self, msr: u32, value: u64) -> bool {
        let msr = own(msr);
        let mut state = self.on();
        if !state.msrs.contains_key(&msr) || !self.takes(msr, value) {
            drop(state);
            panic!("#GP in the host: WRMSR {:#x} of {:#x}", msr, value);
        }
        if COMMANDS.contains(&msr) {
            state.log.push(format!("command {:#x}", msr));
        }
        state.msrs.insert(msr, value);
        true
    }
    fn rdtsc(&self) -> u64 {
        self.on().msrs[&0x10]
    }
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        match (leaf, self.amd) {
            (0, false) => [0x1f, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
            (0, true) => [0x1f, 0x6874_7541, 0x444d_4163, 0x6974_6e65],
            (7, _) if subleaf == 0 => [
                0,
                1 << 10 | 1,
                1 << 22 | 1 << 5 | 1,
                1 << 28 | 1 << 26 | 1 << 10,
            ],
            (0xb | 0x1f | 0x8000_001e | 0x4000_0000..=0x4fff_ffff, _) => [u32::MAX; 4],
            (0xd, _) => match subleaf {
                0 => [7, 832, 832, 0],
                1 => [1 << 3 | 1, 832, 0x100, 0],
                2 => [256, 576, 0, 0],
                _ => [0; 4],
            },
            (1, false) => [0x806c1, 0x0500_0800, 1 << 5 | 1 << 26, 0],
            (1, true) => [0x800f11, 0x0500_0800, 1 << 26, 0],
            (0x8000_0000, _) => [0x8000_000a, 0, 0, 0],
            (0x8000_0001, amd) => [
                0,
                0,
                u32::from(amd) << 2,
                1 << 29 | 1 << 27 | 1 << 26 | 1 << 20,
            ],
            (0x8000_0008, _) => [0x3028, 1 << 12, 0, 0],
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
        self.on().host.selectors
    }
    fn table(&self, idt: bool) -> (u64, u16) {
        let state = self.on();
        if idt {
            state.host.idt
        } else {
            state.host.gdt
        }
    }
    fn load_table(&self, idt: bool, base: u64, limit: u16) {
        let mut state = self.on();
        if idt {
            state.host.idt = (base, limit);
        } else {
            state.host.gdt = (base, limit);
        }
    }
    fn load_tr(&self, selector: u16) {
        let mut state = self.on();
        assert_eq!(selector, 24);
        state.host.selectors[7] = selector;
        state.host.tr_limit = GDT[3] as u32 & 0xffff;
    }
    fn load_ldtr(&self, selector: u16) {
        self.on().host.selectors[6] = selector;
    }
    fn load_segment(&self, number: u32, selector: u16) {
        let mut state = self.on();
        assert!(
            state.host.gdt.1 < 0xffff,
            "with the GDT that the selector is of"
        );
        state.host.selectors[number as usize] = selector;
    }
    fn read_dr(&self, number: u32) -> u64 {
        self.on().host.dr[number as usize]
    }
    fn write_dr(&self, number: u32, value: u64) {
        self.on().host.dr[number as usize] = value;
    }
    fn read_xcr0(&self) -> u64 {
        self.on().host.xcr0
    }
    fn write_xcr0(&self, value: u64) {
        assert!(
            value & 1 != 0 && (value & 4 == 0 || value & 2 != 0),
            "#GP in the host: XSETBV"
        );
        self.on().host.xcr0 = value;
    }
    fn verw(&self) {
        self.on().log.push("VERW".into());
    }
    fn machine_check(&self) {
        self.on().log.push("#MC".into());
    }
    fn vmx(&self, instruction: VmxInstruction, operand: u64) -> VmxResult {
        let mut state = self.on();
        match instruction {
            VmxInstruction::Vmclear if state.current == operand => state.current = u64::MAX,
            VmxInstruction::Vmptrld => state.current = operand,
            VmxInstruction::Vmxoff => assert_eq!(
                state.current,
                u64::MAX,
                "VMXOFF with a VMCS that was not cleared"
            ),
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
        self.meanwhile();
        let mut state = self.on();
        if let Some(number) = state.refuse {
            state
                .fields
                .insert(vmx::field::VM_INSTRUCTION_ERROR.encoding(), number);
            return VmxResult::FailValid;
        }
        state
            .log
            .push(if launched { "VMRESUME" } else { "VMLAUNCH" }.into());
        let scene = self.next_scene(&mut state);
        state
            .fields
            .insert(vmx::field::IDT_VECTORING_INFORMATION_FIELD.encoding(), 0);
        // VM entry delivers what it finds and clears the valid bit; without one the field may hold anything
        let info = vmx::field::VM_ENTRY_INTERRUPTION_INFORMATION_FIELD.encoding();
        let injected = state.fields.get(&info).copied().unwrap_or(0);
        state.injected = if injected >> 31 != 0 { injected } else { 0 };
        state.fields.insert(info, injected & 0x7fff_ffff);
        state.fields.extend(scene.values);
        state.msrs.extend(scene.msrs);
        scene
            .regs
            .iter()
            .for_each(|(register, value)| regs.set(*register, *value));
        regs.set_cr2(0xdead_0000);
        self.exits(&mut state);
        VmxResult::Succeed
    }
    fn svm_switch(
        &self,
        regs: &mut GuestRegs,
        vmcb: PhysicalAddress,
        host: PhysicalAddress,
        interrupts: bool,
    ) {
        self.meanwhile();
        let page = |frame: PhysicalAddress| RmmA::phys_to_virt(frame).data() as *mut u8;
        let mut state = self.on();
        assert!(interrupts && host != vmcb);
        let tlb = unsafe {
            page(vmcb)
                .add(svm::field::TLB_CONTROL.offset() as usize)
                .read()
        };
        let asid = unsafe {
            (page(vmcb).add(svm::field::GUEST_ASID.offset() as usize) as *const u32).read()
        };
        state.injected = unsafe {
            (page(vmcb).add(svm::field::EVENTINJ.offset() as usize) as *const u64).read()
        };
        let word = |offset: u32| unsafe { (page(vmcb).add(offset as usize) as *const u64).read() };
        let virq = word(svm::field::VIRTUAL_INTERRUPT_CONTROL.offset()) >> 8 & 1 != 0;
        let vintr = word(8) >> (32 + 4) & 1 != 0; // APM vol. 2, appendix B: offset 00CH, bit 4
        assert_eq!(virq, vintr, "a virtual interrupt that exits, or none");
        state.entered = (virq, word(svm::field::RFLAGS.offset()));
        // VMRUN clears EVENTINJ's valid bit: APM vol. 2, "Event Injection"
        unsafe { (page(vmcb).add(svm::field::EVENTINJ.offset() as usize) as *mut u64).write(0) };
        state.log.push(format!("VMRUN asid {} tlb {}", asid, tlb));
        let scene = self.next_scene(&mut state);
        state.msrs.extend(scene.msrs);
        self.exits(&mut state);
        for (offset, value) in scene.values {
            unsafe { (page(vmcb).add(offset as usize) as *mut u64).write(value) };
        }
        for (register, value) in scene.regs {
            if register == Gpr::Rax {
                unsafe {
                    (page(vmcb).add(svm::field::RAX.offset() as usize) as *mut u64).write(value)
                };
            } else {
                regs.set(register, value);
            }
        }
    }
    fn stgi(&self) {}
    fn irq_off(&self) -> u64 {
        let was = std::mem::replace(&mut self.on().interrupts, false);
        u64::from(was) << 9
    }
    fn irq_restore(&self, flags: u64) {
        let mut state = self.on();
        if flags & 0x200 != 0 && state.current != u64::MAX {
            state
                .log
                .push("interrupts on while a VMCS is current".into());
        }
        state.interrupts = flags & 0x200 != 0;
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
