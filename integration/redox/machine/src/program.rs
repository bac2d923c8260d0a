//! A program of user space, by the client crate: its example boots guests through the scheme.

use alloc::boxed::Box;

use redox_hv::{
    vmm::{self, Counts, End},
    Errno, Hv,
};
use redox_standin::{
    context::memory::AddrSpaceWrapper,
    control,
    hv::scheme::HvScheme,
    memory::{used_frames, Page, VirtualAddress},
    program::{memory_of, Program},
    syscall::error::Error,
};

use crate::{check, Machine};

static CPU: Machine = Machine;
/// Guests, one after the other.
pub(crate) const LIVES: u64 = 10;

/// Guests that printed what they should, wrote to the device, and ended as they should.
pub(crate) fn guests(program: &Program, memory: *mut u8) -> u64 {
    let hv = Hv::new(program, usize::MAX);
    let mut fine = 0;

    for _ in 0..LIVES {
        let (mut at, mut counts) = (0, Counts::default());
        let mut print = |byte: u8| {
            let follows = vmm::PRINTS.get(at) == Some(&byte);
            at = if follows { at + 1 } else { usize::MAX };
        };
        // SAFETY: memory of the process's that nobody else uses.
        let end = unsafe { vmm::boot(&hv, memory, &mut print, &mut counts) };

        let printed = at == vmm::PRINTS.len();
        fine += u64::from(printed && end == End::Code(vmm::CODE) && counts.written == 0x5a);
    }
    fine
}

fn life() -> Result<(u64, u64), Error> {
    let scheme = Box::leak(Box::new(HvScheme::new(&CPU)));
    let process = AddrSpaceWrapper::new()?;
    let buffer = Page::containing_address(VirtualAddress::new(0x7000_0000_0000));
    let mut program = Program::new(scheme, &process, buffer, 1)?;
    let memory = memory_of(&process, vmm::MEMORY / 4096)?;
    let fine = guests(&program, memory);

    program.uid = 1000;
    let refused = Hv::new(&program, usize::MAX).vm().map(drop) == Err(Errno::EACCES);
    control::set_process(None);
    Ok((fine, u64::from(refused)))
}

pub fn run() {
    let frames = used_frames() as u64;
    let (fine, refused) = life().unwrap_or((0, 0));

    check("programs boot guests through the scheme", fine, LIVES);
    check("only root's programs do", refused, 1);
    check(
        "programs leave no frames behind",
        used_frames() as u64,
        frames,
    );
}
