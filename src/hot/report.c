/*
 * Reports: violations gathered by site. Adding takes no lock, so that it may run in any number of
 * threads and in signal handlers: a site is found by a 64-bit key in an open table of counts, and
 * who finds its place free claims it by writing the key, adds like everybody else, and then writes
 * the site's body, which nobody reads before it is ready. Nothing is ever taken out. Two sites with
 * one key would be counted as one; with thousands of sites the odds are one in 10^12.
 */
#include "hot/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/options.h"
#include "hot/describe.h"

#define SITES_DEFAULT 128
#define SITES_MAX 65536

static_assert(sizeof(((struct hot_site *)0)->arena) == ARENA_NAME_MAX, "arena names fit a site");

/* ------------------------------------------------------------------------------ create, destroy */

/* Counts first, then sites, both aligned as the range is. */
static int lay_out(struct hot_report *report)
{
    size_t counts_bytes;
    size_t sites_bytes = report->sites_max * sizeof *report->sites;
    bool fits;
    int error;
    report->places = 4;
    while (report->places < 2 * report->sites_max)
        report->places *= 2;
    counts_bytes = report->places * sizeof *report->counts;
    fits = zf_align_up(counts_bytes, 64, &counts_bytes) &&
           zf_align_up(counts_bytes + sites_bytes, zf_os_page_bytes(), &report->range_bytes);
    ZF_ASSERT(fits);
    (void)fits;
    error = zf_os_reserve(report->range_bytes, zf_os_page_bytes(), &report->range);
    if (error == 0) {
        error = zf_os_commit(report->range, report->range_bytes);
        if (error != 0)
            (void)zf_os_release(report->range, report->range_bytes);
    }
    if (error != 0)
        return error;
    /* Adding must not fault in a section that is still open around. */
    memset(report->range, 0, report->range_bytes);
    (void)zf_os_lock(report->range, report->range_bytes);
    report->counts = report->range;
    report->sites = (void *)((unsigned char *)report->range + counts_bytes);
    return 0;
}

int hot_report_create(struct hot_report **out, const struct hot_report_options *options)
{
    struct hot_report_options known;
    struct hot_report *report;
    int error;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    error = zf_options_take(&known, sizeof known, options);
    if (error == 0 && known.sites_max > SITES_MAX)
        error = -EINVAL;
    if (error != 0)
        return error;
    report = calloc(1, sizeof *report);
    if (report == NULL)
        return -ENOMEM;
    zf_suppress_init(&report->rules);
    report->sites_max = known.sites_max == 0 ? SITES_DEFAULT : (uint32_t)known.sites_max;
    error = lay_out(report);
    if (error != 0) {
        free(report);
        return error;
    }
    *out = report;
    return 0;
}

void hot_report_destroy(struct hot_report *report)
{
    if (report == NULL)
        return;
    zf_suppress_free(&report->rules);
    (void)zf_os_release(report->range, report->range_bytes);
    free(report);
}

/* ------------------------------------------------------------------------------------------ add */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* What makes violations one site. */
static uint64_t key_of(const struct hot_violation *violation)
{
    uint64_t hash = mix(1, (uint64_t)violation->kind);
    hash = mix(hash, (uintptr_t)violation->section);
    hash = mix(hash, violation->instruction);
    hash = mix(hash, (uint64_t)violation->system_call);
    for (size_t i = 0; i < violation->frame_count; ++i)
        hash = mix(hash, violation->frames[i]);
    for (const char *c = violation->arena; c != NULL && *c != '\0'; ++c)
        hash = mix(hash, (unsigned char)*c);
    return hash == 0 ? 1 : hash;
}

static void raise_to(_Atomic uint64_t *most, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(most, memory_order_relaxed);
    while (seen < value && !atomic_compare_exchange_weak_explicit(
                               most, &seen, value, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static uint64_t time_of(const struct hot_violation *violation)
{
    return violation->time_ns != 0 ? violation->time_ns : zf_os_clock_ns();
}

static void count(struct zf_report_counts *counts, const struct hot_violation *violation)
{
    (void)atomic_fetch_add_explicit(&counts->count, violation->count, memory_order_relaxed);
    raise_to(&counts->last_ns, time_of(violation));
    if (violation->address == 0)
        return;
    raise_to(&counts->address_max, violation->address);
    raise_to(&counts->address_min_inverse, ~(uint64_t)violation->address);
}

static void copy_text(char *out, size_t size_bytes, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    if (length >= size_bytes) {
        text += length - (size_bytes - 1); /* the end of a path tells more */
        length = size_bytes - 1;
    }
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

static void write_site(struct zf_report_site *site, uint32_t place,
                       const struct hot_violation *violation)
{
    ZF_ASSERT(violation->frame_count <= HOT_FRAMES_MAX);
    site->place = place;
    site->first = *violation;
    site->first.time_ns = time_of(violation);
    site->first.frames = site->frames;
    for (size_t i = 0; i < violation->frame_count; ++i)
        site->frames[i] = violation->frames[i];
    copy_text(site->section, sizeof site->section, violation->section->name);
    copy_text(site->section_file, sizeof site->section_file, violation->section->file);
    site->section_line = violation->section->line;
    copy_text(site->arena, sizeof site->arena, violation->arena);
    site->first.arena = site->arena[0] == '\0' ? NULL : site->arena;
    zf_hot_evidence_take(violation, &site->evidence);
    atomic_store_explicit(&site->ready, true, memory_order_release);
}

/* Who claimed a place gives it a site, if there is one left. */
static void give_site(struct hot_report *report, uint32_t place,
                      const struct hot_violation *violation)
{
    uint32_t number = atomic_fetch_add_explicit(&report->sites_used, 1, memory_order_relaxed);
    if (number >= report->sites_max) {
        atomic_store_explicit(&report->counts[place].site, ZF_REPORT_NO_SITE, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&report->counts[place].site, number + 1, memory_order_relaxed);
    write_site(&report->sites[number], place, violation);
}

/* Find the place of a key, or claim one. Returns false when no new site may be begun. */
static bool find_place(struct hot_report *report, uint64_t key, uint32_t *place, bool *is_new)
{
    *is_new = false;
    for (uint32_t step = 0; step < report->places; ++step) {
        struct zf_report_counts *counts;
        uint64_t found;
        *place = (uint32_t)(key + step) & (report->places - 1);
        counts = &report->counts[*place];
        found = atomic_load_explicit(&counts->key, memory_order_relaxed);
        if (found == 0) {
            if (atomic_load_explicit(&report->sites_used, memory_order_relaxed) >=
                report->sites_max)
                return false;
            *is_new = atomic_compare_exchange_strong_explicit(
                &counts->key, &found, key, memory_order_relaxed, memory_order_relaxed);
            if (*is_new)
                return true;
        }
        if (found == key)
            return true;
    }
    return false;
}

void hot_report_add(const struct hot_violation *violation, void *context)
{
    struct hot_report *report = context;
    uint32_t place;
    bool is_new;
    if (!find_place(report, key_of(violation), &place, &is_new)) {
        (void)atomic_fetch_add_explicit(&report->unsorted, violation->count, memory_order_relaxed);
        return;
    }
    count(&report->counts[place], violation);
    if (is_new)
        give_site(report, place, violation);
}

/* ---------------------------------------------------------------------------------------- sites */

uint32_t zf_report_sites(const struct hot_report *report)
{
    uint32_t used = atomic_load_explicit(&report->sites_used, memory_order_relaxed);
    return used < report->sites_max ? used : report->sites_max;
}

/* Several threads may have begun a site at once when only one was left. */
uint64_t zf_report_unsorted(const struct hot_report *report)
{
    uint64_t sum = atomic_load_explicit(&report->unsorted, memory_order_relaxed);
    for (uint32_t place = 0; place < report->places; ++place)
        if (atomic_load_explicit(&report->counts[place].site, memory_order_relaxed) ==
            ZF_REPORT_NO_SITE)
            sum += atomic_load_explicit(&report->counts[place].count, memory_order_relaxed);
    return sum;
}

struct zf_report_site *zf_report_site(const struct hot_report *report, size_t number)
{
    struct zf_report_site *site = &report->sites[number];
    ZF_ASSERT(number < report->sites_max);
    return atomic_load_explicit(&site->ready, memory_order_acquire) ? site : NULL;
}

void zf_report_copy(const struct hot_report *report, const struct zf_report_site *site,
                    struct hot_site *copy)
{
    struct zf_report_counts *counts = &report->counts[site->place];
    uint64_t inverse = atomic_load_explicit(&counts->address_min_inverse, memory_order_relaxed);
    *copy = (struct hot_site){
        .struct_size = sizeof *copy,
        .kind = site->first.kind,
        .source = site->first.source,
        .section_line = site->section_line,
        .count = atomic_load_explicit(&counts->count, memory_order_relaxed),
        .first_ns = site->first.time_ns,
        .last_ns = atomic_load_explicit(&counts->last_ns, memory_order_relaxed),
        .address = site->first.address,
        .address_min = inverse == 0 ? 0 : (uintptr_t)~inverse,
        .address_max = (uintptr_t)atomic_load_explicit(&counts->address_max, memory_order_relaxed),
        .instruction = site->first.instruction,
        .arena_offset_bytes = site->first.arena_offset_bytes,
        .thread_id = site->first.thread_id,
        .request_bytes = site->first.request_bytes,
        .system_call = site->first.system_call,
        .duration_ns = site->first.duration_ns,
        .cpu_before = site->first.cpu_before,
        .cpu_after = site->first.cpu_after,
        .frame_count = site->first.frame_count,
    };
    memcpy(copy->section, site->section, sizeof copy->section);
    memcpy(copy->section_file, site->section_file, sizeof copy->section_file);
    memcpy(copy->arena, site->arena, sizeof copy->arena);
    memcpy(copy->frames, site->frames, sizeof copy->frames);
}

void zf_report_explain(struct zf_report_site *site, struct zf_os_symbols *symbols,
                       struct hot_description *description)
{
    struct zf_hot_evidence evidence = site->evidence;
    zf_hot_explain(symbols, &site->first, &evidence, description);
}

const struct zf_suppress_rule *zf_report_rule(const struct hot_report *report,
                                              const struct zf_report_site *site,
                                              const struct hot_description *description)
{
    struct zf_suppress_subject subject = {site->section, site->arena, description};
    return zf_suppress_find(&report->rules, &subject);
}
