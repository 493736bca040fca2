/*
 * How many threads warm a region, and where they run.
 *
 * They run on the CPUs of the nodes where the pages belong, because clearing a page across a node
 * boundary costs bandwidth that the nodes share; within what this process may use. More threads
 * than CPUs gain nothing. Sixteen clear memory faster than a node takes it, at 3 GB/s of small
 * pages and 12 GB/s of huge ones for each. Below 8 MiB for each thread, which is 1 ms, another one
 * is not worth its start.
 */
#include <errno.h>

#include "base/arith.h"
#include "machine/nodes.h"
#include "warmup/run.h"

#define THREADS_BY_TOPOLOGY_MAX 16
#define THREAD_BYTES_MIN ((size_t)8 << 20)

/* The CPUs to run on, into run->cpus; -EXDEV none of them is on the region's nodes. */
static int choose_cpus(struct zf_warmup_run *run)
{
    const struct zf_node_set *nodes = &run->region->placement.nodes;
    struct zf_cpu_set of_nodes;
    zf_os_process_cpus(&run->cpus);
    if (zf_node_set_count(nodes) == 0 || zf_nodes_cpus(run->root, nodes, &of_nodes) != 0)
        return 0;
    return zf_cpu_set_narrow(&run->cpus, &of_nodes) ? 0 : -EXDEV;
}

void zf_warmup_choose_threads(struct zf_warmup_run *run)
{
    struct warmup_report *report = run->report;
    size_t size_bytes = run->region->size_bytes;
    size_t threads = run->options->threads;
    int error = 0;
    if (threads == 0)
        threads = zf_min(size_bytes / THREAD_BYTES_MIN, THREADS_BY_TOPOLOGY_MAX);
    threads = zf_min(threads, (size_bytes - 1) / run->chunk_bytes + 1);
    /* Where the calling thread runs is its own business. */
    if (threads > 1)
        error = choose_cpus(run);
    if (threads > 1 && run->options->threads == 0)
        threads = zf_min(threads, zf_cpu_set_count(&run->cpus));
    run->threads = zf_max(threads, 1);
    report->threads_asked = run->threads;
    report->threads_got = run->threads;
    if (run->threads > 1)
        report->threads_error = error;
    ZF_ASSERT(run->threads <= WARMUP_THREADS_MAX);
}
