/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The code behind the prototypes, and the hooks: C calls them, so they are C. */
#include <hvpt/unit.c>

/* Host memory as this program plays it: "physical" address 0 is the first byte. Tables are taken from the start. */
static _Alignas(4096) unsigned char memory[1 << 20];
static uint64_t next_frame = 4096;

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    *out = hvpt_make_hpa(next_frame);
    next_frame += (uint64_t)4096 << order;
    return next_frame <= sizeof(memory);
}

static void free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    (void)frame;
    (void)order;
}

const struct hvpt_hooks example_hooks = {.alloc_frame = alloc_frame, .free_frame = free_frame, .linear_map = memory};

enum hvpt_status example_explain(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access, char *words, size_t size);

enum hvpt_status example_explain(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access, char *words, size_t size)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, size);

    return hvpt_space_explain(space, gpa, access, &text);
}
