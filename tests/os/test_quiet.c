/*
 * The library prints nothing, and neither does what it is built on, when the process has used up
 * its file descriptors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zerofault/arena.h>

#include "machine/nodes.h"
#include "os/os.h"
#include "support/child.h"

/* What a process without file descriptors is answered, and what came out on standard error. */
struct found {
    int captured; /* 0: standard error leads to the pipe */
    int exhausted;
    int asked, usable, node_of_cpu, distance;
    size_t cpus_count;
    int created;
};

/* From here on nothing can be opened. */
static int exhaust_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    limit.rlim_cur = 0;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    return open("/dev/null", O_RDONLY) == -1 && errno == EMFILE ? 0 : -1;
}

static int pipe_ends[2];

static void ask_without_descriptors(void *shared)
{
    struct found *found = shared;
    struct zf_os_nodes nodes;
    struct zf_node_set usable;
    int16_t of_cpus[ZF_OS_CPUS_MAX];
    struct arena *arena;
    found->captured = dup2(pipe_ends[1], STDERR_FILENO) == STDERR_FILENO ? 0 : -1;
    found->created = arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = 1 << 20));
    found->exhausted = exhaust_descriptors();
    found->asked = zf_os_nodes(&nodes);
    found->usable = zf_nodes_usable("", &usable);
    found->node_of_cpu = zf_node_of_cpu("", 0);
    found->cpus_count = zf_nodes_of_cpus("", of_cpus, ZF_OS_CPUS_MAX);
    found->distance = zf_os_node_distance(0, 0);
    if (found->created == 0)
        (void)arena_warmup(arena, NULL, NULL); /* warm or not, it is quiet */
}

static void without_file_descriptors_nothing_is_printed(void **state)
{
    struct found *found = shared_create(sizeof *found);
    char text[1024] = "";
    (void)state;
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(run_in_child(ask_without_descriptors, found), 0);
    close(pipe_ends[1]);
    ssize_t length = read(pipe_ends[0], text, sizeof text - 1);
    close(pipe_ends[0]);
    assert_int_equal(found->captured, 0);
    assert_int_equal(found->exhausted, 0);
    assert_int_equal(length, 0);
    assert_string_equal(text, "");
    /* The system is not believed to have one node of all CPUs. */
    assert_int_equal(found->asked, -EOPNOTSUPP);
    assert_int_equal(found->usable, -EOPNOTSUPP);
    assert_int_equal(found->node_of_cpu, -EOPNOTSUPP);
    assert_int_equal(found->cpus_count, 0);
    assert_int_equal(found->distance, 0);
    assert_int_equal(found->created, 0);
    shared_destroy(found, sizeof *found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_file_descriptors_nothing_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
