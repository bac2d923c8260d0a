/*
 * hvpt-bench: every job, a line of JSON for each result. scripts/bench runs it and makes the table and the chart.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "jobs.h"

extern const struct bench_face bench_ept_inline, bench_ept_called, bench_ept_linear;
extern const struct bench_face bench_npt_linear, bench_s2_linear, bench_gstage_linear;

static const struct bench_face *const faces[] = {
    &bench_ept_inline, &bench_ept_called, &bench_ept_linear, &bench_npt_linear, &bench_s2_linear, &bench_gstage_linear,
};

static void usage(void)
{
    puts("usage: hvpt-bench [-j TEXT] [-r ROUNDS] [-q]\n"
         "  -j TEXT    only jobs whose name has TEXT in it\n"
         "  -r ROUNDS  at most so many rounds of each job\n"
         "  -q         quick: nothing above 64 GiB");
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
    (void)quick;
    bench_arena_open(UINT64_C(8) << 30, UINT64_C(256) << 20);
    bench_jobs(faces, sizeof faces / sizeof *faces, only);
    return bench_failed;
}
