/*
 * Evidence in words: a line for each thing that was found, the nearest to the fault first. What is
 * not known is left out, never told as zero.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "hot/evidence.h"

__attribute__((format(printf, 2, 3))) static void say(struct hot_description *description,
                                                      const char *format, ...)
{
    va_list arguments;
    if (description->evidence_count == HOT_EVIDENCE_MAX)
        return;
    va_start(arguments, format);
    (void)vsnprintf(description->evidence[description->evidence_count], HOT_EVIDENCE_BYTES, format,
                    arguments);
    va_end(arguments);
    ++description->evidence_count;
}

static void tell_arena(const struct zf_registry_facts *arena, struct hot_description *description)
{
    size_t size_bytes = arena->end - arena->begin;
    if (arena->warmups == 0)
        say(description, "the arena of %zu bytes was never warmed", size_bytes);
    else if (arena->warm_error != 0)
        say(description, "the arena's last warmup, number %u, failed: %s", arena->warmups,
            strerror(-arena->warm_error));
    else
        say(description, "%zu of the arena's %zu bytes were proven warm", arena->warm_bytes,
            size_bytes);
    if (arena->used_known)
        say(description, "%zu of its bytes were handed out when the fault was told",
            arena->used_bytes);
}

static void tell_residency(const struct zf_hot_evidence *evidence,
                           struct hot_description *description)
{
    const struct zf_os_residency *now = &evidence->residency;
    const struct zf_registry_facts *arena = &evidence->arena;
    if (!evidence->arena_known)
        return;
    if (now->present_bytes < arena->warm_bytes)
        say(description, "%zu bytes of them are not resident now",
            arena->warm_bytes - now->present_bytes);
    if (now->huge_known && now->huge_bytes < arena->huge_bytes)
        say(description, "%zu bytes are in huge pages now, %zu were after the warmup",
            now->huge_bytes, arena->huge_bytes);
}

static void tell_page(const struct zf_hot_evidence *evidence, struct hot_description *description)
{
    if (evidence->page_known && evidence->page.is_zero)
        say(description, "it is the shared page of zeros now: the first write will fault again");
    else if (evidence->page_known && !evidence->page.present)
        say(description, "the page is not resident now");
    if (evidence->where_error == 0 && evidence->where.kind == ZF_OS_WHERE_FILE &&
        evidence->where.shared)
        say(description, "the mapping is shared: its pages are write-protected by each writeback");
}

static void tell_earlier(const struct hot_violation *violation,
                         const struct zf_hot_evidence *evidence,
                         struct hot_description *description)
{
    const char *how = evidence->earlier.access == HOT_ACCESS_READ    ? "read from"
                      : evidence->earlier.access == HOT_ACCESS_WRITE ? "written to"
                                                                     : "touched";
    if (evidence->earlier.time_ns != 0)
        say(description,
            "the thread had faulted in this page before: it was %s %" PRIu64 " us earlier", how,
            (violation->time_ns - evidence->earlier.time_ns) / 1000);
}

static void tell_forks(const struct zf_hot_evidence *evidence, struct hot_description *description)
{
    const char *since = evidence->in_arena ? "the arena was warmed" : "the thread attached";
    if (zf_hot_evidence_is_child(evidence))
        say(description, "this process is a child of fork, made since %s", since);
    else if (zf_hot_evidence_forked(evidence))
        say(description, "the process has forked since %s", since);
}

static void tell_changes(const struct zf_hot_evidence *evidence,
                         struct hot_description *description)
{
    const struct zf_machine_vmstat *changed = &evidence->vmstat_change;
    const struct {
        uint64_t count;
        const char *what;
    } counters[] = {
        {changed->numa_hint_faults, "NUMA hint faults"},
        {changed->pages_migrated, "pages migrated"},
        {changed->huge_splits, "huge pages or mappings of them split"},
        {changed->swapped_in, "pages swapped in"},
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; ++i)
        if (counters[i].count != 0)
            say(description, "on the whole machine since then: %" PRIu64 " %s", counters[i].count,
                counters[i].what);
    if (changed->numa_hint_faults != 0 && evidence->policy_known)
        say(description, "the memory has %s policy of its own", evidence->has_policy ? "a" : "no");
}

static void tell_unknown(const struct hot_violation *violation,
                         const struct zf_hot_evidence *evidence,
                         struct hot_description *description)
{
    if (violation->address == 0 && violation->kind == HOT_KERNEL_FAULT)
        say(description, "the address is not known: a count of faults has none");
    else if (violation->address == 0)
        say(description, "neither address nor instruction is known: %s counts only",
            hot_source_name(violation->source));
    else if (evidence->where_error == -ENODATA)
        say(description, "nothing is mapped at the address any more");
    if (violation->asynchronous)
        say(description, "the trap came late: the instruction is not the one that faulted");
}

void zf_hot_evidence_tell(const struct hot_violation *violation,
                          const struct zf_hot_evidence *evidence,
                          struct hot_description *description)
{
    ZF_ASSERT(evidence->is_complete);
    ZF_ASSERT(description->evidence_count == 0);
    if (!zf_hot_is_fault(violation->kind))
        return;
    tell_unknown(violation, evidence, description);
    if (evidence->in_arena)
        tell_arena(&evidence->arena, description);
    tell_residency(evidence, description);
    tell_page(evidence, description);
    tell_earlier(violation, evidence, description);
    tell_forks(evidence, description);
    tell_changes(evidence, description);
}
