/*
 * What one process may do and has done: limits, capabilities, accounting, cpuset.
 */
#ifndef ZF_MACHINE_PROCESS_H
#define ZF_MACHINE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/store.h"

/* Capabilities that matter here, by their bits in CapEff; see capabilities(7). */
enum zf_capability {
    ZF_CAP_IPC_LOCK = 14,
    ZF_CAP_SYS_ADMIN = 21,
    ZF_CAP_SYS_NICE = 23,
    ZF_CAP_SYS_RESOURCE = 24,
    ZF_CAP_PERFMON = 38
};

/* A resource limit; SIZE_MAX stands for unlimited. */
struct zf_limit {
    bool known;
    size_t soft;
    size_t hard;
};

struct zf_process {
    bool status_known;         /* the fields up to the next line mean something */
    uint64_t capabilities;     /* effective, in the process's own user namespace */
    unsigned tracer;           /* process that traces this one; 0 none */
    unsigned filter;           /* seccomp mode: 0 none, 2 filter */
    size_t locked_bytes;       /* VmLck */
    size_t address_bytes;      /* VmSize */
    size_t data_bytes;         /* VmData */
    bool huge_pages_off;       /* THP_enabled: 0; transparent ones, by prctl */
    const char *nodes_allowed; /* cpuset, as a list; NULL when not known */
    const char *cpus_allowed;  /* likewise */

    bool first_user_namespace; /* capabilities count against the whole system */
    struct zf_limit locked;    /* RLIMIT_MEMLOCK */
    struct zf_limit address;   /* RLIMIT_AS */
    struct zf_limit data;      /* RLIMIT_DATA */
    struct zf_limit stack;     /* RLIMIT_STACK */
    bool mappings_known;
    size_t mappings_count; /* lines of its maps */
};

/* Read the process whose folder of /proc below `root` is `folder`; texts go to `store`. Returns
 * 0; -ENOMEM; or the error of reading its status, with the rest still filled in. */
int zf_process_read(const char *root, const char *folder, struct zf_store *store,
                    struct zf_process *process);

/* Tell whether the process holds a capability that counts against the whole system. */
bool zf_process_can(const struct zf_process *process, enum zf_capability capability);

/* What the process may still lock; SIZE_MAX when there is no limit, or none is known. */
size_t zf_process_lockable_bytes(const struct zf_process *process);

#endif
