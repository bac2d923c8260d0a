/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt walk: one guest-physical address through the second level, or a guest-virtual one through both, entry by entry.
 */
#include "memory.h"

#include "json.h"
#include "readonly.h"

#include <hvpt/guest/walk.h>

/* What all guests' walks have, taken from the architecture's own struct. */
struct walk_result {
    enum hvpt_guest_end end;
    bool paging;
    unsigned root_level, level;
    const struct hvpt_guest_step *step;
    uint64_t gpa, guest_page_size;
    bool on_table;
    uint64_t fault_gpa;
    uint64_t hpa, page_size;
    uint32_t perm;
    const struct hvpt_mapping *second;
};

static const struct memory_space *walk_space;

/* The guest's frames: a page of 4 KiB each, whatever the granule of the second level is. */
static void *walk_phys_to_virt(void *ctx, hvpt_hpa frame)
{
    const struct memory *memory = (const struct memory *)ctx;

    return (void *)(uintptr_t)memory->frame(memory->ctx, frame.value, HVPT_4K);
}

/* ---- the explanation, as lines or a list of strings ---- */

static void walk_lines(const struct hvpt_text *out, struct json *json, const char *key, const char *indent,
                       const char *words)
{
    if (json)
        json_open(json, key, "[");
    while (*words) {
        size_t length = 0;

        while (words[length] && words[length] != '\n')
            length++;
        if (json) {
            json_string_n(json, NULL, words, length);
        } else {
            hvpt_text_string(out, indent);
            out->put(out->ctx, words, length);
            hvpt_text_string(out, "\n");
        }
        words += length + (words[length] == '\n');
    }
    if (json)
        json_close(json, "]");
}

static enum hvpt_status walk_explain(const struct hvpt_text *out, struct json *json, const char *indent, uint64_t gpa,
                                     uint32_t access)
{
    static char words[HVPT_EXPLAIN_SIZE * 2];
    struct hvpt_text_buffer buffer;
    const struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    const enum hvpt_status status = hvpt_space_explain(&walk_space->space, hvpt_make_gpa(gpa), access, &text);

    walk_lines(out, json, "second_level", indent, words);
    return status;
}

static void walk_mapping(const struct hvpt_text *out, struct json *json, const struct hvpt_mapping *mapping)
{
    char perm[5];

    tree_perm(mapping->attr.perm, perm);
    if (json) {
        json_hex(json, "hpa", mapping->hpa.value);
        json_hex(json, "page_size", mapping->page_size);
        json_string(json, "perm", perm);
        json_string(json, "memtype", hvpt_memtype_text(mapping->attr.memtype));
        return;
    }
    hvpt_text_string(out, "  = host-physical ");
    hvpt_text_hex(out, mapping->hpa.value);
    hvpt_text_string(out, ", page of ");
    tree_size(out, mapping->page_size);
    hvpt_text_string(out, ", ");
    hvpt_text_string(out, perm);
    hvpt_text_string(out, ", ");
    hvpt_text_string(out, hvpt_memtype_text(mapping->attr.memtype));
    hvpt_text_string(out, "\n");
}

static enum core_status walk_gpa(const struct memory_request *read, const struct hvpt_text *out, struct json *json)
{
    struct hvpt_mapping mapping;
    enum hvpt_status status;
    uint32_t access = read->access;

    if (read->user && (access & HVPT_EXEC))
        access = (access & ~(uint32_t)HVPT_EXEC) | HVPT_EXEC_USER;
    if (json)
        json_hex(json, "gpa", read->gpa);
    status = walk_explain(out, json, "", read->gpa, access);
    if (hvpt_space_translate(&walk_space->space, hvpt_make_gpa(read->gpa), &mapping) == HVPT_OK)
        walk_mapping(out, json, &mapping);
    if (json)
        json_string(json, "status", hvpt_status_text(status));
    return status == HVPT_OK ? CORE_SOUND : CORE_BROKEN;
}

/* ---- both stages ---- */

static void walk_step(const struct hvpt_text *out, struct json *json, unsigned level,
                      const struct hvpt_guest_step *step)
{
    if (json) {
        json_open(json, NULL, "{");
        json_number(json, "level", level);
        json_hex(json, "gpa", step->gpa.value);
        json_hex(json, "hpa", step->hpa.value);
        json_hex(json, "entry", step->entry);
        json_hex(json, "update", step->update);
        json_close(json, "}");
        return;
    }
    hvpt_text_string(out, "  level ");
    hvpt_text_decimal(out, level);
    if (step->in_register) {
        hvpt_text_string(out, ": PDPTE in its register");
    } else {
        hvpt_text_string(out, ": entry at guest-physical ");
        hvpt_text_hex(out, step->gpa.value);
        hvpt_text_string(out, ", host-physical ");
        hvpt_text_hex(out, step->hpa.value);
    }
    hvpt_text_string(out, " is ");
    hvpt_text_hex(out, step->entry);
    if (step->update) {
        hvpt_text_string(out, "; hardware changes bits ");
        hvpt_text_hex(out, step->update);
    }
    hvpt_text_string(out, "\n");
}

static enum core_status walk_both(const struct hvpt_text *out, struct json *json, const struct walk_result *walk,
                                  uint64_t linear, uint32_t access)
{
    unsigned level;
    const bool second_failed = walk->end != HVPT_GUEST_OK && walk->end != HVPT_GUEST_PAGE_FAULT
                            && walk->end != HVPT_GUEST_NOT_CANONICAL && walk->end != HVPT_GUEST_BAD_ARGUMENT;

    if (json) {
        json_hex(json, "gva", linear);
        json_bool(json, "paging", walk->paging);
        json_open(json, "guest_entries", "[");
    } else {
        hvpt_text_string(out, "guest-virtual ");
        hvpt_text_hex(out, linear);
        hvpt_text_string(out, walk->paging ? ", by the guest's tables:\n" : ", no paging in the guest\n");
    }
    for (level = walk->root_level; walk->paging && level < HVPT_MAX_LEVELS; level--) {
        const struct hvpt_guest_step *step = &walk->step[level];

        /* The entry that could not be read was not read. */
        if (level < walk->level || (level == walk->level && walk->on_table && !step->entry))
            break;
        walk_step(out, json, level, step);
        if (level == 0)
            break;
    }
    if (json) {
        json_close(json, "]");
        json_string(json, "end", hvpt_guest_end_text(walk->end));
        json_bool(json, "on_table", walk->on_table);
    } else {
        hvpt_text_string(out, "  ends: ");
        hvpt_text_string(out, hvpt_guest_end_text(walk->end));
        hvpt_text_string_if(out, walk->on_table && second_failed, ", for a table of the guest");
        hvpt_text_string(out, "\n");
    }
    if (walk->end == HVPT_GUEST_OK) {
        if (json)
            json_hex(json, "gpa", walk->gpa);
        else
            hvpt_text_string(out, "second level, for the page itself:\n");
        (void)(walk_explain(out, json, "  ", walk->gpa, access) == HVPT_OK);
        walk_mapping(out, json, walk->second);
        return CORE_SOUND;
    }
    if (second_failed) {
        if (json) {
            json_hex(json, "gpa", walk->fault_gpa);
        } else {
            hvpt_text_string(out, "second level, at guest-physical ");
            hvpt_text_hex(out, walk->fault_gpa);
            hvpt_text_string(out, ":\n");
        }
        (void)(walk_explain(out, json, "  ", walk->fault_gpa, walk->on_table ? (uint32_t)HVPT_READ : access)
               == HVPT_OK);
    }
    return CORE_BROKEN;
}

static bool walk_gva(const struct core_request *request, const struct memory_request *read, const struct hvpt_text *out,
                     struct json *json, struct core_error *error, enum core_status *answer)
{
    static struct hvpt_guest_walk x86;
    static struct hvpt_arm_walk arm;
    static struct hvpt_riscv_walk riscv;
    struct hvpt_hooks memory = readonly_hooks(walk_phys_to_virt, (void *)(uintptr_t)walk_space->memory);
    struct walk_result walk;
    uint32_t access = read->access ? read->access : (uint32_t)HVPT_READ;
    unsigned i;

    (void)request;
    if ((access & HVPT_EXEC) && access != HVPT_EXEC)
        return core_fail(error, 0, 0, "an access to a guest-virtual address is r, w, rw or x"), false;
    for (i = 0; i < sizeof(walk); i++)
        ((unsigned char *)&walk)[i] = 0;
#define WALK_TAKE(from)                                                                                       \
    (walk.end = (from).end, walk.paging = (from).paging, walk.root_level = (from).root_level,                 \
     walk.level = (from).level, walk.step = (from).step, walk.gpa = (from).gpa.value,                         \
     walk.guest_page_size = (from).guest_page_size, walk.on_table = (from).on_table,                          \
     walk.fault_gpa = (from).fault_gpa.value, walk.hpa = (from).hpa.value, walk.page_size = (from).page_size, \
     walk.perm = (from).perm, walk.second = &(from).second)
    switch (read->config.kind) {
    case HVPT_KIND_EPT:
    case HVPT_KIND_NPT: {
        struct hvpt_x86_guest guest;

        for (i = 0; i < sizeof(guest); i++)
            ((unsigned char *)&guest)[i] = 0;
        if (!read->has_reg[REG_CR3])
            return core_fail(error, 0, 0, "cr3= is missing: a guest-virtual address needs the guest's registers"),
                   false;
        guest.cr3 = read->reg[REG_CR3];
        guest.cr0 = read->has_reg[REG_CR0] ? read->reg[REG_CR0] : HVPT_X86_CR0_PE | HVPT_X86_CR0_PG | HVPT_X86_CR0_WP;
        guest.cr4 = read->has_reg[REG_CR4] ? read->reg[REG_CR4] : HVPT_X86_CR4_PAE;
        guest.efer = read->has_reg[REG_EFER] ? read->reg[REG_EFER] : HVPT_X86_EFER_LMA | HVPT_X86_EFER_NXE;
        guest.rflags = read->reg[REG_RFLAGS];
        guest.pat = read->reg[REG_PAT];
        guest.memory = &memory;
        (void)(hvpt_guest_walk_x86(&walk_space->space, &guest, read->gva, access | (read->user ? HVPT_X86_USER : 0),
                                   &x86)
               == HVPT_GUEST_OK);
        WALK_TAKE(x86);
        break;
    }
    case HVPT_KIND_S2: {
        struct hvpt_arm_guest guest;

        for (i = 0; i < sizeof(guest); i++)
            ((unsigned char *)&guest)[i] = 0;
        if (!read->has_reg[REG_TCR] || (!read->has_reg[REG_TTBR0] && !read->has_reg[REG_TTBR1]))
            return core_fail(error, 0, 0, "tcr= and ttbr0= or ttbr1= are missing: the guest's registers"), false;
        guest.sctlr = read->has_reg[REG_SCTLR] ? read->reg[REG_SCTLR] : 1; /* M */
        guest.tcr = read->reg[REG_TCR];
        guest.ttbr0 = read->reg[REG_TTBR0];
        guest.ttbr1 = read->reg[REG_TTBR1];
        guest.mair = read->reg[REG_MAIR];
        guest.hcr = read->reg[REG_HCR];
        guest.spsr = read->reg[REG_SPSR];
        guest.memory = &memory;
        (void)(hvpt_guest_walk_arm(&walk_space->space, &guest, read->gva, access | (read->user ? HVPT_ARM_EL0 : 0),
                                   &arm)
               == HVPT_GUEST_OK);
        WALK_TAKE(arm);
        break;
    }
    default: {
        struct hvpt_riscv_guest guest;

        for (i = 0; i < sizeof(guest); i++)
            ((unsigned char *)&guest)[i] = 0;
        if (!read->has_reg[REG_VSATP])
            return core_fail(error, 0, 0, "vsatp= is missing: a guest-virtual address needs the guest's registers"),
                   false;
        guest.vsatp = read->reg[REG_VSATP];
        guest.vsstatus = read->reg[REG_VSSTATUS];
        guest.sstatus = read->reg[REG_SSTATUS];
        guest.henvcfg = read->reg[REG_HENVCFG];
        guest.memory = &memory;
        (void)(hvpt_guest_walk_riscv(&walk_space->space, &guest, read->gva, access | (read->user ? HVPT_RISCV_USER : 0),
                                     &riscv)
               == HVPT_GUEST_OK);
        WALK_TAKE(riscv);
        break;
    }
    }
#undef WALK_TAKE
    if (json) {
        json_open(json, NULL, "{");
        json_string(json, "kind", "walk");
    }
    *answer = walk_both(out, json, &walk, read->gva, access);
    return true;
}

enum core_status core_walk(const struct core_request *request, const struct memory *memory, const struct hvpt_text *out,
                           struct core_error *error)
{
    static struct memory_request read;
    static struct memory_space space;
    struct json writer = {out, false};
    struct json *json = request->json ? &writer : NULL;
    enum core_status answer = CORE_BROKEN;

    if (!memory_read_request(request, &read, error) || !memory_open_space(request, &read, memory, &space, error))
        return CORE_NOT_READABLE;
    walk_space = &space;
    if (read.has_gpa == read.has_gva)
        return core_fail(error, 0, 0, "an address is wanted: gpa=NUMBER or gva=NUMBER"), CORE_NOT_READABLE;
    if (read.has_gva) {
        if (!walk_gva(request, &read, out, json, error, &answer))
            return CORE_NOT_READABLE;
    } else {
        if (json) {
            json_open(json, NULL, "{");
            json_string(json, "kind", "walk");
        }
        answer = walk_gpa(&read, out, json);
    }
    if (json) {
        json_bool(json, "broken", answer == CORE_BROKEN);
        json_close(json, "}");
        hvpt_text_string(out, "\n");
    }
    return answer;
}
