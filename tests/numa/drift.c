/*
 * What moves pages of a running program, locked ones too: somebody with privileges, a change of the
 * control group, compaction. An arena finds out, and comes home.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa/numa.h"
#include "support/child.h"
#include "support/pages.h"

#define ARENA_BYTES (8 * MIB)

static struct arena *arena_at(int node, enum warmup_wish bind)
{
    struct warmup_report report;
    return warm_arena(
        &ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .bind = bind, .node = ARENA_NODE(node)),
        &report);
}

/* ------------------------------------------------------------------------------------- migration
 */

/* Move all pages of this process from one node to another, as numad and migratepages(8) do. */
static void migrate_process(int from, int to)
{
    unsigned long old = 1ul << from, new = 1ul << to;
    assert_true(syscall(SYS_migrate_pages, 0, (unsigned long)NODE_END + 1, &old, &new) >= 0);
}

static void an_arena_that_was_migrated_is_found_and_comes_home(void **state)
{
    static const enum warmup_wish wishes[] = {ARENA_PREFER, ARENA_REQUIRE};
    (void)state;
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; ++i) {
        struct warmup_report report = WARMUP_REPORT_INIT;
        struct arena *arena = arena_at(NODE_MEMORY_ONLY, wishes[i]);
        migrate_process(NODE_MEMORY_ONLY, NODE_MIDDLE);
        assert_int_equal(arena_verify(arena, NULL, &report), -EFAULT);
        assert_int_equal(report.bind.error, -EFAULT);
        assert_non_null(report.bind.remedy);
        assert_int_equal(report.misplaced_bytes, ARENA_BYTES);
        assert_int_equal(report.nodes_count, 1);
        assert_int_equal(report.nodes[0].node, NODE_MIDDLE);
        assert_granted(&report.populate);
        assert_granted(&report.lock);
        assert_int_equal(arena_rewarm(arena, NULL, &report), 0);
        assert_all_on_node(arena, NODE_MEMORY_ONLY);
        assert_int_equal(arena_verify(arena, NULL, &report), 0);
        assert_filling_takes_no_fault(arena);
        arena_destroy(arena);
    }
}

/* --------------------------------------------------------------------------------- control groups
 */

#define GROUP "/sys/fs/cgroup/drifting"

/* What a process lives through whose control group is taken off its node, and put back. */
struct drifting {
    bool entered, confined, released;
    int created;
    int verified, rewarmed, verified_home, rewarmed_home;
    struct warmup_report drifted, mended;
    struct placement away, home;
    uint64_t faults;
};

static void drift(void *shared)
{
    struct drifting *drifting = shared;
    struct arena *arena;
    char process[32];
    (void)snprintf(process, sizeof process, "%d", (int)getpid());
    drifting->entered = write_file(GROUP "/cgroup.procs", process);
    drifting->created = arena_create(
        &arena, &ARENA_OPTIONS(.capacity_bytes = ARENA_BYTES, .node = ARENA_NODE(NODE_MIDDLE)));
    if (drifting->created != 0)
        return;
    drifting->created = arena_warmup(arena, NULL, NULL);
    drifting->confined = write_file(GROUP "/cpuset.mems", "0");
    drifting->drifted = (struct warmup_report)WARMUP_REPORT_INIT;
    drifting->verified = arena_verify(arena, NULL, &drifting->drifted);
    drifting->away = placement_of((void *)arena->begin, ARENA_BYTES);
    drifting->mended = (struct warmup_report)WARMUP_REPORT_INIT;
    drifting->rewarmed = arena_rewarm(arena, NULL, &drifting->mended);
    drifting->faults = faults_of_writing((void *)arena->begin, ARENA_BYTES);
    drifting->released = write_file(GROUP "/cpuset.mems", "0-1");
    drifting->rewarmed_home = arena_rewarm(arena, NULL, NULL);
    drifting->verified_home = arena_verify(arena, NULL, NULL);
    drifting->home = placement_of((void *)arena->begin, ARENA_BYTES);
    arena_destroy(arena);
}

/* From 6.1 on the kernel moves the pages when it takes a node away. */
static void assert_drifted(const struct drifting *drifting)
{
    assert_int_equal(drifting->away.on_node[NODE_LARGE], ARENA_BYTES / PAGE);
    assert_int_equal(drifting->verified, -EFAULT);
    assert_int_equal(drifting->drifted.bind.error, -EFAULT);
    assert_int_equal(drifting->drifted.misplaced_bytes, ARENA_BYTES);
    /* It cannot come home, and is told why. */
    assert_int_equal(drifting->mended.bind.error, -EPERM);
    assert_int_equal(drifting->mended.bind.granted_bytes, 0);
    assert_non_null(drifting->mended.bind.remedy);
}

static void a_control_group_that_takes_the_node_away_is_found(void **state)
{
    struct drifting *drifting = shared_create(sizeof *drifting);
    (void)state;
    (void)mkdir(GROUP, 0755);
    assert_true(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset"));
    assert_true(write_file(GROUP "/cpuset.mems", "0-1"));
    assert_int_equal(run_in_child(drift, drifting), 0);
    assert_int_equal(rmdir(GROUP), 0);
    assert_true(drifting->entered && drifting->confined && drifting->released);
    assert_int_equal(drifting->created, 0);
    assert_int_equal(drifting->rewarmed, 0);
    assert_int_equal(drifting->mended.proven, 1);
    assert_int_equal(drifting->faults, 0);
    if (kernel_is_at_least(6, 1))
        assert_drifted(drifting);
    else
        assert_int_equal(drifting->away.on_node[NODE_MIDDLE], ARENA_BYTES / PAGE);
    assert_int_equal(drifting->rewarmed_home, 0);
    assert_int_equal(drifting->verified_home, 0);
    assert_int_equal(drifting->home.on_node[NODE_MIDDLE], ARENA_BYTES / PAGE);
    shared_destroy(drifting, sizeof *drifting);
}

/* ------------------------------------------------------------------------------------- compaction
 */

static void compact(int node)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%d/compact", node);
    assert_true(write_file(path, "1"));
}

/* The frames of an arena's pages, which only root is told. */
static uint64_t *frames_of(const struct arena *arena)
{
    size_t count = ARENA_BYTES / PAGE;
    uint64_t *frames = calloc(count, sizeof *frames);
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_non_null(frames);
    assert_true(pagemap >= 0);
    assert_int_equal(pread(pagemap, frames, count * 8, (off_t)(arena->begin / PAGE * 8)),
                     count * 8);
    (void)close(pagemap);
    for (size_t i = 0; i < count; ++i)
        frames[i] &= ((uint64_t)1 << 55) - 1;
    return frames;
}

/* Have the kernel compact the node of a warm arena; how many pages of that have moved. */
static size_t moved_by_compaction(struct arena *arena, struct warmup_report *report)
{
    uint64_t *before = frames_of(arena), *after;
    size_t moved = 0;
    compact(NODE_MEMORY_ONLY);
    after = frames_of(arena);
    for (size_t i = 0; i < ARENA_BYTES / PAGE; ++i)
        moved += before[i] != after[i];
    free(before);
    free(after);
    /* Pages that moved are there all the same, on their node, and do not fault. */
    assert_int_equal(arena_verify(arena, NULL, report), 0);
    assert_all_on_node(arena, NODE_MEMORY_ONLY);
    assert_filling_takes_no_fault(arena);
    return moved;
}

/* An arena whose pages lie one by one all over its node, with free memory between them: they take
 * the holes in another one, which then goes. The kernel compacts by moving what lies low to the
 * top, and an arena in one piece may lie there already. */
static struct arena *scattered_arena(void)
{
    size_t filler_bytes = 20 * ARENA_BYTES;
    struct warmup_report report;
    struct arena *filler =
        warm_arena(&ARENA_OPTIONS(.capacity_bytes = filler_bytes, .lock = ARENA_OFF,
                                  .bind = ARENA_REQUIRE, .node = ARENA_NODE(NODE_MEMORY_ONLY)),
                   &report);
    struct arena *arena;
    for (size_t offset = 0; offset < filler_bytes; offset += 20 * PAGE)
        assert_int_equal(madvise((void *)(filler->begin + offset), PAGE, MADV_DONTNEED), 0);
    arena = arena_at(NODE_MEMORY_ONLY, ARENA_REQUIRE);
    arena_destroy(filler);
    return arena;
}

static void compaction_moves_locked_pages_unless_forbidden_and_is_told(void **state)
{
    struct warmup_report report = WARMUP_REPORT_INIT;
    struct arena *arena = scattered_arena();
    size_t moved;
    (void)state;
    assert_true(write_file("/proc/sys/vm/compact_unevictable_allowed", "0"));
    moved = moved_by_compaction(arena, &report);
    assert_true(write_file("/proc/sys/vm/compact_unevictable_allowed", "1"));
    assert_int_equal(moved, 0);
    moved = moved_by_compaction(arena, &report);
    print_message("%zu pages moved, %llu in all\n", moved,
                  (unsigned long long)report.migrated_pages);
    assert_true(moved > 0);
    assert_true(report.migrated_pages >= moved);
    assert_int_equal(arena_rewarm(arena, NULL, NULL), 0);
    assert_int_equal(arena_verify(arena, NULL, &report), 0);
    assert_int_equal(report.migrated_pages, 0);
    arena_destroy(arena);
}

int test_drift(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_that_was_migrated_is_found_and_comes_home),
        cmocka_unit_test(a_control_group_that_takes_the_node_away_is_found),
        cmocka_unit_test(compaction_moves_locked_pages_unless_forbidden_and_is_told),
    };
    return cmocka_run_group_tests_name("drift", tests, NULL, NULL);
}
