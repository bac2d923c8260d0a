/* VMX for Rust: capabilities, control words, the VMCS image, the checker, exits, and VMX operation of one CPU. */
#include "cpu.h"
#include "shim.h"

#include <hvctl/vmx/advance.h>
#include <hvctl/common/bitmaps.h>
#include <hvctl/cpu/vmx.h>
#include <hvctl/cpu/vmx_host.h>
#include <hvctl/common/guest_cpuid.h>
#include <hvctl/vmx/vmcs_dump.h>
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/solver.h>
#include <hvctl/vmx/event.h>
#include <hvctl/vmx/exit.h>
#include <hvctl/vmx/guest.h>
#include <hvpt/fault/ept.h>

HVPT_RS_FITS(struct hvctl_vmx_caps, HVPT_RS_SIZE_VMX_CAPS);
HVPT_RS_FITS(struct hvctl_vmcs_image, HVPT_RS_SIZE_VMCS_IMAGE);
HVPT_RS_FITS(struct hvctl_report, HVPT_RS_SIZE_REPORT);
HVPT_RS_FITS(struct hvctl_guest_state, HVPT_RS_SIZE_GUEST_STATE);
HVPT_RS_FITS(struct hvctl_vmx_cpu, HVPT_RS_SIZE_VMX_CPU);

const char *hvctl_rs_status_text(uint32_t status)
{
    return hvctl_status_text((enum hvctl_status)status);
}

/* ---- capabilities ---- */

uint32_t hvctl_rs_vmx_caps_read(struct hvctl_vmx_caps *caps, void *cpu)
{
    return (uint32_t)hvctl_vmx_caps_read(caps, hvctl_rs_cpu_rdmsr, hvctl_rs_cpuid, cpu);
}

bool hvctl_rs_vmx_can(const struct hvctl_vmx_caps *caps, uint32_t control)
{
    return hvctl_vmx_can(caps, (enum hvctl_vmx_control)control);
}

/*
 * 0 IA32_VMX_BASIC, 1 IA32_VMX_MISC, 2 IA32_VMX_EPT_VPID_CAP, 3 MAXPHYADDR, 4 revision, 5 the MSR that failed, 6 and 7
 * IA32_VMX_CR4_FIXED0 and _FIXED1.
 */
uint64_t hvctl_rs_vmx_caps_word(const struct hvctl_vmx_caps *caps, uint32_t which)
{
    switch (which) {
    case 0: return caps->basic;
    case 1: return caps->misc;
    case 2: return caps->ept_vpid_cap;
    case 3: return caps->cpu.maxphyaddr;
    case 4: return hvctl_vmx_revision(caps);
    case 5: return caps->failed_msr;
    case 6: return caps->cr4_fixed0;
    case 7: return caps->cr4_fixed1;
    default: return 0;
    }
}

/* ---- controls: eight words ---- */

static struct hvctl_vmx_controls controls_in(const uint64_t *words)
{
    struct hvctl_vmx_controls set;
    unsigned group;

    for (group = 0; group < HVCTL_GROUP_COUNT; group++)
        set.word[group] = words[group];
    return set;
}

/*
 * controls, dropped: eight words each. problems: room for HVCTL_VMX_PROBLEMS_MAX times control, obstacle, other; count:
 * how many are filled in.
 */
uint32_t hvctl_rs_vmx_solve(const uint64_t *required, const uint64_t *wanted, const struct hvctl_vmx_caps *caps,
                            uint64_t *controls, uint64_t *dropped, uint32_t *problems, uint32_t *count)
{
    const struct hvctl_vmx_controls need = controls_in(required), like = controls_in(wanted);
    struct hvctl_vmx_solution solution;
    enum hvctl_status status = hvctl_vmx_solve(&need, &like, caps, &solution);
    unsigned i;

    for (i = 0; i < HVCTL_GROUP_COUNT; i++) {
        controls[i] = solution.controls.word[i];
        dropped[i] = solution.dropped.word[i];
    }
    *count = solution.problem_count < HVCTL_VMX_PROBLEMS_MAX ? solution.problem_count : HVCTL_VMX_PROBLEMS_MAX;
    for (i = 0; i < *count; i++) {
        problems[3 * i] = (uint32_t)solution.problems[i].control;
        problems[3 * i + 1] = (uint32_t)solution.problems[i].obstacle;
        problems[3 * i + 2] = (uint32_t)solution.problems[i].other;
    }
    return (uint32_t)status;
}

void hvctl_rs_vmx_problem_text(const uint32_t *problem, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);
    struct hvctl_vmx_problem read;

    read.control = (enum hvctl_vmx_control)problem[0];
    read.obstacle = (enum hvctl_vmx_obstacle)problem[1];
    read.other = (enum hvctl_vmx_control)problem[2];
    hvctl_vmx_problem_text(&read, &text);
}

void hvctl_rs_vmx_control_text(uint32_t control, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    hvctl_vmx_control_text((enum hvctl_vmx_control)control, &text);
}

/* Row of the list of controls; NULL behind its end. */
const char *hvctl_rs_vmx_control_at(uint32_t row, uint32_t *control)
{
    const struct hvctl_vmx_control_info *info = hvctl_vmx_control_at(row);

    if (!info)
        return NULL;
    *control = (uint32_t)info->control;
    return info->name;
}

/* ---- the image ---- */

/* Row of the list of fields, gaps without a name; false behind its end. */
bool hvctl_rs_vmcs_field_at(uint32_t row, uint32_t *encoding, const char **name)
{
    const struct hvctl_vmcs_field_row *info = hvctl_vmcs_slot_info(row);

    if (!info)
        return false;
    *encoding = info->encoding;
    *name = info->name;
    return true;
}

const char *hvctl_rs_vmcs_field_name(uint32_t encoding)
{
    return hvctl_vmcs_field_name(encoding);
}

void hvctl_rs_vmcs_init(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps)
{
    hvctl_vmcs_image_init(image, caps);
}

bool hvctl_rs_vmcs_has(const struct hvctl_vmcs_image *image, uint32_t encoding)
{
    return hvctl_vmcs_has(image, encoding);
}

uint32_t hvctl_rs_vmcs_read(const struct hvctl_vmcs_image *image, uint32_t encoding, uint64_t *value)
{
    return (uint32_t)hvctl_vmcs_read(image, encoding, value);
}

uint32_t hvctl_rs_vmcs_write(struct hvctl_vmcs_image *image, uint32_t encoding, uint64_t value)
{
    return (uint32_t)hvctl_vmcs_write(image, encoding, value);
}

void hvctl_rs_vmcs_touch_all(struct hvctl_vmcs_image *image)
{
    hvctl_vmcs_touch_all(image);
}

uint32_t hvctl_rs_vmcs_load(struct hvctl_vmcs_image *image, uint32_t types, void *cpu, uint32_t *failed)
{
    return (uint32_t)hvctl_vmcs_load(image, types, hvctl_rs_cpu_vmread, cpu, failed);
}

uint32_t hvctl_rs_vmcs_load_field(struct hvctl_vmcs_image *image, uint32_t encoding, void *cpu)
{
    return (uint32_t)hvctl_vmcs_load_field(image, encoding, hvctl_rs_cpu_vmread, cpu);
}

uint32_t hvctl_rs_vmcs_store(struct hvctl_vmcs_image *image, void *cpu, uint32_t *failed)
{
    return (uint32_t)hvctl_vmcs_store(image, hvctl_rs_cpu_vmwrite, cpu, failed);
}

uint32_t hvctl_rs_vmcs_controls(struct hvctl_vmcs_image *image, const uint64_t *words)
{
    const struct hvctl_vmx_controls set = controls_in(words);

    return (uint32_t)hvctl_vmx_controls_write(image, &set);
}

bool hvctl_rs_vmcs_control_on(const struct hvctl_vmcs_image *image, uint32_t control)
{
    return hvctl_vmx_control_on(image, (enum hvctl_vmx_control)control);
}

uint32_t hvctl_rs_vmcs_host(struct hvctl_vmcs_image *image, void *cpu)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_vmx_host_capture(&ops, image);
}

uint32_t hvctl_rs_vmcs_guest_write(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                                   const struct hvctl_guest_state *state)
{
    return (uint32_t)hvctl_vmx_guest_write(image, caps, state);
}

void hvctl_rs_vmcs_guest_read(const struct hvctl_vmcs_image *image, struct hvctl_guest_state *state)
{
    *state = hvctl_vmx_guest_read(image);
}

void hvctl_rs_vmcs_dump(const struct hvctl_vmcs_image *image, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    hvctl_vmcs_dump(image, &text);
}

uint32_t hvctl_rs_vmcs_inject(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps, uint32_t type,
                              uint32_t vector, uint32_t error_code, uint32_t length)
{
    return (uint32_t)hvctl_vmx_inject(
        image, caps, hvctl_vmx_event_make((enum hvctl_event_type)type, (uint8_t)vector, error_code, length));
}

/* As hvctl_rs_vmcs_inject, of an exception that arose while the event of IDT-vectoring information was delivered. */
uint32_t hvctl_rs_vmcs_inject_nested(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                                     uint32_t vector, uint32_t error_code)
{
    return (uint32_t)hvctl_vmx_inject_nested(
        image, caps, hvctl_vmx_event_make(HVCTL_EVENT_HARDWARE_EXCEPTION, (uint8_t)vector, error_code, 0));
}

uint32_t hvctl_rs_vmcs_reblock_nmis(struct hvctl_vmcs_image *image)
{
    return (uint32_t)hvctl_vmx_reblock_nmis(image);
}

uint32_t hvctl_rs_vmcs_set_cr0(struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps, uint64_t value)
{
    return (uint32_t)hvctl_vmx_guest_set_cr0(image, caps, value);
}

bool hvctl_rs_exception_has_error_code(uint32_t vector)
{
    return vector < 32 && hvctl_exception_has_error_code((uint8_t)vector);
}

uint32_t hvctl_rs_vmcs_advance(struct hvctl_vmcs_image *image)
{
    return (uint32_t)hvctl_vmx_advance(image);
}

uint32_t hvctl_rs_vmcs_redeliver(struct hvctl_vmcs_image *image)
{
    return (uint32_t)hvctl_vmx_redeliver(image);
}

/* ---- the checker's report, for both vendors ---- */

void hvctl_rs_vmx_check(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps,
                        struct hvctl_report *report)
{
    hvctl_vmx_check(image, caps, report);
}

/* code and qualification as hvctl_vmx_explain_failure has them. */
uint32_t hvctl_rs_vmx_explain(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps, uint32_t code,
                              uint64_t qualification, struct hvctl_report *report)
{
    return (uint32_t)hvctl_vmx_explain_failure(image, caps, code, qualification, report);
}

const char *hvctl_rs_explanation_text(uint32_t explanation)
{
    return hvctl_explanation_text((enum hvctl_explanation)explanation);
}

/* 0 broken, 1 unchecked, 2 violations that are listed. */
uint32_t hvctl_rs_report_count(const struct hvctl_report *report, uint32_t which)
{
    return which == 0 ? report->broken : which == 1 ? report->unchecked : hvctl_report_listed(report);
}

/* strings: rule, section, text, field. The failure's number comes back; numbers: actual value, qualification. */
uint32_t hvctl_rs_report_violation(const struct hvctl_report *report, uint32_t number, const char **strings,
                                   uint64_t *numbers)
{
    const struct hvctl_violation *violation = &report->violation[number];

    strings[0] = violation->rule;
    strings[1] = violation->section;
    strings[2] = violation->text;
    strings[3] = violation->finding.field;
    numbers[0] = violation->finding.actual;
    numbers[1] = violation->finding.qualification;
    return (uint32_t)violation->failure;
}

void hvctl_rs_report_violation_text(const struct hvctl_report *report, uint32_t number, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    hvctl_violation_text(&report->violation[number], &text);
}

void hvctl_rs_report_text(const struct hvctl_report *report, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    hvctl_report_text(report, &text);
}

const char *hvctl_rs_failure_text(uint32_t failure)
{
    return hvctl_failure_text((enum hvctl_failure)failure);
}

/* ---- exits ---- */

void hvctl_rs_vmx_exit_text(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_caps *caps, hvpt_rs_put put,
                            void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    hvctl_vmx_exit_text(image, caps, &text);
}

const char *hvctl_rs_vmx_reason_name(uint32_t reason)
{
    return hvctl_vmx_exit_reason_name(reason);
}

const char *hvctl_rs_vmx_instruction_error_text(uint32_t number)
{
    return hvctl_vmx_instruction_error_text(number);
}

/*
 * The low nine bits of an EPT violation's qualification, those cleared that this CPU and VMCS do not define:
 * user-executable without mode-based execute control, final translation without a linear address.
 */
uint32_t hvctl_rs_ept_violation(const struct hvctl_vmcs_image *image)
{
    uint64_t bits = hvctl_vmcs_get(image, HVCTL_VMCS_EXIT_QUALIFICATION);

    if (!hvctl_vmx_control_on(image, HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT))
        bits &= ~HVPT_EPT_VIOLATION_USER_EXECUTABLE;
    if (!(bits & HVPT_EPT_VIOLATION_LINEAR_VALID))
        bits &= ~HVPT_EPT_VIOLATION_FINAL;
    return (uint32_t)(bits & 0x1ff);
}

/* Size in bytes in bits 7:0, then in, string, rep from bit 8; the port from bit 16. */
uint32_t hvctl_rs_vmx_io(uint64_t qualification)
{
    const struct hvctl_vmx_io io = hvctl_vmx_io_decode(qualification);

    return io.size | (uint32_t)io.in << 8 | (uint32_t)io.string << 9 | (uint32_t)io.rep << 10 | (uint32_t)io.port << 16;
}

/* Control register in bits 3:0, type in 5:4, general register in 11:8, source of LMSW from 16. */
uint32_t hvctl_rs_vmx_cr_access(uint64_t qualification)
{
    const struct hvctl_vmx_cr_access cr = hvctl_vmx_cr_access_decode(qualification);

    return cr.cr | (uint32_t)cr.type << 4 | cr.gpr << 8 | (uint32_t)cr.lmsw_source << 16;
}

/* ---- a CPU in VMX operation ---- */

static struct hvctl_vmx_region region(void *memory, uint64_t physical)
{
    struct hvctl_vmx_region out;

    out.memory = memory;
    out.physical = physical;
    return out;
}

uint32_t hvctl_rs_vmx_enable(void *cpu, struct hvctl_vmx_cpu *state, void *memory, uint64_t physical,
                             struct hvctl_vmx_caps *caps)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);
    const struct hvctl_vmx_region page = region(memory, physical);

    return (uint32_t)hvctl_vmx_enable(&ops, state, &page, caps);
}

const char *hvctl_rs_vmx_enable_text(uint32_t status)
{
    return hvctl_vmx_enable_text((enum hvctl_vmx_enable_status)status);
}

uint32_t hvctl_rs_vmx_disable(void *cpu, struct hvctl_vmx_cpu *state)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_vmx_disable(&ops, state);
}

void hvctl_rs_vmx_format(void *memory, uint64_t physical, const struct hvctl_vmx_caps *caps)
{
    const struct hvctl_vmx_region page = region(memory, physical);

    hvctl_vmx_region_format(&page, caps);
}

uint32_t hvctl_rs_vmx_region_check(uint64_t physical, const struct hvctl_vmx_caps *caps)
{
    return (uint32_t)hvctl_vmx_region_check(physical, caps);
}

uint32_t hvctl_rs_vmx_clear(void *cpu, uint64_t vmcs)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_vmx_clear(&ops, vmcs);
}

uint32_t hvctl_rs_vmx_load(void *cpu, uint64_t vmcs)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_vmx_load(&ops, vmcs);
}

uint32_t hvctl_rs_vmx_instruction_error(void *cpu)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return hvctl_vmx_instruction_error(&ops);
}

uint32_t hvctl_rs_vmx_invept(void *cpu, const struct hvctl_vmx_caps *caps, uint64_t eptp)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_vmx_invept(&ops, caps, eptp);
}

uint32_t hvctl_rs_vmx_invvpid(void *cpu, const struct hvctl_vmx_caps *caps, uint32_t type, uint32_t vpid,
                              uint64_t linear)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_vmx_invvpid(&ops, caps, (enum hvctl_invvpid_type)type, (uint16_t)vpid, linear);
}

/* ---- permission maps ---- */

void hvctl_rs_fill(uint8_t *map, size_t size, bool on)
{
    hvctl_bitmap_fill(map, size, on);
}

uint32_t hvctl_rs_vmx_msr_exit(uint8_t *map, uint32_t msr, uint32_t access, bool on)
{
    return (uint32_t)hvctl_vmx_msr_exit((struct hvctl_vmx_msr_bitmap *)(void *)map, msr, access, on);
}

uint32_t hvctl_rs_vmx_io_exit(uint8_t *map, uint32_t first, uint32_t count, bool on)
{
    return (uint32_t)hvctl_vmx_io_exit((struct hvctl_vmx_io_bitmap *)(void *)map, first, count, on);
}

/* ---- a guest's state, for both vendors ---- */

void hvctl_rs_guest_real_mode(struct hvctl_guest_state *state, uint32_t cs_base, uint32_t ip)
{
    *state = hvctl_guest_real_mode(cs_base, (uint16_t)ip);
}

void hvctl_rs_guest_reset(struct hvctl_guest_state *state)
{
    *state = hvctl_guest_reset();
}

void hvctl_rs_guest_flat32(struct hvctl_guest_state *state, uint32_t eip, uint32_t esp)
{
    *state = hvctl_guest_flat32(eip, esp);
}

void hvctl_rs_guest_long64(struct hvctl_guest_state *state, uint64_t cr3, uint64_t rip, uint64_t rsp)
{
    *state = hvctl_guest_long64(cr3, rip, rsp);
}

/* registers: EAX to EDX, the host's answer, which becomes the guest's. */
void hvctl_rs_guest_cpuid(uint32_t leaf, uint32_t subleaf, uint64_t cr4, uint32_t *registers)
{
    const struct hvctl_cpuid host = {registers[0], registers[1], registers[2], registers[3]};
    const struct hvctl_cpuid id = hvctl_guest_cpuid(leaf, subleaf, host, cr4);

    registers[0] = id.eax;
    registers[1] = id.ebx;
    registers[2] = id.ecx;
    registers[3] = id.edx;
}

/* The registers of a state in the order of guest.rs's enum Register; NULL: there is no such number. */
static uint64_t *guest_register(struct hvctl_guest_state *state, uint32_t number)
{
    switch (number) {
    case 0: return &state->cr0;
    case 1: return &state->cr3;
    case 2: return &state->cr4;
    case 3: return &state->efer;
    case 4: return &state->rip;
    case 5: return &state->rsp;
    case 6: return &state->rflags;
    case 7: return &state->dr7;
    case 8: return &state->pat;
    case 9: return &state->sysenter_cs;
    case 10: return &state->sysenter_esp;
    case 11: return &state->sysenter_eip;
    case 12: return &state->cr2;
    case 13: return &state->dr6;
    case 14: return &state->star;
    case 15: return &state->lstar;
    case 16: return &state->cstar;
    case 17: return &state->sfmask;
    case 18: return &state->kernel_gs_base;
    case 19: return &state->interruptibility;
    case 20: return &state->activity;
    case 21: return &state->pending_debug;
    case 22: return &state->debugctl;
    case 23: return &state->pdpte[0];
    case 24: return &state->pdpte[1];
    case 25: return &state->pdpte[2];
    case 26: return &state->pdpte[3];
    default: return NULL;
    }
}

uint64_t hvctl_rs_guest_get(const struct hvctl_guest_state *state, uint32_t number)
{
    struct hvctl_guest_state copy = *state;
    const uint64_t *place = guest_register(&copy, number);

    return place ? *place : 0;
}

void hvctl_rs_guest_set(struct hvctl_guest_state *state, uint32_t number, uint64_t value)
{
    uint64_t *place = guest_register(state, number);

    if (place)
        *place = value;
}

uint64_t hvctl_rs_guest_known(const struct hvctl_guest_state *state)
{
    return state->known;
}

void hvctl_rs_guest_set_known(struct hvctl_guest_state *state, uint64_t known)
{
    state->known = known & HVCTL_KNOWS_ALL;
}

_Static_assert(HVCTL_GUEST_STATE_WORDS == HVPT_RS_SIZE_GUEST_WORDS, "sizes.rs has another number of words");

void hvctl_rs_guest_save(const struct hvctl_guest_state *state, uint64_t *words)
{
    hvctl_guest_state_save(state, words);
}

uint32_t hvctl_rs_guest_restore(struct hvctl_guest_state *state, const uint64_t *words, size_t count)
{
    return (uint32_t)hvctl_guest_state_restore(state, words, count);
}

/* Segments from ES to TR, GDTR, IDTR in the order of the struct; words: selector, limit, rights, base. */
static struct hvctl_segment *guest_segment(struct hvctl_guest_state *state, uint32_t number)
{
    switch (number) {
    case 0: return &state->es;
    case 1: return &state->cs;
    case 2: return &state->ss;
    case 3: return &state->ds;
    case 4: return &state->fs;
    case 5: return &state->gs;
    case 6: return &state->ldtr;
    case 7: return &state->tr;
    case 8: return &state->gdtr;
    case 9: return &state->idtr;
    default: return NULL;
    }
}

void hvctl_rs_guest_get_segment(const struct hvctl_guest_state *state, uint32_t number, uint64_t *words)
{
    struct hvctl_guest_state copy = *state;
    const struct hvctl_segment *segment = guest_segment(&copy, number);

    if (!segment)
        return;
    words[0] = segment->selector;
    words[1] = segment->limit;
    words[2] = segment->rights;
    words[3] = segment->base;
}

void hvctl_rs_guest_set_segment(struct hvctl_guest_state *state, uint32_t number, const uint64_t *words)
{
    struct hvctl_segment *segment = guest_segment(state, number);

    if (segment)
        *segment = hvctl_segment_make((uint16_t)words[0], words[3], (uint32_t)words[1], (uint32_t)words[2]);
}

/* Sizes in bytes, in the order of sizes.rs from VMX_CAPS on. */
uint64_t hvctl_rs_sizeof_vmx(uint32_t number)
{
    static const size_t list[] = {sizeof(struct hvctl_vmx_caps),    0,
                                  sizeof(struct hvctl_vmcs_image),  sizeof(struct hvctl_report),
                                  sizeof(struct hvctl_guest_state), sizeof(struct hvctl_vmx_cpu)};

    return number < sizeof(list) / sizeof(list[0]) ? list[number] : 0;
}
