//! A machine with the scheme, and a program on it.
use std::sync::MutexGuard;

use crate::common::{turn, Host, Sim};
use hvpt::{svm, vmx, Gpr};
use redox_hv::{Errno, Hv, Rights, Vcpu, Vm};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control, hv,
    hv::scheme::HvScheme,
    memory::{used_frames, Frame, Page, VirtualAddress},
    program::Program,
    sync::CleanLockToken,
};

pub const K4: usize = 4096;
pub const ROOT: usize = usize::MAX;
pub const EFAULT: Errno = Errno(14);
pub const EBADF: Errno = Errno(9);
pub const EPERM: Errno = Errno(1);
pub const EOPNOTSUPP: Errno = Errno(95);

pub fn page(number: usize) -> Page {
    Page::containing_address(VirtualAddress::new(0x40_0000 + number * K4))
}

pub fn token() -> CleanLockToken {
    unsafe { CleanLockToken::new() }
}

/// A machine with the scheme, and a program whose payloads are in two pages of its own.
pub struct World {
    pub cpu: &'static Sim,
    pub program: Program,
    pub before: usize,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    pub fn new(amd: bool) -> Self {
        let turn = turn();
        let before = used_frames();
        let cpu = Sim::new(amd);
        let scheme = Box::leak(Box::new(HvScheme::new(cpu)));
        let process = AddrSpaceWrapper::new().unwrap();
        let program = Program::new(scheme, &process, page(0), 2).unwrap();

        control::fail_mapping_after(usize::MAX);
        Self {
            cpu,
            program,
            before,
            _turn: turn,
        }
    }

    pub fn hv(&self) -> Hv<&Program> {
        Hv::new(&self.program, ROOT)
    }

    /// A guest with 16 pages of the process's at 0, and one virtual CPU.
    pub fn guest(&self) -> (Vm<&Program>, Vcpu<&Program>) {
        let vm = self.hv().vm().unwrap();
        self.program.process.grow(page(16), 16).unwrap();
        let memory = page(16).start_address().data() as *mut u8;
        unsafe { vm.lend(0, memory, 16 * K4, Rights::ALL) }.unwrap();
        let vcpu = vm.vcpu(0).unwrap();
        (vm, vcpu)
    }

    /// All is closed; the process ends as well.
    pub fn ends(self) {
        let before = self.before;

        control::set_process(None);
        drop(self.program);
        hv::disable_this_cpu(&Host);
        assert_eq!(used_frames(), before, "frames are lost");
    }
}

pub fn both(test: fn(World)) {
    test(World::new(false));
    test(World::new(true));
}

pub fn port_exit(world: &World, qualification: u64, info: u64, rax: u64) {
    world.cpu.exit(
        vmx::reason::IO_INSTRUCTION,
        qualification,
        svm::exit::IOIO,
        [info, 0x1002],
        &[(Gpr::Rax, rax)],
    );
}

pub fn poke(frame: Frame, bytes: &[u8]) {
    use redox_standin::memory::{RmmA, RmmArch};
    let at = RmmA::phys_to_virt(frame.base()).data() as *mut u8;

    unsafe { at.copy_from(bytes.as_ptr(), bytes.len()) };
}

/// xorshift, so that a failure can be seen again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn wild(&mut self) -> u64 {
        let base = [
            0,
            1,
            2,
            16,
            0x1000,
            0x40_0000,
            0x41_0000,
            1 << 20,
            1 << 31,
            1 << 32,
            1 << 47,
            1 << 52,
            1 << 63,
            u64::MAX,
        ];
        let near = [0, 0, 0, 1, 0xfff, 0x1000, u64::MAX];

        match self.below(4) {
            0 => self.0,
            _ => base[self.below(14) as usize].wrapping_add(near[self.below(7) as usize]),
        }
    }
}
