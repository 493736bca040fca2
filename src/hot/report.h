/*
 * The inside of a report, for those who print it.
 */
#ifndef ZF_HOT_REPORT_H
#define ZF_HOT_REPORT_H

#include <stdatomic.h>

#include "hot/evidence.h"
#include "hot/suppress.h"

/* What is known of a site's first violation; written once, by who found the site. */
struct zf_report_site {
    atomic_bool ready;          /* the rest may be read */
    uint32_t place;             /* of its counts */
    struct hot_violation first; /* its section may be gone by now */
    uintptr_t frames[HOT_FRAMES_MAX];
    char section[48];
    char section_file[HOT_NAME_MAX];
    uint32_t section_line;
    char arena[ARENA_NAME_MAX];
    struct zf_hot_evidence evidence;
};

/* What is counted at a site, by any number of threads at once. */
struct zf_report_counts {
    _Atomic uint64_t key;  /* of the site; 0 while free */
    _Atomic uint32_t site; /* its number plus 1; 0 not known yet, ZF_REPORT_NO_SITE none */
    _Atomic uint64_t count;
    _Atomic uint64_t last_ns;
    _Atomic uint64_t address_max;
    _Atomic uint64_t address_min_inverse; /* so that 0 is "none yet" here too */
};
#define ZF_REPORT_NO_SITE UINT32_MAX

struct hot_report {
    struct zf_suppress_rules rules;
    void *range; /* of memory for the rest */
    size_t range_bytes;
    uint32_t sites_max;
    uint32_t places;             /* of counts; a power of two, at least twice sites_max */
    _Atomic uint32_t sites_used; /* may run past sites_max */
    _Atomic uint64_t unsorted;
    struct zf_report_counts *counts;
    struct zf_report_site *sites;
};

/* Sites that have been begun. */
uint32_t zf_report_sites(const struct hot_report *report);

/* The site of a number, or NULL while it is being written. */
struct zf_report_site *zf_report_site(const struct hot_report *report, size_t number);

/* Violations whose site found no room. */
uint64_t zf_report_unsorted(const struct hot_report *report);

/* Copy what is known and counted of a site, all but whether it is suppressed. */
void zf_report_copy(const struct hot_report *report, const struct zf_report_site *site,
                    struct hot_site *copy);

/* Describe a site's first violation; `symbols` may be NULL. The guard is paused. */
void zf_report_explain(struct zf_report_site *site, struct zf_os_symbols *symbols,
                       struct hot_description *description);

/* The rule that leaves a site out; NULL for none. `description` may be NULL. */
const struct zf_suppress_rule *zf_report_rule(const struct hot_report *report,
                                              const struct zf_report_site *site,
                                              const struct hot_description *description);

#endif
