/*
 * A report for people. Each site is told as far as it is known: what, in which section, what was
 * touched, by whom, why, and what helps; lines about what is not known are left out. The gravest
 * kind comes first, and within a kind what happened first. Then comes who guards,
 * and what that cannot see. The last line is for machines: it always begins with SUMMARY and has
 * all the sums.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hot/report.h"
#include "hot/table.h"

#define SECOND_NS UINT64_C(1000000000)

/* What one printing knows. */
struct printing {
    struct hot_report *report;
    FILE *stream;
    struct zf_os_symbols *symbols;
    struct hot_description *description; /* of the site under way */
    struct hot_site site;
    size_t sites; /* printed */
    uint64_t violations;
    size_t suppressed_sites;
    uint64_t suppressed_violations;
};

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_what(const struct printing *printing)
{
    const struct hot_site *site = &printing->site;
    fprintf(printing->stream, "zerofault: %s in hot section \"%s\"", hot_kind_name(site->kind),
            site->section);
    if (site->count > 1)
        fprintf(printing->stream, ", %" PRIu64 " times", site->count);
    fprintf(printing->stream, "\n    section at %s:%" PRIu32 ", thread %" PRIu32 ", seen by %s\n",
            site->section_file, site->section_line, site->thread_id, hot_source_name(site->source));
    fprintf(printing->stream, "    at %" PRIu64 ".%09" PRIu64, site->first_ns / SECOND_NS,
            site->first_ns % SECOND_NS);
    if (site->count > 1)
        fprintf(printing->stream, " to %" PRIu64 ".%09" PRIu64, site->last_ns / SECOND_NS,
                site->last_ns % SECOND_NS);
    fprintf(printing->stream, " s of the monotonic clock\n");
}

/* What is no page fault has a number to tell. */
static void print_number(const struct printing *printing)
{
    const struct hot_site *site = &printing->site;
    FILE *stream = printing->stream;
    if (site->kind == HOT_SYSTEM_CALL)
        fprintf(stream, "    first: %s (number %ld)\n", hot_system_call_name(site->system_call),
                site->system_call);
    if (site->kind == HOT_REFUSED)
        fprintf(stream, "    request: %zu bytes\n", site->request_bytes);
    if (site->kind == HOT_OVER_BUDGET)
        fprintf(stream, "    took: %" PRIu64 " ns\n", site->duration_ns);
    if (site->kind == HOT_MIGRATION)
        fprintf(stream, "    from CPU %" PRIu32 " to CPU %" PRIu32 "\n", site->cpu_before,
                site->cpu_after);
}

static void print_place(const struct printing *printing)
{
    const struct hot_description *description = printing->description;
    const struct hot_site *site = &printing->site;
    FILE *stream = printing->stream;
    fprintf(stream, "    which is ");
    if (site->arena[0] != '\0')
        fprintf(stream, "arena \"%s\" + %zu bytes (%s)", site->arena, site->arena_offset_bytes,
                hot_place_name(description->place));
    else
        fprintf(stream, "%s", hot_place_name(description->place));
    if (description->data.function[0] != '\0')
        fprintf(stream, ", variable %s", description->data.function);
    if (description->owner_thread_id != 0)
        fprintf(stream, ", of thread %" PRIu32, description->owner_thread_id);
    if (site->arena[0] == '\0' && description->mapping[0] != '\0')
        fprintf(stream, ", in %s", description->mapping);
    if (description->file_offset != 0)
        fprintf(stream, " at offset 0x%" PRIx64, description->file_offset);
    fprintf(stream, "\n");
}

static void print_where(const struct printing *printing)
{
    const struct hot_site *site = &printing->site;
    enum hot_access access = printing->description->access;
    FILE *stream = printing->stream;
    if (site->address == 0)
        return;
    if (access == HOT_ACCESS_UNKNOWN)
        fprintf(stream, "    touched");
    else
        fprintf(stream, "    %s of", hot_access_name(access));
    fprintf(stream, " 0x%" PRIxPTR, site->address);
    if (site->address_min != site->address_max)
        fprintf(stream, ", and of others from 0x%" PRIxPTR " to 0x%" PRIxPTR, site->address_min,
                site->address_max);
    fprintf(stream, "\n");
    if (printing->description->place != HOT_PLACE_UNKNOWN)
        print_place(printing);
}

/* The upper half of all addresses. */
static bool is_of_kernel(uintptr_t address)
{
    return address > UINTPTR_MAX / 2;
}

static void print_frame(FILE *stream, size_t number, const struct hot_symbol *symbol)
{
    fprintf(stream, "        #%zu 0x%" PRIxPTR, number, symbol->address);
    if (is_of_kernel(symbol->address))
        fprintf(stream, " [kernel]");
    if (symbol->function[0] != '\0')
        fprintf(stream, " in %s", symbol->function);
    if (symbol->file[0] != '\0')
        fprintf(stream, " %s:%" PRIu32, symbol->file, symbol->line);
    else if (symbol->object[0] != '\0')
        fprintf(stream, " (%s+0x%" PRIxPTR ")", symbol->object, symbol->object_offset);
    fprintf(stream, "\n");
}

static void print_stack(const struct printing *printing)
{
    const struct hot_description *description = printing->description;
    if (description->instruction.address != 0)
        print_frame(printing->stream, 0, &description->instruction);
    for (size_t i = 0; i < description->frame_count; ++i)
        print_frame(printing->stream, i + 1, &description->frames[i]);
    if (description->chain_broken && description->frame_count == 0)
        fprintf(printing->stream, "        its callers are unknown: code without frame pointers "
                                  "(-fno-omit-frame-pointer)\n");
}

static void print_why(const struct printing *printing)
{
    const struct hot_description *description = printing->description;
    FILE *stream = printing->stream;
    if (description->cause == HOT_CAUSE_NONE)
        fprintf(stream, "    %s\n", description->cause_sentence);
    else
        fprintf(stream, "    likely cause: %s. %s\n", hot_cause_name(description->cause),
                description->cause_sentence);
    for (size_t i = 0; i < description->evidence_count; ++i)
        fprintf(stream, "        - %s\n", description->evidence[i]);
    if (description->remedy != NULL)
        fprintf(stream, "    remedy: %s\n", description->remedy);
}

static void print_site(struct printing *printing, struct zf_report_site *site)
{
    zf_report_copy(printing->report, site, &printing->site);
    zf_report_explain(site, printing->symbols, printing->description);
    if (zf_report_rule(printing->report, site, printing->description) != NULL) {
        ++printing->suppressed_sites;
        printing->suppressed_violations += printing->site.count;
        return;
    }
    ++printing->sites;
    printing->violations += printing->site.count;
    print_what(printing);
    print_number(printing);
    print_where(printing);
    print_stack(printing);
    print_why(printing);
    fprintf(printing->stream, "\n");
}

static void print_sites(struct printing *printing, enum hot_kind kind)
{
    for (size_t number = 0; number < zf_report_sites(printing->report); ++number) {
        struct zf_report_site *site = zf_report_site(printing->report, number);
        if (site != NULL && site->first.kind == kind)
            print_site(printing, site);
    }
}

/* A clean report is worth what its guards see. */
static void print_guards(FILE *stream)
{
    struct zf_hot_guards guards;
    if (!zf_hot_table_is_on()) {
        fprintf(stream, "zerofault: the guards are switched off.\n");
        return;
    }
    zf_hot_table_guards(&guards);
    if (guards.count == 0)
        fprintf(stream, "zerofault: no thread is guarded now.\n");
    for (size_t i = 0; i < guards.count; ++i) {
        const struct zf_hot_guard *guard = &guards.kinds[i];
        fprintf(stream, "zerofault: %zu thread%s guarded now by %s. %s\n", guard->threads,
                plural(guard->threads), hot_source_name(guard->source),
                guard->blind_to == NULL ? "" : guard->blind_to);
    }
}

static void print_summary(const struct printing *printing)
{
    uint64_t unsorted = zf_report_unsorted(printing->report);
    FILE *stream = printing->stream;
    fprintf(stream, "SUMMARY: zerofault: %" PRIu64 " violation%s at %zu site%s",
            printing->violations, plural(printing->violations), printing->sites,
            plural(printing->sites));
    if (printing->suppressed_sites != 0)
        fprintf(stream, ", %" PRIu64 " suppressed at %zu", printing->suppressed_violations,
                printing->suppressed_sites);
    if (unsorted != 0)
        fprintf(stream, ", %" PRIu64 " without room for their site", unsorted);
    fprintf(stream, "\n");
}

static void print_all(struct printing *printing)
{
    printing->symbols = zf_os_symbols_open();
    for (int kind = 0; kind < HOT_KIND_COUNT; ++kind)
        print_sites(printing, (enum hot_kind)kind);
    print_guards(printing->stream);
    print_summary(printing);
    (void)fflush(printing->stream); /* a failure stays in the stream, where ferror finds it */
    zf_os_symbols_close(printing->symbols);
}

int hot_report_print(struct hot_report *report, FILE *stream)
{
    struct printing printing = {.report = report, .stream = stream};
    bool has_memory;
    if (report == NULL || stream == NULL)
        return -EINVAL;
    hot_pause_begin();
    printing.description = malloc(sizeof *printing.description);
    has_memory = printing.description != NULL;
    if (has_memory)
        print_all(&printing);
    free(printing.description);
    hot_pause_end();
    if (!has_memory)
        return -ENOMEM;
    return ferror(stream) ? -EIO : 0;
}
