//! A virtual CPU.

use crate::{
    abi::{exit, op, regs, run},
    Calls, Errno, Fd, Left, Regs,
};

/// What the instruction of a memory exit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Where.
    pub gpa: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// What it writes; `None`: it reads.
    pub write: Option<u64>,
}

/// A virtual CPU. One thread runs it at a time: any other call meanwhile is [`Errno::EBUSY`], but for [`Vcpu::kick`].
#[derive(Debug)]
pub struct Vcpu<C: Calls> {
    fd: Fd<C>,
}

impl<C: Calls> Vcpu<C> {
    pub(crate) fn new(fd: Fd<C>) -> Self {
        Self { fd }
    }

    /// The file descriptor: with `fevent` it says when it can be read, which is while no call of it goes on.
    pub fn fd(&self) -> &Fd<C> {
        &self.fd
    }

    fn call(&self, op: u64, m1: u64, m2: u64) -> Result<(), Errno> {
        self.fd.call(op, m1, m2, &mut []).map(drop)
    }

    fn run_with(&self, how: u64, value: u64) -> Result<Left, Errno> {
        let mut words = [0; exit::WORDS];

        self.fd.call(op::RUN, how, value, &mut words)?;
        Ok(Left::from_words(&words))
    }

    /// Run until something happens that is this program's. [`crate::Exit::Interrupted`] is nothing: run again.
    pub fn run(&self) -> Result<Left, Errno> {
        self.run_with(0, 0)
    }

    /// The instruction of the last exit is done (OUT, WRMSR): go on behind it.
    pub fn complete_and_run(&self) -> Result<Left, Errno> {
        self.run_with(run::COMPLETE, 0)
    }

    /// The same, with a value for RAX: what IN of `size` bytes has read, where RAX was `rax`.
    pub fn answer_and_run(&self, value: u32, size: u8, rax: u64) -> Result<Left, Errno> {
        // SDM vol. 1, "General-Purpose Registers in 64-Bit Mode": four bytes clear the rest, fewer leave it.
        let value = u64::from(value);
        let rax = match size {
            1 => rax & !0xff | value & 0xff,
            2 => rax & !0xffff | value & 0xffff,
            _ => value,
        };
        self.run_with(run::COMPLETE | run::SET_RAX, rax)
    }

    /// The memory access of the last exit is done; it has read `value`.
    pub fn access_and_run(&self, value: u64) -> Result<Left, Errno> {
        self.run_with(run::COMPLETE_ACCESS, value)
    }

    /// What the instruction of the last memory exit does. [`Errno::EINVAL`]: there was none; another number: it is an
    /// instruction that the kernel does not carry out.
    pub fn access(&self) -> Result<MemoryAccess, Errno> {
        let mut words = [0; 4];

        self.fd.call(op::ACCESS, 0, 0, &mut words)?;
        let [gpa, size, write, value] = words;
        let write = if write != 0 { Some(value) } else { None };
        Ok(MemoryAccess {
            gpa,
            size: size as u8,
            write,
        })
    }

    /// The last exit once more.
    pub fn last_exit(&self) -> Result<Left, Errno> {
        let mut words = [0; exit::WORDS];

        self.fd.call(op::LAST_EXIT, 0, 0, &mut words)?;
        Ok(Left::from_words(&words))
    }

    /// End a run of another thread's, or else the next one, with [`crate::Exit::Interrupted`].
    pub fn kick(&self) -> Result<(), Errno> {
        self.call(op::KICK, 0, 0)
    }

    /// Raise an exception at RIP.
    pub fn raise(&self, vector: u8, error_code: u32) -> Result<(), Errno> {
        self.call(op::RAISE, vector.into(), error_code.into())
    }

    /// An interrupt. [`Errno::EAGAIN`]: not now; [`Vcpu::window`] says when.
    pub fn interrupt(&self, vector: u8) -> Result<(), Errno> {
        self.call(op::INTERRUPT, vector.into(), 0)
    }

    /// An NMI. [`Errno::EAGAIN`]: not now.
    pub fn nmi(&self) -> Result<(), Errno> {
        self.call(op::NMI, 0, 0)
    }

    /// Exit as soon as the guest can take an interrupt or an NMI.
    pub fn window(&self, interrupt: bool, nmi: bool) -> Result<(), Errno> {
        self.call(op::WINDOW, u64::from(interrupt) | u64::from(nmi) << 1, 0)
    }

    /// All registers.
    pub fn regs(&self) -> Result<Regs, Errno> {
        let mut words = [0; regs::WORDS];

        self.fd.calls().read(self.fd.number(), &mut words)?;
        Ok(Regs(words))
    }

    /// Change all registers. [`Errno::EINVAL`]: some cannot be so, and none has changed.
    pub fn set_regs(&self, regs: &Regs) -> Result<(), Errno> {
        self.fd.calls().write(self.fd.number(), &regs.0).map(drop)
    }

    /// An MSR of the guest's. [`Errno::ENOENT`]: there is none, or it is this program's own.
    pub fn msr(&self, msr: u32) -> Result<u64, Errno> {
        let mut value = [0];

        self.fd.call(op::READ_MSR, msr.into(), 0, &mut value)?;
        Ok(value[0])
    }

    /// Change one.
    pub fn set_msr(&self, msr: u32, value: u64) -> Result<(), Errno> {
        self.call(op::WRITE_MSR, msr.into(), value)
    }

    /// The guest's task priority.
    pub fn set_cr8(&self, value: u64) -> Result<(), Errno> {
        self.call(op::SET_CR8, value, 0)
    }

    /// Tables of CPUID and MSRs: the words of [`abi::policy`](crate::abi::policy), over the kernel's own or in their
    /// place.
    pub fn set_policy(&self, words: &mut [u64], over: bool) -> Result<(), Errno> {
        self.fd.call(op::POLICY, over.into(), 0, words).map(drop)
    }

    /// Words that [`Vcpu::save`] needs.
    pub fn save_words(&self) -> Result<usize, Errno> {
        self.fd.call(op::SAVE, 0, 0, &mut [])
    }

    /// All but memory and x87 to AVX.
    pub fn save(&self, words: &mut [u64]) -> Result<(), Errno> {
        self.fd.call(op::SAVE, 0, 0, words).map(drop)
    }

    /// Go on where another one was saved.
    pub fn restore(&self, words: &mut [u64]) -> Result<(), Errno> {
        self.fd.call(op::RESTORE, 0, 0, words).map(drop)
    }

    /// x87 to AVX, as XSAVE has them: how many bytes.
    pub fn extended_state(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.fd
            .calls()
            .call_bytes(self.fd.number(), bytes, [op::EXTENDED_STATE, 0, 0])
    }

    /// Change them.
    pub fn set_extended_state(&self, bytes: &mut [u8]) -> Result<(), Errno> {
        self.fd
            .calls()
            .call_bytes(self.fd.number(), bytes, [op::SET_EXTENDED_STATE, 0, 0])
            .map(drop)
    }

    /// The last exit in words: how many bytes of UTF-8.
    pub fn exit_text(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.fd
            .calls()
            .call_bytes(self.fd.number(), bytes, [op::EXIT_TEXT, 0, 0])
    }
}
