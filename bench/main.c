/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt-bench: every job, a line of JSON for each result. scripts/bench runs it and makes the table and the chart.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "jobs.h"

extern const struct bench_face bench_ept_linear, bench_ept_called, bench_ept_retpoline, bench_ept_inline;
extern const struct bench_face bench_npt_linear, bench_s2_linear, bench_gstage_linear, bench_plain;
#ifdef BENCH_PEERS
extern const struct bench_face bench_x86_64_crate, bench_page_table_multiarch;
#endif

static const struct bench_face *const faces[] = {
    &bench_ept_linear, &bench_ept_called,
#ifdef BENCH_RETPOLINE
    &bench_ept_retpoline,
#endif
    &bench_ept_inline, &bench_npt_linear, &bench_s2_linear, &bench_gstage_linear, &bench_plain,
#ifdef BENCH_PEERS
    &bench_x86_64_crate, &bench_page_table_multiarch,
#endif
};

static void usage(void)
{
    puts("usage: hvpt-bench [-j TEXT] [-r ROUNDS] [-q]\n"
         "  -j TEXT    only jobs whose name has TEXT in it\n"
         "  -r ROUNDS  at most so many rounds of each job\n"
         "  -q         quick: the single jobs alone, neither whole machines nor growth");
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    bool quick = false;
    int option;

    while ((option = getopt(argc, argv, "j:r:qh")) != -1) {
        switch (option) {
        case 'j': only = optarg; break;
        case 'r': bench_round_limit = (unsigned)atoi(optarg); break;
        case 'q': quick = true; break;
        default: usage(); return option == 'h' ? 0 : 2;
        }
    }
    /* 1 TiB by 4K takes a little more than 2 GiB of tables. */
    bench_arena_open(UINT64_C(8) << 30, UINT64_C(512) << 20);
    bench_jobs(faces, sizeof faces / sizeof *faces, only);
    if (only == NULL || strstr("fault in random pages, two CPUs", only) != NULL)
        bench_threads(&bench_ept_linear, &bench_plain);
    if (only == NULL)
        bench_control();
    if (only == NULL && !quick)
        bench_whole(&bench_ept_linear, UINT64_C(1) << 40);
    return bench_failed;
}
