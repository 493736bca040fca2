/*
 * The proof: do the populate once more and count what it still had to fault in.
 *
 * A page that is present and writable costs a second populate nothing; one that is missing, shared
 * or write-protected costs one fault in this thread's own count, and is mended by it. No interface
 * shows a page's write bit, so this is the only way to see a copy-on-write that is still to come.
 * Each chunk is measured right around the call, with code and stack that the first round has
 * already used, so that nothing but the region is counted. A count that never moves proves nothing,
 * so a deliberate fault has to move it first. What other threads do to the pages a moment later is
 * not seen. See getrusage(2).
 */
#include <errno.h>

#include "base/arith.h"
#include "warmup/run.h"

static int probe_chunk(struct zf_warmup_run *run, void *base, size_t size_bytes)
{
    struct zf_os_counters before = {0};
    struct zf_os_counters after = {0};
    int rc = 0;
    /* The first reading makes the counters' own memory and code warm. */
    zf_os_counters(&after);
    zf_os_counters(&before);
    if (run->probe_by_touch)
        zf_warmup_touch(base, size_bytes, run->region->page_bytes);
    else
        rc = zf_os_populate(base, size_bytes);
    zf_os_counters(&after);
    ZF_ASSERT(after.faults_minor >= before.faults_minor);
    run->report->proof_faults += after.faults_minor - before.faults_minor;
    run->report->proof_faults += after.faults_major - before.faults_major;
    return rc;
}

/* Presence from the page map; where there is none, the probe alone has to do. */
static int check_present(struct zf_warmup_run *run)
{
    if (zf_warmup_residency(run) != 0)
        return 0;
    return run->residency.present_bytes == run->region->size_bytes ? 0 : -EFAULT;
}

int zf_warmup_probe(struct zf_warmup_run *run)
{
    int rc;
    run->report->proof_faults = 0;
    rc = zf_warmup_chunks(run, run->region->size_bytes, probe_chunk);
    if (rc == 0)
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
    /* A populate that does nothing faults nothing: where presence cannot be told, only a touch
     * can. */
    run->probe_by_touch =
        run->report->method != WARMUP_METHOD_POPULATE_WRITE || zf_warmup_residency(run) != 0;
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
