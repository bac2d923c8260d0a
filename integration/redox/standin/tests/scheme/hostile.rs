//! Calls that nobody sound makes, and a machine that has nothing left.

use crate::{
    common::Host,
    world::{both, page, token, Random, K4, ROOT},
};
use hvpt::{svm, vmx};
use redox_hv::{abi::op, Calls, Errno, Rights};
use redox_standin::{
    control, hv,
    memory::used_frames,
    scheme::KernelScheme,
    syscall::{data::Map, flag::MapFlags},
};

/// Calls of every kind with every kind of argument. None may panic, none may cost a frame that is not accounted for,
/// and what the kernel has is whole afterwards.
#[test]
fn wild_calls_cost_nothing() {
    both(|world| {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let program = world.program.clone();
        program.process.grow(page(16), 16).unwrap();
        world.cpu.on().idle = true;
        let mut fds = vec![ROOT, 0, 1, 500];
        let mut answers = (0, 0);

        for _ in 0..30_000 {
            let fd = fds[random.below(fds.len() as u64) as usize];
            let size = [0, 8, 16, 32, 96, 96, 200, 608, 4096][random.below(9) as usize];
            let address = match random.below(8) {
                0 => random.wild() as usize,
                1 => program.place(0) - size / 2,
                _ => program.place(size),
            };
            let fine = match random.below(10) {
                0 => {
                    let path = ["vm", "vm", "stat", "", "x"][random.below(5) as usize];
                    program.openat(ROOT, path).map(|fd| fds.push(fd)).is_ok()
                }
                1 => {
                    let name = format!("vcpu/{}", random.below(4));
                    program.dup(fd, &name).map(|fd| fds.push(fd)).is_ok()
                }
                2 if fds.len() > 8 => {
                    let at = 4 + random.below(fds.len() as u64 - 4) as usize;
                    program.close(fds.swap_remove(at));
                    true
                }
                3 => program
                    .raw_read(
                        fd,
                        address,
                        size,
                        [u64::MAX, 0, random.wild()][random.below(3) as usize],
                    )
                    .is_ok(),
                4 => {
                    let map = Map {
                        offset: random.wild() as usize,
                        size: random.wild() as usize,
                        flags: MapFlags::MAP_SHARED | MapFlags::PROT_READ,
                        address: 0,
                    };
                    let done =
                        program
                            .scheme
                            .kfmap(fd, &program.process, &map, false, &mut token());
                    done.is_ok()
                }
                _ => {
                    let op = match random.below(3) {
                        0 => random.below(6),
                        1 => 16 + random.below(20),
                        _ => op::RUN,
                    };
                    if random.below(2) == 0 {
                        let words = [random.wild(), random.below(8)];
                        let memory = [
                            page(16 + random.below(8) as usize).start_address().data() as u64,
                            1 + random.below(8),
                        ];
                        let words = if random.below(2) == 0 { words } else { memory };
                        let bytes: Vec<u8> =
                            words.iter().flat_map(|word| word.to_ne_bytes()).collect();
                        let at = program.place(size);
                        if size >= 16 {
                            let to =
                                redox_standin::syscall::usercopy::UserSliceWo::wo(at, 16).unwrap();
                            to.copy_from_slice(&bytes).unwrap();
                        }
                    }
                    let (m1, m2) = match random.below(3) {
                        0 => (random.below(16) * 0x1000, 1 + random.below(8)),
                        1 => (random.below(8), random.wild()),
                        _ => (random.wild(), random.wild()),
                    };
                    let metadata = [op, m1, m2];
                    let count = [3, 3, 3, 3, 2, 1, 0][random.below(7) as usize];
                    let all = [fd, fd];
                    let fds = &all[..[1, 1, 1, 1, 0, 2][random.below(6) as usize]];
                    program
                        .raw_call(fds, address, size, &metadata[..count])
                        .is_ok()
                }
            };
            if fine {
                answers.0 += 1;
            } else {
                answers.1 += 1;
            }
        }
        assert!(answers.0 > 2000 && answers.1 > 10_000, "{:?}", answers);
        fds[4..].iter().for_each(|fd| program.close(*fd));
        drop(program);
        world.ends();
    });
}

#[test]
fn every_allocation_that_fails_is_an_error() {
    both(|world| {
        let program = &world.program;
        program.process.grow(page(16), 8).unwrap();
        let life = || -> Result<(), Errno> {
            let vm = world.hv().vm()?;
            let memory = page(16).start_address().data() as *mut u8;
            unsafe { vm.lend(0x1f_f000, memory, 8 * K4, Rights::ALL) }?;
            let vcpu = vm.vcpu(0)?;
            world
                .cpu
                .exit(vmx::reason::HLT, 0, svm::exit::HLT, [0; 2], &[]);
            vcpu.run()?;
            vm.protect(0x20_0000, K4, Rights::READ)
        };
        let used = used_frames();
        let mut failures = 0;
        for n in 0.. {
            hv::disable_this_cpu(&Host);
            world.cpu.on().script.clear();
            control::fail_at(Some(n));
            let result = life();
            control::fail_at(None);
            hv::disable_this_cpu(&Host);
            assert_eq!(used_frames(), used, "allocation {}", n);
            match result {
                Ok(()) => break,
                Err(error) => assert_eq!(error, Errno::ENOMEM, "allocation {}", n),
            }
            failures += 1;
        }
        assert!(failures > 8, "{}", failures);
        world.ends();
    });
}
