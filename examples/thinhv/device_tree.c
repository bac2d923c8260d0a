/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The guest's device tree: see device_tree.h. */
#include "device_tree.h"

#include <stddef.h>

#include "arch.h"
#include "machine.h"
#include "memory.h"

enum { BEGIN_NODE = 1, END_NODE, PROPERTY, NOTHING, END = 9 };

/* The header's words. */
enum {
    MAGIC,
    TOTAL_SIZE,
    STRUCTURE,
    STRINGS,
    RESERVED,
    VERSION,
    COMPATIBLE,
    BOOT_CPU,
    STRINGS_SIZE,
    STRUCTURE_SIZE,
    WORDS
};

static uint32_t get(const void *from)
{
    const uint8_t *bytes = from;

    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void set(void *to, uint32_t value)
{
    uint8_t *bytes = to;

    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

struct writer {
    char *at;
    char *strings, *strings_end; /* the block that follows later: names of properties */
};

static void put(struct writer *w, uint32_t value)
{
    set(w->at, value);
    w->at += 4;
}

static void put_bytes(struct writer *w, const void *bytes, uint32_t length)
{
    memcpy(w->at, bytes, length);
    memset(w->at + length, 0, 3);
    w->at += (length + 3) & ~3u;
}

static uint32_t length_of(const char *text)
{
    uint32_t length = 0;

    while (text[length] != '\0')
        length++;
    return length;
}

static bool begins(const char *text, const char *with)
{
    return memcmp(text, with, length_of(with)) == 0;
}

static void put_property(struct writer *w, const char *name, const void *value, uint32_t length)
{
    put(w, PROPERTY);
    put(w, length);
    put(w, (uint32_t)(w->strings_end - w->strings));
    memcpy(w->strings_end, name, length_of(name) + 1);
    w->strings_end += length_of(name) + 1;
    put_bytes(w, value, length);
}

static void put_address(struct writer *w, const char *name, uint64_t value)
{
    uint8_t cells[8];

    set(cells, (uint32_t)(value >> 32));
    set(cells + 4, (uint32_t)value);
    put_property(w, name, cells, 8);
}

static void put_chosen(struct writer *w, const struct image *image)
{
    uint64_t initrd = IMAGE + image->initrd;

    put_property(w, "bootargs", image->command_line, length_of(image->command_line) + 1);
    put_address(w, "linux,initrd-start", initrd);
    put_address(w, "linux,initrd-end", initrd + image->initrd_size);
}

static void put_memory(struct writer *w, const struct image *image)
{
    const uint64_t ranges[4] = {RAM_START, HYPERVISOR_START - RAM_START, HYPERVISOR_END,
                                RAM_START + image->ram_size - HYPERVISOR_END};
    uint8_t cells[32];

    for (unsigned i = 0; i < 4; i++) {
        set(cells + 8 * i, (uint32_t)(ranges[i] >> 32));
        set(cells + 8 * i + 4, (uint32_t)ranges[i]);
    }
    put_property(w, "reg", cells, sizeof(cells));
}

void device_tree_copy(const void *from, void *to, const struct image *image,
                      uint32_t (*edit)(const char *name, char *value, uint32_t length))
{
    const char *tree = from, *in, *strings, *node = "";
    static char names[16384];
    uint32_t strings_size, depth = 0;
    struct writer w;
    char *header = to, *structure;
    bool mine = false; /* in a node whose properties are put anew */

    if (get(tree) != 0xd00dfeed)
        panic("no device tree");
    strings = tree + get(tree + 4 * STRINGS);
    strings_size = get(tree + 4 * STRINGS_SIZE);
    if (strings_size > sizeof(names) - 256)
        panic("the device tree has too many names");
    memcpy(names, strings, strings_size);
    w.strings = names;
    w.strings_end = names + strings_size;

    /* The memory reservations, which end with an empty one, keep their place before the structure. */
    w.at = header + 4 * WORDS;
    in = tree + get(tree + 4 * RESERVED);
    do {
        memcpy(w.at, in, 16);
        w.at += 16, in += 16;
    } while (get(in - 16) != 0 || get(in - 12) != 0 || get(in - 8) != 0 || get(in - 4) != 0);

    structure = w.at;
    in = tree + get(tree + 4 * STRUCTURE);
    for (uint32_t token = get(in); token != END; token = get(in)) {
        in += 4;
        if (token == BEGIN_NODE) {
            node = in;
            depth++;
            put(&w, token);
            put_bytes(&w, node, length_of(node) + 1);
            in += (length_of(node) + 4) & ~3u;
            mine = false;
            if (depth == 2 && begins(node, "chosen"))
                put_chosen(&w, image), mine = true;
            if (depth == 2 && begins(node, "memory@"))
                put_memory(&w, image), mine = true;
        } else if (token == PROPERTY) {
            uint32_t length = get(in), name_at = get(in + 4);
            const char *name = strings + name_at;
            bool replaced = mine && (begins(name, "bootargs") || begins(name, "linux,initrd") || begins(name, "reg"));

            in += 8;
            if (!replaced) {
                char *value = w.at + 12;

                put(&w, token);
                put(&w, length);
                put(&w, name_at);
                put_bytes(&w, in, length);
                if (edit != NULL) {
                    uint32_t now = edit(name, value, length);

                    set(value - 8, now);
                    w.at = value + ((now + 3) & ~3u);
                }
            }
            in += (length + 3) & ~3u;
        } else if (token == END_NODE) {
            depth--;
            mine = false;
            put(&w, token);
        } else if (token != NOTHING) {
            panic("the device tree is broken");
        }
    }
    put(&w, END);

    memcpy(header, tree, 4 * WORDS);
    set(header + 4 * RESERVED, 4 * WORDS);
    set(header + 4 * STRUCTURE, (uint32_t)(structure - header));
    set(header + 4 * STRUCTURE_SIZE, (uint32_t)(w.at - structure));
    set(header + 4 * STRINGS, (uint32_t)(w.at - header));
    set(header + 4 * STRINGS_SIZE, (uint32_t)(w.strings_end - w.strings));
    memcpy(w.at, names, (size_t)(w.strings_end - w.strings));
    w.at += w.strings_end - w.strings;
    set(header + 4 * TOTAL_SIZE, (uint32_t)(w.at - header));
}
