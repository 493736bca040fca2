/*
 * How an audit is made: facts that are read once, and one function per topic that judges them.
 */
#ifndef ZF_MACHINE_AUDIT_H
#define ZF_MACHINE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zerofault/machine.h>

#include "machine/files.h"
#include "machine/groups.h"
#include "machine/process.h"
#include "machine/store.h"
#include "machine/topology.h"

#define ZF_CHECKS_MAX 96u

/* Topics, as they stand in machine_check.topic. */
#define ZF_TOPIC_PLAN "plan"
#define ZF_TOPIC_SYSTEM "system"
#define ZF_TOPIC_NUMA "numa"
#define ZF_TOPIC_PAGES "pages"
#define ZF_TOPIC_DAEMONS "daemons"
#define ZF_TOPIC_LIMITS "limits"
#define ZF_TOPIC_GUARD "guard"

/* What is handed out. */
struct machine_audit {
    struct zf_store store;        /* holds everything below, and this struct itself does not */
    struct machine_check *checks; /* room for ZF_CHECKS_MAX */
    size_t checks_count;
    struct zf_topology topology;
};

/* What is at hand while an audit is being made. */
struct zf_audit_run {
    struct machine_audit *audit;
    struct machine_audit_options options;
    const char *root; /* "" for this machine */
    char folder[32];  /* of the process: "/proc/self" or "/proc/123" */
    char *meminfo;    /* /proc/meminfo, or NULL */
    char *vmstat;     /* /proc/vmstat, or NULL */
    char *cpuinfo;    /* /proc/cpuinfo, or NULL */
    unsigned kernel;  /* ZF_KERNEL(major, minor), or 0 when not known */
    bool proc_seen;   /* /proc/sys is there: a setting that is not does not exist */
    bool sys_seen;    /* likewise /sys */
    char thp[24];     /* what transparent huge pages are set to; "" when not known */
    struct zf_page_sizes sizes;
    struct zf_process process;
};
#define ZF_KERNEL(major, minor) ((unsigned)(major) << 16 | (unsigned)(minor))

/* Add a finding. Its texts are static or in the store; the fix of what is fine or unknown is
 * dropped. */
void zf_audit_add(struct zf_audit_run *run, const struct machine_check *check);

/* A size for people, "1.5 GiB"; in the store. */
const char *zf_audit_size(struct zf_audit_run *run, size_t bytes);

/* The command that writes a word into a file of /proc or /sys, in the store; NULL for a path that a
 * shell would not take as it is. */
const char *zf_audit_echo(struct zf_audit_run *run, const char *word, const char *path);

/* What stands for the value of what could not be read, from 0 or the error; in the store. */
const char *zf_audit_unread(struct zf_audit_run *run, int error);

/* Can it be told from this error of reading that the kernel lacks a file of /proc/sys or /sys,
 * rather than that nobody shows it here? */
bool zf_audit_absent(const struct zf_audit_run *run, const char *path, int error);

/* As zf_store_text. */
#define zf_audit_text(run, ...) zf_store_text(&(run)->audit->store, __VA_ARGS__)

/* Read what a setting stands at; see zf_text_choice. Returns 0 or the error of reading. */
int zf_audit_word(const struct zf_audit_run *run, const char *path, char *word, size_t word_bytes);

/* Add all settings of a topic that a word alone can judge. */
void zf_audit_settings(struct zf_audit_run *run, const char *topic);

/* The topics. */
void zf_audit_plan(struct zf_audit_run *run);
void zf_audit_system(struct zf_audit_run *run);
void zf_audit_numa(struct zf_audit_run *run);
void zf_audit_pages(struct zf_audit_run *run);
void zf_audit_daemons(struct zf_audit_run *run);
void zf_audit_limits(struct zf_audit_run *run);
void zf_audit_guard(struct zf_audit_run *run);

#endif
