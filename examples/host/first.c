/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The smallest program: EPT in a host process. cc -I include examples/host/first.c && ./a.out */
#include <hvpt/ept.h>

#include <stdio.h>

/* "Physical memory": address 0 is its first byte. Tables come from it, one after another. */
static _Alignas(4096) unsigned char memory[64 * 4096];
static uint64_t next_frame;

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    (void)ctx;
    *out = hvpt_make_hpa(next_frame += HVPT_4K); /* frame 0 stays unused */
    return order == 0 && next_frame < sizeof(memory);
}

static void free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx, (void)frame, (void)order; /* a real one gives it back */
}

int main(void)
{
    static const struct hvpt_hooks hooks = {.alloc_frame = alloc_frame, .free_frame = free_frame, .linear_map = memory};
    const struct hvpt_ept_config config = {.maxphyaddr = 46};
    const struct hvpt_attr rom = hvpt_ram(HVPT_READ | HVPT_EXEC);
    struct hvpt_text_buffer buffer;
    char words[HVPT_EXPLAIN_SIZE];
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    struct hvpt_space guest;
    enum hvpt_status status = hvpt_ept_init(&guest, &hooks, &config);

    if (status == HVPT_OK)
        status = hvpt_space_map(&guest, hvpt_make_gpa(0xff000000), hvpt_make_hpa(0x40000000), 16 << 20, rom, NULL);
    if (status != HVPT_OK) {
        puts(hvpt_status_text(status));
        return 1;
    }
    (void)!hvpt_space_explain(&guest, hvpt_make_gpa(0xffff0000), HVPT_WRITE, &text); /* may the guest write its ROM? */
    printf("EPTP %#llx\n%s\n", (unsigned long long)hvpt_space_root(&guest), words);
    hvpt_space_destroy(&guest);
    return 0;
}
