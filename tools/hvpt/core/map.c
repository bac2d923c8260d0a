/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt map: a tree printed as tables and runs, as text or JSON; what two trees differ in; and the isolation audit.
 */
#include "memory.h"

#include "json.h"

/* ---- lines ---- */

struct map_state {
    const struct hvpt_text *out;
    struct json json;
    bool as_json;
    const struct memory_space *space;
    struct tree_counts counts;
    uint64_t broken_shown;
    const char *sign; /* of a difference */
    uint64_t differences;
};

static void map_hex(const struct hvpt_text *out, uint64_t value, unsigned digits)
{
    char text[17];
    unsigned i;

    if (digits > 16)
        digits = 16;
    for (i = 0; i < digits; i++)
        text[i] = "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 15];
    out->put(out->ctx, text, digits);
}

static void map_blanks(const struct hvpt_text *out, unsigned count)
{
    while (count--)
        hvpt_text_string(out, " ");
}

static const char *map_table_name(const struct memory_space *space, unsigned level)
{
    static const char *const intel[5] = {"page table", "page directory", "page-directory-pointer table", "PML4 table",
                                         "PML5 table"};
    static const char *const other[5] = {"level 0 table", "level 1 table", "level 2 table", "level 3 table",
                                         "level 4 table"};
    static const char *const arm[5] = {"level 3 table", "level 2 table", "level 1 table", "level 0 table",
                                       "level -1 table"};

    if (level > 4)
        level = 4;
    switch (space->space.kind) {
    case HVPT_KIND_EPT:
    case HVPT_KIND_NPT: return intel[level];
    case HVPT_KIND_S2: return arm[level];
    default: return other[level];
    }
}

static unsigned map_indent(const struct map_state *state, unsigned level)
{
    const unsigned root = state->space->space.root_level;

    return level > root ? 2 : 2 + 2 * (root - level);
}

/* "00000000-001fffff -> 40000000". */
static void map_range(const struct hvpt_text *out, uint64_t gpa, uint64_t size)
{
    map_hex(out, gpa, gpa >> 40 ? 16 : 10);
    hvpt_text_string(out, "-");
    map_hex(out, gpa + size - 1, gpa >> 40 ? 16 : 10);
}

static void map_run_text(const struct hvpt_text *out, const struct tree_run *run)
{
    char perm[5];

    tree_perm(run->perm, perm);
    map_range(out, run->gpa, run->count * run->page_size);
    hvpt_text_string(out, " -> ");
    map_hex(out, run->hpa, run->hpa >> 40 ? 16 : 10);
    hvpt_text_string(out, "  ");
    hvpt_text_decimal(out, run->count);
    hvpt_text_string(out, " x ");
    tree_size(out, run->page_size);
    hvpt_text_string(out, "  ");
    hvpt_text_string(out, perm);
    hvpt_text_string(out, "  ");
    hvpt_text_string(out, hvpt_memtype_text((enum hvpt_memtype)run->memtype));
    if (run->accessed) {
        hvpt_text_string(out, "  ");
        hvpt_text_decimal(out, run->accessed);
        hvpt_text_string(out, " accessed, ");
        hvpt_text_decimal(out, run->dirty);
        hvpt_text_string(out, " dirty");
    }
}

static void map_run_json(struct json *json, const struct tree_run *run)
{
    char perm[5];

    tree_perm(run->perm, perm);
    json_hex(json, "gpa", run->gpa);
    json_hex(json, "hpa", run->hpa);
    json_hex(json, "size", run->count * run->page_size);
    json_hex(json, "page_size", run->page_size);
    json_number(json, "pages", run->count);
    json_number(json, "level", run->level);
    json_string(json, "perm", perm);
    json_string(json, "memtype", hvpt_memtype_text((enum hvpt_memtype)run->memtype));
    json_number(json, "accessed", run->accessed);
    json_number(json, "dirty", run->dirty);
}

/* ---- one tree ---- */

static void map_table(void *ctx, uint64_t gpa, uint64_t table, unsigned level)
{
    struct map_state *state = (struct map_state *)ctx;

    if (state->as_json) {
        json_open(&state->json, NULL, "{");
        json_string(&state->json, "kind", "table");
        json_hex(&state->json, "gpa", gpa);
        json_hex(&state->json, "table", table);
        json_number(&state->json, "level", level);
        json_close(&state->json, "}");
        return;
    }
    map_blanks(state->out, map_indent(state, level));
    hvpt_text_string(state->out, map_table_name(state->space, level));
    hvpt_text_string(state->out, " at ");
    hvpt_text_hex(state->out, table);
    hvpt_text_string(state->out, "\n");
}

static void map_run(void *ctx, const struct tree_run *run)
{
    struct map_state *state = (struct map_state *)ctx;

    if (state->as_json) {
        json_open(&state->json, NULL, "{");
        json_string(&state->json, "kind", "run");
        map_run_json(&state->json, run);
        json_close(&state->json, "}");
        return;
    }
    map_blanks(state->out, map_indent(state, run->level) + 2);
    map_run_text(state->out, run);
    hvpt_text_string(state->out, "\n");
}

/* Which entry, bit and rule: the last line of the explanation. */
static const char *map_why(const struct memory_space *space, uint64_t gpa)
{
    static char words[HVPT_EXPLAIN_SIZE * 2];
    struct hvpt_text_buffer buffer;
    const struct hvpt_text text = hvpt_text_into(&buffer, words, sizeof(words));
    const char *last = words;
    size_t i;

    if (hvpt_space_explain(&space->space, hvpt_make_gpa(gpa), 0, &text) == HVPT_OK)
        return "";
    for (i = 0; words[i]; i++)
        if (words[i] == '\n')
            last = words + i + 1;
    return last;
}

static void map_broken(void *ctx, uint64_t gpa, uint64_t size, unsigned level)
{
    struct map_state *state = (struct map_state *)ctx;
    const char *why = map_why(state->space, gpa);

    state->broken_shown++;
    if (state->as_json) {
        json_open(&state->json, NULL, "{");
        json_string(&state->json, "kind", "broken");
        json_hex(&state->json, "gpa", gpa);
        json_hex(&state->json, "size", size);
        json_number(&state->json, "level", level);
        json_string(&state->json, "why", why);
        json_close(&state->json, "}");
        return;
    }
    map_blanks(state->out, map_indent(state, level) + 2);
    map_range(state->out, gpa, size);
    hvpt_text_string(state->out, "  BROKEN: ");
    hvpt_text_string(state->out, why);
    hvpt_text_string(state->out, "\n");
}

static void map_state_begin(struct map_state *state, const struct hvpt_text *out, bool as_json,
                            const struct memory_space *space)
{
    state->out = out;
    state->json.out = out;
    state->json.comma = false;
    state->as_json = as_json;
    state->space = space;
    state->broken_shown = 0;
    state->sign = "";
    state->differences = 0;
}

enum core_status core_map(const struct core_request *request, const struct memory *memory, const struct hvpt_text *out,
                          struct core_error *error)
{
    static struct memory_request read;
    static struct memory_space space;
    static struct map_state state;
    struct tree_sink sink = {NULL, map_table, NULL, map_run, NULL, map_broken};
    bool broken;

    if (!memory_read_request(request, &read, error) || !memory_open_space(request, &read, memory, &space, error))
        return CORE_NOT_READABLE;
    map_state_begin(&state, out, request->json, &space);
    sink.ctx = &state;
    if (request->json) {
        json_open(&state.json, NULL, "{");
        json_string(&state.json, "kind", "map");
        json_hex(&state.json, "root", hvpt_space_root(&space.space));
        json_open(&state.json, "tree", "[");
    }
    tree_scan(&space, 0, hvpt_audit_space_size(&space.space), &sink, &state.counts);
    broken = state.counts.broken != 0 || state.counts.end != TREE_WHOLE;
    if (request->json) {
        json_close(&state.json, "]");
        json_number(&state.json, "tables", state.counts.tables);
        json_number(&state.json, "pages", state.counts.pages);
        json_hex(&state.json, "bytes", state.counts.bytes);
        json_number(&state.json, "broken_entries", state.counts.broken);
        json_string(&state.json, "end", tree_end_text(state.counts.end));
        json_bool(&state.json, "broken", broken);
        json_close(&state.json, "}");
        hvpt_text_string(out, "\n");
    } else {
        if (tree_end_text(state.counts.end)) {
            hvpt_text_string(out, "  ");
            hvpt_text_string(out, tree_end_text(state.counts.end));
            hvpt_text_string(out, "\n");
        }
        hvpt_text_string(out, "  = ");
        hvpt_text_decimal(out, state.counts.pages);
        hvpt_text_string(out, state.counts.pages == 1 ? " page in " : " pages in ");
        hvpt_text_decimal(out, state.counts.tables);
        hvpt_text_string(out, state.counts.tables == 1 ? " table, " : " tables, ");
        tree_size(out, state.counts.bytes);
        if (state.counts.broken) {
            hvpt_text_string(out, "; ");
            hvpt_text_decimal(out, state.counts.broken);
            hvpt_text_string(out, state.counts.broken == 1 ? " part broken" : " parts broken");
        }
        hvpt_text_string(out, "\n");
    }
    return broken ? CORE_BROKEN : CORE_SOUND;
}

/* ---- what two trees differ in ---- */

/* Which part of the first tree is held against the second: a run, or a hole. */
struct map_diff {
    struct map_state state;
    const struct memory_space *second;
    struct tree_run run; /* count 0: a hole */
    bool end_cut;
    uint64_t tables;
};

static void map_differs(struct map_diff *diff, const char *sign, const struct tree_run *run)
{
    struct map_state *state = &diff->state;

    state->differences++;
    if (state->as_json) {
        json_open(&state->json, NULL, "{");
        json_string(&state->json, "in", sign[0] == '-' ? "first" : "second");
        map_run_json(&state->json, run);
        json_close(&state->json, "}");
        return;
    }
    hvpt_text_string(state->out, sign);
    hvpt_text_string(state->out, " ");
    map_run_text(state->out, run);
    hvpt_text_string(state->out, "\n");
}

/* The part of the first tree's run that lies in [gpa, gpa + size), as pages of its own size where it can be. */
static struct tree_run map_part(const struct tree_run *run, uint64_t gpa, uint64_t size)
{
    struct tree_run part = *run;

    part.gpa = gpa;
    part.hpa = run->hpa + (gpa - run->gpa);
    if (size % part.page_size != 0 || gpa % part.page_size != 0)
        part.page_size = size;
    part.count = size / part.page_size;
    part.accessed = part.dirty = 0;
    return part;
}

/* A run of the second tree, met inside what the first has. Its first page may begin before that. */
static void map_diff_run(void *ctx, const struct tree_run *seen)
{
    struct map_diff *diff = (struct map_diff *)ctx;
    struct tree_run run = *seen;
    uint64_t begin = run.gpa, end = run.gpa + run.count * run.page_size;
    const uint64_t first = diff->run.gpa, past = first + diff->run.count * diff->run.page_size;
    struct tree_run part;

    run.accessed = run.dirty = 0;
    begin = begin < first ? first : begin;
    end = end > past ? past : end;
    if (begin >= end)
        return;
    part = map_part(&run, begin, end - begin);
    if (diff->run.perm == UINT32_MAX) { /* a hole of the first */
        map_differs(diff, "+", &part);
        return;
    }
    {
        const struct tree_run mine = map_part(&diff->run, begin, end - begin);

        if (mine.hpa == part.hpa && mine.perm == part.perm && mine.memtype == part.memtype
            && diff->run.page_size == run.page_size)
            return;
        map_differs(diff, "-", &mine);
        map_differs(diff, "+", &part);
    }
}

static void map_diff_gone(void *ctx, uint64_t gpa, uint64_t size)
{
    struct map_diff *diff = (struct map_diff *)ctx;
    struct tree_run mine;

    if (diff->run.perm == UINT32_MAX)
        return;
    mine = map_part(&diff->run, gpa, size);
    map_differs(diff, "-", &mine);
}

static void map_diff_gone_broken(void *ctx, uint64_t gpa, uint64_t size, unsigned level)
{
    (void)level;
    map_diff_gone(ctx, gpa, size);
}

/* Hold [run.gpa, + size) against the second tree. */
static void map_hold(struct map_diff *diff)
{
    const struct tree_sink sink = {diff, NULL, NULL, map_diff_run, map_diff_gone, map_diff_gone_broken};
    struct tree_counts counts;
    const uint64_t limit = hvpt_audit_space_size(&diff->second->space);
    uint64_t size = diff->run.count * diff->run.page_size;

    if (diff->end_cut)
        return;
    if (diff->run.gpa >= limit) {
        map_diff_gone(diff, diff->run.gpa, size);
        return;
    }
    if (size > limit - diff->run.gpa) {
        map_diff_gone(diff, limit, size - (limit - diff->run.gpa));
        size = limit - diff->run.gpa;
    }
    tree_scan(diff->second, diff->run.gpa, size, &sink, &counts);
    diff->tables += counts.tables;
    diff->end_cut = counts.end != TREE_WHOLE || diff->tables > 64 * (diff->second->memory->frames + 64);
}

static void map_diff_first(void *ctx, const struct tree_run *run)
{
    struct map_diff *diff = (struct map_diff *)ctx;

    diff->run = *run;
    map_hold(diff);
}

static void map_diff_hole(void *ctx, uint64_t gpa, uint64_t size)
{
    struct map_diff *diff = (struct map_diff *)ctx;

    diff->run.gpa = gpa;
    diff->run.hpa = 0;
    diff->run.level = 0;
    diff->run.perm = UINT32_MAX; /* no run has it */
    diff->run.count = 1;
    diff->run.page_size = size;
    map_hold(diff);
}

static void map_diff_broken(void *ctx, uint64_t gpa, uint64_t size, unsigned level)
{
    (void)level;
    map_diff_hole(ctx, gpa, size);
}

/* Read both requests and open both spaces. */
static bool map_open_two(const struct core_request request[2], const struct memory *const memory[2],
                         struct memory_space space[2], struct core_error *error, bool *second_failed)
{
    static struct memory_request read;
    unsigned i;

    for (i = 0; i < 2; i++) {
        *second_failed = i == 1;
        if (!memory_read_request(&request[i], &read, error)
            || !memory_open_space(&request[i], &read, memory[i], &space[i], error))
            return false;
    }
    return true;
}

enum core_status core_map_diff(const struct core_request request[2], const struct memory *const memory[2],
                               const struct hvpt_text *out, struct core_error *error, bool *second_failed)
{
    static struct memory_space space[2];
    static struct map_diff diff;
    struct tree_sink sink = {NULL, NULL, NULL, map_diff_first, map_diff_hole, map_diff_broken};
    struct tree_counts counts;
    uint64_t first_size, second_size;

    if (!map_open_two(request, memory, space, error, second_failed))
        return CORE_NOT_READABLE;
    map_state_begin(&diff.state, out, request[0].json, &space[0]);
    diff.second = &space[1];
    diff.end_cut = false;
    diff.tables = 0;
    sink.ctx = &diff;
    if (request[0].json) {
        json_open(&diff.state.json, NULL, "{");
        json_string(&diff.state.json, "kind", "diff");
        json_open(&diff.state.json, "differences", "[");
    }
    first_size = hvpt_audit_space_size(&space[0].space);
    second_size = hvpt_audit_space_size(&space[1].space);
    tree_scan(&space[0], 0, first_size, &sink, &counts);
    if (second_size > first_size)
        map_diff_hole(&diff, first_size, second_size - first_size);
    if (request[0].json) {
        json_close(&diff.state.json, "]");
        json_bool(&diff.state.json, "complete", counts.end == TREE_WHOLE && !diff.end_cut);
        json_bool(&diff.state.json, "broken", diff.state.differences != 0);
        json_close(&diff.state.json, "}");
        hvpt_text_string(out, "\n");
    } else {
        if (counts.end != TREE_WHOLE || diff.end_cut)
            hvpt_text_string(out, "not the whole: a tree loops, or has more tables than its memory\n");
        if (diff.state.differences == 0)
            hvpt_text_string(out, "no difference\n");
    }
    return diff.state.differences || counts.end != TREE_WHOLE || diff.end_cut ? CORE_BROKEN : CORE_SOUND;
}

/* ---- the audit ---- */

enum { MAP_AUDIT_ROWS = 1 << 16 };

struct map_audit {
    struct map_state state;
    const struct memory *memory;
    uint64_t tables, limit;
    bool cut;
};

static bool map_audit_go_on(void *ctx)
{
    struct map_audit *audit = (struct map_audit *)ctx;

    if (++audit->tables > audit->limit) {
        audit->cut = true;
        return false;
    }
    if (audit->memory->progress && (audit->tables & 0x3ff) == 0
        && !audit->memory->progress(audit->memory->ctx, audit->tables)) {
        audit->cut = true;
        return false;
    }
    return true;
}

static bool map_audit_found(void *ctx, const struct hvpt_audit_finding *finding)
{
    struct map_audit *audit = (struct map_audit *)ctx;
    const struct hvpt_text *out = audit->state.out;
    static const char *const kinds[3] = {"shared", "table", "shared-table"};
    char perm[2][5];

    tree_perm(finding->perm[0], perm[0]);
    tree_perm(finding->perm[1], perm[1]);
    if (audit->state.as_json) {
        struct json *json = &audit->state.json;

        json_open(json, NULL, "{");
        json_string(json, "kind", kinds[finding->kind]);
        json_hex(json, "hpa", finding->hpa.value);
        json_hex(json, "size", finding->size);
        if (finding->kind != HVPT_AUDIT_REACHES_TABLE) {
            json_hex(json, "gpa_first", finding->gpa[0].value);
            json_hex(json, "gpa_second", finding->gpa[1].value);
        }
        if (finding->kind == HVPT_AUDIT_SHARED) {
            json_string(json, "perm_first", perm[0]);
            json_string(json, "perm_second", perm[1]);
        }
        if (finding->kind == HVPT_AUDIT_REACHES_TABLE) {
            json_number(json, "guest", finding->guest + 1);
            json_hex(json, "gpa", finding->gpa[finding->guest].value);
            json_string(json, "perm", perm[finding->guest]);
            json_number(json, "owner", finding->owner + 1);
        }
        if (finding->kind != HVPT_AUDIT_SHARED)
            json_number(json, "level", finding->level);
        json_close(json, "}");
        return true;
    }
    hvpt_text_string(out, "host ");
    map_range(out, finding->hpa.value, finding->size);
    switch (finding->kind) {
    case HVPT_AUDIT_SHARED:
        hvpt_text_string(out, "  both reach it: the first at ");
        hvpt_text_hex(out, finding->gpa[0].value);
        hvpt_text_string(out, " (");
        hvpt_text_string(out, perm[0]);
        hvpt_text_string(out, "), the second at ");
        hvpt_text_hex(out, finding->gpa[1].value);
        hvpt_text_string(out, " (");
        hvpt_text_string(out, perm[1]);
        hvpt_text_string(out, (finding->perm[0] | finding->perm[1]) & HVPT_WRITE ? "), WRITABLE" : ")");
        break;
    case HVPT_AUDIT_REACHES_TABLE:
        hvpt_text_string(out, finding->guest ? "  the second reaches it at " : "  the first reaches it at ");
        hvpt_text_hex(out, finding->gpa[finding->guest].value);
        hvpt_text_string(out, " (");
        hvpt_text_string(out, perm[finding->guest]);
        hvpt_text_string(out, "), and it is a table of ");
        hvpt_text_string(out, finding->owner == finding->guest ? "its own"
                              : finding->owner                 ? "the second"
                                                               : "the first");
        hvpt_text_string(out, finding->perm[finding->guest] & HVPT_WRITE ? ", WRITABLE" : "");
        break;
    case HVPT_AUDIT_SHARED_TABLE: hvpt_text_string(out, "  a table of both"); break;
    }
    hvpt_text_string(out, "\n");
    return true;
}

enum core_status core_map_audit(const struct core_request request[2], const struct memory *const memory[2],
                                const struct hvpt_text *out, struct core_error *error, bool *second_failed)
{
    static struct memory_space space[2];
    static struct map_audit state;
    static struct hvpt_audit_item items[MAP_AUDIT_ROWS];
    struct hvpt_audit audit;
    struct hvpt_audit_report report;
    static const char *const words[3] = {" reached by both", " a table that a guest reaches", " a table of both"};
    bool found = false;
    unsigned kind;

    if (!map_open_two(request, memory, space, error, second_failed))
        return CORE_NOT_READABLE;
    map_state_begin(&state.state, out, request[0].json, &space[0]);
    state.memory = memory[0];
    state.tables = 0;
    state.limit = 64 * (memory[0]->frames + memory[1]->frames + 64);
    state.cut = false;
    audit.first = &space[0].space;
    audit.second = &space[1].space;
    audit.items = items;
    audit.count = MAP_AUDIT_ROWS;
    audit.found = map_audit_found;
    audit.go_on = map_audit_go_on;
    audit.ctx = &state;
    if (request[0].json) {
        json_open(&state.state.json, NULL, "{");
        json_string(&state.state.json, "kind", "audit");
        json_open(&state.state.json, "findings", "[");
    }
    if (hvpt_audit_run(&audit, &report) != HVPT_OK)
        return core_fail(error, 0, 0, "too many pages lie at one host frame");
    for (kind = 0; kind < 3; kind++)
        found = found || report.findings[kind];
    if (request[0].json) {
        struct json *json = &state.state.json;

        json_close(json, "]");
        json_hex(json, "shared_bytes", report.bytes[HVPT_AUDIT_SHARED]);
        json_hex(json, "shared_writable_bytes", report.writable[HVPT_AUDIT_SHARED]);
        json_hex(json, "table_bytes", report.bytes[HVPT_AUDIT_REACHES_TABLE]);
        json_hex(json, "table_writable_bytes", report.writable[HVPT_AUDIT_REACHES_TABLE]);
        json_hex(json, "shared_table_bytes", report.bytes[HVPT_AUDIT_SHARED_TABLE]);
        json_number(json, "broken_entries", report.broken);
        json_bool(json, "complete", report.complete);
        json_bool(json, "broken", found || !report.complete);
        json_close(json, "}");
        hvpt_text_string(out, "\n");
    } else {
        for (kind = 0; kind < 3; kind++) {
            if (!report.findings[kind])
                continue;
            tree_size(out, report.bytes[kind]);
            hvpt_text_string(out, words[kind]);
            if (report.writable[kind]) {
                hvpt_text_string(out, ", of which ");
                tree_size(out, report.writable[kind]);
                hvpt_text_string(out, " can be written");
            }
            hvpt_text_string(out, "\n");
        }
        if (!found)
            hvpt_text_string(out, report.complete ? "isolated: no frame is reached by both, and no table by a guest\n"
                                                  : "nothing found so far\n");
        if (report.broken) {
            hvpt_text_decimal(out, report.broken);
            hvpt_text_string(out, " broken entries: what lies behind them was not looked at\n");
        }
        if (state.cut)
            hvpt_text_string(out, "not the whole: a tree loops, or has more tables than its memory\n");
    }
    return found || !report.complete ? CORE_BROKEN : CORE_SOUND;
}
