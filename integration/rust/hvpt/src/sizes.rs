// Sizes of the headers' structs in 8-byte words, rounded up for growth. build.rs hands them to the C compiler, which
// refuses to build a shim whose structs do not fit; tests/layout.rs looks at the slack.

/// `struct hvpt_space` with its hooks and the flush that is owed.
pub const SPACE: usize = 128;
/// `struct hvctl_vmx_caps`.
pub const VMX_CAPS: usize = 36;
/// `struct hvctl_svm_caps`.
pub const SVM_CAPS: usize = 16;
/// `struct hvctl_vmcs_image`.
pub const VMCS_IMAGE: usize = 256;
/// `struct hvctl_report`.
pub const REPORT: usize = 448;
/// `struct hvctl_guest_state`.
pub const GUEST_STATE: usize = 96;
/// `struct hvctl_vmx_cpu`.
pub const VMX_CPU: usize = 4;
/// `struct hvctl_svm_cpu`.
pub const SVM_CPU: usize = 4;
/// `struct hvctl_tag_pool`.
pub const TAG_POOL: usize = 4;
/// `struct hvctl_tag`.
pub const TAG: usize = 4;
/// `HVCTL_GUEST_STATE_WORDS`: a guest's state as words, exactly.
pub const GUEST_WORDS: usize = 89;
