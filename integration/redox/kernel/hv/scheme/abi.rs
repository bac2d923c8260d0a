//! What the scheme `hv` and its programs agree on: numbers, and what lies in which word. The kernel compiles this file,
//! and so does the client crate; words are eight bytes, in the machine's order.

/// The first number of SYS_CALL's metadata; two arguments follow, `m1` and `m2`. The rest is in the payload.
pub mod op {
    // ---- of a VM ----

    /// Lend the guest memory of the caller's own. m1: guest-physical address, m2: pages; payload: address,
    /// [`super::rights`].
    pub const MAP: u64 = 1;
    /// Take pages away. m1: guest-physical address, m2: pages. Holes are fine.
    pub const UNMAP: u64 = 2;
    /// Other rights. m1, m2 as MAP; payload: rights.
    pub const PROTECT: u64 = 3;
    /// Pages that were written since the last call. m1, m2 as MAP; the payload takes a bit a page, in whole words.
    pub const DIRTY: u64 = 4;
    /// Give the guest a device's memory that the caller has mapped by `memory:physical`, with the type that it has
    /// there. As MAP.
    pub const MAP_DEVICE: u64 = 5;

    // ---- of a virtual CPU ----

    /// Run. m1: [`super::run`], m2: a value for RAX; the payload takes [`super::exit::WORDS`].
    pub const RUN: u64 = 16;
    /// The last exit once more, to the payload.
    pub const LAST_EXIT: u64 = 17;
    /// The instruction of the last exit has been carried out.
    pub const COMPLETE: u64 = 18;
    /// What the instruction of a memory exit does: the payload takes the address, bytes, 1 for a write, and what it
    /// writes.
    pub const ACCESS: u64 = 19;
    /// It has been done. m1: what was read.
    pub const COMPLETE_ACCESS: u64 = 20;
    /// An exception where RIP is. m1: vector, m2: error code.
    pub const RAISE: u64 = 21;
    /// An interrupt. m1: vector. EAGAIN: the guest cannot take it now.
    pub const INTERRUPT: u64 = 22;
    /// An NMI. EAGAIN: the guest cannot take it now.
    pub const NMI: u64 = 23;
    /// Exit as soon as the guest can take one. m1: 1 for an interrupt, 2 for an NMI; 0 for neither.
    pub const WINDOW: u64 = 24;
    /// End a RUN of another thread's, or the next one, with an INTERRUPTED exit.
    pub const KICK: u64 = 25;
    /// m1: an MSR's number; the payload takes its value. ENOENT: there is none, or it is the program's own.
    pub const READ_MSR: u64 = 26;
    /// m1: an MSR's number, m2: its value.
    pub const WRITE_MSR: u64 = 27;
    /// The tables of what the guest finds: [`super::policy`]. m1: 1 for the kernel's own tables with these rows over
    /// them.
    pub const POLICY: u64 = 28;
    /// All but memory and x87 to AVX: the payload takes as many words as the answer says; an empty one asks for that.
    pub const SAVE: u64 = 29;
    /// Go on where another one was saved: the payload has its words.
    pub const RESTORE: u64 = 30;
    /// x87 to AVX as XSAVE has them: the payload takes as many bytes as it has room for.
    pub const EXTENDED_STATE: u64 = 31;
    /// Change them.
    pub const SET_EXTENDED_STATE: u64 = 32;
    /// The last exit in words, for a log.
    pub const EXIT_TEXT: u64 = 33;
    /// m1: CR8.
    pub const SET_CR8: u64 = 34;
}

/// What the guest may do with pages.
pub mod rights {
    pub const READ: u64 = 1;
    pub const WRITE: u64 = 2;
    pub const EXECUTE: u64 = 4;
}

/// m1 of RUN.
pub mod run {
    /// First complete the instruction of the last exit.
    pub const COMPLETE: u64 = 1;
    /// Before that, RAX is m2.
    pub const SET_RAX: u64 = 2;
    /// First complete the memory access of the last exit, which read m2.
    pub const COMPLETE_ACCESS: u64 = 4;
}

/// The words of an exit: a kind, three words that say more, and what a program looks at next.
pub mod exit {
    pub const WORDS: usize = 12;

    pub const KIND: usize = 0;
    /// The first of three.
    pub const DETAIL: usize = 1;
    pub const RIP: usize = 4;
    pub const RAX: usize = 5;
    pub const RFLAGS: usize = 6;
    pub const CR8: usize = 7;
    /// [`ready`] bits.
    pub const READY: usize = 8;
    /// Of a MEMORY or OTHER exit: the instruction's length in bits 7:0, 0 for not known; how many of its bytes follow
    /// in 15:8.
    pub const INSTRUCTION: usize = 9;
    /// Its bytes, in two words.
    pub const BYTES: usize = 10;

    /// VMCALL or VMMCALL.
    pub const HYPERCALL: u64 = 1;
    /// HLT.
    pub const HALT: u64 = 2;
    /// Memory that is not mapped, or not for this. Guest-physical address, [`access`] bits.
    pub const MEMORY: u64 = 3;
    /// IN or OUT. Port, bytes, [`port`] bits.
    pub const PORT: u64 = 4;
    /// RDMSR or WRMSR. Number, 1 for a write.
    pub const MSR: u64 = 5;
    /// An entry of the tables that no CPU accepts. Guest-physical address.
    pub const MISCONFIGURED: u64 = 6;
    /// The guest's triple fault.
    pub const SHUTDOWN: u64 = 7;
    /// Something else needed the CPU, or KICK: run again.
    pub const INTERRUPTED: u64 = 8;
    /// The guest can take an interrupt.
    pub const INTERRUPT_WINDOW: u64 = 9;
    /// The guest can take an NMI.
    pub const NMI_WINDOW: u64 = 10;
    /// Anything else. The vendor's number, what the CPU says about it.
    pub const OTHER: u64 = 11;

    /// What an access was.
    pub mod access {
        pub const READ: u64 = 1;
        pub const WRITE: u64 = 2;
        pub const FETCH: u64 = 4;
    }

    /// What IN or OUT was.
    pub mod port {
        pub const INPUT: u64 = 1;
        pub const STRING: u64 = 2;
        pub const REPEATED: u64 = 4;
    }

    /// What the guest would take now.
    pub mod ready {
        pub const INTERRUPT: u64 = 1;
        pub const NMI: u64 = 2;
    }
}

/// The words that a virtual CPU is read and written as.
pub mod regs {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub const GENERAL: usize = 0;
    pub const CR0: usize = 16;
    pub const CR3: usize = 17;
    pub const CR4: usize = 18;
    pub const EFER: usize = 19;
    pub const RIP: usize = 20;
    pub const RFLAGS: usize = 21;
    pub const DR7: usize = 22;
    pub const PAT: usize = 23;
    pub const SYSENTER_CS: usize = 24;
    pub const SYSENTER_ESP: usize = 25;
    pub const SYSENTER_EIP: usize = 26;
    pub const CR2: usize = 27;
    pub const DR6: usize = 28;
    pub const STAR: usize = 29;
    pub const LSTAR: usize = 30;
    pub const CSTAR: usize = 31;
    pub const SFMASK: usize = 32;
    pub const KERNEL_GS_BASE: usize = 33;
    /// Bit 0: a shadow of STI; 1: of MOV SS; 3: NMIs are blocked.
    pub const INTERRUPTIBILITY: usize = 34;
    /// 0: active; 1: halted.
    pub const ACTIVITY: usize = 35;
    /// ES, CS, SS, DS, FS, GS, LDTR, TR, GDTR, IDTR: selector, limit in bytes, rights as VMX has them, base.
    pub const SEGMENTS: usize = 36;
    pub const WORDS: usize = SEGMENTS + 4 * 10;
}

/// The words of POLICY: five, then rows of CPUID, then rows of MSRs.
pub mod policy {
    /// Virtual CPUs, bits of CR4, components of XCR0, rows of CPUID, rows of MSRs. A 0 for one of the first three
    /// leaves it.
    pub const HEAD: usize = 5;
    /// First and last leaf (low half, high half); subleaf, and 1 in the high half if it counts; EAX and EBX to keep,
    /// ECX and EDX to keep; the same to set.
    pub const CPUID: usize = 6;
    /// First and last MSR (low half, high half); what a read is answered by, and a value; the same of a write.
    pub const MSR: usize = 5;

    /// The program is asked.
    pub const LEAVE: u64 = 0;
    /// #GP.
    pub const FAULT: u64 = 1;
    /// The value; writes are dropped.
    pub const FIXED: u64 = 2;
    /// A register without effect.
    pub const KEEP: u64 = 3;
}

/// The words that a VM is read as.
pub mod stats {
    pub const WORDS: usize = 15;

    /// Frames of tables, control structures and save areas.
    pub const HELD: usize = 0;
    /// The most that there were.
    pub const PEAK: usize = 1;
    /// Frames that the guest was given.
    pub const MEMORY: usize = 2;
    /// The kernel's own count, of everything.
    pub const USED_FRAMES: usize = 3;
    /// Virtual CPUs.
    pub const VCPUS: usize = 4;
    /// Pages by level, the smallest first.
    pub const PAGES: usize = 5;
    /// Tables by level.
    pub const TABLES: usize = 10;
}
