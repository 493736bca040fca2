/*
 * What Linux counts for this thread and this process: faults, switches, time, lockable bytes.
 *
 * RUSAGE_THREAD is the floor under every proof in this library: it counts each completed fault of
 * the thread, also those that populate, mlock and system calls take on its behalf. The limit for
 * locked memory is worked out as the kernel does in mm/mlock.c: CAP_IPC_LOCK in the initial user
 * namespace lifts it, and what is locked already counts against it. See getrusage(2), mlock(2).
 */
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/sanitize.h"

/* From linux/capability.h, which would drag in the rest of the capability interface. */
#define CAPABILITY_IPC_LOCK 14

/* Read right before and after what is counted, where a sanitizer's own memory would be counted too.
 */
ZF_UNINSTRUMENTED void zf_os_counters(struct zf_os_counters *counters)
{
    struct rusage usage = {0};
    int rc = getrusage(RUSAGE_THREAD, &usage);
    ZF_ASSERT(counters != NULL);
    ZF_ASSERT(rc == 0);
    (void)rc;
    counters->faults_minor = (uint64_t)usage.ru_minflt;
    counters->faults_major = (uint64_t)usage.ru_majflt;
    counters->switches_voluntary = (uint64_t)usage.ru_nvcsw;
    counters->switches_involuntary = (uint64_t)usage.ru_nivcsw;
}

uint64_t zf_os_clock_ns(void)
{
    struct timespec now = {0};
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);
    ZF_ASSERT(rc == 0);
    ZF_ASSERT(now.tv_nsec < 1000000000);
    (void)rc;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t zf_os_thread_id(void)
{
    long id = syscall(SYS_gettid);
    ZF_ASSERT(id > 0);
    return (uint32_t)id;
}

/* The number that follows `key` at the start of a line; false when there is no such line. */
static bool status_field(const char *text, const char *key, int base, unsigned long long *value)
{
    size_t key_length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_length) == 0) {
            *value = strtoull(line + key_length, NULL, base);
            return true;
        }
    }
    return false;
}

/* A capability in a user namespace of its own does not count for mlock. The initial namespace maps
 * every number to itself. */
static bool in_initial_user_namespace(void)
{
    char text[256];
    char *rest = text;
    unsigned long inside;
    unsigned long outside;
    unsigned long count;
    if (zf_os_read_file("/proc/self/uid_map", text, sizeof text) <= 0)
        return true;
    inside = strtoul(rest, &rest, 10);
    outside = strtoul(rest, &rest, 10);
    count = strtoul(rest, &rest, 10);
    return inside == 0 && outside == 0 && count == UINT32_MAX;
}

int zf_os_lockable_bytes(size_t *free_bytes)
{
    char text[8192];
    struct rlimit limit;
    unsigned long long capabilities = 0;
    unsigned long long locked_kib = 0;
    size_t locked_bytes;
    ssize_t length;
    ZF_ASSERT(free_bytes != NULL);
    *free_bytes = SIZE_MAX;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return -errno;
    if (limit.rlim_cur == RLIM_INFINITY)
        return 0;
    length = zf_os_read_file("/proc/thread-self/status", text, sizeof text);
    if (length < 0)
        return (int)length;
    status_field(text, "CapEff:", 16, &capabilities);
    if ((capabilities >> CAPABILITY_IPC_LOCK & 1) != 0 && in_initial_user_namespace())
        return 0;
    status_field(text, "VmLck:", 10, &locked_kib);
    locked_bytes = (size_t)locked_kib * 1024;
    *free_bytes = limit.rlim_cur > locked_bytes ? (size_t)limit.rlim_cur - locked_bytes : 0;
    return 0;
}
