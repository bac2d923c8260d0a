//! VMX and SVM without a CPU: capabilities that a table gives, images, the solver, reports, the VMCB, and the handles'
//! frames.

use std::collections::BTreeMap;

use hvpt::{
    cpu::{Cpu, VmxInstruction, VmxResult},
    svm,
    testing::Arena,
    vmx, ControlError, GuestRegs, GuestState, Register,
};

/// A CPU of tables: MSRs and CPUID leaves; VMX instructions succeed and are counted.
struct Table {
    msrs: BTreeMap<u32, u64>,
    leaves: BTreeMap<u32, [u32; 4]>,
    fields: std::sync::Mutex<BTreeMap<u32, u64>>,
    log: std::sync::Mutex<Vec<String>>,
    cr: std::sync::Mutex<[u64; 5]>,
    written: std::sync::Mutex<BTreeMap<u32, u64>>,
}

/// What Bochs' tigerlake says, as far as it is asked: SDM vol. 3, appendix "VMX Capability Reporting Facility".
fn intel() -> Table {
    let msrs = [
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
        (0x174, 0),
        (0x175, 0),
        (0x176, 0),
        (0x277, 0x0007_0406_0007_0406),
        (0xc000_0100, 0),
        (0xc000_0101, 0),
        (0xc000_0080, 0xd01),
    ];
    let leaves = [
        (0, [7, 0, 0, 0]),
        (1, [0, 0, 1 << 5, 0]),
        (0x8000_0000, [0x8000_0008, 0, 0, 0]),
        (0x8000_0001, [0, 0, 0, 1 << 29 | 1 << 20 | 1 << 26]),
        (0x8000_0008, [0x3030, 0, 0, 0]),
    ];
    table(&msrs, &leaves)
}

fn amd() -> Table {
    let leaves = [
        (0, [1, 0, 0, 0]),
        (0x8000_0000, [0x8000_000a, 0, 0, 0]),
        (0x8000_0001, [0, 0, 1 << 2, 1 << 29 | 1 << 20]),
        (0x8000_0008, [0x3030, 0, 0, 0]),
        (0x8000_000a, [1, 16, 0, 1 | 1 << 3]),
    ];
    table(
        &[(0xc000_0080, 0xd01), (0xc001_0114, 0), (0xc001_0117, 0)],
        &leaves,
    )
}

fn table(msrs: &[(u32, u64)], leaves: &[(u32, [u32; 4])]) -> Table {
    Table {
        msrs: msrs.iter().copied().collect(),
        leaves: leaves.iter().copied().collect(),
        fields: Default::default(),
        log: Default::default(),
        cr: std::sync::Mutex::new([0x8000_0031, 0, 0, 0x1000, 0x20]),
        written: Default::default(),
    }
}

unsafe impl Cpu for Table {
    fn rdmsr(&self, msr: u32) -> Option<u64> {
        self.written
            .lock()
            .unwrap()
            .get(&msr)
            .or_else(|| self.msrs.get(&msr))
            .copied()
    }
    fn wrmsr(&self, msr: u32, value: u64) -> bool {
        self.written.lock().unwrap().insert(msr, value);
        true
    }
    fn cpuid(&self, leaf: u32, _: u32) -> [u32; 4] {
        self.leaves.get(&leaf).copied().unwrap_or([0; 4])
    }
    fn read_cr(&self, number: u32) -> u64 {
        self.cr.lock().unwrap()[number as usize]
    }
    fn write_cr(&self, number: u32, value: u64) -> bool {
        self.cr.lock().unwrap()[number as usize] = value;
        true
    }
    fn selectors(&self) -> [u16; 8] {
        [16, 8, 16, 16, 0, 0, 0, 24]
    }
    fn table(&self, _: bool) -> (u64, u16) {
        (GDT.as_ptr() as u64, 39) // the host's TR base is read from it
    }
    fn vmx(&self, instruction: VmxInstruction, operand: u64) -> VmxResult {
        self.log
            .lock()
            .unwrap()
            .push(format!("{:?} {:#x}", instruction, operand & 0xfff));
        VmxResult::Succeed
    }
    fn vmread(&self, field: u32) -> Option<u64> {
        Some(
            self.fields
                .lock()
                .unwrap()
                .get(&field)
                .copied()
                .unwrap_or(0),
        )
    }
    fn vmwrite(&self, field: u32, value: u64) -> bool {
        self.fields.lock().unwrap().insert(field, value);
        true
    }
    fn vmx_switch(&self, regs: &mut GuestRegs, launched: bool) -> VmxResult {
        self.log.lock().unwrap().push(if launched {
            "VMRESUME".into()
        } else {
            "VMLAUNCH".into()
        });
        regs.set(hvpt::Gpr::Rbx, 7);
        self.fields
            .lock()
            .unwrap()
            .insert(vmx::field::EXIT_REASON.encoding(), 12);
        VmxResult::Succeed
    }
    fn stgi(&self) {}
}

/// Null, code, data, and a TSS at selector 24.
static GDT: [u64; 5] = [
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x0000_8900_0000_0067,
    0,
];

fn leak(cpu: Table) -> &'static Table {
    Box::leak(Box::new(cpu))
}

fn needed() -> vmx::Controls {
    vmx::Controls::of(&[
        vmx::control::SECONDARY_UNRESTRICTED_GUEST,
        vmx::control::EXIT_HOST_ADDRESS_SPACE_SIZE,
        vmx::control::ENTRY_LOAD_IA32_EFER,
        vmx::control::EXIT_LOAD_IA32_EFER,
        vmx::control::PRIMARY_HLT_EXITING,
    ])
}

#[test]
fn controls_are_solved_or_named() {
    let cpu = intel();
    let caps = vmx::VmxCaps::read(&cpu).unwrap();
    let solution = vmx::solve(needed(), vmx::Controls::default(), &caps).unwrap();

    assert!(solution.controls.has(vmx::control::SECONDARY_ENABLE_EPT)); // what unrestricted guests need
    assert!(solution
        .controls
        .has(vmx::control::PRIMARY_ACTIVATE_SECONDARY_CONTROLS));
    assert_eq!((caps.maxphyaddr(), caps.revision()), (0x30, 0x2b));

    let wanted = vmx::Controls::of(&[vmx::control::TERTIARY_ENABLE_HLAT]);
    assert_eq!(vmx::solve(needed(), wanted, &caps).unwrap().dropped, wanted);
    let problems = vmx::solve(wanted, needed(), &caps).unwrap_err();
    assert!(problems
        .iter()
        .any(|problem| problem.control() == vmx::control::TERTIARY_ENABLE_HLAT));
    assert!(
        problems
            .to_string()
            .contains("is not available on this CPU"),
        "{}",
        problems
    );
}

#[test]
fn an_msr_that_faults_is_named() {
    let mut cpu = intel();
    cpu.msrs.remove(&0x48b);
    assert_eq!(vmx::VmxCaps::read(&cpu).unwrap_err(), 0x48b);
}

fn image(cpu: &Table, caps: &vmx::VmxCaps, state: &GuestState) -> vmx::VmcsImage {
    let mut image = vmx::VmcsImage::new(caps);
    image
        .set_controls(
            &vmx::solve(needed(), vmx::Controls::default(), caps)
                .unwrap()
                .controls,
        )
        .unwrap();
    image.capture_host(cpu).unwrap();
    image.set_guest(caps, state).unwrap();
    image
        .write(vmx::field::EPT_POINTER, 0x1000 | 3 << 3 | 6)
        .unwrap();
    image
}

#[test]
fn a_broken_rule_is_reported_with_its_value() {
    let cpu = intel();
    cpu.cr.lock().unwrap()[4] |= 0x2000;
    let caps = vmx::VmxCaps::read(&cpu).unwrap();
    let mut image = image(&cpu, &caps, &GuestState::real_mode(0, 0x7c00));

    image.write(vmx::field::HOST_RIP, 0x1000).unwrap();
    image.write(vmx::field::HOST_RSP, 0x2000).unwrap();
    let report = image.check(&caps);
    assert!(report.is_clean(), "{}", report);

    image.write(vmx::field::GUEST_RFLAGS, 0).unwrap(); // bit 1 must be 1
    let report = image.check(&caps);
    let violation = report.violations().next().unwrap();
    assert_eq!(
        (report.broken(), violation.field(), violation.actual()),
        (1, "GUEST_RFLAGS", 0)
    );
    assert_eq!(violation.failure(), hvpt::Failure::GUEST_STATE);
    assert!(
        report.to_string().contains("GUEST_RFLAGS = 0x0"),
        "{}",
        report
    );
    let failure = vmx::EntryFailure::GuestState {
        reason: 0x8000_0021,
        qualification: 0,
    };
    assert_eq!(image.explain(&caps, &failure).0, "this is why");
    assert!(image.dump().to_string().contains("GUEST_RFLAGS = 0x0"));
}

#[test]
fn fields_that_a_cpu_lacks_are_refused() {
    let caps = vmx::VmxCaps::read(&intel()).unwrap();
    let mut image = vmx::VmcsImage::new(&caps);

    assert_eq!(
        image.write(vmx::field::HLAT_POINTER, 1).unwrap_err(),
        ControlError::FieldAbsent
    );
    assert!(
        !image.has(vmx::field::HLAT_POINTER) && vmx::VmcsImage::any().has(vmx::field::HLAT_POINTER)
    );
    assert_eq!(format!("{:?}", vmx::field::GUEST_CR3), "GUEST_CR3");
}

#[test]
fn vmx_goes_on_and_off_and_frames_come_back() {
    let arena = Arena::new(8);
    let cpu = leak(intel());
    let mut on = unsafe { vmx::VmxonRegion::new(arena.clone()).unwrap().enable(cpu) }.unwrap();
    let caps = on.caps().clone();
    let mut region = vmx::VmcsRegion::new(arena.clone(), &caps).unwrap();
    let mut image = image(cpu, &caps, &GuestState::long64(0x5000, 0x8000, 0x9000));
    let mut regs = GuestRegs::default();

    assert_eq!(arena.used(), 2);
    assert_ne!(cpu.read_cr(4) & 0x2000, 0);
    image.touch_all();
    {
        let mut current = unsafe { region.load(cpu) }.unwrap();
        current.store(&mut image).unwrap();
        assert_eq!(cpu.vmread(vmx::field::GUEST_RIP.encoding()), Some(0x8000));
        assert_eq!(
            unsafe { current.enter(&mut regs) }.unwrap(),
            vmx::reason::HLT
        );
        assert_eq!(
            unsafe { current.enter(&mut regs) }.unwrap(),
            vmx::reason::HLT
        );
        current
            .read_back(&mut image, vmx::FieldTypes::EXIT_INFO)
            .unwrap();
        assert_eq!(image.exit_text(&caps).to_string(), "HLT");
    }
    assert_eq!(regs.get(hvpt::Gpr::Rbx), 7);
    on.disable().unwrap();
    assert_eq!(on.disable().unwrap_err(), ControlError::Mode);
    assert_eq!(cpu.read_cr(4) & 0x2000, 0);
    drop((on, region));
    assert_eq!(arena.used(), 0);
    let log = cpu.log.lock().unwrap().join(", ");
    let expected =
        "Vmxon 0x0, Vmclear 0x0, Vmptrld 0x0, VMLAUNCH, VMRESUME, Vmclear 0x0, Vmxoff 0x0";
    assert_eq!(log, expected);
}

#[test]
fn vmx_that_is_locked_off_says_so_and_keeps_nothing() {
    let arena = Arena::new(8);
    let mut cpu = intel();
    cpu.msrs.insert(0x3a, 1);
    let error = unsafe {
        vmx::VmxonRegion::new(arena.clone())
            .unwrap()
            .enable(leak(cpu))
    }
    .unwrap_err();
    assert_eq!(error, vmx::VmxEnableError::LockedOff);
    assert_eq!(
        error.to_string(),
        "the firmware has locked VMX off in IA32_FEATURE_CONTROL"
    );
    assert_eq!(arena.used(), 0);
}

#[test]
fn svm_goes_on_and_off_and_frames_come_back() {
    let arena = Arena::new(32);
    let cpu = leak(amd());
    let on = unsafe { svm::HostSave::new(arena.clone()).unwrap().enable(cpu) }.unwrap();
    assert_ne!(cpu.rdmsr(0xc000_0080).unwrap() & 0x1000, 0);
    assert_eq!(on.caps().asids(), 16);
    assert!(on.caps().can(svm::feature::NP) && !on.caps().can(svm::feature::AVIC));

    let mut vmcb = svm::Vmcb::new(arena.clone(), on.caps()).unwrap();
    let maps = svm::PermissionMaps::new(arena.clone()).unwrap();
    maps.install(&mut vmcb);
    assert_eq!(arena.used(), 2 + 1 + 2 + 4);
    drop((on, vmcb, maps));
    assert_eq!(cpu.rdmsr(0xc000_0080).unwrap() & 0x1000, 0);
    assert_eq!(arena.used(), 0);
}

#[test]
fn a_vmcb_keeps_its_clean_bits_and_is_checked() {
    let arena = Arena::new(32);
    let caps = svm::SvmCaps::read(&amd()).unwrap();
    let mut vmcb = svm::Vmcb::new(arena, &caps).unwrap();

    vmcb.intercept(svm::exit::VMRUN, true).unwrap();
    vmcb.intercept(svm::exit::CPUID, true).unwrap();
    assert!(vmcb.intercepts(svm::exit::CPUID) && !vmcb.intercepts(svm::exit::HLT));
    assert_eq!(
        vmcb.intercept(svm::exit::NPF, true).unwrap_err(),
        ControlError::OutOfRange
    );
    vmcb.set(svm::field::GUEST_ASID, 1);
    vmcb.set_guest(&GuestState::long64(0x5000, 0x8000, 0x9000))
        .unwrap();
    vmcb.set_nested_paging(0x4000, hvpt::PAT_RESET);
    let report = vmcb.check(&caps);
    assert!(report.is_clean(), "{}", report);
    assert_eq!(vmcb.guest().get(Register::Rip), 0x8000);
    assert_eq!(vmcb.get(svm::field::CS).attributes & 1 << 9, 1 << 9);

    // APM vol. 2, "VMCB Clean Bits": CRx is bit 5; RIP has none
    vmcb.set(svm::field::VMCB_CLEAN, 0x1fff);
    vmcb.set(svm::field::RIP, 0x8002);
    assert_eq!(vmcb.get(svm::field::VMCB_CLEAN), 0x1fff);
    vmcb.set(svm::field::CR3, 0x6000);
    assert_eq!(vmcb.get(svm::field::VMCB_CLEAN), 0x1fff & !(1 << 5));

    vmcb.set(svm::field::EFER, 0); // without SVME
    let report = vmcb.check(&caps);
    assert_eq!(
        report.violations().next().unwrap().failure(),
        hvpt::Failure::VMEXIT_INVALID
    );
    vmcb.inject(svm::EventKind::Exception, 14, 2).unwrap();
    assert_eq!(
        vmcb.get(svm::field::EVENTINJ),
        2 << 32 | 1 << 31 | 1 << 11 | 3 << 8 | 14
    );
    assert_eq!(
        vmcb.inject(svm::EventKind::Exception, 32, 0).unwrap_err(),
        ControlError::OutOfRange
    );
}

#[test]
fn asids_run_out_and_begin_anew() {
    let mut pool = svm::AsidPool::new(&svm::SvmCaps::read(&amd()).unwrap()).unwrap();
    let mut guests = vec![svm::Asid::default(); 16];

    for (number, guest) in guests.iter_mut().enumerate().take(15) {
        // The first use flushes what an earlier user of the CPU left behind.
        let wanted = if number == 0 {
            svm::AsidUse::FlushAll
        } else {
            svm::AsidUse::New
        };
        assert_eq!(pool.take(guest), (number as u32 + 1, wanted));
    }
    assert_eq!(pool.take(&mut guests[3]), (4, svm::AsidUse::Kept));
    assert_eq!(pool.take(&mut guests[15]), (1, svm::AsidUse::FlushAll));
    assert_eq!(pool.take(&mut guests[3]), (2, svm::AsidUse::New));
    guests[3].forget();
    assert_eq!(pool.take(&mut guests[3]), (3, svm::AsidUse::New));
}
