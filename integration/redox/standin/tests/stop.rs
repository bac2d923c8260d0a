//! Before a machine is turned off: every CPU answers, and no guest runs any more. In a process of its own, for that is for
//! good.

mod common;

use std::{cell::Cell, sync::Arc, thread};

use common::{turn, Host, Sim};
use redox_hv::{Errno, Hv};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    hv::{scheme::HvScheme, stop},
    memory::{used_frames, Page, VirtualAddress},
    program::Program,
};

thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

fn number() -> u32 {
    NUMBER.with(Cell::get)
}

#[test]
fn every_cpu_leaves_and_no_guest_runs() {
    let _turn = turn();
    let before = used_frames();
    let cpu = Sim::new(true);
    cpu.on().idle = true;
    let scheme = Box::leak(Box::new(HvScheme::new(cpu)));
    let process = AddrSpaceWrapper::new().unwrap();
    let page = Page::containing_address(VirtualAddress::new(0x40_0000));
    let program = Program::new(scheme, &process, page, 1).unwrap();
    let hv = Hv::new(&program, usize::MAX);

    control::set_cpu_of(Some(number));
    control::set_cpus(2);
    let vm = hv.vm().unwrap();
    let vcpu = vm.vcpu(0).unwrap();
    for cpu in [1, 0] {
        NUMBER.with(|number| number.set(cpu));
        vcpu.run().unwrap();
    }
    // SVME of EFER: on, on both
    let on = || {
        let state = cpu.on();
        [0xc000_0080, 0xd000_0080].map(|efer| state.msrs[&efer] & 1 << 12 != 0)
    };
    assert_eq!(on(), [true; 2]);

    let ipis = control::ipis();
    let other = thread::spawn(move || {
        NUMBER.with(|number| number.set(1));
        while control::ipis() == ipis {
            thread::yield_now();
        }
        stop::stopped_on(&Host);
    });
    assert!(
        stop::stop_everywhere_on(&Host),
        "the other one has answered"
    );
    other.join().unwrap();
    assert_eq!(control::ipis(), ipis + 1);
    assert_eq!(on(), [false; 2]);
    assert!(stop::stop_everywhere_on(&Host), "once is enough");
    assert_eq!(control::ipis(), ipis + 1);

    assert_eq!(vcpu.run(), Err(Errno::ENODEV));
    assert_eq!(hv.vm().map(drop), Err(Errno::ENODEV), "and none is made");
    assert!(vcpu.regs().is_ok(), "what there is can still be looked at");
    drop((vm, vcpu));
    drop(hv);
    control::set_process(None);
    drop((program, Arc::clone(&process), process));
    control::set_cpu_of(None);
    assert_eq!(used_frames(), before);
}
