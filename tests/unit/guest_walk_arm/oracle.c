/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The other walker. Geometry is a loop over levels from the last one up; rights are the Arm ARM's tables ("Data access
 * permissions", "Instruction execution permissions") and rows that deny; faults are composed from their codes.
 */
#include "oracle.h"

#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))

static bool on(uint64_t value, unsigned bit)
{
    return value >> bit & 1;
}

static uint64_t field(uint64_t value, unsigned high, unsigned low)
{
    return value << (63 - high) >> (63 - high + low);
}

enum fault { NO_FAULT, ADDRESS_SIZE, TRANSLATION, ACCESS_FLAG, PERMISSION, NO_MEMORY };

/* "ISS encoding for an exception from a Data Abort", DFSC. */
static unsigned status(enum fault fault, int level)
{
    static const unsigned base[] = {[ADDRESS_SIZE] = 0, [TRANSLATION] = 4, [ACCESS_FLAG] = 8, [PERMISSION] = 12};

    if (level == -1)
        return fault == ADDRESS_SIZE ? 0x29 : 0x2b;
    return base[fault] + (unsigned)level;
}

static unsigned physical_bits(unsigned code)
{
    static const unsigned bits[] = {32, 36, 40, 42, 44, 48, 52, 52};

    return bits[code & 7];
}

static unsigned span_bits(unsigned granule, int level)
{
    return granule + (unsigned)(3 - level) * (granule - 3);
}

/* The output address of a descriptor, where it has 52 bits and where not. */
static uint64_t output(uint64_t d, unsigned granule, bool lpa, bool ds, unsigned align)
{
    uint64_t address = field(d, ds ? 49 : 47, granule) << granule;

    if (granule == 16 && lpa)
        address |= field(d, 15, 12) << 48;
    if (ds)
        address |= field(d, 9, 8) << 50;
    return address >> align << align;
}

/* May a block be there?  "Block descriptor". */
static bool block_at(unsigned granule, int level, bool ds, bool lpa)
{
    switch (granule) {
    case 12: return level == 1 || level == 2 || (level == 0 && ds);
    case 14: return level == 2 || (level == 1 && ds);
    default: return level == 2 || (level == 1 && lpa);
    }
}

/* ---- stage 2 ---- */

struct second {
    enum fault fault;
    int level;
    uint64_t d, pa, size;
};

static struct second descend2(const struct oracle *cpu, uint64_t ipa)
{
    static const unsigned granules[] = {12, 16, 14, 12};
    static const int starts[3][4] = {{2, 1, 0, 3}, {3, 2, 1, 0}, {3, 2, 1, 0}};
    unsigned tg0 = (unsigned)field(cpu->vtcr, 15, 14), granule = granules[tg0],
             bits = 64 - (unsigned)field(cpu->vtcr, 5, 0);
    bool ds = on(cpu->vtcr, 32), lpa = granule == 16 && cpu->pa_bits == 52;
    struct second s = {TRANSLATION, 0, 0, 0, 0};
    uint64_t table = cpu->vttbr & UINT64_C(0xffffffffffc0), index;

    if (ipa >> bits)
        return s;
    if (lpa || ds)
        table |= field(cpu->vttbr, 5, 2) << 48;
    s.level = starts[tg0][field(cpu->vtcr, 7, 6)];
    if (on(cpu->vtcr, 33))
        s.level = -1;
    index = ipa >> span_bits(granule, s.level);
    for (;; s.level++, index = field(ipa, span_bits(granule, s.level) + granule - 4, span_bits(granule, s.level))) {
        const char *frame = (const char *)cpu->at(cpu->ctx, (table + index * 8) & ~UINT64_C(0xfff));
        unsigned span = span_bits(granule, s.level);

        if (frame == NULL) {
            s.fault = NO_MEMORY;
            s.level--;
            return s;
        }
        memcpy(&s.d, frame + ((table + index * 8) & 0xfff), 8);
        s.fault = TRANSLATION;
        if (!on(s.d, 0) || (s.level == 3 && !on(s.d, 1)))
            return s;
        if (s.level != 3 && !on(s.d, 1) && !block_at(granule, s.level, ds, lpa))
            return s;
        s.fault = ADDRESS_SIZE;
        if (output(s.d, granule, lpa, ds, granule) >> cpu->pa_bits)
            return s;
        if (s.level != 3 && on(s.d, 1)) {
            table = output(s.d, granule, lpa, ds, granule);
            continue;
        }
        s.size = BIT(span);
        s.pa = output(s.d, granule, lpa, ds, span) | (ipa & (s.size - 1));
        s.fault = !on(s.d, 10) && !on(cpu->vtcr, 21) ? ACCESS_FLAG : NO_FAULT;
        return s;
    }
}

/* What stage 2's leaf denies: read, write, execution by EL1 or EL0. */
static bool denied2(const struct oracle *cpu, const struct second *s, bool read, bool write, bool fetch, bool el0,
                    bool walk)
{
    /* XN[1:0]: whom it keeps from executing, EL1 1, EL0 2 */
    static const unsigned never[4] = {0, 1, 3, 2};
    unsigned xn = cpu->xnx ? (unsigned)field(s->d, 54, 53) : on(s->d, 54) ? 2 : 0;
    bool writable = on(s->d, 7) || (on(cpu->vtcr, 22) && on(s->d, 51));
    uint64_t attr = field(s->d, 5, 2);

    return (read && !on(s->d, 6)) || (write && !writable) || (fetch && (never[xn] & (el0 ? 2 : 1)))
        || (walk && cpu->ptw && (cpu->fwb ? !on(attr, 2) : attr < 4));
}

static bool second(const struct oracle *cpu, uint64_t ipa, bool read, bool write, struct oracle_access access,
                   bool walk, struct second *s, struct oracle_answer *answer)
{
    bool fetch = !walk && access.fetch, tells_write = access.write;

    *s = descend2(cpu, ipa);
    answer->level2 = s->level;
    if (s->fault == NO_FAULT && denied2(cpu, s, read, write, fetch, access.el0, walk))
        s->fault = PERMISSION;
    if (s->fault == NO_FAULT)
        return true;
    answer->fault_ipa = ipa;
    if (s->fault == NO_MEMORY) {
        answer->end = ORACLE_NOWHERE;
        return false;
    }
    answer->end = ORACLE_EL2;
    /* An atomic access tells of the write only if reading would have been allowed. */
    if (access.read && (walk || s->fault != PERMISSION || denied2(cpu, s, true, false, false, false, false)))
        tells_write = false;
    answer->esr = (access.fetch ? UINT64_C(0x20) : UINT64_C(0x24)) << 26 | BIT(25) | (walk ? BIT(7) : 0)
                | (tells_write ? BIT(6) : 0) | status(s->fault, s->level);
    answer->hpfar_known = walk || s->fault != PERMISSION;
    answer->hpfar = answer->hpfar_known ? ipa >> 12 << 4 : 0;
    return false;
}

/* ---- stage 1 ---- */

static struct oracle_answer *to_el1(struct oracle_answer *answer, enum fault fault, int level,
                                    struct oracle_access access, bool read_fails)
{
    uint64_t class = access.fetch ? 0x21 : 0x25;

    answer->end = ORACLE_EL1;
    answer->esr = (access.el0 ? class - 1 : class) << 26 | BIT(25)
                | (access.write && !(access.read && read_fails) ? BIT(6) : 0) | status(fault, level);
    return answer;
}

struct rights {
    bool r1, w1, x1, r0, w0, x0;
};

/* "Data access permissions": AP[2:1] with APTable; then execution. */
static struct rights rights_of(const struct oracle *cpu, uint64_t leaf, uint64_t tables)
{
    static const char *const data[4] = {"rw--", "rwrw", "r---", "r-r-"}; /* EL1, EL0 */
    unsigned ap = (unsigned)field(leaf, 7, 6);
    bool dirty = cpu->has_hafdbs >= 2 && on(cpu->tcr, 39) && on(cpu->tcr, 40) && on(leaf, 51);
    struct rights rights;

    if (dirty)
        ap &= 1;
    if (on(tables, 61))
        ap &= 2;
    if (on(tables, 62))
        ap |= 2;
    rights.r1 = data[ap][0] == 'r';
    rights.w1 = data[ap][1] == 'w';
    rights.r0 = data[ap][2] == 'r';
    rights.w0 = data[ap][3] == 'w';
    rights.x1 = !(on(leaf, 53) || on(tables, 59) || rights.w0 || (cpu->wxn && rights.w1));
    rights.x0 = !(on(leaf, 54) || on(tables, 60) || (cpu->wxn && rights.w0));
    return rights;
}

/* The rights of this access: r 1, w 2, x 4. */
static unsigned of_access(const struct oracle *cpu, const struct rights *all, struct oracle_access access)
{
    bool low = access.el0 || (access.unprivileged && !cpu->uao);
    bool kept = cpu->pan && !low && (all->r0 || (cpu->epan && cpu->has_pan3 && all->x0));

    if (low)
        return (all->r0 ? 1u : 0) | (all->w0 ? 2u : 0) | (all->x0 ? 4u : 0);
    return (all->r1 && !kept ? 1u : 0) | (all->w1 && !kept ? 2u : 0) | (all->x1 ? 4u : 0);
}

struct oracle_answer oracle_walk(const struct oracle *cpu, uint64_t va, struct oracle_access access)
{
    static const unsigned tg0[] = {12, 16, 14, 0}, tg1[] = {0, 14, 12, 16};
    bool upper = on(va, 55), tbi = on(cpu->tcr, upper ? 38 : 37), ds, lpa, wide;
    unsigned granule = upper ? tg1[field(cpu->tcr, 31, 30)] : tg0[field(cpu->tcr, 15, 14)], low, high, oa;
    unsigned size = (unsigned)(upper ? field(cpu->tcr, 21, 16) : field(cpu->tcr, 5, 0)), bits = 64 - size, may = 7;
    uint64_t table = upper ? cpu->ttbr1 : cpu->ttbr0, root, d = 0, tables = 0, top, index;
    bool low_rights = access.el0 || (access.unprivileged && !cpu->uao);
    struct oracle_answer answer;
    struct rights rights = {true, true, true, true, true, true};
    struct second s;

    memset(&answer, 0, sizeof(answer));
    if (access.fetch && on(cpu->tcr, upper ? 52 : 51))
        tbi = false;
    if (!cpu->m) {
        if (tbi)
            va = field(va, 55, 0);
        answer.level = 3;
        if (va >> cpu->pa_bits)
            return *to_el1(&answer, ADDRESS_SIZE, 0, access, true);
        answer.ipa = va;
        answer.page1 = BIT(cpu->pa_bits);
        goto output;
    }
    if (granule == 0) {
        answer.end = ORACLE_NONE;
        return answer;
    }
    ds = granule != 16 && on(cpu->tcr, 59) && cpu->has_lpa2;
    lpa = granule == 16 && cpu->has_lpa;

    /* The range. */
    low = ds || (granule == 16 && cpu->has_lva) ? 12 : 16;
    high = !cpu->has_ttst ? 39 : granule == 16 ? 47 : 48;
    answer.level = 3;
    if (size < low || size > high)
        return *to_el1(&answer, TRANSLATION, 0, access, true);
    top = field(va, tbi ? 55 : 63, bits);
    if (top != (upper ? field(~UINT64_C(0), tbi ? 55 : 63, bits) : 0))
        return *to_el1(&answer, TRANSLATION, 0, access, true);
    if (on(cpu->tcr, upper ? 23 : 7) || (low_rights && cpu->has_e0pd && on(cpu->tcr, upper ? 56 : 55)))
        return *to_el1(&answer, TRANSLATION, 0, access, true);

    /* Where it begins: the first level whose table covers the range. */
    for (answer.level = 3; span_bits(granule, answer.level) + granule - 3 < bits;)
        answer.level--;
    oa = physical_bits((unsigned)field(cpu->tcr, 34, 32));
    if (oa > cpu->pa_bits)
        oa = cpu->pa_bits;
    if (oa == 52 && !ds && !lpa)
        oa = 48;
    wide = ds || (lpa && field(cpu->tcr, 34, 32) >= 6);
    index = bits - span_bits(granule, answer.level) + 3; /* log2 of the root's bytes */
    if (wide && index < 6)
        index = 6;
    root = field(table, 47, 1) << 1;
    if (wide)
        root |= field(table, 5, 2) << 48;
    table = root >> index << index;
    if (table >> oa)
        return *to_el1(&answer, ADDRESS_SIZE, 0, access, true);

    for (index = field(va, bits - 1, span_bits(granule, answer.level));; answer.level++,
        index = field(va, span_bits(granule, answer.level) + granule - 4, span_bits(granule, answer.level))) {
        unsigned span = span_bits(granule, answer.level);
        const char *frame;

        if (!second(cpu, table + index * 8, true, false, access, true, &s, &answer))
            return answer;
        frame = (const char *)cpu->at(cpu->ctx, s.pa & ~UINT64_C(0xfff));
        if (frame == NULL) {
            answer.end = ORACLE_NOWHERE;
            answer.fault_ipa = table + index * 8;
            return answer;
        }
        memcpy(&d, frame + (s.pa & 0xfff), 8);
        if (cpu->ee)
            d = __builtin_bswap64(d);
        answer.entry[answer.level + 1] = d;
        if (!on(d, 0) || (answer.level == 3 && !on(d, 1))
            || (answer.level < 3 && !on(d, 1) && !block_at(granule, answer.level, ds, lpa)))
            return *to_el1(&answer, TRANSLATION, answer.level, access, true);
        if (output(d, granule, lpa, ds, on(d, 1) ? granule : span) >> oa)
            return *to_el1(&answer, ADDRESS_SIZE, answer.level, access, true);
        if (answer.level < 3 && on(d, 1)) {
            table = output(d, granule, lpa, ds, granule);
            tables |= d;
            continue;
        }
        answer.page1 = BIT(span);
        answer.ipa = output(d, granule, lpa, ds, span) | (va & (answer.page1 - 1));
        break;
    }
    if (!on(d, 10) && !(cpu->has_hafdbs >= 1 && on(cpu->tcr, 39)))
        return *to_el1(&answer, ACCESS_FLAG, answer.level, access, true);
    if (cpu->has_hpds && on(cpu->tcr, upper ? 42 : 41))
        tables = 0;
    rights = rights_of(cpu, d, tables);
    may = of_access(cpu, &rights, access);
    if ((access.read && !(may & 1)) || (access.write && !(may & 2)) || (access.fetch && !(may & 4)))
        return *to_el1(&answer, PERMISSION, answer.level, access, !(may & 1));
    answer.update[answer.level + 1] = on(d, 10) ? 0 : BIT(10);
    if (access.write && on(d, 7) && on(d, 51) && cpu->has_hafdbs >= 2 && on(cpu->tcr, 39) && on(cpu->tcr, 40))
        answer.update[answer.level + 1] |= BIT(7);
    if (answer.update[answer.level + 1] && !second(cpu, table + index * 8, true, true, access, true, &s, &answer))
        return answer;

output:
    if (!second(cpu, answer.ipa, access.read, access.write, access, false, &s, &answer))
        return answer;
    answer.end = ORACLE_OK;
    answer.hpa = s.pa;
    answer.page = s.size < answer.page1 ? s.size : answer.page1;
    answer.may_read = (may & 1) && !denied2(cpu, &s, true, false, false, false, false);
    answer.may_write = (may & 2) && !denied2(cpu, &s, false, true, false, false, false);
    answer.may_fetch = (may & 4) && !denied2(cpu, &s, false, false, true, access.el0, false);
    return answer;
}
