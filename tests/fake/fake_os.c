/*
 * The fake operating system; see fake_os.h.
 *
 * Ranges are private mappings of the real system, so that touching them faults and mincore tells
 * the truth; a fault is a page that became present, whoever made it so. What the real system
 * would grant or refuse by its own state (locks, huge pages, nodes, limits) is bookkeeping here.
 * Misuse of the contract aborts at once, in every build.
 */
#include "fake/fake_os.h"
#include "fake/fake_range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/sanitize.h"
#include "os/os.h"

#define RECORDS 64 /* that a ring keeps */

struct fake_os fake_os;

struct fake_range fake_ranges[RANGES_MAX];
static uint64_t earlier_faults; /* of ranges that are gone, and those made up */
static struct zf_os_fault records[RECORDS];
static uint64_t *ring_head; /* in the ring's control page; one ring at a time */
static size_t rings_count;
static void (*exit_call)(void *context);
static void *exit_context;

/* ------------------------------------------------------------------------------- knobs, queries */

void fake_os_reset(void)
{
    for (size_t i = 0; i < RANGES_MAX; ++i)
        if (fake_ranges[i].base != NULL)
            must(zf_os_release(fake_ranges[i].base, fake_ranges[i].size_bytes) == 0);
    rings_count = 0;
    exit_call = NULL;
    fake_threads_reset();
    fake_os = (struct fake_os){.huge_page_bytes = 512 * PAGE,
                               .huge_free_bytes = SIZE_MAX / 2,
                               .lockable_bytes = SIZE_MAX,
                               .available_bytes = (size_t)64 << 30,
                               .nodes_count = 1,
                               .cpus_count = 1,
                               .node_room_bytes = SIZE_MAX / 2,
                               .pools = {{.page_bytes = 1024 * PAGE}, {.page_bytes = 512 * PAGE}},
                               .failed = FAKE_CALL_COUNT};
}

/* Count a call; what it has to answer, 0 when it shall work. */
static int enter(enum fake_call call)
{
    fake_threads_switch();
    ++fake_os.calls;
    ++fake_os.made[call];
    if (fake_os.calls == fake_os.fail_call) {
        fake_os.failed = call;
        return fake_os.fail_error;
    }
    return fake_os.refuse[call];
}

int fake_os_enter(enum fake_call call)
{
    return enter(call);
}

size_t fake_os_ranges_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < RANGES_MAX; ++i)
        count += fake_ranges[i].base != NULL;
    return count;
}

static size_t flagged_bytes(const struct fake_range *range, size_t first, size_t count,
                            unsigned flag)
{
    size_t bytes = 0;
    for (size_t page = first; page < first + count; ++page)
        bytes += (range->page_flags[page] & flag) != 0 ? PAGE : 0;
    return bytes;
}

size_t fake_os_locked_bytes(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < RANGES_MAX; ++i)
        if (fake_ranges[i].base != NULL)
            bytes +=
                flagged_bytes(&fake_ranges[i], 0, fake_ranges[i].size_bytes / PAGE, PAGE_LOCKED);
    return bytes;
}

const struct fake_range *fake_os_range(const void *address)
{
    const unsigned char *byte = address;
    for (size_t i = 0; i < RANGES_MAX; ++i)
        if (fake_ranges[i].base != NULL && byte >= fake_ranges[i].base &&
            byte < fake_ranges[i].base + fake_ranges[i].size_bytes)
            return &fake_ranges[i];
    return NULL;
}

/* The range that holds all of this, for a call that needs it committed or not. */
struct fake_range *fake_range_of(const void *base, size_t size_bytes, bool committed)
{
    struct fake_range *range = (struct fake_range *)fake_os_range(base);
    size_t offset;
    must(range != NULL && size_bytes != 0);
    must(((uintptr_t)base | size_bytes) % PAGE == 0);
    offset = (size_t)((const unsigned char *)base - range->base);
    must(size_bytes <= range->size_bytes - offset);
    must(!committed || offset + size_bytes <= range->committed_bytes);
    return range;
}

size_t fake_first_page(const struct fake_range *range, const void *base)
{
    return (size_t)((const unsigned char *)base - range->base) / PAGE;
}

/* Of a range's pages, those that something has touched or populated. */
size_t fake_present_pages(const unsigned char *base, size_t size_bytes)
{
    unsigned char resident[1024];
    size_t count = 0;
    while (size_bytes != 0) {
        size_t chunk_bytes =
            size_bytes < sizeof resident * PAGE ? size_bytes : sizeof resident * PAGE;
        must(mincore((void *)(uintptr_t)base, chunk_bytes, resident) == 0);
        for (size_t page = 0; page < chunk_bytes / PAGE; ++page)
            count += resident[page] & 1;
        base += chunk_bytes;
        size_bytes -= chunk_bytes;
    }
    return count;
}

void fake_forget_faults(const unsigned char *base, size_t size_bytes)
{
    earlier_faults += fake_present_pages(base, size_bytes);
}

/* ------------------------------------------------------------------------------- address ranges */

size_t zf_os_page_bytes(void)
{
    return PAGE;
}

size_t zf_os_huge_page_bytes(void)
{
    return fake_os.huge_page_bytes;
}

int zf_os_reserve(size_t size_bytes, size_t alignment, void **base)
{
    struct fake_range *range = fake_ranges;
    size_t total_bytes = size_bytes + alignment;
    unsigned char *start;
    int rc = enter(FAKE_RESERVE);
    must(size_bytes != 0 && size_bytes % PAGE == 0);
    must(alignment >= PAGE && (alignment & (alignment - 1)) == 0);
    *base = NULL;
    if (rc != 0)
        return rc;
    while (range->base != NULL)
        must(++range < fake_ranges + RANGES_MAX);
    start = total_bytes < size_bytes
                ? MAP_FAILED
                : mmap(NULL, total_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return -ENOMEM;
    *base = start + (-(uintptr_t)start & (alignment - 1));
    munmap(start, (size_t)((unsigned char *)*base - start));
    munmap((unsigned char *)*base + size_bytes,
           (size_t)(start + total_bytes - (unsigned char *)*base) - size_bytes);
    madvise(*base, size_bytes, MADV_NOHUGEPAGE);
    *range = (struct fake_range){.base = *base, .size_bytes = size_bytes, .node = -2};
    range->page_flags = calloc(size_bytes / PAGE, 1);
    range->page_nodes = calloc(size_bytes / PAGE, 1);
    must(range->page_flags != NULL && range->page_nodes != NULL);
    return 0;
}

int zf_os_commit(void *base, size_t size_bytes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, false);
    int rc = enter(FAKE_COMMIT);
    if (rc != 0)
        return rc;
    must((unsigned char *)base == range->base + range->committed_bytes);
    range->committed_bytes += size_bytes;
    return mprotect(base, size_bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

int zf_os_release(void *base, size_t size_bytes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, false);
    must(range->base == base && range->size_bytes == size_bytes);
    earlier_faults += fake_present_pages(range->base, range->size_bytes);
    free(range->page_flags);
    free(range->page_nodes);
    memset(range, 0, sizeof *range);
    return munmap(base, size_bytes) == 0 ? 0 : -errno;
}

int zf_os_name(void *base, size_t size_bytes, const char *name)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = enter(FAKE_NAME);
    if (rc == 0)
        snprintf(range->name, sizeof range->name, "%s", name);
    return rc;
}

/* ------------------------------------------------------------------------ residency and locking */

/* Touch each page for real, and back whole huge pages while there are any. */
static void make_present(struct fake_range *range, unsigned char *base, size_t size_bytes)
{
    size_t huge_pages = fake_os.huge_page_bytes / PAGE;
    for (size_t offset = 0; offset < size_bytes; offset += PAGE) {
        unsigned char *flags = &range->page_flags[fake_first_page(range, base + offset)];
        bool fresh = !(fake_present_pages(base + offset, PAGE) != 0);
        if (fresh)
            range->page_nodes[flags - range->page_flags] =
                (unsigned char)fake_choose_node(range, (size_t)(flags - range->page_flags));
        *(volatile unsigned char *)(base + offset) |= 0;
        if (!fresh || !range->huge_wished || huge_pages == 0 ||
            fake_os.huge_free_bytes < fake_os.huge_page_bytes ||
            (uintptr_t)(base + offset) % fake_os.huge_page_bytes != 0 ||
            size_bytes - offset < fake_os.huge_page_bytes)
            continue;
        fake_os.huge_free_bytes -= fake_os.huge_page_bytes;
        for (size_t page = 0; page < huge_pages; ++page)
            flags[page] |= PAGE_HUGE;
    }
}

/* Sanitizers guard what lies beside a block of malloc. */
ZF_UNINSTRUMENTED static void touch(volatile unsigned char *base, size_t size_bytes)
{
    for (size_t offset = 0; offset < size_bytes; offset += PAGE)
        base[offset] |= 0;
}

/* Memory that was not reserved here, like a block of malloc. */
static bool is_foreign(const void *base, size_t size_bytes)
{
    must(((uintptr_t)base | size_bytes) % PAGE == 0 && size_bytes != 0);
    return fake_os_range(base) == NULL;
}

/* Does a range reach into what cannot be populated? */
static bool is_broken(const void *base, size_t size_bytes)
{
    const unsigned char *byte = base;
    return fake_os.broken != NULL && byte + size_bytes > fake_os.broken;
}

int zf_os_populate(void *base, size_t size_bytes)
{
    struct fake_range *range;
    int rc = enter(FAKE_POPULATE);
    if (rc == 0 && is_broken(base, size_bytes))
        rc = fake_os.broken_error;
    if (rc != 0 || fake_os.populate_lies)
        return rc;
    if (is_foreign(base, size_bytes)) {
        touch(base, size_bytes);
        return 0;
    }
    range = fake_range_of(base, size_bytes, true);
    if (range->pool_bytes != 0)
        return fake_pool_populate(range, base, size_bytes, -EFAULT);
    if (fake_os.stale_populates != 0 && fake_present_pages(base, PAGE) != 0) {
        --fake_os.stale_populates;
        ++earlier_faults;
    }
    make_present(range, base, size_bytes);
    return 0;
}

int zf_os_populate_read(const void *base, size_t size_bytes)
{
    int rc = enter(FAKE_POPULATE_READ);
    if (rc != 0 || fake_os.populate_lies)
        return rc;
    (void)fake_range_of(base, size_bytes, true);
    for (size_t offset = 0; offset < size_bytes; offset += PAGE)
        (void)*((const volatile unsigned char *)base + offset);
    return 0;
}

static int lock(void *base, size_t size_bytes, bool ahead)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    size_t first = fake_first_page(range, base);
    int rc = enter(ahead ? FAKE_LOCK_AHEAD : FAKE_LOCK);
    rc = rc == 0 ? fake_os.refuse[FAKE_LOCK] : rc;
    if (rc != 0 || fake_os.lock_lies)
        return rc;
    if (fake_os_locked_bytes() + size_bytes -
            flagged_bytes(range, first, size_bytes / PAGE, PAGE_LOCKED) >
        fake_os.lockable_bytes)
        return -ENOMEM;
    if (!ahead)
        make_present(range, base, size_bytes);
    for (size_t page = first; page < first + size_bytes / PAGE; ++page)
        range->page_flags[page] |= PAGE_LOCKED;
    return 0;
}

int zf_os_lock(void *base, size_t size_bytes)
{
    return lock(base, size_bytes, false);
}

int zf_os_lock_ahead(void *base, size_t size_bytes)
{
    return lock(base, size_bytes, true);
}

int zf_os_unlock(void *base, size_t size_bytes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    size_t first = fake_first_page(range, base);
    for (size_t page = first; page < first + size_bytes / PAGE; ++page)
        range->page_flags[page] &= (unsigned char)~PAGE_LOCKED;
    return 0;
}

int zf_os_residency(const void *base, size_t size_bytes, struct zf_os_residency *residency)
{
    const struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = enter(FAKE_RESIDENCY);
    memset(residency, 0, sizeof *residency);
    if (rc != 0)
        return rc;
    residency->present_bytes = fake_present_pages(base, size_bytes) * PAGE;
    residency->huge_bytes =
        flagged_bytes(range, fake_first_page(range, base), size_bytes / PAGE, PAGE_HUGE);
    residency->huge_known = true;
    return 0;
}

int zf_os_locked_bytes(const void *base, size_t size_bytes, const struct zf_os_residency *known,
                       size_t *locked_bytes)
{
    const struct fake_range *range = fake_range_of(base, size_bytes, true);
    size_t first = fake_first_page(range, base);
    (void)known;
    *locked_bytes = range->pool_bytes != 0
                        ? fake_present_pages(base, size_bytes) * PAGE
                        : flagged_bytes(range, first, size_bytes / PAGE, PAGE_LOCKED);
    return enter(FAKE_LOCKED_BYTES);
}

/* ---------------------------------------------------------------------------- placement, advice */

int zf_os_discard(void *base, size_t size_bytes)
{
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    size_t first = fake_first_page(range, base);
    fake_forget_faults(base, size_bytes);
    for (size_t page = first; page < first + size_bytes / PAGE; ++page)
        range->page_flags[page] &= (unsigned char)~PAGE_HUGE;
    return madvise(base, size_bytes, MADV_DONTNEED) == 0 ? 0 : -errno;
}

static int collapse(struct fake_range *range, unsigned char *base, size_t size_bytes)
{
    size_t huge_bytes = fake_os.huge_page_bytes;
    int rc = 0;
    must(huge_bytes != 0 && range->huge_wished);
    fake_os.huge_free_bytes += fake_os.huge_free_at_collapse_bytes;
    fake_os.huge_free_at_collapse_bytes = 0;
    for (size_t offset = 0; size_bytes - offset >= huge_bytes; offset += huge_bytes) {
        unsigned char *flags = &range->page_flags[fake_first_page(range, base + offset)];
        if ((flags[0] & PAGE_HUGE) != 0)
            continue;
        if (fake_os.huge_free_bytes < huge_bytes) {
            rc = -ENOMEM;
            continue;
        }
        fake_os.huge_free_bytes -= huge_bytes;
        for (size_t page = 0; page < huge_bytes / PAGE; ++page)
            flags[page] |= PAGE_HUGE;
    }
    return rc;
}

int zf_os_advise(void *base, size_t size_bytes, enum zf_os_advice advice)
{
    static const enum fake_call calls[] = {
        [ZF_OS_FORK_EXCLUDE] = FAKE_FORK_ADVICE, [ZF_OS_FORK_WIPE] = FAKE_FORK_ADVICE,
        [ZF_OS_HUGE_WISHED] = FAKE_HUGE_WISHED,  [ZF_OS_HUGE_COLLAPSE] = FAKE_HUGE_COLLAPSE,
        [ZF_OS_HUGE_FROZEN] = FAKE_HUGE_FROZEN,  [ZF_OS_NEVER_MERGE] = FAKE_NEVER_MERGE};
    struct fake_range *range = fake_range_of(base, size_bytes, true);
    int rc = enter(calls[advice]);
    if (rc == 0 && range->pool_bytes != 0 && advice == ZF_OS_FORK_WIPE)
        rc = -EINVAL;
    if (rc != 0)
        return rc;
    range->fork_excluded |= advice == ZF_OS_FORK_EXCLUDE;
    range->fork_wiped |= advice == ZF_OS_FORK_WIPE;
    range->never_merged |= advice == ZF_OS_NEVER_MERGE;
    if (advice == ZF_OS_HUGE_WISHED || advice == ZF_OS_HUGE_FROZEN) {
        range->huge_wished = advice == ZF_OS_HUGE_WISHED;
        range->huge_frozen = advice == ZF_OS_HUGE_FROZEN;
    }
    return advice == ZF_OS_HUGE_COLLAPSE ? collapse(range, base, size_bytes) : 0;
}

/* --------------------------------------------------------------------------------------- limits */

int zf_os_lockable_bytes(size_t *free_bytes)
{
    size_t locked_bytes = fake_os_locked_bytes();
    int rc = enter(FAKE_LOCKABLE_BYTES);
    *free_bytes = SIZE_MAX;
    if (rc == 0 && fake_os.lockable_bytes != SIZE_MAX)
        *free_bytes =
            fake_os.lockable_bytes > locked_bytes ? fake_os.lockable_bytes - locked_bytes : 0;
    return rc;
}

uint64_t fake_faults(void)
{
    uint64_t faults = earlier_faults;
    for (size_t i = 0; i < RANGES_MAX; ++i)
        if (fake_ranges[i].base != NULL)
            faults += fake_present_pages(fake_ranges[i].base, fake_ranges[i].size_bytes);
    return faults;
}

void zf_os_counters(struct zf_os_counters *counters)
{
    memset(counters, 0, sizeof *counters);
    if (!fake_os.counts_no_faults)
        counters->faults_minor = fake_thread_faults();
}

uint64_t zf_os_clock_ns(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t zf_os_thread_id(void)
{
    return 1;
}

ssize_t zf_os_read_file(const char *path, char *text, size_t size_bytes)
{
    int rc = enter(FAKE_READ_FILE);
    int length;
    must(size_bytes != 0);
    text[0] = '\0';
    if (rc != 0)
        return rc;
    if (strstr(path, "/hugepages/") != NULL)
        return fake_read_pool_file(path, text, size_bytes);
    if (fake_os.nodes_count > 1 &&
        strncmp(path, FAKE_NODE_FOLDER, sizeof FAKE_NODE_FOLDER - 1) == 0)
        return fake_read_node_file(path + sizeof FAKE_NODE_FOLDER - 1, text, size_bytes);
    if (strcmp(path, "/proc/meminfo") != 0)
        return -ENOENT;
    length = snprintf(text, size_bytes, "MemAvailable: %zu kB\n", fake_os.available_bytes / 1024);
    return (size_t)length < size_bytes ? length : -EFBIG;
}

/* ----------------------------------------------------------------------------------- fault ring */

size_t zf_os_fault_ring_range(size_t data_bytes)
{
    (void)data_bytes;
    return PAGE;
}

int zf_os_fault_ring_open(struct zf_os_fault_ring *ring, void *place, size_t data_bytes,
                          bool kernel)
{
    int rc = enter(FAKE_RING_OPEN);
    (void)data_bytes;
    if (rc != 0)
        return rc;
    if (kernel)
        return -EACCES;
    must(mprotect(place, PAGE, PROT_READ | PROT_WRITE) == 0);
    ring_head = (uint64_t *)(void *)((unsigned char *)place + ZF_OS_FAULT_RING_HEAD_BYTES);
    *ring_head = 0;
    ring->head = ring_head;
    ring->data = (const unsigned char *)records;
    ring->data_bytes = sizeof records;
    ring->handle = (int)rings_count++;
    return 0;
}

void zf_os_fault_ring_close(struct zf_os_fault_ring *ring)
{
    must(rings_count != 0 && ring->head == ring_head);
    --rings_count;
    memset(ring, 0, sizeof *ring);
    ring->handle = -1;
}

void zf_os_ring_abandon(int handle)
{
    must(rings_count != 0 && handle >= 0);
    --rings_count;
}

size_t fake_os_rings_count(void)
{
    return rings_count;
}

void fake_os_fault(uintptr_t address, uintptr_t instruction)
{
    records[*ring_head / sizeof records[0] % RECORDS] =
        (struct zf_os_fault){.address = address,
                             .instruction = instruction,
                             .time_ns = zf_os_clock_ns(),
                             .thread_id = 1};
    *ring_head += sizeof records[0];
}

uint64_t zf_os_fault_ring_count(const struct zf_os_fault_ring *ring, uint64_t from, uint64_t to)
{
    must(ring->head == ring_head && from <= to);
    must((to - from) % sizeof records[0] == 0);
    return (to - from) / sizeof records[0];
}

uint64_t zf_os_fault_ring_kernel_count(const struct zf_os_fault_ring *ring, uint64_t from,
                                       uint64_t to)
{
    must(ring->head == ring_head && from <= to);
    return 0;
}

int zf_os_fault_ring_next(const struct zf_os_fault_ring *ring, uint64_t *position, uint64_t to,
                          struct zf_os_fault *fault)
{
    uint64_t count = zf_os_fault_ring_count(ring, *position, to);
    if (count == 0)
        return 0;
    if (count > RECORDS)
        *position = to - sizeof records;
    *fault = records[*position / sizeof records[0] % RECORDS];
    *position += sizeof records[0];
    return 1;
}

/* ----------------------------------------------------------------------------- threads, locking */

int zf_os_thread_at_exit(void (*at_exit)(void *context), void *context)
{
    /* Taking it back is an undo. */
    int rc = at_exit == NULL ? 0 : enter(FAKE_THREAD_AT_EXIT);
    if (rc != 0)
        return rc;
    exit_call = at_exit;
    exit_context = context;
    return 0;
}

void fake_os_end_thread(void)
{
    void (*call)(void *context) = exit_call;
    exit_call = NULL;
    if (call != NULL)
        call(exit_context);
}

void zf_os_fork_in_child(void (*in_child)(void))
{
    must(in_child != NULL);
}

struct zf_os_forks zf_os_forks(void)
{
    struct zf_os_forks none = {0, 0, 0};
    return none;
}

void zf_os_fork_noticed(void)
{
    must(false); /* the fake's guards are never wiped */
}
