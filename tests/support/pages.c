/* Questions about pages to the kernel; see pages.h. */
#include "support/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "base/sanitize.h"

#define PAGE ((size_t)4096)

ZF_UNINSTRUMENTED static uint64_t faults_so_far(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

/* After it has interrupted a thread, the kernel writes to the thread's rseq area. Behind a fork
 * that is a fault in kernel mode, at any time, and none of the pages that are measured. */
ZF_UNINSTRUMENTED static void touch_rseq_area(void)
{
#ifdef RSEQ_SIG
    unsigned char *area = (unsigned char *)__builtin_thread_pointer() + __rseq_offset;
    unsigned char nothing = 0;
    __asm__ volatile("" : "+r"(nothing));
    (void)__atomic_fetch_or(area, nothing, __ATOMIC_RELAXED);
#endif
}

/* A plain store: emulators take two faults for an atomic operation. */
ZF_UNINSTRUMENTED static void write_pages(volatile unsigned char *base, size_t size_bytes)
{
    for (size_t offset = PAGE - 1; offset < size_bytes; offset += PAGE)
        base[offset] = 1;
}

ZF_UNINSTRUMENTED static void read_pages(const volatile unsigned char *base, size_t size_bytes)
{
    for (size_t offset = 0; offset < size_bytes; offset += PAGE)
        (void)base[offset];
}

/* Each first measures nothing, so that the code and the stack of measuring are warm. */
ZF_UNINSTRUMENTED uint64_t faults_of_writing(void *base, size_t size_bytes)
{
    uint64_t before = 0;
    uint64_t after = 0;
    touch_rseq_area();
    for (int round = 0; round < 2; ++round) {
        before = faults_so_far();
        write_pages(base, round == 0 ? 0 : size_bytes);
        after = faults_so_far();
    }
    return after - before;
}

ZF_UNINSTRUMENTED uint64_t faults_of_reading(const void *base, size_t size_bytes)
{
    uint64_t before = 0;
    uint64_t after = 0;
    touch_rseq_area();
    for (int round = 0; round < 2; ++round) {
        before = faults_so_far();
        read_pages(base, round == 0 ? 0 : size_bytes);
        after = faults_so_far();
    }
    return after - before;
}

/* Find the line of smaps that starts with `key` in the mapping that holds an address. With a NULL
 * key, the mapping's first line. */
static bool find_in_smaps(const void *address, const char *key, char *line, int line_bytes)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool inside = false;
    bool found = false;
    while (!found && smaps != NULL && fgets(line, line_bytes, smaps) != NULL) {
        uintptr_t start, end;
        bool is_first = sscanf(line, "%lx-%lx ", &start, &end) == 2;
        if (is_first)
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        found = inside && (key == NULL ? is_first : strncmp(line, key, strlen(key)) == 0);
    }
    if (smaps != NULL)
        (void)fclose(smaps);
    return found;
}

bool mapping_has_flag(const void *address, const char *flag)
{
    char line[512];
    char padded[8];
    if (!find_in_smaps(address, "VmFlags:", line, sizeof line))
        return false;
    (void)snprintf(padded, sizeof padded, " %s ", flag);
    return strstr(line, padded) != NULL;
}

size_t mapping_bytes(const void *address, const char *key)
{
    char line[512];
    if (!find_in_smaps(address, key, line, sizeof line))
        return 0;
    return strtoull(line + strlen(key), NULL, 10) * 1024;
}

bool is_mapped(const void *address)
{
    char line[512];
    return find_in_smaps(address, NULL, line, sizeof line);
}

bool mapping_policy(const void *base, char *text, size_t size_bytes)
{
    FILE *maps = fopen("/proc/self/numa_maps", "re");
    char line[4096];
    bool found = false;
    while (!found && maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        char *rest;
        found = strtoul(line, &rest, 16) == (uintptr_t)base && *rest == ' ';
        if (found)
            (void)snprintf(text, size_bytes, "%.*s", (int)strcspn(rest + 1, " \n"), rest + 1);
    }
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}
