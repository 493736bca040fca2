/*
 * What a violation touched, who did it and why it faulted, in one struct; see hot_report.h. The
 * guard of the calling thread pauses meanwhile, so that a section which is still open around does
 * not see the work.
 */
#include "hot/describe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

static_assert(HOT_NAME_MAX == ZF_OS_NAME_MAX, "the system's names fit");

static void name(struct zf_os_symbols *symbols, uintptr_t address, bool is_return,
                 struct hot_symbol *out)
{
    struct zf_os_symbol found;
    out->address = address;
    if (symbols == NULL || address == 0)
        return;
    zf_os_symbols_find(symbols, address, is_return, &found);
    memcpy(out->function, found.function, sizeof out->function);
    memcpy(out->file, found.file, sizeof out->file);
    memcpy(out->object, found.object, sizeof out->object);
    out->line = found.line;
    out->object_offset = found.object_offset;
}

/* The system follows frame pointers, and where code has none, it follows whatever that register
 * holds. What is no code has not called anything; an object tells, or the mapping. */
static bool is_code(const struct hot_symbol *frame)
{
    struct zf_os_where where;
    int rc;
    if (frame->function[0] != '\0')
        return true;
    rc = zf_os_where(frame->address, &where);
    return rc == -EOPNOTSUPP || (rc == 0 && where.executable);
}

static void name_callers(struct zf_os_symbols *symbols, const struct hot_violation *violation,
                         struct hot_description *description)
{
    ZF_ASSERT(violation->frame_count <= HOT_FRAMES_MAX);
    for (size_t i = 0; i < violation->frame_count; ++i) {
        name(symbols, violation->frames[i], true, &description->frames[i]);
        if (!is_code(&description->frames[i])) {
            memset(&description->frames[i], 0, sizeof description->frames[i]);
            description->chain_broken = true;
            return;
        }
        description->frame_count = i + 1;
    }
}

static void name_all(struct zf_os_symbols *symbols, const struct hot_violation *violation,
                     struct hot_description *description)
{
    name(symbols, violation->instruction, false, &description->instruction);
    if (description->place == HOT_PLACE_DATA || description->place == HOT_PLACE_CONSTANTS ||
        description->place == HOT_PLACE_LINKAGE)
        name(symbols, violation->address, false, &description->data);
    name_callers(symbols, violation, description);
}

static void copy_mapping(const struct zf_hot_evidence *evidence,
                         struct hot_description *description)
{
    const struct zf_os_where *where = &evidence->where;
    if (evidence->where_error != 0)
        return;
    description->mapping_begin = where->begin;
    description->mapping_end = where->end;
    description->file_offset = where->file_offset;
    memcpy(description->mapping, where->name, sizeof description->mapping);
}

void zf_hot_explain(struct zf_os_symbols *symbols, const struct hot_violation *violation,
                    struct zf_hot_evidence *evidence, struct hot_description *description)
{
    memset(description, 0, sizeof *description);
    zf_hot_evidence_complete(violation, evidence);
    description->struct_size = sizeof *description;
    description->access = evidence->access;
    description->place = zf_hot_place(violation, evidence);
    description->cause = zf_hot_cause(violation, description->place, evidence);
    description->cause_sentence = zf_hot_cause_sentence(violation, description->cause);
    description->remedy = zf_hot_cause_remedy(violation, description->cause);
    if (description->place == HOT_PLACE_THREAD_LOCAL)
        description->owner_thread_id = evidence->locals_of;
    if (description->place == HOT_PLACE_STACK || description->place == HOT_PLACE_OTHER_STACK)
        description->owner_thread_id = evidence->stack_of;
    copy_mapping(evidence, description);
    name_all(symbols, violation, description);
    zf_hot_evidence_tell(violation, evidence, description);
    ZF_ASSERT(description->cause_sentence != NULL);
}

int hot_violation_describe(const struct hot_violation *violation,
                           struct hot_description *description)
{
    struct hot_description *known;
    struct zf_hot_evidence evidence;
    struct zf_os_symbols *symbols;
    int rc = -ENOMEM;
    if (violation == NULL || violation->section == NULL || zf_result_check(description) != 0)
        return -EINVAL;
    if (violation->trapped)
        return -EBUSY;
    hot_pause_begin();
    zf_hot_evidence_take(violation, &evidence);
    known = malloc(sizeof *known);
    if (known != NULL) {
        symbols = zf_os_symbols_open();
        zf_hot_explain(symbols, violation, &evidence, known);
        zf_os_symbols_close(symbols);
        zf_result_give(description, known, sizeof *known);
        free(known);
        rc = 0;
    }
    hot_pause_end();
    return rc;
}
