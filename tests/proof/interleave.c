/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Two calls at once, under every interleaving of their accesses to tables that both can see: two fault_map, or fault_map
 * beside a map of other pages (MAP), from every small tree, with every allocation failing or not. The code is the engine's
 * own; each access to a table yields first to whoever is to run next.
 * (That the accesses may also be seen in another order is for the litmus tests.)
 */
#include <stdbool.h>
#include <stdint.h>

static void about_to_access(const void *slot);
static uint64_t access_load(const uint64_t *at, int order)
{
    about_to_access(at);
    return __atomic_load_n(at, order);
}
static void access_store(uint64_t *at, uint64_t value, int order)
{
    about_to_access(at);
    __atomic_store_n(at, value, order);
}
static bool access_exchange(uint64_t *at, uint64_t *expected, uint64_t value, bool weak, int order, int failed)
{
    about_to_access(at);
    (void)weak;
    return __atomic_compare_exchange_n(at, expected, value, false, order, failed);
}
/* Numbers of 32 bits are no entries: marks decide on nothing but speed, and nobody here has a reserve. */
static uint32_t access_mark(const uint32_t *at, int order)
{
    return __atomic_load_n(at, order);
}
static void access_set_mark(uint32_t *at, uint32_t value, int order)
{
    __atomic_store_n(at, value, order);
}
#define __atomic_load_n(at, order) \
    _Generic((at), uint32_t *: access_mark, const uint32_t *: access_mark, default: access_load)(at, order)
#define __atomic_store_n(at, value, order) \
    _Generic((at), uint32_t *: access_set_mark, default: access_store)(at, value, order)
#define __atomic_compare_exchange_n access_exchange

#define INDEX_BITS                  1u
#define HVPT_FRAME_SHIFT            (3 + INDEX_BITS)
#define HVPT_ON_STORE(slot, value)  proof_stored()
static void proof_stored(void);

enum { ROOT = 2, FRAMES = 1 + ROOT + 4 };

#include "two_calls.h"

enum { PAGES = ROOT * ENTRIES, ROOT_SPAN = PAGE * ENTRIES };
#define PIECE UINT64_C(0x100000)
#define OTHER UINT64_C(0x200000)

static uint64_t before[PAGES];

static uint64_t look_at(unsigned page)
{
    uint64_t entry = memory[0][page / ENTRIES];

    if ((entry & 3) == 3) {
        const unsigned frame = frame_at(entry & SMALL_ADDRESS);

        must(frame > 0 && frame < FRAMES && held[frame], "a walk meets tables alone");
        entry = memory[frame][page % ENTRIES];
        must(!(entry & 2), "a page is well-formed");
        return entry;
    }
    return entry & 1 ? entry + page % ENTRIES * PAGE : 0;
}

static void *see(void *ctx, hvpt_hpa frame)
{
    (void)ctx;
    must(held[frame_at(frame.value)], "only frames that are held are looked at");
    return memory[frame_at(frame.value)];
}

static void used_before(hvpt_entry *frame)
{
    memset(frame, 0x5b, sizeof(memory[0]));
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    unsigned i;

    (void)ctx, (void)order;
    must(held[frame_at(frame.value)], "what is given back was held");
    for (i = 0; i < ROOT; i++)
        must((memory[0][i] & 3) != 3 || (memory[0][i] & SMALL_ADDRESS) != frame.value, "and is not linked");
    held[frame_at(frame.value)] = false;
}

static const struct hvpt_hooks hooks = {NULL, take, give, see, NULL, NULL};

struct call {
    uint64_t gpa, size, hpa;
    bool is_map;
    enum hvpt_status status;
};
static struct call calls[2];

static void about_to_access(const void *slot)
{
    const char *at = (const char *)slot, *first = (const char *)memory;
    unsigned row, i;
    bool shared;

    if (!threads_run || at < first || at >= first + sizeof(memory))
        return;
    row = (unsigned)((size_t)(at - first) / sizeof(memory[0]));
    shared = row == 0;
    for (i = 0; i < ROOT; i++)
        shared = shared || ((memory[0][i] & 3) == 3 && (memory[0][i] & SMALL_ADDRESS) == address_of(row));
    if (shared)
        yield();
}

static void proof_stored(void)
{
    unsigned i;

    for (i = 0; threads_run && i < PAGES; i++) {
        const uint64_t now = look_at(i);

        must(now == before[i] || !(before[i] & 1), "what was mapped stays");
    }
}

static void one_call(void)
{
    const struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE, HVPT_MEM_WB, 0, 0};
    struct call *call = &calls[running];

    if (call->is_map)
        call->status = hvpt_space_map(&space, hvpt_make_gpa(call->gpa), hvpt_make_hpa(call->hpa), call->size, attr, NULL);
    else
        call->status = hvpt_space_fault_map(&space, hvpt_make_gpa(call->gpa), hvpt_make_hpa(call->hpa), call->size, attr);
}

static void any_tree(void)
{
    unsigned i, j;

    open_space(&hooks, 0, ROOT, 1 + ROOT);
    for (i = 0; i < ROOT; i++) {
        const uint64_t leaf = SMALL_VALID | (uint64_t)HVPT_READ << SMALL_PERM | (PIECE + i * ROOT_SPAN);

        switch (choose(3)) {
        case 0: break;
        case 1:
            memory[0][i] = leaf;
            space.leaves[1]++;
            break;
        default:
            held[1 + i] = true;
            space.frames++;
            space.tables[0]++;
            for (j = 0; j < ENTRIES; j++) {
                memory[1 + i][j] = choose(2) ? leaf + j * PAGE : 0;
                space.leaves[0] += memory[1 + i][j] & 1;
            }
            memory[0][i] = hvpt_make_table(&space, address_of(1 + i));
        }
    }
}

static bool overlap(const struct call *a, const struct call *b)
{
    return a->gpa < b->gpa + b->size && b->gpa < a->gpa + a->size;
}

static void run(void)
{
    uint64_t frames = 0, leaves0 = 0, leaves1 = 0, tables = 0, counted;
    unsigned i, j;

    any_tree();
    for (i = 0; i < PAGES; i++)
        before[i] = look_at(i);
    for (i = 0; i < 2; i++) {
        calls[i].size = choose(2) ? ROOT_SPAN : PAGE;
        calls[i].gpa = calls[i].size * choose((unsigned)(PAGES * PAGE / calls[i].size));
        calls[i].hpa = (i == 0 ? PIECE : OTHER) + calls[i].gpa;
        calls[i].is_map = false;
    }
#ifdef MAP
    calls[1].is_map = true;
    if (choose(2)) { /* all the rest */
        assume(calls[1].size == PAGE && calls[1].gpa == 0 && calls[0].gpa + calls[0].size < PAGES * PAGE);
        calls[1].gpa = calls[0].gpa + calls[0].size;
        calls[1].size = PAGES * PAGE - calls[1].gpa;
        calls[1].hpa = OTHER + calls[1].gpa;
    }
    assume(!overlap(&calls[0], &calls[1]));
#endif
    run_both(one_call, one_call);

    for (i = 0; i < 2; i++) {
        const struct call *call = &calls[i], *other = &calls[!i];
        bool taken = false;

        for (j = 0; j < PAGES; j++) {
            if (j * PAGE < call->gpa || j * PAGE - call->gpa >= call->size)
                continue;
            taken = taken || (before[j] & 1);
            if (call->status == HVPT_OK)
                must((look_at(j) & SMALL_ADDRESS) == call->hpa + (j * PAGE - call->gpa), "who won has the page");
        }
        must(call->status != HVPT_OK || !taken, "what was mapped is not replaced");
        must(call->status == HVPT_OK || call->status == HVPT_E_EXISTS || call->status == HVPT_E_RACE
                 || (call->status == HVPT_E_NOMEM && failures != 0),
             "a status with a cause");
        if (call->status == HVPT_E_RACE || (call->status == HVPT_E_EXISTS && !taken)) {
            /* A large page may also be lost to a table that the other call needed for a page beside. */
            must((other->status == HVPT_OK && overlap(call, other)) || call->size > PAGE || taken, "who lost, lost to somebody");
        }
    }
    must(!overlap(&calls[0], &calls[1]) || calls[0].status != HVPT_OK || calls[1].status != HVPT_OK, "not both");
    for (i = 0; i < ROOT; i++) {
        if ((memory[0][i] & 3) == 3) {
            tables++;
            for (j = 0; j < ENTRIES; j++)
                leaves0 += memory[frame_at(memory[0][i] & SMALL_ADDRESS)][j] & 1;
        } else {
            leaves1 += memory[0][i] & 1;
        }
    }
    for (i = 0; i < FRAMES; i++)
        frames += held[i];
    must(frames == tables + 1 && space.frames == frames, "no frame is lost");
    must(space.tables[0] == tables, "tables are counted");
    counted = space.leaves[0];
    for (i = 0; i < HVPT_SHARDS; i++)
        counted += space.shards[i * HVPT_SHARD_STRIDE];
    must(counted == leaves0 && space.leaves[1] == leaves1, "leaves are counted");
}

int main(void)
{
    enumerate(run);
    return 0;
}
