/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * An answer of a few named values with words: the same calls print it as text or as JSON. Order: report_begin, values,
 * notes, report_end.
 */
#ifndef HVPT_TOOLS_REPORT_H
#define HVPT_TOOLS_REPORT_H

#include "core.h"
#include "json.h"

/* Room for the words of one value. */
#define REPORT_WORDS 2048

struct report {
    const struct hvpt_text *out;
    struct json json;
    bool as_json;
    bool in_values, in_notes;
    char words[REPORT_WORDS];
    struct hvpt_text_buffer buffer;
};

/* Where the words of the next value or the summary go. */
static inline struct hvpt_text report_words(struct report *report)
{
    return hvpt_text_into(&report->buffer, report->words, sizeof(report->words));
}

/* kind: "vmx-exit" and the like, for programs. */
static inline void report_begin(struct report *report, const struct hvpt_text *out, bool as_json, const char *kind)
{
    report->out = out;
    report->json.out = out;
    report->json.comma = false;
    report->as_json = as_json;
    report->in_values = report->in_notes = false;
    report->words[0] = 0;
    if (!as_json)
        return;
    json_open(&report->json, NULL, "{");
    json_string(&report->json, "kind", kind);
}

/* The first line, from report_words. */
static inline void report_summary(struct report *report)
{
    if (report->as_json) {
        json_string(&report->json, "summary", report->words);
        return;
    }
    hvpt_text_string(report->out, report->words);
    hvpt_text_string(report->out, "\n");
}

/* One value with the words of report_words, which may be empty. */
static inline void report_value(struct report *report, const char *name, uint64_t value)
{
    if (report->as_json) {
        if (!report->in_values)
            json_open(&report->json, "values", "[");
        report->in_values = true;
        json_open(&report->json, NULL, "{");
        json_string(&report->json, "name", name);
        json_hex(&report->json, "value", value);
        json_string(&report->json, "text", report->words);
        json_close(&report->json, "}");
    } else {
        hvpt_text_string(report->out, "  ");
        hvpt_text_string(report->out, name);
        hvpt_text_string(report->out, " ");
        hvpt_text_hex(report->out, value);
        hvpt_text_string_if(report->out, report->words[0] != 0, ": ");
        hvpt_text_string(report->out, report->words);
        hvpt_text_string(report->out, "\n");
    }
    report->words[0] = 0;
}

/* A remark that is no value: what cannot be known, where the manual says so. */
static inline void report_note(struct report *report, const char *note)
{
    if (report->as_json) {
        if (report->in_values)
            json_close(&report->json, "]");
        report->in_values = false;
        if (!report->in_notes)
            json_open(&report->json, "notes", "[");
        report->in_notes = true;
        json_string(&report->json, NULL, note);
        return;
    }
    hvpt_text_string(report->out, "  ");
    hvpt_text_string(report->out, note);
    hvpt_text_string(report->out, "\n");
}

static inline enum core_status report_end(struct report *report, bool broken)
{
    if (report->as_json) {
        if (report->in_values || report->in_notes)
            json_close(&report->json, "]");
        json_bool(&report->json, "broken", broken);
        json_close(&report->json, "}");
        hvpt_text_string(report->out, "\n");
    }
    return broken ? CORE_BROKEN : CORE_SOUND;
}

#endif
