/*
 * Attaching a thread to its guard, and all the ways in which that ends: detach, thread exit,
 * fork.
 *
 * The invariant: the calling thread's view (the two pointers that begin and end follow) points
 * either to a complete guard or to the table of slots that belong to nobody, where every begin
 * and end takes the long way. A guard is put in view only after its ring is open and its memory
 * is warm, and it is trusted only after a deliberate fault was seen.
 */
#include "hot/thread.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "base/options.h"
#include "hot/section.h"
#include "hot/table.h"

#define DEFAULT_RING_BYTES (32u << 10) /* 819 faults: far more than a section should ever see */
#define RING_BYTES_MAX (64u << 20)

static const uint64_t nobodys_head = 0;
static struct hot_slot nobodys_slots[ZF_HOT_SLOTS];

ZEROFAULT_THREAD_LOCAL struct hot_thread_view hot_thread_view = {&nobodys_head,
                                                                 (unsigned char *)nobodys_slots};

/* Outside of the guard's own memory, which a child of fork finds wiped. */
static ZEROFAULT_THREAD_LOCAL struct zf_hot_thread *self;
static ZEROFAULT_THREAD_LOCAL size_t self_bytes;
static ZEROFAULT_THREAD_LOCAL int self_ring_handle = -1;

/* ------------------------------------------------------------------------------------ tripwire */

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
        if (thread->slots[index].head != HOT_SLOT_CLOSED) {
            thread->tallies[index].request_bytes = request_bytes;
            zf_hot_raise(thread, index, HOT_REFUSED);
        }
}

static bool is_armed(struct zf_tripwire *tripwire)
{
    return tripwire != NULL && hot_sections_open() > 0;
}

/* ------------------------------------------------------------------------------- in and out of
 * view */

static void put_in_view(struct zf_hot_thread *thread)
{
    self = thread;
    self_bytes = thread->size_bytes;
    self_ring_handle = zf_hot_has_ring(thread) ? thread->ring.handle : -1;
    hot_thread_view.ring_head = zf_hot_has_ring(thread) ? thread->ring.head : &nobodys_head;
    hot_thread_view.slots = (unsigned char *)thread->slots;
    zf_tripwire = &thread->tripwire;
}

static void put_out_of_view(void)
{
    hot_thread_view.ring_head = &nobodys_head;
    hot_thread_view.slots = (unsigned char *)nobodys_slots;
    zf_tripwire = NULL;
    self = NULL;
}

/* In a child of fork: the guard's memory is zeros (or a copy, where the system cannot wipe), the
 * ring is not mapped, its handle still is the parent's. */
static void forget_inherited(void)
{
    struct zf_hot_thread *thread = self;
    if (thread == NULL)
        return;
    put_out_of_view();
    if (self_ring_handle >= 0)
        zf_os_fault_ring_abandon(self_ring_handle);
    (void)zf_os_release(thread, self_bytes);
}

static void in_fork_child(void)
{
    zf_hot_table_forget();
    forget_inherited();
}

struct zf_hot_thread *zf_hot_thread_self(void)
{
    if (self != NULL && self->magic != ZF_HOT_MAGIC)
        in_fork_child(); /* a bare clone system call, which runs no fork handlers */
    return self;
}

struct zf_hot_thread *zf_hot_thread_require(void)
{
    if (zf_hot_thread_self() == NULL)
        (void)hot_thread_attach(NULL, NULL);
    return self;
}

/* --------------------------------------------------------------------------------------- attach */

/* The guard's own memory must not fault either. */
static int allocate(struct zf_hot_thread **out, struct hot_thread_report *report)
{
    struct zf_hot_thread *thread;
    size_t size_bytes = sizeof *thread;
    void *base;
    int error;
    if (!zf_align_up(size_bytes, zf_os_page_bytes(), &size_bytes))
        return -ENOMEM;
    error = zf_os_reserve(size_bytes, zf_os_page_bytes(), &base);
    if (error != 0)
        return error;
    error = zf_os_commit(base, size_bytes);
    if (error != 0) {
        (void)zf_os_release(base, size_bytes);
        return error;
    }
    (void)zf_os_advise(base, size_bytes, ZF_OS_FORK_WIPE); /* else the fork handler alone must do */
    (void)zf_os_name(base, size_bytes, "zerofault guard");
    memset(base, 0, size_bytes);
    report->lock_error = zf_os_lock(base, size_bytes);
    thread = base;
    thread->size_bytes = size_bytes;
    for (uint32_t index = 0; index < ZF_HOT_SLOTS; ++index)
        thread->slots[index].head = HOT_SLOT_CLOSED;
    *out = thread;
    return 0;
}

static void deallocate(struct zf_hot_thread *thread)
{
    if (zf_hot_has_ring(thread))
        zf_os_fault_ring_close(&thread->ring);
    thread->magic = 0;
    (void)zf_os_release(thread, thread->size_bytes);
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

/* Open what the source needs, falling back where the caller left the choice. */
static int choose_source(struct zf_hot_thread *thread, const struct hot_thread_options *options,
                         struct hot_thread_report *report)
{
    size_t ring_bytes = options->ring_bytes == 0 ? DEFAULT_RING_BYTES : options->ring_bytes;
    thread->source = HOT_SOURCE_RUSAGE;
    if (options->source == HOT_SOURCE_RUSAGE)
        return 0;
    report->ring_error = zf_os_fault_ring_open(&thread->ring, ring_bytes);
    if (report->ring_error != 0)
        return options->source == HOT_SOURCE_AUTO ? 0 : report->ring_error;
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
    zf_os_fork_in_child(in_fork_child);
    error = zf_os_thread_at_exit(at_thread_exit, thread);
    if (error != 0)
        return error;
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
    int error = allocate(&thread, report);
    if (error != 0)
        return error;
    error = choose_source(thread, options, report);
    if (error == 0)
        error = enter(thread);
    if (error != 0) {
        deallocate(thread);
        return error;
    }
    report->active = thread->source;
    report->self_tested = hot_guard_is_live();
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
    if (report != NULL)
        zf_result_give(report, &result, sizeof result);
    return error;
}

void hot_thread_detach(void)
{
    struct zf_hot_thread *thread = zf_hot_thread_self();
    if (thread == NULL)
        return;
    for (uint32_t index = 1; index < zf_hot_table_end(); ++index)
        if (thread->slots[index].head != HOT_SLOT_CLOSED)
            zf_hot_abandon(thread, index);
    leave(thread);
}

enum hot_source hot_source_active(void)
{
    const struct zf_hot_thread *thread = zf_hot_thread_self();
    return thread == NULL ? HOT_SOURCE_NONE : thread->source;
}
