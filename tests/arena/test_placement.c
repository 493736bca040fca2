/*
 * Arenas on NUMA nodes of a real kernel: pages are where the options say, or the report tells.
 *
 * Creation is tested everywhere; what needs several nodes asks for them, and runs in a guest that
 * has them. Where pages are is asked of the kernel by move_pages, not of the library.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zerofault/arena.h>

#include "machine/nodes.h"
#include "support/needs.h"
#include "support/pages.h"
#include "support/sanitizer.h"

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define SIZE_BYTES (16 * MIB)

/* Nodes with memory, in rising order. */
struct machine {
    unsigned nodes[64];
    size_t count;
};

static struct machine machine_nodes(void)
{
    struct machine machine = {.count = 0};
    struct zf_node_set set;
    if (zf_nodes_usable("", &set) != 0)
        return machine;
    for (int node = zf_node_set_next(&set, 0); node >= 0 && machine.count < 64;
         node = zf_node_set_next(&set, node + 1))
        machine.nodes[machine.count++] = (unsigned)node;
    return machine;
}

static struct machine need_nodes(size_t count)
{
    struct machine machine = machine_nodes();
    need("nodes", machine.count >= count, "%zu NUMA nodes with memory, %zu needed", machine.count,
         count);
    return machine;
}

/* Bytes of an arena on a node, by the kernel's own answer. */
static size_t bytes_on(const struct arena *arena, unsigned node)
{
    size_t bytes = 0;
    for (uintptr_t address = arena->begin; address < arena->end; address += PAGE) {
        void *page = (void *)address;
        int where = -1;
        assert_int_equal(syscall(SYS_move_pages, 0, 1ul, &page, NULL, &where, 0), 0);
        bytes += where == (int)node ? PAGE : 0;
    }
    return bytes;
}

static struct arena *create(const struct arena_options *options)
{
    struct arena *arena = NULL;
    assert_int_equal(arena_create(&arena, options), 0);
    assert_non_null(arena);
    return arena;
}

static size_t reported_on(const struct warmup_report *report, unsigned node)
{
    for (size_t i = 0; i < report->nodes_count; ++i)
        if (report->nodes[i].node == (int)node)
            return report->nodes[i].resident_bytes;
    return 0;
}

static void assert_in_place(const struct warmup_report *report)
{
    assert_int_equal(report->result, 0);
    assert_int_equal(report->proven, 1);
    assert_int_equal(report->misplaced_bytes, 0);
    assert_int_equal(report->bind.error, 0);
    assert_int_equal(report->bind.granted_bytes, report->size_bytes);
}

/* ------------------------------------------------------------------------------------- creation */

static void a_placement_that_cannot_be_is_refused_at_creation(void **state)
{
    static const unsigned absent[] = {0, 900};
    static const unsigned beyond[] = {5000};
    static const unsigned none_weights[] = {0};
    struct machine machine = machine_nodes();
    struct arena *arena = NULL;
    struct arena_options options = ARENA_OPTIONS(.capacity_bytes = PAGE);
    (void)state;
    need("nodes told", machine.count != 0, "the kernel tells no nodes");
    options.placement = (enum arena_placement)77;
    assert_int_equal(arena_create(&arena, &options), -EINVAL);
    for (int kind = ARENA_INTERLEAVE; kind <= ARENA_PREFERRED_MANY; ++kind) {
        options = ARENA_OPTIONS(.capacity_bytes = PAGE);
        options.placement = (enum arena_placement)kind;
        assert_int_equal(arena_create(&arena, &options), -EINVAL);
        options.nodes = absent;
        assert_int_equal(arena_create(&arena, &options), -EINVAL);
        options.nodes_count = 2;
        assert_int_equal(arena_create(&arena, &options), -ENODEV);
        options.nodes = beyond;
        options.nodes_count = 1;
        assert_int_equal(arena_create(&arena, &options), -ENODEV);
    }
    options = ARENA_OPTIONS(.capacity_bytes = PAGE, .placement = ARENA_WEIGHTED_INTERLEAVE,
                            .nodes = machine.nodes, .weights = none_weights, .nodes_count = 1);
    assert_int_equal(arena_create(&arena, &options), -EINVAL);
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE, .node = ARENA_NODE(900))),
        -ENODEV);
    assert_int_equal(
        arena_create(&arena, &ARENA_OPTIONS(.capacity_bytes = PAGE, .placement = ARENA_PLACE_CPU,
                                            .cpu = 100000)),
        -ENODEV);
    assert_null(arena);
}

static void every_placement_over_one_node_is_in_place(void **state)
{
    static const unsigned weights[] = {3};
    struct machine machine = machine_nodes();
    (void)state;
    need("nodes told", machine.count != 0, "the kernel tells no nodes");
    for (int kind = ARENA_PLACE_NODE; kind <= ARENA_PREFERRED_MANY; ++kind) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        struct arena *arena =
            create(&ARENA_OPTIONS(.capacity_bytes = MIB, .placement = (enum arena_placement)kind,
                                  .nodes = machine.nodes, .nodes_count = 1, .weights = weights,
                                  .node = ARENA_NODE((int)machine.nodes[0])));
        int rc = arena_warmup(arena, NULL, &report);
        need("policies", rc != -EPERM && report.bind.error != -EPERM, "mbind is refused here");
        assert_int_equal(rc, 0);
        assert_in_place(&report);
        assert_int_equal(report.home_node, machine.nodes[0]);
        assert_int_equal(reported_on(&report, machine.nodes[0]), MIB);
        assert_int_equal(report.placement, kind);
        arena_destroy(arena);
    }
}

/* --------------------------------------------------------------------------------- several nodes
 * */

static void each_node_gets_all_pages_of_an_arena_that_requires_it(void **state)
{
    struct machine machine = need_nodes(2);
    (void)state;
    for (size_t i = 0; i < machine.count; ++i)
        for (int huge = 0; huge < 2; ++huge) {
            struct warmup_report report = WARMUP_REPORT_INIT;
            char policy[64];
            struct arena *arena = create(
                &ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES,
                               .node = ARENA_NODE((int)machine.nodes[i]), .bind = ARENA_REQUIRE,
                               .huge_pages = huge ? ARENA_PREFER : ARENA_OFF));
            assert_int_equal(arena_warmup(arena, NULL, &report), 0);
            assert_in_place(&report);
            assert_int_equal(report.nodes_count, 1);
            assert_int_equal(bytes_on(arena, machine.nodes[i]), SIZE_BYTES);
            assert_true(mapping_policy((void *)arena->begin, policy, sizeof policy));
            assert_int_equal(strncmp(policy, "bind", 4), 0);
            assert_int_equal(faults_of_writing((void *)arena->begin, SIZE_BYTES), 0);
            arena_destroy(arena);
        }
}

static void run_on_cpu_of(unsigned cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    assert_int_equal(sched_setaffinity(0, sizeof cpus, &cpus), 0);
}

static void local_is_the_node_of_the_thread_that_warms(void **state)
{
    struct machine machine = need_nodes(2);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t before;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (unsigned cpu = 0; cpu < (unsigned)cpus; ++cpu) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        struct arena *local = create(&ARENA_OPTIONS(.capacity_bytes = MIB, .bind = ARENA_REQUIRE));
        struct arena *by_cpu = create(&ARENA_OPTIONS(.capacity_bytes = MIB, .bind = ARENA_REQUIRE,
                                                     .placement = ARENA_PLACE_CPU, .cpu = cpu));
        int node;
        run_on_cpu_of(cpu);
        assert_int_equal(arena_warmup(local, NULL, &report), 0);
        assert_in_place(&report);
        assert_int_equal(report.node, -1);
        node = report.home_node;
        assert_true(node >= 0);
        assert_int_equal(bytes_on(local, (unsigned)node), MIB);
        run_on_cpu_of(0);
        assert_int_equal(arena_warmup(by_cpu, NULL, &report), 0);
        assert_int_equal(report.home_node, node);
        assert_int_equal(bytes_on(by_cpu, (unsigned)node), MIB);
        /* Once settled, local stays where it is. */
        assert_int_equal(arena_warmup(local, NULL, &report), 0);
        assert_int_equal(report.home_node, node);
        arena_destroy(local);
        arena_destroy(by_cpu);
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    (void)machine;
}

static void interleaving_spreads_pages_evenly(void **state)
{
    struct machine machine = need_nodes(2);
    struct warmup_report report = WARMUP_REPORT_INIT;
    size_t share_bytes = SIZE_BYTES / machine.count;
    struct arena *arena;
    (void)state;
    arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .placement = ARENA_INTERLEAVE,
                                  .nodes = machine.nodes, .nodes_count = machine.count,
                                  .bind = ARENA_REQUIRE));
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_in_place(&report);
    assert_int_equal(report.home_node, -1);
    for (size_t i = 0; i < machine.count; ++i) {
        assert_int_equal(reported_on(&report, machine.nodes[i]), bytes_on(arena, machine.nodes[i]));
        assert_in_range(reported_on(&report, machine.nodes[i]), share_bytes - PAGE,
                        share_bytes + PAGE);
    }
    arena_destroy(arena);
}

static void weights_decide_how_much_each_node_gets(void **state)
{
    static const unsigned weights[] = {6, 2};
    struct machine machine = need_nodes(2);
    (void)state;
    for (int huge = 0; huge < 2; ++huge) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        struct arena *arena = create(
            &ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .placement = ARENA_WEIGHTED_INTERLEAVE,
                           .nodes = machine.nodes, .weights = weights, .nodes_count = 2,
                           .bind = ARENA_REQUIRE, .huge_pages = huge ? ARENA_PREFER : ARENA_OFF));
        assert_int_equal(arena_warmup(arena, NULL, &report), 0);
        assert_in_place(&report);
        assert_in_range(bytes_on(arena, machine.nodes[0]), SIZE_BYTES / 4 * 3 - SIZE_BYTES / 64,
                        SIZE_BYTES / 4 * 3 + SIZE_BYTES / 64);
        assert_int_equal(bytes_on(arena, machine.nodes[0]) + bytes_on(arena, machine.nodes[1]),
                         SIZE_BYTES);
        assert_int_equal(faults_of_writing((void *)arena->begin, SIZE_BYTES), 0);
        arena_destroy(arena);
    }
}

/* Linux 6.9 has weights of its own; before it the wish is refused and the report says so. */
static void the_systems_weights_work_or_are_reported_as_unknown(void **state)
{
    struct machine machine = need_nodes(2);
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena_options options =
        ARENA_OPTIONS(.capacity_bytes = MIB, .placement = ARENA_WEIGHTED_INTERLEAVE,
                      .nodes = machine.nodes, .nodes_count = 2);
    struct arena *arena = create(&options);
    int error;
    (void)state;
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    error = report.bind.error;
    assert_true(error == 0 || error == -EOPNOTSUPP);
    if (error == 0) {
        assert_int_equal(bytes_on(arena, machine.nodes[0]) + bytes_on(arena, machine.nodes[1]),
                         MIB);
        assert_in_place(&report);
    } else {
        assert_non_null(report.bind.remedy);
        assert_int_equal(report.bind.granted_bytes, 0);
    }
    arena_destroy(arena);
    options.bind = ARENA_REQUIRE;
    arena = create(&options);
    assert_int_equal(arena_warmup(arena, NULL, &report), error);
    arena_destroy(arena);
}

static void many_preferred_nodes_take_what_they_can_hold(void **state)
{
    struct machine machine = need_nodes(3);
    struct warmup_report report = WARMUP_REPORT_INIT;
    const unsigned *last = machine.nodes + machine.count - 2;
    struct arena *arena;
    (void)state;
    arena = create(&ARENA_OPTIONS(.capacity_bytes = SIZE_BYTES, .placement = ARENA_PREFERRED_MANY,
                                  .nodes = last, .nodes_count = 2, .bind = ARENA_REQUIRE));
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_in_place(&report);
    assert_int_equal(bytes_on(arena, last[0]) + bytes_on(arena, last[1]), SIZE_BYTES);
    arena_destroy(arena);
}

/* ------------------------------------------------------------------------------ too small nodes */

/* A child that holds memory on the first node and must survive all of this. */
static pid_t start_bystander(void)
{
    pid_t child = fork();
    if (child == 0) {
        char *memory = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED)
            _exit(1);
        for (;;)
            pause();
    }
    assert_true(child > 0);
    return child;
}

static void end_bystander(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void a_node_that_is_too_small_refuses_and_nobody_dies(void **state)
{
    struct machine machine = need_nodes(2);
    unsigned small = machine.nodes[machine.count - 1];
    struct warmup_report report = WARMUP_REPORT_INIT;
    size_t free_bytes = zf_node_free_bytes("", (int)small);
    pid_t bystander = start_bystander();
    struct arena *arena;
    (void)state;
    arena = create(&ARENA_OPTIONS(.capacity_bytes = free_bytes + 64 * MIB, .bind = ARENA_REQUIRE,
                                  .node = ARENA_NODE((int)small), .lock = ARENA_OFF));
    assert_int_equal(arena_warmup(arena, NULL, &report), -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    assert_true(report.limit_needed_bytes > report.limit_free_bytes);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_non_null(report.bind.remedy);
    assert_int_equal(report.populate.granted_bytes, 0);
    arena_destroy(arena);

    /* Preferred, it spills and says how much. What others give back meanwhile, and file cache that
     * makes room, is less to spill: a few MiB in a guest that has just booted. */
    free_bytes = zf_node_free_bytes("", (int)small);
    arena = create(&ARENA_OPTIONS(.capacity_bytes = free_bytes + 64 * MIB,
                                  .node = ARENA_NODE((int)small), .lock = ARENA_OFF));
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_int_equal(report.proven, 1);
    assert_true(report.misplaced_bytes >= 32 * MIB);
    assert_int_equal(report.bind.granted_bytes + report.misplaced_bytes, report.size_bytes);
    assert_int_equal(report.bind.error, -ENOMEM);
    arena_destroy(arena);
    end_bystander(bystander);
}

/* The preflight saw room, and then somebody else took it. */
struct intruder {
    unsigned node;
    char *memory;
    size_t size_bytes;
    bool came;
};

static int take_the_node(const struct warmup_progress *progress, void *context)
{
    struct intruder *intruder = context;
    unsigned long mask[16] = {0};
    if (progress->phase != WARMUP_POPULATE || intruder->came)
        return 0;
    intruder->came = true;
    mask[intruder->node / 64] = 1ul << intruder->node % 64;
    (void)syscall(SYS_mbind, intruder->memory, intruder->size_bytes, 1, mask,
                  (unsigned long)intruder->node + 2, 0);
    for (size_t offset = 0; offset < intruder->size_bytes; offset += PAGE)
        ((volatile char *)intruder->memory)[offset] = 1;
    return 0;
}

static void a_node_that_is_filled_meanwhile_refuses_and_is_given_back(void **state)
{
    struct machine machine = need_nodes(2);
    struct intruder intruder = {.node = machine.nodes[machine.count - 1]};
    struct warmup_report report = WARMUP_REPORT_INIT;
    size_t free_bytes = zf_node_free_bytes("", (int)intruder.node);
    pid_t bystander = start_bystander();
    struct arena *arena;
    (void)state;
    intruder.size_bytes = free_bytes / 2 / PAGE * PAGE;
    intruder.memory =
        mmap(NULL, intruder.size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(intruder.memory, MAP_FAILED);
    arena = create(&ARENA_OPTIONS(.capacity_bytes = free_bytes / 4 * 3, .bind = ARENA_REQUIRE,
                                  .node = ARENA_NODE((int)intruder.node)));
    assert_int_equal(arena_warmup(arena,
                                  &WARMUP_OPTIONS(.progress = take_the_node, .context = &intruder,
                                                  .chunk_bytes = 4 * MIB),
                                  &report),
                     -ENOMEM);
    assert_true(intruder.came);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_int_equal(report.populate.granted_bytes, 0);
    assert_true(zf_node_free_bytes("", (int)intruder.node) >= free_bytes / 4);
    assert_int_equal(munmap(intruder.memory, intruder.size_bytes), 0);

    /* With room again, the same arena warms. */
    assert_int_equal(arena_warmup(arena, NULL, &report), 0);
    assert_in_place(&report);
    assert_int_equal(bytes_on(arena, intruder.node), report.size_bytes);
    arena_destroy(arena);
    end_bystander(bystander);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_placement_that_cannot_be_is_refused_at_creation),
        cmocka_unit_test(every_placement_over_one_node_is_in_place),
        cmocka_unit_test(each_node_gets_all_pages_of_an_arena_that_requires_it),
        cmocka_unit_test(local_is_the_node_of_the_thread_that_warms),
        cmocka_unit_test(interleaving_spreads_pages_evenly),
        cmocka_unit_test(weights_decide_how_much_each_node_gets),
        cmocka_unit_test(the_systems_weights_work_or_are_reported_as_unknown),
        cmocka_unit_test(many_preferred_nodes_take_what_they_can_hold),
        cmocka_unit_test(a_node_that_is_too_small_refuses_and_nobody_dies),
        cmocka_unit_test(a_node_that_is_filled_meanwhile_refuses_and_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
