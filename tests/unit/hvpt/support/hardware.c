/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The walk, rule by rule from the records, and the caches. */
#include "hardware.h"

#include "reference.h"
#include "risc.h"

#include <stdio.h>
#include <string.h>

typedef uint64_t aligned_word __attribute__((aligned(8)));

static const char *const ept_table_name[CPU_LEVELS] = {"", "PDE_TABLE", "PDPTE_TABLE", "PML4E", "PML5E"};
static const char *const ept_leaf_name[CPU_LEVELS] = {"PTE", "PDE_2M", "PDPTE_1G", "", ""};
static const char *const npt_table_name[CPU_LEVELS] = {"", "PDE_TABLE", "PDPE_TABLE", "PML4E", "PML5E"};
static const char *const npt_leaf_name[CPU_LEVELS] = {"PTE", "PDE_2M", "PDPE_1G", "", ""};

static unsigned lowest_bit(uint64_t mask)
{
    unsigned bit = 0;

    while (!((mask >> bit) & 1))
        bit++;
    return bit;
}

static void load_entry(struct cpu_entry *entry, const struct reference *fields, const char *name,
                       const struct cpu_features *on)
{
    unsigned m = on->maxphyaddr;

    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    if (*name == '\0')
        return;
    if (on->kind == CPU_EPT) {
        entry->read = reference_field(fields, name, "READ", m);
        entry->write = reference_field(fields, name, "WRITE", m);
        entry->exec = reference_field(fields, name, "EXECUTE", m);
        entry->exec_user = reference_field(fields, name, "USER_EXECUTE", m);
        entry->memtype = reference_field(fields, name, "MEMORY_TYPE", m);
        entry->ignore_pat = reference_field(fields, name, "IGNORE_PAT", m);
        entry->accessed = reference_field(fields, name, "ACCESSED", m);
        entry->dirty = reference_field(fields, name, "DIRTY", m);
        entry->large = reference_field(fields, name, "LARGE_PAGE", m);
    } else {
        entry->read = reference_field(fields, name, "P", m);
        entry->write = reference_field(fields, name, "RW", m);
        entry->exec = reference_field(fields, name, "NX", m);
        entry->user = reference_field(fields, name, "US", m);
        entry->pat0 = reference_field(fields, name, "PWT", m);
        entry->pat1 = reference_field(fields, name, "PCD", m);
        entry->pat2 = reference_field(fields, name, "PAT", m);
        entry->accessed = reference_field(fields, name, "A", m);
        entry->dirty = reference_field(fields, name, "D", m);
        entry->large = reference_field(fields, name, "PS", m);
    }
    entry->reserved = reference_field(fields, name, "RESERVED", m);
    entry->reserved &= ~(on->c_bit == 0 ? 0 : UINT64_C(1) << on->c_bit);
    entry->address =
        reference_field(fields, name, "TABLE_ADDRESS", m) | reference_field(fields, name, "PAGE_ADDRESS", m);
    CHECK(entry->read != 0 && entry->address != 0, "no records of %s", name);
}

static bool condition_holds(const char *condition, const struct cpu_features *on)
{
    static const char *const names[] = {"execute_only", "mode_based_execute", "paging_write", "page_1g", "page_2m"};
    const bool values[] = {on->execute_only, on->mode_based_execute, on->paging_write, on->page_1g, on->page_2m};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char negated[32];

        (void)snprintf(negated, sizeof(negated), "!%s", names[i]);
        if ((reference_listed(condition, names[i]) && !values[i])
            || (reference_listed(condition, negated) && values[i]))
            return false;
    }
    return true;
}

static uint64_t mask_of_range(const char *range, unsigned maxphyaddr)
{
    char low[8];
    const char *colon = strchr(range, ':');

    CHECK(colon != NULL && (size_t)(colon - range) < sizeof(low), "bad range %s", range);
    memcpy(low, range, (size_t)(colon - range));
    low[colon - range] = '\0';
    return bits_mask(reference_bit(low, maxphyaddr), reference_bit(colon + 1, maxphyaddr));
}

static void load_ept_rules(struct cpu *cpu)
{
    struct reference file;
    size_t id, entries, clear, set, field, values, condition;

    reference_load(&file, "hvpt/ept_misconfigurations.csv");
    id = reference_column(&file, "id");
    entries = reference_column(&file, "entries");
    clear = reference_column(&file, "clear");
    set = reference_column(&file, "set");
    field = reference_column(&file, "field");
    values = reference_column(&file, "values");
    condition = reference_column(&file, "condition");
    for (size_t row = 1; row < file.rows; row++) {
        char **cell = file.cell[row];
        struct cpu_rule *rule = &cpu->rules[cpu->rule_count];

        if (!condition_holds(cell[condition], &cpu->features))
            continue;
        CHECK(cpu->rule_count < CPU_RULES, "too many rules");
        (void)snprintf(rule->id, sizeof(rule->id), "%s", cell[id]);
        for (unsigned level = 0; level < CPU_LEVELS; level++) {
            rule->applies[level][0] =
                *cpu->table[level].name && reference_listed(cell[entries], cpu->table[level].name);
            rule->applies[level][1] = *cpu->leaf[level].name && reference_listed(cell[entries], cpu->leaf[level].name);
        }
        if (*cell[clear])
            rule->clear = UINT64_C(1) << reference_bit(cell[clear], 0);
        if (*cell[set])
            rule->set = mask_of_range(cell[set], cpu->features.maxphyaddr);
        if (*cell[field])
            rule->field = mask_of_range(cell[field], cpu->features.maxphyaddr);
        for (unsigned value = 0; value < 32; value++) {
            char text[4];

            (void)snprintf(text, sizeof(text), "%u", value);
            if (reference_listed(cell[values], text))
                rule->values |= UINT32_C(1) << value;
        }
        cpu->rule_count++;
    }
    reference_free(&file);
}

static void npt_rule(struct cpu *cpu, const char *id, unsigned level, bool leaf, uint64_t set)
{
    struct cpu_rule *rule = &cpu->rules[cpu->rule_count];

    if (set == 0)
        return;
    CHECK(cpu->rule_count < CPU_RULES, "too many rules");
    (void)snprintf(rule->id, sizeof(rule->id), "%s", id);
    rule->applies[level][leaf] = true;
    rule->set = set;
    cpu->rule_count++;
}

static void load_npt_rules(struct cpu *cpu)
{
    const struct cpu_features *on = &cpu->features;

    for (unsigned level = 0; level < CPU_LEVELS; level++) {
        npt_rule(cpu, "RESERVED", level, false, cpu->table[level].reserved);
        npt_rule(cpu, "RESERVED", level, true, cpu->leaf[level].reserved);
        if (!on->no_execute) {
            npt_rule(cpu, "NX", level, false, cpu->table[level].exec);
            npt_rule(cpu, "NX", level, true, cpu->leaf[level].exec);
        }
    }
    if (!on->page_1g)
        npt_rule(cpu, "PAGE1GB", 2, true, cpu->leaf[2].large);
    if (!on->page_2m)
        npt_rule(cpu, "PAGE2MB", 1, true, cpu->leaf[1].large);
}

static void cpu_build(struct cpu *cpu, const struct cpu_features *features)
{
    bool ept = features->kind == CPU_EPT;
    struct reference fields;

    memset(cpu, 0, sizeof(*cpu));
    cpu->features = *features;
    if (features->kind == CPU_GSTAGE || features->kind == CPU_S2)
        return; /* written out in risc.c */
    reference_load(&fields, ept ? "hvpt/ept_fields.csv" : "hvpt/npt_fields.csv");
    for (unsigned level = 0; level < CPU_LEVELS; level++) {
        load_entry(&cpu->table[level], &fields, ept ? ept_table_name[level] : npt_table_name[level], features);
        load_entry(&cpu->leaf[level], &fields, ept ? ept_leaf_name[level] : npt_leaf_name[level], features);
    }
    reference_free(&fields);
    if (ept)
        load_ept_rules(cpu);
    else
        load_npt_rules(cpu);
}

/* A fuzzer asks for the same few processors thousands of times a second: the records are read once for each. */
void cpu_init(struct cpu *cpu, const struct cpu_features *features)
{
    static struct cpu known[64];
    static unsigned count;
    unsigned i = 0;

    while (i < count && memcmp(&known[i].features, features, sizeof(*features)) != 0)
        i++;
    if (i == sizeof(known) / sizeof(known[0])) {
        cpu_build(cpu, features);
        return;
    }
    if (i == count)
        cpu_build(&known[count++], features);
    *cpu = known[i];
}

unsigned cpu_shift(const struct cpu_features *on, unsigned level)
{
    unsigned page = on->page_shift == 0 ? 12 : on->page_shift;

    return page + level * (page - 3);
}

unsigned cpu_gpa_bits(const struct cpu_features *on)
{
    return on->gpa_bits == 0 ? cpu_shift(on, on->levels) : on->gpa_bits;
}

/* A root may be several tables side by side: its index is all that is left of the address. */
unsigned cpu_index(const struct cpu_features *on, uint64_t gpa, unsigned level)
{
    uint64_t index = gpa >> cpu_shift(on, level);

    if (level != on->levels - 1)
        index &= (UINT64_C(1) << (cpu_shift(on, 1) - cpu_shift(on, 0))) - 1;
    return (unsigned)index;
}

bool cpu_marks_accessed(const struct cpu_features *on)
{
    return on->kind == CPU_NPT || on->accessed_dirty || on->hardware_access_flag;
}

bool cpu_marks_dirty(const struct cpu_features *on)
{
    return on->kind == CPU_NPT || on->accessed_dirty || on->hardware_dirty_state;
}

bool cpu_wants_break(const struct cpu *cpu, unsigned level, uint64_t old, uint64_t value)
{
    return cpu->features.kind == CPU_S2 && s2_wants_break(&cpu->features, level, old, value);
}

static bool leaf_in_set(const struct cpu *cpu, const struct frame *frame, unsigned index, struct cpu_translation *out)
{
    const uint64_t entry = frame->shadow[index];
    const uint64_t gpa = frame->gpa + ((uint64_t)index << cpu_shift(&cpu->features, frame->level));

    memset(out, 0, sizeof(*out));
    if (!cpu_present(cpu, entry) || !cpu_is_leaf(cpu, frame->level, entry))
        return false;
    if (cpu->features.kind == CPU_GSTAGE)
        (void)gstage_step(&cpu->features, entry, frame->level, gpa, out);
    else
        (void)s2_step(&cpu->features, entry, frame->level, gpa, out);
    return out->outcome == CPU_MAPPED;
}

bool cpu_set_agrees(const void *ctx, const struct frame *frame, unsigned index)
{
    const struct cpu *cpu = ctx;
    const bool arm = cpu->features.kind == CPU_S2;
    const unsigned count = arm ? run_of(&cpu->features, frame->level) : cpu->features.svnapot && frame->level == 0 ? 16 : 1;
    const uint64_t span = UINT64_C(1) << cpu_shift(&cpu->features, frame->level);
    struct cpu_translation one, other;

    if (count == 1 || !leaf_in_set(cpu, frame, index, &one))
        return true;
    for (unsigned i = index / count * count, end = i + count; i < end; i++) {
        if (!leaf_in_set(cpu, frame, i, &other) || !(one.joined || other.joined))
            continue;
        if (other.hpa - i * span != one.hpa - index * span || other.rights != one.rights || other.memtype != one.memtype
            || (arm && !cpu->features.no_break && other.joined != one.joined))
            return false;
    }
    return true;
}

bool cpu_present(const struct cpu *cpu, uint64_t entry)
{
    const struct cpu_entry *any = &cpu->leaf[0];

    if (cpu->features.kind == CPU_GSTAGE || cpu->features.kind == CPU_S2)
        return (entry & 1) != 0; /* V */
    if (cpu->features.kind == CPU_NPT)
        return (entry & any->read) != 0;
    return (entry & (any->read | any->write | any->exec)) != 0
        || (cpu->features.mode_based_execute && (entry & any->exec_user));
}

bool cpu_is_leaf(const struct cpu *cpu, unsigned level, uint64_t entry)
{
    if (cpu->features.kind == CPU_GSTAGE)
        return gstage_is_leaf(entry);
    if (cpu->features.kind == CPU_S2)
        return s2_is_leaf(level, entry);
    return level == 0 || (entry & cpu->leaf[level].large) != 0;
}

static const struct cpu_entry *entry_of(const struct cpu *cpu, unsigned level, uint64_t entry)
{
    return cpu_is_leaf(cpu, level, entry) ? &cpu->leaf[level] : &cpu->table[level];
}

const char *cpu_misconfigured(const struct cpu *cpu, unsigned level, uint64_t entry)
{
    bool leaf = cpu_is_leaf(cpu, level, entry);

    for (unsigned i = 0; i < cpu->rule_count; i++) {
        const struct cpu_rule *rule = &cpu->rules[i];

        if (!rule->applies[level][leaf] || (entry & rule->clear))
            continue;
        if (entry & rule->set)
            return rule->id;
        if (rule->field != 0 && ((rule->values >> ((entry & rule->field) >> lowest_bit(rule->field))) & 1))
            return rule->id;
    }
    return NULL;
}

bool cpu_child(const void *ctx, unsigned level, uint64_t entry, uint64_t *pa)
{
    const struct cpu *cpu = ctx;

    if (level == 0 || !cpu_present(cpu, entry) || cpu_is_leaf(cpu, level, entry))
        return false;
    *pa = cpu->features.kind == CPU_GSTAGE ? gstage_address(entry)
        : cpu->features.kind == CPU_S2     ? s2_address(&cpu->features, entry)
                                           : entry & cpu->table[level].address;
    return true;
}

unsigned cpu_memtype(const struct cpu *cpu, unsigned level, uint64_t leaf)
{
    const struct cpu_entry *entry = &cpu->leaf[level];
    unsigned index;

    if (cpu->features.kind == CPU_EPT)
        return (unsigned)((leaf & entry->memtype) >> lowest_bit(entry->memtype));
    index = ((leaf & entry->pat0) ? 1u : 0u) | ((leaf & entry->pat1) ? 2u : 0u) | ((leaf & entry->pat2) ? 4u : 0u);
    return (unsigned)(cpu->features.pat >> (8 * index)) & 7;
}

uint64_t cpu_root_table(const struct cpu *cpu, uint64_t root_register)
{
    if (cpu->features.kind == CPU_GSTAGE)
        return gstage_root(root_register);
    if (cpu->features.kind == CPU_S2)
        return s2_root(&cpu->features, root_register);
    return root_register & bits_mask(12, cpu->features.maxphyaddr - 1);
}

static uint32_t entry_perm(const struct cpu *cpu, const struct cpu_entry *masks, uint64_t entry)
{
    const struct cpu_features *on = &cpu->features;
    uint32_t perm = 0;

    if (on->kind == CPU_EPT) {
        perm |= (entry & masks->read) ? HVPT_READ : 0;
        perm |= (entry & masks->write) ? HVPT_WRITE : 0;
        perm |= (entry & masks->exec) ? HVPT_EXEC : 0;
        if (on->mode_based_execute)
            perm |= (entry & masks->exec_user) ? HVPT_EXEC_USER : 0;
        return perm;
    }
    /* Every guest access counts as a user access; GMET reinterprets the bit for execution. */
    if (!(entry & masks->read))
        return 0;
    perm = HVPT_READ;
    perm |= (entry & masks->write) ? HVPT_WRITE : 0;
    if (!(on->no_execute && (entry & masks->exec)))
        perm |= HVPT_EXEC | HVPT_EXEC_USER;
    if (on->guest_mode_execute_trap)
        return perm;
    return (entry & masks->user) ? perm & ~(uint32_t)HVPT_EXEC_USER : 0;
}

/* From the table at pa (at level) downwards. perm: what the entries above allow; user: NPT, all US bits above are 1. */
static void walk_from(const struct cpu *cpu, const struct memory *memory, uint64_t pa, unsigned level, uint64_t gpa,
                      uint32_t perm, bool user, struct cpu_translation *out)
{
    for (;; level--) {
        struct frame *frame = memory_frame(memory, pa);
        unsigned shift = cpu_shift(&cpu->features, level);
        unsigned index = cpu_index(&cpu->features, gpa, level);
        const struct cpu_entry *masks;
        uint64_t entry;

        out->level = level;
        if (frame == NULL || frame->state == FRAME_FREE) {
            out->outcome = CPU_LOST;
            return;
        }
        out->table[level] = frame;
        out->index[level] = index;
        /* Frames are aligned, uint64_t on i386 by itself is not: without this a library would be called. */
        entry = __atomic_load_n((const aligned_word *)&frame->virt[index], __ATOMIC_ACQUIRE);
        out->entry = entry;
        if (!cpu_present(cpu, entry)) {
            out->outcome = CPU_ABSENT;
            return;
        }
        if (cpu->features.kind == CPU_GSTAGE || cpu->features.kind == CPU_S2) {
            bool down = cpu->features.kind == CPU_GSTAGE ? gstage_step(&cpu->features, entry, level, gpa, out)
                                                         : s2_step(&cpu->features, entry, level, gpa, out);

            if (!down)
                return;
            pa = out->hpa;
            continue;
        }
        out->rule = cpu_misconfigured(cpu, level, entry);
        if (out->rule != NULL) {
            out->outcome = CPU_MISCONFIGURED;
            return;
        }
        masks = entry_of(cpu, level, entry);
        perm &= entry_perm(cpu, masks, entry);
        user = user && (entry & masks->user);
        if (cpu_is_leaf(cpu, level, entry)) {
            uint64_t size = UINT64_C(1) << shift;

            /* GMET: a page that is a user page at every level is not for the supervisor to execute. */
            if (cpu->features.guest_mode_execute_trap && user)
                perm &= ~(uint32_t)HVPT_EXEC;
            out->outcome = CPU_MAPPED;
            out->page_size = size;
            out->hpa = (entry & masks->address) | (gpa & (size - 1));
            out->perm = out->rights = perm;
            out->reach = size;
            out->memtype = cpu_memtype(cpu, level, entry);
            out->ignore_pat = (entry & masks->ignore_pat) != 0;
            out->encrypted = cpu->features.c_bit != 0 && (entry >> cpu->features.c_bit & 1);
            return;
        }
        pa = entry & masks->address;
    }
}

/* The leaf alone, and of a run of pages that hardware holds as one the page that was found. */
static void mark_leaf(const struct cpu *cpu, unsigned access, struct cpu_translation *out)
{
    uint64_t accessed, dirty;

    if (cpu->features.kind == CPU_GSTAGE)
        gstage_marks(&accessed, &dirty);
    else
        s2_marks(&cpu->features, out->entry, &accessed, &dirty);
    if (access != CPU_PROBE) {
        uint64_t bits = (cpu_marks_accessed(&cpu->features) ? accessed : 0)
                      | (cpu_marks_dirty(&cpu->features) && (access & CPU_WRITE) ? dirty : 0);

        if ((out->entry & bits) != bits)
            memory_hardware_set(out->table[out->level], out->index[out->level], bits);
        out->entry |= bits;
    }
    out->accessed = (out->entry & accessed) != 0;
    out->dirty = (out->entry & dirty) != 0;
}

static void mark_used(const struct cpu *cpu, unsigned access, struct cpu_translation *out)
{
    if (cpu->features.kind == CPU_GSTAGE || cpu->features.kind == CPU_S2) {
        mark_leaf(cpu, access, out);
        return;
    }
    if (access != CPU_PROBE && (cpu->features.accessed_dirty || cpu->features.kind == CPU_NPT)) {
        for (unsigned level = out->level; level < CPU_LEVELS && out->table[level] != NULL; level++) {
            uint64_t entry = out->table[level]->virt[out->index[level]];
            const struct cpu_entry *masks = entry_of(cpu, level, entry);
            uint64_t bits = masks->accessed | (level == out->level && (access & CPU_WRITE) ? masks->dirty : 0);

            if ((entry & bits) != bits)
                memory_hardware_set(out->table[level], out->index[level], bits);
        }
    }
    if (out->level < CPU_LEVELS && out->table[out->level] != NULL)
        out->entry = out->table[out->level]->virt[out->index[out->level]];
    out->accessed = (out->entry & cpu->leaf[out->level].accessed) != 0;
    out->dirty = (out->entry & cpu->leaf[out->level].dirty) != 0;
}

static bool allowed(uint32_t perm, unsigned access)
{
    if ((access & CPU_READ) && !(perm & HVPT_READ))
        return false;
    if ((access & CPU_WRITE) && !(perm & HVPT_WRITE))
        return false;
    return !(access & CPU_FETCH) || (perm & (HVPT_EXEC | HVPT_EXEC_USER));
}

static bool beyond(const struct cpu *cpu, uint64_t gpa)
{
    return gpa >> cpu_gpa_bits(&cpu->features) != 0;
}

static void finish(const struct cpu *cpu, unsigned access, struct cpu_translation *out)
{
    if (out->outcome == CPU_MAPPED && !allowed(out->perm, access))
        out->outcome = CPU_DENIED;
    if (out->outcome == CPU_MAPPED)
        mark_used(cpu, access, out);
}

void cpu_walk(const struct cpu *cpu, const struct memory *memory, uint64_t root_register, uint64_t gpa, unsigned access,
              struct cpu_translation *out)
{
    memset(out, 0, sizeof(*out));
    if (beyond(cpu, gpa)) {
        out->outcome = CPU_ABSENT;
        return;
    }
    walk_from(cpu, memory, cpu_root_table(cpu, root_register), cpu->features.levels - 1, gpa, UINT32_MAX, true, out);
    finish(cpu, access, out);
}

/* ---- TLB ---- */

void tlb_init(struct tlb *tlb, const struct cpu *cpu, struct memory *memory, uint64_t root_register)
{
    memset(tlb, 0, sizeof(*tlb));
    tlb->cpu = cpu;
    tlb->memory = memory;
    tlb->root = root_register;
    tlb->random.state = 7;
}

static bool covers(uint64_t base, uint64_t size, uint64_t gpa)
{
    return gpa - base < size;
}

static void remember_table(struct tlb *tlb, const struct cpu_translation *walk, unsigned level, uint64_t gpa,
                           uint32_t perm)
{
    uint64_t size = UINT64_C(1) << cpu_shift(&tlb->cpu->features, level);
    uint64_t base = gpa & ~(size - 1);
    struct tlb_table *victim = &tlb->table[random_below(&tlb->random, TLB_TABLES)];

    for (unsigned i = 0; i < TLB_TABLES; i++) {
        struct tlb_table *table = &tlb->table[i];

        if (table->valid && table->level == level - 1 && table->gpa == base)
            return;
        if (!table->valid)
            victim = table;
    }
    victim->valid = true;
    victim->gpa = base;
    victim->size = size;
    victim->level = level - 1;
    victim->pa = walk->table[level - 1]->pa;
    victim->perm = perm;
}

static void remember(struct tlb *tlb, const struct cpu_translation *walk, unsigned top, uint64_t gpa,
                     uint32_t perm_above)
{
    struct tlb_page *victim = &tlb->page[random_below(&tlb->random, TLB_PAGES)];
    uint32_t perm = perm_above;

    for (unsigned level = top; level > walk->level; level--) {
        uint64_t entry = walk->table[level]->virt[walk->index[level]];

        /* Under GMET the user bits would have to be kept too: those spaces are cached as pages only. */
        if (tlb->cpu->features.guest_mode_execute_trap)
            break;
        if (tlb->cpu->features.kind == CPU_EPT || tlb->cpu->features.kind == CPU_NPT)
            perm &= entry_perm(tlb->cpu, entry_of(tlb->cpu, level, entry), entry);
        remember_table(tlb, walk, level, gpa, perm);
    }
    for (unsigned i = 0; i < TLB_PAGES; i++)
        if (!tlb->page[i].valid)
            victim = &tlb->page[i];
    victim->valid = true;
    victim->gpa = gpa & ~(walk->reach - 1);
    victim->size = walk->reach;
    victim->hpa = walk->hpa & ~(walk->reach - 1);
    victim->perm = walk->perm;
    victim->memtype = walk->memtype;
    victim->ignore_pat = walk->ignore_pat;
    victim->accessed = walk->accessed;
    victim->dirty = walk->dirty;
}

void tlb_access(struct tlb *tlb, uint64_t gpa, unsigned access, struct cpu_translation *out)
{
    const struct tlb_table *start = NULL;
    unsigned top = tlb->cpu->features.levels - 1;
    bool tracks_dirty = cpu_marks_dirty(&tlb->cpu->features);

    memset(out, 0, sizeof(*out));
    out->outcome = CPU_ABSENT;
    if (beyond(tlb->cpu, gpa))
        return;
    for (unsigned i = 0; i < TLB_PAGES; i++) {
        struct tlb_page *page = &tlb->page[i];

        if (!page->valid || !covers(page->gpa, page->size, gpa))
            continue;
        /* A fault, or a first write that must set D, goes to the tables; what was cached is dropped. */
        if (!allowed(page->perm, access) || ((access & CPU_WRITE) && tracks_dirty && !page->dirty)) {
            page->valid = false;
            continue;
        }
        tlb->hits++;
        out->outcome = CPU_MAPPED;
        out->hpa = page->hpa + (gpa - page->gpa);
        out->perm = page->perm;
        out->memtype = page->memtype;
        out->ignore_pat = page->ignore_pat;
        out->page_size = page->size;
        return;
    }
    for (unsigned i = 0; i < TLB_TABLES; i++) {
        const struct tlb_table *table = &tlb->table[i];

        if (table->valid && covers(table->gpa, table->size, gpa) && (start == NULL || table->level < start->level))
            start = table;
    }
    if (start != NULL)
        walk_from(tlb->cpu, tlb->memory, start->pa, start->level, gpa, start->perm, true, out);
    else
        walk_from(tlb->cpu, tlb->memory, cpu_root_table(tlb->cpu, tlb->root), top, gpa, UINT32_MAX, true, out);
    CHECK(out->outcome != CPU_LOST, "a CPU walked %#llx through a cached table that is no table any more",
          (unsigned long long)gpa);
    finish(tlb->cpu, access, out);
    if (out->outcome == CPU_MAPPED)
        remember(tlb, out, start != NULL ? start->level : top, gpa, start != NULL ? start->perm : UINT32_MAX);
    else if (start != NULL) {
        /* A fault drops what led to it and is taken only if the tables themselves agree. */
        for (unsigned i = 0; i < TLB_TABLES; i++)
            if (covers(tlb->table[i].gpa, tlb->table[i].size, gpa))
                tlb->table[i].valid = false;
        cpu_walk(tlb->cpu, tlb->memory, tlb->root, gpa, access, out);
    }
}

void tlb_flush(void *ctx, const struct hvpt_flush *flush)
{
    struct tlb *tlb = ctx;
    uint64_t last = flush->gpa.value + (flush->size - 1);

    if (flush->size == 0)
        return;
    for (unsigned i = 0; i < TLB_PAGES; i++) {
        struct tlb_page *page = &tlb->page[i];

        if (page->valid && page->gpa <= last && flush->gpa.value <= page->gpa + (page->size - 1))
            page->valid = false;
    }
    for (unsigned i = 0; i < TLB_TABLES && flush->tables; i++) {
        struct tlb_table *table = &tlb->table[i];

        if (table->valid && table->gpa <= last && flush->gpa.value <= table->gpa + (table->size - 1))
            table->valid = false;
    }
}

void tlb_flush_all(struct tlb *tlb)
{
    memset(tlb->page, 0, sizeof(tlb->page));
    memset(tlb->table, 0, sizeof(tlb->table));
}

void tlb_check(const struct tlb *tlb)
{
    bool accessed = cpu_marks_accessed(&tlb->cpu->features), dirty = cpu_marks_dirty(&tlb->cpu->features);
    uint64_t small = UINT64_C(1) << cpu_shift(&tlb->cpu->features, 0);

    for (unsigned i = 0; i < TLB_PAGES; i++) {
        const struct tlb_page *page = &tlb->page[i];

        /* A cached large page may since have become small ones that say the same: look at both ends and inside. */
        for (unsigned probe = 0; page->valid && probe < 3; probe++) {
            uint64_t offset = probe == 0 ? 0
                            : probe == 1 ? page->size - small
                                         : (page->size / 2 + page->size / 8) & ~(small - 1);
            uint64_t gpa = page->gpa + offset;
            struct cpu_translation now;

            cpu_walk(tlb->cpu, tlb->memory, tlb->root, gpa, CPU_PROBE, &now);
            CHECK(now.outcome == CPU_MAPPED, "stale TLB entry for %#llx: it is not mapped any more (%d)",
                  (unsigned long long)gpa, (int)now.outcome);
            CHECK(now.hpa == page->hpa + offset, "stale TLB entry for %#llx: %#llx, tables say %#llx",
                  (unsigned long long)gpa, (unsigned long long)(page->hpa + offset), (unsigned long long)now.hpa);
            CHECK((page->perm & ~now.perm) == 0, "stale TLB entry for %#llx allows %x, tables %x",
                  (unsigned long long)gpa, page->perm, now.perm);
            CHECK(now.memtype == page->memtype && now.ignore_pat == page->ignore_pat,
                  "stale memory type for %#llx: %u, tables say %u", (unsigned long long)gpa, page->memtype,
                  now.memtype);
            /* What one page of a run has, all have. */
            for (uint64_t at = gpa & ~(now.reach - 1); now.joined && at < (gpa & ~(now.reach - 1)) + now.reach;
                 at += now.page_size) {
                struct cpu_translation other;

                cpu_walk(tlb->cpu, tlb->memory, tlb->root, at, CPU_PROBE, &other);
                now.accessed = now.accessed || other.accessed;
                now.dirty = now.dirty || other.dirty;
            }
            CHECK(!dirty || !page->dirty || now.dirty, "stale TLB entry for %#llx: writes would not set D",
                  (unsigned long long)gpa);
            CHECK(!accessed || !page->accessed || now.accessed, "stale TLB entry for %#llx: accesses would not set A",
                  (unsigned long long)gpa);
        }
    }
    for (unsigned i = 0; i < TLB_TABLES; i++) {
        const struct tlb_table *table = &tlb->table[i];
        struct cpu_translation now;

        if (!table->valid)
            continue;
        cpu_walk(tlb->cpu, tlb->memory, tlb->root, table->gpa, CPU_PROBE, &now);
        CHECK(now.table[table->level] != NULL && now.table[table->level]->pa == table->pa,
              "stale walk-cache entry for %#llx: the table at level %u went away or was replaced",
              (unsigned long long)table->gpa, table->level);
    }
}
