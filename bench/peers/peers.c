/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The peers as contestants: what src/ exports, put into faces, and the frames that it takes from the arena. A job that a
 * crate has no call for is left out.
 */
#include "../arena.h"
#include "../face.h"

/* For src/frames.rs. */
bool bench_peers_frame_get(uint64_t *frame);
void bench_peers_frame_put(uint64_t frame);
char *bench_peers_memory(void);

bool bench_peers_frame_get(uint64_t *frame)
{
    return bench_frame_get(&bench_arena, 0, frame);
}

void bench_peers_frame_put(uint64_t frame)
{
    bench_frame_put(&bench_arena, frame, 0);
}

char *bench_peers_memory(void)
{
    return bench_arena.base;
}

extern void *bench_x86_64_create(uint64_t max_page);
extern void bench_x86_64_destroy(void *peer);
extern bool bench_x86_64_map(void *peer, uint64_t gpa, uint64_t hpa, uint64_t size);
extern bool bench_x86_64_unmap(void *peer, uint64_t gpa, uint64_t size);
extern bool bench_x86_64_unmap_pieces(void *peer, uint64_t gpa, uint64_t size, uint64_t piece);
extern uint64_t bench_x86_64_map_pages(void *peer, const uint64_t *gpa, uint64_t count, uint64_t offset);
extern uint64_t bench_x86_64_unmap_pages(void *peer, const uint64_t *gpa, uint64_t count);
extern uint64_t bench_x86_64_translate(void *peer, const uint64_t *gpa, uint64_t count);
extern uint64_t bench_x86_64_translate_chain(void *peer, const uint64_t *gpa, uint64_t count, uint64_t never);
extern uint64_t bench_x86_64_frames(void *peer);

static uint64_t x86_64_translate_chain(void *peer, const uint64_t *gpa, uint64_t count)
{
    return bench_x86_64_translate_chain(peer, gpa, count, bench_never);
}

extern const struct bench_face bench_x86_64_crate, bench_page_table_multiarch;

const struct bench_face bench_x86_64_crate = {
    .name = "x86_64 crate",
    .create = bench_x86_64_create,
    .destroy = bench_x86_64_destroy,
    .map = bench_x86_64_map,
    .unmap = bench_x86_64_unmap,
    .unmap_pieces = bench_x86_64_unmap_pieces,
    .map_pages = bench_x86_64_map_pages,
    .unmap_pages = bench_x86_64_unmap_pages,
    .translate = bench_x86_64_translate,
    .translate_chain = x86_64_translate_chain,
    .frames = bench_x86_64_frames,
};

extern void *bench_multiarch_create(uint64_t max_page);
extern void bench_multiarch_destroy(void *peer);
extern bool bench_multiarch_map(void *peer, uint64_t gpa, uint64_t hpa, uint64_t size);
extern bool bench_multiarch_unmap(void *peer, uint64_t gpa, uint64_t size);
extern bool bench_multiarch_unmap_pieces(void *peer, uint64_t gpa, uint64_t size, uint64_t piece);
extern uint64_t bench_multiarch_map_pages(void *peer, const uint64_t *gpa, uint64_t count, uint64_t offset);
extern uint64_t bench_multiarch_translate(void *peer, const uint64_t *gpa, uint64_t count);
extern uint64_t bench_multiarch_translate_chain(void *peer, const uint64_t *gpa, uint64_t count, uint64_t never);
extern uint64_t bench_multiarch_frames(void *peer);

static uint64_t multiarch_translate_chain(void *peer, const uint64_t *gpa, uint64_t count)
{
    return bench_multiarch_translate_chain(peer, gpa, count, bench_never);
}

/* No unmap_pages: the job frees tables as they empty, and this crate keeps them until the end. */
const struct bench_face bench_page_table_multiarch = {
    .name = "page_table_multiarch",
    .create = bench_multiarch_create,
    .destroy = bench_multiarch_destroy,
    .map = bench_multiarch_map,
    .unmap = bench_multiarch_unmap,
    .unmap_pieces = bench_multiarch_unmap_pieces,
    .map_pages = bench_multiarch_map_pages,
    .translate = bench_multiarch_translate,
    .translate_chain = multiarch_translate_chain,
    .frames = bench_multiarch_frames,
};
