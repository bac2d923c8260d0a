/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt map --svg: the tree as a picture. A row is a run of pages; the bars on the left are the tables that hold it, the
 * root first; colours say what may be done there and of which memory type it is.
 */
#include "memory.h"

enum { SVG_ROW = 22, SVG_TOP = 92, SVG_BAR = 26, SVG_LEFT = 20, SVG_ROWS_MOST = 2000, SVG_BARS_MOST = 20000 };

/* A table's bar; rows count from 0. */
struct svg_bar {
    uint64_t table, gpa;
    uint32_t first, last; /* last: one behind */
    uint8_t level;
};

struct svg_state {
    const struct hvpt_text *out;
    const struct memory_space *space;
    uint32_t row;
    bool drawing; /* the second pass: the first only counts rows and gathers bars */
    struct svg_bar bar[SVG_BARS_MOST];
    uint32_t bars;
    uint32_t open[HVPT_MAX_LEVELS]; /* index of the bar + 1; 0: none */
    uint64_t hidden;                /* rows that did not fit */
    uint64_t untouched;
};

static void svg_number(const struct hvpt_text *out, uint64_t value)
{
    hvpt_text_decimal(out, value);
}

/* Attributes x="..." y="..." and so on. */
static void svg_at(const struct hvpt_text *out, const char *name, uint64_t value)
{
    hvpt_text_string(out, " ");
    hvpt_text_string(out, name);
    hvpt_text_string(out, "=\"");
    svg_number(out, value);
    hvpt_text_string(out, "\"");
}

static uint64_t svg_y(uint32_t row)
{
    return SVG_TOP + (uint64_t)row * SVG_ROW;
}

static unsigned svg_text_left(const struct svg_state *state)
{
    return SVG_LEFT + SVG_BAR * (state->space->space.root_level + 1u) + 10;
}

/* Close the bars of this level and below. */
static void svg_close(struct svg_state *state, unsigned level)
{
    unsigned below;

    for (below = 0; below <= level && below < HVPT_MAX_LEVELS; below++) {
        if (state->open[below])
            state->bar[state->open[below] - 1].last = state->row;
        state->open[below] = 0;
    }
}

static void svg_table(void *ctx, uint64_t gpa, uint64_t table, unsigned level)
{
    struct svg_state *state = (struct svg_state *)ctx;
    struct svg_bar *bar;

    if (state->drawing)
        return;
    svg_close(state, level);
    if (state->bars == SVG_BARS_MOST)
        return;
    bar = &state->bar[state->bars++];
    bar->table = table;
    bar->gpa = gpa;
    bar->first = bar->last = state->row;
    bar->level = (uint8_t)level;
    state->open[level] = state->bars;
}

static void svg_leave(void *ctx, unsigned level)
{
    struct svg_state *state = (struct svg_state *)ctx;

    if (!state->drawing)
        svg_close(state, level);
}

/* One more row. false: it is only counted, or there is no room for it. */
static bool svg_row(struct svg_state *state)
{
    if (state->row >= SVG_ROWS_MOST) {
        state->hidden++;
        return false;
    }
    state->row++;
    return state->drawing;
}

static void svg_text(const struct svg_state *state, unsigned x, const char *class_name)
{
    hvpt_text_string(state->out, "<text class=\"");
    hvpt_text_string(state->out, class_name);
    hvpt_text_string(state->out, "\"");
    svg_at(state->out, "x", x);
    svg_at(state->out, "y", svg_y(state->row - 1) + 15);
    hvpt_text_string(state->out, ">");
}

/* A chip: a coloured box with a word. */
static void svg_chip(const struct svg_state *state, unsigned x, unsigned width, const char *class_name,
                     const char *word)
{
    hvpt_text_string(state->out, "<rect class=\"");
    hvpt_text_string(state->out, class_name);
    hvpt_text_string(state->out, "\" rx=\"3\" height=\"16\"");
    svg_at(state->out, "x", x);
    svg_at(state->out, "y", svg_y(state->row - 1) + 3);
    svg_at(state->out, "width", width);
    hvpt_text_string(state->out, "/><text class=\"chip\"");
    svg_at(state->out, "x", x + width / 2);
    svg_at(state->out, "y", svg_y(state->row - 1) + 15);
    hvpt_text_string(state->out, ">");
    hvpt_text_string(state->out, word);
    hvpt_text_string(state->out, "</text>\n");
}

static void svg_range(const struct hvpt_text *out, uint64_t gpa, uint64_t size)
{
    hvpt_text_hex(out, gpa);
    hvpt_text_string(out, " \xe2\x80\x93 ");
    hvpt_text_hex(out, gpa + size - 1);
}

static void svg_run(void *ctx, const struct tree_run *run)
{
    struct svg_state *state = (struct svg_state *)ctx;
    static const char *const types[5] = {
        [HVPT_MEM_WB] = "wb", [HVPT_MEM_WC] = "wc", [HVPT_MEM_WT] = "wt", [HVPT_MEM_WP] = "wp", [HVPT_MEM_UC] = "uc"};
    const unsigned left = svg_text_left(state);
    const uint64_t size = run->count * run->page_size;
    char perm[5];

    if (!svg_row(state))
        return;
    tree_perm(run->perm, perm);
    svg_text(state, left, "mono");
    svg_range(state->out, run->gpa, size);
    hvpt_text_string(state->out, "</text>");
    svg_text(state, left + 290, "mono");
    hvpt_text_string(state->out, "\xe2\x86\x92 ");
    hvpt_text_hex(state->out, run->hpa);
    hvpt_text_string(state->out, "</text>");
    svg_text(state, left + 450, "mono");
    svg_number(state->out, run->count);
    hvpt_text_string(state->out, " \xc3\x97 ");
    tree_size(state->out, run->page_size);
    hvpt_text_string(state->out, "</text>\n");
    svg_chip(state, left + 580, 20, run->perm & HVPT_READ ? "r" : "off", run->perm & HVPT_READ ? "R" : "\xc2\xb7");
    svg_chip(state, left + 602, 20, run->perm & HVPT_WRITE ? "w" : "off", run->perm & HVPT_WRITE ? "W" : "\xc2\xb7");
    svg_chip(state, left + 624, 20, run->perm & (HVPT_EXEC | HVPT_EXEC_USER) ? "x" : "off",
             run->perm & HVPT_EXEC        ? "X"
             : run->perm & HVPT_EXEC_USER ? "U"
                                          : "\xc2\xb7");
    svg_chip(state, left + 652, 30, types[run->memtype], hvpt_memtype_text((enum hvpt_memtype)run->memtype));
    if (run->accessed) {
        svg_text(state, left + 692, "mono");
        svg_number(state->out, run->accessed);
        hvpt_text_string(state->out, " A, ");
        svg_number(state->out, run->dirty);
        hvpt_text_string(state->out, " D</text>\n");
    }
}

static void svg_hole(void *ctx, uint64_t gpa, uint64_t size)
{
    struct svg_state *state = (struct svg_state *)ctx;

    if (!svg_row(state))
        return;
    svg_text(state, svg_text_left(state), "gap");
    svg_range(state->out, gpa, size);
    hvpt_text_string(state->out, "</text>");
    svg_text(state, svg_text_left(state) + 290, "gap");
    hvpt_text_string(state->out, "not mapped</text>\n");
}

static void svg_broken(void *ctx, uint64_t gpa, uint64_t size, unsigned level)
{
    struct svg_state *state = (struct svg_state *)ctx;

    (void)level;
    if (!svg_row(state))
        return;
    svg_text(state, svg_text_left(state), "bad");
    svg_range(state->out, gpa, size);
    hvpt_text_string(state->out, "</text>");
    svg_text(state, svg_text_left(state) + 290, "bad");
    hvpt_text_string(state->out, "broken: hvpt walk gpa=");
    hvpt_text_hex(state->out, gpa);
    hvpt_text_string(state->out, " says why</text>\n");
}

static void svg_bars(const struct svg_state *state)
{
    uint32_t i;

    for (i = 0; i < state->bars; i++) {
        const struct svg_bar *bar = &state->bar[i];
        const unsigned x = SVG_LEFT + SVG_BAR * (state->space->space.root_level - bar->level);
        const uint64_t height = (uint64_t)(bar->last - bar->first) * SVG_ROW;

        if (bar->last <= bar->first)
            continue;
        hvpt_text_string(state->out, "<g><title>table at ");
        hvpt_text_hex(state->out, bar->table);
        hvpt_text_string(state->out, ", level ");
        svg_number(state->out, bar->level);
        hvpt_text_string(state->out, ", from ");
        hvpt_text_hex(state->out, bar->gpa);
        hvpt_text_string(state->out, "</title><rect rx=\"4\" class=\"l");
        svg_number(state->out, bar->level);
        hvpt_text_string(state->out, "\"");
        svg_at(state->out, "x", x);
        svg_at(state->out, "y", svg_y(bar->first) + 1);
        svg_at(state->out, "width", SVG_BAR - 4);
        svg_at(state->out, "height", height - 2);
        hvpt_text_string(state->out, "/>");
        if (height >= 5 * SVG_ROW) { /* room for its address, upwards */
            hvpt_text_string(state->out, "<text class=\"table\" transform=\"translate(");
            svg_number(state->out, x + 15);
            hvpt_text_string(state->out, ",");
            svg_number(state->out, svg_y(bar->last) - 6);
            hvpt_text_string(state->out, ") rotate(-90)\">");
            hvpt_text_hex(state->out, bar->table);
            hvpt_text_string(state->out, "</text>");
        }
        hvpt_text_string(state->out, "</g>\n");
    }
}

static const char svg_style[] =
    "<style>svg{background:#fff;color:#222;font:13px sans-serif}text{fill:currentColor}"
    ".mono{font:12px ui-monospace,monospace}.gap{fill:#888;font:11px ui-monospace,monospace}"
    ".bad{fill:#c00;font:bold 12px ui-monospace,monospace}.chip{fill:#fff;font:bold 10px sans-serif;text-anchor:middle}"
    ".table{fill:#fff;font:10px ui-monospace,monospace}.title{font:bold 16px sans-serif}"
    ".r{fill:#2a7d46}.w{fill:#b8560f}.x{fill:#6a3ea1}.off{fill:#bbb}"
    ".uc{fill:#a11}.wc{fill:#a60}.wt{fill:#078}.wp{fill:#567}.wb{fill:#25a}"
    ".l0{fill:#8ba9d0}.l1{fill:#6c8fc0}.l2{fill:#4f76ae}.l3{fill:#365d99}.l4{fill:#1f467f}"
    "@media(prefers-color-scheme:dark){svg{background:#1b1d20;color:#ddd}.gap{fill:#999}.bad{fill:#f77}.off{fill:#555}}"
    "</style>\n";

enum core_status core_map_svg(const struct core_request *request, const struct memory *memory,
                              const struct hvpt_text *out, struct core_error *error)
{
    static struct memory_request read;
    static struct memory_space space;
    static struct svg_state state;
    struct tree_sink sink = {NULL, svg_table, svg_leave, svg_run, svg_hole, svg_broken};
    struct tree_counts counts;
    unsigned level, width;
    uint64_t height;
    static const char *const formats[4] = {"EPT", "NPT", "stage 2", "G-stage"};

    if (!memory_read_request(request, &read, error) || !memory_open_space(request, &read, memory, &space, error))
        return CORE_NOT_READABLE;
    state.out = out;
    state.space = &space;
    state.row = 0;
    state.bars = 0;
    state.hidden = 0;
    state.drawing = false;
    for (level = 0; level < HVPT_MAX_LEVELS; level++)
        state.open[level] = 0;
    sink.ctx = &state;
    tree_scan(&space, 0, hvpt_audit_space_size(&space.space), &sink, &counts);
    svg_close(&state, HVPT_MAX_LEVELS - 1);

    height = svg_y(state.row) + 50;
    width = svg_text_left(&state) + 860;
    hvpt_text_string(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"");
    svg_at(out, "width", width);
    svg_at(out, "height", height);
    hvpt_text_string(out, " viewBox=\"0 0 ");
    svg_number(out, width);
    hvpt_text_string(out, " ");
    svg_number(out, height);
    hvpt_text_string(out, "\">\n<title>Second-level page tables</title>\n");
    hvpt_text_string(out, svg_style);
    hvpt_text_string(out, "<text class=\"title\" x=\"20\" y=\"28\">");
    hvpt_text_string(out, formats[(unsigned)space.space.kind < 4 ? (unsigned)space.space.kind : 0]);
    hvpt_text_string(out, ", root ");
    hvpt_text_hex(out, hvpt_space_root(&space.space));
    hvpt_text_string(out, "</text>\n<text x=\"20\" y=\"50\">");
    svg_number(out, counts.pages);
    hvpt_text_string(out, counts.pages == 1 ? " page (" : " pages (");
    tree_size(out, counts.bytes);
    hvpt_text_string(out, ") in ");
    svg_number(out, counts.runs);
    hvpt_text_string(out, counts.runs == 1 ? " run and " : " runs and ");
    svg_number(out, counts.tables);
    hvpt_text_string(out, counts.tables == 1 ? " table" : " tables");
    if (counts.broken) {
        hvpt_text_string(out, "; ");
        svg_number(out, counts.broken);
        hvpt_text_string(out, " broken");
    }
    hvpt_text_string(out, "</text>\n<text x=\"20\" y=\"");
    svg_number(out, SVG_TOP - 10);
    hvpt_text_string(out, "\">tables</text>\n<text x=\"");
    svg_number(out, svg_text_left(&state));
    hvpt_text_string(out, "\" y=\"82\">guest-physical</text>\n<text x=\"");
    svg_number(out, svg_text_left(&state) + 290);
    hvpt_text_string(out, "\" y=\"82\">host-physical</text>\n<text x=\"");
    svg_number(out, svg_text_left(&state) + 450);
    hvpt_text_string(out, "\" y=\"82\">pages</text>\n<text x=\"");
    svg_number(out, svg_text_left(&state) + 580);
    hvpt_text_string(out, "\" y=\"82\">rights</text>\n<text x=\"");
    svg_number(out, svg_text_left(&state) + 652);
    hvpt_text_string(out, "\" y=\"82\">type</text>\n");
    svg_bars(&state);
    state.row = 0;
    state.hidden = 0;
    state.drawing = true;
    tree_scan(&space, 0, hvpt_audit_space_size(&space.space), &sink, &counts);
    if (state.hidden || tree_end_text(counts.end)) {
        hvpt_text_string(out, "<text class=\"bad\" x=\"20\" y=\"");
        svg_number(out, svg_y(state.row) + 24);
        hvpt_text_string(out, "\">");
        if (state.hidden) {
            hvpt_text_string(out, "and ");
            svg_number(out, state.hidden);
            hvpt_text_string(out, " more rows. ");
        }
        if (tree_end_text(counts.end))
            hvpt_text_string(out, tree_end_text(counts.end));
        hvpt_text_string(out, "</text>\n");
    }
    hvpt_text_string(out, "</svg>\n");
    return counts.broken || counts.end != TREE_WHOLE ? CORE_BROKEN : CORE_SOUND;
}
