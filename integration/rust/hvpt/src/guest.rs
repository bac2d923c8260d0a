//! How a guest begins, for either vendor, and its general registers between two runs.

use core::{ffi::c_void, fmt};

use crate::{ffi, sizes, ControlError};

/// General registers, numbered as instructions encode them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

/// A guest's general registers where the world switch keeps them, and CR2 on VMX. RSP is in the VMCS and the VMCB, and on
/// SVM so are RAX and CR2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct GuestRegs([u64; 17]);

impl GuestRegs {
    /// A register.
    pub fn get(&self, register: Gpr) -> u64 {
        self.0[register as usize]
    }

    /// Change a register.
    pub fn set(&mut self, register: Gpr, value: u64) {
        self.0[register as usize] = value;
    }

    /// CR2, on VMX.
    pub fn cr2(&self) -> u64 {
        self.0[16]
    }

    /// Change CR2, on VMX.
    pub fn set_cr2(&mut self, value: u64) {
        self.0[16] = value;
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u64 {
        self.0.as_mut_ptr()
    }
}

/// A register of [`GuestState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Register {
    Cr0,
    Cr3,
    Cr4,
    Efer,
    Rip,
    Rsp,
    Rflags,
    Dr7,
    Pat,
    SysenterCs,
    SysenterEsp,
    SysenterEip,
    Cr2,
    Dr6,
    Star,
    Lstar,
    Cstar,
    Sfmask,
    KernelGsBase,
    /// Bits as VMX has them: 0 by STI, 1 by MOV SS, 3 by an NMI.
    Interruptibility,
    /// 0 active, 1 halted, 2 shut down, 3 waiting for SIPI.
    Activity,
    PendingDebug,
    Debugctl,
    Pdpte0,
    Pdpte1,
    Pdpte2,
    Pdpte3,
}

/// A segment register of [`GuestState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum SegmentName {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
    Ldtr,
    Tr,
    Gdtr,
    Idtr,
}

/// A segment register with its hidden part. Of GDTR and IDTR only base and limit count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// In bytes, whatever the granularity.
    pub limit: u32,
    /// Access rights as VMX has them.
    pub rights: u32,
    /// The base.
    pub base: u64,
}

/// The state in which a guest begins, as the guest is to see it: VMX's fixed bits and SVM's SVME are added when it is
/// written into a VMCS image or a VMCB.
///
/// ```
/// use hvpt::{GuestState, Register};
/// let mut state = GuestState::real_mode(0, 0x7c00);
/// state.set(Register::Rsp, 0x7000);
/// assert_eq!(state.get(Register::Rip), 0x7c00);
/// ```
#[derive(Clone)]
#[repr(C)]
pub struct GuestState([u64; sizes::GUEST_STATE]);

impl GuestState {
    /// CR2 is known.
    pub const KNOWS_CR2: u64 = 1 << 3;
    /// DR6 is.
    pub const KNOWS_DR6: u64 = 1 << 4;
    /// STAR to KERNEL_GS_BASE are.
    pub const KNOWS_SYSCALL: u64 = 1 << 5;
    /// Whether NMIs are blocked is.
    pub const KNOWS_NMI_BLOCKING: u64 = 1 << 6;
    /// The activity is.
    pub const KNOWS_ACTIVITY: u64 = 1 << 7;

    pub(crate) fn filled(fill: impl FnOnce(*mut c_void)) -> Self {
        let mut state = Self([0; sizes::GUEST_STATE]);

        fill(state.0.as_mut_ptr() as *mut c_void);
        state
    }

    pub(crate) fn ptr(&self) -> *const c_void {
        self.0.as_ptr() as *const c_void
    }

    /// Real mode as after a reset, but beginning at `cs_base + ip`: a boot loader is `real_mode(0, 0x7c00)`.
    pub fn real_mode(cs_base: u32, ip: u16) -> Self {
        // SAFETY: the buffer has room for the struct; so in all that follow.
        Self::filled(|at| unsafe { ffi::hvctl_rs_guest_real_mode(at, cs_base, u32::from(ip)) })
    }

    /// The state after a reset or INIT: first instruction at FFFFFFF0H.
    pub fn reset() -> Self {
        // SAFETY: see real_mode.
        Self::filled(|at| unsafe { ffi::hvctl_rs_guest_reset(at) })
    }

    /// 32-bit protected mode without paging, all segments flat.
    pub fn flat32(eip: u32, esp: u32) -> Self {
        // SAFETY: see real_mode.
        Self::filled(|at| unsafe { ffi::hvctl_rs_guest_flat32(at, eip, esp) })
    }

    /// 64-bit mode with the guest's own four-level tables at `cr3`, which must map `rip`.
    pub fn long64(cr3: u64, rip: u64, rsp: u64) -> Self {
        // SAFETY: see real_mode.
        Self::filled(|at| unsafe { ffi::hvctl_rs_guest_long64(at, cr3, rip, rsp) })
    }

    /// What the state may lack, by where it was read from: `HVCTL_KNOWS_*` of hvctl.
    pub fn known(&self) -> u64 {
        // SAFETY: every constructor filled the struct.
        unsafe { ffi::hvctl_rs_guest_known(self.ptr()) }
    }

    /// Say that registers have been filled in, or that they do not count.
    pub fn set_known(&mut self, known: u64) {
        // SAFETY: see known().
        unsafe { ffi::hvctl_rs_guest_set_known(self.0.as_mut_ptr() as *mut c_void, known) }
    }

    /// Words that mean the same on every machine and in later versions: for a file or a migration.
    pub fn save(&self) -> [u64; sizes::GUEST_WORDS] {
        let mut words = [0; sizes::GUEST_WORDS];

        // SAFETY: see known(); the shim fills as many words.
        unsafe { ffi::hvctl_rs_guest_save(self.ptr(), words.as_mut_ptr()) };
        words
    }

    /// The state of words from [`GuestState::save`]. [`ControlError::Syntax`]: they are none.
    pub fn restore(words: &[u64]) -> Result<Self, ControlError> {
        let mut status = 0;
        // SAFETY: the shim reads at most as many words as it is told.
        let state = Self::filled(|at| unsafe {
            status = ffi::hvctl_rs_guest_restore(at, words.as_ptr(), words.len());
        });

        ControlError::check(status)?;
        Ok(state)
    }

    /// A register.
    pub fn get(&self, register: Register) -> u64 {
        // SAFETY: every constructor filled the struct.
        unsafe { ffi::hvctl_rs_guest_get(self.ptr(), register as u32) }
    }

    /// Change a register.
    pub fn set(&mut self, register: Register, value: u64) {
        // SAFETY: see get.
        unsafe {
            ffi::hvctl_rs_guest_set(self.0.as_mut_ptr() as *mut c_void, register as u32, value)
        }
    }

    /// A segment register.
    pub fn segment(&self, name: SegmentName) -> Segment {
        let mut words = [0; 4];

        // SAFETY: see get; words has the room that the shim fills.
        unsafe { ffi::hvctl_rs_guest_get_segment(self.ptr(), name as u32, words.as_mut_ptr()) };
        Segment {
            selector: words[0] as u16,
            limit: words[1] as u32,
            rights: words[2] as u32,
            base: words[3],
        }
    }

    /// Change a segment register.
    pub fn set_segment(&mut self, name: SegmentName, segment: Segment) {
        let words = [
            u64::from(segment.selector),
            u64::from(segment.limit),
            u64::from(segment.rights),
            segment.base,
        ];

        // SAFETY: see segment.
        unsafe {
            ffi::hvctl_rs_guest_set_segment(
                self.0.as_mut_ptr() as *mut c_void,
                name as u32,
                words.as_ptr(),
            );
        }
    }
}

impl fmt::Debug for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[guest state, cr0 {:#x}, cr3 {:#x}, cr4 {:#x}, efer {:#x}, rip {:#x}]",
            self.get(Register::Cr0),
            self.get(Register::Cr3),
            self.get(Register::Cr4),
            self.get(Register::Efer),
            self.get(Register::Rip)
        )
    }
}
