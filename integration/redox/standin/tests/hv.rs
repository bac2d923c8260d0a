//! The kernel module on a played CPU of each vendor: what it maps, holds and gives back, on every path.

mod common;

use common::{turn, Host, Sim, BASE};
use std::{sync::Arc, time::Duration};

use hvpt::{svm, vmx, Gpr, GuestState, Register};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    cpu_set::LogicalCpuId,
    hv::{self, tlb::Tlb, Exit, HvError, Vcpu, Vm},
    memory::{
        get_page_info, used_frames, Frame, Page, PageFlags, PhysicalAddress, RaiiFrame, RefCount,
        VirtualAddress,
    },
    sync::CleanLockToken,
    syscall::error::{Error, EEXIST, EINVAL, ENOENT, ENOMEM, EPERM},
};

const K4: usize = 4096;

fn page(number: usize) -> Page {
    Page::containing_address(VirtualAddress::new(0x40_0000 + number * 4096))
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

fn token() -> CleanLockToken {
    unsafe { CleanLockToken::new() }
}

fn rwx() -> PageFlags<redox_standin::memory::RmmA> {
    PageFlags::new().write(true).execute(true)
}

/// A whole life: a process gives memory, a guest runs and faults, memory is taken away, all ends. The error it met.
fn life(cpu: &'static Sim) -> Result<(), Error> {
    let process = AddrSpaceWrapper::new()?;
    process.grow(page(0), 20)?;
    let vm = Vm::new(cpu)?;
    vm.map_user(&process, page(0), 16, gpa(0), rwx(), &mut token())?;
    vm.write(gpa(0xff0), &[0xf4; 32], &mut token())?;
    let mut vcpu = Vcpu::new(&vm, 0, &GuestState::real_mode(0, 0x1000))?;
    cpu.exit(
        vmx::reason::EPT_VIOLATION,
        0x182,
        svm::exit::NPF,
        [1 << 32 | 6, 0x10_0000],
        &[],
    );
    let exit = vcpu.run(&mut token())?;
    assert_eq!(
        exit,
        Exit::Memory {
            gpa: gpa(0x10_0000),
            read: false,
            write: true,
            fetch: false
        }
    );
    vm.map_user(&process, page(16), 4, gpa(0x10_0000), rwx(), &mut token())?;
    cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
    assert_eq!(vcpu.run(&mut token())?, Exit::Halt);
    vm.unmap(gpa(0x2000), 4, &mut token())?;
    drop(vm);
    drop(vcpu);
    Ok(())
}

fn leaves_nothing(cpu: &'static Sim) {
    let before = used_frames();
    life(cpu).unwrap();
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

fn leaves_nothing_whatever_fails(amd: bool) {
    let before = used_frames();
    let mut failures = 0;

    for n in 0.. {
        let cpu = Sim::new(amd);
        control::fail_at(Some(n));
        let result = life(cpu);
        control::fail_at(None);
        hv::disable_this_cpu(&Host);
        assert_eq!(
            used_frames(),
            before,
            "frames lost when allocation {} fails",
            n
        );
        match result {
            Ok(()) => break,
            Err(error) => assert_eq!(error, Error::new(ENOMEM), "allocation {}", n),
        }
        failures += 1;
    }
    assert!(failures >= 28, "only {} allocations", failures); // 20 of the process, CPU, tables, control structures
}

#[test]
fn intel_leaves_nothing() {
    let _turn = turn();
    leaves_nothing(Sim::new(false));
    leaves_nothing_whatever_fails(false);
}

#[test]
fn amd_leaves_nothing() {
    let _turn = turn();
    leaves_nothing(Sim::new(true));
    leaves_nothing_whatever_fails(true);
}

#[test]
fn memory_is_held_by_reference_as_long_as_it_is_mapped() {
    let _turn = turn();
    let before = used_frames();
    let process = AddrSpaceWrapper::new().unwrap();
    process.grow(page(0), 2).unwrap();
    let frame = process.frame(page(0)).unwrap();
    let count = || get_page_info(frame).unwrap().refcount();
    let vm = Vm::new(Sim::new(false)).unwrap();

    assert_eq!(count(), Some(RefCount::One));
    vm.map_user(&process, page(0), 2, gpa(0x8000), rwx(), &mut token())
        .unwrap();
    assert!(matches!(count(), Some(RefCount::Shared(n)) if n.get() == 2));
    assert_eq!(
        vm.translate(gpa(0x8123), &mut token()),
        Some(frame.base().add(0x123))
    );

    process.shrink(page(0)); // munmap: the guest keeps the frame
    process.shrink(page(1));
    vm.write(gpa(0x8ffe), &[1, 2, 3, 4], &mut token()).unwrap();
    let mut bytes = [0; 4];
    vm.read(gpa(0x8ffe), &mut bytes, &mut token()).unwrap();
    assert_eq!(bytes, [1, 2, 3, 4]);
    assert!(
        matches!(count(), Some(RefCount::Shared(n)) if n.get() == 1)
            || count() == Some(RefCount::One)
    );

    let stats = vm.stats(&mut token());
    assert_eq!(
        (stats.memory, stats.tables.pages[0], stats.held),
        (2, 2, stats.tables.frames as usize)
    );
    assert_eq!(stats.used_frames, used_frames());
    vm.unmap(gpa(0x8000), 1, &mut token()).unwrap();
    assert_eq!(count(), None); // free
    vm.unmap(gpa(0x9000), 1, &mut token()).unwrap(); // the last page: its tables go, too
    assert_eq!(
        (vm.stats(&mut token()).held, vm.stats(&mut token()).peak),
        (1, stats.held)
    );
    vm.map_frames(
        vec![RaiiFrame::allocate().unwrap()],
        gpa(0x9000),
        rwx(),
        &mut token(),
    )
    .unwrap();
    assert_eq!(
        (
            vm.translate(gpa(0x8000), &mut token()),
            vm.stats(&mut token()).memory
        ),
        (None, 1)
    );
    assert_eq!(
        vm.read(gpa(0x8ffe), &mut bytes, &mut token()).unwrap_err(),
        HvError::NotMapped
    );
    drop(vm);
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

#[test]
fn what_is_not_a_process_own_memory_is_refused_and_nothing_stays_pinned() {
    let _turn = turn();
    let process = AddrSpaceWrapper::new().unwrap();
    process.grow(page(0), 3).unwrap();
    process.map_foreign(page(3));
    let first = process.frame(page(0)).unwrap();
    let vm = Vm::new(Sim::new(true)).unwrap();
    let map =
        |from, count, at| vm.map_user(&process, page(from), count, gpa(at), rwx(), &mut token());

    assert_eq!(map(0, 4, 0).unwrap_err(), Error::new(EPERM));
    assert_eq!(map(4, 1, 0).unwrap_err(), Error::new(EINVAL));
    assert_eq!(map(0, 1, 0x123).unwrap_err(), Error::new(EINVAL));
    map(2, 1, 0x2000).unwrap();
    assert_eq!(map(0, 3, 0).unwrap_err(), Error::new(EEXIST)); // the third page is taken
    assert_eq!(
        (
            vm.translate(gpa(0), &mut token()),
            vm.stats(&mut token()).memory
        ),
        (None, 1)
    );
    assert!(
        matches!(get_page_info(first).unwrap().refcount(), Some(RefCount::Shared(n)) if n.get() == 1)
            || get_page_info(first).unwrap().refcount() == Some(RefCount::One)
    );
    assert_eq!(
        Error::from(vm.unmap(gpa(0x123), 1, &mut token()).unwrap_err()),
        Error::new(EINVAL)
    );
    assert_eq!(Error::from(HvError::NotMapped), Error::new(ENOENT));
    drop(vm);
    drop(process);
    hv::disable_this_cpu(&Host);
}

#[test]
fn a_map_that_fails_half_way_is_taken_back() {
    let _turn = turn();
    let before = used_frames();
    let vm = Vm::new(Sim::new(false)).unwrap();
    let mut frames: Vec<_> = (0..4).map(|_| RaiiFrame::allocate().unwrap()).collect();

    vm.map_frames(
        vec![frames.pop().unwrap()],
        gpa(0x2000),
        rwx(),
        &mut token(),
    )
    .unwrap();
    frames.swap(0, 1); // no two are neighbours any more, so they are mapped one by one
    frames.swap(1, 2);
    frames.reverse();
    assert_eq!(
        vm.map_frames(frames, gpa(0), rwx(), &mut token())
            .unwrap_err(),
        HvError::Paging(hvpt::Error::AlreadyMapped)
    );
    assert_eq!(
        (
            vm.translate(gpa(0), &mut token()),
            vm.translate(gpa(0x1000), &mut token()),
            vm.stats(&mut token()).memory
        ),
        (None, None, 1)
    );
    drop(vm);
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

#[test]
fn neighbouring_frames_become_large_pages() {
    let _turn = turn();
    let before = used_frames();
    let vm = Vm::new(Sim::new(false)).unwrap();
    let frames: Vec<_> = (0..1024).map(|_| RaiiFrame::allocate().unwrap()).collect();
    let start = frames
        .iter()
        .position(|frame| frame.get().base().data() % (2 << 20) == 0)
        .unwrap();
    let at = (4 << 20) - start * K4;

    vm.map_frames(frames, gpa(at), rwx(), &mut token()).unwrap();
    assert_eq!(
        vm.stats(&mut token()).tables.pages[1],
        if start == 0 { 2 } else { 1 }
    );
    vm.unmap(gpa(4 << 20), 1, &mut token()).unwrap(); // splits
    assert!(vm.translate(gpa((4 << 20) + K4), &mut token()).is_some());
    drop(vm);
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

fn exits_are_decoded(amd: bool) {
    let cpu = Sim::new(amd);
    let vm = Vm::new(cpu).unwrap();
    let mut vcpu = Vcpu::new(&vm, 3, &GuestState::long64(0x5000, 0x8000, 0x9000)).unwrap();
    let rip = |vcpu: &Vcpu| vcpu.state().get(Register::Rip);

    // CPUID is answered and the guest goes on, to a hypercall
    cpu.exit(
        vmx::reason::CPUID,
        0,
        svm::exit::CPUID,
        [0; 2],
        &[(Gpr::Rax, 1), (Gpr::Rcx, 0)],
    );
    cpu.exit(vmx::reason::VMCALL, 0, svm::exit::VMMCALL, [0; 2], &[]);
    assert_eq!(vcpu.run(&mut token()).unwrap(), Exit::Hypercall);
    assert_eq!(vcpu.get(Gpr::Rbx) >> 24, 3);
    assert_eq!(vcpu.get(Gpr::Rcx) & (1 << 31 | 1 << 27 | 1 << 5), 1 << 31);
    assert_eq!(rip(&vcpu), if amd { 0x8005 } else { 0x8004 }); // 2 + VMMCALL's 3, or what the sim's VMX says, 2 each

    // a port: SVM tells where to go on in EXITINFO2
    let next = rip(&vcpu) + 2;
    cpu.exit(
        vmx::reason::IO_INSTRUCTION,
        0x3f8 << 16,
        svm::exit::IOIO,
        [0x3f8 << 16 | 1 << 4, next],
        &[(Gpr::Rax, 65)],
    );
    match vcpu.run(&mut token()).unwrap() {
        Exit::Port(port) => assert_eq!((port.port, port.size, port.input), (0x3f8, 1, false)),
        other => panic!("{:?}", other),
    }
    assert_eq!((vcpu.get(Gpr::Rax), rip(&vcpu)), (65, next - 2)); // the access is not made yet
    vcpu.complete().unwrap();
    assert_eq!(rip(&vcpu), next);
    assert_eq!(vcpu.complete().unwrap_err(), HvError::Invalid); // twice

    // an MSR of the guest's own is the kernel's to answer, others are not
    let wrmsr = |msr| [(Gpr::Rcx, msr), (Gpr::Rax, 0x5678), (Gpr::Rdx, 0x1234)];
    cpu.exit(
        vmx::reason::WRMSR,
        0,
        svm::exit::MSR,
        [1, 0],
        &wrmsr(0xc000_0082),
    );
    cpu.exit(
        vmx::reason::RDMSR,
        0,
        svm::exit::MSR,
        [0, 0],
        &[(Gpr::Rax, 0), (Gpr::Rdx, 0)],
    );
    cpu.exit(vmx::reason::WRMSR, 0, svm::exit::MSR, [1, 0], &wrmsr(0x1b));
    assert_eq!(
        vcpu.run(&mut token()).unwrap(),
        Exit::Msr {
            msr: 0x1b,
            write: true
        }
    );

    // that one does not exist: #GP at the instruction, behind the two before
    assert_eq!(rip(&vcpu), next + 4);
    vcpu.inject_exception(13, 0).unwrap();
    assert_eq!(rip(&vcpu), next + 4);
    assert_eq!(vcpu.complete().unwrap_err(), HvError::Invalid);

    cpu.exit(
        vmx::reason::EXTERNAL_INTERRUPT,
        0,
        svm::exit::INTR,
        [0; 2],
        &[],
    );
    assert_eq!(vcpu.run(&mut token()).unwrap(), Exit::Interrupted);
    cpu.exit(
        vmx::reason::TRIPLE_FAULT,
        0,
        svm::exit::SHUTDOWN,
        [0; 2],
        &[],
    );
    assert_eq!(vcpu.run(&mut token()).unwrap(), Exit::Shutdown);
    cpu.exit(
        vmx::reason::EPT_MISCONFIGURATION,
        0,
        svm::exit::NPF,
        [1 << 32 | 8, 0x7000],
        &[],
    );
    assert_eq!(
        vcpu.run(&mut token()).unwrap(),
        Exit::Misconfigured { gpa: gpa(0x7000) }
    );
    cpu.exit(
        vmx::reason::TASK_SWITCH,
        0,
        svm::exit::TASK_SWITCH,
        [0; 2],
        &[],
    );
    assert!(matches!(
        vcpu.run(&mut token()).unwrap(),
        Exit::Other { .. }
    ));
    assert!(!vcpu.exit_text().is_empty());

    // the host's own MSRs are back, and its registers were kept around each run
    assert_eq!(cpu.on().msrs[&0xc000_0102], 0x1234_0000);
    assert_eq!(cpu.on().msrs[&0xc000_0082], 0x82);
    let log = &cpu.on().log.clone();
    assert_eq!(log.iter().filter(|line| *line == "save").count(), 14);
    drop((vcpu, vm));
    hv::disable_this_cpu(&Host);
}

#[test]
fn exits_are_decoded_on_intel() {
    let _turn = turn();
    exits_are_decoded(false);
}

#[test]
fn exits_are_decoded_on_amd() {
    let _turn = turn();
    exits_are_decoded(true);
}

#[test]
fn a_change_of_the_tables_is_flushed_before_the_guest_runs_on() {
    let _turn = turn();
    let cpu = Sim::new(false);
    let vm = Vm::new(cpu).unwrap();
    let mut vcpu = Vcpu::new(&vm, 0, &GuestState::real_mode(0, 0x1000)).unwrap();
    let flushes = |vcpu: &mut Vcpu| {
        cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        cpu.on().log.clear();
        vcpu.run(&mut token()).unwrap();
        let count = cpu.on().log.iter().filter(|line| *line == "INVEPT").count();
        count
    };

    assert_eq!(flushes(&mut vcpu), 1); // the first run on this CPU
    assert_eq!(flushes(&mut vcpu), 0);
    vm.map_frames(
        vec![RaiiFrame::allocate().unwrap()],
        gpa(0),
        rwx(),
        &mut token(),
    )
    .unwrap();
    assert_eq!(flushes(&mut vcpu), 0); // a new mapping owes nothing on x86
    vm.unmap(gpa(0), 1, &mut token()).unwrap();
    assert_eq!(flushes(&mut vcpu), 1);
    control::set_cpu(1);
    assert_eq!(flushes(&mut vcpu), 1); // another CPU
    control::set_cpu(0);
    assert_eq!(flushes(&mut vcpu), 1); // which may hold something from before
    drop((vcpu, vm));
    hv::disable_this_cpu(&Host);
    control::set_cpu(1);
    hv::disable_this_cpu(&Host);
    assert_eq!(
        cpu.on().log.iter().filter(|line| *line == "Vmxoff").count(),
        2
    );
}

#[test]
fn asids_are_fresh_after_a_change_and_shared_out() {
    let _turn = turn();
    let cpu = Sim::new(true);
    let vm = Vm::new(cpu).unwrap();
    let mut vcpus = [0, 1].map(|id| Vcpu::new(&vm, id, &GuestState::real_mode(0, 0x1000)).unwrap());
    let run = |vcpu: &mut Vcpu| {
        cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        cpu.on().log.clear();
        vcpu.run(&mut token()).unwrap();
        let line = cpu
            .on()
            .log
            .iter()
            .find(|line| line.starts_with("VMRUN"))
            .cloned();
        line.unwrap()
    };

    // another test may have used this CPU's ASIDs: then they have begun anew
    assert!(run(&mut vcpus[0]).starts_with("VMRUN asid 1 tlb "));
    assert_eq!(run(&mut vcpus[1]), "VMRUN asid 2 tlb 0");
    assert_eq!(run(&mut vcpus[0]), "VMRUN asid 1 tlb 0");
    hv::disable_this_cpu(&Host);
    assert_eq!(run(&mut vcpus[1]), "VMRUN asid 1 tlb 1"); // what the first one had
    assert_eq!(run(&mut vcpus[0]), "VMRUN asid 2 tlb 0");
    vm.map_frames(
        vec![RaiiFrame::allocate().unwrap()],
        gpa(0),
        rwx(),
        &mut token(),
    )
    .unwrap();
    vm.unmap(gpa(0), 1, &mut token()).unwrap();
    assert_eq!(run(&mut vcpus[0]), "VMRUN asid 3 tlb 0");
    for _ in 0..4 {
        vm.map_frames(
            vec![RaiiFrame::allocate().unwrap()],
            gpa(0),
            rwx(),
            &mut token(),
        )
        .unwrap();
        vm.unmap(gpa(0), 1, &mut token()).unwrap();
        run(&mut vcpus[1]);
    }
    vm.map_frames(
        vec![RaiiFrame::allocate().unwrap()],
        gpa(0),
        rwx(),
        &mut token(),
    )
    .unwrap();
    vm.unmap(gpa(0), 1, &mut token()).unwrap();
    assert_eq!(run(&mut vcpus[1]), "VMRUN asid 1 tlb 1"); // they ran out: 8, of which 0 is the host's
    drop((vcpus, vm));
    hv::disable_this_cpu(&Host);
}

#[test]
fn a_refused_entry_is_an_error_and_the_host_is_whole() {
    let _turn = turn();
    let before = used_frames();
    let cpu = Sim::new(false);
    let vm = Vm::new(cpu).unwrap();
    let mut vcpu = Vcpu::new(&vm, 0, &GuestState::real_mode(0, 0x1000)).unwrap();

    cpu.on().refuse = Some(7);
    assert_eq!(
        vcpu.run(&mut token()).unwrap_err(),
        HvError::Entry(vmx::EntryFailure::Instruction(7))
    );
    assert_eq!(cpu.on().current, u64::MAX); // cleared
    assert_eq!(cpu.on().msrs[&0xc000_0102], 0x1234_0000);

    let amd = Sim::new(true);
    drop((vcpu, vm));
    hv::disable_this_cpu(&Host);
    let vm = Vm::new(amd).unwrap();
    let mut state = GuestState::long64(0x5000, 0x8000, 0x9000);
    state.set(Register::Cr0, 1 << 29); // NW without CD
    let mut vcpu = Vcpu::new(&vm, 0, &state).unwrap();
    assert_eq!(vcpu.run(&mut token()).unwrap_err(), HvError::InvalidVmcb); // before VMRUN
    vcpu.set_state(&GuestState::long64(0x5000, 0x8000, 0x9000))
        .unwrap();
    amd.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
    assert_eq!(vcpu.run(&mut token()).unwrap(), Exit::Halt);
    drop((vcpu, vm));
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

#[test]
fn a_cpu_without_vmx_says_so() {
    let _turn = turn();
    let before = used_frames();
    let cpu = Sim::new(false);
    cpu.on().msrs.insert(0x3a, 1);
    assert_eq!(
        Vm::new(cpu).err().unwrap(),
        HvError::Vmx(vmx::VmxEnableError::LockedOff)
    );
    assert_eq!(used_frames(), before);
}

/// What a guest sees of CPUID, after VMX's capabilities were these.
fn cpuid_with(secondary: u64, leaf: u64, subleaf: u64) -> [u64; 4] {
    let cpu = Sim::new(false);
    cpu.on().msrs.insert(0x48b, secondary << 32);
    let vm = Vm::new(cpu).unwrap();
    let mut vcpu = Vcpu::new(&vm, 0, &GuestState::real_mode(0, 0x1000)).unwrap();
    cpu.exit(
        vmx::reason::CPUID,
        0,
        svm::exit::CPUID,
        [0; 2],
        &[(Gpr::Rax, leaf), (Gpr::Rcx, subleaf)],
    );
    cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
    assert_eq!(vcpu.run(&mut token()).unwrap(), Exit::Halt);
    // SDM vol. 3, "Definitions of Secondary Processor-Based VM-Execution Controls"
    let on = cpu.on().fields[&0x401e];
    assert_eq!(
        on & (1 << 3 | 1 << 12 | 1 << 20 | 1 << 26),
        secondary & (1 << 3 | 1 << 12 | 1 << 20 | 1 << 26)
    );
    let out = [Gpr::Rax, Gpr::Rbx, Gpr::Rcx, Gpr::Rdx].map(|register| vcpu.get(register));
    drop((vcpu, vm));
    hv::disable_this_cpu(&Host);
    out
}

#[test]
fn cpuid_promises_what_the_controls_allow() {
    let _turn = turn();
    let (all, none) = (
        0x0697_7fff,
        0x0697_7fff & !(1 << 3 | 1 << 12 | 1 << 20 | 1 << 26),
    );

    assert_eq!(
        cpuid_with(all, 7, 0),
        [0, 1 << 10 | 1, 1 << 22 | 1 << 5 | 1, 1 << 10]
    );
    assert_eq!(cpuid_with(none, 7, 0), [0, 1, 1, 1 << 10]);
    assert_eq!(cpuid_with(all, 0xd, 1), [1 << 3 | 1, 576, 0, 0]);
    assert_eq!(cpuid_with(none, 0xd, 1), [1, 576, 0, 0]);
    assert_eq!(cpuid_with(all, 0x8000_0001, 0)[3] >> 27 & 1, 1);
    assert_eq!(cpuid_with(none, 0x8000_0001, 5)[3] >> 27 & 1, 0);
}

/// APM vol. 2, "EXITINTINFO Pseudo-Code": what the guest does not raise by itself again is injected. `None`: nothing is.
fn redelivered(interrupted: u64) -> Option<u64> {
    let cpu = Sim::new(true);
    let vm = Vm::new(cpu).unwrap();
    let mut vcpu = Vcpu::new(&vm, 0, &GuestState::long64(0x5000, 0x8000, 0x9000)).unwrap();
    let npf = [
        (svm::field::EXITCODE.offset(), svm::exit::NPF.number()),
        (svm::field::EXITINFO1.offset(), 1 << 32 | 6),
        (svm::field::EXITINFO2.offset(), 0x7000),
        (svm::field::EXITINTINFO.offset(), interrupted),
    ];
    cpu.scene(&npf, &[]);
    let exit = vcpu.run(&mut token()).unwrap();
    assert!(matches!(exit, Exit::Memory { gpa: at, .. } if at == gpa(0x7000)));
    cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
    vcpu.run(&mut token()).unwrap();
    let injected = cpu.on().injected;
    drop((vcpu, vm));
    hv::disable_this_cpu(&Host);
    Some(injected).filter(|event| event >> 31 & 1 != 0)
}

#[test]
fn an_interrupted_event_comes_again_unless_its_instruction_does() {
    let _turn = turn();
    let event = |kind: u64, vector: u64| 1 << 31 | kind << 8 | vector;

    assert_eq!(redelivered(0), None);
    assert_eq!(redelivered(event(0, 0x30)), Some(event(0, 0x30)));
    assert_eq!(
        redelivered(2 << 32 | 1 << 11 | event(3, 14)),
        Some(2 << 32 | 1 << 11 | event(3, 14))
    );
    assert_eq!(redelivered(event(4, 0x80)), None); // INT n
    assert_eq!(redelivered(event(3, 3)), None); // INT3
    assert_eq!(redelivered(event(3, 4)), None); // INTO
}

#[test]
fn rip_wraps_at_32_bits_outside_of_64_bit_mode() {
    for amd in [false, true] {
        let _turn = turn();
        let cpu = Sim::new(amd);
        let vm = Vm::new(cpu).unwrap();
        let mut state = GuestState::flat32(0xffff_fffe, 0x9000);
        state.set(Register::Rip, 0xffff_fffe);
        let mut vcpu = Vcpu::new(&vm, 0, &state).unwrap();
        cpu.exit(
            vmx::reason::CPUID,
            0,
            svm::exit::CPUID,
            [0; 2],
            &[(Gpr::Rax, 0), (Gpr::Rcx, 0)],
        );
        cpu.exit(
            vmx::reason::EXTERNAL_INTERRUPT,
            0,
            svm::exit::INTR,
            [0; 2],
            &[],
        );
        assert_eq!(vcpu.run(&mut token()).unwrap(), Exit::Interrupted);
        assert_eq!(vcpu.state().get(Register::Rip), 0);
        drop((vcpu, vm));
        hv::disable_this_cpu(&Host);
    }
}

#[test]
fn an_invalidation_waits_for_an_old_entry_but_not_for_a_new_one() {
    let _turn = turn();
    let tlb = Arc::new(Tlb::new());
    let (here, other) = (LogicalCpuId::new(0), LogicalCpuId::new(1));
    let (done, wait) = std::sync::mpsc::channel();
    let mut seen = None;

    assert!(tlb.enter(other, &mut seen));
    let work = Arc::clone(&tlb);
    let thread = std::thread::spawn(move || {
        work.invalidate(here);
        done.send(()).unwrap();
    });
    assert!(wait.recv_timeout(Duration::from_millis(50)).is_err());
    while !tlb.enter(other, &mut seen) {} // never seen outside again
    wait.recv_timeout(Duration::from_secs(10))
        .expect("it entered in the new generation");
    thread.join().unwrap();
    tlb.leave(other);
}

// ---- the stand-in panics where the kernel does ----

#[test]
#[should_panic(expected = "refcount was already zero")]
fn a_frame_without_a_count_cannot_become_a_raii_frame() {
    let _turn = turn();
    let frame = redox_standin::memory::allocate_frame().unwrap();
    drop(unsafe { RaiiFrame::new_unchecked(frame) });
}

#[test]
#[should_panic(expected = "frame 0x0 is reserved")]
fn frame_zero_is_reserved() {
    Frame::containing(PhysicalAddress::new(0x123));
}

#[test]
fn frames_come_zeroed_in_orders_up_to_ten() {
    let _turn = turn();
    for order in 0..=10 {
        let frame = redox_standin::memory::allocate_p2frame(order).unwrap();
        assert_eq!((frame.base().data() - BASE) % (4096 << order), 0);
        unsafe { redox_standin::memory::deallocate_p2frame(frame, order) };
    }
    assert!(redox_standin::memory::allocate_p2frame(11).is_none());
}
