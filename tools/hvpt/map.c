/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt walk and hvpt map: images, arguments and options. The work is core/walk.c's, core/map.c's and core/svg.c's.
 */
#include "command.h"
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_HELP                                                                                                   \
    "  IMAGE   a raw file (base=ADDRESS of its first byte), QEMU's dump-guest-memory core, a kdump core, /dev/mem\n" \
    "  FORMAT  ept, npt, stage2 or gstage\n"                                                                         \
    "  ROOT    root=EPTP, nCR3, VTTBR_EL2 or hgatp; the root table's address alone means the usual depth\n"          \
    "  also    maxphyaddr=; ept: cap=, mbec, paging_write, verify_guest_paging, spp; npt: levels=, c_bit=, no_nx,\n" \
    "          gmet, sss; stage2: vtcr=, or granule=4|16|64, ipa_bits=, levels=, lpa2, ha, hd; fwb, xnx;\n"          \
    "          gstage: svpbmt, svnapot, svadu\n"

static const char walk_usage[] =
    "usage: hvpt walk [--json] IMAGE FORMAT ROOT gpa=NUMBER|gva=NUMBER [access=rwxu] [NAME=NUMBER...]\n"
    "\n"
    "Explains what a guest-physical address is mapped to, or a guest-virtual one through both stages.\n" WORDS_HELP
    "  access  letters: r read, w write, x execute, u by user mode\n"
    "  gva     wants the guest's registers: cr3= (cr0=, cr4=, efer=, rflags=, pat=); tcr=, ttbr0=, ttbr1= (sctlr=,\n"
    "          mair=, hcr=, spsr=); vsatp= (vsstatus=, sstatus=, henvcfg=)\n"
    "\n"
    "Exit status: 0 the access is allowed, 1 it is not, or a table is broken, 2 not readable.\n";

static const char map_usage[] =
    "usage: hvpt map [--json|--svg] IMAGE FORMAT ROOT [NAME=NUMBER...]\n"
    "       hvpt map --diff|--audit [--json] IMAGE FORMAT ROOT... [-- IMAGE] FORMAT ROOT...\n"
    "\n"
    "Prints the tree of second-level tables: tables, runs of pages, rights, memory types.\n"
    "  --svg    draws it\n"
    "  --diff   prints what two trees differ in: - of the first, + of the second\n"
    "  --audit  prints host frames that both guests reach, and tables that a guest reaches\n"
    "The second tree stands behind \"--\", with its image, or without one if it is in the same.\n" WORDS_HELP "\n"
    "Exit status: 0 sound (no difference, isolated), 1 broken (differences, not isolated), 2 not readable.\n";

/* An image and its words. */
struct map_part {
    const char *name;
    uint64_t base;
    struct command_input words;
    struct core_request request;
    struct image *image;
    struct memory memory;
};

/* Take base=NUMBER out of the words; the rest is the core's. false: a message was printed. */
static bool map_take(struct map_part *part, const char *name, int argc, char **argv, bool json)
{
    char **rest = (char **)calloc((size_t)argc + 1, sizeof(*rest));
    int count = 0, i;

    if (!rest)
        return command_error("no memory"), false;
    part->name = name;
    part->base = 0;
    part->image = NULL;
    for (i = 0; i < argc; i++) {
        char *end;

        if (strncmp(argv[i], "base=", 5) != 0) {
            rest[count++] = argv[i];
            continue;
        }
        part->base = strtoull(argv[i] + 5, &end, 0);
        if (*end || !argv[i][5]) {
            free(rest);
            return command_error("%s: base wants a number", argv[i]), false;
        }
    }
    if (!command_join(count, rest, &part->words)) {
        free(rest);
        return false;
    }
    free(rest);
    part->request.bytes = part->words.bytes;
    part->request.length = part->words.length;
    part->request.json = json;
    return true;
}

static void map_drop(struct map_part *part)
{
    image_close(part->image);
    free(part->words.bytes);
}

static int map_finish(enum core_status status, const struct core_error *error)
{
    if (!command_flush())
        return CORE_NOT_READABLE;
    if (status == CORE_NOT_READABLE) {
        static const struct command_input words = {"arguments", NULL, 0};

        return command_error_at(words.name, error);
    }
    return (int)status;
}

typedef enum core_status (*map_one_fn)(const struct core_request *request, const struct memory *memory,
                                       const struct hvpt_text *out, struct core_error *error);

static int map_one(map_one_fn core, int argc, char **argv, bool json)
{
    static struct map_part part;
    struct core_error error = {0, 0, "not readable"};
    const struct hvpt_text out = command_out();
    int status = CORE_NOT_READABLE;

    if (!map_take(&part, argv[0], argc - 1, argv + 1, json))
        return CORE_NOT_READABLE;
    part.image = image_open(part.name, part.base, &part.memory);
    if (part.image)
        status = map_finish(core(&part.request, &part.memory, &out, &error), &error);
    map_drop(&part);
    return status;
}

typedef enum core_status (*map_two_fn)(const struct core_request request[2], const struct memory *const memory[2],
                                       const struct hvpt_text *out, struct core_error *error, bool *second_failed);

/* Is the word a format? Then no image stands before it. */
static bool map_is_format(const char *word)
{
    static const char *const formats[] = {"ept", "npt", "stage2", "s2", "arm", "gstage", "riscv"};
    size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(word, formats[i]) == 0)
            return true;
    return false;
}

static int map_two(map_two_fn core, int argc, char **argv, bool json)
{
    static struct map_part part[2];
    struct core_request request[2];
    const struct memory *memory[2];
    struct core_error error = {0, 0, "not readable"};
    const struct hvpt_text out = command_out();
    int middle, second, status = CORE_NOT_READABLE;
    bool second_failed = false;

    for (middle = 1; middle < argc && strcmp(argv[middle], "--") != 0; middle++)
        continue;
    if (middle + 1 >= argc)
        return command_error("map: a second tree is wanted, behind --");
    second = middle + 1 + !map_is_format(argv[middle + 1]);
    if (!map_take(&part[0], argv[0], middle - 1, argv + 1, json)
        || !map_take(&part[1], second == middle + 1 ? argv[0] : argv[middle + 1], argc - second, argv + second, json))
        return CORE_NOT_READABLE;
    if (second == middle + 1)
        part[1].base = part[0].base;
    part[0].image = image_open(part[0].name, part[0].base, &part[0].memory);
    if (part[0].image)
        part[1].image = image_open(part[1].name, part[1].base, &part[1].memory);
    if (part[0].image && part[1].image) {
        enum core_status answer;

        request[0] = part[0].request;
        request[1] = part[1].request;
        memory[0] = &part[0].memory;
        memory[1] = &part[1].memory;
        answer = core(request, memory, &out, &error, &second_failed);
        if (answer == CORE_NOT_READABLE && second_failed)
            status = command_error_at("arguments behind --", &error);
        else
            status = map_finish(answer, &error);
    }
    map_drop(&part[0]);
    map_drop(&part[1]);
    return status;
}

/* Options before the image. */
enum { MAP_JSON = 1, MAP_SVG = 2, MAP_DIFF = 4, MAP_AUDIT = 8 };

/* Take the options off. Returns the exit status, or -1 to go on. */
static int map_options(const char *command, const char *usage, unsigned allowed, int *argc, char ***argv,
                       unsigned *options)
{
    static const char *const names[] = {"--json", "--svg", "--diff", "--audit"};
    unsigned i;

    for (*options = 0; *argc > 0 && (*argv)[0][0] == '-' && (*argv)[0][1]; --*argc, ++*argv) {
        if (strcmp((*argv)[0], "--help") == 0 || strcmp((*argv)[0], "-h") == 0) {
            fputs(usage, stdout);
            return command_flush() ? CORE_SOUND : CORE_NOT_READABLE;
        }
        for (i = 0; i < 4 && (strcmp((*argv)[0], names[i]) != 0 || !(allowed >> i & 1)); i++)
            continue;
        if (i == 4)
            return command_error("%s: no option %s; --help lists them", command, (*argv)[0]);
        *options |= 1u << i;
    }
    if (*argc == 0) {
        fputs(usage, stderr);
        return CORE_NOT_READABLE;
    }
    return -1;
}

int command_walk(int argc, char **argv)
{
    unsigned options;
    const int status = map_options("walk", walk_usage, MAP_JSON, &argc, &argv, &options);

    return status >= 0 ? status : map_one(core_walk, argc, argv, (options & MAP_JSON) != 0);
}

int command_map(int argc, char **argv)
{
    unsigned options;
    const int status = map_options("map", map_usage, MAP_JSON | MAP_SVG | MAP_DIFF | MAP_AUDIT, &argc, &argv, &options);
    const bool json = (options & MAP_JSON) != 0;

    if (status >= 0)
        return status;
    switch (options & ~(unsigned)MAP_JSON) {
    case 0: return map_one(core_map, argc, argv, json);
    case MAP_SVG: return json ? command_error("map: --svg or --json") : map_one(core_map_svg, argc, argv, false);
    case MAP_DIFF: return map_two(core_map_diff, argc, argv, json);
    case MAP_AUDIT: return map_two(core_map_audit, argc, argv, json);
    default: return command_error("map: one of --svg, --diff and --audit");
    }
}
