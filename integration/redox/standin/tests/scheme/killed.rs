//! A thread that is killed: while its virtual CPU is in the guest, while it waits for one that is, and with a whole process.

use std::{
    cell::Cell,
    mem,
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        Arc, Barrier,
    },
    thread,
};

use crate::{
    common::{Host, Sim},
    world::{both, page, World, EBADF, K4, ROOT},
};
use hvpt::{svm, vmx};
use redox_hv::{
    abi::{exit, op},
    Calls, Errno, Exit, Hv, Rights,
};
use redox_standin::{
    control, hv,
    memory::{total_frames, used_frames},
    program::{Program, KILLED},
};

thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

fn number() -> u32 {
    NUMBER.with(Cell::get)
}

/// This thread is on that CPU from now on.
fn go_to(cpu: u32) {
    NUMBER.with(|number| number.set(cpu));
}

/// Guests run until another CPU interrupts this one. Whoever waits for a guest to be in there meets it at the barrier; it
/// is entered once under it, and afterwards without.
fn guests_run_until_an_interrupt(cpu: &'static Sim) -> Arc<Barrier> {
    let inside = Arc::new(Barrier::new(2));
    let (meet, first) = (Arc::clone(&inside), AtomicBool::new(true));

    cpu.on().idle = true;
    *cpu.during.lock().unwrap() = Some(Arc::new(move || {
        let ipis = control::ipis();
        if first.swap(false, SeqCst) {
            meet.wait();
            while control::ipis() == ipis {
                thread::yield_now();
            }
        }
    }));
    inside
}

fn run(program: &Program, fd: usize) -> (Result<usize, Errno>, u64) {
    let mut words = [0; exit::WORDS];
    let result = program.call(fd, &mut words, [op::RUN, 0, 0]);

    (result, words[exit::KIND])
}

/// Nothing of a guest is left on the CPU that this thread is on: no VMCS, no borrow of its place, and the host's own words.
fn is_as_before(cpu: &'static Sim, before: &impl PartialEq<Words>) -> bool {
    let is_free = cpu.on().current == u64::MAX && hv::enable_this_cpu(cpu).is_ok();

    is_free && *before == cpu.words()
}
type Words = (crate::common::HostWords, [u64; 5], Vec<(u32, u64)>);

/// Both CPUs off, and the world ends.
fn ends(world: World) {
    *world.cpu.during.lock().unwrap() = None;
    go_to(1);
    hv::disable_this_cpu(&Host);
    go_to(0);
    hv::disable_this_cpu(&Host);
    control::set_cpu_of(None);
    world.ends();
}

#[test]
fn one_in_the_guest_leaves_it_and_the_others_go_on() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let second = vm.vcpu(1).unwrap();
        let inside = guests_run_until_an_interrupt(world.cpu);
        let victim = world.program.another(page(4), 1).unwrap();
        let (scheme, process) = (world.program.scheme, Arc::clone(&world.program.process));
        let killer = Program::new(scheme, &process, page(6), 1).unwrap();
        let (cpu, fd) = (world.cpu, second.fd().number());

        control::set_cpu_of(Some(number));
        let marked = Arc::clone(&victim.thread);
        let thread = thread::spawn(move || {
            go_to(1);
            hv::enable_this_cpu(cpu).unwrap();
            let before = cpu.words();
            let killed = run(&victim, fd);

            (
                killed.0,
                victim.thread.is_dead(),
                is_as_before(cpu, &before),
            )
        });
        inside.wait();
        assert_eq!(vm.stats().unwrap().vcpus, 2);
        assert_eq!(run(&killer, fd).0, Err(Errno::EBUSY));
        marked.force_kill();
        assert_eq!(thread.join().unwrap(), (Err(KILLED), true, true));

        // its process lives: the virtual CPU is there for another thread of it, on another CPU
        assert_eq!(second.run().unwrap().exit, Exit::Interrupted);
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        assert_eq!(vcpu.run().unwrap().exit, Exit::Halt);
        // nobody is in the guest, so nobody is waited for
        let ipis = control::ipis();
        vm.unmap(0, 4 * K4).unwrap();
        assert_eq!(control::ipis(), ipis);
        assert_eq!(vm.stats().unwrap().memory, 12);
        drop((vcpu, second, vm, killer, process));
        ends(world);
    });
}

#[test]
fn a_process_that_is_killed_takes_its_guest_along_on_whatever_cpu_it_dies() {
    for dies_inside_last in [true, false] {
        for amd in [false, true] {
            let world = World::new(amd);
            let (scheme, cpu) = (world.program.scheme, world.cpu);
            let inside = guests_run_until_an_interrupt(cpu);
            let outsider = Program::new(scheme, &world.program.process, page(6), 1).unwrap();

            control::set_cpu_of(Some(number));
            go_to(1);
            hv::enable_this_cpu(cpu).unwrap();
            go_to(0);
            hv::enable_this_cpu(cpu).unwrap();
            world.program.process.grow(page(16), 16).unwrap();
            let held = used_frames();
            // made on this CPU, by a thread that does nothing afterwards; the other one runs it on the other CPU
            let first = Program::new(scheme, &world.program.process, page(8), 1).unwrap();
            let victim = first.another(page(9), 1).unwrap();
            let vm = Hv::new(&first, ROOT).vm().unwrap();
            unsafe {
                vm.lend(
                    0,
                    page(16).start_address().data() as *mut u8,
                    16 * K4,
                    Rights::ALL,
                )
            }
            .unwrap();
            let vcpu = vm.vcpu(0).unwrap();
            let fds = [vm.fd().number(), vcpu.fd().number()];
            mem::forget((vm, vcpu)); // what is closed here is closed by the kernel
            let marked = Arc::clone(&victim.thread);
            let thread = thread::spawn(move || {
                go_to(1);
                let before = cpu.words();
                let killed = run(&victim, fds[1]).0;

                assert!(is_as_before(cpu, &before));
                killed
            });

            inside.wait();
            let with_guest = used_frames();
            assert!(with_guest > held + 2, "{} {}", with_guest, held);
            first.thread.force_kill_here();
            if dies_inside_last {
                assert!(first.interrupted());
                assert_eq!(
                    used_frames(),
                    with_guest,
                    "the thread in the guest has it open"
                );
            }
            marked.force_kill();
            assert_eq!(thread.join().unwrap(), Err(KILLED));
            if !dies_inside_last {
                assert_eq!(
                    used_frames(),
                    with_guest,
                    "the one that is left has it open"
                );
                assert!(first.interrupted(), "and it dies here");
            }
            assert_eq!(
                used_frames(),
                held + 2,
                "two pages of payloads are the process's"
            );
            for fd in fds {
                assert_eq!(run(&outsider, fd).0, Err(EBADF));
            }
            drop((first, outsider));
            ends(world);
        }
    }
}

#[test]
fn one_that_waits_for_a_guest_is_done_with_it_first() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let inside = guests_run_until_an_interrupt(world.cpu);
        let runner = world.program.another(page(4), 1).unwrap();
        let waits = world.program.another(page(6), 1).unwrap();
        let (vm_fd, fd) = (vm.fd().number(), vcpu.fd().number());

        control::set_cpu_of(Some(number));
        let thread = thread::spawn(move || {
            go_to(1);
            run(&runner, fd)
        });
        inside.wait();
        // marked before it comes to the kernel's end of the call; the interrupt that it waits by is UNMAP's own
        waits.thread.force_kill_here();
        let answers = control::shootdowns();
        let unmapped = waits.call(vm_fd, &mut [], [op::UNMAP, 0, 4]);
        assert_eq!((unmapped, waits.thread.is_dead()), (Err(KILLED), true));
        assert!(control::shootdowns() > answers, "it has waited");
        let (result, kind) = thread.join().unwrap();
        assert_eq!(result, Ok(exit::WORDS * 8));
        assert_eq!(kind, exit::INTERRUPTED);

        // what it was about to do is done, once and whole, and it holds no lock
        let stats = vm.stats().unwrap();
        assert_eq!(
            (stats.memory, stats.used_frames),
            (12, used_frames() as u64)
        );
        assert!(used_frames() < total_frames());
        let memory = page(16).start_address().data() as *mut u8;
        unsafe { vm.lend(0, memory, 4 * K4, Rights::ALL) }.unwrap();
        drop((vcpu, vm, waits));
        ends(world);
    });
}
