/*
 * NUMA: which nodes there are, which of them this process may use, and what moves pages between
 * them.
 */
#include <string.h>

#include "base/arith.h"
#include "machine/audit.h"
#include "machine/lists.h"

static void add_nodes(struct zf_audit_run *run)
{
    const struct zf_topology *topology = &run->audit->topology;
    size_t without_cpus = 0, without_memory = 0;
    const char *cpus, *memory;
    struct machine_check check = {
        .name = "nodes",
        .topic = ZF_TOPIC_NUMA,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "Memory of another node is slower, and one node may be full while the machine is "
               "not. Give each arena the node of the thread that uses it.",
        .source = "/sys/devices/system/node/online"};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        without_cpus += topology->nodes[i].cpus_count == 0;
        without_memory += topology->nodes[i].total_bytes == 0;
    }
    if (topology->nodes_count > 0) {
        check.severity = topology->nodes_count > 1 ? MACHINE_INFO : MACHINE_OK;
        cpus = without_cpus > 0 ? zf_audit_text(run, ", %zu without CPUs", without_cpus) : "";
        memory =
            without_memory > 0 ? zf_audit_text(run, ", %zu without memory", without_memory) : "";
        check.value = zf_audit_text(run, "%zu%s%s", topology->nodes_count, cpus, memory);
    }
    zf_audit_add(run, &check);
}

/* Nodes that run out before the machine does. */
static void add_node_memory(struct zf_audit_run *run)
{
    const struct zf_topology *topology = &run->audit->topology;
    const struct machine_node *least = NULL;
    struct machine_check check = {
        .name = "node_memory",
        .topic = ZF_TOPIC_NUMA,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "What a node has left above the kernel's reserve. Beyond it, memory comes from "
               "another node, or by the OOM killer where a policy is strict.",
        .source = "/sys/devices/system/node"};
    for (size_t i = 0; i < topology->nodes_count; ++i) {
        const struct machine_node *node = &topology->nodes[i];
        if (node->allowed && node->total_bytes > 0 &&
            (least == NULL || node->free_bytes < least->free_bytes))
            least = node;
    }
    if (least != NULL) {
        check.severity = topology->nodes_count > 1 && least->free_bytes < least->total_bytes / 20
                             ? MACHINE_INFO
                             : MACHINE_OK;
        check.value = zf_audit_text(run, "least on node %u: %s of %s free", least->number,
                                    zf_audit_size(run, least->free_bytes),
                                    zf_audit_size(run, least->total_bytes));
    }
    zf_audit_add(run, &check);
}

static void add_cpuset(struct zf_audit_run *run)
{
    const struct zf_topology *topology = &run->audit->topology;
    const char *nodes = run->process.nodes_allowed;
    const char *cpus = run->process.cpus_allowed;
    bool limited = false;
    struct machine_check check = {
        .name = "cpuset",
        .topic = ZF_TOPIC_NUMA,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "Memory comes from these nodes alone, and a strict policy for any other is refused. "
               "Whoever changes the set has its pages moved, locked or not.",
        .source = zf_audit_text(run, "%s/status", run->folder)};
    for (size_t i = 0; i < topology->nodes_count; ++i)
        limited |= !topology->nodes[i].allowed && topology->nodes[i].total_bytes > 0;
    if (nodes != NULL && cpus != NULL) {
        check.severity = limited ? MACHINE_INFO : MACHINE_OK;
        check.value = zf_audit_text(run, "nodes %s, CPUs %s", nodes, cpus);
    }
    zf_audit_add(run, &check);
}

/* Tell whether a node has one of the CPUs of a list. */
static bool has_cpu_of(const struct machine_node *node, const char *cpus)
{
    const char *own = node->cpus;
    unsigned first, last;
    while (zf_list_next(&own, &first, &last))
        for (unsigned cpu = first; cpu <= last; ++cpu)
            if (zf_list_holds(cpus, cpu))
                return true;
    return false;
}

static void add_affinity(struct zf_audit_run *run)
{
    const struct zf_topology *topology = &run->audit->topology;
    const char *cpus = run->process.cpus_allowed;
    size_t count = 0;
    struct machine_check check = {
        .name = "affinity",
        .topic = ZF_TOPIC_NUMA,
        .severity = MACHINE_UNKNOWN,
        .value = "not told",
        .why = "A thread that may run on several nodes can be moved away from its memory. Pin the "
               "hot threads (taskset, pthread_setaffinity_np).",
        .source = zf_audit_text(run, "%s/status", run->folder)};
    for (size_t i = 0; cpus != NULL && i < topology->nodes_count; ++i)
        count += has_cpu_of(&topology->nodes[i], cpus);
    if (count > 0) {
        check.severity = count > 1 ? MACHINE_INFO : MACHINE_OK;
        check.value = zf_audit_text(run, "CPUs of %zu node%s", count, count > 1 ? "s" : "");
    }
    zf_audit_add(run, &check);
}

void zf_audit_numa(struct zf_audit_run *run)
{
    add_nodes(run);
    add_node_memory(run);
    add_cpuset(run);
    add_affinity(run);
    zf_audit_settings(run, ZF_TOPIC_NUMA);
}
