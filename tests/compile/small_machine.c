/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The engine on a 32-bit machine, where linear memory ends at 4 GiB and an access of 8 bytes is CMPXCHG8B: a program of
 * its own for Linux on i386, without a C library. It says what is wrong and ends with 1, or with 0.
 */
#include <hvpt/ept.h>
#include <hvpt/guest/walk.h>

#define FRAMES 64
#define BEYOND UINT64_C(0x100000000)
#define GPA    UINT64_C(0x40000000)
#define PAGE   HVPT_4K

static _Alignas(4096) uint64_t memory[FRAMES][512];
static unsigned next, live;

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
void _start(void);

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)to)[i] = (unsigned char)value;
    return to;
}

static long call(long number, long one, const void *two, long three)
{
    __asm__ volatile("int $0x80" : "+a"(number) : "b"(one), "c"(two), "d"(three) : "memory");
    return number;
}

static void is(bool fine, const char *what)
{
    size_t size = 0;

    if (fine)
        return;
    while (what[size])
        size++;
    (void)call(4, 1, what, (long)size);
    (void)call(4, 1, "\n", 1);
    (void)call(1, 1, NULL, 0);
}

static bool take(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx, (void)order;
    if (next == FRAMES)
        return false;
    live++;
    *out = hvpt_make_hpa((uintptr_t)memory[next++]);
    return true;
}

static void give(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order;
    live--;
}

/* Memory is seen where it is. */
static const struct hvpt_hooks hooks = {NULL, take, give, NULL, NULL, NULL};
static const struct hvpt_attr rwx = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

static enum hvpt_status map(struct hvpt_space *space, uint64_t gpa, uint64_t hpa, uint64_t size)
{
    return hvpt_space_map(space, hvpt_make_gpa(gpa), hvpt_make_hpa(hpa), size, rwx, NULL);
}

/* What is mapped comes back with all its 64 bits, and no store lost half of one. */
static void the_engine_works(struct hvpt_space *space)
{
    const uint64_t host = UINT64_C(0xf123456789000);
    struct hvpt_mapping found;
    struct hvpt_stats stats;
    uint64_t bitmap[1] = {0};

    is(map(space, GPA, host, 8 * PAGE) == HVPT_OK, "map");
    is(hvpt_space_fault_map(space, hvpt_make_gpa(GPA + 8 * PAGE), hvpt_make_hpa(host + 8 * PAGE), PAGE, rwx) == HVPT_OK,
       "fault_map");
    for (unsigned i = 0; i < 9; i++) {
        is(hvpt_space_translate(space, hvpt_make_gpa(GPA + i * PAGE + 5), &found) == HVPT_OK, "translate");
        is(found.hpa.value == host + i * PAGE + 5 && found.attr.perm == rwx.perm, "the host address");
    }
    is(hvpt_space_dirty(space, hvpt_make_gpa(GPA), 9 * PAGE, bitmap, NULL) == HVPT_OK && bitmap[0] == 0x1ff, "dirty");
    is(hvpt_space_touch(space, hvpt_make_gpa(GPA), HVPT_WRITE) == HVPT_OK, "touch");
    hvpt_space_stats(space, &stats);
    is(stats.leaves[0] == 9 && stats.frames == live, "stats");
    is(hvpt_space_unmap(space, hvpt_make_gpa(GPA), 9 * PAGE, NULL) == HVPT_OK && live == 1, "unmap");
}

/* A guest's table at 4 GiB + x is not what lies at x, however well that would do for a table. */
static void a_guests_table_beyond_is_out_of_reach(struct hvpt_space *space)
{
    static _Alignas(4096) uint64_t table[4][512];
    struct hvpt_x86_guest guest = {0};
    struct hvpt_guest_walk walk;
    const uint64_t here = (uintptr_t)table;

    guest.cr0 = HVPT_X86_CR0_PG | HVPT_X86_CR0_PE;
    guest.cr4 = HVPT_X86_CR4_PAE;
    guest.efer = HVPT_X86_EFER_LMA;
    guest.cr3 = GPA;
    for (unsigned i = 0; i < 4; i++)
        table[i][0] = (i == 3 ? GPA : GPA + (i + 1) * PAGE) | 0x67;
    is(map(space, GPA, here, 4 * PAGE) == HVPT_OK, "map");
    is(hvpt_guest_walk_x86(space, &guest, 0x123, HVPT_READ, &walk) == HVPT_GUEST_OK && walk.hpa.value == here + 0x123,
       "a guest's tables in reach");
    for (unsigned i = 0; i < 4; i++) {
        is(hvpt_space_replace(space, hvpt_make_gpa(GPA + i * PAGE), hvpt_make_hpa(BEYOND + here + i * PAGE), PAGE, rwx, NULL)
               == HVPT_OK,
           "replace");
        is(hvpt_guest_walk_x86(space, &guest, 0x123, HVPT_READ, &walk) == HVPT_GUEST_UNREACHABLE, "a guest's table beyond");
        is(hvpt_space_replace(space, hvpt_make_gpa(GPA + i * PAGE), hvpt_make_hpa(here + i * PAGE), PAGE, rwx, NULL) == HVPT_OK,
           "replace");
    }
    is(hvpt_space_unmap(space, hvpt_make_gpa(GPA), 4 * PAGE, NULL) == HVPT_OK, "unmap");
}

/* The same of a table of the space's own. */
static void a_table_beyond_is_out_of_reach(void)
{
    static _Alignas(4096) uint64_t table[4][512];
    const struct hvpt_ept_config config = {0};
    const uint64_t here = (uintptr_t)table;
    struct hvpt_mapping found;
    struct hvpt_space space;

    for (unsigned i = 0; i < 4; i++)
        table[i][0] = i == 3 ? UINT64_C(0x5000) | 0x37 : (here + (i + 1) * PAGE) | 7;
    is(hvpt_ept_adopt(&space, &hooks, &config, here | 0x1e, true) == HVPT_OK, "adopt");
    is(hvpt_space_translate(&space, hvpt_make_gpa(0), &found) == HVPT_OK && found.hpa.value == 0x5000, "translate");
    for (unsigned i = 0; i < 3; i++) {
        table[i][0] += BEYOND;
        is(hvpt_space_translate(&space, hvpt_make_gpa(0), &found) == HVPT_E_CORRUPT, "a table beyond");
        table[i][0] -= BEYOND;
    }
    is(hvpt_ept_adopt(&space, &hooks, &config, (BEYOND + here) | 0x1e, true) == HVPT_E_CORRUPT, "a root beyond");
}

__attribute__((force_align_arg_pointer)) void _start(void)
{
    const struct hvpt_ept_config config = {0};
    struct hvpt_space space;

    is(hvpt_ept_init(&space, &hooks, &config) == HVPT_OK, "init");
    the_engine_works(&space);
    a_guests_table_beyond_is_out_of_reach(&space);
    a_table_beyond_is_out_of_reach();
    hvpt_space_destroy(&space);
    is(live == 0, "frames leaked");
    (void)call(1, 0, NULL, 0);
}
