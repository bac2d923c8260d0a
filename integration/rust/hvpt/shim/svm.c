/* SVM for Rust: capabilities, the VMCB's members, the checker, exits, ASIDs, and SVM on one CPU. */
#include "cpu.h"
#include "shim.h"

#include <hvctl/svm/advance.h>
#include <hvctl/common/bitmaps.h>
#include <hvctl/cpu/svm.h>
#include <hvctl/svm/check.h>
#include <hvctl/svm/exit.h>
#include <hvctl/svm/guest.h>
#include <hvctl/svm/asids.h>

HVPT_RS_FITS(struct hvctl_svm_caps, HVPT_RS_SIZE_SVM_CAPS);
HVPT_RS_FITS(struct hvctl_svm_cpu, HVPT_RS_SIZE_SVM_CPU);
HVPT_RS_FITS(struct hvctl_tag_pool, HVPT_RS_SIZE_TAG_POOL);
HVPT_RS_FITS(struct hvctl_tag, HVPT_RS_SIZE_TAG);

/* ---- capabilities ---- */

uint32_t hvctl_rs_svm_caps_read(struct hvctl_svm_caps *caps, void *cpu)
{
    return (uint32_t)hvctl_svm_caps_read(caps, hvctl_rs_cpuid, cpu);
}

bool hvctl_rs_svm_can(const struct hvctl_svm_caps *caps, uint32_t feature)
{
    return hvctl_svm_can(caps, (enum hvctl_svm_feature)feature);
}

/* 0 revision, 1 number of ASIDs, 2 MAXPHYADDR, 3 pages of 1 GiB, 4 NX. */
uint64_t hvctl_rs_svm_caps_word(const struct hvctl_svm_caps *caps, uint32_t which)
{
    switch (which) {
    case 0: return caps->revision;
    case 1: return caps->asids;
    case 2: return caps->cpu.maxphyaddr;
    case 3: return caps->cpu.page1g;
    case 4: return caps->cpu.nx;
    default: return 0;
    }
}

const char *hvctl_rs_svm_feature_name(uint32_t feature)
{
    return hvctl_svm_feature_name((enum hvctl_svm_feature)feature);
}

/* ---- a CPU with SVM on ---- */

uint32_t hvctl_rs_svm_enable(void *cpu, struct hvctl_svm_cpu *state, uint64_t host_save, struct hvctl_svm_caps *caps)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_svm_enable(&ops, state, host_save, caps);
}

const char *hvctl_rs_svm_enable_text(uint32_t status)
{
    return hvctl_svm_enable_text((enum hvctl_svm_enable_status)status);
}

uint32_t hvctl_rs_svm_disable(void *cpu, struct hvctl_svm_cpu *state)
{
    const struct hvctl_cpu_ops ops = hvctl_rs_ops(cpu);

    return (uint32_t)hvctl_svm_disable(&ops, state);
}

uint32_t hvctl_rs_svm_vmcb_check(uint64_t physical, const struct hvctl_svm_caps *caps)
{
    return (uint32_t)hvctl_svm_vmcb_check(physical, caps);
}

/* ---- the VMCB: members by their offset in the page ---- */

void hvctl_rs_vmcb_zero(struct hvctl_vmcb *vmcb)
{
    hvctl_vmcb_zero(vmcb);
}

/*
 * Size in bytes and clean bit of the member at an offset in the page; 0: no member begins there. A segment is one member
 * of 16 bytes; arrays are not in the lists.
 */
static uint32_t member_at(uint32_t offset, uint32_t *clean)
{
#define HVCTL_A(member, at, type, count)
    switch (offset) {
#define HVCTL_X(member, at, type, bit) \
    case (at): *clean = HVCTL_CLEAN_##bit; return (uint32_t)sizeof(type);
        HVCTL_VMCB_CONTROL_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#define HVCTL_X(member, at, type, bit) \
    case 0x400 + (at): *clean = HVCTL_CLEAN_##bit; return (uint32_t)sizeof(type);
        HVCTL_VMCB_SAVE_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
    default: return 0;
    }
#undef HVCTL_A
}

/* The member's size; 0: none begins at this offset. */
uint32_t hvctl_rs_vmcb_member(uint32_t offset)
{
    uint32_t clean;

    return member_at(offset, &clean);
}

/* The member at offset, of up to 8 bytes; 0 if there is none. */
uint64_t hvctl_rs_vmcb_get(const struct hvctl_vmcb *vmcb, uint32_t offset)
{
    const unsigned char *bytes = (const unsigned char *)vmcb + offset;
    uint32_t clean, size = member_at(offset, &clean), i;
    uint64_t value = 0;

    for (i = 0; i < size && size <= 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* As the member's setter: its clean bit is cleared. false: no member of up to 8 bytes begins there. */
bool hvctl_rs_vmcb_set(struct hvctl_vmcb *vmcb, uint32_t offset, uint64_t value)
{
    unsigned char *bytes = (unsigned char *)vmcb + offset;
    uint32_t clean, size = member_at(offset, &clean), i;

    if (size == 0 || size > 8)
        return false;
    for (i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    vmcb->control.vmcb_clean &= ~clean;
    return true;
}

/* words: selector, attributes, limit, base. false: no segment begins there. */
bool hvctl_rs_vmcb_get_segment(const struct hvctl_vmcb *vmcb, uint32_t offset, uint64_t *words)
{
    uint32_t clean;
    const struct hvctl_vmcb_segment *segment =
        (const struct hvctl_vmcb_segment *)(const void *)((const unsigned char *)vmcb + offset);

    if (member_at(offset, &clean) != sizeof(*segment))
        return false;
    words[0] = segment->selector;
    words[1] = segment->attrib;
    words[2] = segment->limit;
    words[3] = segment->base;
    return true;
}

bool hvctl_rs_vmcb_set_segment(struct hvctl_vmcb *vmcb, uint32_t offset, const uint64_t *words)
{
    uint32_t clean;
    struct hvctl_vmcb_segment *segment = (struct hvctl_vmcb_segment *)(void *)((unsigned char *)vmcb + offset);

    if (member_at(offset, &clean) != sizeof(*segment))
        return false;
    segment->selector = (uint16_t)words[0];
    segment->attrib = (uint16_t)words[1];
    segment->limit = (uint32_t)words[2];
    segment->base = words[3];
    vmcb->control.vmcb_clean &= ~clean;
    return true;
}

/* Row of the list of members, control area first: its name and offset in the page; NULL behind the end. */
const char *hvctl_rs_vmcb_field_at(uint32_t row, uint32_t *offset)
{
    static const struct {
        const char *name;
        uint32_t offset;
    } list[] = {
#define HVCTL_A(member, at, type, count)
#define HVCTL_X(member, at, type, bit) {#member, (at)},
        HVCTL_VMCB_CONTROL_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#define HVCTL_X(member, at, type, bit) {#member, 0x400 + (at)},
            HVCTL_VMCB_SAVE_FIELDS(HVCTL_X, HVCTL_A)
#undef HVCTL_X
#undef HVCTL_A
    };

    if (row >= sizeof(list) / sizeof(list[0]))
        return NULL;
    *offset = list[row].offset;
    return list[row].name;
}

void hvctl_rs_vmcb_mark_clean(struct hvctl_vmcb *vmcb)
{
    hvctl_vmcb_mark_clean(vmcb);
}

void hvctl_rs_vmcb_touch_all(struct hvctl_vmcb *vmcb)
{
    hvctl_vmcb_touch_all(vmcb);
}

bool hvctl_rs_vmcb_intercepts(const struct hvctl_vmcb *vmcb, uint64_t exit_code)
{
    return hvctl_vmcb_intercepts(vmcb, exit_code);
}

uint32_t hvctl_rs_vmcb_intercept(struct hvctl_vmcb *vmcb, uint64_t exit_code, bool on)
{
    return (uint32_t)hvctl_vmcb_intercept(vmcb, exit_code, on);
}

void hvctl_rs_vmcb_nested_paging(struct hvctl_vmcb *vmcb, uint64_t n_cr3, uint64_t g_pat)
{
    hvctl_vmcb_set_nested_paging(vmcb, n_cr3, g_pat);
}

uint32_t hvctl_rs_vmcb_guest_write(struct hvctl_vmcb *vmcb, const struct hvctl_guest_state *state)
{
    return (uint32_t)hvctl_svm_guest_write(vmcb, state);
}

void hvctl_rs_vmcb_guest_read(const struct hvctl_vmcb *vmcb, struct hvctl_guest_state *state)
{
    *state = hvctl_svm_guest_read(vmcb);
}

uint32_t hvctl_rs_vmcb_inject(struct hvctl_vmcb *vmcb, uint32_t type, uint32_t vector, uint32_t error_code)
{
    return (uint32_t)hvctl_vmcb_inject(vmcb, hvctl_svm_event_make((enum hvctl_svm_event_type)type, (uint8_t)vector,
                                                                  error_code));
}

uint32_t hvctl_rs_vmcb_inject_nested(struct hvctl_vmcb *vmcb, uint32_t vector, uint32_t error_code)
{
    return (uint32_t)hvctl_svm_inject_nested(
        vmcb, hvctl_svm_event_make(HVCTL_SVM_EVENT_EXCEPTION, (uint8_t)vector, error_code));
}

/*
 * What the CPU fetched of the instruction that met a nested page fault, at most 15 bytes; how many they are. With
 * decode assists only. APM vol. 2, "State Saved on Exit".
 */
uint32_t hvctl_rs_vmcb_fetched(const struct hvctl_vmcb *vmcb, uint8_t *bytes)
{
    uint32_t count = vmcb->control.insn_bytes_fetched, i;

    if (count > 15)
        count = 15;
    for (i = 0; i < count; i++)
        bytes[i] = vmcb->control.guest_instruction_bytes[i];
    return count;
}

uint32_t hvctl_rs_vmcb_advance(struct hvctl_vmcb *vmcb, const struct hvctl_svm_caps *caps)
{
    return (uint32_t)hvctl_svm_advance(vmcb, caps);
}

void hvctl_rs_vmcb_redeliver(struct hvctl_vmcb *vmcb)
{
    hvctl_svm_redeliver(vmcb);
}

void hvctl_rs_svm_check(const struct hvctl_vmcb *vmcb, const struct hvctl_svm_caps *caps, struct hvctl_report *report)
{
    hvctl_svm_check(vmcb, caps, report);
}

/* ---- exits ---- */

void hvctl_rs_svm_exit_text(const struct hvctl_vmcb *vmcb, bool decode_assists, hvpt_rs_put put, void *ctx)
{
    const struct hvpt_text text = hvpt_rs_text(put, ctx);

    hvctl_svm_exit_text(vmcb, decode_assists, &text);
}

bool hvctl_rs_svm_exit_invalid(uint64_t code)
{
    return hvctl_svm_exit_invalid(code);
}

const char *hvctl_rs_svm_exit_name(uint64_t code)
{
    return hvctl_svm_exit_name(code);
}

/* As hvctl_rs_vmx_io. */
uint32_t hvctl_rs_svm_io(uint64_t exitinfo1)
{
    const struct hvctl_svm_io io = hvctl_svm_io_decode(exitinfo1);

    return io.size | (uint32_t)io.in << 8 | (uint32_t)io.string << 9 | (uint32_t)io.rep << 10 | (uint32_t)io.port << 16;
}

/* ---- permission maps ---- */

uint32_t hvctl_rs_svm_msr_exit(uint8_t *map, uint32_t msr, uint32_t access, bool on)
{
    return (uint32_t)hvctl_svm_msr_exit((struct hvctl_svm_msr_map *)(void *)map, msr, access, on);
}

uint32_t hvctl_rs_svm_io_exit(uint8_t *map, uint32_t first, uint32_t count, bool on)
{
    return (uint32_t)hvctl_svm_io_exit((struct hvctl_svm_io_map *)(void *)map, first, count, on);
}

/* ---- ASIDs and VPIDs ---- */

void hvctl_rs_vpid_pool(struct hvctl_tag_pool *pool)
{
    hvctl_vpid_pool_init(pool);
}

uint32_t hvctl_rs_asid_pool(struct hvctl_tag_pool *pool, const struct hvctl_svm_caps *caps)
{
    return (uint32_t)hvctl_asid_pool_init(pool, caps, false);
}

uint32_t hvctl_rs_tag_take(struct hvctl_tag_pool *pool, struct hvctl_tag *tag, uint32_t *value)
{
    enum hvctl_tag_use use = hvctl_tag_take(pool, tag);

    *value = tag->value;
    return (uint32_t)use;
}

void hvctl_rs_tag_pool_reset(struct hvctl_tag_pool *pool)
{
    hvctl_tag_pool_reset(pool);
}

void hvctl_rs_tag_drop(struct hvctl_tag *tag)
{
    hvctl_tag_drop(tag);
}

/* Sizes in bytes: caps, cpu, tag pool, tag. */
uint64_t hvctl_rs_sizeof_svm(uint32_t number)
{
    static const size_t list[] = {sizeof(struct hvctl_svm_caps), sizeof(struct hvctl_svm_cpu),
                                  sizeof(struct hvctl_tag_pool), sizeof(struct hvctl_tag)};

    return number < sizeof(list) / sizeof(list[0]) ? list[number] : 0;
}
