//! x87, SSE, AVX and whatever else XSAVE holds, and XCR0: what a world switch leaves alone.

use super::Cpu;
use crate::{types::frames_for, ControlError, GuestFrames, OwnedFrames};

const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXSAVE: u64 = 1 << 18;
/// SDM vol. 1, "XSAVE Area": the legacy region and the header.
const HEADER: usize = 512;
const MXCSR: usize = 24;
const X87: u64 = 1;
const SSE: u64 = 2;
const AVX: u64 = 4;
const MPX: u64 = 3 << 3;
const AVX512: u64 = 7 << 5;
const AMX: u64 = 3 << 17;

/// The extended state of the host and of one guest.
///
/// A kernel that is compiled without floating point carries its user's values in these registers while it runs a guest.
/// A guest's XCR0 never enables what the host's does not.
#[derive(Debug)]
pub struct ExtendedState<F: GuestFrames> {
    host: OwnedFrames<F>,
    guest: OwnedFrames<F>,
    mode: StateMode,
    bytes: usize,
    host_xcr0: u64,
    guest_xcr0: u64,
    entered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StateMode {
    None,
    Fxsave,
    Xsave,
}

impl<F: GuestFrames> ExtendedState<F> {
    /// Room for both, as much as this CPU needs as it is set up, and a guest that finds its registers as after a reset.
    /// `None`: no frames.
    pub fn new(cpu: &dyn Cpu, frames: F) -> Option<Self>
    where
        F: Clone,
    {
        let cr4 = cpu.read_cr(4);
        let (mode, bytes) = if cr4 & CR4_OSXSAVE != 0 {
            (StateMode::Xsave, cpu.cpuid(0xd, 0)[1] as usize)
        } else if cr4 & CR4_OSFXSR != 0 {
            (StateMode::Fxsave, 512)
        } else {
            (StateMode::None, 512)
        };
        let count = frames_for(bytes);
        let host = OwnedFrames::zeroed(frames.clone(), count)?;
        let mut guest = OwnedFrames::zeroed(frames, count)?;
        let host_xcr0 = if mode == StateMode::Xsave {
            cpu.read_xcr0()
        } else {
            X87
        };

        // FCW and MXCSR: all exceptions masked. SDM vol. 1, "FXSAVE Area", "Operation of XRSTOR".
        guest.as_mut_slice()[..2].copy_from_slice(&0x037f_u16.to_le_bytes());
        guest.as_mut_slice()[MXCSR..MXCSR + 4].copy_from_slice(&0x1f80_u32.to_le_bytes());
        Some(Self {
            host,
            guest,
            mode,
            bytes,
            host_xcr0,
            guest_xcr0: X87,
            entered: false,
        })
    }

    /// What a guest's XCR0 may have: the host's; 0: a guest has no XSAVE, since the host uses none.
    pub fn components(&self) -> u64 {
        match self.mode {
            StateMode::Xsave => self.host_xcr0,
            _ => 0,
        }
    }

    /// The guest's XCR0. While it is in the CPU, what the CPU has: an emulator may let XSETBV pass without an exit.
    pub fn xcr0(&self, cpu: &dyn Cpu) -> u64 {
        if self.entered && self.mode == StateMode::Xsave {
            cpu.read_xcr0() & self.components()
        } else {
            self.guest_xcr0
        }
    }

    /// Change the guest's XCR0, as its XSETBV does. [`ControlError::Fault`]: that raises #GP, and nothing has changed.
    /// SDM vol. 1, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features".
    pub fn set_xcr0(&mut self, cpu: &dyn Cpu, value: u64) -> Result<(), ControlError> {
        let whole = |group: u64| value & group == 0 || value & group == group;
        let sound = value & X87 != 0
            && value & !self.components() == 0
            && (value & AVX == 0 || value & SSE != 0)
            && (value & AVX512 == 0 || value & AVX != 0)
            && whole(MPX)
            && whole(AVX512)
            && whole(AMX);

        if !sound {
            return Err(ControlError::Fault);
        }
        if self.entered {
            self.switch(cpu, value, self.xcr0(cpu));
        }
        self.guest_xcr0 = value;
        Ok(())
    }

    /// The guest's in, the host's out, and XCR0 with them. To be followed by `leave` on the same CPU, without anything in
    /// between that uses these registers.
    pub fn enter(&mut self, cpu: &dyn Cpu) {
        if self.mode != StateMode::None {
            let wide = self.mode == StateMode::Xsave;
            // SAFETY: frames are aligned, large enough and zeroed by new(); what the guest's has came from state_save, or
            // was looked at by set_guest_bytes().
            unsafe {
                cpu.state_save(self.host.as_ptr(), wide);
                cpu.state_load(self.guest.as_ptr(), wide);
            }
            self.switch(cpu, self.guest_xcr0, self.host_xcr0);
            self.entered = true;
        }
    }

    /// The host's in, the guest's out.
    pub fn leave(&mut self, cpu: &dyn Cpu) {
        if self.mode != StateMode::None {
            let wide = self.mode == StateMode::Xsave;
            let now = self.xcr0(cpu);
            self.switch(cpu, self.host_xcr0, now);
            self.guest_xcr0 = now;
            self.entered = false;
            // SAFETY: as enter().
            unsafe {
                cpu.state_save(self.guest.as_ptr(), wide);
                cpu.state_load(self.host.as_ptr(), wide);
            }
        }
    }

    fn switch(&self, cpu: &dyn Cpu, to: u64, from: u64) {
        if self.mode == StateMode::Xsave && to != from {
            cpu.write_xcr0(to);
        }
    }

    /// The guest's registers as XSAVE, or FXSAVE, left them.
    pub fn guest_bytes(&mut self) -> &mut [u8] {
        let bytes = self.bytes;

        &mut self.guest.as_mut_slice()[..bytes]
    }

    /// Give the guest registers that [`ExtendedState::guest_bytes`] told, here or on another machine.
    /// [`ControlError::OutOfRange`]: XRSTOR would refuse them, or they are too many; nothing has changed.
    /// SDM vol. 1, "Operation of XRSTOR".
    pub fn set_guest_bytes(&mut self, bytes: &[u8]) -> Result<(), ControlError> {
        let word = |at: usize| {
            let mut word = [0; 8];
            if let Some(part) = bytes.get(at..at + 8) {
                word.copy_from_slice(part);
            }
            u64::from_le_bytes(word)
        };
        let header = word(HEADER) & !self.components() == 0
            && (1..8).all(|number| word(HEADER + 8 * number) == 0);
        // MXCSR_MASK of this CPU, which FXSAVE tells; 0 means FFBFH.
        let own = &self.guest.as_mut_slice()[MXCSR + 4..MXCSR + 8];
        let told = u32::from_le_bytes([own[0], own[1], own[2], own[3]]);
        let mask = if told == 0 { 0xffbf } else { told };

        if bytes.len() < 512
            || bytes.len() > self.bytes
            || (word(MXCSR) as u32) & !mask != 0
            || self.mode == StateMode::Xsave && !header
        {
            return Err(ControlError::OutOfRange);
        }
        self.guest.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
        self.guest.as_mut_slice()[MXCSR + 4..MXCSR + 8].copy_from_slice(&told.to_le_bytes());
        Ok(())
    }
}
