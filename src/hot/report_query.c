/*
 * Questions to a report: sums, single sites, rules. Whether a rule about functions or objects fits
 * is not known before the names are; they are looked up anew for each question, and only when there
 * is such a rule. The guard of the calling thread pauses meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/options.h"
#include "hot/report.h"

/* What is needed to tell whether rules fit. */
struct judge {
    struct zf_os_symbols *symbols;
    struct hot_description *description; /* NULL when no rule needs names */
};

static int judge_open(struct judge *judge, const struct hot_report *report)
{
    judge->symbols = NULL;
    judge->description = NULL;
    hot_pause_begin();
    if (!zf_suppress_needs_names(&report->rules))
        return 0;
    judge->description = malloc(sizeof *judge->description);
    if (judge->description == NULL) {
        hot_pause_end();
        return -ENOMEM;
    }
    judge->symbols = zf_os_symbols_open();
    return 0;
}

static void judge_close(struct judge *judge)
{
    zf_os_symbols_close(judge->symbols);
    free(judge->description);
    hot_pause_end();
}

static bool is_suppressed(struct judge *judge, const struct hot_report *report,
                          struct zf_report_site *site)
{
    if (judge->description != NULL)
        zf_report_explain(site, judge->symbols, judge->description);
    return zf_report_rule(report, site, judge->description) != NULL;
}

int hot_report_sum(struct hot_report *report, struct hot_report_totals *totals)
{
    struct hot_report_totals known = HOT_REPORT_TOTALS_INIT;
    struct judge judge;
    int error;
    if (report == NULL || zf_result_check(totals) != 0)
        return -EINVAL;
    error = judge_open(&judge, report);
    if (error != 0)
        return error;
    known.sites = zf_report_sites(report);
    known.unsorted_violations = zf_report_unsorted(report);
    for (size_t number = 0; number < known.sites; ++number) {
        struct zf_report_site *site = zf_report_site(report, number);
        uint64_t count;
        if (site == NULL)
            continue;
        count = atomic_load_explicit(&report->counts[site->place].count, memory_order_relaxed);
        known.violations += count;
        if (is_suppressed(&judge, report, site)) {
            ++known.suppressed_sites;
            known.suppressed_violations += count;
        }
    }
    judge_close(&judge);
    zf_result_give(totals, &known, sizeof known);
    return 0;
}

static int find_site(const struct hot_report *report, size_t number, struct zf_report_site **site)
{
    if (number >= zf_report_sites(report))
        return -ENOENT;
    *site = zf_report_site(report, number);
    return *site == NULL ? -EAGAIN : 0;
}

int hot_report_site(struct hot_report *report, size_t number, struct hot_site *out)
{
    struct hot_site known;
    struct zf_report_site *site;
    struct judge judge;
    int error;
    if (report == NULL || zf_result_check(out) != 0)
        return -EINVAL;
    error = find_site(report, number, &site);
    if (error == 0)
        error = judge_open(&judge, report);
    if (error != 0)
        return error;
    zf_report_copy(report, site, &known);
    known.suppressed = is_suppressed(&judge, report, site);
    judge_close(&judge);
    zf_result_give(out, &known, sizeof known);
    return 0;
}

int hot_report_describe(struct hot_report *report, size_t number,
                        struct hot_description *description)
{
    struct hot_description *known;
    struct zf_os_symbols *symbols;
    struct zf_report_site *site;
    int error;
    if (report == NULL || zf_result_check(description) != 0)
        return -EINVAL;
    error = find_site(report, number, &site);
    if (error != 0)
        return error;
    hot_pause_begin();
    known = malloc(sizeof *known);
    if (known != NULL) {
        symbols = zf_os_symbols_open();
        zf_report_explain(site, symbols, known);
        zf_os_symbols_close(symbols);
        zf_result_give(description, known, sizeof *known);
    }
    error = known == NULL ? -ENOMEM : 0;
    free(known);
    hot_pause_end();
    return error;
}

/* ---------------------------------------------------------------------------------------- rules */

int hot_report_suppress(struct hot_report *report, const char *rule)
{
    if (report == NULL || rule == NULL)
        return -EINVAL;
    return zf_suppress_add(&report->rules, rule);
}

int hot_report_suppress_file(struct hot_report *report, const char *path, size_t *line)
{
    size_t refused = 0;
    int rc;
    if (report == NULL || path == NULL)
        return -EINVAL;
    rc = zf_suppress_add_file(&report->rules, path, &refused);
    if (line != NULL)
        *line = refused;
    return rc;
}
