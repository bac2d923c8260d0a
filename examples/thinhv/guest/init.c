/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The first process of the Linux that thinhv boots: proves that user space lives, then has the hypervisor work on the
 * pages under it and looks whether it did. A line "good: ..." or "bad: ..." for each thing that was to be seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../work.h"
#include "guest.h" /* the architecture's */

#define PAGE  4096u
#define PAGES 256u

static void verdict(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void verdict(bool holds, const char *format, ...)
{
    va_list args;

    printf("%s: ", holds ? "good" : "bad");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

/* ---- user space ---- */

static void print_lines(const char *path, const char *const *names)
{
    char line[4096];
    FILE *file = fopen(path, "r");
    unsigned found = 0, wanted = 0;

    for (const char *const *name = names; *name != NULL; name++)
        wanted++;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        for (const char *const *name = names; *name != NULL; name++)
            if (strncmp(line, *name, strlen(*name)) == 0) {
                printf("%.100s%s", line, strlen(line) > 100 ? "\n" : "");
                found++;
            }
    if (file != NULL)
        fclose(file);
    verdict(found >= wanted, "%s is there", path);
}

static void fill_memory(void)
{
    const size_t words = (size_t)64 << 17;
    uint64_t *memory = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t wrong = 0;

    for (size_t i = 0; i < words; i++)
        memory[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < words; i++)
        wrong += memory[i] != i * UINT64_C(0x9e3779b97f4a7c15);
    verdict(wrong == 0, "64 MiB filled and read back, %zu words differ", wrong);
    munmap(memory, words * 8);
}

static void sleep_a_while(void)
{
    struct timespec before, after, nap = {0, 50000000};
    long took;

    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&nap, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    took = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    verdict(took >= 50, "slept on a timer for 50 ms"); /* how long it took is not the hypervisor's to say */
}

static void fork_a_child(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(42);
    verdict(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42, "forked");
}

static void count_cpus(int expected)
{
    int online = (int)sysconf(_SC_NPROCESSORS_ONLN);

    verdict(online == expected, "%d CPU%s online", online, online == 1 ? " is" : "s are");
}

static bool switch_cpu(const char *state)
{
    int file = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);
    bool done = write(file, state, 1) == 1;

    close(file);
    return done;
}

static void stop_and_start_cpu(void)
{
    long with, without;

    mkdir("/sys", 0555);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    without = switch_cpu("0") ? sysconf(_SC_NPROCESSORS_ONLN) : -1;
    with = switch_cpu("1") ? sysconf(_SC_NPROCESSORS_ONLN) : -1;
    verdict(without == 1 && with == 2, "a CPU stopped and started again: %ld online, then %ld", without, with);
}

/* ---- calls to the hypervisor ---- */

static uint64_t call(enum work number, uint64_t a, uint64_t b)
{
    return guest_call(WORK_MAGIC | (unsigned)number, a, b);
}

/* The guest-physical address behind a virtual one, from Linux: Documentation/admin-guide/mm/pagemap.rst. 0: none. */
static uint64_t physical(const volatile void *address)
{
    uint64_t entry = 0;
    int file = open("/proc/self/pagemap", O_RDONLY);

    if (pread(file, &entry, 8, (off_t)((uintptr_t)address / PAGE * 8)) != 8 || !(entry >> 63))
        entry = 0;
    close(file);
    return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE + (uintptr_t)address % PAGE;
}

/* Pages that Linux leaves where they are. */
static volatile uint8_t *pages(void)
{
    uint8_t *memory =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    for (unsigned i = 0; i < PAGES; i++)
        memset(memory + i * PAGE, (int)(i * 37 + 11) & 255, PAGE);
    mlock(memory, PAGES * PAGE);
    return memory;
}

static sigjmp_buf after_fault;

static void fault(int number)
{
    siglongjmp(after_fault, number);
}

static void read_hypervisor(void)
{
    uint64_t before = call(WORK_STATS, 5, 0), refused;
    int number, file = open("/dev/mem", O_RDONLY);
    volatile uint8_t *window = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, (off_t)HYPERVISOR);
    volatile uint8_t *mapped_io;

    if (window == MAP_FAILED) {
        verdict(false, "/dev/mem at %#llx: %s", (unsigned long long)HYPERVISOR, strerror(errno));
        return;
    }
    signal(SIGSEGV, fault);
    signal(SIGBUS, fault);
    number = sigsetjmp(after_fault, 1);
    if (number == 0)
        printf("read %#x\n", window[16]);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    refused = call(WORK_STATS, 5, 0) - before;
    verdict(number == REFUSAL && refused == 1,
            "reading the hypervisor's memory through /dev/mem: %s, refused %llu time(s)",
            number == 0 ? "nothing happened" : strsignal(number), (unsigned long long)refused);
    munmap((void *)window, PAGE);

    /* The same way to memory that is the machine's: it was the hypervisor who refused, not /dev/mem. */
    mapped_io = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, (off_t)OTHER_PAGE);
    verdict(mapped_io != MAP_FAILED && (mapped_io[0] | 1) != 0 && call(WORK_STATS, 5, 0) == before + 1,
            "reading another reserved page through /dev/mem is nobody's business");
    close(file);
}

/* ---- the second level at work ---- */

static bool lazy; /* the second level grows as it is touched: nobody can tell beforehand what leaves there are */

static bool leaves_are(uint64_t small, uint64_t large, uint64_t huge)
{
    return lazy
        || (call(WORK_STATS, 0, 0) == small && call(WORK_STATS, 1, 0) == large && call(WORK_STATS, 2, 0) == huge);
}

static bool intact(const volatile uint8_t *memory)
{
    for (unsigned i = 0; i < PAGES * PAGE; i++)
        if (memory[i] != (uint8_t)(i / PAGE * 37 + 11))
            return false;
    return true;
}

static void split_and_collapse(volatile uint8_t *memory)
{
    uint64_t small = call(WORK_STATS, 0, 0), large = call(WORK_STATS, 1, 0), huge = call(WORK_STATS, 2, 0);
    uint64_t status = call(WORK_SPLIT, 0, 0), split = call(WORK_STATS, 0, 0), left = call(WORK_STATS, 1, 0);
    bool good = intact(memory);

    /* RAM is 2 GiB but for the hypervisor's 32 MiB: so many pages of 4K, and none of it in larger ones. */
    verdict(status == 0 && good && split >= (UINT64_C(2048) - 32) * 256 && left <= large + huge * 512,
            "RAM split into 4K pages under us: %llu of them, where there were %llu, %llu of 2M, %llu of 1G",
            (unsigned long long)split, (unsigned long long)small, (unsigned long long)large, (unsigned long long)huge);
    status = call(WORK_COLLAPSE, 0, 0);
    good = intact(memory);
    verdict(status == 0 && good && leaves_are(small, large, huge), "and collapsed again to what it was");
}

/* It began empty. Linux has touched more than the 64 MiB that we filled, and less than there is. */
static void count_lazy_pages(void)
{
    uint64_t mapped = call(WORK_STATS, 3, 0), small = call(WORK_STATS, 0, 0);

    verdict(small == mapped && call(WORK_STATS, 1, 0) == 0 && small > 64 * 256 && small < 2048 / 2 * 256,
            "%llu pages are mapped, as many as were faulted for", (unsigned long long)small);
}

static uint64_t chance(void)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void log_writes(volatile uint8_t *memory, enum work_method method, const char *name)
{
    uint64_t gpa[PAGES], small, large, huge, status, all;
    bool wrote[PAGES];
    unsigned count = 0, missed = 0, invented = 0, told = 0;
    uint8_t sink = 0;

    for (unsigned i = 0; i < PAGES; i++) {
        gpa[i] = physical(memory + i * PAGE);
        wrote[i] = chance() % 3 == 0;
        count += wrote[i];
    }
    small = call(WORK_STATS, 0, 0), large = call(WORK_STATS, 1, 0), huge = call(WORK_STATS, 2, 0);
    status = call(WORK_SPLIT, 0, 0); /* or a large page would stand for all in it */
    if (status == 0)
        status = call(WORK_LOG, method, 0);
    for (unsigned i = 0; i < PAGES; i++) {
        if (wrote[i])
            memory[i * PAGE + i] = memory[i * PAGE + i];
        sink = (uint8_t)(sink + memory[i * PAGE]); /* all are read */
    }
    all = call(WORK_LOG_END, 0, 0);
    for (unsigned i = 0; i < PAGES; i++) {
        bool said = call(WORK_WRITTEN, gpa[i], 0) != 0;

        told += said;
        missed += wrote[i] && !said;
        invented += !wrote[i] && said;
    }
    verdict(status == 0 && count > 50 && missed == 0 && invented == 0,
            "written pages, by %s: of %u we wrote %u, the hypervisor says %u: %u missed, %u invented; %s in all of RAM",
            name, PAGES, count, told, missed, invented, all > count ? "more" : "as many");
    verdict(call(WORK_COLLAPSE, 0, 0) == 0 && leaves_are(small, large, huge) && intact(memory) && sink != 1,
            "RAM as before %s", name);
}

/* A page of code of its own. */
__asm__(".pushsection .patched, \"ax\"\n"
        ".balign 4096\n"
        ".globl patched\n"
        "patched: " GUEST_RETURNS_123 ".balign 4096\n"
        ".popsection\n");
uint32_t patched(void);

static uint32_t word_as_read(void)
{
    uint32_t word;

    memcpy(&word, (const void *)((uintptr_t)patched + GUEST_WORD_AT), 4);
    return word;
}

/* Another CPU that runs the page whenever it is told to, and does nothing in between that would make it exit. */
static unsigned turn; /* odd: the other CPU's */
static uint32_t other_saw;

static void pin(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *run_patched(void *unused)
{
    pin(1);
    for (unsigned done = 0; done < 3; done++) {
        while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != 2 * done + 1)
            ;
        other_saw = patched();
        __atomic_store_n(&turn, 2 * done + 2, __ATOMIC_SEQ_CST);
    }
    return unused;
}

static uint32_t other_cpu_sees(void)
{
    unsigned mine = __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);

    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) == mine)
        ;
    return other_saw;
}

/* A page that Linux puts another in place of, while the other CPU reads it: a fence that must reach that CPU. */
static volatile uint8_t *replaced;
static unsigned read_turn; /* odd: the other CPU's */
static uint8_t other_read;

static void *read_replaced(void *unused)
{
    pin(1);
    for (unsigned done = 0; done < 3; done++) {
        while (__atomic_load_n(&read_turn, __ATOMIC_SEQ_CST) != 2 * done + 1)
            (void)*replaced; /* so that it keeps the translation */
        other_read = *replaced;
        __atomic_store_n(&read_turn, 2 * done + 2, __ATOMIC_SEQ_CST);
    }
    return unused;
}

static void remap_under_other_cpu(void)
{
    uint8_t *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    uint8_t seen[3];
    pthread_t thread;

    for (unsigned i = 0; i < 4; i++)
        pages[i * PAGE] = (uint8_t)(i + 1);
    replaced = pages;
    pin(0);
    pthread_create(&thread, NULL, read_replaced, NULL);
    for (unsigned i = 0; i < 3; i++) {
        if (i > 0)
            mremap(pages + i * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pages);
        usleep(10000); /* the other CPU reads it */
        __atomic_store_n(&read_turn, 2 * i + 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&read_turn, __ATOMIC_SEQ_CST) == 2 * i + 1)
            ;
        seen[i] = other_read;
    }
    pthread_join(thread, NULL);
    verdict(seen[0] == 1 && seen[1] == 2 && seen[2] == 3,
            "pages that Linux moves under the other CPU: it reads %u, then %u, then %u", seen[0], seen[1], seen[2]);
}

static void replace_text_of_two(void)
{
    const uint64_t words = (uint64_t)guest_word(0x456) << 32 | guest_word(0x123);
    uint32_t before, during, after;
    uint64_t status;
    pthread_t thread;

    pin(0);
    pthread_create(&thread, NULL, run_patched, NULL);
    before = other_cpu_sees();
    status = call(WORK_REPLACE, physical((const void *)(uintptr_t)patched), words);
    during = other_cpu_sees();
    status |= call(WORK_RESTORE, 0, 0);
    after = other_cpu_sees();
    pthread_join(thread, NULL);
    verdict(status == 0 && before == 0x123 && during == 0x456 && after == 0x123,
            "the other CPU sees it at once: %#x, then %#x, then %#x", before, during, after);
}

static void replace_text(void)
{
    const uint64_t words = (uint64_t)guest_word(0x456) << 32 | guest_word(0x123);
    uint32_t before = patched(), during, after, seen;
    uint64_t status = call(WORK_REPLACE, physical((const void *)(uintptr_t)patched), words),
             small = call(WORK_STATS, 0, 0);

    during = patched();
    seen = word_as_read();
    status |= call(WORK_RESTORE, 0, 0);
    after = patched();
    verdict(status == 0 && before == 0x123 && during == 0x456 && seen == guest_word(0x456) && after == 0x123
                && small > 0,
            "a page of our code replaced under us: %#x, then %#x, then %#x", before, during, after);
}

static void hook_text(void)
{
    const uint64_t words = (uint64_t)guest_word(0x789) << 32 | guest_word(0x123);
    uint32_t run[3], read[3];
    uint64_t faults = call(WORK_STATS, 6, 0), status;

    word_as_read();
    status = call(WORK_HOOK, physical((const void *)(uintptr_t)patched), words);
    for (unsigned i = 0; i < 3; i++) {
        run[i] = patched();
        read[i] = word_as_read();
    }
    faults = call(WORK_STATS, 6, 0) - faults;
    status |= call(WORK_RESTORE, 0, 0);
    verdict(status == 0 && run[0] == 0x789 && run[2] == 0x789 && read[0] == guest_word(0x123)
                && read[2] == guest_word(0x123) && faults >= 5 && patched() == 0x123,
            "a hook: the code that runs says %#x, its bytes read %#x; turned over %llu times", run[0], read[0],
            (unsigned long long)faults);
}

/* ---- pages mapped when they are touched, by all CPUs at once ---- */

static volatile uint8_t *contested;
static unsigned ready, wrong_bytes, parties;

static void *touch_all(void *which)
{
    pin((unsigned)(uintptr_t)which);
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < parties)
        ;
    for (unsigned i = 0; i < PAGES; i++)
        if (contested[i * PAGE + 5] != (uint8_t)(i * 37 + 11))
            __atomic_add_fetch(&wrong_bytes, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void fault_at_once(volatile uint8_t *memory, unsigned cpus)
{
    uint64_t before, mapped, lost;
    pthread_t thread[2];
    unsigned dropped = 0;

    contested = memory;
    parties = cpus;
    for (unsigned i = 0; i < PAGES; i++)
        dropped += call(WORK_DROP, physical(memory + i * PAGE), 0) == 0;
    before = call(WORK_STATS, 3, 0), lost = call(WORK_STATS, 4, 0);
    for (unsigned i = 0; i < cpus; i++)
        pthread_create(&thread[i], NULL, touch_all, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < cpus; i++)
        pthread_join(thread[i], NULL);
    mapped = call(WORK_STATS, 3, 0) - before, lost = call(WORK_STATS, 4, 0) - lost;
    verdict(dropped == PAGES && mapped >= PAGES && mapped < PAGES * 2 && wrong_bytes == 0 && intact(memory),
            "%u pages taken away and mapped again when touched by %u CPU%s at once", PAGES, cpus, cpus > 1 ? "s" : "");
    printf("mapped at a fault: %llu; another CPU was first: %llu\n", (unsigned long long)mapped,
           (unsigned long long)lost);
}

static bool has_word(const char *line, const char *word)
{
    const char *found = strstr(line, word);

    return found != NULL && (found == line || found[-1] == ' ');
}

int main(int count, char **arguments)
{
    static const char *const meminfo[] = {"MemTotal", "MemFree", NULL};
    char options[1100] = "";
    unsigned cpus;

    (void)count;
    (void)arguments;
    printf("init: Linux has come to user space\n");
    fflush(stdout);
    mkdir("/proc", 0555);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    {
        FILE *file = fopen("/proc/cmdline", "r");

        if (file == NULL || fgets(options, sizeof(options), file) == NULL)
            verdict(false, "/proc/cmdline is there");
    }
    cpus = has_word(options, "thinhv.cpus=2") ? 2 : 1;
    print_lines("/proc/cpuinfo", guest_cpuinfo);
    print_lines("/proc/meminfo", meminfo);
    fill_memory();
    sleep_a_while();
    fork_a_child();
    count_cpus((int)cpus);
    if (cpus > 1 && guest_stops_cpus)
        stop_and_start_cpu();
    if (cpus > 1)
        remap_under_other_cpu();
    if (has_word(options, "thinhv.work") && !guest_open_door())
        verdict(false, "the hypervisor can be called");
    else if (has_word(options, "thinhv.work")) {
        volatile uint8_t *memory = pages();
        bool intel = has_word(options, "thinhv.ept");

        lazy = has_word(options, "thinhv.lazy");
        if (lazy)
            count_lazy_pages();
        else
            split_and_collapse(memory);
        log_writes(memory, WORK_WRITE_PROTECTION, "write protection");
        log_writes(memory, WORK_DIRTY_BITS, "dirty bits");
        if (intel)
            log_writes(memory, WORK_PML, "page-modification logging");
        replace_text();
        if (cpus > 1)
            replace_text_of_two();
        hook_text();
        fault_at_once(memory, cpus);
        read_hypervisor();
    }
    printf("init: done\n");
    fflush(stdout);
    tcdrain(1);
    reboot(RB_AUTOBOOT);
    return 0;
}
