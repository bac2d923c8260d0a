/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Every choice of a program, one after the other: choose(n) answers 0 in the first run and all numbers below n in later
 * ones, until every sequence of answers has been given. A program is run again and again from its beginning, natively.
 */
#ifndef PROOF_ENUMERATE_H
#define PROOF_ENUMERATE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHOICES_MAX = 256 };

static unsigned choice[CHOICES_MAX], choices_of[CHOICES_MAX], choices_made, choices_known;
static unsigned long long runs, finished;
static jmp_buf next_run;

static inline unsigned choose(unsigned n)
{
    if (choices_made == choices_known) {
        if (choices_known == CHOICES_MAX) {
            printf("more than %d choices in a run\n", CHOICES_MAX);
            exit(2);
        }
        choice[choices_known] = 0;
        choices_of[choices_known++] = n;
    }
    return choice[choices_made++];
}

/* This run is none that is asked for. */
static inline void assume(bool condition)
{
    if (!condition)
        longjmp(next_run, 1);
}

static inline void must_hold(bool condition, const char *text, const char *file, int line)
{
    unsigned i;

    if (condition)
        return;
    printf("%s:%d: not so: %s\nin run %llu, with the choices", file, line, text, runs);
    for (i = 0; i < choices_made; i++)
        printf(" %u/%u", choice[i], choices_of[i]);
    printf("\n");
    exit(1);
}
#define must(condition, text) must_hold(condition, text, __FILE__, __LINE__)

/* Call run for every sequence of choices. */
static inline void enumerate(void (*run)(void))
{
    do {
        choices_made = 0;
        runs++;
        if (setjmp(next_run) == 0) {
            run();
            finished++;
        }
        choices_known = choices_made;
        while (choices_known != 0 && choice[choices_known - 1] + 1 == choices_of[choices_known - 1])
            choices_known--;
        if (choices_known != 0)
            choice[choices_known - 1]++;
    } while (choices_known != 0);
    printf("%llu runs\n", finished);
}

#endif
