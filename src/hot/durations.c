/*
 * The durations of a timed section; see durations.h. The histogram is opened at the first begin
 * of the section on the thread, in the long way and before anything is sampled, so that recording
 * never faults.
 */
#include "hot/durations.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"
#include "hot/table.h"

static size_t range_bytes(void)
{
    size_t size_bytes = 0;
    bool fits = zf_align_up(sizeof(struct hot_histogram), zf_os_page_bytes(), &size_bytes);
    ZF_ASSERT(fits);
    (void)fits;
    return size_bytes;
}

void zf_hot_durations_open(struct zf_hot_tally *tally)
{
    size_t size_bytes = range_bytes();
    void *base;
    if (tally->durations != NULL || zf_os_reserve(size_bytes, zf_os_page_bytes(), &base) != 0)
        return;
    if (zf_os_commit(base, size_bytes) != 0) {
        (void)zf_os_release(base, size_bytes);
        return;
    }
    (void)zf_os_advise(base, size_bytes, ZF_OS_FORK_EXCLUDE);
    memset(base, 0, size_bytes);
    (void)zf_os_lock(base, size_bytes);
    tally->durations = base;
}

void zf_hot_durations_close(struct zf_hot_tally *tally)
{
    if (tally->durations != NULL)
        (void)zf_os_release(tally->durations, range_bytes());
    tally->durations = NULL;
}

void zf_hot_durations_add(struct hot_histogram *into, const struct zf_hot_tally *tally)
{
    uint64_t latest;
    if (tally->durations == NULL)
        return;
    hot_histogram_merge(into, tally->durations);
    ZEROFAULT_COMPILER_FENCE();
    latest = __atomic_load_n(&tally->latest, __ATOMIC_RELAXED);
    if (latest != 0)
        hot_histogram_record(into, zf_os_ticks_to_ns(latest - 1));
}

int hot_section_durations(const struct hot_section *section, struct hot_histogram *durations)
{
    if (section == NULL || durations == NULL)
        return -EINVAL;
    memset(durations, 0, sizeof *durations);
    zf_hot_table_durations(section, zf_hot_table_known(section), durations);
    return durations->count == 0 ? -ENODATA : 0;
}
