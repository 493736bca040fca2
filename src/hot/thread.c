/*
 * Attaching a thread to its guard, and all the ways in which that ends: detach, thread exit,
 * fork.
 *
 * The invariant: the calling thread's table points either to a complete guard or to the table of
 * slots that belong to nobody, where every begin and end takes the long way. A guard is put in
 * view only after its ring is open and its memory is warm, and it is trusted only after a
 * deliberate fault was seen.
 */
#include "hot/thread.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/options.h"
#include "hot/chains.h"
#include "hot/durations.h"
#include "hot/inherited.h"
#include "hot/section.h"
#include "hot/self_test.h"
#include "hot/syscalls.h"
#include "hot/table.h"
#include "hot/watch.h"

#define DEFAULT_RING_BYTES (32u << 10) /* 819 faults: far more than a section should ever see */
#define RING_BYTES_MAX (64u << 20)

/* The table of a thread without a guard: slots that are nobody's, and a head that never moves. */
static _Alignas(64) unsigned char nobodys_table[HOT_RING_HEAD_BYTES + sizeof(uint64_t)];

ZEROFAULT_THREAD_LOCAL unsigned char *hot_thread_table = nobodys_table;

static_assert(ZF_HOT_SLOTS * sizeof(struct hot_slot) <= HOT_TABLE_BYTES,
              "every slot has its place");
static_assert(HOT_RING_HEAD_BYTES == HOT_TABLE_BYTES + ZF_OS_FAULT_RING_HEAD_BYTES,
              "the ring's head is where the inline functions look for it");

/* Outside of the guard's own memory, which a child of fork finds wiped. */
ZEROFAULT_THREAD_LOCAL struct zf_hot_thread *zf_hot_self;

/* ------------------------------------------------------------------------------------- tripwire */

static struct zf_hot_thread *of_tripwire(struct zf_tripwire *tripwire)
{
    return (struct zf_hot_thread *)(void *)((unsigned char *)tripwire -
                                            offsetof(struct zf_hot_thread, tripwire));
}

/* A refusal belongs to every section that is open, as a fault does. */
static void on_refused(struct zf_tripwire *tripwire, size_t request_bytes)
{
    struct zf_hot_thread *thread = of_tripwire(tripwire);
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (zf_hot_is_counting(thread, index)) {
            thread->tallies[index].request_bytes = request_bytes;
            zf_hot_raise(thread, index, HOT_REFUSED);
        }
}

static bool is_armed(struct zf_tripwire *tripwire)
{
    return tripwire != NULL && hot_sections_open() > 0;
}

/* --------------------------------------------------------------------------- in and out of view */

static void put_in_view(struct zf_hot_thread *thread)
{
    zf_hot_self = thread;
    hot_thread_table = thread->table;
    zf_tripwire = &thread->tripwire;
}

static void put_out_of_view(void)
{
    hot_thread_table = nobodys_table;
    zf_tripwire = NULL;
    zf_hot_self = NULL;
}

/* In a child of fork: every guard's memory is zeros (or a copy, where the system cannot wipe), the
 * rings are not mapped, their handles still are the parent's. */
static void in_fork_child(void)
{
    zf_hot_table_forget();
    put_out_of_view();
    zf_hot_inherited_give_back();
}

struct zf_hot_thread *zf_hot_thread_self(void)
{
    if (zf_hot_self != NULL && zf_hot_self->magic != ZF_HOT_MAGIC) {
        zf_os_fork_noticed(); /* a bare clone system call, which runs no fork handlers */
        in_fork_child();
    }
    return zf_hot_self;
}

struct zf_hot_thread *zf_hot_thread_require(void)
{
    if (zf_hot_thread_self() == NULL)
        (void)hot_thread_attach(NULL, NULL);
    return zf_hot_self;
}

/* --------------------------------------------------------------------------------------- attach */

/* Where the parts of a guard's range are. */
struct layout {
    size_t ring_bytes;   /* of range for the ring, behind the table */
    size_t thread_bytes; /* of pages for the struct, behind the ring */
    size_t range_bytes;  /* of all */
};

static struct layout lay_out(const struct hot_thread_options *options)
{
    struct layout layout = {0};
    size_t data_bytes = options->ring_bytes == 0 ? DEFAULT_RING_BYTES : options->ring_bytes;
    bool fits = zf_align_up(sizeof(struct zf_hot_thread), zf_os_page_bytes(), &layout.thread_bytes);
    ZF_ASSERT(fits);
    ZF_ASSERT(HOT_TABLE_BYTES % zf_os_page_bytes() == 0);
    (void)fits;
    layout.ring_bytes = zf_os_fault_ring_range(data_bytes);
    layout.range_bytes = HOT_TABLE_BYTES + layout.ring_bytes + layout.thread_bytes;
    return layout;
}

/* Make a part of the range usable, warm, and gone in a child of fork. */
static int prepare(unsigned char *base, size_t size_bytes, struct hot_thread_report *report)
{
    int error = zf_os_commit(base, size_bytes);
    int lock_error;
    if (error != 0)
        return error;
    (void)zf_os_advise(base, size_bytes, ZF_OS_FORK_WIPE); /* else the fork handler alone must do */
    (void)zf_os_name(base, size_bytes, "zerofault guard");
    memset(base, 0, size_bytes);
    lock_error = zf_os_lock(base, size_bytes);
    if (report->lock_error == 0)
        report->lock_error = lock_error;
    return 0;
}

static int prepare_range(unsigned char *base, const struct layout *layout,
                         struct hot_thread_report *report)
{
    int error = prepare(base, HOT_TABLE_BYTES, report);
    if (error == 0)
        error = prepare(base + HOT_TABLE_BYTES + layout->ring_bytes, layout->thread_bytes, report);
    return error;
}

/* The guard's own memory must not fault either. */
static int allocate(struct zf_hot_thread **out, const struct hot_thread_options *options,
                    struct hot_thread_report *report)
{
    struct layout layout = lay_out(options);
    struct zf_hot_thread *thread;
    void *base;
    int error = zf_os_reserve(layout.range_bytes, zf_os_page_bytes(), &base);
    if (error != 0)
        return error;
    report->lock_error = 0;
    error = prepare_range(base, &layout, report);
    if (error != 0) {
        (void)zf_os_release(base, layout.range_bytes);
        return error;
    }
    thread = (struct zf_hot_thread *)(void *)((unsigned char *)base + HOT_TABLE_BYTES +
                                              layout.ring_bytes);
    thread->table = base;
    thread->range_bytes = layout.range_bytes;
    for (uint32_t index = 0; index < ZF_HOT_SLOTS; ++index)
        zf_hot_slot(thread, index)->head = HOT_SLOT_CLOSED;
    *out = thread;
    return 0;
}

static void deallocate(struct zf_hot_thread *thread)
{
    zf_hot_inherited_strike(thread);
    zf_hot_watch_close(thread);
    if (zf_hot_has_ring(thread))
        zf_os_fault_ring_close(&thread->ring);
    for (uint32_t index = 1; index < ZF_HOT_SLOTS; ++index)
        zf_hot_durations_close(&thread->tallies[index]);
    thread->magic = 0;
    (void)zf_os_release(thread->table, thread->range_bytes);
}

static const char *ring_remedy(int error)
{
    switch (error) {
    case 0:
        return NULL;
    case -EACCES:
    case -EPERM:
        return "Set kernel.perf_event_paranoid to 2 or less, or allow perf_event_open in the "
               "container's seccomp profile.";
    case -EMFILE:
    case -ENFILE:
        return "Raise RLIMIT_NOFILE: each hot thread needs one file descriptor.";
    case -ENOMEM:
        return "Raise kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK, or attach with a smaller "
               "ring_bytes.";
    case -EIO:
        return "The ring opened but saw no fault, as under an emulator; only getrusage is to be "
               "trusted here.";
    default:
        return "This system has no usable page-fault events; faults are counted by getrusage, "
               "without addresses.";
    }
}

static const char *blind_spot(enum hot_source source, uint32_t watched)
{
    bool kernel = (watched & HOT_WATCH_KERNEL_FAULTS) != 0;
    switch (source) {
    case HOT_SOURCE_RING:
        if (kernel)
            return "Faults that the kernel resolves without an exception (mlock, direct I/O) are "
                   "not seen; HOT_SOURCE_BOTH counts them.";
        return "Page faults inside system calls are not seen; HOT_SOURCE_BOTH counts them.";
    case HOT_SOURCE_RUSAGE:
        return "Every fault is counted, but its address and instruction are unknown.";
    case HOT_SOURCE_BOTH:
        if (kernel)
            return "Faults that the kernel resolves without an exception (mlock, direct I/O) are "
                   "counted, but their addresses are unknown.";
        return "Faults inside system calls are counted, but their addresses are unknown.";
    default:
        return "Nothing is seen: no guard is attached.";
    }
}

/* What stands where the ring would be: a head that never moves. */
static int stand_in(struct zf_hot_thread *thread, struct hot_thread_report *report)
{
    thread->source = HOT_SOURCE_RUSAGE;
    return prepare(thread->table + HOT_TABLE_BYTES, zf_os_page_bytes(), report);
}

/* Open the ring, without the faults inside system calls where only those are refused. */
static int open_ring(struct zf_hot_thread *thread, const struct hot_thread_options *options)
{
    size_t data_bytes = options->ring_bytes == 0 ? DEFAULT_RING_BYTES : options->ring_bytes;
    void *place = thread->table + HOT_TABLE_BYTES;
    bool kernel = ((options->watch | options->required) & HOT_WATCH_KERNEL_FAULTS) != 0;
    int error = zf_os_fault_ring_open(&thread->ring, place, data_bytes, kernel);
    thread->kernel_error = error;
    if (error != 0 && kernel)
        error = zf_os_fault_ring_open(&thread->ring, place, data_bytes, false);
    return error;
}

/* Open what the source needs, falling back where the caller left the choice. */
static int choose_source(struct zf_hot_thread *thread, const struct hot_thread_options *options,
                         struct hot_thread_report *report)
{
    uint32_t watch = options->watch | options->required;
    thread->source = HOT_SOURCE_RUSAGE;
    if (options->source == HOT_SOURCE_RUSAGE)
        return stand_in(thread, report);
    if ((watch & HOT_WATCH_CALL_CHAINS) != 0)
        zf_hot_chains_prepare(thread, (watch & HOT_WATCH_KERNEL_FAULTS) != 0);
    report->ring_error = open_ring(thread, options);
    if (report->ring_error != 0)
        return options->source == HOT_SOURCE_AUTO ? stand_in(thread, report) : report->ring_error;
    thread->source = options->source == HOT_SOURCE_BOTH ? HOT_SOURCE_BOTH : HOT_SOURCE_RING;
    return 0;
}

static void at_thread_exit(void *context)
{
    (void)context;
    hot_thread_detach();
}

static int enter(struct zf_hot_thread *thread)
{
    int error;
    thread->tripwire.refused = on_refused;
    thread->tripwire.armed = is_armed;
    thread->thread_id = zf_os_thread_id();
    zf_hot_origin_take(&thread->origin);
    (void)zf_os_clock_ns(); /* the clock's pages are this guard's business, not a section's */
    zf_os_fork_in_child(in_fork_child);
    error = zf_os_thread_at_exit(at_thread_exit, thread);
    if (error == 0)
        error = zf_hot_inherited_note(thread);
    if (error != 0)
        return error;
    zf_hot_forget_missed();
    thread->magic = ZF_HOT_MAGIC;
    zf_hot_table_add(thread);
    put_in_view(thread);
    return 0;
}

static void leave(struct zf_hot_thread *thread)
{
    put_out_of_view();
    (void)zf_os_thread_at_exit(NULL, NULL);
    zf_hot_table_remove(thread);
    deallocate(thread);
}

static int attach(const struct hot_thread_options *options, struct hot_thread_report *report)
{
    struct zf_hot_thread *thread;
    int error = allocate(&thread, options, report);
    if (error != 0)
        return error;
    error = choose_source(thread, options, report);
    if (error == 0)
        error = zf_hot_watch_open(thread, options->watch, options->required, report);
    if (error == 0)
        error = enter(thread);
    if (error != 0) {
        deallocate(thread);
        return error;
    }
    report->active = thread->source;
    report->self_tested = zf_hot_self_test_passes();
    if (!report->self_tested) {
        leave(thread);
        return -EIO;
    }
    return 0;
}

static int check_options(const struct hot_thread_options *options)
{
    if ((unsigned)options->source > HOT_SOURCE_BOTH || options->ring_bytes > RING_BYTES_MAX)
        return -EINVAL;
    if (((options->watch | options->required) >> HOT_WATCH_COUNT) != 0)
        return -EINVAL;
    return 0;
}

int hot_thread_attach(const struct hot_thread_options *options, struct hot_thread_report *report)
{
    struct hot_thread_options known;
    struct hot_thread_report result = HOT_THREAD_REPORT_INIT;
    int error;
    if (report != NULL && zf_result_check(report) != 0)
        return -EINVAL;
    error = zf_options_take(&known, sizeof known, options);
    if (error == 0)
        error = check_options(&known);
    if (error != 0)
        return error;
    if (zf_hot_thread_self() != NULL)
        return -EALREADY;
    result.asked = known.source;
    result.active = HOT_SOURCE_NONE;
    error = attach(&known, &result);
    if (error == -EIO && known.source == HOT_SOURCE_AUTO) {
        /* The ring is there and blind. getrusage is the floor. */
        known.source = HOT_SOURCE_RUSAGE;
        error = attach(&known, &result);
        result.ring_error = -EIO;
    }
    if (error != 0)
        result.active = HOT_SOURCE_NONE;
    result.remedy = ring_remedy(result.ring_error);
    result.blind_to = blind_spot(result.active, result.watched);
    if (error == 0) {
        known.source = result.asked;
        zf_hot_self->options = known;
        zf_hot_self->report = result;
    }
    if (report != NULL)
        zf_result_give(report, &result, sizeof result);
    return error;
}

void hot_thread_detach(void)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    if (thread == NULL)
        return;
    (void)zf_hot_hold(thread);
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index) {
        if (zf_hot_is_open(thread, index))
            zf_hot_abandon(thread, index);
        if (zf_hot_self != thread)
            return; /* a hook has done it */
    }
    leave(thread);
}

enum hot_source hot_source_active(void)
{
    const struct zf_hot_thread *thread = zf_hot_thread_self();
    return thread == NULL ? HOT_SOURCE_NONE : thread->source;
}
