/*
 * The life of an arena: create, warm up, destroy. Allocation itself is inline in the header.
 *
 * An arena is two regions: the one that is handed out, and a small one for the head and the
 * control block, made and warmed the same way, because metadata that faults spoils a hot section
 * as surely as data does. Between the two the only link is a pointer, so capacity stays a whole
 * number of pages, huge ones too.
 */
#include <zerofault/arena.h>

#include <errno.h>
#include <string.h>

#include "arena/control.h"
#include "arena/placement.h"
#include "arena/registry.h"
#include "base/arith.h"
#include "base/options.h"
#include "base/tripwire.h"
#include "os/os.h"

static_assert(sizeof(struct arena) == 64, "what the hot path touches fits one cache line");
static_assert(sizeof(((struct warmup_report *)0)->name) == ARENA_NAME_MAX, "names fit the report");

#define CAPACITY_BYTES_MAX                                                                         \
    (SIZE_MAX >> 2) /* beyond any address space; keeps sums from overflowing */

/* ---------------------------------------------------------------------------- options to wishes */

static enum warmup_wish resolve(enum warmup_wish asked, enum warmup_wish by_default)
{
    return asked == WARMUP_DEFAULT ? by_default : asked;
}

static bool wish_is_known(enum warmup_wish wish)
{
    return (unsigned)wish <= WARMUP_REQUIRE;
}

static int check_options(const struct arena_options *options)
{
    if (options->capacity_bytes == 0 || options->capacity_bytes > CAPACITY_BYTES_MAX)
        return -EINVAL;
    if (options->name != NULL && strnlen(options->name, ARENA_NAME_MAX) == ARENA_NAME_MAX)
        return -EINVAL;
    if (options->node < 0 || (unsigned)options->fork > WARMUP_FORK_INHERIT)
        return -EINVAL;
    if (!wish_is_known(options->bind) || !wish_is_known(options->huge_pages) ||
        !wish_is_known(options->lock) || !wish_is_known(options->hugetlb_1g) ||
        !wish_is_known(options->hugetlb_2m))
        return -EINVAL;
    return 0;
}

/* Each size of pages is the next to be tried after the larger one, until one is required. */
static void resolve_page_sizes(const struct arena_options *options, struct zf_warmup_wishes *wishes)
{
    const enum warmup_wish asked[] = {options->hugetlb_1g, options->hugetlb_2m,
                                      options->huge_pages};
    enum warmup_wish *const settled[] = {&wishes->hugetlb[ZF_OS_POOL_1G],
                                         &wishes->hugetlb[ZF_OS_POOL_2M], &wishes->huge_pages};
    enum warmup_wish next = WARMUP_OFF;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; ++i) {
        *settled[i] = resolve(asked[i], next);
        if (*settled[i] != WARMUP_OFF)
            next = *settled[i] == WARMUP_PREFER ? WARMUP_PREFER : WARMUP_OFF;
    }
}

/* The same wishes for memory of the library's own: small pages, but where the arena's are. */
struct zf_warmup_wishes zf_arena_page_wishes(const struct zf_warmup_wishes *wishes)
{
    struct zf_warmup_wishes small = *wishes;
    small.huge_pages = WARMUP_OFF;
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool)
        small.hugetlb[pool] = WARMUP_OFF;
    small.bind = WARMUP_PREFER;
    /* What was in the arena is gone in a child; a head that refuses every call has to be there. */
    if (small.fork == WARMUP_FORK_EXCLUDE)
        small.fork = WARMUP_FORK_WIPE;
    return small;
}

/* What the size is a multiple of: the page that is required, or the smallest that is preferred. One
 * of 1 GiB must not be had at the price of 1 GiB, unless somebody insists. */
static size_t unit_bytes(const struct zf_warmup_wishes *wishes)
{
    size_t unit = zf_os_page_bytes();
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool) {
        if (wishes->hugetlb[pool] == WARMUP_REQUIRE)
            return zf_os_pool_page_bytes(pool);
        if (wishes->hugetlb[pool] == WARMUP_PREFER && pool != ZF_OS_POOL_1G)
            unit = zf_os_pool_page_bytes(pool);
    }
    if (wishes->huge_pages != WARMUP_OFF && zf_os_huge_page_bytes() != 0)
        unit = zf_os_huge_page_bytes();
    return unit;
}

/* The largest page that is wished and that the size is a whole number of. */
static size_t largest_page_bytes(const struct zf_warmup_wishes *wishes, size_t size_bytes)
{
    for (int pool = 0; pool < ZF_OS_POOLS_COUNT; ++pool)
        if (wishes->hugetlb[pool] >= WARMUP_PREFER && size_bytes % zf_os_pool_page_bytes(pool) == 0)
            return zf_os_pool_page_bytes(pool);
    return unit_bytes(wishes);
}

static struct zf_warmup_wishes wishes_of(const struct arena_options *options,
                                         const struct zf_placement *placement)
{
    struct zf_warmup_wishes wishes = {
        .bind = resolve(options->bind, WARMUP_PREFER),
        .lock = resolve(options->lock, WARMUP_PREFER),
        .fork = options->fork,
        .node = zf_placement_node(placement),
        .placement = options->placement,
        .raise_pools = options->raise_pools,
    };
    resolve_page_sizes(options, &wishes);
    return wishes;
}

/* ------------------------------------------------------------------------------ create, destroy */

/* `placement` may be NULL: the wishes' node alone. */
static int create_region(struct zf_region *region, const struct zf_warmup_wishes *wishes,
                         const struct zf_placement *placement, size_t capacity_bytes,
                         const char *name)
{
    struct zf_region_options options = {
        .node = wishes->node,
        .placement = placement,
        .bind = wishes->bind,
        .huge_pages = wishes->huge_pages,
        .fork = wishes->fork,
        .name = name,
    };
    if (!zf_align_up(capacity_bytes, unit_bytes(wishes), &options.size_bytes))
        return -EINVAL;
    options.alignment_bytes = largest_page_bytes(wishes, options.size_bytes);
    return zf_region_create(region, &options);
}

/* The head's own memory: small pages, locked like the arena's, and empty in a child of fork. */
static int create_page(struct arena_page **out, const struct zf_warmup_wishes *wishes)
{
    struct zf_warmup_wishes small = zf_arena_page_wishes(wishes);
    struct zf_region region;
    int error;
    error = create_region(&region, &small, NULL, sizeof(struct arena_page), "zerofault");
    if (error != 0)
        return error;
    *out = region.base;
    memset(*out, 0, sizeof **out);
    (*out)->control.control_region = region;
    return 0;
}

static void destroy_page(struct arena_page *page)
{
    struct zf_region region = page->control.control_region;
    zf_region_destroy(&region);
}

static int fill_page(struct arena_page *page, const struct arena_options *options,
                     const struct zf_warmup_wishes *wishes, const struct zf_placement *placement)
{
    struct arena_control *control = &page->control;
    const char *name = options->name == NULL ? "arena" : options->name;
    int error;
    memcpy(control->name, name, strlen(name) + 1);
    control->wishes = *wishes;
    control->wishes.name = control->name;
    error =
        create_region(&control->region, wishes, placement, options->capacity_bytes, control->name);
    if (error != 0)
        return error;
    page->head.begin = (uintptr_t)control->region.base;
    page->head.end = page->head.begin + control->region.size_bytes;
    page->head.next = page->head.begin;
    page->head.peak = page->head.begin;
    page->head.control = control;
    control->entry = zf_registry_add(page->head.begin, page->head.end, control->name);
    if (control->entry == NULL) {
        zf_region_destroy(&control->region);
        return -ENOMEM;
    }
    control->facts.next = &page->head.next;
    control->facts.fork = wishes->fork;
    control->facts.forks = zf_os_forks();
    zf_registry_tell(control->entry, &control->facts);
    return 0;
}

int arena_create(struct arena **out, const struct arena_options *options)
{
    struct arena_options known;
    struct zf_placement placement;
    struct zf_warmup_wishes wishes;
    struct arena_page *page;
    int error;
    if (out == NULL)
        return -EINVAL;
    *out = NULL;
    if (options == NULL)
        return -EINVAL;
    error = zf_options_take(&known, sizeof known, options);
    if (error == 0)
        error = check_options(&known);
    if (error != 0)
        return error;
    error = zf_arena_placement(&known, &placement);
    if (error != 0)
        return error;
    wishes = wishes_of(&known, &placement);
    error = create_page(&page, &wishes);
    if (error != 0)
        return error;
    error = fill_page(page, &known, &wishes, &placement);
    if (error != 0) {
        destroy_page(page);
        return error;
    }
    ZF_ASSERT(zf_arena_is_valid(&page->head));
    *out = &page->head;
    return 0;
}

void arena_destroy(struct arena *arena)
{
    struct arena_control *control;
    if (arena == NULL || zf_arena_is_wiped(arena) || zf_arena_is_carved(arena))
        return;
    ZF_ASSERT(zf_arena_is_valid(arena));
    control = arena->control;
    zf_registry_remove(control->entry);
    zf_region_destroy(&control->region);
    destroy_page((struct arena_page *)arena);
}

/* --------------------------------------------------------------------------------------- warmup */

/* The head's page has no report of its own: what could be refused there is refused for the arena
 * too. */
static int warm_page(struct arena_control *control, const struct warmup_options *options)
{
    struct zf_warmup_wishes wishes = zf_arena_page_wishes(&control->wishes);
    struct warmup_options quiet = *options;
    struct warmup_report report;
    wishes.beside = true;
    quiet.progress = NULL;
    quiet.cancel = NULL;
    return zf_warmup_region(&control->control_region, &wishes, &quiet, &report);
}

/* For who asks later why a page of this arena faulted. A fork during the warmup may undo it. */
static void tell_warmed(struct arena_control *control, struct zf_os_forks forks, int error,
                        const struct warmup_report *report)
{
    struct zf_registry_facts *facts = &control->facts;
    ++facts->warmups;
    facts->warm_error = error;
    facts->warm_bytes = error == 0 ? control->region.size_bytes : 0;
    facts->huge_bytes = error == 0 ? report->huge_pages.granted_bytes : 0;
    facts->forks = forks;
    zf_machine_vmstat("", &facts->vmstat);
    zf_registry_tell(control->entry, facts);
}

int zf_arena_warm(struct arena_control *control, const struct warmup_options *options,
                  struct warmup_report *report)
{
    struct zf_os_forks forks = zf_os_forks();
    struct zf_warmup_wishes wishes = control->wishes;
    int error;
    wishes.forked = zf_arena_forks(control) != 0;
    error = zf_warmup_region(&control->region, &wishes, options, report);
    if (error == 0)
        error = warm_page(control, options);
    tell_warmed(control, forks, error, report);
    memcpy(report->name, control->name, sizeof report->name);
    report->result = error;
    return error;
}

int arena_warmup(struct arena *arena, const struct warmup_options *options,
                 struct warmup_report *report)
{
    struct warmup_options known_options;
    struct warmup_report known_report;
    int error;
    if (arena == NULL || zf_arena_is_wiped(arena) || zf_arena_is_carved(arena) ||
        (report != NULL && zf_result_check(report) != 0))
        return -EINVAL;
    error = zf_options_take(&known_options, sizeof known_options, options);
    if (error == 0 && known_options.threads > WARMUP_THREADS_MAX)
        error = -EINVAL;
    if (error != 0)
        return error;
    if (zf_tripwire_armed())
        return -EBUSY;
    ZF_ASSERT(zf_arena_is_valid(arena));
    error = zf_arena_warm(arena->control, &known_options, &known_report);
    if (report != NULL)
        zf_result_give(report, &known_report, sizeof known_report);
    ZF_ASSERT(zf_arena_is_valid(arena));
    return error;
}

/* ----------------------------------------------------------------------------- refusal, queries */

void *arena_refuse(struct arena *arena, size_t size_bytes, size_t alignment)
{
    (void)alignment;
    ++arena->refused_count;
    zf_tripwire_refused(size_bytes);
    return NULL;
}

int arena_stats(const struct arena *arena, struct arena_statistics *stats)
{
    struct arena_statistics known = ARENA_STATISTICS_INIT;
    if (arena == NULL || zf_arena_is_wiped(arena) || zf_result_check(stats) != 0)
        return -EINVAL;
    ZF_ASSERT(zf_arena_is_valid(arena));
    known.capacity_bytes = arena->end - arena->begin;
    known.used_bytes = arena->next - arena->begin;
    known.peak_bytes = zf_max(arena->peak, arena->next) - arena->begin;
    known.warm_bytes = zf_min(arena->control->facts.warm_bytes, known.capacity_bytes);
    known.refused_count = arena->refused_count;
    zf_result_give(stats, &known, sizeof known);
    return 0;
}

const char *arena_name(const struct arena *arena)
{
    if (zf_arena_is_wiped(arena))
        return "";
    ZF_ASSERT(zf_arena_is_valid(arena));
    return arena->control->name;
}
