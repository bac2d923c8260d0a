//! What a VMCS and a VMCB have in common: the guest's registers between an exit and the next entry.

use hvpt::{
    insn::{CodeSize, Registers},
    vmx::PortAccess,
    ControlError, Gpr, GuestRegs,
};

use super::error::HvError;
use crate::memory::PhysicalAddress;

/// A register that both keep, under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Rax,
    Rsp,
    Rip,
    Rflags,
    Cr0,
    Cr3,
    Cr4,
    Efer,
    Pat,
    SysenterCs,
    SysenterEsp,
    SysenterEip,
    FsBase,
    GsBase,
    KernelGsBase,
    Star,
    Lstar,
    Cstar,
    Sfmask,
    TscAux,
    TscOffset,
    Dr6,
    Dr7,
}

/// Why the guest was left, before anything is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Cpuid,
    Msr {
        write: bool,
    },
    Halt,
    Hypercall,
    Port(PortAccess),
    Memory {
        gpa: PhysicalAddress,
        read: bool,
        write: bool,
        fetch: bool,
    },
    Misconfigured(PhysicalAddress),
    Shutdown,
    /// An interrupt of the host's, or an NMI that waits.
    Interrupt,
    /// An NMI of the host's that the exit took away.
    Nmi,
    MachineCheck,
    /// An exception of the guest's that exits only so that it cannot arise for ever.
    Exception {
        vector: u8,
        error_code: u32,
    },
    /// #DB, with what DR6 is to say where the CPU has not said it there.
    Debug {
        bits: Option<u64>,
    },
    /// MOV to or from a control register; `None`: the instruction's bytes say which general register.
    ControlMove {
        number: u8,
        gpr: Option<Gpr>,
        write: bool,
    },
    Clts,
    Lmsw(u16),
    DebugMove {
        number: u8,
        gpr: Option<Gpr>,
        write: bool,
    },
    Xsetbv,
    InterruptWindow,
    NmiWindow,
    /// An instruction that this guest's CPU does not have.
    Undefined,
    /// An instruction that this guest may not use.
    Forbidden,
    /// An instruction that has nothing to do here.
    Nothing,
    /// The vendor's file has done all there was to do.
    Settled,
    Other {
        code: u64,
        info: u64,
    },
}

/// A control structure after an exit.
pub(super) trait Machine {
    fn word(&self, word: Word) -> u64;
    fn set_word(&mut self, word: Word, value: u64) -> Result<(), HvError>;
    fn code_size(&self) -> CodeSize;
    fn user_mode(&self) -> bool;
    /// The base of CS.
    fn code_base(&self) -> u64;
    /// PDPTEs, where the structure has them; else 0.
    fn pdptes(&self) -> [u64; 4];
    /// Bytes of the instruction, as the CPU tells them.
    fn length(&self) -> u8;
    /// Behind the instruction that exited.
    fn advance(&mut self) -> Result<(), ControlError>;
    /// The same, of an instruction whose length is known from its bytes.
    fn skip(&mut self, length: u8) -> Result<(), HvError>;
    /// An exception, in place of what the exit interrupted. [`ControlError::Shutdown`]: a triple fault.
    fn raise(&mut self, vector: u8, error_code: u32) -> Result<(), ControlError>;
    /// A MOV to CR0, CLTS or LMSW. [`ControlError::Fault`]: #GP.
    fn set_cr0(&mut self, value: u64) -> Result<(), ControlError>;
    /// PDPTEs, where the structure has them.
    fn set_pdptes(&mut self, entries: [u64; 4]) -> Result<(), ControlError>;
    /// CR4 changed in a way that ends the use of what the TLB has.
    fn flush_own(&mut self);
    /// RAX is in the structure and not in the registers.
    fn has_rax(&self) -> bool;
}

/// RIP so many bytes further on; outside of 64-bit mode it wraps at 32 bits.
pub(super) fn after(machine: &dyn Machine, length: u8) -> u64 {
    let rip = machine.word(Word::Rip).wrapping_add(u64::from(length));

    match machine.code_size() {
        CodeSize::Bits64 => rip,
        _ => rip & 0xffff_ffff,
    }
}

/// General registers and flags, wherever they are.
pub(super) struct Both<'a> {
    pub machine: &'a mut dyn Machine,
    pub regs: &'a mut GuestRegs,
}

impl Both<'_> {
    pub fn get(&self, register: Gpr) -> u64 {
        match register {
            Gpr::Rsp => self.machine.word(Word::Rsp),
            Gpr::Rax if self.machine.has_rax() => self.machine.word(Word::Rax),
            _ => self.regs.get(register),
        }
    }

    pub fn set(&mut self, register: Gpr, value: u64) -> Result<(), HvError> {
        match register {
            Gpr::Rsp => self.machine.set_word(Word::Rsp, value),
            Gpr::Rax if self.machine.has_rax() => self.machine.set_word(Word::Rax, value),
            _ => {
                self.regs.set(register, value);
                Ok(())
            }
        }
    }

    /// EDX:EAX.
    pub fn pair(&self) -> u64 {
        self.get(Gpr::Rdx) << 32 | self.get(Gpr::Rax) & 0xffff_ffff
    }

    pub fn set_pair(&mut self, value: u64) -> Result<(), HvError> {
        self.set(Gpr::Rax, value & 0xffff_ffff)?;
        self.set(Gpr::Rdx, value >> 32)
    }
}

impl Registers for Both<'_> {
    fn read(&self, register: Gpr) -> u64 {
        self.get(register)
    }

    fn write(&mut self, register: Gpr, value: u64) {
        // A VMCS image has RSP, and a VMCB both: it cannot fail.
        let _ = self.set(register, value);
    }

    fn flags(&self) -> u64 {
        self.machine.word(Word::Rflags)
    }

    fn set_flags(&mut self, value: u64) {
        let _ = self.machine.set_word(Word::Rflags, value);
    }
}
