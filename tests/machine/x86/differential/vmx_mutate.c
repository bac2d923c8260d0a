/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Mutations of VMCS fields. Most are a flipped bit or a value at an edge; those of fields with a structure keep to what
 * is near a rule. What would break the kernel itself if the entry succeeded is left out.
 */
#include "vmx_mutate.h"

#include "memory.h"

static uint16_t slots[HVCTL_VMCS_SLOT_COUNT];
static unsigned slot_count;
static const struct hvctl_vmx_rule *rule_list[RULES_MAX];
static const struct rule_count *seen_of[RULES_MAX]; /* of the rules in rule_list */
static const struct hvctl_vmx_surroundings *around;
static unsigned rule_count;

void mutate_init(const struct world *world, const struct rule_count *count)
{
    struct hvctl_vmcs_set seen;
    const struct hvctl_vmx_rule *rule;

    memset(&seen, 0, sizeof(seen));
    slot_count = 0;
    around = &world->around;
    for (size_t number = 0; (rule = hvctl_vmx_rule_at(number)) != NULL; number++) {
        if (hvctl_vmx_can(vmx_caps(), (enum hvctl_vmx_control)rule->when) && rule_count < RULES_MAX) {
            seen_of[rule_count] = &count[number];
            rule_list[rule_count++] = rule;
        }
        for (unsigned i = 0; i < HVCTL_VMX_RULE_FIELDS && rule->slot[i] != HVCTL_VMX_NO_SLOT; i++) {
            if (hvctl_vmcs_set_has(&seen, rule->slot[i]) || !hvctl_vmcs_set_has(&world->image[0].exists, rule->slot[i]))
                continue;
            hvctl_vmcs_set_add(&seen, rule->slot[i]);
            slots[slot_count++] = rule->slot[i];
        }
    }
}

#define PICK(random, ...) \
    random_pick(random, (const uint64_t[]) {__VA_ARGS__}, sizeof((const uint64_t[]) {__VA_ARGS__}) / sizeof(uint64_t))

static unsigned field_bits(uint32_t field)
{
    return hvctl_vmcs_width_bits(hvctl_vmcs_decode(field).width);
}

static uint64_t flip(struct random *random, uint64_t value, unsigned bits)
{
    return value ^ UINT64_C(1) << random_below(random, bits);
}

/* Addresses around the edges of what is canonical. */
static uint64_t edge_address(struct random *random)
{
    return PICK(random, 0, 0x1000, UINT64_C(0x00007fffffffffff), UINT64_C(0x0000800000000000),
                UINT64_C(0xffff7fffffffffff), UINT64_C(0xffff800000000000), UINT64_C(0xffffffffffffffff),
                UINT64_C(0x00007ffffffff000), UINT64_C(0xffff000000000000), UINT64_C(0x0001000000000000),
                UINT64_C(0x8000000000000000), UINT64_C(0xfffffffffffff000), UINT64_C(0x00000000ffffffff),
                UINT64_C(0x0000000100000000));
}

static uint64_t event(struct random *random)
{
    bool mtf = hvctl_vmx_can(vmx_caps(), HVCTL_PRIMARY_MONITOR_TRAP_FLAG);
    uint64_t type = random_below(random, mtf ? 8 : 7); /* where there is no MTF, Bochs panics on type 7 */
    uint64_t vector = random_below(random, 34);

    if (random_one_in(random, 4))
        vector = PICK(random, 0, 1, 2, 3, 8, 13, 14, 17, 18, 21, 31, 32, 255);
    if (type == 2 && !random_one_in(random, 4))
        vector = 2;
    if (type == 7 && random_one_in(random, 2))
        vector = 0;
    return UINT64_C(0x80000000) | type << 8 | vector | (random_one_in(random, 3) ? 0x800u : 0)
         | (random_one_in(random, 12) ? UINT64_C(1) << (12 + random_below(random, 19)) : 0);
}

static uint64_t rights(struct random *random, uint64_t value)
{
    switch (random_below(random, 8)) {
    case 0: return (value & ~UINT64_C(0xf)) | random_below(random, 16);
    case 1: return (value & ~UINT64_C(0x60)) | random_below(random, 4) << 5;
    case 2: return (value & ~UINT64_C(0x6f)) | random_below(random, 16) | random_below(random, 4) << 5;
    case 3: return PICK(random, 0xf3, 0x93, 0x9b, 0x10000, 0x8b, 0x83, 0x82, 0xc093, 0xa09b, 0xe09b, 0xc0f3, 0xa0fb);
    default: return flip(random, value, random_one_in(random, 4) ? 32 : 17);
    }
}

/*
 * A physical address: its low bits, and those near and beyond the width; nothing in between, where other things live.
 */
static uint64_t address(struct random *random, uint64_t value)
{
    unsigned width = hvctl_vmx_physaddr_bits(vmx_caps());

    switch (random_below(random, 4)) {
    case 0: return value ^ UINT64_C(1) << random_below(random, 12);
    case 1: return value | UINT64_C(1) << (width - 1);
    case 2: return value | UINT64_C(1) << width;
    default: return value | UINT64_C(1) << (width + random_below(random, 64 - width));
    }
}

/* A bit that the CPU lets be 0 and 1, mostly. */
static uint64_t control_word(struct random *random, enum hvctl_vmx_group group, uint64_t value)
{
    uint64_t free = hvctl_vmx_may_be_one(vmx_caps(), group) & ~hvctl_vmx_must_be_one(vmx_caps(), group);
    unsigned bit = random_below(random, 32);

    if (free != 0 && !random_one_in(random, 4))
        while ((free >> bit & 1) == 0)
            bit = (bit + 1) % 32;
    return value ^ UINT64_C(1) << bit;
}

static uint64_t value_for(struct random *random, uint32_t field, uint64_t value)
{
    unsigned bits = field_bits(field);

    for (unsigned group = 0; group < HVCTL_GROUP_COUNT; group++)
        if (hvctl_vmx_group_field((enum hvctl_vmx_group)group) == field)
            return control_word(random, (enum hvctl_vmx_group)group, value);

    switch (field) {
    case HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD: return event(random);
    case HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE:
        return PICK(random, 0, 2, 0x7fff, 0x8000, 0xffff, 0x10000, 0x80000000);
    case HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH: return PICK(random, 0, 1, 2, 14, 15, 16, 17, 0xffffffff);
    case HVCTL_VMCS_GUEST_ACTIVITY_STATE: return PICK(random, 0, 1, 1, 2, 2, 3, 4, 0x80000000);
    case HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE:
        return random_one_in(random, 4) ? flip(random, value, 32) : random_below(random, 32);
    case HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS:
        return random_one_in(random, 2) ? flip(random, value, 64)
                                        : PICK(random, 0x4000, 0x1001, 0x5001, 0x11000, 0x15000, 0x10000, 0xf);
    case HVCTL_VMCS_CR3_TARGET_COUNT: return PICK(random, 0, 1, 4, 5, 256, 0xffffffff);
    case HVCTL_VMCS_TPR_THRESHOLD: return PICK(random, 0, 4, 5, 6, 15, 16, 0x80000000);
    case HVCTL_VMCS_VIRTUAL_PROCESSOR_IDENTIFIER: return PICK(random, 0, 1, 0xffff);
    case HVCTL_VMCS_TSC_MULTIPLIER: return PICK(random, 0, 1, UINT64_C(0x8000000000000000));
    case HVCTL_VMCS_EPT_POINTER:
        if (random_one_in(random, 2))
            return flip(random, value, 13);
        return random_one_in(random, 2) ? (value & ~UINT64_C(0x3f)) | random_below(random, 64) : address(random, value);
    case HVCTL_VMCS_VMCS_LINK_POINTER:
        switch (random_below(random, 5)) {
        case 0: return (uintptr_t)world_pages.vmcs;
        case 1: return (uintptr_t)world_pages.zero;
        case 2: return address(random, (uintptr_t)world_pages.linked);
        default: return (uintptr_t)world_pages.linked;
        }
    case HVCTL_VMCS_VM_EXIT_MSR_STORE_COUNT:
    case HVCTL_VMCS_VM_EXIT_MSR_LOAD_COUNT: return PICK(random, 0, 1, 2, 256);
    case HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT: return PICK(random, 0, 1, 2, 256, 512, 513);
    case HVCTL_VMCS_GUEST_LDTR_ACCESS_RIGHTS:
        return PICK(random, 0x82, 0x82, 0x02, 0x92, 0x83, 0x182, 0x8082, 0x20082, 0x10000, 0x10082, 0xa2);
    case HVCTL_VMCS_VM_EXIT_MSR_STORE_ADDRESS:
    case HVCTL_VMCS_VM_EXIT_MSR_LOAD_ADDRESS: /* what is inside the page is good; what is outside would be an abort */
        if (random_one_in(random, 3))
            return value ^ UINT64_C(1) << random_below(random, 9);
        return value | UINT64_C(1) << (hvctl_vmx_physaddr_bits(vmx_caps()) + random_below(random, 4));
    case HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS: return random_one_in(random, 2) ? address(random, value) : value + 16;
    case HVCTL_VMCS_HOST_CR3:
        return random_one_in(random, 3)
                 ? value ^ PICK(random, 8, 0x10)
                 : value | UINT64_C(1) << (hvctl_vmx_physaddr_bits(vmx_caps()) + random_below(random, 24));
    case HVCTL_VMCS_HOST_RIP:
        if (vmx_caps()->cpu.linear_bits > 48 && random_one_in(random, 2))
            return value + PICK(random, WORLD_ALIAS_LOW_57, WORLD_ALIAS_HIGH_57, UINT64_C(0x0100000000000000));
        return PICK(random, value + WORLD_ALIAS_LOW, value + WORLD_ALIAS_HIGH, value + UINT64_C(0x0000800000000000),
                    value + UINT64_C(0x0001000000000000), value + UINT64_C(0x8000000000000000));
    case HVCTL_VMCS_GUEST_RIP: return random_one_in(random, 2) ? flip(random, value, 64) : edge_address(random);
    case HVCTL_VMCS_GUEST_CR3: return address(random, value);
    case HVCTL_VMCS_GUEST_PDPTE0:
    case HVCTL_VMCS_GUEST_PDPTE1:
    case HVCTL_VMCS_GUEST_PDPTE2:
    case HVCTL_VMCS_GUEST_PDPTE3: return random_one_in(random, 4) ? flip(random, 0, 64) : flip(random, value | 1, 64);
    case HVCTL_VMCS_HOST_IA32_PAT:
    case HVCTL_VMCS_GUEST_IA32_PAT: {
        unsigned shift = 8 * random_below(random, 8);

        return (value & ~(UINT64_C(0xff) << shift)) | (uint64_t)PICK(random, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x80) << shift;
    }
    case HVCTL_VMCS_HOST_IA32_EFER:
    case HVCTL_VMCS_GUEST_IA32_EFER:
        return random_one_in(random, 3) ? flip(random, value, 64) : value ^ PICK(random, 1, 0x100, 0x400, 0x500, 0x800);
    case HVCTL_VMCS_GUEST_RFLAGS: return random_one_in(random, 4) ? flip(random, value, 64) : flip(random, value, 22);
    case HVCTL_VMCS_GUEST_CR0:
    case HVCTL_VMCS_HOST_CR0:
        return random_one_in(random, 2) ? flip(random, value, 64)
                                        : value
                                              ^ PICK(random, 1, 0x20, 0x10000, UINT64_C(0x80000000),
                                                     UINT64_C(0x80000001), 0x20000000, 0x40000000, 0x60000000);
    case HVCTL_VMCS_GUEST_CR4:
    case HVCTL_VMCS_HOST_CR4:
        return random_one_in(random, 2) ? flip(random, value, 64)
                                        : value ^ PICK(random, 0x20, 0x2000, 0x20000, 0x800000, 0x1000);
    case HVCTL_VMCS_HOST_IA32_S_CET:
    case HVCTL_VMCS_GUEST_IA32_S_CET:
        return random_one_in(random, 2) ? edge_address(random) & ~UINT64_C(0xfff)
                                        : PICK(random, 0x40, 0x200, 0x400, 0x800, 0xc00, 2, 8, 0x10, 0x20);
    case HVCTL_VMCS_HOST_IA32_PKRS: return PICK(random, 0, 0xfffffffc, UINT64_C(0x100000000), UINT64_C(1) << 63);
    default: break;
    }
    if (field >= HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS && field <= HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS)
        return rights(random, value);
    if (field >= HVCTL_VMCS_GUEST_ES_LIMIT && field <= HVCTL_VMCS_GUEST_IDTR_LIMIT)
        return random_one_in(random, 3) ? flip(random, value, 32)
                                        : PICK(random, 0, 0xffe, 0xfff, 0xffff, 0x10000, 0xfffff, 0x100000, 0x100fff,
                                               0xfff00fff, 0xfffff000, 0xffffffff);
    if (field >= HVCTL_VMCS_HOST_ES_SELECTOR && field <= HVCTL_VMCS_HOST_TR_SELECTOR && random_one_in(random, 4))
        return UINT64_C(1) << (3 + random_below(random, 13));
    if (hvctl_vmcs_decode(field).width == HVCTL_WIDTH_16 && hvctl_vmcs_decode(field).type != HVCTL_TYPE_CONTROL)
        return random_one_in(random, 2) ? value ^ (1u + random_below(random, 7))
                                        : (random_one_in(random, 2) ? 0 : flip(random, value, 16));
    if (hvctl_vmcs_decode(field).width == HVCTL_WIDTH_NATURAL)
        return random_one_in(random, 3) ? flip(random, value, 64) : edge_address(random);
    if (hvctl_vmcs_decode(field).width == HVCTL_WIDTH_64 && hvctl_vmcs_decode(field).type == HVCTL_TYPE_CONTROL
        && field != HVCTL_VMCS_VM_FUNCTION_CONTROLS)
        return address(random, value);
    return flip(random, value, bits);
}

/*
 * Would the host find no way back to its own code? It lies where users' addresses do, under keys of 0, in tables of as
 * many levels as it has now, whatever else the CPU would let it have.
 */
static bool lost(const struct vmx_case *c)
{
    const uint64_t lass = UINT64_C(1) << 27;
    uint64_t cr4 = hvctl_vmcs_get(&c->image, HVCTL_VMCS_HOST_CR4) & vmx_caps()->cr4_fixed1;
    uint64_t good = hvctl_vmcs_get(c->good, HVCTL_VMCS_HOST_CR4);
    uint64_t keys =
        hvctl_vmcs_get(&c->image, HVCTL_VMCS_HOST_IA32_PKRS) | hvctl_vmcs_get(&c->image, HVCTL_VMCS_GUEST_IA32_PKRS);

    return ((cr4 ^ good) & HVCTL_CR4_LA57) || (cr4 & lass) || ((cr4 & HVCTL_CR4_PKS) && (keys & 3));
}

/* Would the host not survive this, were it entered? */
static bool dangerous(const struct vmx_case *c)
{
    const struct hvctl_vmcs_image *image = &c->image;
    uint64_t activity = hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_ACTIVITY_STATE);
    uint64_t info = hvctl_vmcs_get(image, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD);

    if (!hvctl_vmx_control_on(image, HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER) && activity != 0)
        return true; /* nothing would end it */
    if (hvctl_vmx_control_on(image, HVCTL_ENTRY_IA32E_MODE_GUEST)
        && !(hvctl_vmcs_get(image, HVCTL_VMCS_GUEST_CR0) & HVCTL_CR0_PE))
        return true; /* Bochs, which does not see that CR0.PG is missing, panics */
    if (lost(c))
        return true;
    return activity == 3 && !(info & HVCTL_EVENT_INFO_VALID); /* in which the timer does not count */
}

static void set(struct vmx_case *out, uint32_t field, uint64_t value)
{
    unsigned slot = (unsigned)hvctl_vmcs_slot(field);

    if (out->image.value[slot] != value && hvctl_vmcs_write(&out->image, field, value) == HVCTL_OK)
        hvctl_vmcs_set_add(&out->changed, slot);
}

static void change(struct vmx_case *out, struct random *random, uint32_t field)
{
    uint64_t value = value_for(random, field, hvctl_vmcs_get(&out->image, field));
    unsigned bits = field_bits(field);

    set(out, field, bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value);
}

/* An event goes with its error code and length, a segment's DPL with its RPL, and so on: changed together. */
static void related(struct vmx_case *out, struct random *random)
{
    switch (random_below(random, 16)) {
    case 0:
        change(out, random, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD);
        set(out, HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH, PICK(random, 0, 1, 15, 15, 16));
        if (random_one_in(random, 2)) {
            set(out, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD,
                PICK(random, 0x80000b0d, 0x80000b0e, 0x80002b0d));
            change(out, random, HVCTL_VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE);
        }
        break;
    case 1: /* what an interrupt wants: IF, and no blocking */
        set(out, HVCTL_VMCS_GUEST_RFLAGS, hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_RFLAGS) ^ 0x200);
        set(out, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, PICK(random, 0x80000030, 0x80000202));
        if (random_one_in(random, 2))
            set(out, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, random_below(random, 16));
        break;
    case 2:
        change(out, random, HVCTL_VMCS_GUEST_ACTIVITY_STATE);
        set(out, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD,
            PICK(random, 0, 0x80000030, 0x80000202, 0x80000301, 0x80000312, 0x80000300, 0x80000306));
        set(out, HVCTL_VMCS_GUEST_RFLAGS, hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_RFLAGS) | 0x200);
        break;
    case 3: { /* privilege levels */
        uint64_t level = random_below(random, 4), other = random_one_in(random, 2) ? random_below(random, 4) : level;
        static const uint32_t selector[] = {HVCTL_VMCS_GUEST_CS_SELECTOR, HVCTL_VMCS_GUEST_SS_SELECTOR};
        static const uint32_t right[] = {HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS, HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS};

        for (unsigned i = 0; i < 2; i++) {
            set(out, selector[i], (hvctl_vmcs_get(&out->image, selector[i]) & ~UINT64_C(3)) | level);
            set(out, right[i],
                (hvctl_vmcs_get(&out->image, right[i]) & ~UINT64_C(0x60)) | (i == 0 ? other : level) << 5);
        }
        switch (random_below(random, 4)) {
        case 0: /* both DPLs differ from the RPLs */
            set(out, right[1], (hvctl_vmcs_get(&out->image, right[1]) & ~UINT64_C(0x60)) | other << 5);
            break;
        case 1:
            set(out, right[0], (hvctl_vmcs_get(&out->image, right[0]) & ~UINT64_C(0xf)) | PICK(random, 9, 11, 13, 15));
            break;
        case 2: /* a data segment as CS, as real mode has it */
            set(out, right[0], (hvctl_vmcs_get(&out->image, right[0]) & ~UINT64_C(0xf)) | 3);
            if (random_one_in(random, 2))
                set(out, right[1], hvctl_vmcs_get(&out->image, right[1]) & ~UINT64_C(0x60));
            break;
        default: break;
        }
        break;
    }
    case 4: { /* virtual-8086 mode's bases follow their selectors */
        uint32_t n = 2 * random_below(random, 6);
        uint64_t selector = random_next(random) & 0xffff;

        set(out, HVCTL_VMCS_GUEST_ES_SELECTOR + n, selector);
        set(out, HVCTL_VMCS_GUEST_ES_BASE + n, selector << 4);
        break;
    }
    case 5: /* single-stepping and what holds it back */
        set(out, HVCTL_VMCS_GUEST_RFLAGS,
            hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_RFLAGS) | PICK(random, 0x200, 0x300));
        set(out, HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, PICK(random, 0, 1, 2, 3));
        if (random_one_in(random, 4))
            set(out, HVCTL_VMCS_GUEST_ACTIVITY_STATE, PICK(random, 1, 2));
        set(out, HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, PICK(random, 0, 0x4000, 0x5000, 0x1001));
        if (random_one_in(random, 4))
            set(out, HVCTL_VMCS_GUEST_IA32_DEBUGCTL, 2);
        break;
    case 6: { /* limit and granularity */
        uint32_t n = 2 * random_below(random, 8);

        change(out, random, HVCTL_VMCS_GUEST_ES_LIMIT + n);
        set(out, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + n,
            hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + n) ^ 0x8000);
        break;
    }
    case 7: { /* data segments that are code, privileged, unusable */
        uint32_t n = 2 * random_below(random, 8);

        change(out, random, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + n);
        change(out, random, HVCTL_VMCS_GUEST_ES_SELECTOR + n);
        if (random_one_in(random, 2))
            change(out, random, HVCTL_VMCS_GUEST_ES_BASE + n);
        break;
    }
    case 8: { /* an MSR area whose end is beyond the physical-address width */
        static const uint32_t area[][2] = {
            {HVCTL_VMCS_VM_EXIT_MSR_STORE_ADDRESS, HVCTL_VMCS_VM_EXIT_MSR_STORE_COUNT},
            {HVCTL_VMCS_VM_EXIT_MSR_LOAD_ADDRESS, HVCTL_VMCS_VM_EXIT_MSR_LOAD_COUNT},
            {HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT},
        };
        unsigned which = random_below(random, 3), entries = 1 + random_below(random, 4);

        set(out, area[which][0], (UINT64_C(1) << hvctl_vmx_physaddr_bits(vmx_caps())) - 16 * entries);
        set(out, area[which][1], which == 2 && random_one_in(random, 2) ? entries : entries + 1);
        break;
    }
    case 9: /* the host's CET and WP, and the host's width */
        if (random_one_in(random, 2)) {
            set(out, HVCTL_VMCS_HOST_CR4, hvctl_vmcs_get(&out->image, HVCTL_VMCS_HOST_CR4) | 0x800000);
            set(out, HVCTL_VMCS_HOST_CR0,
                hvctl_vmcs_get(&out->image, HVCTL_VMCS_HOST_CR0) ^ PICK(random, 0x10000, 0x40000));
        } else {
            set(out, HVCTL_VMCS_PRIMARY_VM_EXIT_CONTROLS,
                hvctl_vmcs_get(&out->image, HVCTL_VMCS_PRIMARY_VM_EXIT_CONTROLS) ^ PICK(random, 0x200200, 0x200000));
        }
        break;
    case 11: /* a null SS, as 64-bit mode may have it, that is usable all the same */
        set(out, HVCTL_VMCS_GUEST_SS_SELECTOR, 0);
        set(out, HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS,
            hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS)
                ^ PICK(random, 0, 0x10, 0x80, 0x100, 0x800, 0x20000, 0x8000, 8, 4, 1));
        if (random_one_in(random, 4))
            change(out, random, random_one_in(random, 2) ? HVCTL_VMCS_GUEST_SS_BASE : HVCTL_VMCS_GUEST_SS_LIMIT);
        break;
    case 12: { /* conforming and readable code as data, with a DPL below the RPL */
        uint32_t n = 4 + 2 * random_below(random, 4), type = (uint32_t)PICK(random, 11, 11, 15, 3);

        if (n == 4)
            n = 0; /* ES; the others are DS, FS and GS */
        set(out, HVCTL_VMCS_GUEST_ES_SELECTOR + n,
            hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_ES_SELECTOR + n) | random_below(random, 4));
        set(out, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + n,
            (hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS + n) & ~UINT64_C(0x6f)) | type
                | random_below(random, 4) << 5);
        break;
    }
    case 13: /* conforming CS, and the levels of CS and SS */
        set(out, HVCTL_VMCS_GUEST_CS_SELECTOR,
            (hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_CS_SELECTOR) & ~UINT64_C(3)) | random_below(random, 4));
        set(out, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS,
            (hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS) & ~UINT64_C(0x6f)) | PICK(random, 13, 15)
                | random_below(random, 4) << 5);
        break;
    case 14: /* a vector 18 that is no #MC, in shutdown */
        set(out, HVCTL_VMCS_GUEST_ACTIVITY_STATE, 2);
        set(out, HVCTL_VMCS_GUEST_RFLAGS, hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_RFLAGS) | 0x200);
        set(out, HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD,
            PICK(random, 0x80000012, 0x80000312, 0x80000412, 0x80000202));
        set(out, HVCTL_VMCS_VM_ENTRY_INSTRUCTION_LENGTH, 1);
        break;
    case 10: /* virtual-8086 mode without protection */
        set(out, HVCTL_VMCS_GUEST_CR0, hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_CR0) & ~UINT64_C(0x80000001));
        break;
    default: /* CET and WP, paging and protection */
        set(out, HVCTL_VMCS_GUEST_CR4,
            hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_CR4) ^ PICK(random, 0x800000, 0x20));
        set(out, HVCTL_VMCS_GUEST_CR0,
            hvctl_vmcs_get(&out->image, HVCTL_VMCS_GUEST_CR0) ^ PICK(random, 0x10000, 1, 0x80000000));
        break;
    }
}

static void set_control(struct vmx_case *out, enum hvctl_vmx_control control, bool on)
{
    uint32_t field = hvctl_vmx_group_field(hvctl_vmx_control_group(control));
    uint64_t word = hvctl_vmcs_get(&out->image, field), bit = hvctl_vmx_control_mask(control);

    if (hvctl_vmcs_has(&out->image, field))
        set(out, field, on ? word | bit : word & ~bit);
}

/* Fields that lead to memory, or without which the kernel does not live: not any value of them is survived. */
static bool sensitive(uint32_t field)
{
    struct hvctl_vmcs_encoding parts = hvctl_vmcs_decode(field);

    switch (field) {
    case HVCTL_VMCS_HOST_CR3:
    case HVCTL_VMCS_HOST_RIP:
    case HVCTL_VMCS_GUEST_CR3:
    case HVCTL_VMCS_VMCS_LINK_POINTER:
    case HVCTL_VMCS_GUEST_PDPTE0:
    case HVCTL_VMCS_GUEST_PDPTE1:
    case HVCTL_VMCS_GUEST_PDPTE2:
    case HVCTL_VMCS_GUEST_PDPTE3:
    case HVCTL_VMCS_VM_EXIT_MSR_STORE_COUNT:
    case HVCTL_VMCS_VM_EXIT_MSR_LOAD_COUNT:
    case HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT:
    case HVCTL_VMCS_VMX_PREEMPTION_TIMER_VALUE: /* or nothing ends a halt */
    case HVCTL_VMCS_VM_ENTRY_INTERRUPTION_INFORMATION_FIELD: return true;
    default: return parts.width == HVCTL_WIDTH_64 && parts.type == HVCTL_TYPE_CONTROL;
    }
}

/* What the rule makes of the image. */
static enum hvctl_rule_result ask(const struct hvctl_vmcs_image *image, const struct hvctl_vmx_rule *rule)
{
    struct hvctl_vmx_view view;
    struct hvctl_finding finding;

    hvctl_vmx_view_make(&view, image, vmx_caps(), around);
    return hvctl_vmx_rule_ask(&view, rule, &finding);
}

/* A bit next to one that the rule does not want changed. */
static void beside(struct vmx_case *out, struct random *random, const struct hvctl_vmx_rule *rule, uint32_t field)
{
    unsigned slot = (unsigned)hvctl_vmcs_slot(field), bits = field_bits(field), bit = random_below(random, bits);
    uint64_t value = out->image.value[slot];

    /* The host would not live on high addresses, nor with MSRs from there */
    if (field == HVCTL_VMCS_HOST_CR3 || field == HVCTL_VMCS_HOST_RIP || field == HVCTL_VMCS_VM_EXIT_MSR_LOAD_ADDRESS
        || field == HVCTL_VMCS_VM_EXIT_MSR_STORE_ADDRESS)
        bits = 0;
    for (unsigned i = 0; i < bits; i++, bit = (bit + 1) % bits) {
        unsigned next = random_one_in(random, 2) ? bit - 1 : bit + 1;
        bool breaks;

        if (next >= bits || (value >> next & 1) != 0
            || (sensitive(field) && next < 36 && !(field == HVCTL_VMCS_EPT_POINTER && next <= 12)))
            continue;
        out->image.value[slot] = value ^ UINT64_C(1) << bit;
        breaks = ask(&out->image, rule) == HVCTL_RULE_BROKEN;
        out->image.value[slot] = value ^ UINT64_C(1) << next;
        breaks = breaks && ask(&out->image, rule) != HVCTL_RULE_BROKEN;
        out->image.value[slot] = value;
        if (breaks) {
            set(out, field, value ^ UINT64_C(1) << next);
            return;
        }
    }
    change(out, random, field);
}

/* A value that breaks the rule, if one is soon found. */
static void against(struct vmx_case *out, struct random *random, const struct hvctl_vmx_rule *rule)
{
    uint32_t field = hvctl_vmcs_slot_info(rule->slot[0])->encoding;
    unsigned bits = field_bits(field);
    uint64_t old = out->image.value[rule->slot[0]], value = old;

    for (unsigned i = 0; i < 12; i++) {
        bool broken;

        value = value_for(random, field, old);
        value = bits < 64 ? value & ((UINT64_C(1) << bits) - 1) : value;
        out->image.value[rule->slot[0]] = value;
        broken = ask(&out->image, rule) == HVCTL_RULE_BROKEN;
        out->image.value[rule->slot[0]] = old;
        if (broken)
            break;
    }
    set(out, field, value);
}

/* One rule's own fields: each rule gets its share, and more those of which too little was seen. */
static void targeted(struct vmx_case *out, struct random *random)
{
    static const enum hvctl_vmx_control on_tpr_shadow[] = {
        HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE,
        HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION,
        HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY,
        HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES,
    };
    const struct hvctl_vmx_rule *rule;
    unsigned number = random_below(random, rule_count), fields = 0;

    for (unsigned i = 0; i < 8 && seen_of[number]->alone + seen_of[number]->deviated > 2 * COUNT_MIN
                         && seen_of[number]->edge > 2 * COUNT_MIN;
         i++)
        number = random_below(random, rule_count);
    rule = rule_list[number];
    if (rule->check == hvctl_vmx_rule_needs || rule->check == hvctl_vmx_rule_excludes) {
        enum hvctl_vmx_control when = (enum hvctl_vmx_control)rule->when, other = (enum hvctl_vmx_control)rule->mask;

        for (unsigned i = 0; i < 4; i++)
            if (on_tpr_shadow[i] != other)
                set_control(out, on_tpr_shadow[i], false);
        set_control(out, HVCTL_PRIMARY_NMI_WINDOW_EXITING, false);
        set_control(out, when, true);
        set_control(out, other, random_one_in(random, 2));
        return;
    }
    while (fields < HVCTL_VMX_RULE_FIELDS && rule->slot[fields] != HVCTL_VMX_NO_SLOT
           && hvctl_vmcs_set_has(&out->image.exists, rule->slot[fields]))
        fields++;
    if (fields == 0)
        return;
    if (random_one_in(random, 2))
        beside(out, random, rule, hvctl_vmcs_slot_info(rule->slot[random_below(random, fields)])->encoding);
    else
        against(out, random, rule);
}

static void change_word(struct vmx_case *out, void *at, unsigned bits)
{
    out->word = at;
    out->word_bits = bits;
    out->word_good = 0;
    out->word_good = mutate_word(out);
}

uint64_t mutate_word(const struct vmx_case *of)
{
    uint64_t value = 0;

    memcpy(&value, of->word, of->word_bits / 8);
    return value;
}

void mutate_set_word(const struct vmx_case *of, uint64_t value)
{
    memcpy(of->word, &value, of->word_bits / 8);
}

/* Memory that a rule reads. */
static void change_memory(struct vmx_case *out, struct random *random)
{
    unsigned entries = 1 + random_below(random, 4);
    uint64_t *entry = &world_pages.entry_msrs[2 * random_below(random, entries)];

    switch (random_below(random, 4)) {
    case 0:
        change_word(out, &world_pages.virtual_apic[0x80], 8);
        world_pages.virtual_apic[0x80] = (uint8_t)(random_below(random, 16) << 4);
        set(out, HVCTL_VMCS_TPR_THRESHOLD, random_below(random, 16));
        break;
    case 1:
        set(out, HVCTL_VMCS_VMCS_LINK_POINTER, (uintptr_t)world_pages.linked);
        change_word(out, world_pages.linked, 32);
        *(uint32_t *)world_pages.linked ^= (uint32_t)PICK(random, 0, 0x80000000, 1, 0x80000001, 0x40000000);
        break;
    case 2: { /* PDPTEs in memory, at the guest's CR3 */
        uint64_t *pdpte = (uint64_t *)world_pages.zero + random_below(random, 4);

        change_word(out, pdpte, 64);
        *pdpte = flip(random, (uintptr_t)world_pages.ept | 1, 64);
        hvctl_vmcs_set_add(&out->changed, HVCTL_VMCS_SLOT_GUEST_CR3);
        break;
    }
    default:
        change_word(out, entry, 64);
        switch (random_below(random, 8)) {
        case 0: entry[0] = PICK(random, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000102); break;
        case 1: entry[0] = PICK(random, 0x800, 0x808, 0x8ff); break;
        case 2: entry[0] = 0x9b; break;
        case 3: entry[0] = PICK(random, 0x79, 0x8b); break;
        case 4: entry[0] |= UINT64_C(1) << (32 + random_below(random, 32)); break;
        case 5:
            entry[0] = PICK(random, 0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000102);
            change_word(out, entry + 1, 64);
            entry[1] = edge_address(random);
            break;
        case 6:
            entry[0] = 0x277;
            change_word(out, entry + 1, 64);
            entry[1] = HVCTL_PAT_RESET ^ (uint64_t)PICK(random, 1, 2, 4, 8) << (8 * random_below(random, 8));
            break;
        default: entry[0] = 0x174; break;
        }
        set(out, HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT, entries);
        hvctl_vmcs_set_add(&out->changed, HVCTL_VMCS_SLOT_VM_ENTRY_MSR_LOAD_ADDRESS);
        break;
    }
}

void mutate_undo(void)
{
    memset(world_pages.zero, 0, 64);
    *(uint32_t *)world_pages.linked = hvctl_vmx_revision(vmx_caps());
    world_pages.virtual_apic[0x80] = 0x50;
    for (unsigned i = 0; i < 4; i++) {
        world_pages.entry_msrs[2 * i] = HVCTL_MSR_SYSENTER_CS;
        world_pages.entry_msrs[2 * i + 1] = 0;
    }
}

static void begin(struct vmx_case *out, const struct hvctl_vmcs_image *good)
{
    mutate_undo();
    out->image = *good;
    out->good = good;
    out->word = NULL;
    hvctl_vmcs_set_clear(&out->changed);
}

bool mutate_one_field(struct vmx_case *out, const struct hvctl_vmcs_image *good, unsigned number, struct random *random)
{
    unsigned slot = number / 64, n = number % 64;
    uint32_t field;

    begin(out, good);
    if (slot >= HVCTL_VMCS_SLOT_COUNT)
        return false;
    field = hvctl_vmcs_slot_info(slot)->encoding;
    if (!hvctl_vmcs_set_has(&good->exists, slot) || hvctl_vmcs_decode(field).type == HVCTL_TYPE_EXIT_INFO
        || field == HVCTL_VMCS_HOST_RSP || field == HVCTL_VMCS_VMX_PREEMPTION_TIMER_VALUE)
        return true;
    if (sensitive(field) ? n < 32 : n >= field_bits(field) && n < field_bits(field) + 8)
        change(out, random, field);
    else if (!sensitive(field) && n < field_bits(field))
        set(out, field, good->value[slot] ^ UINT64_C(1) << n);
    if (dangerous(out))
        begin(out, good);
    return true;
}

/* So many at once that more rules are broken than a report lists. */
static void change_many(struct vmx_case *out, struct random *random)
{
    for (unsigned i = 0; i < 80; i++)
        change(out, random, hvctl_vmcs_slot_info(slots[random_below(random, slot_count)])->encoding);
}

void mutate(struct vmx_case *out, const struct world *world, struct random *random)
{
    do {
        unsigned times = random_one_in(random, 4) ? 2 + random_below(random, 2) : 1;

        begin(out, &world->image[random_below(random, WORLD_IMAGES)]);
        if (random_one_in(random, 100)) {
            change_many(out, random);
            continue;
        }
        switch (random_below(random, 8)) {
        case 0: change_memory(out, random); break;
        case 1:
        case 2: related(out, random); break;
        case 3:
        case 4: targeted(out, random); break;
        default:
            for (unsigned i = 0; i < times; i++)
                change(out, random, hvctl_vmcs_slot_info(slots[random_below(random, slot_count)])->encoding);
            break;
        }
    } while (dangerous(out));
}
