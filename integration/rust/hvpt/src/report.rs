//! What a check of a VMCS or a VMCB found: every rule that is broken, with values and in words.

use core::{ffi::c_void, fmt, ptr};

use crate::{ffi, sizes, text};

/// What the CPU does when a rule is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Failure(u32);

impl Failure {
    /// VMfailValid, VM-instruction error 7.
    pub const VMFAIL_CONTROLS: Self = Self(1);
    /// VMfailValid, VM-instruction error 8.
    pub const VMFAIL_HOST: Self = Self(2);
    /// A VM exit with reason 80000021H.
    pub const GUEST_STATE: Self = Self(3);
    /// A VM exit with reason 80000022H.
    pub const MSR_LOADING: Self = Self(4);
    /// #VMEXIT with exit code -1.
    pub const VMEXIT_INVALID: Self = Self(5);
    /// The manual states the rule, but not what happens.
    pub const UNSPECIFIED: Self = Self(6);
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: a string of the shim's, never NULL.
        f.write_str(unsafe { text::c_str(ffi::hvctl_rs_failure_text(self.0)) })
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The findings of a check, about 3 KiB. Its `Display` is a line for each violation.
#[repr(C)]
pub struct Report([u64; sizes::REPORT]);

impl Report {
    /// A report that `fill` writes.
    pub(crate) fn new(fill: impl FnOnce(*mut c_void)) -> Self {
        let mut report = Self([0; sizes::REPORT]);

        fill(report.0.as_mut_ptr() as *mut c_void);
        report
    }

    fn ptr(&self) -> *const c_void {
        self.0.as_ptr() as *const c_void
    }

    /// Nothing is broken: the CPU will enter the guest, as far as rules go that could be judged.
    pub fn is_clean(&self) -> bool {
        self.broken() == 0
    }

    /// Rules that are broken; the first 32 of them are listed.
    pub fn broken(&self) -> u32 {
        // SAFETY: a report that a check filled.
        unsafe { ffi::hvctl_rs_report_count(self.ptr(), 0) }
    }

    /// Rules that apply and could not be judged, since they look into memory.
    pub fn unchecked(&self) -> u32 {
        // SAFETY: a report that a check filled.
        unsafe { ffi::hvctl_rs_report_count(self.ptr(), 1) }
    }

    /// The violations that are listed.
    pub fn violations(&self) -> impl Iterator<Item = Violation<'_>> {
        // SAFETY: a report that a check filled.
        let listed = unsafe { ffi::hvctl_rs_report_count(self.ptr(), 2) };
        (0..listed).map(move |number| Violation {
            report: self,
            number,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: a report that a check filled, and a sink.
        text::write(f, |put, ctx| unsafe {
            ffi::hvctl_rs_report_text(self.ptr(), put, ctx)
        })
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A broken rule. Its `Display`: "GUEST.CR0.FIXED: GUEST_CR0 = 0x20, must have PE, PG set (...)".
#[derive(Clone, Copy)]
pub struct Violation<'a> {
    report: &'a Report,
    number: u32,
}

impl Violation<'_> {
    fn read(&self) -> (u32, [&'static str; 4], [u64; 2]) {
        let mut strings = [ptr::null(); 4];
        let mut numbers = [0; 2];

        // SAFETY: the number is below those listed, the arrays have the room that the shim fills with static strings.
        unsafe {
            let failure = ffi::hvctl_rs_report_violation(
                self.report.ptr(),
                self.number,
                strings.as_mut_ptr(),
                numbers.as_mut_ptr(),
            );
            (
                failure,
                strings.map(|string| text::c_str_or_none(string).unwrap_or("")),
                numbers,
            )
        }
    }

    /// The rule's name.
    pub fn rule(&self) -> &'static str {
        self.read().1[0]
    }

    /// The manual's section, by title.
    pub fn section(&self) -> &'static str {
        self.read().1[1]
    }

    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        self.read().1[3]
    }

    /// Its value.
    pub fn actual(&self) -> u64 {
        self.read().2[0]
    }

    /// What the CPU does about it.
    pub fn failure(&self) -> Failure {
        Failure(self.read().0)
    }
}

impl fmt::Display for Violation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, |put, ctx| {
            // SAFETY: as read(), and a sink.
            unsafe { ffi::hvctl_rs_report_violation_text(self.report.ptr(), self.number, put, ctx) }
        })
    }
}

impl fmt::Debug for Violation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
