/*
 * The audit of a machine; see zerofault/machine.h.
 *
 * Facts that several checks need are read once into a run; then each topic adds its findings. A
 * check that cannot be read is a finding too, so the list is always complete, and a machine that
 * shows nothing is not taken for a machine without faults. All that is handed out lives in one
 * store, freed at once.
 */
#include "machine/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/options.h"
#include "os/os.h"

#define HUGE_FOLDER "/sys/kernel/mm/transparent_hugepage"

/* ------------------------------------------------------------------------------------- findings */

void zf_audit_add(struct zf_audit_run *run, const struct machine_check *check)
{
    struct machine_audit *audit = run->audit;
    ZF_ASSERT(audit->checks_count < ZF_CHECKS_MAX);
    ZF_ASSERT(check->name != NULL && check->topic != NULL && check->why != NULL);
    ZF_ASSERT(check->value != NULL);
    if (audit->checks == NULL || audit->checks_count >= ZF_CHECKS_MAX)
        return;
    audit->checks[audit->checks_count] = *check;
    if (check->severity == MACHINE_OK || check->severity == MACHINE_UNKNOWN)
        audit->checks[audit->checks_count].fix = NULL;
    ++audit->checks_count;
}

const char *zf_audit_size(struct zf_audit_run *run, size_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    size_t divisor = 1;
    while (unit < 6 && bytes / divisor >= 1024) {
        divisor *= 1024;
        ++unit;
    }
    ZF_ASSERT(unit < sizeof units / sizeof units[0]);
    if (bytes % divisor == 0)
        return zf_audit_text(run, "%zu %s", bytes / divisor, units[unit]);
    return zf_audit_text(run, "%.1f %s", (double)bytes / (double)divisor, units[unit]);
}

int zf_audit_word(const struct zf_audit_run *run, const char *path, char *word, size_t word_bytes)
{
    char *text;
    int rc = zf_file_read(run->root, path, &text);
    word[0] = '\0';
    if (rc == 0)
        zf_text_choice(text, word, word_bytes);
    free(text);
    return rc;
}

const char *zf_audit_echo(struct zf_audit_run *run, const char *word, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-";
    if (path[strspn(path, plain)] == '\0')
        return zf_audit_text(run, "echo %s > %s", word, path);
    for (const char *byte = path; *byte != '\0'; ++byte)
        if (*byte < ' ' || *byte > '~' || *byte == '\'')
            return NULL;
    return zf_audit_text(run, "echo %s > '%s'", word, path);
}

const char *zf_audit_unread(struct zf_audit_run *run, int error)
{
    ZF_ASSERT(error <= 0);
    if (error == 0 || error == -EINVAL)
        return "not understood";
    return zf_audit_text(run, "cannot be read: %s", strerror(-error));
}

bool zf_audit_absent(const struct zf_audit_run *run, const char *path, int error)
{
    ZF_ASSERT(path[0] == '/');
    if (error != -ENOENT)
        return false;
    return strncmp(path, "/sys/", 5) == 0 ? run->sys_seen : run->proc_seen;
}

/* ---------------------------------------------------------------------------------------- facts */

/* The kernel's version, 0 when its release is not of the form major.minor. */
static unsigned read_kernel(const struct zf_audit_run *run)
{
    char release[64];
    char *end;
    unsigned long major, minor;
    if (zf_audit_word(run, "/proc/sys/kernel/osrelease", release, sizeof release) != 0)
        return 0;
    major = strtoul(release, &end, 10);
    if (end == release || *end != '.' || end[1] < '0' || end[1] > '9')
        return 0;
    minor = strtoul(end + 1, NULL, 10);
    return major < 1000 && minor < 1000 ? ZF_KERNEL(major, minor) : 0;
}

static void read_sizes(struct zf_audit_run *run)
{
    uint64_t huge_bytes = 0;
    run->sizes.page_bytes = zf_os_page_bytes();
    if (zf_file_number(run->root, HUGE_FOLDER "/hpage_pmd_size", &huge_bytes) == 0 &&
        huge_bytes > run->sizes.page_bytes && huge_bytes <= (size_t)1 << 40 &&
        zf_is_power_of_two((size_t)huge_bytes))
        run->sizes.huge_bytes = (size_t)huge_bytes;
}

/* -ENOENT when there is nothing to audit, -ESRCH when there is no such process. */
static int read_facts(struct zf_audit_run *run)
{
    char word[32];
    int rc;
    run->kernel = read_kernel(run);
    run->proc_seen = zf_audit_word(run, "/proc/sys/kernel/osrelease", word, sizeof word) == 0;
    run->sys_seen = zf_audit_word(run, "/sys/devices/system/cpu/online", word, sizeof word) == 0;
    (void)zf_file_read(run->root, "/proc/meminfo", &run->meminfo);
    (void)zf_file_read(run->root, "/proc/vmstat", &run->vmstat);
    (void)zf_file_read(run->root, "/proc/cpuinfo", &run->cpuinfo);
    (void)zf_audit_word(run, HUGE_FOLDER "/enabled", run->thp, sizeof run->thp);
    rc = zf_process_read(run->root, run->folder, &run->audit->store, &run->process);
    if (rc == -ENOENT && run->options.process != 0 && (run->proc_seen || run->meminfo != NULL))
        return -ESRCH;
    if (!run->proc_seen && !run->sys_seen && run->meminfo == NULL && rc != 0)
        return -ENOENT;
    read_sizes(run);
    zf_topology_read(run->root, run->process.nodes_allowed, &run->sizes, &run->audit->store,
                     &run->audit->topology);
    return 0;
}

static int make_findings(struct zf_audit_run *run)
{
    int rc;
    run->audit->checks =
        zf_store_take(&run->audit->store, ZF_CHECKS_MAX * sizeof *run->audit->checks);
    rc = read_facts(run);
    if (rc == 0) {
        zf_audit_plan(run);
        zf_audit_system(run);
        zf_audit_numa(run);
        zf_audit_pages(run);
        zf_audit_daemons(run);
        zf_audit_limits(run);
        zf_audit_guard(run);
    }
    free(run->cpuinfo);
    free(run->vmstat);
    free(run->meminfo);
    return run->audit->store.exhausted ? -ENOMEM : rc;
}

/* ------------------------------------------------------------------------------------ lifecycle */

static int check_options(struct machine_audit_options *options)
{
    bool planned = options->plan_bytes != 0;
    if (options->plan_node < MACHINE_NODE_ANY)
        return -EINVAL;
    if (!planned && (options->plan_node != MACHINE_NODE_ANY || options->plan_huge_bytes != 0 ||
                     options->plan_lock))
        return -EINVAL;
    if (options->plan_reserved && options->plan_huge_bytes == 0)
        return -EINVAL;
    if (options->plan_huge_bytes != 0 && !zf_is_power_of_two(options->plan_huge_bytes))
        return -EINVAL;
    if (options->root == NULL || strcmp(options->root, "/") == 0)
        options->root = "";
    return strlen(options->root) > ZF_PATH_BYTES / 2 ? -ENAMETOOLONG : 0;
}

int machine_audit_create(struct machine_audit **out, const struct machine_audit_options *options)
{
    struct zf_audit_run run = {.audit = NULL};
    int rc;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    rc = zf_options_take(&run.options, sizeof run.options, options);
    if (rc == 0)
        rc = check_options(&run.options);
    if (rc != 0)
        return rc;
    run.root = run.options.root;
    if (run.options.process == 0)
        (void)snprintf(run.folder, sizeof run.folder, "/proc/self");
    else
        (void)snprintf(run.folder, sizeof run.folder, "/proc/%lu",
                       (unsigned long)run.options.process);
    run.audit = calloc(1, sizeof *run.audit);
    if (run.audit == NULL)
        return -ENOMEM;
    rc = make_findings(&run);
    if (rc != 0) {
        machine_audit_destroy(run.audit);
        return rc;
    }
    *out = run.audit;
    return 0;
}

void machine_audit_destroy(struct machine_audit *audit)
{
    if (audit == NULL)
        return;
    zf_store_release(&audit->store);
    free(audit);
}

/* -------------------------------------------------------------------------------------- queries */

const struct machine_check *machine_audit_check(const struct machine_audit *audit, size_t index)
{
    return audit != NULL && index < audit->checks_count ? &audit->checks[index] : NULL;
}

const struct machine_node *machine_audit_node(const struct machine_audit *audit, size_t index)
{
    return audit != NULL && index < audit->topology.nodes_count ? &audit->topology.nodes[index]
                                                                : NULL;
}

enum machine_severity machine_audit_worst(const struct machine_audit *audit)
{
    enum machine_severity worst = MACHINE_OK;
    const struct machine_check *check;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        if (check->severity > worst)
            worst = check->severity;
    return worst;
}

bool machine_audit_plan_works(const struct machine_audit *audit)
{
    const struct machine_check *check;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        if (check->severity == MACHINE_CRITICAL && strcmp(check->topic, ZF_TOPIC_PLAN) == 0)
            return false;
    return true;
}

const char *machine_severity_name(enum machine_severity severity)
{
    static const char *const names[] = {"ok", "info", "unknown", "warning", "critical"};
    return (size_t)severity < sizeof names / sizeof names[0] ? names[severity] : "unknown";
}
