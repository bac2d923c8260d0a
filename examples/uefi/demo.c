/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A UEFI application that builds EPT from the firmware's pages, and prints what hvpt explains on the console. It needs
 * neither EDK2 nor VMX: no CPU enters the tables. UEFI maps all memory at its physical address, so that the hooks need
 * no view of a frame.
 */
#include <hvpt/ept.h>

/* What is used of the UEFI specification, "EFI System Table" and "EFI Boot Services Table"; the rest is room. */
typedef uint64_t efi_status; /* 0: success */

struct efi_text_output {
    void *reset;
    efi_status (*output_string)(struct efi_text_output *self, uint16_t *string);
};

struct efi_boot_services {
    unsigned char header[24];
    void *task_priority[2];
    efi_status (*allocate_pages)(unsigned type, unsigned memory_type, uint64_t pages, uint64_t *memory);
    efi_status (*free_pages)(uint64_t memory, uint64_t pages);
};

struct efi_system_table {
    unsigned char header[24];
    uint16_t *vendor;
    uint32_t revision;
    void *input_handle, *input, *output_handle;
    struct efi_text_output *output;
    void *error_handle, *error, *runtime_services;
    struct efi_boot_services *boot_services;
};

enum { ANY_PAGES, LOADER_DATA = 2 };

/* Compilers call these on their own; volatile, so that they do not turn the loops into such calls. */
void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);

void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile unsigned char *)to)[i] = (unsigned char)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

static struct efi_system_table *efi;

static void say(const char *words)
{
    uint16_t piece[3] = {0};

    for (; *words; words++) {
        unsigned length = 0;

        if (*words == '\n')
            piece[length++] = '\r';
        piece[length++] = (unsigned char)*words;
        piece[length] = 0;
        efi->output->output_string(efi->output, piece);
    }
}

static bool alloc_frame(void *ctx, unsigned order, hvpt_hpa *out)
{
    uint64_t memory;

    (void)ctx;
    if (order != 0 || efi->boot_services->allocate_pages(ANY_PAGES, LOADER_DATA, 1, &memory) != 0)
        return false;
    *out = hvpt_make_hpa(memory);
    return true;
}

static void free_frame(void *ctx, hvpt_hpa frame, unsigned order)
{
    (void)ctx;
    efi->boot_services->free_pages(frame.value, UINT64_C(1) << order);
}

static const struct hvpt_hooks hooks = {.alloc_frame = alloc_frame, .free_frame = free_frame};
static struct hvpt_space guest;
static char words[HVPT_EXPLAIN_SIZE];

static void explain(hvpt_gpa gpa, uint32_t access)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    enum hvpt_status status = hvpt_space_explain(&guest, gpa, access, &text);

    say(status == HVPT_OK ? "allowed\n" : "refused\n");
    say(words);
    say("\n");
}

efi_status efi_main(void *image, struct efi_system_table *table);

efi_status efi_main(void *image, struct efi_system_table *table)
{
    const struct hvpt_ept_config config = {.maxphyaddr = 46};
    struct hvpt_mapping mapping;
    enum hvpt_status status;

    (void)image;
    efi = table;
    status = hvpt_ept_init(&guest, &hooks, &config);
    if (status == HVPT_OK)
        status = hvpt_space_map(&guest, hvpt_make_gpa(0), hvpt_make_hpa(0x40000000), HVPT_2M,
                                hvpt_ram(HVPT_READ | HVPT_EXEC), NULL);
    if (status == HVPT_OK)
        status = hvpt_space_translate(&guest, hvpt_make_gpa(0x1234), &mapping);
    if (status == HVPT_OK && mapping.hpa.value != 0x40001234)
        status = HVPT_E_CORRUPT;
    say("hvpt: ");
    say(hvpt_status_text(status));
    say("\n");
    if (status == HVPT_OK) {
        explain(hvpt_make_gpa(0x1234), HVPT_WRITE);
        status = hvpt_space_unmap(&guest, hvpt_make_gpa(0), HVPT_2M, NULL);
        explain(hvpt_make_gpa(0x1234), HVPT_READ);
        hvpt_space_destroy(&guest);
    }
    say("hvpt: done\n");
    return status == HVPT_OK ? 0 : 1;
}
