/*
 * Placement on a system of several nodes that fills up, forgets pages for a moment, or does not
 * tell: what this machine's kernel cannot be made to do. Insisting on a full node aborts the test,
 * as the real system would kill.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#include "fake/fake_os.h"
#include "machine/nodes.h"
#include "warmup/warmup.h"

#define PAGE ((size_t)4096)
#define PAGES 64u
#define SIZE_BYTES (PAGES * PAGE)

static int reset(void **state)
{
    (void)state;
    fake_os_reset();
    fake_os.huge_page_bytes = 0;
    fake_os.nodes_count = 3;
    return 0;
}

static struct zf_warmup_wishes wish(enum warmup_wish bind, int node)
{
    return (struct zf_warmup_wishes){
        .bind = bind, .huge_pages = WARMUP_OFF, .lock = WARMUP_PREFER, .node = node};
}

static struct zf_region create(const struct zf_warmup_wishes *wishes,
                               const struct zf_placement *placement)
{
    struct zf_region_options options = {.size_bytes = SIZE_BYTES,
                                        .node = wishes->node,
                                        .placement = placement,
                                        .bind = wishes->bind,
                                        .huge_pages = wishes->huge_pages};
    struct zf_region region;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_report warm(struct zf_region *region, const struct zf_warmup_wishes *wishes)
{
    struct warmup_options options = {.struct_size = sizeof options, .chunk_bytes = 8 * PAGE};
    struct warmup_report report;
    int rc = zf_warmup_region(region, wishes, &options, &report);
    assert_int_equal(rc, report.result);
    assert_int_equal(report.bind.error != 0, report.bind.remedy != NULL);
    return report;
}

static struct zf_placement over(enum zf_place kind, int first, int second)
{
    struct zf_placement placement;
    memset(&placement, 0, sizeof placement);
    placement.kind = kind;
    zf_node_set_add(&placement.nodes, first);
    zf_node_set_add(&placement.nodes, second);
    placement.weights_count = 2;
    placement.members[0] = (uint16_t)first;
    placement.members[1] = (uint16_t)second;
    placement.weights[0] = 3;
    placement.weights[1] = 1;
    return placement;
}

static void pages_are_counted_per_node_and_bound_only_when_required(void **state)
{
    (void)state;
    for (int required = 0; required < 2; ++required) {
        struct zf_warmup_wishes wishes = wish(required ? WARMUP_REQUIRE : WARMUP_PREFER, 1);
        struct zf_region region = create(&wishes, NULL);
        struct warmup_report report = warm(&region, &wishes);
        assert_int_equal(report.result, 0);
        assert_int_equal(report.nodes_count, 1);
        assert_int_equal(report.nodes[0].node, 1);
        assert_int_equal(report.nodes[0].resident_bytes, SIZE_BYTES);
        assert_int_equal(report.bind.granted_bytes, SIZE_BYTES);
        assert_int_equal(report.misplaced_bytes, 0);
        assert_int_equal(region.bound, required);
        assert_int_equal(fake_os_range(region.base)->node, required ? -3 : 1);
        zf_region_destroy(&region);
    }
}

static void local_becomes_the_node_of_the_first_warmup(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, -1);
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    assert_int_equal(zf_placement_node(&region.placement), -1);
    report = warm(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.node, -1);
    assert_int_equal(report.home_node, 0);
    zf_region_destroy(&region);
}

static void a_required_node_without_room_is_refused_before_the_first_page(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, 1);
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    fake_os.node_room_bytes = SIZE_BYTES / 2;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    assert_int_equal(report.limit_needed_bytes, SIZE_BYTES);
    assert_int_equal(report.limit_free_bytes, SIZE_BYTES / 2);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_int_equal(fake_os.made[FAKE_POPULATE], 0);
    zf_region_destroy(&region);
}

static int take_node(const struct warmup_progress *progress, void *context)
{
    (void)progress;
    (void)context;
    fake_os.node_room_bytes = SIZE_BYTES / 2;
    return 0;
}

static void a_node_that_fills_up_meanwhile_gets_its_pages_back(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, 1);
    struct warmup_options options = {
        .struct_size = sizeof options, .chunk_bytes = 8 * PAGE, .progress = take_node};
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    assert_int_equal(zf_warmup_region(&region, &wishes, &options, &report), -ENOMEM);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    assert_int_equal(report.populate.granted_bytes, 0);
    assert_int_equal(report.bind.granted_bytes, 0);
    assert_int_equal(fake_os_node_bytes(1), 0);
    assert_int_equal(fake_os_locked_bytes(), 0);
    assert_false(region.locked || region.bound);
    fake_os.node_room_bytes = SIZE_BYTES;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.bind.granted_bytes, SIZE_BYTES);
    zf_region_destroy(&region);
}

static void content_is_not_given_back(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, 1);
    struct warmup_options options = {
        .struct_size = sizeof options, .chunk_bytes = 8 * PAGE, .progress = take_node};
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    ((volatile unsigned char *)region.base)[5] = 77;
    assert_int_equal(zf_warmup_region(&region, &wishes, &options, &report), -ENOMEM);
    assert_int_equal(((volatile unsigned char *)region.base)[5], 77);
    assert_true(report.misplaced_bytes != 0);
    assert_int_equal(report.bind.granted_bytes + report.misplaced_bytes, SIZE_BYTES);
    zf_region_destroy(&region);
}

static void a_preferred_node_without_room_spills_and_is_reported(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, 1);
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    fake_os.node_room_bytes = SIZE_BYTES / 4;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_int_equal(report.proven, 1);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_int_equal(report.bind.granted_bytes, SIZE_BYTES / 4);
    assert_int_equal(report.misplaced_bytes, SIZE_BYTES / 4 * 3);
    assert_int_equal(report.nodes_count, 2);
    assert_int_equal(report.nodes[1].node, 2);
    assert_int_equal(report.limit, WARMUP_LIMIT_NODE);
    /* Room again: the next warmup moves what is misplaced. */
    fake_os.node_room_bytes = SIZE_BYTES;
    report = warm(&region, &wishes);
    assert_int_equal(report.misplaced_bytes, 0);
    assert_int_equal(report.bind.granted_bytes, SIZE_BYTES);
    assert_int_equal(report.bind.error, 0);
    zf_region_destroy(&region);
}

static void a_bound_region_is_unbound_while_it_is_populated(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, 1);
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report = warm(&region, &wishes);
    (void)state;
    assert_int_equal(report.result, 0);
    assert_true(region.bound);
    assert_int_equal(zf_os_discard(region.base, SIZE_BYTES / 2), 0);
    fake_os.node_room_bytes = SIZE_BYTES;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_true(region.bound);
    zf_region_destroy(&region);
}

static void a_page_that_is_absent_for_a_moment_is_asked_for_again(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, 1);
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    fake_os.absent_looks = 5;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_int_equal(fake_os.absent_looks, 0);
    assert_int_equal(report.bind.granted_bytes, SIZE_BYTES);
    zf_region_destroy(&region);
}

static void a_system_that_does_not_tell_grants_nothing(void **state)
{
    static const int errors[] = {-EPERM, -EOPNOTSUPP};
    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, 1);
        struct zf_region region = create(&wishes, NULL);
        struct warmup_report report;
        fake_os.refuse[FAKE_PAGE_NODES] = errors[i];
        report = warm(&region, &wishes);
        assert_int_equal(report.result, 0);
        assert_int_equal(report.proven, 1);
        assert_int_equal(report.bind.error, errors[i]);
        assert_int_equal(report.bind.granted_bytes, 0);
        wishes.bind = WARMUP_REQUIRE;
        report = warm(&region, &wishes);
        assert_int_equal(report.result, errors[i]);
        assert_false(region.bound);
        fake_os.refuse[FAKE_PAGE_NODES] = 0;
        zf_region_destroy(&region);
    }
}

static void a_binding_that_is_refused_at_the_end_fails_what_required_it(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, 1);
    struct zf_region region = create(&wishes, NULL);
    struct warmup_report report;
    (void)state;
    fake_os.refuse[FAKE_PLACE] = -ENOMEM;
    report = warm(&region, &wishes);
    assert_int_equal(report.result, -ENOMEM);
    assert_int_equal(report.bind.error, -ENOMEM);
    assert_int_equal(report.proven, 0);
    zf_region_destroy(&region);
}

static void weights_are_stripes_and_each_is_verified(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, -1);
    struct zf_placement placement = over(ZF_PLACE_WEIGHTED, 0, 2);
    struct zf_region region = create(&wishes, &placement);
    (void)state;
    assert_int_equal(region.bind_error, 0);
    assert_int_equal(region.stripe_bytes, PAGE);
    assert_int_equal(zf_region_share_bytes(&region, 0), SIZE_BYTES / 4 * 3);
    assert_int_equal(zf_region_share_bytes(&region, 2), SIZE_BYTES / 4);
    assert_int_equal(zf_region_node_at(&region, 2 * PAGE), 0);
    assert_int_equal(zf_region_node_at(&region, 3 * PAGE), 2);
    assert_int_equal(zf_region_node_at(&region, 4 * PAGE), 0);
    assert_true(zf_region_belongs(&region, 3 * PAGE, 2));
    assert_false(zf_region_belongs(&region, 3 * PAGE, 0));
    assert_int_equal(zf_region_bind(&region), 0);
    assert_false(region.bound);
    zf_region_destroy(&region);
}

static void many_preferred_nodes_fall_back_to_the_first(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, -1);
    struct zf_placement placement = over(ZF_PLACE_MANY, 1, 2);
    struct zf_region region;
    struct warmup_report report;
    (void)state;
    fake_os.refuse[FAKE_PLACE] = -EOPNOTSUPP;
    region = create(&wishes, &placement);
    assert_int_equal(region.bind_error, 0);
    assert_int_equal(fake_os_range(region.base)->node, 1);
    report = warm(&region, &wishes);
    assert_int_equal(report.bind.granted_bytes, SIZE_BYTES);
    assert_int_equal(report.home_node, -1);
    zf_region_destroy(&region);
}

static void an_interleaved_region_is_in_place_on_any_node_of_its_set(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_REQUIRE, -1);
    struct zf_placement placement = over(ZF_PLACE_INTERLEAVE, 0, 2);
    struct zf_region region = create(&wishes, &placement);
    struct warmup_report report = warm(&region, &wishes);
    (void)state;
    assert_int_equal(report.result, 0);
    assert_int_equal(report.nodes_count, 2);
    assert_int_equal(report.nodes[0].resident_bytes, SIZE_BYTES / 2);
    assert_int_equal(report.nodes[1].resident_bytes, SIZE_BYTES / 2);
    zf_region_destroy(&region);
}

/* ------------------------------------------------------------------------- stopped */

#define LOOKS 4u
#define LOOKS_BYTES (LOOKS * 512 * PAGE)
#define LAST_NODE 2 /* which has room for all */

/* What a caller sees and does while the pages of a large region are asked for. */
static struct {
    unsigned stop_at_look; /* by the flag */
    int flag;
    unsigned stop_at_call; /* of `proving` */
    unsigned proving;      /* calls in the last phase before its first chunk */
    bool rising;
    struct warmup_progress last;
} caller;

static void at_look(void)
{
    if (fake_os.made[FAKE_PAGE_NODES] == caller.stop_at_look)
        caller.flag = 1;
}

static void take_a_tenth_of_a_second(void)
{
    struct timespec pause = {.tv_nsec = 110 * 1000000};
    assert_int_equal(nanosleep(&pause, NULL), 0);
}

static int hear(const struct warmup_progress *progress, void *context)
{
    (void)context;
    caller.rising =
        caller.rising &&
        (progress->phase > caller.last.phase ||
         (progress->phase == caller.last.phase && progress->done_bytes >= caller.last.done_bytes &&
          progress->spent_ns >= caller.last.spent_ns)) &&
        progress->total_bytes == LOOKS_BYTES;
    caller.last = *progress;
    if (progress->phase != WARMUP_PROVE || progress->done_bytes != 0)
        return 0;
    return ++caller.proving == caller.stop_at_call;
}

static struct zf_region create_large(const struct zf_warmup_wishes *wishes)
{
    struct zf_region_options options = {.size_bytes = LOOKS_BYTES,
                                        .node = wishes->node,
                                        .bind = wishes->bind,
                                        .huge_pages = wishes->huge_pages};
    struct zf_region region;
    memset(&caller, 0, sizeof caller);
    caller.rising = true;
    assert_int_equal(zf_region_create(&region, &options), 0);
    return region;
}

static struct warmup_report warm_heard(struct zf_region *region,
                                       const struct zf_warmup_wishes *wishes)
{
    struct warmup_options options = {
        .struct_size = sizeof options, .progress = hear, .cancel = &caller.flag};
    struct warmup_report report;
    int rc = zf_warmup_region(region, wishes, &options, &report);
    assert_int_equal(rc, report.result);
    return report;
}

static void assert_stopped_in_proof(const struct warmup_report *report)
{
    assert_int_equal(report->result, -ECANCELED);
    assert_int_equal(report->last_phase, WARMUP_PROVE);
    assert_int_equal(report->done_bytes, 0);
    assert_int_equal(report->proven, 0);
    assert_int_equal(report->bind.error, -ECANCELED);
    assert_non_null(report->bind.remedy);
    assert_int_equal(report->bind.granted_bytes, 0);
    assert_int_equal(report->nodes_count, 0);
    assert_int_equal(report->misplaced_bytes, 0);
    assert_int_equal(report->populate.granted_bytes, LOOKS_BYTES);
}

/* Looks are for counting, moving and counting again; whichever it is, no other follows. */
static void the_flag_stops_between_two_looks(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, LAST_NODE);
    unsigned stop_at = 1;
    for (;; ++stop_at) {
        struct zf_region region;
        struct warmup_report report;
        (void)reset(state);
        region = create_large(&wishes);
        assert_int_equal(warm_heard(&region, &wishes).result, 0);
        /* Somebody has moved half of them. */
        memset(fake_os_range(region.base)->page_nodes, 0, LOOKS_BYTES / PAGE / 2);
        fake_os.made[FAKE_PAGE_NODES] = 0;
        fake_os.at_page_nodes = at_look;
        caller.stop_at_look = stop_at;
        report = warm_heard(&region, &wishes);
        assert_int_equal(fake_os.made[FAKE_PAGE_NODES], stop_at <= 3 * LOOKS ? stop_at : 3 * LOOKS);
        if (stop_at > 3 * LOOKS) {
            assert_int_equal(report.result, 0);
            zf_region_destroy(&region);
            break;
        }
        assert_stopped_in_proof(&report);
        caller.flag = 0;
        caller.stop_at_look = 0;
        report = warm_heard(&region, &wishes);
        assert_int_equal(report.result, 0);
        assert_int_equal(report.proven, 1);
        assert_int_equal(report.misplaced_bytes, 0);
        assert_int_equal(report.bind.granted_bytes, LOOKS_BYTES);
        zf_region_destroy(&region);
    }
}

/* Also of a placement that nobody wished for, whose pages are merely counted. */
static void the_flag_stops_counting_too(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, LAST_NODE);
    struct zf_region region = create_large(&wishes);
    struct warmup_report report;
    (void)state;
    wishes.bind = WARMUP_OFF;
    fake_os.at_page_nodes = at_look;
    caller.stop_at_look = 2;
    report = warm_heard(&region, &wishes);
    assert_int_equal(report.result, -ECANCELED);
    assert_int_equal(fake_os.made[FAKE_PAGE_NODES], 2);
    assert_int_equal(report.nodes_count, 0);
    assert_int_equal(report.bind.error, 0);
    zf_region_destroy(&region);
}

static void who_waits_for_looks_hears_of_it_and_may_stop(void **state)
{
    struct zf_warmup_wishes wishes = wish(WARMUP_PREFER, LAST_NODE);
    struct zf_region region = create_large(&wishes);
    struct warmup_report report;
    (void)state;
    fake_os.at_page_nodes = take_a_tenth_of_a_second;
    report = warm_heard(&region, &wishes);
    assert_int_equal(report.result, 0);
    assert_true(caller.rising);
    assert_int_equal(caller.proving, LOOKS);
    caller.proving = 0;
    caller.stop_at_call = 2;
    caller.last = (struct warmup_progress){0};
    report = warm_heard(&region, &wishes);
    assert_stopped_in_proof(&report);
    assert_int_equal(caller.proving, 2);
    assert_true(caller.rising);
    zf_region_destroy(&region);
}

/* ------------------------------------------------------------------------- nodes */

static void a_node_is_checked_against_what_the_system_tells(void **state)
{
    struct zf_node_set nodes = {{0}};
    (void)state;
    zf_node_set_add(&nodes, 2);
    assert_int_equal(zf_nodes_check("", &nodes), 0);
    zf_node_set_add(&nodes, 3);
    assert_int_equal(zf_nodes_check("", &nodes), -ENODEV);
    assert_int_equal(zf_node_of_cpu("", 1), 1);
    assert_int_equal(zf_node_of_cpu("", 7), -ENODEV);
    /* A sandbox that forbids to ask still shows the files. */
    fake_os.refuse[FAKE_NODES] = -EOPNOTSUPP;
    assert_int_equal(zf_nodes_check("", &nodes), -ENODEV);
    fake_os.nodes_count = 1;
    assert_int_equal(zf_nodes_check("", &nodes), 0);
    assert_int_equal(zf_node_of_cpu("", 1), -EOPNOTSUPP);
    assert_true(zf_node_free_bytes("", 0) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pages_are_counted_per_node_and_bound_only_when_required, reset),
        cmocka_unit_test_setup(local_becomes_the_node_of_the_first_warmup, reset),
        cmocka_unit_test_setup(a_required_node_without_room_is_refused_before_the_first_page,
                               reset),
        cmocka_unit_test_setup(a_node_that_fills_up_meanwhile_gets_its_pages_back, reset),
        cmocka_unit_test_setup(content_is_not_given_back, reset),
        cmocka_unit_test_setup(a_preferred_node_without_room_spills_and_is_reported, reset),
        cmocka_unit_test_setup(a_bound_region_is_unbound_while_it_is_populated, reset),
        cmocka_unit_test_setup(a_page_that_is_absent_for_a_moment_is_asked_for_again, reset),
        cmocka_unit_test_setup(a_system_that_does_not_tell_grants_nothing, reset),
        cmocka_unit_test_setup(a_binding_that_is_refused_at_the_end_fails_what_required_it, reset),
        cmocka_unit_test_setup(weights_are_stripes_and_each_is_verified, reset),
        cmocka_unit_test_setup(many_preferred_nodes_fall_back_to_the_first, reset),
        cmocka_unit_test_setup(an_interleaved_region_is_in_place_on_any_node_of_its_set, reset),
        cmocka_unit_test_setup(the_flag_stops_between_two_looks, reset),
        cmocka_unit_test_setup(the_flag_stops_counting_too, reset),
        cmocka_unit_test_setup(who_waits_for_looks_hears_of_it_and_may_stop, reset),
        cmocka_unit_test_setup(a_node_is_checked_against_what_the_system_tells, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
