/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The words that describe second-level tables in a memory, and spaces over it. See memory.h.
 */
#include "memory.h"

#include "readonly.h"
#include "words.h"

static const char *const memory_registers[REG_COUNT] = {
    "cr0",
    "cr3",
    "cr4",
    "efer",
    "rflags",
    "pat",
    "sctlr sctlr_el1",
    "tcr tcr_el1",
    "ttbr0 ttbr0_el1",
    "ttbr1 ttbr1_el1",
    "mair mair_el1",
    "hcr hcr_el2",
    "spsr spsr_el2",
    "vsatp",
    "vsstatus",
    "sstatus",
    "henvcfg",
};

/* Features by name: which member of the config they are, and their bit. */
static const struct memory_feature {
    const char *names;
    enum hvpt_kind kind;
    uint32_t bit;
} memory_features[] = {
    {"mbec mode_based_execute", HVPT_KIND_EPT, HVPT_EPT_USE_MODE_BASED_EXECUTE},
    {"paging_write", HVPT_KIND_EPT, HVPT_EPT_USE_PAGING_WRITE},
    {"verify_guest_paging", HVPT_KIND_EPT, HVPT_EPT_USE_VERIFY_GUEST_PAGING},
    {"spp sub_page_write", HVPT_KIND_EPT, HVPT_EPT_USE_SUB_PAGE_WRITE},
    {"no_nx", HVPT_KIND_NPT, HVPT_NPT_NO_NX},
    {"gmet", HVPT_KIND_NPT, HVPT_NPT_USE_GMET},
    {"sss shadow_stack", HVPT_KIND_NPT, HVPT_NPT_USE_SHADOW_STACK},
    {"fwb", HVPT_KIND_S2, HVPT_S2_USE_FWB},
    {"xnx", HVPT_KIND_S2, HVPT_S2_USE_XNX},
    {"ha hardware_af", HVPT_KIND_S2, HVPT_S2_USE_HARDWARE_AF},
    {"hd hardware_dirty", HVPT_KIND_S2, HVPT_S2_USE_HARDWARE_DIRTY},
    {"lpa2", HVPT_KIND_S2, HVPT_S2_USE_LPA2},
    {"svpbmt", HVPT_KIND_GSTAGE, HVPT_GSTAGE_USE_SVPBMT},
    {"svnapot", HVPT_KIND_GSTAGE, HVPT_GSTAGE_USE_SVNAPOT},
    {"svadu", HVPT_KIND_GSTAGE, HVPT_GSTAGE_USE_SVADU},
};

static uint32_t *memory_features_of(struct hvpt_space_config *config)
{
    switch (config->kind) {
    case HVPT_KIND_EPT: return &config->ept.features;
    case HVPT_KIND_NPT: return &config->npt.features;
    case HVPT_KIND_S2: return &config->s2.features;
    default: return &config->gstage.features;
    }
}

/* What a number after a name of the config sets; false: the name is of another format, or the number cannot be. */
static bool memory_set_config(const struct words *words, struct word word, struct hvpt_space_config *config,
                              uint64_t value, bool *known)
{
    *known = true;
    if (words_is(words, word, "maxphyaddr")) {
        if (value < 32 || value > 56 || config->kind == HVPT_KIND_S2)
            return false;
        config->ept.maxphyaddr = config->npt.maxphyaddr = config->gstage.maxphyaddr = (unsigned)value;
        return true;
    }
    if (words_is_one_of(words, word, "cap ept_vpid_cap")) {
        config->ept.ept_vpid_cap = value;
        return config->kind == HVPT_KIND_EPT;
    }
    if (words_is(words, word, "levels")) {
        config->npt.levels = config->s2.levels = (unsigned)value;
        return value >= 1 && value <= 5 && (config->kind == HVPT_KIND_NPT || config->kind == HVPT_KIND_S2);
    }
    if (words_is(words, word, "c_bit")) {
        config->npt.c_bit = (unsigned)value;
        return value >= 32 && value <= 51 && config->kind == HVPT_KIND_NPT;
    }
    if (words_is(words, word, "granule")) {
        config->s2.granule_shift = value == 4 || value == 12  ? 12
                                 : value == 16 || value == 14 ? 14
                                 : value == 64                ? 16
                                                              : 0;
        return config->s2.granule_shift != 0 && config->kind == HVPT_KIND_S2;
    }
    if (words_is(words, word, "ipa_bits")) {
        config->s2.ipa_bits = (unsigned)value;
        return value >= 32 && value <= 52 && config->kind == HVPT_KIND_S2;
    }
    if (words_is(words, word, "vtcr")) {
        /* T0SZ, TG0, PS, HA, HD, DS: Arm ARM, "VTCR_EL2". The levels follow from SL0, which T0SZ all but fixes. */
        static const uint8_t granules[4] = {12, 16, 14, 0};

        config->s2.ipa_bits = 64 - (unsigned)(value & 63);
        config->s2.granule_shift = granules[value >> 14 & 3];
        config->s2.features |= (value >> 21 & 1 ? (uint32_t)HVPT_S2_USE_HARDWARE_AF : 0u)
                             | (value >> 22 & 1 ? (uint32_t)HVPT_S2_USE_HARDWARE_DIRTY : 0u)
                             | (value >> 32 & 1 ? (uint32_t)HVPT_S2_USE_LPA2 : 0u);
        config->s2.levels = config->s2.granule_shift == 12 ? (value >> 33 & 1         ? 5
                                                              : (value >> 6 & 3) == 3 ? 1
                                                                                      : (unsigned)(value >> 6 & 3) + 2)
                                                           : (unsigned)(value >> 6 & 3) + 1;
        return config->kind == HVPT_KIND_S2 && config->s2.granule_shift != 0;
    }
    *known = false;
    return false;
}

/* "rw", "x", "u": the letters of rights. */
static bool memory_set_access(const struct words *words, struct word word, struct memory_request *out)
{
    size_t i;

    for (i = 0; i < word.length; i++) {
        switch (words->request->bytes[word.at + i]) {
        case 'r': out->access |= HVPT_READ; break;
        case 'w': out->access |= HVPT_WRITE; break;
        case 'x': out->access |= HVPT_EXEC; break;
        case 'u': out->user = true; break;
        default: return false;
        }
    }
    return word.length != 0;
}

bool memory_read_request(const struct core_request *request, struct memory_request *out, struct core_error *error)
{
    static const char *const formats[4] = {"ept", "npt", "stage2 s2 arm", "gstage riscv"};
    static const enum hvpt_kind kinds[4] = {HVPT_KIND_EPT, HVPT_KIND_NPT, HVPT_KIND_S2, HVPT_KIND_GSTAGE};
    struct words words = {request, 0};
    size_t i;

    for (i = 0; i < sizeof(*out); i++)
        ((unsigned char *)out)[i] = 0;
    for (;;) {
        const struct word word = words_next(&words);
        struct word value_word;
        struct words behind = words;
        enum words_number number;
        uint64_t value = 0;
        bool known = false;

        if (!word.length)
            break;
        for (i = 0; i < 4 && !words_is_one_of(&words, word, formats[i]); i++)
            continue;
        if (i < 4) {
            if (out->has_format)
                return core_fail_at(error, request, word.at, "a second format"), false;
            out->has_format = true;
            out->config.kind = kinds[i];
            continue;
        }
        if (!out->has_format)
            return core_fail_at(error, request, word.at, "the format comes first: ept, npt, stage2 or gstage"), false;
        value_word = words_next(&behind);
        if (words_is(&words, word, "access")) {
            if (!memory_set_access(&words, value_word, out))
                return core_fail_at(error, request, value_word.at, "an access is of the letters r, w, x and u"), false;
            words = behind;
            continue;
        }
        number = words_number(&words, value_word, &value);
        for (i = 0; i < sizeof(memory_features) / sizeof(memory_features[0]); i++) {
            if (!words_is_one_of(&words, word, memory_features[i].names))
                continue;
            if (memory_features[i].kind != out->config.kind)
                return core_fail_at(error, request, word.at, "this format has no such feature"), false;
            /* "svadu" alone means 1 */
            if (word.assigned && (number != WORDS_NUMBER || value > 1))
                return core_fail_at(error, request, value_word.at, "either 0 or 1"), false;
            if (!word.assigned || value == 1)
                *memory_features_of(&out->config) |= memory_features[i].bit;
            known = true;
            break;
        }
        if (known) {
            if (word.assigned)
                words = behind;
            continue;
        }
        if (number == WORDS_TOO_LARGE)
            return core_fail_at(error, request, value_word.at, "a number of more than 64 bits"), false;
        if (memory_set_config(&words, word, &out->config, value, &known)) {
            if (number != WORDS_NUMBER)
                return core_fail_at(error, request, value_word.at, "not a number"), false;
            words = behind;
            continue;
        }
        if (known)
            return core_fail_at(error, request, word.at, "this format has no such value"), false;
        for (i = 0; i < REG_COUNT && !words_is_one_of(&words, word, memory_registers[i]); i++)
            continue;
        if (i == REG_COUNT && !words_is_one_of(&words, word, "root eptp ncr3 vttbr hgatp")
            && !words_is(&words, word, "gpa") && !words_is_one_of(&words, word, "gva linear"))
            return core_fail_at(error, request, word.at, "no such name; --help lists them"), false;
        if (number != WORDS_NUMBER)
            return core_fail_at(error, request, value_word.length ? value_word.at : word.at, "a number is expected"),
                   false;
        if (i < REG_COUNT) {
            out->reg[i] = value;
            out->has_reg[i] = true;
        } else if (words_is(&words, word, "gpa")) {
            out->gpa = value;
            out->has_gpa = true;
        } else if (words_is_one_of(&words, word, "gva linear")) {
            out->gva = value;
            out->has_gva = true;
        } else {
            out->root = value;
            out->root_at = word.at;
            out->has_root = true;
        }
        words = behind;
    }
    if (!out->has_format)
        return core_fail(error, 0, 0, "the format is missing: ept, npt, stage2 or gstage"), false;
    if (!out->has_root)
        return core_fail(error, 0, 0, "the root is missing: root= with EPTP, nCR3, VTTBR_EL2 or hgatp"), false;
    return true;
}

static void *memory_phys_to_virt(void *ctx, hvpt_hpa frame)
{
    struct memory_space *space = (struct memory_space *)ctx;
    const uint64_t size = frame.value == space->root ? space->root_size : space->granule;

    /* Every user of these hooks only reads. */
    return (void *)(uintptr_t)space->memory->frame(space->memory->ctx, frame.value, size);
}

bool memory_open_space(const struct core_request *request, const struct memory_request *read,
                       const struct memory *memory, struct memory_space *out, struct core_error *error)
{
    uint64_t root = read->root;
    const unsigned shift = read->config.s2.granule_shift ? read->config.s2.granule_shift : 12;
    enum hvpt_status status;
    uint64_t mask = UINT64_C(0x000ffffffffff000);

    out->memory = memory;
    out->hooks = readonly_hooks(memory_phys_to_virt, out);
    out->granule = HVPT_4K;
    out->root_size = HVPT_4K;
    switch (read->config.kind) {
    case HVPT_KIND_EPT:
        if (!(root & 0xfff)) /* the table's address alone: four levels, write-back */
            root |= HVPT_EPTP_MEMTYPE_WB | UINT64_C(3) << HVPT_EPTP_LEVELS_SHIFT;
        break;
    case HVPT_KIND_NPT: root &= ~UINT64_C(0xfff); break; /* PWT and PCD */
    case HVPT_KIND_S2:
        out->granule = UINT64_C(1) << shift;
        mask = UINT64_C(0x0000ffffffffffc0);
        break;
    case HVPT_KIND_GSTAGE:
        if (root >> 60 == 0 && !(root & 0x3fff)) /* likewise: Sv48x4 */
            root = root >> 12 | UINT64_C(9) << HVPT_HGATP_MODE_SHIFT;
        out->root_size = HVPT_16K;
        break;
    }
    out->root = read->config.kind == HVPT_KIND_GSTAGE ? (root & HVPT_HGATP_PPN_BITS) << 12 : root & mask;
    if (read->config.kind == HVPT_KIND_NPT && read->config.npt.c_bit)
        out->root &= ~(UINT64_C(1) << read->config.npt.c_bit);
    /* How large Arm's root is follows from the config, which adopt works out: look first, then ask for all of it. */
    if (read->config.kind == HVPT_KIND_S2)
        out->root_size = out->granule;
    status = hvpt_space_adopt(&out->space, &out->hooks, &read->config, root, true);
    if (status == HVPT_OK) {
        out->root_size = hvpt_audit_table_size(&out->space, out->space.root_frame, out->space.root_level);
        out->root = out->space.root_frame;
        status = hvpt_space_adopt(&out->space, &out->hooks, &read->config, root, true);
    }
    switch (status) {
    case HVPT_OK: return true;
    case HVPT_E_CORRUPT:
        core_fail_at(error, request, read->root_at, "the root table is not in this memory");
        return false;
    case HVPT_E_ALIGN: core_fail_at(error, request, read->root_at, "the root is not aligned to its size"); return false;
    case HVPT_E_RANGE:
        core_fail_at(error, request, read->root_at, "the root is beyond the physical addresses");
        return false;
    default:
        core_fail_at(error, request, read->root_at, "no CPU has this root with these values (levels, width, features)");
        return false;
    }
}
