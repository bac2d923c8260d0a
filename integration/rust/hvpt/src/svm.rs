//! SVM: what the CPU can do, the VMCB, its checker, exits, ASIDs, and SVM on one CPU.

use core::{ffi::c_void, fmt, marker::PhantomData};

use crate::{
    cpu::{self, Cpu},
    error::status,
    ffi, sizes, text,
    types::frames_of_order,
    vmx::PortAccess,
    ControlError, FrameCount, GuestFrames, GuestRegs, GuestState, OwnedFrames, PhysicalAddress,
    Report,
};

#[path = "svm/exit_list.rs"]
pub mod exit;
#[path = "svm/feature_list.rs"]
pub mod feature;
#[path = "svm/field_list.rs"]
pub mod field;

// ---- capabilities ----

/// A feature of SVM. All of them are in [`feature`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Feature(u32);

impl Feature {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Debug for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: a static string or NULL.
        f.write_str(
            unsafe { text::c_str_or_none(ffi::hvctl_rs_svm_feature_name(self.0)) }.unwrap_or("?"),
        )
    }
}

/// What the CPU's SVM can do: CPUID 8000000AH.
#[derive(Clone)]
#[repr(C)]
pub struct SvmCaps([u64; sizes::SVM_CAPS]);

impl SvmCaps {
    fn empty() -> Self {
        Self([0; sizes::SVM_CAPS])
    }

    fn ptr(&self) -> *const c_void {
        self.0.as_ptr() as *const c_void
    }

    fn ptr_mut(&mut self) -> *mut c_void {
        self.0.as_mut_ptr() as *mut c_void
    }

    /// Ask CPUID. `None`: the CPU has no SVM.
    pub fn read(cpu: &dyn Cpu) -> Option<Self> {
        let mut caps = Self::empty();

        // SAFETY: the buffer has room for the struct, ctx lives for the call.
        match unsafe { ffi::hvctl_rs_svm_caps_read(caps.ptr_mut(), cpu::ctx(&cpu)) } {
            0 => Some(caps),
            _ => None,
        }
    }

    fn word(&self, which: u32) -> u64 {
        // SAFETY: filled by read() or enable().
        unsafe { ffi::hvctl_rs_svm_caps_word(self.ptr(), which) }
    }

    /// Does the CPU have it?
    pub fn can(&self, feature: Feature) -> bool {
        // SAFETY: see word().
        unsafe { ffi::hvctl_rs_svm_can(self.ptr(), feature.0) }
    }

    /// How many ASIDs there are; 0 is the host's.
    pub fn asids(&self) -> u32 {
        self.word(1) as u32
    }

    /// Bits of a physical address.
    pub fn maxphyaddr(&self) -> u32 {
        self.word(2) as u32
    }

    /// Pages of 1 GiB.
    pub fn has_1g_pages(&self) -> bool {
        self.word(3) != 0
    }

    /// The NX bit.
    pub fn has_nx(&self) -> bool {
        self.word(4) != 0
    }
}

impl fmt::Debug for SvmCaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[SVM, revision {}, {} ASIDs]",
            self.word(0),
            self.asids()
        )
    }
}

// ---- a CPU with SVM on ----

status! {
    /// What stands in the way of SVM.
    SvmEnableError, ffi::hvctl_rs_svm_enable_text,
    /// CPUID does not report SVM.
    NoCpuid = 1,
    /// EFER.SVME is set: somebody else uses SVM.
    AlreadyOn = 2,
    /// VM_CR cannot be read.
    VmCrMsr = 3,
    /// The firmware has locked SVM off.
    LockedOff = 4,
    /// The same, and a key unlocks it.
    LockedByKey = 5,
    /// VM_CR.SVMDIS does not clear.
    VmCrWrite = 6,
    /// The host save area is not aligned.
    RegionAlign = 7,
    /// The host save area is out of reach.
    RegionRange = 8,
    /// EFER cannot be read.
    EferMsr = 9,
    /// EFER.SVME does not stick.
    EferWrite = 10,
    /// VM_HSAVE_PA does not take the address.
    HsaveWrite = 11,
}

/// The two pages that a CPU with SVM needs: its host save area, and the host's VMSAVE state while a guest runs.
#[derive(Debug)]
pub struct HostSave<F: GuestFrames> {
    save: OwnedFrames<F>,
    state: OwnedFrames<F>,
}

impl<F: GuestFrames + Clone> HostSave<F> {
    /// Frames for them; `None`: there are none.
    pub fn new(frames: F) -> Option<Self> {
        Some(Self {
            save: OwnedFrames::zeroed(frames.clone(), FrameCount::new(1))?,
            state: OwnedFrames::zeroed(frames, FrameCount::new(1))?,
        })
    }
}

impl<F: GuestFrames> HostSave<F> {
    /// Turn SVM on for the CPU that runs this, or say why not; EFER and VM_CR are then what they were, and the frames are
    /// given back. Nothing is invalidated: TLB_CONTROL of the first VMRUN must be 1, as [`AsidPool`] says by
    /// [`AsidUse::FlushAll`].
    ///
    /// # Safety
    /// The result is used and dropped on this CPU alone: a thread that holds it stays here.
    pub unsafe fn enable(self, cpu: &'static dyn Cpu) -> Result<SvmOn<F>, SvmEnableError> {
        let mut state = [0; sizes::SVM_CPU];
        let mut caps = SvmCaps::empty();

        // SAFETY: the buffers have room for their structs, the page is this CPU's own, ctx lives for the call.
        SvmEnableError::check(unsafe {
            ffi::hvctl_rs_svm_enable(
                cpu::ctx(&cpu),
                state.as_mut_ptr() as *mut c_void,
                self.save.base().data() as u64,
                caps.ptr_mut(),
            )
        })?;
        Ok(SvmOn {
            pages: Some(self),
            state,
            caps,
            cpu,
            here: PhantomData,
        })
    }
}

/// A CPU with SVM on. Dropping it turns it off, and that must happen on the same CPU: it cannot be sent away.
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<hvpt::svm::SvmOn<hvpt::testing::Arena>>();
/// ```
pub struct SvmOn<F: GuestFrames> {
    pages: Option<HostSave<F>>,
    state: [u64; sizes::SVM_CPU],
    caps: SvmCaps,
    cpu: &'static dyn Cpu,
    here: PhantomData<*mut ()>,
}

impl<F: GuestFrames> SvmOn<F> {
    /// What this CPU can do.
    pub fn caps(&self) -> &SvmCaps {
        &self.caps
    }

    /// The page for the host's VMSAVE state; `None`: SVM is off.
    pub fn host_state(&self) -> Option<PhysicalAddress> {
        self.pages.as_ref().map(|pages| pages.state.base())
    }

    /// Turn SVM off. Called by `Drop`, too. After an error the pages stay the CPU's and are not given back.
    pub fn disable(&mut self) -> Result<(), ControlError> {
        let cpu = self.cpu;
        let pages = match self.pages.take() {
            Some(pages) => pages,
            None => return Err(ControlError::Mode),
        };
        // SAFETY: the state is what enable() filled, ctx lives for the call.
        let status = ControlError::check(unsafe {
            ffi::hvctl_rs_svm_disable(cpu::ctx(&cpu), self.state.as_mut_ptr() as *mut c_void)
        });

        if status.is_err() {
            core::mem::forget(pages);
        }
        status
    }
}

impl<F: GuestFrames> Drop for SvmOn<F> {
    fn drop(&mut self) {
        let _ = self.disable();
    }
}

impl<F: GuestFrames> fmt::Debug for SvmOn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[SVM is on, {:?}]", self.caps)
    }
}

// ---- the VMCB ----

/// A segment register as the VMCB has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// 3:0 type, 4 S, 6:5 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G.
    pub attributes: u16,
    /// In bytes.
    pub limit: u32,
    /// The base.
    pub base: u64,
}

mod sealed {
    use crate::ffi;
    use core::ffi::c_void;

    pub trait Member: Copy {
        /// # Safety
        /// `vmcb` is one, and a member of this type begins at `offset`.
        unsafe fn read(vmcb: *const c_void, offset: u32) -> Self;
        /// # Safety
        /// As for `read`.
        unsafe fn write(self, vmcb: *mut c_void, offset: u32);
    }

    macro_rules! member {
        ($($kind:ty)*) => {
            $(
                impl Member for $kind {
                    unsafe fn read(vmcb: *const c_void, offset: u32) -> Self {
                        // SAFETY: the caller's promise.
                        unsafe { ffi::hvctl_rs_vmcb_get(vmcb, offset) as Self }
                    }
                    unsafe fn write(self, vmcb: *mut c_void, offset: u32) {
                        // SAFETY: the caller's promise.
                        unsafe { ffi::hvctl_rs_vmcb_set(vmcb, offset, self as u64) };
                    }
                }
            )*
        };
    }
    member!(u8 u16 u32 u64);

    impl Member for super::Segment {
        unsafe fn read(vmcb: *const c_void, offset: u32) -> Self {
            let mut words = [0; 4];
            // SAFETY: the caller's promise; words has the room that the shim fills.
            unsafe { ffi::hvctl_rs_vmcb_get_segment(vmcb, offset, words.as_mut_ptr()) };
            Self {
                selector: words[0] as u16,
                attributes: words[1] as u16,
                limit: words[2] as u32,
                base: words[3],
            }
        }
        unsafe fn write(self, vmcb: *mut c_void, offset: u32) {
            let words = [
                u64::from(self.selector),
                u64::from(self.attributes),
                u64::from(self.limit),
                self.base,
            ];
            // SAFETY: the caller's promise.
            unsafe { ffi::hvctl_rs_vmcb_set_segment(vmcb, offset, words.as_ptr()) };
        }
    }
}

/// What a member of the VMCB can be: `u8` to `u64`, or a [`Segment`].
pub trait Member: sealed::Member {}
impl<M: sealed::Member> Member for M {}

/// A member of the VMCB. All of them are in [`field`].
pub struct Field<M> {
    offset: u32,
    member: PhantomData<fn() -> M>,
}

impl<M> Field<M> {
    pub(crate) const fn new(offset: u32) -> Self {
        Self {
            offset,
            member: PhantomData,
        }
    }

    /// Its byte in the page.
    pub const fn offset(self) -> u32 {
        self.offset
    }
}

impl<M> Clone for Field<M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Field<M> {}

/// An exit code; below A7H also an intercept. All that have names are in [`exit`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ExitCode(u64);

impl ExitCode {
    pub(crate) const fn new(code: u64) -> Self {
        Self(code)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// VMRUN refused the VMCB.
    pub fn is_invalid(self) -> bool {
        // SAFETY: pure arithmetic.
        unsafe { ffi::hvctl_rs_svm_exit_invalid(self.0) }
    }

    /// Its name, if it has one.
    pub fn name(self) -> Option<&'static str> {
        // SAFETY: a static string or NULL.
        unsafe { text::c_str_or_none(ffi::hvctl_rs_svm_exit_name(self.0)) }
    }
}

impl fmt::Debug for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.name().unwrap_or("?"), self.0)
    }
}

/// Kinds of events. APM vol. 2, "Event Injection".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum EventKind {
    Interrupt = 0,
    Nmi = 2,
    Exception = 3,
    SoftwareInterrupt = 4,
}

/// A nested page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NestedFault {
    /// Where.
    pub gpa: u64,
    /// A nested page was there, and did not allow it.
    pub present: bool,
    pub write: bool,
    pub fetch: bool,
    /// A reserved bit was set in a nested entry.
    pub reserved: bool,
    /// On the walk of the guest's own tables.
    pub guest_table: bool,
}

/// A VMCB. It frees its frame. Its setters keep the clean bits.
#[derive(Debug)]
pub struct Vmcb<F: GuestFrames> {
    page: OwnedFrames<F>,
}

impl<F: GuestFrames> Vmcb<F> {
    /// An empty one. [`ControlError::Full`]: no frame; [`ControlError::OutOfRange`]: VMRUN cannot reach it.
    pub fn new(frames: F, caps: &SvmCaps) -> Result<Self, ControlError> {
        let page = OwnedFrames::zeroed(frames, FrameCount::new(1)).ok_or(ControlError::Full)?;

        // SAFETY: pure arithmetic; then a page that nobody else has.
        unsafe {
            ControlError::check(ffi::hvctl_rs_svm_vmcb_check(
                page.base().data() as u64,
                caps.ptr(),
            ))?;
            ffi::hvctl_rs_vmcb_zero(page.as_ptr() as *mut c_void);
        }
        Ok(Self { page })
    }

    fn ptr(&self) -> *mut c_void {
        self.page.as_ptr() as *mut c_void
    }

    /// Where it is.
    pub fn base(&self) -> PhysicalAddress {
        self.page.base()
    }

    /// A member.
    pub fn get<M: Member>(&self, field: Field<M>) -> M {
        // SAFETY: the page is a VMCB, and the list has offsets with their types.
        unsafe { M::read(self.ptr(), field.offset) }
    }

    /// Change a member; the next VMRUN reads it.
    pub fn set<M: Member>(&mut self, field: Field<M>, value: M) {
        // SAFETY: as get().
        unsafe { value.write(self.ptr(), field.offset) }
    }

    /// Set or clear an intercept. [`ControlError::OutOfRange`]: this code has none.
    pub fn intercept(&mut self, code: ExitCode, on: bool) -> Result<(), ControlError> {
        // SAFETY: the page is a VMCB; so in all that follow.
        ControlError::check(unsafe { ffi::hvctl_rs_vmcb_intercept(self.ptr(), code.0, on) })
    }

    /// Is an intercept set?
    pub fn intercepts(&self, code: ExitCode) -> bool {
        // SAFETY: see intercept().
        unsafe { ffi::hvctl_rs_vmcb_intercepts(self.ptr(), code.0) }
    }

    /// Use nested tables with this root, and a PAT for the guest.
    pub fn set_nested_paging(&mut self, n_cr3: u64, g_pat: u64) {
        // SAFETY: see intercept().
        unsafe { ffi::hvctl_rs_vmcb_nested_paging(self.ptr(), n_cr3, g_pat) }
    }

    /// Fill the state-save area; RAX, which is not in a state, stays. [`ControlError::State`], [`ControlError::Mode`]: it is
    /// filled, but for what the state does not know, or for an activity that is the caller's to keep.
    pub fn set_guest(&mut self, state: &GuestState) -> Result<(), ControlError> {
        // SAFETY: see intercept().
        ControlError::check(unsafe { ffi::hvctl_rs_vmcb_guest_write(self.ptr(), state.ptr()) })
    }

    /// The guest's state as the last VMEXIT left it.
    pub fn guest(&self) -> GuestState {
        // SAFETY: see intercept().
        GuestState::filled(|state| unsafe { ffi::hvctl_rs_vmcb_guest_read(self.ptr(), state) })
    }

    /// Let the next VMRUN deliver an event. [`ControlError::OutOfRange`]: it would refuse it.
    pub fn inject(
        &mut self,
        kind: EventKind,
        vector: u8,
        error_code: u32,
    ) -> Result<(), ControlError> {
        // SAFETY: see intercept().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcb_inject(self.ptr(), kind as u32, u32::from(vector), error_code)
        })
    }

    /// As `inject`, of an exception that arose while the event was delivered that the last VMEXIT interrupted: both become
    /// one where the manual says so. [`ControlError::Shutdown`]: the guest ends in a triple fault.
    pub fn inject_nested(&mut self, vector: u8, error_code: u32) -> Result<(), ControlError> {
        // SAFETY: see intercept().
        ControlError::check(unsafe {
            ffi::hvctl_rs_vmcb_inject_nested(self.ptr(), u32::from(vector), error_code)
        })
    }

    /// The bytes that the CPU fetched of the instruction behind a nested page fault, and how many they are: 0 without decode
    /// assists.
    pub fn fetched(&self) -> ([u8; 15], usize) {
        let mut bytes = [0; 15];

        // SAFETY: see intercept(); at most 15 bytes are written.
        let count = unsafe { ffi::hvctl_rs_vmcb_fetched(self.ptr(), bytes.as_mut_ptr()) };
        (bytes, count as usize)
    }

    /// Behind the instruction that exited, which has been carried out; the interrupt shadow ends.
    /// [`ControlError::OutOfRange`]: this exit was none of an instruction with a known end.
    pub fn advance(&mut self, caps: &SvmCaps) -> Result<(), ControlError> {
        // SAFETY: see intercept().
        ControlError::check(unsafe { ffi::hvctl_rs_vmcb_advance(self.ptr(), caps.ptr()) })
    }

    /// Let the next VMRUN deliver again the event that the last VMEXIT interrupted, if there was one and the guest does not
    /// raise it by itself: INT n, INT3 and INTO are executed again.
    pub fn redeliver(&mut self) {
        // SAFETY: see intercept().
        unsafe { ffi::hvctl_rs_vmcb_redeliver(self.ptr()) }
    }

    /// Ask every rule of VMRUN: an empty report means that it will enter.
    pub fn check(&self, caps: &SvmCaps) -> Report {
        // SAFETY: see intercept(); the report has its room.
        Report::new(|report| unsafe { ffi::hvctl_rs_svm_check(self.ptr(), caps.ptr(), report) })
    }

    /// Make VMRUN read everything: before the VMCB runs on another CPU.
    pub fn touch_all(&mut self) {
        // SAFETY: see intercept().
        unsafe { ffi::hvctl_rs_vmcb_touch_all(self.ptr()) }
    }

    /// Enter the guest and come back at its next VMEXIT. Members that did not change since are clean afterwards.
    ///
    /// # Safety
    /// Interrupts are off, SVM is on, `host` is this CPU's page for its state. The VMCB intercepts what would give the
    /// guest more than memory and a CPU of its own.
    pub unsafe fn run(
        &mut self,
        cpu: &dyn Cpu,
        regs: &mut GuestRegs,
        host: PhysicalAddress,
        interrupts: bool,
    ) -> ExitCode {
        cpu.svm_switch(regs, self.base(), host, interrupts);
        let code = self.exit_code();

        if !code.is_invalid() {
            // SAFETY: see intercept(); VMRUN on this CPU has just read all of it.
            unsafe { ffi::hvctl_rs_vmcb_mark_clean(self.ptr()) };
        }
        code
    }

    /// Why the guest was left.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode(self.get(field::EXITCODE))
    }

    /// What the last VMEXIT was about, in words.
    pub fn exit_text<'a>(&'a self, caps: &SvmCaps) -> impl fmt::Display + 'a {
        ExitText {
            vmcb: self.ptr(),
            assists: caps.can(feature::DECODE_ASSISTS),
            page: PhantomData::<&'a ()>,
        }
    }

    /// The last exit's nested page fault.
    pub fn nested_fault(&self) -> NestedFault {
        let info = self.get(field::EXITINFO1);
        let bit = |number: u32| info >> number & 1 != 0;

        // APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering"
        NestedFault {
            gpa: self.get(field::EXITINFO2),
            present: bit(0),
            write: bit(1),
            fetch: bit(4),
            reserved: bit(3),
            guest_table: bit(33),
        }
    }

    /// The port that an I/O instruction exited for; EXITINFO2 is the address of the next instruction.
    pub fn port(&self) -> PortAccess {
        // SAFETY: pure arithmetic.
        PortAccess::from_raw(unsafe { ffi::hvctl_rs_svm_io(self.get(field::EXITINFO1)) })
    }
}

struct ExitText<'a> {
    vmcb: *const c_void,
    assists: bool,
    page: PhantomData<&'a ()>,
}

impl fmt::Display for ExitText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = self.page;
        // SAFETY: the VMCB outlives this; a sink.
        text::write(f, |put, ctx| unsafe {
            ffi::hvctl_rs_svm_exit_text(self.vmcb, self.assists, put, ctx)
        })
    }
}

/// Which MSR and port accesses of a guest exit: two frames and four frames, for MSRPM_BASE_PA and IOPM_BASE_PA.
#[derive(Debug)]
pub struct PermissionMaps<F: GuestFrames> {
    msr: OwnedFrames<F>,
    io: OwnedFrames<F>,
}

impl<F: GuestFrames + Clone> PermissionMaps<F> {
    /// Everything exits. `None`: no frames.
    pub fn new(frames: F) -> Option<Self> {
        let mut maps = Self {
            msr: OwnedFrames::zeroed(frames.clone(), frames_of_order(1))?,
            io: OwnedFrames::zeroed(frames, frames_of_order(2))?,
        };
        maps.msr.as_mut_slice().fill(0xff);
        maps.io.as_mut_slice().fill(0xff);
        Some(maps)
    }
}

impl<F: GuestFrames> PermissionMaps<F> {
    /// Let a VMCB use them.
    pub fn install(&self, vmcb: &mut Vmcb<F>) {
        vmcb.set(field::MSRPM_BASE_PA, self.msr.base().data() as u64);
        vmcb.set(field::IOPM_BASE_PA, self.io.base().data() as u64);
    }

    /// Let reads, writes or both of an MSR exit, or not. [`ControlError::OutOfRange`]: it always exits.
    pub fn set_msr(
        &mut self,
        msr: u32,
        read: bool,
        write: bool,
        exits: bool,
    ) -> Result<(), ControlError> {
        // SAFETY: the map is two frames.
        ControlError::check(unsafe {
            ffi::hvctl_rs_svm_msr_exit(
                self.msr.as_ptr(),
                msr,
                u32::from(read) | u32::from(write) << 1,
                exits,
            )
        })
    }

    /// Let accesses to ports exit, or not.
    pub fn set_ports(&mut self, first: u16, count: u32, exits: bool) -> Result<(), ControlError> {
        // SAFETY: the map is four frames.
        ControlError::check(unsafe {
            ffi::hvctl_rs_svm_io_exit(self.io.as_ptr(), u32::from(first), count, exits)
        })
    }
}

// ---- ASIDs ----

/// The ASIDs of one CPU, given out again after a flush when they run out.
#[derive(Clone)]
pub struct AsidPool {
    words: [u64; sizes::TAG_POOL],
    stale: bool,
}

/// What a virtual CPU has on one CPU.
#[derive(Clone, Default)]
#[repr(C)]
pub struct Asid([u64; sizes::TAG]);

/// What has to happen before the guest runs with its ASID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsidUse {
    /// Nothing: it is the one it had.
    Kept,
    /// Nothing: no guest has used it since the last flush of all.
    New,
    /// Flush what the CPU has cached under every ASID.
    FlushAll,
}

impl AsidPool {
    /// The ASIDs of a CPU; `None`: there are none.
    pub fn new(caps: &SvmCaps) -> Option<Self> {
        let mut pool = Self {
            words: [0; sizes::TAG_POOL],
            stale: false,
        };

        // SAFETY: the buffer has room for the struct.
        match unsafe { ffi::hvctl_rs_asid_pool(pool.words.as_mut_ptr() as *mut c_void, caps.ptr()) }
        {
            0 => Some(pool),
            _ => None,
        }
    }

    /// The number to run with, and what has to happen before.
    pub fn take(&mut self, asid: &mut Asid) -> (u32, AsidUse) {
        let mut value = 0;

        // SAFETY: new() filled the pool; a zeroed tag is none.
        let what = unsafe {
            let pool = self.words.as_mut_ptr() as *mut c_void;
            ffi::hvctl_rs_tag_take(pool, asid.0.as_mut_ptr() as *mut c_void, &mut value)
        };
        (
            value,
            match what {
                _ if core::mem::take(&mut self.stale) => AsidUse::FlushAll,
                0 => AsidUse::Kept,
                1 => AsidUse::New,
                _ => AsidUse::FlushAll,
            },
        )
    }
}

impl AsidPool {
    /// Make every ASID stale, as after SVM was off: who had one gets another, and the first `take` asks for a flush of all.
    /// A new pool would not do: it would take ASIDs that were given out before for its own.
    pub fn reset(&mut self) {
        // SAFETY: new() filled the pool.
        unsafe { ffi::hvctl_rs_tag_pool_reset(self.words.as_mut_ptr() as *mut c_void) };
        self.stale = true;
    }
}

impl Asid {
    /// Forget it: the next one is fresh, which is a flush of this guest alone.
    pub fn forget(&mut self) {
        // SAFETY: the buffer is a tag.
        unsafe { ffi::hvctl_rs_tag_drop(self.0.as_mut_ptr() as *mut c_void) }
    }
}

impl fmt::Debug for AsidPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[ASIDs]")
    }
}

impl fmt::Debug for Asid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[ASID]")
    }
}
