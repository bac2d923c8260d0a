/* A loader for a kernel of Redox and one program in place of bootstrap: what Redox's own loader does, from multiboot's
 * modules, in a machine with less than 4 GiB. The kernel is the first module, the program the second. */

#include <stdint.h>

enum {
    KERNEL_AT = 0x2000000,  /* physical, behind every module */
    LOADER_AT = 0x100000,
    LOADER_SIZE = 0x200000, /* reserved: the tables below are in it */
    PRESENT_WRITABLE = 3,
    LARGE = 0x80,
    AREA_FREE = 1,
    AREA_RESERVED = 3,
};
#define KERNEL_VIRTUAL UINT64_C(0xffffffff80000000)
#define ENTRIES 512

/* The kernel's src/startup/mod.rs: KernelArgs. */
struct arguments {
    uint64_t kernel, kernel_size, stack, stack_size, env, env_size;
    uint64_t rsdp, rsdp_size, areas, areas_size, program, program_size;
};
struct area {
    uint64_t base, size, kind;
};
struct module {
    uint32_t start, end, string, reserved;
};
struct information {
    uint32_t flags, memory[2], device, command, modules, module_list, symbols[4], map_size, map;
};
struct map_entry {
    uint32_t size;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));
struct elf {
    uint8_t ident[24];
    uint64_t entry, segments, sections;
    uint32_t flags;
    uint16_t size, segment_size, segment_count;
} __attribute__((packed));
struct segment {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, align;
};

typedef uint64_t table[ENTRIES] __attribute__((aligned(4096)));
table top_table;
static table low_directories, kernel_directories, low[4], kernel_pages;
static struct area areas[64];
static struct arguments arguments;
static uint8_t environment[4096] __attribute__((aligned(4096)));
static struct {
    uint64_t entry, arguments;
} start;

static uint64_t address(const void *at)
{
    return (uintptr_t)at;
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t size)
{
    while (size-- > 0)
        *to++ = *from++;
}

/* The segments where the kernel's half of the address space will have them. Returns how much there is. */
static uint64_t load_kernel(const uint8_t *image)
{
    const struct elf *elf = (const struct elf *)image;
    uint64_t end = 0;

    for (uint32_t i = 0; i < elf->segment_count; ++i) {
        const struct segment *segment =
            (const struct segment *)(image + (uint32_t)elf->segments + i * elf->segment_size);
        uint64_t at = segment->virtual - KERNEL_VIRTUAL;
        uint8_t *to = (uint8_t *)(uintptr_t)(KERNEL_AT + at);

        if (segment->type != 1 || segment->virtual < KERNEL_VIRTUAL)
            continue;
        copy(to, image + (uint32_t)segment->offset, (uint32_t)segment->file_size);
        for (uint32_t byte = (uint32_t)segment->file_size; byte < (uint32_t)segment->memory_size; ++byte)
            to[byte] = 0;
        if (at + segment->memory_size > end)
            end = at + segment->memory_size;
    }
    return (end + 4095) & ~UINT64_C(4095);
}

/* 4 GiB where they are and from FFFF800000000000H on, and the kernel where it is linked. */
static void make_tables(void)
{
    for (uint32_t i = 0; i < 4 * ENTRIES; ++i)
        low[i / ENTRIES][i % ENTRIES] = ((uint64_t)i << 21) | LARGE | PRESENT_WRITABLE;
    for (uint32_t i = 0; i < 4; ++i)
        low_directories[i] = address(low[i]) | PRESENT_WRITABLE;
    for (uint32_t i = 0; i < ENTRIES; ++i)
        kernel_pages[i] = (KERNEL_AT + ((uint64_t)i << 21)) | LARGE | PRESENT_WRITABLE;
    kernel_directories[510] = address(kernel_pages) | PRESENT_WRITABLE;
    top_table[0] = top_table[256] = address(low_directories) | PRESENT_WRITABLE;
    top_table[511] = address(kernel_directories) | PRESENT_WRITABLE;
}

static uint32_t list_areas(const struct information *information)
{
    uint32_t count = 0;
    uint32_t at = information->map;

    while (at < information->map + information->map_size && count < 63) {
        const struct map_entry *entry = (const struct map_entry *)(uintptr_t)at;

        if (entry->base >> 32 == 0)
            areas[count++] = (struct area){entry->base, entry->length, entry->type == 1 ? AREA_FREE : AREA_RESERVED};
        at += entry->size + 4;
    }
    areas[count++] = (struct area){LOADER_AT, LOADER_SIZE, AREA_RESERVED};
    return count;
}

/* ACPI's root pointer, in the firmware's memory. */
static uint32_t find_rsdp(void)
{
    for (uint32_t at = 0xe0000; at < 0x100000; at += 16) {
        const volatile uint32_t *words = (const volatile uint32_t *)(uintptr_t)at;

        if (words[0] == 0x20445352 && words[1] == 0x20525450) /* "RSD PTR " */
            return at;
    }
    return 0;
}

/* What start.S jumps to, and with what. */
const void *load(const struct information *information)
{
    const struct module *modules = (const struct module *)(uintptr_t)information->module_list;
    const uint8_t *kernel = (const uint8_t *)(uintptr_t)modules[0].start;
    uint32_t rsdp = find_rsdp();

    arguments = (struct arguments){
        .kernel = KERNEL_AT,
        .kernel_size = load_kernel(kernel),
        .env = address(environment),
        .rsdp = rsdp,
        .rsdp_size = rsdp != 0 ? 36 : 0,
        .areas = address(areas),
        .areas_size = list_areas(information) * sizeof areas[0],
        .program = modules[1].start,
        .program_size = (modules[1].end - modules[1].start + 4095) & ~UINT32_C(4095),
    };
    make_tables();
    start.entry = ((const struct elf *)kernel)->entry;
    start.arguments = address(&arguments);
    return &start;
}
