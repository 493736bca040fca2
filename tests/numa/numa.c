/* Questions about the guest and its pages, asked of the kernel and not of the library; see
 * numa.h. */
#include "numa/numa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/pages.h"

/* -------------------------------------------------------------------------------------- machine */

bool kernel_is_at_least(int major, int minor)
{
    struct utsname name;
    int its_major, its_minor;
    assert_int_equal(uname(&name), 0);
    assert_int_equal(sscanf(name.release, "%d.%d", &its_major, &its_minor), 2);
    return its_major > major || (its_major == major && its_minor >= minor);
}

void pin_to_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        abort();
}

bool write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t length = (ssize_t)strlen(text);
    bool written = file >= 0 && write(file, text, (size_t)length) == length;
    if (file >= 0)
        (void)close(file);
    return written;
}

bool set_balancing(bool on)
{
    return write_file("/proc/sys/kernel/numa_balancing", on ? "1" : "0");
}

void read_line(const char *path, char *line, size_t size_bytes)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, (int)size_bytes, file));
    line[strcspn(line, "\n")] = '\0';
    (void)fclose(file);
}

uint64_t oom_kills(void)
{
    FILE *file = fopen("/proc/vmstat", "re");
    char line[128];
    uint64_t kills = 0;
    bool found = false;
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = sscanf(line, "oom_kill %lu", &kills) == 1;
    (void)fclose(file);
    assert_true(found);
    return kills;
}

/* ----------------------------------------------------------------------------------- companions */

int companion_start(void (*body)(void *context), void *context)
{
    int ready[2];
    char byte = 0;
    int process;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        body(context);
        if (write(ready[1], &byte, 1) != 1)
            abort();
        for (;;)
            pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return process;
}

bool companion_is_alive(int process)
{
    return waitpid(process, NULL, WNOHANG) == 0;
}

void companion_end(int process)
{
    assert_true(companion_is_alive(process));
    assert_int_equal(kill(process, SIGKILL), 0);
    assert_int_equal(waitpid(process, NULL, 0), process);
}

/* ---------------------------------------------------------------------------------------- pages */

struct placement placement_of(const void *base, size_t size_bytes)
{
    struct placement placement = {0};
    void *pages[512];
    int nodes[512];
    for (size_t done = 0; done < size_bytes;) {
        size_t count = 0;
        for (; count < 512 && done < size_bytes; ++count, done += PAGE)
            pages[count] = (unsigned char *)(uintptr_t)base + done;
        memset(nodes, -1, sizeof nodes);
        (void)syscall(SYS_move_pages, 0, count, pages, NULL, nodes, 0);
        for (size_t i = 0; i < count; ++i) {
            if (nodes[i] >= 0 && nodes[i] < NODE_END)
                ++placement.on_node[nodes[i]];
            else
                ++placement.missing;
        }
    }
    return placement;
}

void assert_all_on_node(const struct arena *arena, int node)
{
    size_t size_bytes = arena->end - arena->begin;
    struct placement placement = placement_of((void *)arena->begin, size_bytes);
    assert_int_equal(placement.missing, 0);
    assert_int_equal(placement.on_node[node], size_bytes / PAGE);
}

void *plain_create(size_t size_bytes)
{
    void *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || madvise(base, size_bytes, MADV_NOHUGEPAGE) != 0)
        abort();
    return base;
}

void plain_destroy(void *base, size_t size_bytes)
{
    assert_int_equal(munmap(base, size_bytes), 0);
}

/* --------------------------------------------------------------------------------------- arenas */

void assert_granted(const struct warmup_item *item)
{
    assert_int_equal(item->error, 0);
    assert_int_equal(item->granted_bytes, item->asked_bytes);
    assert_null(item->remedy);
}

struct arena *warm_arena(const struct arena_options *options, struct warmup_report *report)
{
    struct arena *arena;
    *report = (struct warmup_report)WARMUP_REPORT_INIT;
    assert_int_equal(arena_create(&arena, options), 0);
    assert_int_equal(arena_warmup(arena, NULL, report), 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->proof_faults, 0);
    assert_granted(&report->populate);
    return arena;
}

/* So that a failure names the page. */
static void print_violation(const struct hot_violation *violation, void *context)
{
    (void)context;
    (void)hot_violation_print(violation, stdout);
}

void assert_filling_takes_no_fault(struct arena *arena)
{
    static struct hot_section fill =
        HOT_SECTION("fill", .policy = HOT_CALLBACK, .hook = print_violation);
    size_t size_bytes = arena_free_bytes(arena);
    void *start = arena_alloc(arena, size_bytes, 1);
    unsigned char own = 0;
    uint64_t faults, violations;
    assert_non_null(start);
    assert_int_equal(arena_free_bytes(arena), 0);
    assert_int_equal(hot_source_active(), HOT_SOURCE_RING);
    /* The first round brings in code and stack. */
    for (int round = 0; round < 2; ++round) {
        hot_section_begin(&fill);
        faults =
            round == 0 ? faults_of_writing(&own, sizeof own) : faults_of_writing(start, size_bytes);
        violations = hot_section_end(&fill);
    }
    assert_int_equal(faults, 0);
    assert_int_equal(violations, 0);
    arena_reset(arena);
}
