/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The other walker. Permissions are a list of combinations that deny (SDM vol. 3, "Determination of Access Rights",
 * "Protection Keys"); reserved bits are ranges by mode and level (the figures of entry formats there); the second level
 * first collects its entries, then judges them all.
 */
#include "oracle.h"

#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))

/* Bits high down to low, as the manuals write ranges; nothing if high < low. */
static uint64_t range(int high, int low)
{
    uint64_t bits = 0;

    for (int i = low; i <= high; i++)
        bits |= BIT(i);
    return bits;
}

/* ---- the second level ---- */

struct collected {
    unsigned count;
    unsigned level; /* of the last */
    uint64_t entry[5];
    bool absent, wrong, nowhere;
    uint64_t hpa, size;
};

static bool ept_is_wrong(const struct oracle *cpu, uint64_t e, unsigned level, bool leaf)
{
    bool r = e & 1, w = e & 2, x = e & 4, u = cpu->mbec && (e & BIT(10));
    unsigned type = (unsigned)(e >> 3 & 7);

    if (w && !r)
        return true;
    if (!r && (x || u) && !cpu->execute_only)
        return true;
    if (e & range(51, (int)cpu->host_maxphyaddr))
        return true;
    if (!leaf)
        return (e & range(6, 3)) || (level >= 3 && (e & BIT(7)));
    if (type == 2 || type == 3 || type == 7)
        return true;
    return (e & range(11 + 9 * (int)level, 12)) != 0;
}

static bool npt_is_wrong(const struct oracle *cpu, uint64_t e, unsigned level, bool leaf)
{
    if ((e & range(51, (int)cpu->host_maxphyaddr)) || (!cpu->host_nx && (e & BIT(63))))
        return true;
    if (level >= 3)
        return (e & range(8, 7)) != 0;
    return leaf && (e & range(11 + 9 * (int)level, 13));
}

static void collect(const struct oracle *cpu, uint64_t gpa, uint64_t table, unsigned level, struct collected *c)
{
    const uint64_t *words = (const uint64_t *)cpu->at(cpu->ctx, table);
    uint64_t e, present = cpu->amd ? 1 : cpu->mbec ? 0x407 : 7;
    bool leaf;

    if (words == NULL) {
        c->nowhere = true;
        return;
    }
    e = words[gpa >> (12 + 9 * level) & 511];
    leaf = level == 0 || (level <= 2 && (e & BIT(7)));
    c->entry[c->count++] = e;
    c->level = level;
    if (!(e & present)) {
        c->absent = true;
        return;
    }
    if (cpu->amd ? npt_is_wrong(cpu, e, level, leaf) : ept_is_wrong(cpu, e, level, leaf)) {
        c->wrong = true;
        return;
    }
    if (!leaf) {
        collect(cpu, gpa, e & range(51, 12), level - 1, c);
        return;
    }
    c->size = BIT(12 + 9 * level);
    c->hpa = (e & range(51, 12 + 9 * (int)level)) | (gpa & (c->size - 1));
}

/* What a walk through these entries allows, as EPT has it: read 1, write 2, execute 4, user execute 8. */
static unsigned together(const struct oracle *cpu, const struct collected *c)
{
    unsigned all = 15;

    if (c->absent || c->wrong || c->nowhere)
        return 0;
    for (unsigned i = 0; i < c->count; i++) {
        uint64_t e = c->entry[i];
        unsigned one = (unsigned)(e & 7) | (e & BIT(10) ? 8u : 0);

        if (cpu->amd)
            one = !(e & 4) ? 0 : 1u | (e & 2 ? 2u : 0) | (e & BIT(63) ? 0 : 4u);
        all &= one;
    }
    return cpu->mbec ? all : all & 7;
}

/* One access through the second level. need: as above. false: answer says what the hypervisor gets. */
static bool second(const struct oracle *cpu, uint64_t gpa, unsigned need, bool walking, uint64_t advanced,
                   struct collected *c, struct oracle_answer *answer)
{
    unsigned rights;

    memset(c, 0, sizeof(*c));
    if (gpa >> (12 + 9 * cpu->host_levels)) {
        c->absent = true;
        c->level = cpu->host_levels - 1;
    } else {
        collect(cpu, gpa, cpu->root, cpu->host_levels - 1, c);
    }
    rights = together(cpu, c);
    answer->host_level = c->level;
    if (!c->absent && !c->wrong && !c->nowhere && (need & ~rights) == 0)
        return true;
    answer->fault_gpa = gpa;
    if (c->nowhere) {
        answer->end = ORACLE_NOWHERE;
    } else if (cpu->amd) {
        answer->end = ORACLE_NPF;
        answer->information = BIT(walking ? 33 : 32) | 4;
        answer->information |= c->absent ? 0 : 1;
        answer->information |= c->wrong ? 8 : 0;
        answer->information |= need & 2;
        answer->information |= (need & 4) && (cpu->host_nx || cpu->host_smep) ? 16 : 0;
    } else if (c->wrong) {
        answer->end = ORACLE_MISCONFIGURED;
    } else {
        answer->end = ORACLE_VIOLATION;
        answer->information = (need & 3) | (need & 12 ? 4 : 0) | rights << 3 | BIT(7);
        if (!walking)
            answer->information |= BIT(8) | (cpu->advanced ? advanced : 0);
    }
    return false;
}

/* ---- the guest ---- */

enum {
    BY_USER = 1 << 0,
    IMPLICIT = 1 << 1,
    READ = 1 << 2,
    WRITE = 1 << 3,
    FETCH = 1 << 4,
    PAGE_USER = 1 << 5,
    PAGE_WRITE = 1 << 6,
    PAGE_NX = 1 << 7,
    WP = 1 << 8,
    SMEP = 1 << 9,
    SMAP = 1 << 10,
    AC = 1 << 11,
    KEY_OFF = 1 << 12,    /* the page's key disables access */
    KEY_FROZEN = 1 << 13, /* the page's key disables writes */
};

/* An access is denied if any row has all of its first set and none of its second. */
static const struct {
    unsigned all, none;
    bool key;
} denials[] = {
    {BY_USER, PAGE_USER, false},
    {BY_USER | WRITE, PAGE_WRITE, false},
    {WRITE | WP, BY_USER | PAGE_WRITE, false},
    {FETCH | PAGE_NX, 0, false},
    {FETCH | PAGE_USER | SMEP, BY_USER, false},
    {READ | PAGE_USER | SMAP, BY_USER | AC, false},
    {WRITE | PAGE_USER | SMAP, BY_USER | AC, false},
    {READ | PAGE_USER | SMAP | IMPLICIT, BY_USER, false},
    {WRITE | PAGE_USER | SMAP | IMPLICIT, BY_USER, false},
    {READ | KEY_OFF, 0, true},
    {WRITE | KEY_OFF, 0, true},
    {WRITE | KEY_FROZEN | BY_USER, 0, true},
    {WRITE | KEY_FROZEN | WP, 0, true},
};

static bool denied(unsigned facts, bool key)
{
    for (unsigned i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
        if ((denials[i].key || !key) && (facts & denials[i].all) == denials[i].all && !(facts & denials[i].none))
            return true;
    }
    return false;
}

static uint64_t reserved(const struct oracle *cpu, unsigned level, uint64_t e)
{
    int m = (int)cpu->maxphyaddr;
    bool large = e & BIT(7);
    uint64_t bits = 0;

    if (cpu->mode == ORACLE_32) {
        if (level == 0 || !large || !cpu->pse)
            return 0;
        return m >= 40 ? BIT(21) : range(21, m - 19);
    }
    if (!cpu->nxe)
        bits |= BIT(63);
    if (cpu->mode == ORACLE_PAE) {
        if (level == 2)
            return range(63, m) | range(8, 5) | range(2, 1);
        bits |= range(62, m);
        return level == 1 && large ? bits | range(20, 13) : bits;
    }
    bits |= range(51, m);
    if (level >= 3)
        return bits | BIT(7) | (cpu->amd ? BIT(8) : 0);
    if (level == 2 && large)
        return bits | (cpu->no_1g ? BIT(7) : range(29, 13));
    return level == 1 && large ? bits | range(20, 13) : bits;
}

struct walk {
    const struct oracle *cpu;
    uint64_t linear;
    struct oracle_access access;
    struct oracle_answer *answer;
    unsigned page; /* PAGE_USER | PAGE_WRITE, PAGE_NX so far */
    uint64_t leaf;
};

static bool fault(struct walk *w, unsigned cause)
{
    const struct oracle *cpu = w->cpu;
    bool user = w->access.user && !w->access.implicit;
    bool pae = cpu->mode != ORACLE_32;

    w->answer->end = ORACLE_PF;
    w->answer->error_code = cause | (w->access.write ? 2u : 0) | (user ? 4u : 0);
    if (w->access.fetch && ((pae && cpu->nxe) || cpu->smep))
        w->answer->error_code |= 16;
    return false;
}

static bool descend(struct walk *w, uint64_t table, unsigned level)
{
    const struct oracle *cpu = w->cpu;
    struct oracle_answer *answer = w->answer;
    bool narrow = cpu->mode == ORACLE_32, pdpte = cpu->mode == ORACLE_PAE && level == 2;
    unsigned shift = narrow ? 12 + 10 * level : 12 + 9 * level;
    uint64_t index = w->linear >> shift & (narrow ? 1023 : 511);
    uint64_t gpa = table + index * (narrow ? 4 : 8), e = 0;
    bool large;

    answer->level = level;
    if (pdpte && !cpu->amd) {
        e = cpu->pdpte[index];
    } else {
        struct collected c;
        const char *bytes;

        if (!second(cpu, gpa, cpu->amd || cpu->ept_ad ? 3 : 1, true, 0, &c, answer))
            return false;
        bytes = (const char *)cpu->at(cpu->ctx, c.hpa & ~UINT64_C(0xfff));
        if (bytes == NULL) {
            answer->end = ORACLE_NOWHERE;
            answer->fault_gpa = gpa;
            return false;
        }
        memcpy(&e, bytes + (c.hpa & 0xfff), narrow ? 4 : 8);
        answer->entry_gpa[level] = gpa;
    }
    answer->entry[level] = e;
    if (!(e & 1))
        return fault(w, 0);
    if (e & reserved(cpu, level, e))
        return fault(w, 9);
    if (pdpte)
        return descend(w, e & range(51, 12), level - 1);

    w->page &= ~(e & 4 ? 0u : (unsigned)PAGE_USER) & ~(e & 2 ? 0u : (unsigned)PAGE_WRITE);
    w->page |= e & BIT(63) ? (unsigned)PAGE_NX : 0;
    if (!(e & 0x20))
        answer->update[level] |= 0x20;
    large = (e & BIT(7)) && (level == 1 ? cpu->pse || !narrow : level == 2);
    if (level != 0 && !large)
        return descend(w, e & range(51, 12), level - 1);

    if (w->access.write && !(e & 0x40))
        answer->update[level] |= 0x40;
    answer->guest_page = BIT(shift);
    answer->gpa = (e & range(51, (int)shift)) | (w->linear & (answer->guest_page - 1));
    if (narrow && large)
        answer->gpa |= (e >> 13 & 255) << 32;
    w->leaf = e;
    return true;
}

static unsigned key_facts(const struct walk *w)
{
    const struct oracle *cpu = w->cpu;
    bool user_page = w->page & PAGE_USER;
    unsigned key = (unsigned)(w->leaf >> 59) & 15, rights = (user_page ? cpu->pkru : cpu->pkrs) >> 2 * key & 3;

    if (cpu->mode != ORACLE_4 && cpu->mode != ORACLE_5)
        return 0;
    if (user_page ? !cpu->pke : !cpu->pks)
        return 0;
    return (rights & 1 ? (unsigned)KEY_OFF : 0) | (rights & 2 ? (unsigned)KEY_FROZEN : 0);
}

struct oracle_answer oracle_walk(const struct oracle *cpu, uint64_t linear, struct oracle_access access)
{
    struct oracle_answer answer;
    struct walk w = {cpu, linear, access, &answer, PAGE_USER | PAGE_WRITE, 0};
    unsigned facts, fetch_need, rights, top = 0;
    uint64_t advanced;
    struct collected c;
    bool may[3] = {true, true, true};

    memset(&answer, 0, sizeof(answer));
    answer.end = ORACLE_OK;
    if (cpu->mode == ORACLE_4 || cpu->mode == ORACLE_5) {
        unsigned sign = cpu->mode == ORACLE_4 ? 47 : 56;
        uint64_t upper = range(63, (int)sign);

        if ((linear & upper) != (linear & BIT(sign) ? upper : 0)) {
            answer.end = ORACLE_GP;
            return answer;
        }
    }
    if (cpu->mode == ORACLE_NONE) {
        answer.gpa = linear;
        answer.guest_page = BIT(32);
    } else {
        static const unsigned tops[] = {0, 1, 2, 3, 4};
        static const uint64_t masks[] = {0, 0xfffff000, 0xffffffe0, UINT64_C(0xffffffffff000),
                                         UINT64_C(0xffffffffff000)};

        top = tops[cpu->mode];
        if (!descend(&w, cpu->cr3 & masks[cpu->mode], top))
            return answer;
        facts = (access.user && !access.implicit ? (unsigned)BY_USER : 0) | (access.implicit ? (unsigned)IMPLICIT : 0)
              | w.page | (cpu->wp ? (unsigned)WP : 0) | (cpu->smep ? (unsigned)SMEP : 0)
              | (cpu->smap ? (unsigned)SMAP : 0) | (cpu->ac ? (unsigned)AC : 0) | key_facts(&w);
        may[0] = !denied(facts | READ, false);
        may[1] = !denied(facts | WRITE, false);
        may[2] = !denied(facts | FETCH, false);
        if ((access.read && !may[0]) || (access.write && !may[1]) || (access.fetch && !may[2])) {
            bool key = (access.read && denied(facts | READ, true)) || (access.write && denied(facts | WRITE, true));

            (void)fault(&w, key ? 33 : 1);
            return answer;
        }
        for (unsigned level = top + 1; level-- > answer.level;) {
            if (!cpu->amd && !cpu->ept_ad && answer.update[level] != 0
                && !second(cpu, answer.entry_gpa[level], 3, true, 0, &c, &answer))
                return answer;
        }
    }
    fetch_need = cpu->mbec && (w.page & PAGE_USER) ? 8 : 4;
    advanced =
        (w.page & PAGE_USER ? BIT(9) : 0) | (w.page & PAGE_WRITE ? BIT(10) : 0) | (w.page & PAGE_NX ? BIT(11) : 0);
    if (!second(cpu, answer.gpa, (access.read ? 1u : 0) | (access.write ? 2u : 0) | (access.fetch ? fetch_need : 0),
                false, advanced, &c, &answer))
        return answer;
    rights = together(cpu, &c);
    answer.hpa = c.hpa;
    answer.page = c.size < answer.guest_page ? c.size : answer.guest_page;
    answer.may_read = may[0] && (rights & 1);
    answer.may_write = may[1] && (rights & 2);
    answer.may_fetch = may[2] && (rights & fetch_need);
    return answer;
}
