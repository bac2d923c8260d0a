/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* From bytes to operations. Most arguments are sensible; some are not, and must be refused. */
#include "script.h"

#include <stdio.h>

/* Page sizes of the rig: x86's names stand for the same levels of any geometry. */
static uint64_t page_at(const struct rig *rig, unsigned level)
{
    return UINT64_C(1) << cpu_shift(&rig->setup->cpu, level);
}

#define PAGE   page_at(rig, 0)
#define MIDDLE page_at(rig, 1)
#define LARGE  page_at(rig, 2)

bool script_ended(const struct script *script)
{
    return script->data != NULL && script->at >= script->size;
}

static unsigned byte(struct script *script)
{
    if (script->data == NULL)
        return (unsigned)(random_next(&script->random) >> 32) & 255;
    return script->at < script->size ? script->data[script->at++] : 0;
}

static uint64_t page_size(const struct rig *rig, unsigned choice)
{
    uint64_t cap = setup_max_page(rig->setup);
    uint64_t size = choice % 8 < 5 ? PAGE : choice % 8 < 7 ? MIDDLE : LARGE;

    return size <= cap ? size : cap;
}

/* A range: a place, an offset in pages of some size, a length in pages of some size. */
static void range(struct script *script, const struct rig *rig, uint64_t *gpa, uint64_t *size)
{
    uint64_t limit = setup_gpa_limit(rig->setup);
    const uint64_t places[] = {0,         LARGE - 64 * PAGE,
                               2 * LARGE, limit / 4 - MIDDLE,
                               limit / 2, limit > 4 * LARGE ? limit - 2 * LARGE : limit - 4 * MIDDLE};
    unsigned a = byte(script), b = byte(script), c = byte(script);
    uint64_t unit = page_size(rig, a >> 3);
    uint64_t length = 1 + (b & 7) * (unit == PAGE ? 1 + (c & 31) : 1);

    if (unit == LARGE && length > 2)
        length = 2;
    *gpa = places[a % 6] + (unit == PAGE ? (b >> 3) * 37 + (c >> 5) : unit == MIDDLE ? b >> 3 : (b >> 3) & 1) * unit;
    *size = length * unit;
    if (c == 77)
        *gpa += PAGE;
    if (c == 78)
        *size += PAGE;
    if (c == 79)
        *size = limit - *gpa; /* up to the very top */
    if (c == 80)
        *gpa ^= UINT64_C(1) << (b & 63);
    if (c == 81)
        *size ^= UINT64_C(1) << (b & 63);
    if (c == 82)
        *size = 0;
    /* Misaligned, wrapping and oversized ranges are refused; those that are merely huge are for unmap alone. */
}

/* Host addresses that continue each other wherever guest addresses do, so that pages can grow; or do not, by choice. */
static uint64_t host(struct script *script, const struct rig *rig, uint64_t gpa)
{
    unsigned a = byte(script);
    uint64_t hpa = (UINT64_C(4) + 16 * (a & 1)) * LARGE + gpa % (8 * LARGE);

    if (a >= 224)
        hpa += PAGE * (a & 7);
    if (a == 255)
        hpa = setup_hpa_limit(rig->setup) - PAGE * (1 + byte(script) % 8);
    if (a == 254)
        hpa += UINT64_C(1) << (byte(script) & 63);
    return hpa;
}

static struct hvpt_attr attributes(struct script *script, const struct rig *rig)
{
    static const enum hvpt_memtype types[] = {HVPT_MEM_WB, HVPT_MEM_WB, HVPT_MEM_WB, HVPT_MEM_UC,
                                              HVPT_MEM_WT, HVPT_MEM_WC, HVPT_MEM_WP};
    unsigned a = byte(script), b = byte(script);
    struct hvpt_attr attr = rig_data(rig);

    if (a >= 96)
        attr.perm = a & 8 ? HVPT_READ | (a & 6) : a & HVPT_PERM_ALL;
    if (b >= 128)
        attr.memtype = types[b % 7];
    attr.software = b % 16 < 12 ? 0 : rig_software(rig, b % 16);
    if (b % 32 == 31)
        attr.flags = a & 3;
    if (b == 100)
        attr.flags = UINT32_C(1) << (a & 31) & ~MODEL_AGED;
    if (b == 101)
        attr.software = a * 3;
    if (rig->setup->cpu.c_bit != 0 && (b & 2))
        attr.flags |= HVPT_NPT_ENCRYPTED;
    return attr;
}

static void guest(struct script *script, struct rig *rig)
{
    static const unsigned accesses[] = {CPU_READ, CPU_WRITE, CPU_FETCH, CPU_READ | CPU_WRITE};
    unsigned count = byte(script) % 12;

    for (unsigned i = 0; i < count; i++) {
        unsigned a = byte(script);
        uint64_t gpa;

        if (rig->model.count == 0)
            return;
        {
            const struct span *span = &rig->model.span[a % rig->model.count];
            uint64_t pages = (span->last - span->first + 1) / PAGE;
            uint64_t page = a & 1 ? byte(script) % pages : pages - 1 - byte(script) % pages;

            gpa = span->first + page * PAGE + 8 * (a & 63);
        }
        rig_touch(rig, gpa, accesses[a >> 6]);
    }
}

/* Long ranges of small pages would take all memory and all day. */
static bool too_long(const struct rig *rig, uint64_t size)
{
    return size > 3 * LARGE || (setup_max_page(rig->setup) == PAGE && size > 8 * MIDDLE)
        || (setup_max_page(rig->setup) == MIDDLE && size > LARGE);
}

static enum hvpt_status operate(struct script *script, struct rig *rig)
{
    unsigned op = byte(script) % 64;
    uint64_t gpa, size, hpa;
    struct hvpt_attr attr;

    range(script, rig, &gpa, &size);
    if (op < 16) {
        hpa = host(script, rig, gpa);
        attr = attributes(script, rig);
        if (too_long(rig, size)
            || ((rig->setup->config.policy & HVPT_POLICY_EXEC_4K_ONLY) && (attr.perm & 12) && size > 8 * MIDDLE))
            size = 3 * PAGE;
        check_context("%s, step %llu: map %#llx %#llx size %#llx perm %x type %d", rig->setup->name,
                      (unsigned long long)script->steps, (unsigned long long)gpa, (unsigned long long)hpa,
                      (unsigned long long)size, attr.perm, (int)attr.memtype);
        return rig_map(rig, gpa, hpa, size, attr);
    }
    check_context("%s, step %llu: operation %u, %#llx size %#llx", rig->setup->name, (unsigned long long)script->steps,
                  op, (unsigned long long)gpa, (unsigned long long)size);
    if (op < 26)
        return rig_unmap(rig, gpa, size);
    if (op < 34) {
        static const uint32_t masks[] = {HVPT_WRITE,
                                         HVPT_WRITE,
                                         HVPT_EXEC | HVPT_EXEC_USER,
                                         HVPT_CHANGE_MEMTYPE,
                                         HVPT_CHANGE_SOFTWARE,
                                         HVPT_PERM_ALL | HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_FLAGS | HVPT_CHANGE_SOFTWARE,
                                         HVPT_READ,
                                         0};

        attr = attributes(script, rig);
        return rig_protect(rig, gpa, size, attr, masks[byte(script) % 8]);
    }
    if (op < 39) {
        hpa = host(script, rig, gpa);
        attr = attributes(script, rig);
        if (too_long(rig, size) || ((gpa ^ hpa) % MIDDLE != 0 && size > 8 * MIDDLE))
            size = 3 * PAGE;
        return rig_replace(rig, gpa, hpa, size, attr);
    }
    if (op < 44) {
        hpa = host(script, rig, gpa);
        attr = attributes(script, rig);
        return rig_fault_map(rig, gpa, hpa, byte(script) % 16 == 0 ? size : page_size(rig, byte(script)), attr);
    }
    if (op < 48) {
        if (too_long(rig, size))
            size = MIDDLE;
        return rig_split(rig, gpa, size, page_size(rig, byte(script)));
    }
    if (op < 52) {
        if (too_long(rig, size))
            size = LARGE;
        return rig_collapse(rig, byte(script) & 1 ? gpa & ~(LARGE - 1) : gpa, byte(script) & 1 ? 2 * LARGE : size);
    }
    if (too_long(rig, size) && op < 60)
        size = MIDDLE;
    if (op < 54)
        return rig_age(rig, gpa, size);
    if (op < 56)
        return rig_dirty(rig, gpa, size);
    if (op < 58)
        return rig_write_protect(rig, gpa, size);
    if (op < 61)
        return rig_fault(rig, gpa + (byte(script) << 4),
                         UINT32_C(1) << (byte(script) & (rig->setup->two_exec ? 3 : 1)));
    if (op == 61)
        return rig_reserve(rig, byte(script) % 12);
    if (op == 62) {
        rig_adopt(rig);
        return HVPT_OK;
    }
    rig_flush(rig);
    return HVPT_OK;
}

void script_step(struct script *script, struct rig *rig)
{
    unsigned mood = byte(script);

    check_context("%s, step %llu: the guest", rig->setup->name, (unsigned long long)script->steps);
    guest(script, rig);
    if (mood % 8 < 3)
        rig->owing = true;
    if (mood % 16 == 15)
        rig_flush(rig);
    rig->memory.fail_at = mood >= 248 ? 1 + mood % 4 : 0;
    rig->memory.fail_forever = mood & 1;
    (void)operate(script, rig);
    rig->memory.fail_at = 0;
    if (script->check_every == 0 || script->steps % script->check_every == 0)
        rig_check(rig);
    if (script->check_every == 0 && script->steps % 32 == 0)
        rig_check_walk(rig);
    /* A tree that fills all memory only refuses: start again now and then. */
    if (rig->memory.live > rig->memory.slot_count * 3 / 4 || rig->model.count > 400)
        CHECK_STATUS(rig_unmap(rig, 0, setup_gpa_limit(rig->setup)), HVPT_OK, "unmap of everything");
    script->steps++;
}
