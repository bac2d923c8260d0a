//! What a guest or a caller may try, and the host does not notice: on a played CPU that faults as a real one does.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use common::{turn, Host, Sim};
use hvpt::{svm, vmx, Gpr, GuestState, Register};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    hv::{self, Exit, HvError, Vcpu, Vm},
    memory::{
        get_page_info, used_frames, Page, PageFlags, PhysicalAddress, RaiiFrame, RefCount, RmmA,
        VirtualAddress,
    },
    sync::CleanLockToken,
    syscall::error::{Error, EINVAL},
};

/// The largest block that was asked for since the last look: the kernel's heap grows and never shrinks.
struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn token() -> CleanLockToken {
    unsafe { CleanLockToken::new() }
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

fn page(number: usize) -> Page {
    Page::containing_address(VirtualAddress::new(0x40_0000 + number * 4096))
}

fn rwx() -> PageFlags<RmmA> {
    PageFlags::new().write(true).execute(true)
}

/// A guest of one page at 0, in 64-bit mode at 8000H.
fn guest(cpu: &'static Sim) -> Vcpu {
    let vm = Vm::new(cpu).unwrap();
    let frames = vec![RaiiFrame::allocate().unwrap()];

    vm.map_frames(frames, gpa(0), rwx(), &mut token()).unwrap();
    Vcpu::new(&vm, 0, &GuestState::long64(0x5000, 0x8000, 0x9000)).unwrap()
}

fn halt(cpu: &Sim) {
    cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
}

fn run(vcpu: &mut Vcpu) -> Exit {
    vcpu.run(&mut token()).unwrap()
}

/// The vector of what the last entry delivered, which was an exception; `None`: nothing was.
fn delivered(cpu: &Sim) -> Option<u64> {
    let info = cpu.on().injected;

    if info >> 31 & 1 == 0 {
        return None;
    }
    assert_eq!(info >> 8 & 7, 3, "an exception");
    Some(info & 0xff)
}

#[test]
fn the_host_is_word_by_word_what_it_was() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let mut vcpu = guest(cpu);
        let before = cpu.words();

        halt(cpu);
        cpu.on().script[0].msrs = [0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0102]
            .map(|msr| (msr, 0x7fff_0000_1234))
            .to_vec();
        if amd {
            cpu.on().script[0].msrs.clear(); // VMLOAD and VMSAVE, which are not played
        }
        assert_eq!(run(&mut vcpu), Exit::Halt);
        assert_eq!(cpu.words(), before);

        // and it is so after an entry that fails
        if !amd {
            cpu.on().refuse = Some(7);
            assert!(vcpu.run(&mut token()).is_err());
            assert_eq!(cpu.words(), before);
            cpu.on().refuse = None;
        }
        // the guest finds its own MSRs again
        if !amd {
            assert_eq!(vcpu.msr(0xc000_0082), Some(0x7fff_0000_1234));
        }
        drop(vcpu);
        hv::disable_this_cpu(&Host);
        let (words, ..) = cpu.words();
        assert_eq!(words, before.0);
    }
}

#[test]
fn a_value_that_a_cpu_refuses_is_the_guests_fault_and_not_the_hosts() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let mut vcpu = guest(cpu);
        let wild = [
            (0xc000_0082, 0x8000_0000_0000),      // LSTAR
            (0xc000_0083, 0xdead_beef_0000_0000), // CSTAR
            (0xc000_0084, 1 << 32),               // SFMASK
            (0xc000_0100, 0x1_0000_0000_0000),    // FS_BASE
            (0xc000_0101, u64::MAX >> 1),         // GS_BASE
            (0xc000_0102, 0x8000_0000_0000),      // KERNEL_GS_BASE
            (0xc000_0103, 1 << 32),               // TSC_AUX
            (0x174, 1 << 40),                     // SYSENTER_CS
            (0x175, 0x8000_0000_0000),            // SYSENTER_ESP
            (0x176, 1 << 63),                     // SYSENTER_EIP
            (0x277, 0x0007_0406_0002_0406),       // PAT: type 2
            (0xc000_0080, 1 << 12),               // EFER: SVME
            (0xc000_0080, 0),                     // EFER: LME while paging is on
            (0xda0, 1 << 8),                      // XSS
        ];

        for (msr, value) in wild {
            let regs = [
                (Gpr::Rcx, msr),
                (Gpr::Rax, value & 0xffff_ffff),
                (Gpr::Rdx, value >> 32),
            ];
            cpu.exit(vmx::reason::WRMSR, 0, svm::exit::MSR, [1, 0], &regs);
            halt(cpu);
            let rip = vcpu.state().get(Register::Rip);
            assert_eq!(run(&mut vcpu), Exit::Halt);
            assert_eq!(delivered(cpu), Some(13), "MSR {:#x} of {:#x}", msr, value);
            // #GP at the instruction; only the HLT was left behind
            assert_eq!(
                vcpu.state().get(Register::Rip) - rip,
                if amd { 1 } else { 2 }
            );
            assert_eq!(vcpu.set_msr(msr as u32, value), Err(HvError::Invalid));
        }
        assert_eq!(vcpu.set_msr(0xc000_0082, 0xffff_8000_0000_1000), Ok(()));
        assert_eq!(vcpu.msr(0xc000_0082), Some(0xffff_8000_0000_1000));

        let mut state = vcpu.state();
        state.set(Register::Lstar, 0x8000_0000_0000);
        assert_eq!(vcpu.set_state(&state), Err(HvError::Invalid));
        let mut state = vcpu.state();
        state.set(Register::Cr4, 1 << 13 | 1 << 5);
        assert_eq!(vcpu.set_state(&state), Err(HvError::Invalid));
        drop(vcpu);
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn the_host_keeps_its_task_priority() {
    let _turn = turn();
    let cpu = Sim::new(false);
    let mut vcpu = guest(cpu);
    // SDM vol. 3, "Exit Qualification for Control-Register Accesses": MOV to CR8 from RBX, and from CR8 to RSI
    let (to, from) = (8 | 3 << 8, 8 | 1 << 4 | 6 << 8);

    cpu.exit(
        vmx::reason::CR_ACCESS,
        to,
        svm::exit::HLT,
        [0; 2],
        &[(Gpr::Rbx, 15)],
    );
    cpu.exit(vmx::reason::CR_ACCESS, from, svm::exit::HLT, [0; 2], &[]);
    halt(cpu);
    assert_eq!(run(&mut vcpu), Exit::Halt);
    assert_eq!((vcpu.cr8(), vcpu.get(Gpr::Rsi)), (15, 15));
    assert_eq!(cpu.words().0.cr8, 0);
    // "CR8-load exiting" and "CR8-store exiting"
    assert_eq!(cpu.on().fields[&0x4002] >> 19 & 3, 3);
    cpu.exit(
        vmx::reason::CR_ACCESS,
        to,
        svm::exit::HLT,
        [0; 2],
        &[(Gpr::Rbx, 16)],
    );
    halt(cpu);
    assert_eq!(run(&mut vcpu), Exit::Halt);
    assert_eq!(delivered(cpu), Some(13));
    drop(vcpu);
    hv::disable_this_cpu(&Host);
}

#[test]
fn a_wild_request_is_an_error_and_costs_nothing() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let process = AddrSpaceWrapper::new().unwrap();
        process.grow(page(0), 4).unwrap();
        let vm = Vm::new(cpu).unwrap();
        let before = (
            used_frames(),
            control::allocations(),
            vm.stats(&mut token()),
        );
        let invalid = Error::new(EINVAL);
        let einval = |result: Result<(), HvError>| {
            assert_eq!(result.map_err(Error::from), Err(invalid));
        };
        let wild = [
            1 << 28,
            1 << 20,
            Vm::MAX_PAGES_A_CALL + 1,
            usize::MAX,
            usize::MAX / 4096,
            0,
        ];

        LARGEST.store(0, Ordering::Relaxed);
        for count in wild {
            let map = |at| vm.map_user(&process, page(0), count, at, rwx(), &mut token());
            assert_eq!(map(gpa(0)), Err(invalid), "{}", count);
            assert_eq!(map(gpa(usize::MAX & !4095)), Err(invalid));
            einval(vm.unmap(gpa(0), count, &mut token()));
            einval(vm.protect(gpa(0), count, rwx(), &mut token()));
            einval(vm.dirty(gpa(0), count, &mut [0; 4], &mut token()));
            einval(vm.map_device(gpa(0xfee0_0000), count, gpa(0), rwx(), &mut token()));
        }
        for at in [1, 0x123, usize::MAX, usize::MAX & !4095, 1 << 57, 1 << 63] {
            let map = |from, to| vm.map_user(&process, from, 1, to, rwx(), &mut token());
            assert_eq!(map(page(0), gpa(at)), Err(invalid), "{:#x}", at);
            einval(vm.unmap(gpa(at), 1, &mut token()));
            assert!(vm.read(gpa(at), &mut [0; 1], &mut token()).is_err());
            assert!(vm.write(gpa(at), &[0; 16], &mut token()).is_err());
            assert_eq!(vm.translate(gpa(at), &mut token()), None);
        }
        // a page at the end of what there is
        let last = Page::containing_address(VirtualAddress::new(usize::MAX));
        assert_eq!(
            vm.map_user(&process, last, 2, gpa(0), rwx(), &mut token()),
            Err(invalid)
        );
        assert!(vm.dirty(gpa(0), 2048, &mut [0; 1], &mut token()).is_err());
        let memory = process.frame(page(0)).unwrap().base();
        let device = vm.map_device(memory, 1, gpa(0), rwx(), &mut token());
        assert_eq!(device, Err(HvError::Forbidden));
        assert!(
            LARGEST.load(Ordering::Relaxed) <= 4096,
            "{}",
            LARGEST.load(Ordering::Relaxed)
        );
        assert_eq!(
            (
                used_frames(),
                control::allocations(),
                vm.stats(&mut token())
            ),
            before
        );

        assert_eq!(
            Vcpu::new(&vm, 255, &GuestState::reset()).err(),
            Some(HvError::Invalid)
        );
        drop(vm);
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn memory_grows_without_the_heap() {
    let _turn = turn();
    let cpu = Sim::new(false);
    let process = AddrSpaceWrapper::new().unwrap();
    process.grow(page(0), 1200).unwrap();
    let before = used_frames();
    let vm = Vm::new(cpu).unwrap();
    let frame = process.frame(page(700)).unwrap();

    LARGEST.store(0, Ordering::Relaxed);
    vm.map_user(&process, page(0), 1200, gpa(0x10_0000), rwx(), &mut token())
        .unwrap();
    assert!(LARGEST.load(Ordering::Relaxed) <= 4096);
    assert_eq!(vm.stats(&mut token()).memory, 1200);
    let count = get_page_info(frame).unwrap().refcount();
    assert!(matches!(count, Some(RefCount::Shared(n)) if n.get() == 2));
    let again = vm
        .borrow(gpa(0x10_0000 + 700 * 4096), &mut token())
        .unwrap();
    assert_eq!(again.get(), frame);
    vm.unmap(gpa(0x10_0000), 1200, &mut token()).unwrap();
    assert_eq!(vm.stats(&mut token()).memory, 0);
    drop(again);
    assert!(
        get_page_info(frame).unwrap().refcount() == Some(RefCount::One)
            || matches!(get_page_info(frame).unwrap().refcount(), Some(RefCount::Shared(n)) if n.get() == 1)
    );
    drop(vm);
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

#[test]
fn another_state_leaves_the_general_registers() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let mut vcpu = guest(cpu);
        let all = (0..16).map(hvpt::insn::gpr).filter(|gpr| *gpr != Gpr::Rsp);
        let mut state = vcpu.state();

        for (number, register) in (0..).zip(all.clone()) {
            vcpu.set(register, 0x1000 + number).unwrap();
        }
        state.set(Register::Cr2, 0x7654_3000);
        state.set(Register::Dr6, 0xffff_4ff1);
        state.set(Register::Rip, 0xa000);
        vcpu.set_state(&state).unwrap();
        for (number, register) in (0..).zip(all) {
            assert_eq!(vcpu.get(register), 0x1000 + number, "{:?}", register);
        }
        let now = vcpu.state();
        assert_eq!(now.get(Register::Cr2), 0x7654_3000);
        assert_eq!(
            (now.get(Register::Dr6), now.get(Register::Rip)),
            (0xffff_4ff1, 0xa000)
        );
        drop(vcpu);
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn each_virtual_cpu_has_its_own_number_and_no_outer_hypervisor() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let vm = Vm::new(cpu).unwrap();
        let mut vcpu = Vcpu::new(&vm, 6, &GuestState::real_mode(0, 0x1000)).unwrap();
        let mut policy = vcpu.policy().clone();
        policy.cpus = 7;
        vcpu.set_policy(policy).unwrap();

        // the played CPU answers each of these leaves with FFFFFFFFH
        assert_eq!(vcpu.cpuid(1, 0)[1] >> 16, 6 << 8 | 7);
        assert_eq!(vcpu.cpuid(0xb, 0), [0, 1, 0x100, 6]);
        assert_eq!(vcpu.cpuid(0xb, 1), [3, 7, 0x201, 6]);
        assert_eq!(vcpu.cpuid(0x1f, 0)[3], 6);
        assert_eq!(vcpu.cpuid(0x8000_001e, 0), [6, 6, 0, 0]);
        for leaf in [0x4000_0000, 0x4000_0001, 0x4000_0100, 0x4fff_ffff] {
            assert_eq!(vcpu.cpuid(leaf, 0), [0; 4]);
        }
        assert_eq!(vcpu.cpuid(1, 0)[2] >> 31, 1); // there is a hypervisor, of which nothing is told
        drop((vcpu, vm));
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn exceptions_that_could_repeat_for_ever_exit_and_come_back() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let mut vcpu = guest(cpu);
        let exception = |vector: u64, code: svm::ExitCode, error_code: u64, bits: u64| {
            let info = 1 << 31 | 3 << 8 | vector | u64::from(vector == 17) << 11;
            cpu.exit(
                vmx::reason::EXCEPTION_OR_NMI,
                bits,
                code,
                [error_code, 0],
                &[],
            );
            if !amd {
                let scene = &mut cpu.on().script[0].values;
                scene.push((
                    vmx::field::VM_EXIT_INTERRUPTION_INFORMATION.encoding(),
                    info,
                ));
                scene.push((
                    vmx::field::VM_EXIT_INTERRUPTION_ERROR_CODE.encoding(),
                    error_code,
                ));
            }
            halt(cpu);
        };

        exception(17, svm::exit::EXCP_AC, 0, 0);
        assert_eq!(run(&mut vcpu), Exit::Halt);
        assert_eq!(delivered(cpu), Some(17));
        exception(1, svm::exit::EXCP_DB, 0, 1 << 14);
        assert_eq!(run(&mut vcpu), Exit::Halt);
        assert_eq!(delivered(cpu), Some(1));
        if !amd {
            assert_eq!(vcpu.state().get(Register::Dr6) & 1 << 14, 1 << 14);
        }
        // a machine check is the host's
        exception(18, svm::exit::EXCP_MC, 0, 0);
        assert_eq!(run(&mut vcpu), Exit::Halt);
        assert_eq!(delivered(cpu), None);
        assert_eq!(cpu.on().log.iter().filter(|line| *line == "#MC").count(), 1);
        drop(vcpu);
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn speculation_ends_at_the_guests_border() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let mut vcpu = guest(cpu);

        cpu.on().log.clear();
        halt(cpu);
        run(&mut vcpu);
        let log = cpu.on().log.clone();
        let at = |what: &str| log.iter().position(|line| line == what);
        let entry = log.iter().position(|line| line.starts_with("VM")).unwrap();
        // what the played CPU says of itself: MD_CLEAR, L1D_FLUSH, IBPB
        assert!(at("VERW").unwrap() < entry);
        assert!(at("command 0x49").unwrap() > entry);
        if !amd {
            assert!(at("command 0x10b").unwrap() < entry);
        }
        // the guest sees none of it but the buffers' clearing
        let [_, ebx, _, edx] = [vcpu.cpuid(7, 0), vcpu.cpuid(0x8000_0008, 0)][usize::from(amd)];
        assert_eq!(
            (edx >> 26 & 0x3f, if amd { ebx >> 12 & 1 } else { 0 }),
            (0, 0)
        );
        drop(vcpu);
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn a_guest_runs_once_at_a_time_on_a_cpu_and_lets_nothing_in() {
    let _turn = turn();
    let cpu = Sim::new(false);
    let mut vcpu = guest(cpu);

    cpu.exit(
        vmx::reason::EXTERNAL_INTERRUPT,
        0,
        svm::exit::INTR,
        [0; 2],
        &[],
    );
    assert_eq!(run(&mut vcpu), Exit::Interrupted);
    assert!(!cpu
        .on()
        .log
        .iter()
        .any(|line| line == "interrupts on while a VMCS is current"));
    assert!(cpu.on().interrupts);
    cpu.on().interrupts = false; // a system call has them off
    cpu.exit(
        vmx::reason::EXTERNAL_INTERRUPT,
        0,
        svm::exit::INTR,
        [0; 2],
        &[],
    );
    assert_eq!(run(&mut vcpu), Exit::Interrupted);
    assert!(!cpu.on().interrupts);
    cpu.on().interrupts = true;
    drop(vcpu);
    hv::disable_this_cpu(&Host);
}
