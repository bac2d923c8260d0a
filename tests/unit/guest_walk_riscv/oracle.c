/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The other walker. An entry is first named (nothing, wrong, a table, a page) by a list of patterns; rights are a list
 * of combinations that deny: Privileged Architecture, "Virtual Address Translation Process".
 */
#include "oracle.h"

#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))

enum { V = 0, R = 1, W = 2, X = 3, U = 4, A = 6, D = 7, N = 63 };

enum shape { NOTHING, WRONG, TABLE, PAGE };

static bool on(uint64_t e, int bit)
{
    return e >> bit & 1;
}

static unsigned ones(uint64_t e, int high, int low)
{
    unsigned count = 0;

    for (int i = low; i <= high; i++)
        count += on(e, i);
    return count;
}

static enum shape shape_of(uint64_t e, unsigned level, struct oracle_stage stage)
{
    if (!on(e, V))
        return NOTHING;
    if (ones(e, stage.software ? 58 : 60, 54) != 0 || (on(e, W) && !on(e, R)))
        return WRONG;
    if (ones(e, X, R) == 0)
        return level == 0 || on(e, U) || on(e, A) || on(e, D) || ones(e, 63, 61) != 0 ? WRONG : TABLE;
    if ((on(e, 61) || on(e, 62)) && (!stage.pbmte || (on(e, 61) && on(e, 62))))
        return WRONG;
    if (on(e, N)) /* the one size there is: ppn[3:0] is 1000 */
        return level == 0 && stage.napot && on(e, 13) && ones(e, 12, 10) == 0 ? PAGE : WRONG;
    return ones(e, 9 + 9 * (int)level, 10) == 0 ? PAGE : WRONG;
}

static uint64_t ppn_address(uint64_t e)
{
    return (e << 10 >> 20) << 12;
}

/* Where in a page of which size. */
static uint64_t place(uint64_t e, unsigned level, uint64_t address, uint64_t *size)
{
    uint64_t base = ppn_address(e);

    *size = on(e, N) ? 0x10000 : BIT(12 + 9 * level);
    return base / *size * *size + address % *size;
}

/* ---- the G-stage ---- */

struct host_walk {
    enum shape shape;
    bool nowhere;
    unsigned level;
    uint64_t entry, hpa, size;
};

static struct host_walk host_descend(const struct oracle *cpu, uint64_t gpa, uint64_t table, unsigned level,
                                     unsigned bits)
{
    const uint64_t *words =
        (const uint64_t *)cpu->at(cpu->ctx,
                                  table + ((gpa >> (12 + 9 * level) & (BIT(bits) - 1)) * 8 & ~UINT64_C(0xfff)));
    struct host_walk walk = {NOTHING, words == NULL, level, 0, 0, 0};

    if (walk.nowhere) { /* the entry above led there */
        walk.level++;
        return walk;
    }
    walk.entry = words[gpa >> (12 + 9 * level) & (BIT(bits) - 1) & 511];
    walk.shape = shape_of(walk.entry, level, cpu->host);
    if (walk.shape == TABLE)
        return host_descend(cpu, gpa, ppn_address(walk.entry), level - 1, 9);
    if (walk.shape == PAGE)
        walk.hpa = place(walk.entry, level, gpa, &walk.size);
    return walk;
}

/* One access through the G-stage; by: the guest's whole access. */
static bool second(const struct oracle *cpu, uint64_t gpa, bool read, bool write, bool fetch, bool walking,
                   unsigned cause, struct host_walk *found, struct oracle_answer *answer)
{
    unsigned levels = (unsigned)(cpu->hgatp >> 60) - 5;
    bool fine;

    if (gpa >> (12 + 9 * levels + 2)) {
        memset(found, 0, sizeof(*found));
        found->level = levels - 1;
    } else {
        *found = host_descend(cpu, gpa, (cpu->hgatp & (BIT(44) - 1)) << 12, levels - 1, 11);
    }
    answer->host_level = found->level;
    fine = !found->nowhere && found->shape == PAGE && on(found->entry, U);
    if (read && !on(found->entry, R) && !(on(found->entry, X) && cpu->host_mxr && !walking))
        fine = false;
    if ((write && !on(found->entry, W)) || (fetch && !on(found->entry, X)))
        fine = false;
    if (!cpu->host.adue && (!on(found->entry, A) || (write && !on(found->entry, D))))
        fine = false;
    if (fine)
        return true;
    answer->fault_gpa = gpa;
    answer->end = found->nowhere ? ORACLE_NOWHERE : ORACLE_GUEST_PAGE_FAULT;
    answer->cause = 0;
    if (!found->nowhere) {
        answer->cause = cause + 8;
        answer->htinst = !walking ? 0 : write ? 0x3020 : 0x3000;
    }
    return false;
}

/* ---- the guest ---- */

enum {
    BY_USER = 1 << 0,
    READ = 1 << 1,
    WRITE = 1 << 2,
    FETCH = 1 << 3,
    HLVX = 1 << 4,
    PAGE_R = 1 << 5,
    PAGE_W = 1 << 6,
    PAGE_X = 1 << 7,
    PAGE_U = 1 << 8,
    SUM = 1 << 9,
    MXR = 1 << 10,
};

/* An access is denied if any row has all of its first set and none of its second. */
static const struct {
    unsigned all, none;
} denials[] = {
    {BY_USER, PAGE_U},
    {PAGE_U, BY_USER | SUM},
    {PAGE_U | FETCH, BY_USER},
    {READ, PAGE_R | MXR | HLVX},
    {READ | MXR, PAGE_R | PAGE_X | HLVX},
    {HLVX, PAGE_X},
    {WRITE, PAGE_W},
    {FETCH, PAGE_X},
};

static bool denied(unsigned facts)
{
    for (unsigned i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
        if ((facts & denials[i].all) == denials[i].all && !(facts & denials[i].none))
            return true;
    }
    return false;
}

struct oracle_answer oracle_walk(const struct oracle *cpu, uint64_t linear, struct oracle_access access)
{
    static const unsigned tops[16] = {[8] = 2, [9] = 3, [10] = 4};
    unsigned cause = access.fetch ? 12 : access.write ? 15 : 13, mode = (unsigned)(cpu->vsatp >> 60);
    unsigned facts = 0, top = tops[mode];
    struct oracle_answer answer;
    struct host_walk found;
    uint64_t table = (cpu->vsatp & (BIT(44) - 1)) << 12, leaf = 0;

    memset(&answer, 0, sizeof(answer));
    if (mode == 0) {
        answer.gpa = linear;
        answer.guest_page = BIT(14 + 9 * ((cpu->hgatp >> 60) - 5));
        facts = PAGE_R | PAGE_W | PAGE_X;
    } else {
        unsigned width = 12 + 9 * (top + 1);
        uint64_t sign = (uint64_t)((int64_t)(linear << (64 - width)) >> (64 - width));

        answer.end = ORACLE_PAGE_FAULT;
        answer.cause = cause;
        answer.level = top;
        if (sign != linear)
            return answer;
        for (unsigned level = top;; level--) {
            uint64_t gpa = table + (linear >> (12 + 9 * level) & 511) * 8;
            const char *bytes;
            enum shape shape;

            answer.level = level;
            if (!second(cpu, gpa, true, false, false, true, cause, &found, &answer))
                return answer;
            bytes = (const char *)cpu->at(cpu->ctx, found.hpa & ~UINT64_C(0xfff));
            if (bytes == NULL) {
                answer.end = ORACLE_NOWHERE;
                answer.cause = 0;
                answer.fault_gpa = gpa;
                return answer;
            }
            memcpy(&leaf, bytes + (found.hpa & 0xfff), sizeof(leaf));
            answer.entry[level] = leaf;
            answer.entry_gpa[level] = gpa;
            shape = shape_of(leaf, level, cpu->guest);
            if (shape != TABLE && shape != PAGE)
                return answer;
            if (shape == PAGE)
                break;
            table = ppn_address(leaf);
        }
        answer.gpa = place(leaf, answer.level, linear, &answer.guest_page);
        facts = (on(leaf, R) ? (unsigned)PAGE_R : 0) | (on(leaf, W) ? (unsigned)PAGE_W : 0)
              | (on(leaf, X) ? (unsigned)PAGE_X : 0) | (on(leaf, U) ? (unsigned)PAGE_U : 0)
              | (access.user ? (unsigned)BY_USER : 0) | (cpu->sum ? (unsigned)SUM : 0)
              | (cpu->mxr || cpu->host_mxr ? (unsigned)MXR : 0) | (access.hlvx ? (unsigned)HLVX : 0);
        if ((access.read && denied(facts | READ)) || (access.write && denied(facts | WRITE))
            || (access.fetch && denied(facts | FETCH)))
            return answer;
        answer.update[answer.level] = (on(leaf, A) ? 0 : BIT(A)) | (on(leaf, D) || !access.write ? 0 : BIT(D));
        if (answer.update[answer.level] && !cpu->guest.adue)
            return answer;
        if (answer.update[answer.level]
            && !second(cpu, answer.entry_gpa[answer.level], true, true, false, true, cause, &found, &answer))
            return answer;
        answer.cause = 0;
    }
    if (!second(cpu, answer.gpa, access.read && !access.hlvx, access.write, access.fetch || access.hlvx, false, cause,
                &found, &answer))
        return answer;
    answer.end = ORACLE_OK;
    answer.hpa = found.hpa;
    answer.page = found.size < answer.guest_page ? found.size : answer.guest_page;
    if (on(found.entry, N)) /* reported by the entry, not by the run */
        answer.page = answer.guest_page < 0x1000 ? answer.guest_page : 0x1000;
    facts &= ~(unsigned)HLVX;
    answer.may_read =
        (mode == 0 || !denied(facts | READ)) && (on(found.entry, R) || (cpu->host_mxr && on(found.entry, X)));
    answer.may_write = (mode == 0 || !denied(facts | WRITE)) && on(found.entry, W);
    answer.may_fetch = (mode == 0 || !denied(facts | FETCH)) && on(found.entry, X);
    return answer;
}
