//! VMX: what the CPU can do, control words, the VMCS, its checker, exits, and VMX operation of one CPU.
//!
//! From nothing to a guest: [`VmxonRegion::enable`], [`solve`], [`VmcsImage::new`], [`VmcsRegion::load`],
//! [`CurrentVmcs::enter`]. hvctl's own text on it is docs/hvctl.md.

use core::{ffi::c_void, fmt, marker::PhantomData};

use crate::{
    cpu::{self, Cpu, VmxResult},
    error::status,
    ffi, sizes, text, ControlError, FrameCount, GuestFrames, GuestRegs, GuestState, OwnedFrames,
    PhysicalAddress, Report,
};

#[path = "vmx/control_list.rs"]
pub mod control;
#[path = "vmx/field_list.rs"]
pub mod field;
#[path = "vmx/reason_list.rs"]
pub mod reason;

// ---- controls ----

/// A VMX control: its word times 64 plus its bit. All that have names are in [`control`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Control(u32);

impl Control {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: a number and a sink.
        text::write(f, |put, ctx| unsafe {
            ffi::hvctl_rs_vmx_control_text(self.0, put, ctx)
        })
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of controls: the eight control words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls([u64; 8]);

impl Controls {
    /// The set of these.
    pub fn of(controls: &[Control]) -> Self {
        controls
            .iter()
            .fold(Self::default(), |set, control| set.with(*control))
    }

    /// The set and this one.
    #[must_use]
    pub fn with(mut self, control: Control) -> Self {
        if let Some(word) = self.0.get_mut(control.0 as usize / 64) {
            *word |= 1 << (control.0 % 64);
        }
        self
    }

    /// Is it in the set?
    pub fn has(&self, control: Control) -> bool {
        self.0
            .get(control.0 as usize / 64)
            .map_or(false, |word| word >> (control.0 % 64) & 1 != 0)
    }
}

/// Why a control cannot be had: its `Display` is a sentence without a full stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Problem([u32; 3]);

impl Problem {
    /// The control that was asked for.
    pub fn control(&self) -> Control {
        Control(self.0[0])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: three words and a sink.
        text::write(f, |put, ctx| unsafe {
            ffi::hvctl_rs_vmx_problem_text(self.0.as_ptr(), put, ctx)
        })
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands in the way of the controls that were required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    list: [[u32; 3]; 16],
    count: usize,
}

impl Problems {
    /// The problems, at most 16 of them.
    pub fn iter(&self) -> impl Iterator<Item = Problem> + '_ {
        self.list[..self.count].iter().map(|words| Problem(*words))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.iter().enumerate() {
            write!(f, "{}{}", if number == 0 { "" } else { "; " }, problem)?;
        }
        Ok(())
    }
}

/// Control words that a CPU takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The words.
    pub controls: Controls,
    /// Wanted controls that could not be had.
    pub dropped: Controls,
}

/// Find control words with every control of `required` and what those need, as many of `wanted` as go with them, and
/// nothing else but what the CPU fixes.
#[allow(clippy::result_large_err)] // once a boot, and without the heap
pub fn solve(required: Controls, wanted: Controls, caps: &VmxCaps) -> Result<Solution, Problems> {
    let mut solution = Solution {
        controls: Controls::default(),
        dropped: Controls::default(),
    };
    let mut problems = Problems {
        list: [[0; 3]; 16],
        count: 0,
    };
    let mut count = 0;

    // SAFETY: sets are eight words, the list has room for sixteen problems of three.
    let status = unsafe {
        ffi::hvctl_rs_vmx_solve(
            required.0.as_ptr(),
            wanted.0.as_ptr(),
            caps.ptr(),
            solution.controls.0.as_mut_ptr(),
            solution.dropped.0.as_mut_ptr(),
            problems.list.as_mut_ptr() as *mut u32,
            &mut count,
        )
    };
    problems.count = count as usize;
    if status == 0 {
        Ok(solution)
    } else {
        Err(problems)
    }
}

// ---- capabilities ----

/// What the CPU's VMX can do: its capability MSRs as read.
#[derive(Clone)]
#[repr(C)]
pub struct VmxCaps([u64; sizes::VMX_CAPS]);

impl VmxCaps {
    fn empty() -> Self {
        Self([0; sizes::VMX_CAPS])
    }

    pub(crate) fn ptr(&self) -> *const c_void {
        self.0.as_ptr() as *const c_void
    }

    fn ptr_mut(&mut self) -> *mut c_void {
        self.0.as_mut_ptr() as *mut c_void
    }

    /// Ask the CPU, which must have VMX; VMX operation is not needed. `Err`: this MSR faulted.
    pub fn read(cpu: &dyn Cpu) -> Result<Self, u32> {
        let mut caps = Self::empty();

        // SAFETY: the buffer has room for the struct, ctx lives for the call.
        match unsafe { ffi::hvctl_rs_vmx_caps_read(caps.ptr_mut(), cpu::ctx(&cpu)) } {
            0 => Ok(caps),
            _ => Err(caps.word(5) as u32),
        }
    }

    fn word(&self, which: u32) -> u64 {
        // SAFETY: filled by read() or enable().
        unsafe { ffi::hvctl_rs_vmx_caps_word(self.ptr(), which) }
    }

    /// May this control be 1?
    pub fn can(&self, control: Control) -> bool {
        // SAFETY: see word().
        unsafe { ffi::hvctl_rs_vmx_can(self.ptr(), control.0) }
    }

    /// IA32_VMX_BASIC.
    pub fn basic(&self) -> u64 {
        self.word(0)
    }

    /// IA32_VMX_MISC.
    pub fn misc(&self) -> u64 {
        self.word(1)
    }

    /// IA32_VMX_EPT_VPID_CAP, for [`EptConfig`](crate::EptConfig).
    pub fn ept_vpid_cap(&self) -> u64 {
        self.word(2)
    }

    /// Bits of a physical address.
    pub fn maxphyaddr(&self) -> u32 {
        self.word(3) as u32
    }

    /// Bits of CR4 that are 1 in VMX operation.
    pub fn cr4_fixed0(&self) -> u64 {
        self.word(6)
    }

    /// Bits of CR4 that may be 1.
    pub fn cr4_fixed1(&self) -> u64 {
        self.word(7)
    }

    /// What the first word of a VMCS must hold.
    pub fn revision(&self) -> u32 {
        self.word(4) as u32
    }
}

impl fmt::Debug for VmxCaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[VMX, revision {:#x}, EPT and VPID {:#x}]",
            self.revision(),
            self.ept_vpid_cap()
        )
    }
}

// ---- the image ----

mod sealed {
    pub trait Width: Copy {
        fn to_word(self) -> u64;
        fn from_word(word: u64) -> Self;
    }
}

/// What a field can hold: `u16`, `u32` or `u64`, which is also the natural width.
pub trait Width: sealed::Width {}

macro_rules! width {
    ($($kind:ty)*) => {
        $(
            impl sealed::Width for $kind {
                fn to_word(self) -> u64 {
                    self as u64
                }
                fn from_word(word: u64) -> Self {
                    word as Self
                }
            }
            impl Width for $kind {}
        )*
    };
}
width!(u16 u32 u64);

/// A VMCS field with its width. All of them are in [`field`].
pub struct Field<W> {
    encoding: u32,
    width: PhantomData<fn() -> W>,
}

impl<W> Field<W> {
    pub(crate) const fn new(encoding: u32) -> Self {
        Self {
            encoding,
            width: PhantomData,
        }
    }

    /// The operand of VMREAD and VMWRITE.
    pub const fn encoding(self) -> u32 {
        self.encoding
    }

    /// The field's name.
    pub fn name(self) -> &'static str {
        field_name(self.encoding)
    }
}

impl<W> Clone for Field<W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Field<W> {}

impl<W> fmt::Debug for Field<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(field_name(self.encoding))
    }
}

/// The name of the field with this encoding; "?" if there is none.
pub fn field_name(encoding: u32) -> &'static str {
    // SAFETY: a static string or NULL.
    unsafe { text::c_str_or_none(ffi::hvctl_rs_vmcs_field_name(encoding)) }.unwrap_or("?")
}

/// Which fields [`CurrentVmcs::read_back`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldTypes(u32);

impl FieldTypes {
    /// Control fields.
    pub const CONTROL: Self = Self(1);
    /// What the last VM exit was about.
    pub const EXIT_INFO: Self = Self(2);
    /// The guest-state area.
    pub const GUEST: Self = Self(4);
    /// The host-state area.
    pub const HOST: Self = Self(8);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A VMCS in plain memory, about 2 KiB: edited anywhere, stored to a CPU by [`CurrentVmcs::store`].
///
/// ```
/// use hvpt::vmx::{field, VmcsImage};
/// let mut image = VmcsImage::any();
/// image.write(field::GUEST_CR3, 0x5000)?;
/// image.write(field::GUEST_ES_SELECTOR, 8_u16)?; // a field of 16 bits takes nothing else
/// assert_eq!(image.read(field::GUEST_CR3)?, 0x5000);
/// # Ok::<(), hvpt::ControlError>(())
/// ```
#[derive(Clone)]
#[repr(C)]
pub struct VmcsImage([u64; sizes::VMCS_IMAGE]);

impl VmcsImage {
    fn make(caps: *const c_void) -> Self {
        let mut image = Self([0; sizes::VMCS_IMAGE]);

        // SAFETY: the buffer has room for the struct; caps is NULL or filled.
        unsafe { ffi::hvctl_rs_vmcs_init(image.ptr_mut(), caps) };
        image
    }

    /// All fields 0; it has those that a CPU with these capabilities has.
    pub fn new(caps: &VmxCaps) -> Self {
        Self::make(caps.ptr())
    }

    /// All fields 0; it has every field there is.
    pub fn any() -> Self {
        Self::make(core::ptr::null())
    }

    pub(crate) fn ptr(&self) -> *const c_void {
        self.0.as_ptr() as *const c_void
    }

    pub(crate) fn ptr_mut(&mut self) -> *mut c_void {
        self.0.as_mut_ptr() as *mut c_void
    }

    /// Does this CPU have the field?
    pub fn has<W>(&self, field: Field<W>) -> bool {
        // SAFETY: make() filled the image; so in all that follow.
        unsafe { ffi::hvctl_rs_vmcs_has(self.ptr(), field.encoding) }
    }

    /// Read a field. [`ControlError::FieldAbsent`].
    pub fn read<W: Width>(&self, field: Field<W>) -> Result<W, ControlError> {
        let mut value = 0;

        // SAFETY: see has().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_read(self.ptr(), field.encoding, &mut value)
        })?;
        Ok(W::from_word(value))
    }

    /// Read a field for which 0 is as good as absent.
    pub fn get<W: Width>(&self, field: Field<W>) -> W {
        self.read(field).unwrap_or_else(|_| W::from_word(0))
    }

    /// Write a field; the next store takes it to the CPU. [`ControlError::FieldAbsent`], [`ControlError::ReadOnlyField`].
    pub fn write<W: Width>(&mut self, field: Field<W>, value: W) -> Result<(), ControlError> {
        // SAFETY: see has().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_write(self.ptr_mut(), field.encoding, value.to_word())
        })
    }

    /// Let the next store write every field: for a VMCS that was just made.
    pub fn touch_all(&mut self) {
        // SAFETY: see has().
        unsafe { ffi::hvctl_rs_vmcs_touch_all(self.ptr_mut()) }
    }

    /// Write the control words.
    pub fn set_controls(&mut self, controls: &Controls) -> Result<(), ControlError> {
        // SAFETY: see has(); eight words.
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_controls(self.ptr_mut(), controls.0.as_ptr())
        })
    }

    /// Is a control in effect?
    pub fn control_on(&self, control: Control) -> bool {
        // SAFETY: see has().
        unsafe { ffi::hvctl_rs_vmcs_control_on(self.ptr(), control.0) }
    }

    /// Fill the host-state area from the CPU that runs this: a VM exit returns to what the host is now.
    pub fn capture_host(&mut self, cpu: &dyn Cpu) -> Result<(), ControlError> {
        // SAFETY: see has(); ctx lives for the call.
        ControlError::check(unsafe { ffi::hvctl_rs_vmcs_host(self.ptr_mut(), cpu::ctx(&cpu)) })
    }

    /// Fill the guest-state area; the control words are set. [`ControlError::Mode`], [`ControlError::Control`]: this CPU
    /// cannot begin there.
    pub fn set_guest(&mut self, caps: &VmxCaps, state: &GuestState) -> Result<(), ControlError> {
        // SAFETY: see has(); caps and state are filled.
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_guest_write(self.ptr_mut(), caps.ptr(), state.ptr())
        })
    }

    /// The guest's state as the guest sees it, of an image that was read back.
    pub fn guest(&self) -> GuestState {
        // SAFETY: see has().
        GuestState::filled(|state| unsafe { ffi::hvctl_rs_vmcs_guest_read(self.ptr(), state) })
    }

    /// Let the next VM entry deliver an event. [`ControlError::OutOfRange`]: VM entry would refuse it.
    pub fn inject(&mut self, caps: &VmxCaps, event: Event) -> Result<(), ControlError> {
        // SAFETY: see has().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_inject(
                self.ptr_mut(),
                caps.ptr(),
                event.kind as u32,
                u32::from(event.vector),
                event.error_code,
                event.length,
            )
        })
    }

    /// As `inject`, of an exception that arose while the event was delivered that the last VM exit interrupted: both become
    /// one where the manual says so. [`ControlError::Shutdown`]: the guest ends in a triple fault.
    pub fn inject_nested(
        &mut self,
        caps: &VmxCaps,
        vector: u8,
        error_code: u32,
    ) -> Result<(), ControlError> {
        // SAFETY: see has().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_inject_nested(
                self.ptr_mut(),
                caps.ptr(),
                u32::from(vector),
                error_code,
            )
        })
    }

    /// Before the guest goes on at the instruction that exited: if that was an IRET, it had unblocked NMIs already, and comes
    /// again. Not where the guest gets an exception instead.
    pub fn reblock_nmis(&mut self) -> Result<(), ControlError> {
        // SAFETY: a filled image.
        ControlError::check(unsafe { ffi::hvctl_rs_vmcs_reblock_nmis(self.ptr_mut()) })
    }

    /// Carry out a MOV to CR0, CLTS or LMSW that exited. [`ControlError::Fault`]: it raises #GP;
    /// [`ControlError::OwesInvvpid`]: done, and with a VPID an INVVPID is owed.
    pub fn set_cr0(&mut self, caps: &VmxCaps, value: u64) -> Result<(), ControlError> {
        // SAFETY: see has().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_set_cr0(self.ptr_mut(), caps.ptr(), value)
        })
    }

    /// Behind the instruction that exited, which has been carried out; what STI and MOV SS block ends. The image holds the
    /// exit's information fields and the guest's state. [`ControlError::OutOfRange`]: this exit was no instruction's.
    pub fn advance(&mut self) -> Result<(), ControlError> {
        // SAFETY: a filled image.
        ControlError::check(unsafe { ffi::hvctl_rs_vmcs_advance(self.ptr_mut()) })
    }

    /// Let the next VM entry deliver again the event that the last VM exit interrupted, if there was one.
    pub fn redeliver(&mut self) -> Result<(), ControlError> {
        // SAFETY: a filled image.
        ControlError::check(unsafe { ffi::hvctl_rs_vmcs_redeliver(self.ptr_mut()) })
    }

    /// Ask every rule of VM entry: an empty report means that the CPU will enter.
    pub fn check(&self, caps: &VmxCaps) -> Report {
        // SAFETY: see has(); the report has its room.
        Report::new(|report| unsafe { ffi::hvctl_rs_vmx_check(self.ptr(), caps.ptr(), report) })
    }

    /// Why did a VM entry of this image fail? In a sentence without its full stop, and the rules that are broken, first
    /// those that lead to what the CPU said.
    pub fn explain(&self, caps: &VmxCaps, failure: &EntryFailure) -> (&'static str, Report) {
        let (code, qualification) = match *failure {
            EntryFailure::Invalid | EntryFailure::Fault => (0, 0),
            EntryFailure::Instruction(number) => (number, 0),
            EntryFailure::GuestState {
                reason,
                qualification,
            } => (reason, qualification),
        };
        let mut explanation = 0;
        // SAFETY: see check().
        let report = Report::new(|report| unsafe {
            explanation =
                ffi::hvctl_rs_vmx_explain(self.ptr(), caps.ptr(), code, qualification, report);
        });

        // SAFETY: a static string, never NULL.
        (
            unsafe { text::c_str(ffi::hvctl_rs_explanation_text(explanation)) },
            report,
        )
    }

    /// The last VM exit, of an image whose exit information was read back.
    pub fn exit(&self) -> Exit {
        let qualification = self.get(field::EXIT_QUALIFICATION);
        let raw = self.get(field::EXIT_REASON);

        Exit {
            reason: Reason(raw as u16),
            raw,
            qualification,
            length: self.get(field::VM_EXIT_INSTRUCTION_LENGTH),
        }
    }

    /// What the last VM exit was about, in words: "EPT violation: data read; EPT allows nothing; ...".
    pub fn exit_text<'a>(&'a self, caps: &'a VmxCaps) -> impl fmt::Display + 'a {
        ExitText { image: self, caps }
    }

    /// The last exit's EPT violation.
    pub fn ept_violation(&self) -> EptViolation {
        // SAFETY: see has().
        let bits = unsafe { ffi::hvctl_rs_ept_violation(self.ptr()) };
        let bit = |number: u32| bits >> number & 1 != 0;

        EptViolation {
            gpa: self.get(field::GUEST_PHYSICAL_ADDRESS),
            linear: if bit(7) {
                Some(self.get(field::GUEST_LINEAR_ADDRESS))
            } else {
                None
            },
            read: bit(0),
            write: bit(1),
            fetch: bit(2),
            readable: bit(3),
            writable: bit(4),
            executable: bit(5),
            user_executable: bit(6),
            final_translation: bit(8),
        }
    }

    /// The whole VMCS as text that hvctl_vmcs_restore reads.
    pub fn dump(&self) -> impl fmt::Display + '_ {
        Dump(self)
    }
}

impl fmt::Debug for VmcsImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.dump(), f)
    }
}

struct Dump<'a>(&'a VmcsImage);

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: a filled image and a sink.
        text::write(f, |put, ctx| unsafe {
            ffi::hvctl_rs_vmcs_dump(self.0.ptr(), put, ctx)
        })
    }
}

struct ExitText<'a> {
    image: &'a VmcsImage,
    caps: &'a VmxCaps,
}

impl fmt::Display for ExitText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, |put, ctx| {
            // SAFETY: a filled image, filled capabilities, a sink.
            unsafe { ffi::hvctl_rs_vmx_exit_text(self.image.ptr(), self.caps.ptr(), put, ctx) }
        })
    }
}

// ---- events and exits ----

/// Kinds of events. SDM vol. 3, "VM-Entry Controls for Event Injection".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum EventKind {
    ExternalInterrupt = 0,
    Nmi = 2,
    HardwareException = 3,
    SoftwareInterrupt = 4,
    PrivilegedSoftwareException = 5,
    SoftwareException = 6,
}

/// An event to inject. The error code counts where the exception has one; length, of the instruction, for software's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Event {
    pub kind: EventKind,
    pub vector: u8,
    pub error_code: u32,
    pub length: u32,
}

impl EventKind {
    /// The kind with this number, in an information field's bits 10:8.
    pub fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            0 => Self::ExternalInterrupt,
            2 => Self::Nmi,
            3 => Self::HardwareException,
            4 => Self::SoftwareInterrupt,
            5 => Self::PrivilegedSoftwareException,
            6 => Self::SoftwareException,
            _ => return None,
        })
    }
}

impl Event {
    /// The event of an information field, a VM entry's or a VM exit's; `None`: there is none.
    pub fn of(info: u32, error_code: u32, length: u32) -> Option<Self> {
        if info >> 31 == 0 {
            return None;
        }
        Some(Self {
            kind: EventKind::from_raw(info >> 8 & 7)?,
            vector: info as u8,
            error_code,
            length,
        })
    }

    /// An exception.
    pub const fn exception(vector: u8, error_code: u32) -> Self {
        Self {
            kind: EventKind::HardwareException,
            vector,
            error_code,
            length: 0,
        }
    }

    /// An NMI.
    pub const fn nmi() -> Self {
        Self {
            kind: EventKind::Nmi,
            vector: 2,
            error_code: 0,
            length: 0,
        }
    }

    /// An external interrupt.
    pub const fn interrupt(vector: u8) -> Self {
        Self {
            kind: EventKind::ExternalInterrupt,
            vector,
            error_code: 0,
            length: 0,
        }
    }
}

/// Does this exception push an error code?
pub fn exception_has_error_code(vector: u8) -> bool {
    // SAFETY: pure arithmetic.
    unsafe { ffi::hvctl_rs_exception_has_error_code(u32::from(vector)) }
}

/// A basic exit reason. All that have names are in [`reason`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Reason(u16);

impl Reason {
    pub(crate) const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its name; `None`: the number is not a basic exit reason.
    pub fn name(self) -> Option<&'static str> {
        // SAFETY: a static string or NULL.
        unsafe { text::c_str_or_none(ffi::hvctl_rs_vmx_reason_name(u32::from(self.0))) }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("?"), self.0)
    }
}

/// A VM exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Why.
    pub reason: Reason,
    /// EXIT_REASON with all its bits.
    pub raw: u32,
    /// The exit qualification.
    pub qualification: u64,
    /// Bytes of the instruction that exited, where one did.
    pub length: u32,
}

/// An access to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortAccess {
    /// IN, not OUT.
    pub input: bool,
    /// INS or OUTS: the value is in memory.
    pub string: bool,
    /// With a REP prefix.
    pub rep: bool,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
    /// The port.
    pub port: u16,
}

impl PortAccess {
    pub(crate) fn from_raw(raw: u32) -> Self {
        Self {
            input: raw >> 8 & 1 != 0,
            string: raw >> 9 & 1 != 0,
            rep: raw >> 10 & 1 != 0,
            size: raw as u8,
            port: (raw >> 16) as u16,
        }
    }
}

/// An access to a control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrAccess {
    /// MOV to the register from a general one, by its number.
    To(u8, u8),
    /// MOV from the register to a general one.
    From(u8, u8),
    /// CLTS.
    Clts,
    /// LMSW of this value.
    Lmsw(u16),
}

impl Exit {
    /// The port that an I/O instruction exited for.
    pub fn port(&self) -> PortAccess {
        // SAFETY: pure arithmetic.
        PortAccess::from_raw(unsafe { ffi::hvctl_rs_vmx_io(self.qualification) })
    }

    /// What a control-register access was.
    pub fn cr_access(&self) -> CrAccess {
        // SAFETY: pure arithmetic.
        let raw = unsafe { ffi::hvctl_rs_vmx_cr_access(self.qualification) };
        let (cr, gpr) = ((raw & 15) as u8, (raw >> 8 & 15) as u8);

        match raw >> 4 & 3 {
            0 => CrAccess::To(cr, gpr),
            1 => CrAccess::From(cr, gpr),
            2 => CrAccess::Clts,
            _ => CrAccess::Lmsw((raw >> 16) as u16),
        }
    }
}

/// An EPT violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct EptViolation {
    /// Where.
    pub gpa: u64,
    /// The linear address, if there was one.
    pub linear: Option<u64>,
    pub read: bool,
    pub write: bool,
    pub fetch: bool,
    /// What the entries on the way allowed together.
    pub readable: bool,
    pub writable: bool,
    pub executable: bool,
    pub user_executable: bool,
    /// By the translation of a linear address, and not on the walk of the guest's own tables.
    pub final_translation: bool,
}

// ---- a CPU in VMX operation ----

status! {
    /// What stands in the way of VMX operation.
    VmxEnableError, ffi::hvctl_rs_vmx_enable_text,
    /// CPUID does not report VMX.
    NoCpuid = 1,
    /// CR4.VMXE is set: somebody else uses VMX.
    AlreadyOn = 2,
    /// IA32_FEATURE_CONTROL cannot be read.
    FeatureControlMsr = 3,
    /// The firmware has locked VMX off.
    LockedOff = 4,
    /// IA32_FEATURE_CONTROL does not take the value.
    LockFailed = 5,
    /// A capability MSR cannot be read.
    CapabilityMsr = 6,
    /// The VMXON region is not aligned.
    RegionAlign = 7,
    /// The VMXON region is out of reach.
    RegionRange = 8,
    /// Paging or protection is off.
    Cr0Paging = 9,
    /// CR0 does not take the value.
    Cr0Write = 10,
    /// CR4 does not take the value.
    Cr4Write = 11,
    /// VMXON raised a fault.
    VmxonFault = 12,
    /// VMXON failed.
    VmxonFailed = 13,
}

/// A page for VMXON. It frees its frame.
#[derive(Debug)]
pub struct VmxonRegion<F: GuestFrames> {
    page: OwnedFrames<F>,
}

impl<F: GuestFrames> VmxonRegion<F> {
    /// A frame for it; `None`: there is none.
    pub fn new(frames: F) -> Option<Self> {
        Some(Self {
            page: OwnedFrames::zeroed(frames, FrameCount::new(1))?,
        })
    }

    /// Put the CPU that runs this into VMX operation, or say why not; CR0 and CR4 are then what they were, and the frame
    /// is given back. VMXON invalidates nothing: before a guest runs here for the first time, [`VmxOn::invept`] its EPTP.
    ///
    /// # Safety
    /// The result is used and dropped on this CPU alone: a thread that holds it stays here. Another CPU's VMXOFF would leave
    /// this one with a region that is free.
    pub unsafe fn enable(self, cpu: &'static dyn Cpu) -> Result<VmxOn<F>, VmxEnableError> {
        let mut state = [0; sizes::VMX_CPU];
        let mut caps = VmxCaps::empty();

        // SAFETY: the buffers have room for their structs, the page is the region's own, ctx lives for the call.
        VmxEnableError::check(unsafe {
            ffi::hvctl_rs_vmx_enable(
                cpu::ctx(&cpu),
                state.as_mut_ptr() as *mut c_void,
                self.page.as_ptr(),
                self.page.base().data() as u64,
                caps.ptr_mut(),
            )
        })?;
        Ok(VmxOn {
            region: Some(self),
            state,
            caps,
            cpu,
            here: PhantomData,
        })
    }
}

/// A CPU in VMX operation. Dropping it leaves, and that must happen on the CPU that entered: it cannot be sent away.
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<hvpt::vmx::VmxOn<hvpt::testing::Arena>>();
/// ```
pub struct VmxOn<F: GuestFrames> {
    region: Option<VmxonRegion<F>>,
    state: [u64; sizes::VMX_CPU],
    caps: VmxCaps,
    cpu: &'static dyn Cpu,
    here: PhantomData<*mut ()>,
}

impl<F: GuestFrames> VmxOn<F> {
    /// What this CPU can do.
    pub fn caps(&self) -> &VmxCaps {
        &self.caps
    }

    /// Drop what this CPU has cached of one EPTP's translations. [`ControlError::Control`]: it has no INVEPT.
    pub fn invept(&self, eptp: u64) -> Result<(), ControlError> {
        let cpu = self.cpu;
        // SAFETY: ctx lives for the call.
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmx_invept(cpu::ctx(&cpu), self.caps.ptr(), eptp)
        })
    }

    /// Leave VMX operation: VMXOFF, CR4 and CR0 as they were. Every VMCS that was active here must have been cleared.
    /// Called by `Drop`, too. After an error the region stays the CPU's, and its frame is not given back.
    pub fn disable(&mut self) -> Result<(), ControlError> {
        let cpu = self.cpu;
        let region = match self.region.take() {
            Some(region) => region,
            None => return Err(ControlError::Mode),
        };
        // SAFETY: the state is what enable() filled, ctx lives for the call.
        let status = ControlError::check(unsafe {
            ffi::hvctl_rs_vmx_disable(cpu::ctx(&cpu), self.state.as_mut_ptr() as *mut c_void)
        });

        if status.is_err() {
            core::mem::forget(region);
        }
        status
    }
}

impl<F: GuestFrames> Drop for VmxOn<F> {
    fn drop(&mut self) {
        let _ = self.disable();
    }
}

impl<F: GuestFrames> fmt::Debug for VmxOn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[in VMX operation, {:?}]", self.caps)
    }
}

// ---- a VMCS ----

/// Why a VM entry, or making a VMCS current, failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryFailure {
    /// VMfailInvalid.
    Invalid,
    /// VMfailValid with this number.
    Instruction(u32),
    /// An instruction raised a fault.
    Fault,
    /// A VM exit with bit 31 of its reason: guest state or MSR loading.
    GuestState {
        /// EXIT_REASON.
        reason: u32,
        /// EXIT_QUALIFICATION.
        qualification: u64,
    },
}

impl fmt::Display for EntryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid => f.write_str("VMfailInvalid"),
            Self::Fault => f.write_str("a VMX instruction faulted"),
            Self::Instruction(number) => {
                // SAFETY: a static string or NULL.
                let words = unsafe {
                    text::c_str_or_none(ffi::hvctl_rs_vmx_instruction_error_text(*number))
                };
                write!(
                    f,
                    "VM-instruction error {} ({})",
                    number,
                    words.unwrap_or("?")
                )
            }
            Self::GuestState {
                reason,
                qualification,
            } => {
                write!(
                    f,
                    "VM-entry failure, reason {:#x}, qualification {}",
                    reason, qualification
                )
            }
        }
    }
}

/// A page for a VMCS. It frees its frame; while the VMCS is current on a CPU it is borrowed and cannot be dropped.
#[derive(Debug)]
pub struct VmcsRegion<F: GuestFrames> {
    page: OwnedFrames<F>,
}

impl<F: GuestFrames> VmcsRegion<F> {
    /// A frame for it, with the CPU's revision. [`ControlError::Full`]: there is none; [`ControlError::OutOfRange`]: VMX
    /// cannot reach it.
    pub fn new(frames: F, caps: &VmxCaps) -> Result<Self, ControlError> {
        let page = OwnedFrames::zeroed(frames, FrameCount::new(1)).ok_or(ControlError::Full)?;

        // SAFETY: pure arithmetic; then a page that nobody else has.
        unsafe {
            ControlError::check(ffi::hvctl_rs_vmx_region_check(
                page.base().data() as u64,
                caps.ptr(),
            ))?;
            ffi::hvctl_rs_vmx_format(page.as_ptr(), page.base().data() as u64, caps.ptr());
        }
        Ok(Self { page })
    }

    /// Where it is.
    pub fn base(&self) -> PhysicalAddress {
        self.page.base()
    }

    /// Make it current on the CPU that runs this, which is in VMX operation. Another VMCS that was current loses its place:
    /// keep one at a time.
    ///
    /// # Safety
    /// The CPU stays this one until the result is dropped. It is dropped, not forgotten: VMCLEAR there is what makes the
    /// frame memory again.
    pub unsafe fn load(
        &mut self,
        cpu: &'static dyn Cpu,
    ) -> Result<CurrentVmcs<'_, F>, EntryFailure> {
        let at = self.base().data() as u64;

        // SAFETY: the page is formatted and nobody else's; ctx lives for the calls. VMCLEAR comes first, since the page
        // is new or was cleared when it was last dropped: twice does no harm.
        unsafe {
            result(cpu, ffi::hvctl_rs_vmx_clear(cpu::ctx(&cpu), at))?;
            result(cpu, ffi::hvctl_rs_vmx_load(cpu::ctx(&cpu), at))?;
        }
        Ok(CurrentVmcs {
            region: self,
            cpu,
            launched: false,
            here: PhantomData,
        })
    }
}

fn result(cpu: &dyn Cpu, raw: u32) -> Result<(), EntryFailure> {
    match VmxResult::from_raw(raw) {
        VmxResult::Succeed => Ok(()),
        VmxResult::FailInvalid => Err(EntryFailure::Invalid),
        // SAFETY: ctx lives for the call.
        VmxResult::FailValid => Err(EntryFailure::Instruction(unsafe {
            ffi::hvctl_rs_vmx_instruction_error(cpu::ctx(&cpu))
        })),
        VmxResult::Fault => Err(EntryFailure::Fault),
    }
}

/// A VMCS that is current on this CPU. Dropping it clears it: it can be loaded elsewhere, or freed. It cannot be sent away.
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<hvpt::vmx::CurrentVmcs<'static, hvpt::testing::Arena>>();
/// ```
pub struct CurrentVmcs<'a, F: GuestFrames> {
    region: &'a mut VmcsRegion<F>,
    cpu: &'static dyn Cpu,
    launched: bool,
    here: PhantomData<*mut ()>,
}

impl<F: GuestFrames> CurrentVmcs<'_, F> {
    /// Write what changed in the image. `Err`: the CPU refused this field.
    pub fn store(&mut self, image: &mut VmcsImage) -> Result<(), u32> {
        let mut failed = 0;
        let cpu = self.cpu;

        // SAFETY: a filled image; ctx lives for the call.
        match unsafe { ffi::hvctl_rs_vmcs_store(image.ptr_mut(), cpu::ctx(&cpu), &mut failed) } {
            0 => Ok(()),
            _ => Err(failed),
        }
    }

    /// Read fields into the image. `Err`: the CPU refused this field.
    pub fn read_back(&mut self, image: &mut VmcsImage, types: FieldTypes) -> Result<(), u32> {
        let mut failed = 0;
        let cpu = self.cpu;

        // SAFETY: as store().
        match unsafe {
            ffi::hvctl_rs_vmcs_load(image.ptr_mut(), types.0, cpu::ctx(&cpu), &mut failed)
        } {
            0 => Ok(()),
            _ => Err(failed),
        }
    }

    /// Read one field into the image.
    pub fn read_field<W>(
        &mut self,
        image: &mut VmcsImage,
        field: Field<W>,
    ) -> Result<(), ControlError> {
        let cpu = self.cpu;
        // SAFETY: as store().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcs_load_field(image.ptr_mut(), field.encoding, cpu::ctx(&cpu))
        })
    }

    /// Enter the guest and come back at its next VM exit.
    ///
    /// # Safety
    /// Interrupts are off. The VMCS, as stored, returns to this host and confines the guest to memory that is its own.
    pub unsafe fn enter(&mut self, regs: &mut GuestRegs) -> Result<Reason, EntryFailure> {
        result(self.cpu, self.cpu.vmx_switch(regs, self.launched) as u32)?;
        let reason = self
            .cpu
            .vmread(field::EXIT_REASON.encoding)
            .unwrap_or(u64::from(u16::MAX)) as u32;

        if reason >> 31 != 0 {
            let qualification = self
                .cpu
                .vmread(field::EXIT_QUALIFICATION.encoding)
                .unwrap_or(0);
            return Err(EntryFailure::GuestState {
                reason,
                qualification,
            });
        }
        self.launched = true;
        Ok(Reason(reason as u16))
    }
}

impl<F: GuestFrames> Drop for CurrentVmcs<'_, F> {
    fn drop(&mut self) {
        let cpu = self.cpu;
        // SAFETY: the region's own page; ctx lives for the call. It cannot fail while the CPU is in VMX operation.
        unsafe { ffi::hvctl_rs_vmx_clear(cpu::ctx(&cpu), self.region.base().data() as u64) };
    }
}

impl<F: GuestFrames> fmt::Debug for CurrentVmcs<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[current VMCS at {:?}, {}launched]",
            self.region.base(),
            if self.launched { "" } else { "not " }
        )
    }
}

/// Which accesses to MSRs exit: a page for ADDRESS_OF_MSR_BITMAPS.
#[derive(Debug)]
pub struct MsrBitmap<F: GuestFrames>(OwnedFrames<F>);

impl<F: GuestFrames> MsrBitmap<F> {
    /// Every access exits. `None`: no frame.
    pub fn new(frames: F) -> Option<Self> {
        let mut map = Self(OwnedFrames::zeroed(frames, FrameCount::new(1))?);
        map.0.as_mut_slice().fill(0xff);
        Some(map)
    }

    /// Where it is.
    pub fn base(&self) -> PhysicalAddress {
        self.0.base()
    }

    /// Let reads, writes or both of an MSR exit, or not. [`ControlError::OutOfRange`]: it always exits.
    pub fn set(
        &mut self,
        msr: u32,
        read: bool,
        write: bool,
        exits: bool,
    ) -> Result<(), ControlError> {
        // SAFETY: the map is a page.
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmx_msr_exit(
                self.0.as_ptr(),
                msr,
                u32::from(read) | u32::from(write) << 1,
                exits,
            )
        })
    }
}
