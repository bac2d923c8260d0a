//! Virtual CPUs: exits, registers, events, tables, and going on elsewhere.

use crate::world::{both, page, poke, port_exit, EBADF};
use hvpt::{svm, vmx, Gpr};
use redox_hv::{
    abi::{exit, op, policy, regs},
    Calls, Errno, Exit, MemoryAccess, Port,
};
use redox_standin::control;

#[test]
fn exits_are_told_in_words() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        // OUT DX, AL with DX 3F8; APM vol. 2, "IOIO Intercept": port in 31:16, 8 bits in bit 4; RIP behind it in
        // EXITINFO2
        port_exit(&world, 0x3f8_0000, 0x3f8_0010, 0x41);
        let left = vcpu.run().unwrap();
        let port = Port {
            port: 0x3f8,
            size: 1,
            input: false,
            string: false,
            repeated: false,
        };
        assert_eq!((left.exit, left.rax as u8), (Exit::Port(port), 0x41));
        assert_eq!(vcpu.last_exit().unwrap(), left);

        // IN: the answer is merged as an instruction would
        port_exit(&world, 8 | 0x60_0000, 0x60_0011, 0x1234_5678);
        let left = vcpu.complete_and_run().unwrap();
        assert!(matches!(
            left.exit,
            Exit::Port(Port {
                port: 0x60,
                input: true,
                ..
            })
        ));
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        let rip = left.rip;
        let left = vcpu.answer_and_run(0xab, 1, left.rax).unwrap();
        assert_eq!((left.exit, left.rax), (Exit::Halt, 0x1234_56ab));
        assert_ne!(left.rip, rip);

        world.cpu.exit(
            vmx::reason::EPT_VIOLATION,
            0x182,
            svm::exit::NPF,
            [1 << 32 | 6, 0x10_0000],
            &[],
        );
        let left = vcpu.run().unwrap();
        match left.exit {
            Exit::Memory(access) => {
                assert_eq!(
                    (access.gpa, access.write, access.fetch),
                    (0x10_0000, true, false)
                );
            }
            other => panic!("{:?}", other),
        }
        assert_eq!(
            vcpu.complete_and_run(),
            Err(Errno::EINVAL),
            "a memory access is completed otherwise"
        );
        let mut text = [0; 200];
        let length = vcpu.exit_text(&mut text).unwrap();
        assert!(core::str::from_utf8(&text[..length]).unwrap().len() > 10);
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn a_kick_ends_one_run() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let ipis = control::ipis();
        vcpu.kick().unwrap();
        assert_eq!(control::ipis(), ipis + 1);
        assert_eq!(vcpu.run().unwrap().exit, Exit::Interrupted);
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        assert_eq!(vcpu.run().unwrap().exit, Exit::Halt);
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn a_payload_that_is_not_there_loses_no_exit() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let fd = vcpu.fd().number();
        let size = exit::WORDS * 8;
        let run = |address, size| world.program.raw_call(&[fd], address, size, &[op::RUN]);

        // too small: seen before the guest runs, so the script goes no further
        let small = run(world.program.place(size - 1), size - 1);
        assert_eq!(small.unwrap_err().errno, 22);
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        let gone = run(world.program.place(0), size);
        assert_eq!(gone.unwrap_err().errno, 14);
        assert_eq!(vcpu.last_exit().unwrap().exit, Exit::Halt);
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn registers_go_in_and_come_out() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let mut all = vcpu.regs().unwrap();
        // SDM vol. 3, "Processor State After Reset"
        assert_eq!(
            (all.0[regs::RIP], all.segment(1).base),
            (0xfff0, 0xffff_0000)
        );

        all.real_mode(0x1000, 0x20);
        for number in 0..16 {
            all.set_general(number, 0x100 + number as u64);
        }
        all.0[regs::LSTAR] = 0xffff_8000_0000_1000;
        all.0[regs::KERNEL_GS_BASE] = 0x7fff_0000;
        all.0[regs::CR2] = 0xdead;
        vcpu.set_regs(&all).unwrap();
        let back = vcpu.regs().unwrap();
        for number in 0..16 {
            assert_eq!(
                back.general(number),
                0x100 + number as u64,
                "general register {}",
                number
            );
        }
        assert_eq!(back.segment(1).base, 0x1_0000);
        for name in [regs::LSTAR, regs::KERNEL_GS_BASE, regs::CR2, regs::RIP] {
            assert_eq!(back.0[name], all.0[name], "word {}", name);
        }
        // what a CPU would refuse is refused, and nothing has changed
        for (word, value) in [
            (regs::LSTAR, 1 << 47),
            (regs::SFMASK, 1 << 32),
            (regs::ACTIVITY, 3),
            (regs::CR4, u64::MAX),
            (regs::SEGMENTS, 1 << 16),
            (regs::SEGMENTS + 1, 1 << 32),
            (regs::SEGMENTS + 2, u64::MAX),
        ] {
            let mut wild = back.clone();
            wild.0[word] = value;
            wild.set_general(3, 77);
            assert_eq!(vcpu.set_regs(&wild), Err(Errno::EINVAL), "word {}", word);
        }
        assert_eq!(vcpu.regs().unwrap(), back);
        let fd = vcpu.fd().number();
        assert_eq!(
            world.program.write(fd, &back.0[..10]),
            Err(Errno::EINVAL),
            "not all of them"
        );
        assert_eq!(world.program.read(fd, &mut [0; 10]), Err(Errno::EINVAL));
        assert_eq!(world.program.write(vm.fd().number(), &back.0), Err(EBADF));
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn events_wait_for_the_guest() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let fd = vcpu.fd().number();
        let call = |op, m1, m2| world.program.call(fd, &mut [], [op, m1, m2]);

        assert_eq!(
            vcpu.interrupt(0x20),
            Err(Errno::EAGAIN),
            "interrupts are off after a reset"
        );
        let mut all = vcpu.regs().unwrap();
        all.0[regs::RFLAGS] |= 1 << 9;
        vcpu.set_regs(&all).unwrap();
        vcpu.interrupt(0x20).unwrap();
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        vcpu.run().unwrap();
        // SDM vol. 3, "VM-Entry Controls for Event Injection"; APM vol. 2, "Event Injection": valid, external
        // interrupt, the vector
        assert_eq!(world.cpu.on().injected & 0x8000_07ff, 1 << 31 | 0x20);
        vcpu.window(true, true).unwrap();
        vcpu.window(false, false).unwrap();
        for (op, m1, m2) in [
            (op::INTERRUPT, 256, 0),
            (op::RAISE, 256, 0),
            (op::RAISE, 13, 1 << 32),
            (op::WINDOW, 4, 0),
            (op::SET_CR8, 16, 0),
            (op::WRITE_MSR, 1 << 32, 0),
            (op::WRITE_MSR, 0xc000_0082, 1 << 47),
            (op::COMPLETE, 0, 0),
            (op::COMPLETE_ACCESS, 0, 0),
            (op::RESTORE, 0, 0),
            (op::POLICY, 0, 0),
        ] {
            assert_eq!(
                call(op, m1, m2),
                Err(Errno::EINVAL),
                "op {} {:#x} {:#x}",
                op,
                m1,
                m2
            );
        }
        vcpu.set_msr(0xc000_0082, 0x1234).unwrap();
        assert_eq!(vcpu.msr(0xc000_0082), Ok(0x1234));
        assert_eq!(vcpu.msr(0x1234_5678), Err(Errno::ENOENT));
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn a_virtual_cpu_is_saved_and_goes_on_elsewhere() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let mut all = vcpu.regs().unwrap();
        all.real_mode(0x2000, 0x30);
        all.set_general(7, 0x7777);
        vcpu.set_regs(&all).unwrap();
        let mut words = vec![0; vcpu.save_words().unwrap()];
        vcpu.save(&mut words).unwrap();
        let mut state = [0; 4096];
        let size = vcpu.extended_state(&mut state).unwrap();

        let other = vm.vcpu(1).unwrap();
        other.restore(&mut words).unwrap();
        other.set_extended_state(&mut state[..size]).unwrap();
        assert_eq!(other.regs(), vcpu.regs());
        assert_eq!(
            other.set_extended_state(&mut state[..size + 1]),
            Err(Errno::EINVAL)
        );
        words[0] ^= 1;
        assert_eq!(other.restore(&mut words), Err(Errno::EINVAL));
        assert_eq!(other.save(&mut words[1..]), Err(Errno::EINVAL));
        drop((vm, vcpu, other));
        world.ends();
    });
}

#[test]
fn the_program_says_what_the_guest_finds() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        // MSR 0x1234 reads as 5; CPUID leaf 1 without a hypervisor's bit
        let mut words = [
            2,
            0,
            0,
            1,
            1, // two CPUs, CR4 and XCR0 as they are, a row of each
            1 | 1 << 32,
            0,
            u64::MAX,
            u64::from(!(1_u32 << 31)) | 0xffff_ffff << 32,
            0,
            0,
            0x1234 | 0x1234 << 32,
            policy::FIXED,
            5,
            policy::FAULT,
            0,
        ];
        assert_eq!(words.len(), policy::HEAD + policy::CPUID + policy::MSR);
        vcpu.set_policy(&mut words, true).unwrap();
        assert_eq!(vcpu.msr(0x1234), Ok(5));
        assert_eq!(vcpu.set_msr(0x1234, 1), Err(Errno::EINVAL));

        for (at, value) in [
            (3, 129),
            (4, 129),
            (4, u64::MAX),
            (3, 2),
            (12, 9),
            (5, 2 | 1 << 32),
        ] {
            let mut wild = words;
            wild[at] = value;
            assert_eq!(
                vcpu.set_policy(&mut wild, true),
                Err(Errno::EINVAL),
                "word {}",
                at
            );
        }
        vcpu.set_policy(&mut [0; policy::HEAD], false).unwrap();
        drop((vm, vcpu));
        world.ends();
    });
}

#[test]
fn memory_that_the_program_plays() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let program = &world.program;
        // mov %al, (%bx): 88 07 at 0:0, BX 0, DS 0; the guest's memory is the process's
        let memory = page(16);
        let frame = program.process.frame(memory).unwrap();
        poke(frame, &[0x88, 0x07]);
        let mut all = vcpu.regs().unwrap();
        all.real_mode(0, 0);
        vcpu.set_regs(&all).unwrap();
        world.cpu.exit(
            vmx::reason::EPT_VIOLATION,
            0x182,
            svm::exit::NPF,
            [1 << 32 | 6, 0x10_0000],
            &[(Gpr::Rax, 0x5a)],
        );
        let left = vcpu.run().unwrap();
        assert_eq!(&left.bytes[..2], &[0x88, 0x07]);
        let access = MemoryAccess {
            gpa: 0x10_0000,
            size: 1,
            write: Some(0x5a),
        };
        assert_eq!(vcpu.access(), Ok(access));
        let done = [op::COMPLETE_ACCESS, 0, 0];
        assert_eq!(program.call(vcpu.fd().number(), &mut [], done), Ok(0));
        assert_eq!(vcpu.regs().unwrap().0[regs::RIP], 2, "behind it");
        assert_eq!(vcpu.access(), Err(Errno::EINVAL));
        drop((vm, vcpu));
        world.ends();
    });
}
