//! The shim's functions, as shim/*.c defines them. Statuses are `u32`; strings end with a zero.
#![allow(missing_docs)]

use core::ffi::c_void;

/// A sink's callback.
pub type Put = unsafe extern "C" fn(*mut c_void, *const u8, usize);

/// `struct hvpt_rs_host`.
#[repr(C)]
pub struct Host {
    pub ctx: *mut c_void,
    pub alloc_frame: unsafe extern "C" fn(*mut c_void, u32, *mut u64) -> bool,
    pub free_frame: unsafe extern "C" fn(*mut c_void, u64, u32),
    pub phys_to_virt: unsafe extern "C" fn(*mut c_void, u64) -> *mut c_void,
    pub flush: unsafe extern "C" fn(*mut c_void, u32, bool, u64, u64, u64),
}

pub type VisitFn = unsafe extern "C" fn(*mut c_void, u32, u64, *const u64, *const u32) -> bool;

// paging.c
extern "C" {
    pub fn hvpt_rs_create(at: *mut c_void, kind: u32, config: *const u64, host: *const Host)
        -> u32;
    pub fn hvpt_rs_adopt(
        at: *mut c_void,
        kind: u32,
        config: *const u64,
        host: *const Host,
        root: u64,
        readonly: bool,
    ) -> u32;
    pub fn hvpt_rs_adopt_table(
        at: *mut c_void,
        kind: u32,
        config: *const u64,
        host: *const Host,
        table: u64,
        readonly: bool,
    ) -> u32;
    pub fn hvpt_rs_flush(at: *mut c_void);
    pub fn hvpt_rs_flush_owed(at: *const c_void) -> bool;
    pub fn hvpt_rs_destroy(at: *mut c_void);
    pub fn hvpt_rs_root(at: *const c_void) -> u64;
    pub fn hvpt_rs_root_frame(at: *const c_void) -> u64;
    pub fn hvpt_rs_control(at: *const c_void) -> u64;
    pub fn hvpt_rs_page_size(at: *const c_void) -> u64;
    pub fn hvpt_rs_gpa_limit(at: *const c_void) -> u64;
    pub fn hvpt_rs_from_page_flags(
        entry: u64,
        level: u32,
        pat: u64,
        keep: u64,
        attr: *mut u32,
    ) -> u32;
    pub fn hvpt_rs_to_page_flags(
        attr: *const u32,
        level: u32,
        pat: u64,
        add: u64,
        entry: *mut u64,
    ) -> u32;
    pub fn hvpt_rs_map(at: *mut c_void, gpa: u64, hpa: u64, size: u64, attr: *const u32) -> u32;
    pub fn hvpt_rs_unmap(at: *mut c_void, gpa: u64, size: u64) -> u32;
    pub fn hvpt_rs_protect(
        at: *mut c_void,
        gpa: u64,
        size: u64,
        attr: *const u32,
        mask: u32,
    ) -> u32;
    pub fn hvpt_rs_replace(at: *mut c_void, gpa: u64, hpa: u64, size: u64, attr: *const u32)
        -> u32;
    pub fn hvpt_rs_fault_map(
        at: *mut c_void,
        gpa: u64,
        hpa: u64,
        page_size: u64,
        attr: *const u32,
    ) -> u32;
    pub fn hvpt_rs_touch(at: *mut c_void, gpa: u64, access: u32) -> u32;
    pub fn hvpt_rs_split(at: *mut c_void, gpa: u64, size: u64, page_size: u64) -> u32;
    pub fn hvpt_rs_collapse(at: *mut c_void, gpa: u64, size: u64) -> u32;
    pub fn hvpt_rs_dirty(at: *mut c_void, gpa: u64, size: u64, bitmap: *mut u64) -> u32;
    pub fn hvpt_rs_age(at: *mut c_void, gpa: u64, size: u64, bitmap: *mut u64) -> u32;
    pub fn hvpt_rs_write_protect(at: *mut c_void, gpa: u64, size: u64) -> u32;
    pub fn hvpt_rs_reserve(at: *mut c_void, frames: u64) -> u32;
    pub fn hvpt_rs_frames_needed(
        at: *const c_void,
        gpa: u64,
        hpa: u64,
        size: u64,
        attr: *const u32,
        frames: *mut u64,
    ) -> u32;
    pub fn hvpt_rs_translate(at: *const c_void, gpa: u64, numbers: *mut u64, attr: *mut u32)
        -> u32;
    pub fn hvpt_rs_walk(
        at: *const c_void,
        gpa: u64,
        size: u64,
        visit: VisitFn,
        ctx: *mut c_void,
    ) -> u32;
    pub fn hvpt_rs_guest_walk(
        at: *const c_void,
        state: *const u64,
        linear: u64,
        access: u32,
        out: *mut u64,
    ) -> u32;
    pub fn hvpt_rs_explain(
        at: *const c_void,
        gpa: u64,
        access: u32,
        put: Put,
        ctx: *mut c_void,
    ) -> u32;
    pub fn hvpt_rs_stats(at: *const c_void, numbers: *mut u64);
    pub fn hvpt_rs_status_text(status: u32) -> *const u8;
    pub fn hvpt_rs_constant(number: u32) -> u64;
    pub fn hvpt_rs_sizeof_space() -> u64;
}

// vmx.c
extern "C" {
    pub fn hvctl_rs_status_text(status: u32) -> *const u8;
    pub fn hvctl_rs_vmx_caps_read(caps: *mut c_void, cpu: *mut c_void) -> u32;
    pub fn hvctl_rs_vmx_can(caps: *const c_void, control: u32) -> bool;
    pub fn hvctl_rs_vmx_caps_word(caps: *const c_void, which: u32) -> u64;
    pub fn hvctl_rs_vmx_solve(
        required: *const u64,
        wanted: *const u64,
        caps: *const c_void,
        controls: *mut u64,
        dropped: *mut u64,
        problems: *mut u32,
        count: *mut u32,
    ) -> u32;
    pub fn hvctl_rs_vmx_problem_text(problem: *const u32, put: Put, ctx: *mut c_void);
    pub fn hvctl_rs_vmx_control_text(control: u32, put: Put, ctx: *mut c_void);
    pub fn hvctl_rs_vmx_control_at(row: u32, control: *mut u32) -> *const u8;
    pub fn hvctl_rs_vmcs_field_at(row: u32, encoding: *mut u32, name: *mut *const u8) -> bool;
    pub fn hvctl_rs_vmcs_field_name(encoding: u32) -> *const u8;
    pub fn hvctl_rs_vmcs_init(image: *mut c_void, caps: *const c_void);
    pub fn hvctl_rs_vmcs_has(image: *const c_void, encoding: u32) -> bool;
    pub fn hvctl_rs_vmcs_read(image: *const c_void, encoding: u32, value: *mut u64) -> u32;
    pub fn hvctl_rs_vmcs_write(image: *mut c_void, encoding: u32, value: u64) -> u32;
    pub fn hvctl_rs_vmcs_touch_all(image: *mut c_void);
    pub fn hvctl_rs_vmcs_load(
        image: *mut c_void,
        types: u32,
        cpu: *mut c_void,
        failed: *mut u32,
    ) -> u32;
    pub fn hvctl_rs_vmcs_load_field(image: *mut c_void, encoding: u32, cpu: *mut c_void) -> u32;
    pub fn hvctl_rs_vmcs_store(image: *mut c_void, cpu: *mut c_void, failed: *mut u32) -> u32;
    pub fn hvctl_rs_vmcs_controls(image: *mut c_void, words: *const u64) -> u32;
    pub fn hvctl_rs_vmcs_control_on(image: *const c_void, control: u32) -> bool;
    pub fn hvctl_rs_vmcs_host(image: *mut c_void, cpu: *mut c_void) -> u32;
    pub fn hvctl_rs_vmcs_guest_write(
        image: *mut c_void,
        caps: *const c_void,
        state: *const c_void,
    ) -> u32;
    pub fn hvctl_rs_vmcs_guest_read(image: *const c_void, state: *mut c_void);
    pub fn hvctl_rs_vmcs_dump(image: *const c_void, put: Put, ctx: *mut c_void);
    pub fn hvctl_rs_vmcs_inject(
        image: *mut c_void,
        caps: *const c_void,
        kind: u32,
        vector: u32,
        error_code: u32,
        length: u32,
    ) -> u32;
    pub fn hvctl_rs_vmcs_inject_nested(
        image: *mut c_void,
        caps: *const c_void,
        vector: u32,
        error_code: u32,
    ) -> u32;
    pub fn hvctl_rs_vmcs_reblock_nmis(image: *mut c_void) -> u32;
    pub fn hvctl_rs_vmcs_set_cr0(image: *mut c_void, caps: *const c_void, value: u64) -> u32;
    pub fn hvctl_rs_exception_has_error_code(vector: u32) -> bool;
    pub fn hvctl_rs_vmcs_advance(image: *mut c_void) -> u32;
    pub fn hvctl_rs_vmcs_redeliver(image: *mut c_void) -> u32;
    pub fn hvctl_rs_guest_cpuid(leaf: u32, subleaf: u32, cr4: u64, registers: *mut u32);
    pub fn hvctl_rs_vmx_check(image: *const c_void, caps: *const c_void, report: *mut c_void);
    pub fn hvctl_rs_vmx_explain(
        image: *const c_void,
        caps: *const c_void,
        code: u32,
        qualification: u64,
        report: *mut c_void,
    ) -> u32;
    pub fn hvctl_rs_explanation_text(explanation: u32) -> *const u8;
    pub fn hvctl_rs_report_count(report: *const c_void, which: u32) -> u32;
    pub fn hvctl_rs_report_violation(
        report: *const c_void,
        number: u32,
        strings: *mut *const u8,
        numbers: *mut u64,
    ) -> u32;
    pub fn hvctl_rs_report_violation_text(
        report: *const c_void,
        number: u32,
        put: Put,
        ctx: *mut c_void,
    );
    pub fn hvctl_rs_report_text(report: *const c_void, put: Put, ctx: *mut c_void);
    pub fn hvctl_rs_failure_text(failure: u32) -> *const u8;
    pub fn hvctl_rs_vmx_exit_text(
        image: *const c_void,
        caps: *const c_void,
        put: Put,
        ctx: *mut c_void,
    );
    pub fn hvctl_rs_vmx_reason_name(reason: u32) -> *const u8;
    pub fn hvctl_rs_vmx_instruction_error_text(number: u32) -> *const u8;
    pub fn hvctl_rs_ept_violation(image: *const c_void) -> u32;
    pub fn hvctl_rs_vmx_io(qualification: u64) -> u32;
    pub fn hvctl_rs_vmx_cr_access(qualification: u64) -> u32;
    pub fn hvctl_rs_vmx_enable(
        cpu: *mut c_void,
        state: *mut c_void,
        memory: *mut u8,
        physical: u64,
        caps: *mut c_void,
    ) -> u32;
    pub fn hvctl_rs_vmx_enable_text(status: u32) -> *const u8;
    pub fn hvctl_rs_vmx_disable(cpu: *mut c_void, state: *mut c_void) -> u32;
    pub fn hvctl_rs_vmx_format(memory: *mut u8, physical: u64, caps: *const c_void);
    pub fn hvctl_rs_vmx_region_check(physical: u64, caps: *const c_void) -> u32;
    pub fn hvctl_rs_vmx_clear(cpu: *mut c_void, vmcs: u64) -> u32;
    pub fn hvctl_rs_vmx_load(cpu: *mut c_void, vmcs: u64) -> u32;
    pub fn hvctl_rs_vmx_instruction_error(cpu: *mut c_void) -> u32;
    pub fn hvctl_rs_vmx_invept(cpu: *mut c_void, caps: *const c_void, eptp: u64) -> u32;
    pub fn hvctl_rs_vmx_invvpid(
        cpu: *mut c_void,
        caps: *const c_void,
        kind: u32,
        vpid: u32,
        linear: u64,
    ) -> u32;
    pub fn hvctl_rs_fill(map: *mut u8, size: usize, on: bool);
    pub fn hvctl_rs_vmx_msr_exit(map: *mut u8, msr: u32, access: u32, on: bool) -> u32;
    pub fn hvctl_rs_vmx_io_exit(map: *mut u8, first: u32, count: u32, on: bool) -> u32;
    pub fn hvctl_rs_guest_real_mode(state: *mut c_void, cs_base: u32, ip: u32);
    pub fn hvctl_rs_guest_reset(state: *mut c_void);
    pub fn hvctl_rs_guest_flat32(state: *mut c_void, eip: u32, esp: u32);
    pub fn hvctl_rs_guest_long64(state: *mut c_void, cr3: u64, rip: u64, rsp: u64);
    pub fn hvctl_rs_guest_get(state: *const c_void, number: u32) -> u64;
    pub fn hvctl_rs_guest_set(state: *mut c_void, number: u32, value: u64);
    pub fn hvctl_rs_guest_known(state: *const c_void) -> u64;
    pub fn hvctl_rs_guest_set_known(state: *mut c_void, known: u64);
    pub fn hvctl_rs_guest_save(state: *const c_void, words: *mut u64);
    pub fn hvctl_rs_guest_restore(state: *mut c_void, words: *const u64, count: usize) -> u32;
    pub fn hvctl_rs_guest_get_segment(state: *const c_void, number: u32, words: *mut u64);
    pub fn hvctl_rs_guest_set_segment(state: *mut c_void, number: u32, words: *const u64);
    pub fn hvctl_rs_sizeof_vmx(number: u32) -> u64;
}

// svm.c
extern "C" {
    pub fn hvctl_rs_svm_caps_read(caps: *mut c_void, cpu: *mut c_void) -> u32;
    pub fn hvctl_rs_svm_can(caps: *const c_void, feature: u32) -> bool;
    pub fn hvctl_rs_svm_caps_word(caps: *const c_void, which: u32) -> u64;
    pub fn hvctl_rs_svm_feature_name(feature: u32) -> *const u8;
    pub fn hvctl_rs_svm_enable(
        cpu: *mut c_void,
        state: *mut c_void,
        host_save: u64,
        caps: *mut c_void,
    ) -> u32;
    pub fn hvctl_rs_svm_enable_text(status: u32) -> *const u8;
    pub fn hvctl_rs_svm_disable(cpu: *mut c_void, state: *mut c_void) -> u32;
    pub fn hvctl_rs_svm_vmcb_check(physical: u64, caps: *const c_void) -> u32;
    pub fn hvctl_rs_vmcb_zero(vmcb: *mut c_void);
    pub fn hvctl_rs_vmcb_member(offset: u32) -> u32;
    pub fn hvctl_rs_vmcb_get(vmcb: *const c_void, offset: u32) -> u64;
    pub fn hvctl_rs_vmcb_set(vmcb: *mut c_void, offset: u32, value: u64) -> bool;
    pub fn hvctl_rs_vmcb_get_segment(vmcb: *const c_void, offset: u32, words: *mut u64) -> bool;
    pub fn hvctl_rs_vmcb_set_segment(vmcb: *mut c_void, offset: u32, words: *const u64) -> bool;
    pub fn hvctl_rs_vmcb_field_at(row: u32, offset: *mut u32) -> *const u8;
    pub fn hvctl_rs_vmcb_mark_clean(vmcb: *mut c_void);
    pub fn hvctl_rs_vmcb_touch_all(vmcb: *mut c_void);
    pub fn hvctl_rs_vmcb_intercepts(vmcb: *const c_void, exit_code: u64) -> bool;
    pub fn hvctl_rs_vmcb_intercept(vmcb: *mut c_void, exit_code: u64, on: bool) -> u32;
    pub fn hvctl_rs_vmcb_nested_paging(vmcb: *mut c_void, n_cr3: u64, g_pat: u64);
    pub fn hvctl_rs_vmcb_guest_write(vmcb: *mut c_void, state: *const c_void) -> u32;
    pub fn hvctl_rs_vmcb_guest_read(vmcb: *const c_void, state: *mut c_void);
    pub fn hvctl_rs_vmcb_inject(vmcb: *mut c_void, kind: u32, vector: u32, error_code: u32) -> u32;
    pub fn hvctl_rs_vmcb_inject_nested(vmcb: *mut c_void, vector: u32, error_code: u32) -> u32;
    pub fn hvctl_rs_vmcb_fetched(vmcb: *const c_void, bytes: *mut u8) -> u32;
    pub fn hvctl_rs_vmcb_advance(vmcb: *mut c_void, caps: *const c_void) -> u32;
    pub fn hvctl_rs_vmcb_redeliver(vmcb: *mut c_void);
    pub fn hvctl_rs_svm_check(vmcb: *const c_void, caps: *const c_void, report: *mut c_void);
    pub fn hvctl_rs_svm_exit_text(
        vmcb: *const c_void,
        decode_assists: bool,
        put: Put,
        ctx: *mut c_void,
    );
    pub fn hvctl_rs_svm_exit_invalid(code: u64) -> bool;
    pub fn hvctl_rs_svm_exit_name(code: u64) -> *const u8;
    pub fn hvctl_rs_svm_io(exitinfo1: u64) -> u32;
    pub fn hvctl_rs_svm_msr_exit(map: *mut u8, msr: u32, access: u32, on: bool) -> u32;
    pub fn hvctl_rs_svm_io_exit(map: *mut u8, first: u32, count: u32, on: bool) -> u32;
    pub fn hvctl_rs_vpid_pool(pool: *mut c_void);
    pub fn hvctl_rs_asid_pool(pool: *mut c_void, caps: *const c_void) -> u32;
    pub fn hvctl_rs_tag_take(pool: *mut c_void, tag: *mut c_void, value: *mut u32) -> u32;
    pub fn hvctl_rs_tag_pool_reset(pool: *mut c_void);
    pub fn hvctl_rs_tag_drop(tag: *mut c_void);
    pub fn hvctl_rs_sizeof_svm(number: u32) -> u64;
}

// cpu.c
#[cfg(target_arch = "x86_64")]
extern "C" {
    pub fn hvctl_rs_native_rdmsr(msr: u32) -> u64;
    pub fn hvctl_rs_native_wrmsr(msr: u32, value: u64);
    pub fn hvctl_rs_native_rdtsc() -> u64;
    pub fn hvctl_rs_native_cpuid(leaf: u32, subleaf: u32, registers: *mut u32);
    pub fn hvctl_rs_native_read_cr(number: u32) -> u64;
    pub fn hvctl_rs_native_write_cr(number: u32, value: u64);
    pub fn hvctl_rs_native_selectors(words: *mut u16);
    pub fn hvctl_rs_native_table(idt: bool, limit: *mut u16) -> u64;
    pub fn hvctl_rs_native_vmx(instruction: u32, operand: u64) -> u32;
    pub fn hvctl_rs_native_vmptrst() -> u64;
    pub fn hvctl_rs_native_vmread(field: u32, value: *mut u64) -> bool;
    pub fn hvctl_rs_native_vmwrite(field: u32, value: u64) -> bool;
    pub fn hvctl_rs_native_invalidate(vpid: bool, kind: u32, low: u64, high: u64) -> u32;
    pub fn hvctl_rs_native_load_table(idt: bool, base: u64, limit: u16);
    pub fn hvctl_rs_native_load_tr(selector: u16);
    pub fn hvctl_rs_native_load_ldtr(selector: u16);
    pub fn hvctl_rs_native_load_segment(number: u32, selector: u16);
    pub fn hvctl_rs_native_read_dr(number: u32) -> u64;
    pub fn hvctl_rs_native_write_dr(number: u32, value: u64);
    pub fn hvctl_rs_native_read_xcr0() -> u64;
    pub fn hvctl_rs_native_write_xcr0(value: u64);
    pub fn hvctl_rs_native_verw();
    pub fn hvctl_rs_native_machine_check();
    pub fn hvctl_rs_native_stgi();
    pub fn hvctl_rs_native_nmi();
    pub fn hvctl_rs_native_irq_off() -> u64;
    pub fn hvctl_rs_native_irq_restore(flags: u64);
    pub fn hvctl_rs_native_vmx_switch(regs: *mut u64, launched: bool) -> u32;
    pub fn hvctl_rs_native_svm_switch(regs: *mut u64, vmcb: u64, host: u64, interrupts: bool);
    pub fn hvctl_rs_native_state_save(area: *mut u8, wide: bool);
    pub fn hvctl_rs_native_state_load(area: *const u8, wide: bool);
}
