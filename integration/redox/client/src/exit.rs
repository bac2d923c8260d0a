//! Why a virtual CPU was left.

use crate::abi::exit;

/// An access to memory that the guest's tables do not have, or not for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Access {
    pub gpa: u64,
    pub read: bool,
    pub write: bool,
    pub fetch: bool,
}

/// IN or OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Which.
    pub port: u16,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
    /// IN, not OUT.
    pub input: bool,
    /// INS or OUTS: the value is in memory.
    pub string: bool,
    /// With a REP prefix.
    pub repeated: bool,
}

/// The reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// VMCALL or VMMCALL; RIP is behind it.
    Hypercall,
    /// HLT; RIP is behind it. An interrupt wakes the guest.
    Halt,
    /// Memory. Lend it, or play it: `Vcpu::access`.
    Memory(Access),
    /// A port. The value is in RAX, or is put there; then the instruction is complete.
    Port(Port),
    /// An MSR that is the program's; as a port, with RDX and RAX, or #GP.
    Msr {
        /// Its number.
        msr: u32,
        /// WRMSR.
        write: bool,
    },
    /// An entry of the tables that no CPU accepts: a mistake of the kernel's.
    Misconfigured {
        /// Where.
        gpa: u64,
    },
    /// The guest's triple fault.
    Shutdown,
    /// Something else needed the CPU. Run again.
    Interrupted,
    /// The guest can take an interrupt, as was asked for.
    InterruptWindow,
    /// The guest can take an NMI, as was asked for.
    NmiWindow,
    /// Anything else, by the vendor's number.
    Other {
        /// VMX's basic exit reason, SVM's EXITCODE.
        code: u64,
        /// The exit qualification, EXITINFO1.
        info: u64,
    },
}

/// An exit, and what a program looks at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Why.
    pub exit: Exit,
    /// The guest's RIP.
    pub rip: u64,
    /// The guest's RAX.
    pub rax: u64,
    /// The guest's RFLAGS.
    pub rflags: u64,
    /// The guest's task priority.
    pub cr8: u64,
    /// The guest would take an interrupt now.
    pub takes_interrupt: bool,
    /// The guest would take an NMI now.
    pub takes_nmi: bool,
    /// The instruction at RIP, of a Memory or Other exit: as many bytes as could be read.
    pub bytes: [u8; 15],
    /// How many.
    pub fetched: u8,
    /// Its length, where the CPU has told it; else 0.
    pub length: u8,
}

impl Left {
    pub(crate) fn from_words(words: &[u64; exit::WORDS]) -> Self {
        let detail = &words[exit::DETAIL..];
        let has = |word: u64, bit: u64| word & bit != 0;
        let exit = match words[exit::KIND] {
            exit::HYPERCALL => Exit::Hypercall,
            exit::HALT => Exit::Halt,
            exit::MEMORY => Exit::Memory(Access {
                gpa: detail[0],
                read: has(detail[1], exit::access::READ),
                write: has(detail[1], exit::access::WRITE),
                fetch: has(detail[1], exit::access::FETCH),
            }),
            exit::PORT => Exit::Port(Port {
                port: detail[0] as u16,
                size: detail[1] as u8,
                input: has(detail[2], exit::port::INPUT),
                string: has(detail[2], exit::port::STRING),
                repeated: has(detail[2], exit::port::REPEATED),
            }),
            exit::MSR => Exit::Msr {
                msr: detail[0] as u32,
                write: detail[1] != 0,
            },
            exit::MISCONFIGURED => Exit::Misconfigured { gpa: detail[0] },
            exit::SHUTDOWN => Exit::Shutdown,
            exit::INTERRUPTED => Exit::Interrupted,
            exit::INTERRUPT_WINDOW => Exit::InterruptWindow,
            exit::NMI_WINDOW => Exit::NmiWindow,
            _ => Exit::Other {
                code: detail[0],
                info: detail[1],
            },
        };
        let mut bytes = [0; 15];
        let memory = words[exit::BYTES..]
            .iter()
            .flat_map(|word| word.to_ne_bytes());

        for (to, from) in bytes.iter_mut().zip(memory) {
            *to = from;
        }
        Self {
            exit,
            rip: words[exit::RIP],
            rax: words[exit::RAX],
            rflags: words[exit::RFLAGS],
            cr8: words[exit::CR8],
            takes_interrupt: has(words[exit::READY], exit::ready::INTERRUPT),
            takes_nmi: has(words[exit::READY], exit::ready::NMI),
            bytes,
            fetched: (words[exit::INSTRUCTION] >> 8) as u8,
            length: words[exit::INSTRUCTION] as u8,
        }
    }
}
