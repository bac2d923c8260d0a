//! Threads.

use std::{
    cell::Cell,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc, Barrier, Mutex,
    },
    thread,
};

use crate::{
    common::Host,
    world::{both, page, token, Random, World, K4, ROOT},
};
use hvpt::{svm, vmx};
use redox_hv::{
    abi::{exit, op, regs, rights, run},
    Calls, Errno, Rights,
};
use redox_standin::{
    control, hv,
    memory::used_frames,
    program::Program,
    scheme::KernelScheme,
    syscall::flag::{EventFlags, EVENT_READ},
};

thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

fn number() -> u32 {
    NUMBER.with(Cell::get)
}

#[test]
fn a_virtual_cpu_is_in_one_call_at_a_time() {
    both(|world| {
        let (vm, vcpu) = world.guest();
        let (inside, done) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let meet = (Arc::clone(&inside), Arc::clone(&done));
        *world.cpu.during.lock().unwrap() = Some(Arc::new(move || {
            meet.0.wait();
            meet.1.wait();
        }));
        world
            .cpu
            .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
        let fd = vcpu.fd().number();
        let runner =
            Program::new(world.program.scheme, &world.program.process, page(4), 2).unwrap();
        control::set_cpu_of(Some(number));
        let thread = thread::spawn(move || {
            let mut words = [0; exit::WORDS];
            let result = runner.call(fd, &mut words, [op::RUN, 0, 0]);
            (result, words[exit::KIND], words[exit::RIP])
        });

        inside.wait();
        NUMBER.with(|number| number.set(1));
        assert_eq!(vcpu.run(), Err(Errno::EBUSY));
        assert_eq!(vcpu.regs().map(drop), Err(Errno::EBUSY));
        assert_eq!(vcpu.interrupt(0x20), Err(Errno::EBUSY));
        assert_eq!(
            world.program.scheme.fevent(fd, EVENT_READ, &mut token()),
            Ok(EventFlags::empty())
        );
        vcpu.kick().unwrap();
        // memory comes meanwhile (to go it would wait for the guest), and VM and virtual CPU are closed: the call has
        // them
        let memory = page(16).start_address().data() as *mut u8;
        unsafe { vm.lend(0x10_0000, memory, 4 * K4, Rights::READ) }.unwrap();
        assert_eq!(vm.stats().unwrap().memory, 20);
        let held = used_frames();
        drop(vm);
        drop(vcpu);
        assert_eq!(used_frames(), held, "they live as long as the call");
        done.wait();
        let (result, kind, rip) = thread.join().unwrap();
        assert_eq!((result, kind), (Ok(exit::WORDS * 8), exit::HALT));
        assert_ne!(rip, 0);
        NUMBER.with(|number| number.set(0));
        control::set_cpu_of(None);
        *world.cpu.during.lock().unwrap() = None;
        world.ends();
    });
}

/// Two threads on two CPUs do everything to the same two guests, each as fast as it can. (On AMD's: one VMCS at a time
/// is what the played Intel machine has.)
#[test]
fn threads_that_do_everything_at_once() {
    let world = World::new(true);
    world.cpu.on().idle = true;
    let process = Arc::clone(&world.program.process);
    process.grow(page(16), 64).unwrap();
    control::set_cpu_of(Some(number));
    let shared = Arc::new(Mutex::new(Vec::<usize>::new()));
    let (runs, refusals) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..2)
        .map(|cpu| {
            let program =
                Program::new(world.program.scheme, &process, page(8 + 2 * cpu), 1).unwrap();
            let (shared, runs, refusals) = (
                Arc::clone(&shared),
                Arc::clone(&runs),
                Arc::clone(&refusals),
            );
            thread::spawn(move || {
                NUMBER.with(|number| number.set(cpu as u32));
                let mut random = Random(0x9e37_79b9_7f4a_7c15 + cpu as u64);
                for _ in 0..6000 {
                    let pick = |random: &mut Random| {
                        let fds = shared.lock().unwrap();
                        fds.get(random.below(fds.len().max(1) as u64) as usize)
                            .copied()
                            .unwrap_or(0)
                    };
                    let fd = pick(&mut random);
                    let gpa = random.below(64) * 0x1000;
                    let result = match random.below(12) {
                        0 if shared.lock().unwrap().len() < 12 => program
                            .openat(ROOT, "vm")
                            .map(|fd| shared.lock().unwrap().push(fd)),
                        1 => {
                            let name = format!("vcpu/{}", random.below(3));
                            program
                                .dup(fd, &name)
                                .map(|fd| shared.lock().unwrap().push(fd))
                        }
                        2 if random.below(8) == 0 => {
                            let mut fds = shared.lock().unwrap();
                            if fds.is_empty() {
                                continue;
                            }
                            let at = random.below(fds.len() as u64) as usize;
                            let fd = fds.swap_remove(at);
                            drop(fds);
                            program.close(fd);
                            Ok(())
                        }
                        3 | 4 => {
                            let memory =
                                page(16 + random.below(48) as usize).start_address().data() as u64;
                            program
                                .call(
                                    fd,
                                    &mut [memory, rights::READ | rights::WRITE],
                                    [op::MAP, gpa, 1 + random.below(16)],
                                )
                                .map(drop)
                        }
                        5 => program
                            .call(fd, &mut [], [op::UNMAP, gpa, 1 + random.below(16)])
                            .map(drop),
                        6 => program.call(fd, &mut [], [op::KICK, 0, 0]).map(drop),
                        7 => program.openat(ROOT, "stat").map(|fd| program.close(fd)),
                        8 => program.read(fd, &mut [0; regs::WORDS]).map(drop),
                        _ => {
                            let ran =
                                program.call(fd, &mut [0; exit::WORDS], [op::RUN, run::SET_RAX, 1]);
                            if ran.is_ok() {
                                runs.fetch_add(1, Ordering::SeqCst);
                            }
                            ran.map(drop)
                        }
                    };
                    if result.is_err() {
                        refusals.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for fd in shared.lock().unwrap().drain(..) {
        world.program.close(fd);
    }
    assert!(runs.load(Ordering::SeqCst) > 500 && refusals.load(Ordering::SeqCst) > 500);
    NUMBER.with(|number| number.set(1));
    hv::disable_this_cpu(&Host);
    NUMBER.with(|number| number.set(0));
    hv::disable_this_cpu(&Host);
    control::set_cpu_of(None);
    drop(process);
    world.ends();
}
