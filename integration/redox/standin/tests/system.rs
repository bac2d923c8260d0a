//! What a guest that is an operating system needs: events with their windows, tables of what it finds, memory of devices,
//! a log of what it writes, and a state that can be kept.

mod common;

use common::{turn, Host, Sim};
use hvpt::{svm, vmx, Gpr, GuestState, Register};
use redox_standin::{
    hv::{self, Exit, HvError, MemoryAccess, MsrAnswer, MsrRow, Saved, Vcpu, Vm},
    memory::{used_frames, PageFlags, PhysicalAddress, RaiiFrame, RmmA, RmmArch},
    sync::CleanLockToken,
};

fn token() -> CleanLockToken {
    unsafe { CleanLockToken::new() }
}

fn gpa(address: usize) -> PhysicalAddress {
    PhysicalAddress::new(address)
}

fn flags() -> PageFlags<RmmA> {
    PageFlags::new().write(true).execute(true)
}

/// Flat 32-bit code at 1000H, with so many pages of memory from 0 on.
fn guest(cpu: &'static Sim, pages: usize) -> Vcpu {
    let vm = Vm::new(cpu).unwrap();
    let frames = (0..pages).map(|_| RaiiFrame::allocate().unwrap()).collect();

    vm.map_frames(frames, gpa(0), flags(), &mut token())
        .unwrap();
    Vcpu::new(&vm, 0, &GuestState::flat32(0x1000, 0x2000)).unwrap()
}

fn run(vcpu: &mut Vcpu) -> Exit {
    vcpu.run(&mut token()).unwrap()
}

fn halt(cpu: &Sim) {
    cpu.exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
}

/// Type and vector of what the last entry delivered.
fn delivered(cpu: &Sim) -> Option<(u64, u64)> {
    let info = cpu.on().injected;
    (info >> 31 & 1 != 0).then_some((info >> 8 & 7, info & 0xff))
}

/// Set RFLAGS of the guest, and nothing else.
fn set_flags(vcpu: &mut Vcpu, value: u64, shadow: u64) {
    let mut state = vcpu.state();
    state.set(Register::Rflags, value);
    state.set(Register::Interruptibility, shadow);
    vcpu.set_state(&state).unwrap();
}

fn both(test: impl Fn(bool, &'static Sim)) {
    for amd in [false, true] {
        let _turn = turn();
        let before = used_frames();
        test(amd, Sim::new(amd));
        hv::disable_this_cpu(&Host);
        assert_eq!(used_frames(), before);
    }
}

#[test]
fn an_interrupt_waits_until_the_guest_takes_it() {
    both(|amd, cpu| {
        let mut vcpu = guest(cpu, 4);

        assert_eq!(vcpu.inject_interrupt(0x30), Err(HvError::Blocked)); // IF is clear
        set_flags(&mut vcpu, 0x202, 2);
        assert_eq!(vcpu.inject_interrupt(0x30), Err(HvError::Blocked)); // behind MOV SS
        set_flags(&mut vcpu, 0x202, 0);
        vcpu.inject_interrupt(0x30).unwrap();
        assert_eq!(vcpu.inject_interrupt(0x31), Err(HvError::Blocked)); // one at a time
        assert_eq!(vcpu.inject_exception(14, 2), Err(HvError::Blocked));
        halt(cpu);
        assert_eq!(run(&mut vcpu), Exit::Halt);
        assert_eq!(delivered(cpu), Some((0, 0x30)));

        set_flags(&mut vcpu, 2, 0);
        vcpu.want_interrupt_window(true);
        cpu.exit(
            vmx::reason::INTERRUPT_WINDOW,
            0,
            svm::exit::VINTR,
            [0; 2],
            &[],
        );
        assert_eq!(run(&mut vcpu), Exit::InterruptWindow);
        if !amd {
            assert_eq!(cpu.on().fields[&0x4002] >> 2 & 1, 1); // "interrupt-window exiting"
        }
        halt(cpu);
        assert_eq!(run(&mut vcpu), Exit::Halt); // once
        if !amd {
            assert_eq!(cpu.on().fields[&0x4002] >> 2 & 1, 0);
        }
        assert_eq!(delivered(cpu), None);
    });
}

#[test]
fn an_nmi_waits_until_the_handler_of_the_last_one_is_done() {
    both(|amd, cpu| {
        let mut vcpu = guest(cpu, 4);

        vcpu.inject_nmi().unwrap();
        halt(cpu);
        if !amd {
            // VM entry blocks NMIs when it delivers one: SDM vol. 3, "Event Injection"
            cpu.on().script[0].values.push((0x4824, 8));
        }
        assert_eq!(run(&mut vcpu), Exit::Halt);
        assert_eq!(delivered(cpu), Some((2, 2)));
        assert_eq!(vcpu.state().get(Register::Interruptibility) & 8, 8);
        assert_eq!(vcpu.inject_nmi(), Err(HvError::Blocked));
        vcpu.want_nmi_window(true);
        if amd {
            // IRET at 5000H, then #DB of the single step behind it
            let rip = (svm::field::RIP.offset(), 0x5000);
            let code = |code: svm::ExitCode| (svm::field::EXITCODE.offset(), code.number());
            cpu.scene(&[code(svm::exit::IRET), rip], &[]);
            let rip = (svm::field::RIP.offset(), 0x1800);
            let dr6 = (svm::field::DR6.offset(), 0xffff_4ff0);
            cpu.scene(&[code(svm::exit::EXCP_DB), rip, dr6], &[]);
        } else {
            cpu.exit(vmx::reason::NMI_WINDOW, 0, svm::exit::HLT, [0; 2], &[]);
            cpu.on().script[0].values.push((0x4824, 0));
        }
        assert_eq!(run(&mut vcpu), Exit::NmiWindow);
        assert!(cpu.on().script.is_empty());
        if amd {
            assert_eq!(vcpu.state().get(Register::Dr6), 0xffff_0ff0); // the guest sees no step
        } else {
            assert_eq!(cpu.on().fields[&0x4002] >> 22 & 1, 1); // "NMI-window exiting"
        }
        vcpu.inject_nmi().unwrap();
    });
}

/// STI and MOV SS hold an NMI back for an instruction. AMD's have no exit for that, and Intel's may refuse an NMI behind
/// STI though its window is open: SDM vol. 3, "Checks on Guest Non-Register State"; APM vol. 2, "Interrupt Shadows".
#[test]
fn an_nmi_waits_behind_sti_and_mov_ss() {
    both(|amd, cpu| {
        for (shadow, flags) in [(1, 0x202), (2, 0x202), (2, 2)] {
            let mut vcpu = guest(cpu, 4);
            let mut state = vcpu.state();
            state.set(Register::Interruptibility, shadow);
            state.set(Register::Rflags, flags);
            state.set(Register::Rip, 0x1800);
            vcpu.set_state(&state).unwrap();
            assert_eq!(vcpu.inject_nmi(), Err(HvError::Blocked));
            vcpu.want_nmi_window(true);

            let enabled = flags & 0x200 != 0;
            let (window, free, rip) = if amd {
                let step = [
                    (svm::field::DR6.offset(), 0xffff_4ff0),
                    (svm::field::RFLAGS.offset(), flags | 0x100),
                ];
                let values = if enabled { &[][..] } else { &step };
                let code = if enabled {
                    svm::exit::VINTR
                } else {
                    svm::exit::EXCP_DB
                };
                cpu.scene(&[(svm::field::EXITCODE.offset(), code.number())], &[]);
                cpu.on().script[0].values.extend(values);
                (
                    enabled,
                    svm::field::INTERRUPT_STATE.offset(),
                    svm::field::RIP.offset(),
                )
            } else {
                let interrupts = shadow == 1;
                if interrupts {
                    cpu.exit(
                        vmx::reason::INTERRUPT_WINDOW,
                        0,
                        svm::exit::HLT,
                        [0; 2],
                        &[],
                    );
                    cpu.on().script[0]
                        .values
                        .extend([(0x4824, 0), (0x681e, 0x1801)]);
                }
                cpu.exit(vmx::reason::NMI_WINDOW, 0, svm::exit::HLT, [0; 2], &[]);
                (interrupts, 0x4824, 0x681e)
            };
            cpu.on()
                .script
                .back_mut()
                .unwrap()
                .values
                .extend([(free, 0), (rip, 0x1801)]);
            assert_eq!(run(&mut vcpu), Exit::NmiWindow);
            assert!(cpu.on().script.is_empty());
            if amd {
                assert_eq!(cpu.on().entered, (window, flags | u64::from(!enabled) << 8));
            } else {
                // at the last entry: it has what is behind the shadow
                assert_eq!(cpu.on().fields[&0x4002] >> 22 & 1, 1);
                assert_eq!(cpu.on().fields[&0x4002] >> 2 & 1, 0);
            }
            assert_eq!(vcpu.state().get(Register::Rip), 0x1801);
            assert_eq!(
                vcpu.state().get(Register::Rflags) & 0x300,
                flags & 0x200,
                "TF is not the guest's"
            );
            assert_eq!(
                vcpu.state().get(Register::Dr6) & 0x4000,
                0,
                "nor is the step"
            );
            vcpu.inject_nmi().unwrap();
            halt(cpu);
            assert_eq!(run(&mut vcpu), Exit::Halt);
            assert_eq!(delivered(cpu), Some((2, 2)));
        }
    });
}

#[test]
fn a_double_fault_and_a_triple_fault_come_of_nested_exceptions() {
    both(|amd, cpu| {
        let mut vcpu = guest(cpu, 4);
        // #GP while #PF was delivered; then #PF while #DF was
        for (first, second, expected) in [(14, 13, Some((3, 8))), (8, 14, None)] {
            let info = 1 << 31 | 1 << 11 | 3 << 8 | first;
            cpu.exit(
                vmx::reason::EPT_VIOLATION,
                0x182,
                svm::exit::NPF,
                [1 << 32 | 6, 0x7000],
                &[],
            );
            let field = if amd {
                svm::field::EXITINTINFO.offset()
            } else {
                0x4408
            };
            cpu.on().script[0].values.push((field, info));
            assert!(matches!(run(&mut vcpu), Exit::Memory { .. }));
            vcpu.inject_exception(second, 0).unwrap();
            match expected {
                Some(event) => {
                    halt(cpu);
                    if amd {
                        cpu.on().script[0].values.push((field, 0));
                    }
                    assert_eq!(run(&mut vcpu), Exit::Halt);
                    assert_eq!(delivered(cpu), Some(event));
                }
                None => assert_eq!(run(&mut vcpu), Exit::Shutdown),
            }
        }
    });
}

/// The guest stops at an instruction for a device at FEE00000H.
fn device(cpu: &Sim, vcpu: &mut Vcpu, bytes: &[u8], write: bool, regs: &[(Gpr, u64)]) {
    let mut state = vcpu.state();
    let (qualification, info) = if write { (0x182, 6) } else { (0x181, 4) };

    state.set(Register::Rip, 0x1ffd); // the instruction lies in two pages
    vcpu.set_state(&state).unwrap();
    vcpu.vm().write(gpa(0x1ffd), bytes, &mut token()).unwrap();
    let at = [1 << 32 | info, 0xfee0_00b0];
    cpu.exit(
        vmx::reason::EPT_VIOLATION,
        qualification,
        svm::exit::NPF,
        at,
        regs,
    );
    assert!(matches!(run(vcpu), Exit::Memory { gpa: at, .. } if at == gpa(0xfee0_00b0)));
}

#[test]
fn a_devices_memory_is_read_and_written() {
    both(|_, cpu| {
        let mut vcpu = guest(cpu, 4);
        let access = |vcpu: &mut Vcpu| vcpu.access(&mut token());
        let at = gpa(0xfee0_00b0);

        // mov dword [ebx+disp32], 0x12345678
        let store = [0xc7, 0x83, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];
        device(cpu, &mut vcpu, &store, true, &[]);
        let expected = MemoryAccess {
            gpa: at,
            size: 4,
            write: Some(0x1234_5678),
        };
        assert_eq!(access(&mut vcpu), Ok(expected));
        assert_eq!(vcpu.instruction(&mut token()).bytes[..10], store);
        vcpu.complete_access(0, &mut token()).unwrap();
        assert_eq!(vcpu.state().get(Register::Rip), 0x1ffd + 10);
        assert_eq!(access(&mut vcpu), Err(HvError::Invalid)); // it is done

        // mov ax, [ebx]: the upper half of EAX stays
        device(
            cpu,
            &mut vcpu,
            &[0x66, 0x8b, 0x03],
            false,
            &[(Gpr::Rax, 0xaaaa_bbbb)],
        );
        assert_eq!(
            access(&mut vcpu),
            Ok(MemoryAccess {
                gpa: at,
                size: 2,
                write: None
            })
        );
        vcpu.complete_access(0xffff_1234, &mut token()).unwrap();
        assert_eq!(
            (vcpu.get(Gpr::Rax), vcpu.state().get(Register::Rip)),
            (0xaaaa_1234, 0x2000)
        );

        // movsx ecx, byte [eax+ebx*2+1]
        device(cpu, &mut vcpu, &[0x0f, 0xbe, 0x4c, 0x58, 0x01], false, &[]);
        assert_eq!(access(&mut vcpu).unwrap().size, 1);
        vcpu.complete_access(0x80, &mut token()).unwrap();
        assert_eq!(vcpu.get(Gpr::Rcx), 0xffff_ff80);

        // test dword [ebx], 0x1000: ZF
        device(cpu, &mut vcpu, &[0xf7, 0x03, 0, 0x10, 0, 0], false, &[]);
        vcpu.complete_access(0x0fff, &mut token()).unwrap();
        assert_eq!(vcpu.state().get(Register::Rflags) & 0x8d5, 1 << 6 | 1 << 2);

        // cmp ah, [ebx] with AH 1 and 2 in memory: CF, SF, AF, PF
        device(cpu, &mut vcpu, &[0x3a, 0x23], false, &[(Gpr::Rax, 0x100)]);
        if let Ok(found) = access(&mut vcpu) {
            assert_eq!(found.size, 1);
        }
        vcpu.complete_access(2, &mut token()).unwrap();
        assert_eq!(vcpu.state().get(Register::Rflags) & 0x8d5, 0x95);

        // rep movsd is the caller's problem
        device(cpu, &mut vcpu, &[0xf3, 0xa5], true, &[]);
        assert_eq!(access(&mut vcpu), Err(HvError::Instruction));
    });
}

#[test]
fn the_policy_decides_what_is_not_the_guests_own() {
    both(|_, cpu| {
        let mut vcpu = guest(cpu, 4);
        let mut policy = vcpu.policy().clone();
        let row = |number, read, write| MsrRow {
            first: number,
            last: number,
            read,
            write,
        };

        policy
            .msrs
            .insert(0, row(0x1234, MsrAnswer::Fixed(77), MsrAnswer::Fault));
        policy
            .msrs
            .insert(0, row(0x1235, MsrAnswer::Keep, MsrAnswer::Keep));
        policy.cpuid.push(hv::CpuidRow {
            first: 0x4000_0000,
            last: 0x4000_0000,
            subleaf: None,
            keep: [0; 4],
            set: [0x4000_0001, 1, 2, 3],
        });
        policy.xcr0 = 3;
        vcpu.set_policy(policy.clone()).unwrap();
        assert_eq!(vcpu.cpuid(0x4000_0000, 0), [0x4000_0001, 1, 2, 3]);
        assert_eq!(vcpu.cpuid(0xd, 0)[0], 3);

        let rdmsr = |number| {
            cpu.exit(
                vmx::reason::RDMSR,
                0,
                svm::exit::MSR,
                [0; 2],
                &[(Gpr::Rcx, number)],
            )
        };
        let wrmsr = |number, value| {
            let regs = [(Gpr::Rcx, number), (Gpr::Rax, value), (Gpr::Rdx, 0)];
            cpu.exit(vmx::reason::WRMSR, 0, svm::exit::MSR, [1, 0], &regs);
        };
        rdmsr(0x1234);
        halt(cpu);
        assert_eq!((run(&mut vcpu), vcpu.get(Gpr::Rax)), (Exit::Halt, 77));
        wrmsr(0x1234, 1);
        halt(cpu);
        assert_eq!(
            (run(&mut vcpu), delivered(cpu)),
            (Exit::Halt, Some((3, 13)))
        );
        wrmsr(0x1235, 0x5555);
        rdmsr(0x1235);
        halt(cpu);
        assert_eq!((run(&mut vcpu), vcpu.get(Gpr::Rax)), (Exit::Halt, 0x5555));
        rdmsr(0x1236);
        assert_eq!(
            run(&mut vcpu),
            Exit::Msr {
                msr: 0x1236,
                write: false
            }
        );

        // XSETBV of a component that the policy does not have, then of one that it has
        let xsetbv = |value| {
            let regs = [(Gpr::Rcx, 0), (Gpr::Rax, value), (Gpr::Rdx, 0)];
            cpu.exit(vmx::reason::XSETBV, 0, svm::exit::XSETBV, [0; 2], &regs);
            halt(cpu);
        };
        for (value, expected) in [(7, Some((3, 13))), (2, Some((3, 13))), (3, None)] {
            xsetbv(value);
            assert_eq!(
                (run(&mut vcpu), delivered(cpu)),
                (Exit::Halt, expected),
                "{}",
                value
            );
        }
        assert_eq!(cpu.on().host.xcr0, 7); // the host's own, now

        policy.msrs = vec![row(0, MsrAnswer::Keep, MsrAnswer::Keep); 129];
        assert_eq!(vcpu.set_policy(policy.clone()), Err(HvError::Invalid));
        policy.msrs.clear();
        policy.xcr0 = 1;
        assert_eq!(vcpu.set_policy(policy), Err(HvError::Invalid)); // it uses SSE
    });
}

#[test]
fn debug_registers_are_the_guests_own() {
    both(|amd, cpu| {
        let mut vcpu = guest(cpu, 4);
        let host = cpu.words();
        let mov = |vcpu: &mut Vcpu, number: u64, write: bool, value| {
            // mov drN, eax or mov eax, drN
            let opcode = if write { 0x23 } else { 0x21 };
            let bytes = [0x0f, opcode, 0xc0 | (number as u8) << 3];
            let rip = vcpu.state().get(Register::Rip) as usize;
            vcpu.vm().write(gpa(rip), &bytes, &mut token()).unwrap();
            let base = if write {
                svm::exit::DR0_WRITE
            } else {
                svm::exit::DR0_READ
            };
            let code = (svm::field::EXITCODE.offset(), base.number() + number);
            if amd {
                cpu.scene(&[code], &[(Gpr::Rax, value)]);
            } else {
                let qualification = number | u64::from(!write) << 4;
                cpu.exit(
                    vmx::reason::DR_ACCESS,
                    qualification,
                    svm::exit::HLT,
                    [0; 2],
                    &[(Gpr::Rax, value)],
                );
            }
            halt(cpu);
            assert_eq!(run(vcpu), Exit::Halt);
        };

        mov(&mut vcpu, 0, true, 0x1234_5678);
        mov(&mut vcpu, 3, true, 0x0bad_cafe);
        mov(&mut vcpu, 7, true, 0x403);
        assert_eq!(cpu.words(), host);
        mov(&mut vcpu, 0, false, 0);
        assert_eq!(vcpu.get(Gpr::Rax), 0x1234_5678);
        mov(&mut vcpu, 3, false, 0);
        assert_eq!(vcpu.get(Gpr::Rax), 0x0bad_cafe);
        mov(&mut vcpu, 7, false, 0);
        assert_eq!(vcpu.get(Gpr::Rax), 0x403);
        assert_eq!(cpu.words(), host);
    });
}

#[test]
fn a_virtual_cpu_goes_on_where_it_was_saved() {
    both(|_, cpu| {
        let mut vcpu = guest(cpu, 4);

        for number in 0..16 {
            vcpu.set(hvpt::insn::gpr(number), 0x100 + u64::from(number))
                .unwrap();
        }
        set_flags(&mut vcpu, 0x202, 0);
        vcpu.set_cr8(9).unwrap();
        vcpu.set_msr(0x3b, 44).unwrap();
        vcpu.set_msr(0xc000_0082, 0xffff_8000_0000_0000).unwrap();
        vcpu.inject_interrupt(0x41).unwrap();
        let saved = vcpu.save();
        let fpu = vcpu.extended_state().to_vec();

        let mut other = guest(cpu, 4);
        other
            .restore(&Saved::from_words(&saved.words()).unwrap())
            .unwrap();
        other.set_extended_state(&fpu).unwrap();
        assert_eq!(other.save(), saved);
        halt(cpu);
        assert_eq!(
            (run(&mut other), delivered(cpu)),
            (Exit::Halt, Some((0, 0x41)))
        );
        for number in 0..16 {
            let register = hvpt::insn::gpr(number);
            if register != Gpr::Rsp {
                assert_eq!(other.get(register), 0x100 + u64::from(number));
            }
        }
        assert_eq!((other.cr8(), other.msr(0x3b)), (9, Some(44)));

        // what is no saved state, or asks for what a CPU refuses
        let mut words = saved.words();
        words[0] += 1;
        assert_eq!(Saved::from_words(&words), Err(HvError::Invalid));
        assert_eq!(
            Saved::from_words(&saved.words()[..100]),
            Err(HvError::Invalid)
        );
        let mut wild = fpu.clone();
        wild[520] = 1; // XCOMP_BV: a compacted area that is none
        assert!(other.set_extended_state(&wild).is_err());
        wild = fpu.clone();
        wild[27] = 0x80; // MXCSR, a reserved bit
        assert!(other.set_extended_state(&wild).is_err());
        wild = fpu;
        wild[513] = 2; // a component that the host does not enable
        assert!(other.set_extended_state(&wild).is_err());
    });
}

#[test]
fn written_pages_are_told_and_rights_can_be_changed() {
    both(|amd, cpu| {
        let mut vcpu = guest(cpu, 8);
        let mut bitmap = [0];
        let log =
            |vcpu: &Vcpu, bitmap: &mut [u64]| vcpu.vm().dirty(gpa(0), 8, bitmap, &mut token());

        log(&vcpu, &mut bitmap).unwrap();
        bitmap = [0];
        log(&vcpu, &mut bitmap).unwrap();
        assert_eq!(bitmap, [0]); // nobody wrote
        let read_only = PageFlags::new().execute(true);
        vcpu.vm()
            .protect(gpa(0x3000), 2, read_only, &mut token())
            .unwrap();
        let hole = vcpu.vm().protect(gpa(0x7000), 2, read_only, &mut token());
        assert_eq!(hole, Err(HvError::Paging(hvpt::Error::NotMapped)));
        // a write to a page that is read-only is the caller's
        let violation = if amd {
            [1 << 32 | 7, 0x3000]
        } else {
            [0, 0x3000]
        };
        cpu.exit(
            vmx::reason::EPT_VIOLATION,
            0x1aa,
            svm::exit::NPF,
            violation,
            &[],
        );
        assert!(matches!(run(&mut vcpu), Exit::Memory { write: true, .. }));
        assert!(!vcpu.exit_text().is_empty());
    });
}

/// Intel's CPUs before 2013 have no dirty flags: a write meets a page without the right, and nobody but the log learns of
/// it. SDM vol. 3, "Accessed and Dirty Flags for EPT".
#[test]
fn written_pages_are_told_by_a_cpu_without_dirty_flags() {
    let _turn = turn();
    let before = used_frames();
    let cpu = Sim::new(false);
    *cpu.on().msrs.get_mut(&0x48c).unwrap() &= !(1 << 21);
    let mut vcpu = guest(cpu, 8);
    let log = |vcpu: &Vcpu| {
        let mut bitmap = [0];
        vcpu.vm()
            .dirty(gpa(0), 8, &mut bitmap, &mut token())
            .unwrap();
        bitmap[0]
    };
    // the W bits of the pages, as the CPU walks to them
    let writable = |vcpu: &Vcpu| {
        let eptp = cpu.on().fields[&0x201a];
        assert_eq!(eptp & 1 << 6, 0, "the VMCS enables no flags");
        let word = |table: u64, index: u64| {
            let at = gpa((table & 0xf_ffff_ffff_f000) as usize);
            let table = RmmA::phys_to_virt(at).data() as *const u64;
            unsafe { table.add(index as usize).read() }
        };
        let last = word(word(word(eptp, 0), 0), 0);
        assert_eq!(vcpu.vm().stats(&mut token()).tables.pages[0], 8);
        (0..8).fold(0, |bits, page| bits | (word(last, page) >> 1 & 1) << page)
    };
    // a write to a page that may be read and executed, but not written
    let write = |at: u64| {
        let code = svm::exit::NPF;
        cpu.exit(vmx::reason::EPT_VIOLATION, 0x1aa, code, [0, at], &[]);
    };

    log(&vcpu); // begins
    halt(cpu);
    assert_eq!(run(&mut vcpu), Exit::Halt);
    assert_eq!(writable(&vcpu), 0);
    assert_eq!(log(&vcpu), 0);
    for page in [3, 5] {
        write(page << 12);
    }
    halt(cpu);
    assert_eq!(run(&mut vcpu), Exit::Halt, "the caller sees no fault");
    assert!(cpu.on().script.is_empty());
    assert_eq!(writable(&vcpu), 1 << 3 | 1 << 5, "and each faults once");
    let flushes = |cpu: &Sim| cpu.on().log.iter().filter(|line| *line == "INVEPT").count();
    let before_log = flushes(cpu);
    assert_eq!(log(&vcpu), 1 << 3 | 1 << 5);
    assert_eq!(writable(&vcpu), 0);
    write(5 << 12);
    halt(cpu);
    assert_eq!(run(&mut vcpu), Exit::Halt);
    assert!(
        flushes(cpu) > before_log,
        "no CPU writes by what it had cached"
    );
    assert_eq!(log(&vcpu), 1 << 5);
    assert_eq!(log(&vcpu), 0);

    // a right that the page does not have is the caller's affair, and no write
    let read_only = PageFlags::new().execute(true);
    vcpu.vm()
        .protect(gpa(0x5000), 1, read_only, &mut token())
        .unwrap();
    write(5 << 12);
    assert!(matches!(run(&mut vcpu), Exit::Memory { write: true, .. }));
    assert_eq!(log(&vcpu), 0);
    drop(vcpu);
    hv::disable_this_cpu(&Host);
    assert_eq!(used_frames(), before);
}

#[test]
fn a_devices_pages_are_mapped_with_their_type_and_never_read_as_memory() {
    both(|_, cpu| {
        let vcpu = guest(cpu, 1);
        let vm = vcpu.vm();
        let device = PageFlags::new().write(true).device_memory(true);

        vm.map_device(gpa(0xfe00_0000), 2, gpa(0x8000_0000), device, &mut token())
            .unwrap();
        assert_eq!(
            vm.translate(gpa(0x8000_1008), &mut token()),
            Some(gpa(0xfe00_1008))
        );
        assert_eq!(
            vm.read(gpa(0x8000_0000), &mut [0; 4], &mut token()),
            Err(HvError::Forbidden)
        );
        assert_eq!(
            vm.borrow(gpa(0x8000_0000), &mut token()).err(),
            Some(HvError::Forbidden)
        );
        assert_eq!(vm.stats(&mut token()).memory, 1);
        vm.unmap(gpa(0x8000_0000), 1, &mut token()).unwrap();
        assert_eq!(vm.translate(gpa(0x8000_0000), &mut token()), None);
    });
}
