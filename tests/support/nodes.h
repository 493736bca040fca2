/*
 * NUMA nodes of this machine, asked of the system and read from its files: the same.
 */
#ifndef ZF_TESTS_SUPPORT_NODES_H
#define ZF_TESTS_SUPPORT_NODES_H

#include "machine/nodes.h"
#include "os/os.h"

/* The files of this machine, read as if they were another's. */
#define ROOT_OF_FILES "/"

/* Assert that they agree on what each can tell; the system has to tell. Returns how many nodes
 * there are with CPUs or memory. */
static inline size_t assert_nodes_agree(void)
{
    static int16_t told_of_cpus[ZF_OS_CPUS_MAX], read_of_cpus[ZF_OS_CPUS_MAX];
    struct zf_os_nodes told;
    struct zf_node_set usable, with_cpus, every;
    size_t count;
    assert_int_equal(zf_os_nodes(&told), 0);
    assert_int_equal(zf_nodes_usable(ROOT_OF_FILES, &usable), 0);
    assert_int_equal(zf_nodes_with_cpus(ROOT_OF_FILES, &with_cpus), 0);
    for (int node = 0; node < ZF_NODES_MAX; ++node) {
        bool both = zf_node_set_holds(&told.memory, node) && zf_node_set_holds(&told.allowed, node);
        assert_int_equal(zf_node_set_holds(&usable, node), both);
        assert_int_equal(zf_node_set_holds(&with_cpus, node), zf_node_set_holds(&told.cpus, node));
    }
    count = zf_os_nodes_of_cpus(told_of_cpus, ZF_OS_CPUS_MAX);
    assert_int_equal(zf_nodes_of_cpus(ROOT_OF_FILES, read_of_cpus, ZF_OS_CPUS_MAX), count);
    assert_memory_equal(told_of_cpus, read_of_cpus, sizeof told_of_cpus);
    every = told.memory;
    for (int node = zf_node_set_next(&told.cpus, 0); node >= 0;
         node = zf_node_set_next(&told.cpus, node + 1))
        zf_node_set_add(&every, node);
    for (int node = zf_node_set_next(&every, 0); node >= 0;
         node = zf_node_set_next(&every, node + 1))
        assert_int_equal(zf_node_nearest("", node, &usable),
                         zf_node_nearest(ROOT_OF_FILES, node, &usable));
    return zf_node_set_count(&every);
}

#endif
