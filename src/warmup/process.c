/*
 * Warms what a hot loop touches outside of arenas, part by part, and proves it; see process.h.
 *
 * Each part is one function that makes its memory present and changes nothing, so it can be run
 * again: the first round is the warmup, the next ones are the proof, in which all parts together
 * must take no fault. No part believes a return value: a populate that says yes and does nothing is
 * found out on a page of our own beforehand, and then every page is touched instead. Data is
 * populated for writing, or touched by an atomic add of nothing, so other threads may use it
 * meanwhile. What belongs to the system (which objects, which stack, which heap) is asked of it.
 */
#include <zerofault/process.h>

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/options.h"
#include "base/sanitize.h"
#include "base/tripwire.h"
#include "os/os.h"
#include "warmup/process_run.h"
#include "warmup/run.h"

#define STACK_BYTES_DEFAULT ((size_t)256 << 10)
#define HEAP_BYTES_DEFAULT ((size_t)1 << 20)
#define THREAD_HEAP_BYTES_DEFAULT ((size_t)64 << 10)
#define SIZE_BYTES_MAX (SIZE_MAX >> 2) /* beyond any address space; keeps sums from overflowing */

/* The second round mends what moved during the first; the third has to be clean. */
#define PROOF_ROUNDS_MAX 2

/* --------------------------------------------------------------------------------------- ranges */

ZF_UNINSTRUMENTED static void read_pages(const volatile unsigned char *base, size_t size_bytes,
                                         size_t page_bytes)
{
    for (size_t offset = 0; offset < size_bytes; offset += page_bytes)
        (void)base[offset];
}

/* The -errno of populating; a system that does not know the call gets its pages touched. */
static int make_present(struct zf_process_run *run, void *base, size_t size_bytes, bool writable)
{
    int rc = -EOPNOTSUPP;
    if (!run->touch)
        rc = writable ? zf_os_populate(base, size_bytes) : zf_os_populate_read(base, size_bytes);
    if (rc != -EOPNOTSUPP)
        return rc;
    run->touch = true;
    if (writable)
        zf_warmup_touch(base, size_bytes, run->page_bytes);
    else
        read_pages(base, size_bytes, run->page_bytes);
    return 0;
}

static uint64_t faults_between(const struct zf_os_counters *before,
                               const struct zf_os_counters *after)
{
    ZF_ASSERT(after->faults_minor >= before->faults_minor);
    return after->faults_minor - before->faults_minor + after->faults_major - before->faults_major;
}

int zf_process_warm_range(struct zf_process_run *run, void *base, size_t size_bytes, bool writable)
{
    struct zf_os_counters before, after;
    int rc;
    ZF_ASSERT(base != NULL);
    ZF_ASSERT(size_bytes % run->page_bytes == 0);
    if (size_bytes == 0)
        return 0;
    /* Right around the call, so that nothing but the range is counted. */
    zf_os_counters(&before);
    rc = make_present(run, base, size_bytes, writable);
    zf_os_counters(&after);
    run->faults += faults_between(&before, &after);
    return rc;
}

/* Populate a page of our own: if touching it still faults, nothing was populated. A system that
 * does not know the call is found out at its first use. */
static bool populate_does_nothing(size_t page_bytes)
{
    struct zf_os_counters before, after;
    void *page;
    bool nothing = false;
    if (zf_os_reserve(page_bytes, page_bytes, &page) != 0)
        return false;
    if (zf_os_commit(page, page_bytes) == 0 && zf_os_populate(page, page_bytes) == 0) {
        zf_os_counters(&before);
        zf_warmup_touch(page, page_bytes, page_bytes);
        zf_os_counters(&after);
        nothing = after.faults_minor != before.faults_minor;
    }
    (void)zf_os_release(page, page_bytes);
    return nothing;
}

/* ---------------------------------------------------------------------------------------- parts */

/* A walk over stretches of memory that adds up what it was granted. */
struct walk {
    struct zf_process_run *run;
    struct process_item *item;
    bool writable; /* which stretches are meant */
    int error;     /* first one; a stretch that is refused does not keep the next ones from it */
};

static int warm_image(const struct zf_os_image *image, void *context)
{
    struct walk *walk = context;
    int rc;
    if (image->writable != walk->writable)
        return 0;
    rc = zf_process_warm_range(walk->run, image->base, image->size_bytes, image->writable);
    walk->item->asked_bytes += image->size_bytes;
    walk->item->granted_bytes += rc == 0 ? image->size_bytes : 0;
    if (walk->error == 0)
        walk->error = rc;
    return 0;
}

static int warm_code(struct zf_process_run *run, struct process_item *item)
{
    struct walk walk = {.run = run, .item = item, .writable = false};
    int rc = zf_os_each_image(warm_image, &walk);
    return rc != 0 ? rc : walk.error;
}

struct need {
    size_t size_bytes;
    size_t missing_bytes;
};

/* What writing to a stretch will take: all that is not there yet, and at most the whole of it. */
static int add_missing(const struct zf_os_image *image, void *context)
{
    struct need *need = context;
    struct zf_os_residency residency = {0};
    if (!image->writable)
        return 0;
    (void)zf_os_residency(image->base, image->size_bytes, &residency);
    need->size_bytes += image->size_bytes;
    need->missing_bytes += image->size_bytes - residency.present_bytes;
    return 0;
}

/* A table of gigabytes may be static, and larger than the memory that is left. */
static int check_data(struct process_item *item)
{
    struct need need = {0};
    int rc = zf_os_each_image(add_missing, &need);
    if (rc == 0)
        rc = zf_process_check_memory(need.missing_bytes);
    if (rc != 0)
        item->asked_bytes = need.size_bytes;
    return rc;
}

static int warm_data(struct zf_process_run *run, struct process_item *item)
{
    struct walk walk = {.run = run, .item = item, .writable = true};
    int rc = check_data(item);
    if (rc == 0)
        rc = zf_os_each_image(warm_image, &walk);
    return rc != 0 ? rc : walk.error;
}

static int warm_tls(struct zf_process_run *run, struct process_item *item)
{
    struct walk walk = {.run = run, .item = item, .writable = true};
    int rc = zf_os_each_thread_local(warm_image, &walk);
    return rc != 0 ? rc : walk.error;
}

static int warm_clock(struct zf_process_run *run, struct process_item *item)
{
    struct zf_os_counters before, after;
    (void)item;
    zf_os_counters(&before);
    zf_os_clocks_use();
    zf_os_counters(&after);
    run->faults += faults_between(&before, &after);
    return 0;
}

/* --------------------------------------------------------------------------------------- rounds */

struct part {
    size_t offset; /* of its item in the report */
    zf_process_step *warm;
    const char *(*remedy)(int error);
    bool once; /* not to be repeated for the proof */
};

/* In the order in which they run. Locking comes when all else is there. */
static const struct part parts[] = {
    {offsetof(struct process_report, code), warm_code, zf_process_remedy_image, false},
    {offsetof(struct process_report, data), warm_data, zf_process_remedy_image, false},
    {offsetof(struct process_report, tls), warm_tls, zf_process_remedy_tls, false},
    {offsetof(struct process_report, heap), zf_process_heap, zf_process_remedy_heap, false},
    {offsetof(struct process_report, stack), zf_process_stack, zf_process_remedy_stack, false},
    {offsetof(struct process_report, clock), warm_clock, zf_process_remedy_clock, false},
    {offsetof(struct process_report, lock), zf_process_lock, zf_process_remedy_lock, true},
    {offsetof(struct process_report, binding), zf_process_binding, zf_process_remedy_binding, true},
};
#define PARTS_COUNT (sizeof parts / sizeof parts[0])

static struct process_item *item_of(const struct zf_process_run *run, const struct part *part)
{
    return (struct process_item *)(void *)((unsigned char *)run->report + part->offset);
}

static void run_part(struct zf_process_run *run, const struct part *part)
{
    struct process_item *item = item_of(run, part);
    ZF_ASSERT(item->asked == WARMUP_PREFER || item->asked == WARMUP_REQUIRE);
    item->asked_bytes = 0;
    item->granted_bytes = 0;
    run->faults = 0;
    item->error = part->warm(run, item);
    ZF_ASSERT(item->granted_bytes <= item->asked_bytes);
}

static void warm_parts(struct zf_process_run *run)
{
    for (size_t i = 0; i < PARTS_COUNT; ++i) {
        struct process_item *item = item_of(run, &parts[i]);
        struct zf_os_counters before, after;
        uint64_t start_ns = zf_os_clock_ns();
        if (item->asked == WARMUP_OFF)
            continue;
        zf_os_counters(&before);
        run_part(run, &parts[i]);
        zf_os_counters(&after);
        item->faults = faults_between(&before, &after);
        item->spent_ns = zf_os_clock_ns() - start_ns;
    }
}

/* One more round over all parts; the faults that their ranges took. */
static uint64_t prove_parts(struct zf_process_run *run)
{
    uint64_t faults = 0;
    for (size_t i = 0; i < PARTS_COUNT; ++i) {
        struct process_item *item = item_of(run, &parts[i]);
        if (item->asked == WARMUP_OFF || parts[i].once)
            continue;
        run_part(run, &parts[i]);
        if (run->faults != 0 && item->error == 0)
            item->error = -EFAULT;
        faults += run->faults;
    }
    return faults;
}

/* --------------------------------------------------------------------------------------- report */

static int result_of(struct zf_process_run *run)
{
    int result = 0;
    for (size_t i = 0; i < PARTS_COUNT; ++i) {
        struct process_item *item = item_of(run, &parts[i]);
        item->remedy = parts[i].remedy(item->error);
        ZF_ASSERT((item->error == 0) == (item->remedy == NULL));
        if (result == 0 && item->asked == WARMUP_REQUIRE)
            result = item->error;
    }
    return result;
}

static int run_all(struct zf_process_run *run)
{
    struct process_report *report = run->report;
    struct zf_os_counters before, after;
    int counting_error = zf_warmup_check_counting(run->page_bytes);
    zf_os_counters(&before);
    run->touch = populate_does_nothing(run->page_bytes);
    warm_parts(run);
    for (int round = 0; round < PROOF_ROUNDS_MAX; ++round) {
        report->proof_faults = prove_parts(run);
        if (report->proof_faults == 0)
            break;
    }
    zf_os_counters(&after);
    report->faults_minor = after.faults_minor - before.faults_minor;
    report->faults_major = after.faults_major - before.faults_major;
    report->proven = report->proof_faults == 0 && counting_error == 0;
    report->result = result_of(run);
    return report->result;
}

/* Run with a report of our own, and give back what the caller has room for. */
static int run_and_report(struct zf_process_run *run, struct process_report *given)
{
    int rc;
    run->page_bytes = zf_os_page_bytes();
    run->report->thread_id = zf_os_thread_id();
    rc = zf_align_up(run->stack_bytes, run->page_bytes, &run->stack_bytes) ? run_all(run) : -EINVAL;
    run->report->result = rc;
    if (given != NULL)
        zf_result_give(given, run->report, sizeof *run->report);
    return rc;
}

/* -------------------------------------------------------------------------------------- options */

/* Settle one wish; false when it is none. */
static bool settle(struct process_item *item, enum warmup_wish asked, enum warmup_wish by_default)
{
    item->asked = asked == WARMUP_DEFAULT ? by_default : asked;
    return (unsigned)asked <= WARMUP_REQUIRE;
}

static size_t size_or(size_t size_bytes, size_t default_bytes)
{
    return size_bytes == 0 ? default_bytes : size_bytes;
}

/* What both calls check before they look at their options. */
static int check_call(const struct process_report *report)
{
    if (report != NULL && zf_result_check(report) != 0)
        return -EINVAL;
    return zf_tripwire_armed() ? -EBUSY : 0;
}

int process_warmup(const struct process_warmup_options *options, struct process_report *report)
{
    struct process_report filled = PROCESS_REPORT_INIT;
    struct zf_process_run run = {.report = &filled};
    struct process_warmup_options known;
    int rc = check_call(report);
    if (rc == 0)
        rc = zf_options_take(&known, sizeof known, options);
    if (rc != 0)
        return rc;
    if (!settle(&filled.code, known.code, WARMUP_REQUIRE) ||
        !settle(&filled.data, known.data, WARMUP_REQUIRE) ||
        !settle(&filled.tls, known.tls, WARMUP_REQUIRE) ||
        !settle(&filled.heap, known.heap, WARMUP_PREFER) ||
        !settle(&filled.stack, known.stack, WARMUP_REQUIRE) ||
        !settle(&filled.clock, known.clock, WARMUP_REQUIRE) ||
        !settle(&filled.lock, known.lock, WARMUP_OFF) ||
        !settle(&filled.binding, known.binding, WARMUP_PREFER))
        return -EINVAL;
    run.stack_bytes = size_or(known.stack_bytes, STACK_BYTES_DEFAULT);
    run.heap_bytes = size_or(known.heap_bytes, HEAP_BYTES_DEFAULT);
    if (run.stack_bytes > SIZE_BYTES_MAX || run.heap_bytes > SIZE_BYTES_MAX)
        return -EINVAL;
    return run_and_report(&run, report);
}

int thread_warmup(const struct thread_warmup_options *options, struct process_report *report)
{
    struct process_report filled = PROCESS_REPORT_INIT;
    struct zf_process_run run = {.report = &filled};
    struct thread_warmup_options known;
    int rc = check_call(report);
    if (rc == 0)
        rc = zf_options_take(&known, sizeof known, options);
    if (rc != 0)
        return rc;
    filled.code.asked = WARMUP_OFF;
    filled.data.asked = WARMUP_OFF;
    filled.clock.asked = WARMUP_OFF;
    filled.lock.asked = WARMUP_OFF;
    filled.binding.asked = WARMUP_OFF;
    if (!settle(&filled.tls, known.tls, WARMUP_REQUIRE) ||
        !settle(&filled.heap, known.heap, WARMUP_PREFER) ||
        !settle(&filled.stack, known.stack, WARMUP_REQUIRE))
        return -EINVAL;
    run.stack_bytes = size_or(known.stack_bytes, STACK_BYTES_DEFAULT);
    run.heap_bytes = size_or(known.heap_bytes, THREAD_HEAP_BYTES_DEFAULT);
    if (run.stack_bytes > SIZE_BYTES_MAX || run.heap_bytes > SIZE_BYTES_MAX)
        return -EINVAL;
    return run_and_report(&run, report);
}
