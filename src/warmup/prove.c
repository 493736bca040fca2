/*
 * The proof: write to every page once more and count what still faults.
 *
 * A page that is present and writable costs a write nothing; one that is missing, shared or
 * write-protected costs one fault in this thread's own count, and is mended by it. No interface
 * shows a page's write bit, so this is the only way to see a copy-on-write that is still to come.
 * The write is an atomic add of nothing by this program: 0.8 ms for 256 MiB, where the kernel's
 * populate takes 18 to look at the same small pages, and it sees what a populate does not, a page
 * that the kernel has unmapped to learn who uses it. Huge pages, where they are all there, are
 * populated, which looks once at each. So is everything when pages are missing: populate answers
 * with an error where a touch would be a signal.
 *
 * Each chunk is measured right around the work, with code and stack that are warm, so that nothing
 * but the region is counted. A count that never moves proves nothing, so a deliberate fault has to
 * move it first. What other threads do to the pages a moment later is not seen. See getrusage(2).
 */
#include <errno.h>

#include "base/arith.h"
#include "base/sanitize.h"
#include "warmup/run.h"

ZF_UNINSTRUMENTED static int probe_chunk(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    struct zf_os_counters before = {0};
    struct zf_os_counters after = {0};
    size_t offset_bytes = (size_t)((unsigned char *)base - (unsigned char *)run->region->base);
    bool populate = offset_bytes + size_bytes <= run->populated_probe_bytes;
    size_t page_bytes = zf_region_unit_bytes(run->region);
    int rc = 0;
    /* The first reading makes the counters' own memory and code warm. */
    zf_os_counters(&after);
    zf_os_counters(&before);
    if (populate)
        rc = zf_os_populate(base, size_bytes);
    else
        zf_warmup_touch(base, size_bytes, page_bytes);
    zf_os_counters(&after);
    ZF_ASSERT(after.faults_minor >= before.faults_minor);
    (void)__atomic_fetch_add(&run->report->proof_faults,
                             after.faults_minor - before.faults_minor + after.faults_major -
                                 before.faults_major,
                             __ATOMIC_RELAXED);
    return rc;
}

/* Presence from the page map; where there is none, the probe alone has to do. */
static int check_present(struct zf_warmup_run *run)
{
    if (zf_warmup_residency(run) != 0)
        return 0;
    return run->residency.present_bytes == run->region->size_bytes ? 0 : -EFAULT;
}

/* How much to populate, by what was asked a moment ago: a populate that does nothing faults
 * nothing, so where presence cannot be told, only a touch can. */
static size_t choose_populated(struct zf_warmup_run *run)
{
    size_t huge_bytes = zf_region_huge_part_bytes(run->region);
    /* Before Linux 6.12 populating reserved pages counts no fault. */
    if (run->region->pool_page_bytes != 0)
        return zf_warmup_pool_may_be_touched(run) ? 0 : run->region->size_bytes;
    if (run->populate_fails || run->residency_error != 0)
        return 0;
    if (run->residency.present_bytes < run->region->size_bytes)
        return run->region->size_bytes;
    return run->residency.huge_known && run->residency.huge_bytes >= huge_bytes ? huge_bytes : 0;
}

int zf_warmup_probe(struct zf_warmup_run *run)
{
    bool all_present =
        run->residency_error == 0 && run->residency.present_bytes == run->region->size_bytes;
    int rc;
    run->report->proof_faults = 0;
    run->populated_probe_bytes = choose_populated(run);
    rc = zf_warmup_chunks(run, run->region->size_bytes, probe_chunk, run->threads);
    /* All were there, and none has come anew: nothing to ask. */
    if (rc == 0 && (!all_present || run->report->proof_faults != 0))
        rc = check_present(run);
    return rc == 0 && run->report->proof_faults != 0 ? -EFAULT : rc;
}

int zf_warmup_check_counting(size_t page_bytes)
{
    struct zf_os_counters before, after;
    void *page;
    int rc = zf_os_reserve(page_bytes, page_bytes, &page);
    if (rc != 0)
        return rc;
    rc = zf_os_commit(page, page_bytes);
    if (rc == 0) {
        zf_os_counters(&before);
        zf_warmup_touch(page, page_bytes, page_bytes);
        zf_os_counters(&after);
        rc = after.faults_minor == before.faults_minor ? -EOPNOTSUPP : 0;
    }
    (void)zf_os_release(page, page_bytes);
    return rc;
}

/* Bind what was required to be in place, now that it is. */
static int bind(struct zf_warmup_run *run)
{
    if (run->wishes->bind != WARMUP_REQUIRE || run->region->bind_error != 0)
        return 0;
    return run->report->bind.error = zf_region_bind(run->region);
}

int zf_warmup_prove(struct zf_warmup_run *run)
{
    int rc;
    ZF_ASSERT(run->report->method != WARMUP_METHOD_NONE);
    ZF_ASSERT(run->report->proven == 0);
    rc = zf_warmup_place(run);
    if (rc != 0)
        return rc;
    run->populate_fails = run->report->method != WARMUP_METHOD_POPULATE_WRITE;
    rc = zf_warmup_probe(run);
    /* The probe has mended what it found; it has to hold now. */
    if (rc == -EFAULT)
        rc = zf_warmup_probe(run);
    if (rc == 0 && bind(run) != 0)
        return run->report->bind.error;
    run->report->proven = rc == 0 && run->counting_error == 0;
    run->report->populate.error = rc != 0 ? rc : run->counting_error;
    return rc;
}
