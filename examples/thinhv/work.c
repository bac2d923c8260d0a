/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The second level at work under a running kernel: /init asks by calls (work.h) for pages to be split, collapsed,
 * logged, replaced, hooked, dropped, and finds out by itself whether it was done.
 */
#include "work.h"

#include "memory.h"
#include "thinhv.h"

unsigned long work_refused;

static unsigned long work_mapped, work_lost, hook_faults;
static enum hvpt_status last_status;
static uint32_t logging;                                  /* enum work_method + 1 */
static uint64_t written[(UINT64_C(1) << 32) / 4096 / 64]; /* a bit a page */
static uint64_t before[sizeof(written) / 8];              /* the same, of what does not count */

static struct {
    bool set, two_views;
    hvpt_gpa page;
    hvpt_hpa copy;
} hook;
static struct hvpt_space view; /* see make_view */

static hvpt_gpa page_of(uint64_t gpa)
{
    return hvpt_make_gpa(gpa & ~(HVPT_4K - 1));
}

static enum hvpt_status note(enum hvpt_status status)
{
    if (status != HVPT_OK)
        last_status = status;
    return status;
}

/* What fault_map or touch said: who was first? */
static void count_mapped(enum hvpt_status status)
{
    if (status == HVPT_OK)
        __atomic_add_fetch(&work_mapped, 1, __ATOMIC_RELAXED);
    else if (status == HVPT_E_EXISTS || status == HVPT_E_RACE)
        __atomic_add_fetch(&work_lost, 1, __ATOMIC_RELAXED);
}

/* ---- RAM, which is in two pieces: below and above the hypervisor ---- */

typedef enum hvpt_status (*on_range)(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush);

static enum hvpt_status on_ram(on_range job)
{
    struct hvpt_flush flush = {0};
    enum hvpt_status status = job(hvpt_make_gpa(RAM_START), HYPERVISOR_START - RAM_START, &flush);

    if (status == HVPT_OK)
        status = job(hvpt_make_gpa(HYPERVISOR_END), RAM_START + image->ram_size - HYPERVISOR_END, &flush);
    hvpt_space_flush(&space, &flush);
    return note(status);
}

static enum hvpt_status split(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_space_split(&space, gpa, size, HVPT_4K, flush);
}

static enum hvpt_status collapse(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    struct hvpt_collapse_report report;

    return hvpt_space_collapse(&space, gpa, size, flush, &report);
}

static enum hvpt_status write_protect(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_space_write_protect(&space, gpa, size, flush);
}

static enum hvpt_status forget_dirty(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_space_dirty(&space, gpa, size, before + gpa.value / HVPT_4K / 64, flush);
}

static enum hvpt_status take_dirty(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_space_dirty(&space, gpa, size, written + gpa.value / HVPT_4K / 64, flush);
}

static enum hvpt_status make_writable(hvpt_gpa gpa, uint64_t size, struct hvpt_flush *flush)
{
    return hvpt_space_protect(&space, gpa, size, arch_attr(gpa.value), HVPT_WRITE, flush);
}

/* What write protection took. Where RAM has holes, as it has when it is mapped lazily, each page gets it by itself. */
static void give_back(void)
{
    struct hvpt_leaf_iterator leaves = hvpt_leaves(hvpt_make_gpa(RAM_START), image->ram_size);
    struct hvpt_flush flush = {0};
    struct hvpt_mapping leaf;
    hvpt_gpa gpa;

    if (on_ram(make_writable) == HVPT_OK)
        return;
    while (hvpt_space_next_leaf(&space, &leaves, &gpa, &leaf))
        if ((leaf.attr.flags & HVPT_LOGGED) != 0)
            note(make_writable(gpa, leaf.page_size, &flush));
    hvpt_space_flush(&space, &flush);
}

/* ---- which pages are written ---- */

/* Write protection reports this page. */
static void note_written(uint64_t gpa)
{
    if (__atomic_load_n(&logging, __ATOMIC_RELAXED) == WORK_WRITE_PROTECTION + 1 && gpa >> 32 == 0)
        __atomic_or_fetch(&written[gpa / HVPT_4K / 64], UINT64_C(1) << (gpa / HVPT_4K % 64), __ATOMIC_RELAXED);
}

uint64_t *work_written(unsigned method)
{
    return __atomic_load_n(&logging, __ATOMIC_RELAXED) == method + 1 ? written : NULL;
}

/* Each CPU empties its log when it exits: make it. */
static void empty_logs(void)
{
    struct hvpt_flush all = {0};

    all.kind = HVPT_FLUSH_INVEPT;
    hvpt_space_flush(&space, &all);
}

/*
 * What was written before does not count: logs are emptied while nobody wants to know. From then on they are kept, and
 * only then the dirty bits cleared: PML tells of a page when its bit is set anew, and what another CPU logs must stay.
 */
static enum hvpt_status log_begin(uint64_t method)
{
    if (method == WORK_PML && !arch_has_log())
        return HVPT_E_ATTR;
    if (method == WORK_PML)
        empty_logs();
    memset(written, 0, sizeof(written));
    __atomic_store_n(&logging, (uint32_t)method + 1, __ATOMIC_SEQ_CST);
    return on_ram(method == WORK_WRITE_PROTECTION ? write_protect : forget_dirty);
}

static uint64_t log_end(void)
{
    uint64_t count = 0;

    if (logging == WORK_DIRTY_BITS + 1)
        note(on_ram(take_dirty));
    if (logging != WORK_PML + 1) /* without hardware's dirty bits these take the right to write, too */
        give_back();
    if (logging == WORK_PML + 1)
        empty_logs();
    __atomic_store_n(&logging, 0, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++)
        for (uint64_t bits = written[i]; bits != 0; bits &= bits - 1)
            count++;
    return count;
}

/* ---- pages that are others than they seem ---- */

/* A copy of the page with one word changed. */
static enum hvpt_status make_copy(uint64_t gpa, uint64_t words)
{
    uint32_t find = (uint32_t)words, put = (uint32_t)(words >> 32);
    uint8_t *bytes;

    hook.page = page_of(gpa);
    if (hook.copy.value == 0 && !memory_allocate(NULL, 0, &hook.copy))
        return HVPT_E_NOMEM;
    bytes = (uint8_t *)(uintptr_t)hook.copy.value;
    memcpy(bytes, (const void *)(uintptr_t)hook.page.value, HVPT_4K);
    for (unsigned i = 0; i + 4 <= HVPT_4K; i++)
        if (memcmp(bytes + i, &find, 4) == 0) {
            memcpy(bytes + i, &put, 4);
            arch_code_written(hook.copy.value, HVPT_4K);
            return HVPT_OK;
        }
    return HVPT_E_ABSENT;
}

static enum hvpt_status show(hvpt_hpa hpa, uint32_t perm)
{
    struct hvpt_attr attr = arch_attr(hook.page.value);

    attr.perm = perm;
    return hvpt_space_replace(&space, hook.page, hpa, HVPT_4K, attr, NULL);
}

static enum hvpt_status replace_page(uint64_t gpa, uint64_t words)
{
    enum hvpt_status status = make_copy(gpa, words);

    return status == HVPT_OK ? show(hook.copy, HVPT_READ | HVPT_EXEC) : status;
}

/*
 * A format without execute-only pages needs a second view: all of the machine without the right to execute, but for the
 * copy. A CPU enters it when it wants to execute the page, and leaves it when it wants to execute anything else.
 */
static enum hvpt_status make_view(void)
{
    struct hvpt_attr attr = arch_attr(hook.page.value);
    enum hvpt_status status = memory_init(&view);

    attr.perm = HVPT_READ | HVPT_EXEC;
    if (status == HVPT_OK)
        status = memory_map_machine(&view, HVPT_READ | HVPT_WRITE);
    if (status == HVPT_OK)
        status = hvpt_space_replace(&view, hook.page, hook.copy, HVPT_4K, attr, NULL);
    return status == HVPT_OK ? show(hvpt_make_hpa(hook.page.value), HVPT_READ | HVPT_WRITE) : status;
}

static enum hvpt_status set_hook(uint64_t gpa, uint64_t words)
{
    enum hvpt_status status = make_copy(gpa, words);

    if (status == HVPT_OK) /* the option makes every format do as those without execute-only pages */
        status = option(image, "views", NULL) ? HVPT_E_ATTR : show(hook.copy, HVPT_EXEC);
    hook.two_views = status == HVPT_E_ATTR;
    if (hook.two_views)
        status = make_view();
    hook.set = status == HVPT_OK;
    return status;
}

static enum hvpt_status restore(void)
{
    bool two_views = hook.set && hook.two_views;
    enum hvpt_status status;

    hook.set = false;
    for (unsigned i = 0; i < cpus; i++)
        vcpus[i].view = NULL;
    status =
        show(hvpt_make_hpa(hook.page.value), HVPT_READ | HVPT_WRITE | HVPT_EXEC); /* a flush: no CPU is in the view */
    if (two_views)
        hvpt_space_destroy(&view);
    return status;
}

/* Execution sees the copy, everything else the page: each fault turns it over. */
static bool hook_fault(struct vcpu *vcpu, const struct exit *exit)
{
    if (!hook.set)
        return true; /* not any more */
    hook_faults++;
    if (hook.two_views) {
        vcpu->view = vcpu->view == NULL ? &view : NULL;
        return arch_see_view(vcpu);
    }
    if (exit->access == HVPT_EXEC)
        return show(hook.copy, HVPT_EXEC) == HVPT_OK;
    return show(hvpt_make_hpa(hook.page.value), HVPT_READ | HVPT_WRITE) == HVPT_OK;
}

/* ---- pages mapped at first touch ---- */

/* false: there is nothing to map. */
static bool map_lazily(uint64_t gpa)
{
    uint64_t page = gpa & ~(HVPT_4K - 1);
    enum hvpt_status status =
        hvpt_space_fault_map(&space, hvpt_make_gpa(page), hvpt_make_hpa(page), HVPT_4K, arch_attr(page));

    count_mapped(status);
    return status == HVPT_OK || status == HVPT_E_EXISTS || status == HVPT_E_RACE;
}

bool work_fault(struct vcpu *vcpu, const struct exit *exit)
{
    enum hvpt_status status;
    bool done;

    if (vcpu->view != NULL || (hook.set && page_of(exit->gpa).value == hook.page.value)) {
        memory_lock(true);
        done = hook_fault(vcpu, exit);
        memory_unlock(true);
        return done;
    }
    memory_lock(false); /* beside other CPUs' faults: touch and fault_map need no lock against each other */
    status = hvpt_space_touch(&space, hvpt_make_gpa(exit->gpa), exit->access);
    if (status == HVPT_E_NOTHING)
        count_mapped(HVPT_E_EXISTS); /* another CPU was here first */
    if (status == HVPT_OK && exit->access == HVPT_WRITE)
        note_written(exit->gpa);
    done = status == HVPT_OK || status == HVPT_E_NOTHING || map_lazily(exit->gpa);
    memory_unlock(false);
    return done;
}

/* ---- the calls ---- */

static uint64_t stats(uint64_t which)
{
    struct hvpt_stats now;

    hvpt_space_stats(&space, &now);
    switch (which) {
    case 0:
    case 1:
    case 2: return (uint64_t)now.leaves[which];
    case 3: return work_mapped;
    case 4: return work_lost;
    case 5: return work_refused;
    case 6: return hook_faults;
    default: return (uint64_t)last_status;
    }
}

static uint64_t carry_out(uint32_t number, uint64_t first, uint64_t second)
{
    switch (number) {
    case WORK_STATS: return stats(first);
    case WORK_SPLIT: return (uint64_t)on_ram(split);
    case WORK_COLLAPSE: return (uint64_t)on_ram(collapse);
    case WORK_LOG: return (uint64_t)log_begin(first);
    case WORK_LOG_END: return log_end();
    case WORK_WRITTEN: return first >> 32 == 0 ? written[first / HVPT_4K / 64] >> (first / HVPT_4K % 64) & 1 : 0;
    case WORK_REPLACE: return (uint64_t)replace_page(first, second);
    case WORK_HOOK: return (uint64_t)set_hook(first, second);
    case WORK_RESTORE: return (uint64_t)restore();
    case WORK_DROP: return (uint64_t)hvpt_space_unmap(&space, page_of(first), HVPT_4K, NULL);
    default: return ~UINT64_C(0);
    }
}

void work_call(struct vcpu *vcpu)
{
    uint64_t *number = arch_argument(vcpu, 0);

    if ((*number & 0xffff0000u) != WORK_MAGIC)
        return;
    memory_lock(true);
    *number = carry_out((uint32_t)*number & 0xffff, *arch_argument(vcpu, 1), *arch_argument(vcpu, 2));
    memory_unlock(true);
}
