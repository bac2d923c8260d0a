/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Memory images: see image.h. Every number in a file is checked against the file's length before it is used; frames are
 * read into memory of our own, so that a file that changes or shrinks meanwhile cannot hurt.
 */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE   200809L

#include "image.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef HVPT_HAVE_KDUMPFILE
#include <libkdumpfile/kdumpfile.h>
#endif

/* Physical addresses [address, address + size) lie at offset in the file. */
struct image_piece {
    uint64_t address, size, offset;
};

/* Frames that were read: an open hash table by address and size. */
struct image_frame {
    uint64_t address, size;
    void *bytes; /* NULL: an empty slot */
};

struct image {
    const char *name;
    int file;
    struct image_piece *piece;
    size_t pieces;
    struct image_frame *frame;
    size_t frames, slots;
    uint64_t held; /* bytes in frames */
    bool live;     /* frames are asked for by file and answer: see image_ask */
    int answer;
#ifdef HVPT_HAVE_KDUMPFILE
    kdump_ctx_t *kdump;
#endif
};

/* The most that is kept of an image: a tree of 4 GiB of tables is one of 2 TiB in pages of 4 KiB. */
#define IMAGE_MOST (UINT64_C(4) << 30)

#define IMAGE_PIECES_MOST (1u << 20)

/* ---- reading ---- */

static bool image_read_file(const struct image *image, void *bytes, uint64_t size, uint64_t offset)
{
    char *at = (char *)bytes;

    while (size > 0) {
        const ssize_t got = pread(image->file, at, (size_t)size, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return true;
}

/*
 * Ask whoever started this command for a frame: "ADDRESS SIZE\n" in decimal to one descriptor; from the other comes a byte,
 * and if that is not 0 the frame. A debugger's helper reads it in the machine that it debugs.
 */
static bool image_ask(const struct image *image, char *bytes, uint64_t address, uint64_t size)
{
    char line[64];
    const int length =
        snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)address, (unsigned long long)size);
    char status = 0;
    uint64_t have;

    if (write(image->file, line, (size_t)length) != length || read(image->answer, &status, 1) != 1 || !status)
        return false;
    for (have = 0; have < size;) {
        const ssize_t got = read(image->answer, bytes + have, (size_t)(size - have));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (uint64_t)got;
    }
    return true;
}

/* A frame may lie across pieces that follow one another. */
static bool image_read_memory(const struct image *image, char *bytes, uint64_t address, uint64_t size)
{
    size_t i;

#ifdef HVPT_HAVE_KDUMPFILE
    if (image->kdump) {
        size_t length = (size_t)size;

        return kdump_read(image->kdump, KDUMP_MACHPHYSADDR, address, bytes, &length) == KDUMP_OK && length == size;
    }
#endif
    if (image->live)
        return image_ask(image, bytes, address, size);
    while (size > 0) {
        uint64_t part = 0;

        for (i = 0; i < image->pieces && part == 0; i++) {
            const struct image_piece *piece = &image->piece[i];

            if (address < piece->address || address - piece->address >= piece->size)
                continue;
            part = piece->size - (address - piece->address);
            part = part < size ? part : size;
            if (!image_read_file(image, bytes, part, piece->offset + (address - piece->address)))
                return false;
        }
        if (part == 0)
            return false;
        bytes += part;
        address += part;
        size -= part;
    }
    return true;
}

static size_t image_slot(const struct image *image, uint64_t address, uint64_t size)
{
    size_t slot = (size_t)((address >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (image->slots - 1);

    while (image->frame[slot].bytes && (image->frame[slot].address != address || image->frame[slot].size != size))
        slot = (slot + 1) & (image->slots - 1);
    return slot;
}

static bool image_grow(struct image *image)
{
    struct image_frame *old = image->frame;
    const size_t slots = image->slots;
    size_t i;

    image->slots = slots ? slots * 2 : 1024;
    image->frame = (struct image_frame *)calloc(image->slots, sizeof(*image->frame));
    if (!image->frame) {
        image->frame = old;
        image->slots = slots;
        return false;
    }
    for (i = 0; i < slots; i++)
        if (old[i].bytes)
            image->frame[image_slot(image, old[i].address, old[i].size)] = old[i];
    free(old);
    return true;
}

static const void *image_frame(void *ctx, uint64_t address, uint64_t size)
{
    struct image *image = (struct image *)ctx;
    struct image_frame *frame;
    void *bytes;

    if (image->frames * 2 >= image->slots && !image_grow(image))
        return NULL;
    frame = &image->frame[image_slot(image, address, size)];
    if (frame->bytes)
        return frame->bytes;
    if (image->held + size > IMAGE_MOST)
        return NULL;
    bytes = malloc((size_t)size);
    if (!bytes)
        return NULL;
    if (!image_read_memory(image, (char *)bytes, address, size)) {
        free(bytes);
        return NULL;
    }
    frame->address = address;
    frame->size = size;
    frame->bytes = bytes;
    image->frames++;
    image->held += size;
    return bytes;
}

/* ---- ELF ---- */

static uint64_t image_number(const unsigned char *bytes, unsigned size, bool big)
{
    uint64_t value = 0;
    unsigned i;

    for (i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * (big ? size - 1 - i : i);
    return value;
}

/* The PT_LOAD segments. false: a message was printed. */
static bool image_open_elf(struct image *image, const unsigned char *head, uint64_t length)
{
    const bool wide = head[4] == 2, big = head[5] == 2;
    uint64_t table, count, row, i;

    if ((head[4] != 1 && head[4] != 2) || (head[5] != 1 && head[5] != 2))
        return command_error("%s: an ELF file of no known class", image->name), false;
    if (image_number(head + 16, 2, big) != 4)
        return command_error("%s: an ELF file, but no core: dump-guest-memory and kdump write cores", image->name),
               false;
    table = wide ? image_number(head + 32, 8, big) : image_number(head + 28, 4, big);
    row = image_number(head + (wide ? 54 : 42), 2, big);
    count = image_number(head + (wide ? 56 : 44), 2, big);
    if (count == 0xffff) { /* PN_XNUM: the number is in the first section header */
        const uint64_t sections = wide ? image_number(head + 40, 8, big) : image_number(head + 32, 4, big);
        unsigned char section[64];

        if (sections > length || length - sections < (wide ? 64 : 40)
            || !image_read_file(image, section, wide ? 64 : 40, sections))
            return command_error("%s: the section header that counts the segments is missing", image->name), false;
        count = image_number(section + (wide ? 44 : 28), 4, big);
    }
    if (row < (wide ? 56u : 32u) || count == 0 || count > IMAGE_PIECES_MOST || table > length
        || (length - table) / row < count)
        return command_error("%s: the program headers do not fit into the file", image->name), false;
    image->piece = (struct image_piece *)calloc((size_t)count, sizeof(*image->piece));
    if (!image->piece)
        return command_error("%s: no memory", image->name), false;
    for (i = 0; i < count; i++) {
        unsigned char header[56];
        struct image_piece *piece = &image->piece[image->pieces];

        if (!image_read_file(image, header, wide ? 56 : 32, table + i * row))
            return command_error("%s: program header %llu cannot be read", image->name, (unsigned long long)i), false;
        if (image_number(header, 4, big) != 1) /* PT_LOAD */
            continue;
        piece->offset = wide ? image_number(header + 8, 8, big) : image_number(header + 4, 4, big);
        piece->address = wide ? image_number(header + 24, 8, big) : image_number(header + 12, 4, big);
        piece->size = wide ? image_number(header + 32, 8, big) : image_number(header + 16, 4, big);
        if (piece->offset > length)
            continue;
        if (piece->size > length - piece->offset)
            piece->size = length - piece->offset; /* cut off: what is there can be read */
        if (piece->size > UINT64_MAX - piece->address)
            piece->size = UINT64_MAX - piece->address;
        if (piece->size)
            image->pieces++;
    }
    if (!image->pieces)
        return command_error("%s: a core without memory", image->name), false;
    return true;
}

/* ---- opening ---- */

static bool image_is_kdump(const unsigned char *head, size_t length)
{
    return length >= 16 && (memcmp(head, "KDUMP   ", 8) == 0 || memcmp(head, "DISKDUMP", 8) == 0);
}

/*
 * makedumpfile's flattened form, which QEMU writes, too: behind a header of 4 KiB stand pieces of the real file, each after
 * its offset and size as big-endian numbers of 64 bits; an offset of -1 ends them. They are put in order in a temporary file,
 * which then takes the place of the first. false: a message was printed.
 */
static bool image_unflatten(struct image *image, uint64_t *length)
{
    static char buffer[1 << 16];
    FILE *whole = tmpfile();
    uint64_t at = 4096, end = 0;
    bool fine = whole != NULL;

    while (fine) {
        unsigned char head[16];
        uint64_t offset, size;

        fine = image_read_file(image, head, sizeof(head), at);
        offset = fine ? image_number(head, 8, true) : 0;
        size = fine ? image_number(head + 8, 8, true) : 0;
        if (fine && offset == UINT64_MAX)
            break;
        fine = fine && offset < UINT64_C(1) << 45 && size <= *length && at + 16 <= *length - size;
        at += 16;
        while (fine && size > 0) {
            const uint64_t part = size < sizeof(buffer) ? size : sizeof(buffer);

            fine = image_read_file(image, buffer, part, at)
                && pwrite(fileno(whole), buffer, (size_t)part, (off_t)offset) == (ssize_t)part;
            at += part;
            offset += part;
            size -= part;
            end = offset > end ? offset : end;
        }
    }
    if (fine) {
        const int file = dup(fileno(whole));

        fine = file >= 0;
        if (fine) {
            close(image->file);
            image->file = file;
            *length = end;
        }
    }
    if (whole)
        fclose(whole);
    return fine
        || (command_error("%s: a flattened dump that is cut off, or no room for a temporary file", image->name), false);
}

static bool image_open_kdump(struct image *image)
{
#ifdef HVPT_HAVE_KDUMPFILE
    image->kdump = kdump_new();
    if (!image->kdump)
        return command_error("%s: no memory", image->name), false;
    if (kdump_open_fd(image->kdump, image->file) != KDUMP_OK) {
        command_error("%s: %s", image->name, kdump_get_err(image->kdump));
        image->kdump = NULL; /* libkdumpfile 0.5.1 crashes in kdump_free after this; the command ends now anyway */
        return false;
    }
    return true;
#else
    return command_error(
               "%s: a compressed kdump core; this hvpt was built without libkdumpfile. makedumpfile -E makes an "
               "ELF core of it",
               image->name),
           false;
#endif
}

/* "live:3,4": descriptors to ask and to listen at. */
static bool image_open_live(struct image *image, const char *numbers)
{
    char *end;
    const long ask = strtol(numbers, &end, 10);

    if (*end != ',' || ask < 0 || ask > 1 << 20)
        return command_error("live: wants two descriptors, as live:3,4"), false;
    image->answer = (int)strtol(end + 1, &end, 10);
    if (*end || image->answer < 0)
        return command_error("live: wants two descriptors, as live:3,4"), false;
    image->file = (int)ask;
    image->live = true;
    return true;
}

struct image *image_open(const char *name, uint64_t base, struct memory *memory)
{
    struct image *image = (struct image *)calloc(1, sizeof(*image));
    unsigned char head[64];
    struct stat status;
    uint64_t length;
    ssize_t got;
    bool fine = true;
    size_t i;

    if (!image) {
        command_error("no memory");
        return NULL;
    }
    image->name = name;
    image->file = -1;
    memory->ctx = image;
    memory->frame = image_frame;
    memory->progress = image_progress;
    memory->frames = 0;
    if (strncmp(name, "live:", 5) == 0) {
        memory->frames = UINT64_C(1) << 24; /* nobody knows */
        if (image_open_live(image, name + 5))
            return image;
        image_close(image);
        return NULL;
    }
    image->file = open(name, O_RDONLY | O_CLOEXEC);
    if (image->file < 0 || fstat(image->file, &status) != 0) {
        command_error("%s: %s", name, strerror(errno));
        image_close(image);
        return NULL;
    }
    length = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : UINT64_C(1) << 52; /* a device: what it gives */
    got = pread(image->file, head, sizeof(head), 0);
    if (got < 0 && S_ISREG(status.st_mode)) {
        command_error("%s: %s", name, strerror(errno));
        image_close(image);
        return NULL;
    }
    if (S_ISREG(status.st_mode) && got >= 16 && memcmp(head, "makedumpfile\0\0\0", 16) == 0) {
        if (!image_unflatten(image, &length)) {
            image_close(image);
            return NULL;
        }
        got = pread(image->file, head, sizeof(head), 0);
    }
    if (S_ISREG(status.st_mode) && got == (ssize_t)sizeof(head) && memcmp(head, "\177ELF", 4) == 0) {
        fine = image_open_elf(image, head, length);
    } else if (S_ISREG(status.st_mode) && got > 0 && image_is_kdump(head, (size_t)got)) {
        fine = image_open_kdump(image);
        memory->frames = length >> 10; /* compressed */
    } else if (length == 0) {
        command_error("%s: empty", name);
        fine = false;
    } else {
        image->piece = (struct image_piece *)calloc(1, sizeof(*image->piece));
        if (image->piece) {
            image->piece[0].address = base;
            image->piece[0].size = length < UINT64_MAX - base ? length : UINT64_MAX - base;
            image->pieces = 1;
        }
        fine = image->piece != NULL;
        if (!fine)
            command_error("no memory");
    }
    if (!fine) {
        image_close(image);
        return NULL;
    }
    for (i = 0; i < image->pieces; i++)
        memory->frames += image->piece[i].size >> 12;
    if (memory->frames > UINT64_C(1) << 24) /* a device, or more than 64 GiB: tables are a small part of it */
        memory->frames = UINT64_C(1) << 24;
    return image;
}

void image_close(struct image *image)
{
    size_t i;

    if (!image)
        return;
    for (i = 0; i < image->slots; i++)
        free(image->frame[i].bytes);
    free(image->frame);
    free(image->piece);
    /* kdump_free of libkdumpfile 0.5.1 uses memory that it has freed, so its context lives as long as the process. */
    if (image->file >= 0)
        close(image->file);
    free(image);
}

bool image_progress(void *ctx, uint64_t tables)
{
    static time_t last;
    const time_t now = time(NULL);

    (void)ctx;
    if (!last)
        last = now;
    if (now != last && isatty(2)) {
        fprintf(stderr, "\rhvpt: %llu tables read", (unsigned long long)tables);
        fflush(stderr);
        last = now;
    }
    return true;
}
