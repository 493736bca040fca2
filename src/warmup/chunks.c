/*
 * A step of a warmup, chunk by chunk, by several threads.
 *
 * The threads take chunks off one counter, in rising order, so that a slow one keeps nobody
 * waiting, and the calling thread is one of them. A chunk that was taken is finished, whatever
 * happens meanwhile: so what is done is one stretch from the start, and of several chunks that fail
 * the lowest was always tried, which makes its error the one to tell. The calling thread alone
 * talks to the caller. Helpers live for one step and do not wait for work: to start and join one
 * takes about as long as to populate 60 KiB. A helper that cannot be started is reported, and the
 * others do its share.
 */
#include <errno.h>
#include <stdatomic.h>

#include "base/arith.h"
#include "warmup/run.h"

/* One step under way; shared by its threads. */
struct team {
    struct zf_warmup_run *run;
    zf_warmup_step *step;
    size_t size_bytes;
    size_t chunk_count;
    atomic_size_t next;       /* chunk that nobody has taken; may run past the end */
    atomic_size_t done_bytes; /* by all */
    atomic_bool stopped;      /* nobody takes another */
    atomic_bool cancelled;
    size_t told_bytes; /* to the callback */
};

/* One thread of it. */
struct member {
    struct team *team;
    struct zf_os_helper helper;
    size_t failed_chunk; /* when `error` is not 0 */
    int error;
    struct zf_os_counters took; /* a helper, from its start to its end */
};

static void cancel(struct team *team)
{
    atomic_store(&team->cancelled, true);
    atomic_store(&team->stopped, true);
}

/* Cancel when the caller's flag is set. */
static void look_at_flag(struct team *team)
{
    const int *flag = team->run->options->cancel;
    if (flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0)
        cancel(team);
}

static size_t offset_of(const struct team *team, size_t chunk)
{
    return chunk >= team->chunk_count ? team->size_bytes : chunk * team->run->chunk_bytes;
}

/* Take a chunk and do it; false when there is none left, or none to be taken. */
static bool do_one(struct member *member)
{
    struct team *team = member->team;
    size_t chunk, offset_bytes, chunk_bytes;
    look_at_flag(team);
    if (atomic_load(&team->stopped))
        return false;
    chunk = atomic_fetch_add(&team->next, 1);
    if (chunk >= team->chunk_count)
        return false;
    offset_bytes = offset_of(team, chunk);
    chunk_bytes = offset_of(team, chunk + 1) - offset_bytes;
    ZF_ASSERT(chunk_bytes != 0 && chunk_bytes <= team->run->chunk_bytes);
    member->error =
        team->step(team->run, (unsigned char *)team->run->region->base + offset_bytes, chunk_bytes);
    if (member->error != 0) {
        member->failed_chunk = chunk;
        atomic_store(&team->stopped, true);
        return false;
    }
    (void)atomic_fetch_add(&team->done_bytes, chunk_bytes);
    return true;
}

static void help(void *context)
{
    struct member *member = context;
    struct zf_os_counters before;
    zf_os_counters(&before);
    while (do_one(member))
        continue;
    zf_os_counters(&member->took);
    member->took.faults_minor -= before.faults_minor;
    member->took.faults_major -= before.faults_major;
}

/* Tell the caller how far it is, unless he knows. */
static void tell(struct team *team)
{
    const struct zf_warmup_run *run = team->run;
    struct warmup_progress progress = {.phase = run->phase,
                                       .done_bytes = atomic_load(&team->done_bytes),
                                       .total_bytes = team->size_bytes,
                                       .spent_ns = zf_os_clock_ns() - run->phase_start_ns};
    if (run->options->progress == NULL || progress.done_bytes == team->told_bytes)
        return;
    ZF_ASSERT(progress.done_bytes > team->told_bytes);
    if (progress.spent_ns != 0)
        progress.bytes_per_second =
            (uint64_t)((double)progress.done_bytes * 1e9 / (double)progress.spent_ns);
    team->told_bytes = progress.done_bytes;
    if (run->options->progress(&progress, run->options->context) != 0)
        cancel(team);
    look_at_flag(team);
}

/* Start helpers 1 to `threads` less 1, as many as there can be; how many threads there are then. */
static size_t start_helpers(struct team *team, struct member *members, size_t threads)
{
    struct warmup_report *report = team->run->report;
    size_t count = 1;
    while (count < threads) {
        struct member *member = &members[count];
        int error;
        *member = (struct member){.team = team,
                                  .helper = {.work = help, .context = member, .name = "zf-warmup"}};
        error = zf_os_helper_start(&member->helper, &team->run->cpus);
        if (error != 0) {
            if (report->threads_error == 0)
                report->threads_error = error;
            break;
        }
        ++count;
    }
    report->threads_got = zf_min(report->threads_got, count < threads ? count : SIZE_MAX);
    return count;
}

/* Wait for the helpers and settle the step: the error of the lowest chunk that has one. */
static int finish(struct team *team, struct member *members, size_t count)
{
    struct zf_warmup_run *run = team->run;
    size_t end_chunk;
    int error = 0;
    for (size_t i = 1; i < count; ++i) {
        zf_os_helper_join(&members[i].helper);
        run->of_helpers.faults_minor += members[i].took.faults_minor;
        run->of_helpers.faults_major += members[i].took.faults_major;
    }
    end_chunk = zf_min(atomic_load(&team->next), team->chunk_count);
    for (size_t i = 0; i < count; ++i)
        if (members[i].error != 0 && (error == 0 || members[i].failed_chunk < end_chunk)) {
            error = members[i].error;
            end_chunk = members[i].failed_chunk;
        }
    ZF_ASSERT(error != 0 || atomic_load(&team->done_bytes) == offset_of(team, end_chunk));
    run->report->done_bytes = offset_of(team, end_chunk);
    if (error == 0 && !atomic_load(&team->cancelled))
        tell(team);
    return error == 0 && atomic_load(&team->cancelled) ? -ECANCELED : error;
}

int zf_warmup_chunks(struct zf_warmup_run *run, size_t size_bytes, zf_warmup_step *step,
                     size_t threads)
{
    struct team team = {.run = run, .step = step, .size_bytes = size_bytes};
    struct member members[WARMUP_THREADS_MAX];
    size_t count;
    ZF_ASSERT(size_bytes != 0 && size_bytes <= run->region->size_bytes);
    ZF_ASSERT(run->chunk_bytes != 0 && run->chunk_bytes % run->region->page_bytes == 0);
    ZF_ASSERT(threads != 0 && threads <= WARMUP_THREADS_MAX);
    team.chunk_count = (size_bytes - 1) / run->chunk_bytes + 1;
    members[0] = (struct member){.team = &team};
    count = start_helpers(&team, members, zf_min(threads, team.chunk_count));
    while (do_one(&members[0]))
        tell(&team);
    return finish(&team, members, count);
}
