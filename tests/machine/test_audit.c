/*
 * Checks of the audit: on captured systems, on each value that a setting can have, on this machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "machine/scratch.h"
#include "machine/tree.h"
#include "support/child.h"

/* ------------------------------------------------------------------------------------- contract */

static void wrong_options_are_refused(void **state)
{
    struct machine_audit *audit = (struct machine_audit *)&state;
    struct machine_audit_options options = {0};
    char deep[8192];
    (void)state;
    memset(deep, 'a', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(machine_audit_create(NULL, NULL), -EINVAL);
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    assert_null(audit);
    options = MACHINE_AUDIT_OPTIONS(.plan_node = MACHINE_NODE(0));
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    options = MACHINE_AUDIT_OPTIONS(.plan_lock = true);
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    options = MACHINE_AUDIT_OPTIONS(.plan_huge_bytes = 4096);
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    options = MACHINE_AUDIT_OPTIONS(.plan_bytes = 1, .plan_huge_bytes = 3u << 20);
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    options = MACHINE_AUDIT_OPTIONS(.plan_bytes = 1, .plan_reserved = true);
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    options = MACHINE_AUDIT_OPTIONS(.plan_bytes = 1, .plan_node = -1);
    assert_int_equal(machine_audit_create(&audit, &options), -EINVAL);
    options = MACHINE_AUDIT_OPTIONS(.root = deep);
    assert_int_equal(machine_audit_create(&audit, &options), -ENAMETOOLONG);
    assert_null(audit);
}

static void options_of_a_newer_program_are_refused_when_set(void **state)
{
    struct {
        struct machine_audit_options known;
        size_t unknown;
    } options = {{.struct_size = sizeof options}, 1};
    struct machine_audit *audit;
    (void)state;
    assert_int_equal(machine_audit_create(&audit, &options.known), -E2BIG);
    options.unknown = 0;
    assert_int_equal(machine_audit_create(&audit, &options.known), 0);
    machine_audit_destroy(audit);
}

static void a_root_that_holds_nothing_is_an_error(void **state)
{
    struct machine_audit *audit;
    (void)state;
    assert_int_equal(machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = "/no such root")),
                     -ENOENT);
    assert_null(audit);
}

static void a_process_that_is_not_there_is_an_error(void **state)
{
    struct machine_audit *audit;
    (void)state;
    assert_int_equal(machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.process = 4294967295u)),
                     -ESRCH);
    assert_null(audit);
}

static void nothing_is_asked_of_no_audit(void **state)
{
    (void)state;
    machine_audit_destroy(NULL);
    assert_null(machine_audit_check(NULL, 0));
    assert_null(machine_audit_node(NULL, 0));
    assert_int_equal(machine_audit_worst(NULL), MACHINE_OK);
    assert_true(machine_audit_plan_works(NULL));
    assert_string_equal(machine_severity_name(MACHINE_CRITICAL), "critical");
    assert_string_equal(machine_severity_name((enum machine_severity)9), "unknown");
}

/* -------------------------------------------------------------------------------------- systems */

static void an_ordinary_user_of_a_quiet_machine_has_three_warnings(void **state)
{
    struct machine_audit *audit = audit_tree("vm_6_18", NULL);
    const struct machine_check *check;
    size_t warnings = 0;
    (void)state;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        warnings += check->severity >= MACHINE_WARNING;
    assert_int_equal(warnings, 3);
    assert_check(audit, "compaction_of_locked", MACHINE_WARNING, "1");
    assert_check(audit, "proactive_compaction", MACHINE_WARNING, "20");
    assert_check(audit, "memlock", MACHINE_WARNING, "8 MiB left of 8 MiB");
    assert_check(audit, "cgroup_memory", MACHINE_OK, "unlimited");
    assert_int_equal(machine_audit_worst(audit), MACHINE_WARNING);
    machine_audit_destroy(audit);
}

static void the_oldest_kernel_lacks_what_came_later(void **state)
{
    struct machine_audit *audit = audit_tree("guest_4_sparse", NULL);
    (void)state;
    assert_check(audit, "kernel", MACHINE_INFO, "Linux 5.10.0-46-cloud-amd64");
    assert_check(audit, "thp_sizes", MACHINE_OK, "not in this kernel");
    assert_check(audit, "thp_split", MACHINE_OK, "not in this kernel");
    assert_check(audit, "numa_demotion", MACHINE_OK, "not in this kernel");
    assert_check(audit, "damon_reclaim", MACHINE_OK, "not in this kernel");
    machine_audit_destroy(audit);
}

static void a_badly_set_machine_is_told_so(void **state)
{
    struct machine_audit *audit = audit_tree("guest_8_nodes", NULL);
    (void)state;
    assert_check(audit, "nodes", MACHINE_INFO, "8, 4 without CPUs, 1 without memory");
    assert_check(audit, "affinity", MACHINE_INFO, "CPUs of 4 nodes");
    assert_check(audit, "zone_reclaim", MACHINE_WARNING, "1");
    assert_check(audit, "thp_enabled", MACHINE_WARNING, "always");
    assert_check(audit, "thp_defrag", MACHINE_WARNING, "always");
    assert_check(audit, "ksm", MACHINE_INFO, "on, this process takes no part");
    assert_check(audit, "perf_events", MACHINE_OK, "3, but CAP_SYS_ADMIN lifts it");
    assert_string_equal(find_check(audit, "zone_reclaim")->fix, "sysctl -w vm.zone_reclaim_mode=0");
    machine_audit_destroy(audit);
}

static void a_well_set_machine_has_nothing_to_mend(void **state)
{
    struct machine_audit *audit = audit_tree("guest_16_nodes", NULL);
    (void)state;
    assert_int_equal(machine_audit_worst(audit), MACHINE_INFO);
    assert_check(audit, "cpu_isolation", MACHINE_INFO, "isolated 2-3, tickless 2-3");
    assert_check(audit, "thp_sizes", MACHINE_OK, "64 KiB madvise, 2 MiB inherit, others never");
    machine_audit_destroy(audit);
}

static void a_container_shows_the_limits_of_its_group(void **state)
{
    struct machine_audit *audit = audit_tree("container_6_12", NULL);
    const struct machine_check *check = find_check(audit, "cgroup_throttle");
    (void)state;
    assert_check(audit, "cpuset", MACHINE_INFO, "nodes 0, CPUs 0-1");
    assert_check(audit, "cgroup_hugetlb", MACHINE_WARNING,
                 "16 MiB left of 16 MiB in pages of 2 MiB");
    assert_check(audit, "perf_events", MACHINE_WARNING, "3");
    assert_check(audit, "system_call_filter", MACHINE_INFO, "filtered");
    assert_check(audit, "capabilities", MACHINE_OK, "none");
    assert_int_equal(check->severity, MACHINE_WARNING);
    assert_string_equal(check->source, "/sys/fs/cgroup/memory.high");
    assert_string_equal(check->fix, "echo max > /sys/fs/cgroup/memory.high");
    machine_audit_destroy(audit);
}

static void what_cannot_be_read_is_unknown_and_no_fault_of_the_machine(void **state)
{
    struct machine_audit *audit = audit_tree("none", NULL);
    (void)state;
    assert_int_equal(machine_audit_worst(audit), MACHINE_UNKNOWN);
    assert_check(audit, "userfaultfd", MACHINE_UNKNOWN, "not told");
    assert_int_equal(find_check(audit, "compaction_of_locked")->severity, MACHINE_UNKNOWN);
    assert_int_equal(find_check(audit, "thp_enabled")->severity, MACHINE_UNKNOWN);
    assert_int_equal(find_check(audit, "memlock")->severity, MACHINE_UNKNOWN);
    assert_int_equal(find_check(audit, "memory")->severity, MACHINE_OK);
    machine_audit_destroy(audit);
}

/* ------------------------------------------------------------------------------ single settings */

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* A file of the tree of an ordinary machine, what it is made to hold, and the verdict then. */
static const struct {
    const char *path;
    const char *text;
    const char *check;
    enum machine_severity severity;
    const char *value;
} settings[] = {
    {"/proc/sys/kernel/numa_balancing", "1\n", "numa_balancing", MACHINE_WARNING, "1"},
    {"/proc/sys/kernel/numa_balancing", "2\n", "numa_balancing", MACHINE_WARNING, "2"},
    {"/proc/sys/kernel/numa_balancing", "9\n", "numa_balancing", MACHINE_UNKNOWN, "9"},
    {"/proc/sys/kernel/numa_balancing", "", "numa_balancing", MACHINE_UNKNOWN, "not understood"},
    {"/proc/sys/kernel/numa_balancing", NULL, "numa_balancing", MACHINE_OK, "not in this kernel"},
    {"/proc/sys/vm/compact_unevictable_allowed", "0\n", "compaction_of_locked", MACHINE_OK, "0"},
    {"/proc/sys/vm/compact_unevictable_allowed", "0\n", "proactive_compaction", MACHINE_INFO, "20"},
    {"/proc/sys/vm/compaction_proactiveness", "0\n", "proactive_compaction", MACHINE_OK, "0"},
    {"/proc/sys/vm/compaction_proactiveness", NULL, "proactive_compaction", MACHINE_OK,
     "not in this kernel"},
    {"/sys/kernel/mm/numa/demotion_enabled", "true\n", "numa_demotion", MACHINE_WARNING, "true"},
    {THP "enabled", "[always] madvise never\n", "thp_enabled", MACHINE_WARNING,
     "always (927 collapses since boot)"},
    {THP "enabled", "[always] madvise never\n", "khugepaged", MACHINE_INFO,
     "1 pages collapsed in 146 scans since boot"},
    {THP "enabled", "always madvise [never]\n", "thp_enabled", MACHINE_INFO,
     "never (927 collapses since boot)"},
    {THP "defrag", "always [defer] defer+madvise madvise never\n", "thp_defrag", MACHINE_INFO,
     "defer"},
    {THP "khugepaged/max_ptes_none", "0\n", "thp_split", MACHINE_WARNING,
     "active (shrink_underused 1, max_ptes_none 0)"},
    {THP "hugepages-64kB/enabled", "[always] inherit madvise never\n", "thp_sizes", MACHINE_INFO,
     "64 KiB always, 2 MiB inherit, others never"},
    {THP "hpage_pmd_size", "3\n", "fragmentation", MACHINE_OK,
     "no transparent huge pages in this kernel"},
    {"/proc/buddyinfo", "Node 0, zone   Normal   9000 0 0 0 0 0 0 0 0 1 0\n", "fragmentation",
     MACHINE_INFO, NULL},
    {"/sys/kernel/mm/ksm/run", "1\n", "ksm", MACHINE_INFO, "on, this process takes no part"},
    {"/sys/kernel/mm/ksm/run", "2\n", "ksm", MACHINE_OK, "off"},
    {"/proc/meminfo", "SwapTotal: 2097152 kB\n", "swap", MACHINE_WARNING,
     "2 GiB, 0 pages read back since boot"},
    {"/proc/meminfo", "SwapTotal: 0 kB\n", "memory", MACHINE_UNKNOWN, "not told"},
    {"/proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 1024 kB\n", "memory", MACHINE_WARNING,
     "1 MiB of 1 GiB available"},
    {"/proc/meminfo", "HardwareCorrupted: 4 kB\n", "broken_memory", MACHINE_WARNING, "4 KiB"},
    {"/proc/meminfo", "CmaTotal: 65536 kB\n", "cma", MACHINE_INFO,
     "64 MiB, taken 0 times since boot"},
    {"/proc/meminfo", "CommitLimit: 1 kB\n", "overcommit", MACHINE_OK, "0"},
    {"/proc/sys/vm/overcommit_memory", "3\n", "overcommit", MACHINE_UNKNOWN, "not understood"},
    {"/proc/vmstat", "balloon_inflate 5\nballoon_migrate 2\n", "balloon", MACHINE_WARNING,
     "5 pages taken, 2 moved since boot"},
    {"/proc/self/status", "CapEff:\t0\nTHP_enabled:\t0\n", "thp_process", MACHINE_WARNING, "off"},
    {"/proc/self/status", "CapEff:\t0\n", "thp_process", MACHINE_OK, "not switched off"},
    {"/proc/self/status", NULL, "thp_process", MACHINE_UNKNOWN, "not told"},
    {"/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=1.50 total=9\n", "memory_pressure",
     MACHINE_WARNING, "1.50 % of the last 5 minutes"},
    {"/proc/pressure/memory", NULL, "memory_pressure", MACHINE_OK, "not measured by this kernel"},
    {"/proc/cmdline", "quiet numa=off isolcpus=1\n", "command_line", MACHINE_WARNING,
     "numa=off isolcpus=1"},
    {"/proc/cmdline", "cma=64M", "command_line", MACHINE_INFO, "cma=64M"},
    {"/proc/cpuinfo", "flags\t\t: fpu pse\n", "virtual_machine", MACHINE_OK, "no"},
    {"/proc/cpuinfo", "flags\t\t: fpu pse\n", "page_sizes", MACHINE_OK,
     "4 KiB, 2 MiB, 1 GiB (the CPU has no 1 GiB)"},
    {"/proc/cpuinfo", "Features\t: fp asimd\nCPU implementer\t: 0x41\n", "access_flag",
     MACHINE_WARNING, "set by a fault"},
    {"/proc/cpuinfo", "Features\t: fp atomics\nCPU implementer\t: 0x41\n", "access_flag",
     MACHINE_INFO, "set by the CPU, where it has FEAT_HAFDBS"},
    {"/proc/cpuinfo", "cpu : POWER9\n", "access_flag", MACHINE_UNKNOWN, "not told"},
    {"/proc/sys/kernel/osrelease", "6.6.1\n", "kernel", MACHINE_INFO, "Linux 6.6.1"},
    {"/proc/sys/kernel/osrelease", "6.7.0\n", "kernel", MACHINE_OK, "Linux 6.7.0"},
    {"/proc/sys/kernel/osrelease", "six\n", "kernel", MACHINE_UNKNOWN, "Linux six"},
    {"/proc/sys/vm/max_map_count", "65530\n", "mappings", MACHINE_OK, "at most 65530"},
    {"/proc/self/limits", "Max locked memory  0  0 bytes\n", "memlock", MACHINE_CRITICAL,
     "0 B left of 0 B"},
    {"/proc/self/limits", "Max locked memory  unlimited unlimited bytes\n", "memlock", MACHINE_OK,
     "unlimited"},
    {"/proc/self/limits", "Max locked memory  x\n", "memlock", MACHINE_UNKNOWN, "not told"},
    {"/proc/self/limits", "Max address space  4096 4096 b\nMax data size unlimited unlimited b\n",
     "address_space", MACHINE_INFO, "address space 4 KiB, data unlimited"},
    {"/proc/self/limits", "Max stack size  65536 65536 bytes\n", "stack", MACHINE_WARNING,
     "64 KiB"},
    {"/proc/self/limits", "Max stack size  unlimited unlimited\n", "stack", MACHINE_INFO,
     "unlimited"},
    {"/proc/self/status", "CapEff:\t0000000000004000\nSeccomp:\t1\n", "memlock", MACHINE_OK,
     "8 MiB, but CAP_IPC_LOCK lifts it"},
    {"/proc/self/status", "CapEff:\t0000004000000000\n", "capabilities", MACHINE_OK, "PERFMON"},
    {"/proc/self/status", "CapEff:\t0\nTracerPid:\t42\n", "tracer", MACHINE_WARNING, "process 42"},
    {"/proc/self/status", "CapEff:\t0\nSeccomp:\t1\n", "system_call_filter", MACHINE_INFO,
     "strict"},
    {"/proc/sys/kernel/perf_event_paranoid", "-1\n", "perf_events", MACHINE_OK, "-1"},
    {"/proc/sys/kernel/perf_event_paranoid", "4\n", "perf_events", MACHINE_WARNING, "4"},
    {"/proc/sys/kernel/perf_event_paranoid", NULL, "perf_events", MACHINE_WARNING,
     "not in this kernel"},
    {"/proc/sys/kernel/perf_event_mlock_kb", "20\n", "perf_memory", MACHINE_WARNING,
     "20 KiB per CPU: 1 threads"},
    {"/proc/sys/vm/panic_on_oom", "2\n", "panic_on_oom", MACHINE_WARNING, "2"},
    {"/proc/self/cgroup", NULL, "cgroup_memory", MACHINE_UNKNOWN,
     "cannot be read: No such file or directory"},
    {"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "7\n", "hugetlb_surplus",
     MACHINE_INFO, "up to 7 of 2 MiB"},
    {"/proc/self/smaps", "VmFlags: rd mr mw me uw \nVmFlags: rd wr sd \n", "userfaultfd",
     MACHINE_WARNING, "1 write-protected, 0 missing, 0 minor, of 2 ranges"},
    {"/proc/self/smaps", "1000-2000 rw-p 0 00:00 0\nVmFlags: um uw\nVmFlags: ui", "userfaultfd",
     MACHINE_WARNING, "1 write-protected, 1 missing, 1 minor, of 2 ranges"},
    {"/proc/self/smaps", "VmFlags: rd wr sd \n", "userfaultfd", MACHINE_OK, "none"},
    {"/proc/self/smaps", "Rss: 4 kB\n", "userfaultfd", MACHINE_UNKNOWN, "not told"},
    {"/proc/self/smaps", NULL, "userfaultfd", MACHINE_UNKNOWN, "not told"},
    {"/proc/sys/vm/unprivileged_userfaultfd", NULL, "userfaultfd", MACHINE_OK, "none"},
    {"/proc/self/ksm_merging_pages", "3\n", "ksm", MACHINE_OK, "off"},
};

/* What the file held before, to be put back; false when it was not there. */
static bool read_back(const char *root, const char *path, char *text, size_t text_bytes)
{
    char whole[512];
    FILE *file;
    size_t length;
    (void)snprintf(whole, sizeof whole, "%s%s", root, path);
    file = fopen(whole, "r");
    if (file == NULL)
        return false;
    length = fread(text, 1, text_bytes - 1, file);
    text[length] = '\0';
    assert_int_equal(fclose(file), 0);
    return true;
}

static void each_setting_is_judged_by_what_it_says(void **state)
{
    static char before[16384];
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "vm_6_18");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; ++i) {
        struct machine_audit *audit;
        assert_true(read_back(root, settings[i].path, before, sizeof before));
        scratch_write(root, settings[i].path, settings[i].text);

        audit = scratch_audit(root);

        if (settings[i].value == NULL)
            assert_int_equal(find_check(audit, settings[i].check)->severity, settings[i].severity);
        else
            assert_check(audit, settings[i].check, settings[i].severity, settings[i].value);
        machine_audit_destroy(audit);
        scratch_write(root, settings[i].path, before);
    }
    scratch_destroy(root);
}

static void a_process_that_offers_its_memory_for_merging_is_warned(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "vm_6_18");
    scratch_write(root, "/sys/kernel/mm/ksm/run", "1\n");
    scratch_write(root, "/proc/self/ksm_stat", "ksm_rmap_items 0\nksm_merge_any: yes\n");

    audit = scratch_audit(root);

    scratch_destroy(root);
    assert_check(audit, "ksm", MACHINE_WARNING, "on, and this process takes part");
    machine_audit_destroy(audit);
}

static void a_driver_that_unplugs_memory_is_told(void **state)
{
    static const struct {
        const char *modules, *value;
        enum machine_severity severity;
    } cases[] = {
        {"loop 40960 0 - Live 0x0\nvirtio_mem 49152 0 - Live 0x0\n", "virtio_mem", MACHINE_INFO},
        {"hv_balloon 49152 0 - Live 0x0\n", "hv_balloon", MACHINE_INFO},
        {"virtio_mem_like 49152 0 - Live 0x0\n", "no driver loaded", MACHINE_OK},
        {"", "no driver loaded", MACHINE_OK},
    };
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "vm_6_18");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct machine_audit *audit;
        scratch_write(root, "/proc/modules", cases[i].modules);

        audit = scratch_audit(root);

        assert_check(audit, "memory_unplug", cases[i].severity, cases[i].value);
        machine_audit_destroy(audit);
    }
    scratch_destroy(root);
}

static void capabilities_of_a_user_namespace_lift_nothing(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "vm_6_18");
    scratch_write(root, "/proc/self/status", "CapEff:\t000001ffffffffff\n");
    scratch_write(root, "/proc/self/uid_map", "         0       1000          1\n");

    audit = scratch_audit(root);

    scratch_destroy(root);
    assert_check(audit, "capabilities", MACHINE_INFO, "those of a user namespace");
    assert_check(audit, "memlock", MACHINE_WARNING, "8 MiB left of 8 MiB");
    machine_audit_destroy(audit);
}

static void mappings_that_are_used_up_are_a_warning(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "vm_6_18");
    scratch_write(root, "/proc/self/maps", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    scratch_write(root, "/proc/sys/vm/max_map_count", "10\n");

    audit = scratch_audit(root);

    scratch_destroy(root);
    assert_check(audit, "mappings", MACHINE_WARNING, "9 of 10");
    machine_audit_destroy(audit);
}

static void a_path_that_a_shell_would_take_apart_is_quoted(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "container_6_12");
    scratch_write(root, "/proc/self/mountinfo", "1 1 0:1 / /sys/fs rw - cgroup2 none rw\n");
    scratch_write(root, "/proc/self/cgroup", "0::/my group\n");
    scratch_move(root, "/sys/fs/cgroup", "/sys/fs/my group");

    audit = scratch_audit(root);

    scratch_destroy(root);
    assert_string_equal(find_check(audit, "cgroup_throttle")->fix,
                        "echo max > '/sys/fs/my group/memory.high'");
    machine_audit_destroy(audit);
}

static void a_path_that_no_quoting_saves_gets_no_command(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "container_6_12");
    scratch_write(root, "/proc/self/mountinfo", "1 1 0:1 / /sys/fs rw - cgroup2 none rw\n");
    scratch_write(root, "/proc/self/cgroup", "0::/it's\n");
    scratch_move(root, "/sys/fs/cgroup", "/sys/fs/it's");

    audit = scratch_audit(root);

    scratch_destroy(root);
    assert_int_equal(find_check(audit, "cgroup_throttle")->severity, MACHINE_WARNING);
    assert_null(find_check(audit, "cgroup_throttle")->fix);
    machine_audit_destroy(audit);
}

/* A process in a container has mounts of its own, which do not lead to its group from here. */
static void groups_of_another_process_are_found_by_our_mounts(void **state)
{
    struct machine_audit *audit;
    char root[SCRATCH_BYTES];
    (void)state;
    scratch_create(root, "container_6_12");
    scratch_copy(root, "/proc/self", "/proc/77");
    scratch_write(root, "/proc/self/mountinfo", "1 1 0:1 / /sys/fs rw - cgroup2 none rw\n");
    scratch_write(root, "/proc/77/mountinfo", "1 1 0:1 /cgroup /elsewhere rw - cgroup2 none rw\n");
    scratch_write(root, "/proc/77/cgroup", "0::/cgroup\n");

    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.root = root, .process = 77)), 0);

    scratch_destroy(root);
    assert_string_equal(find_check(audit, "cgroup_throttle")->source, "/sys/fs/cgroup/memory.high");
    machine_audit_destroy(audit);
}

/* --------------------------------------------------------------------------------- this machine */

static void this_machine_can_be_audited(void **state)
{
    struct machine_audit *audit;
    const struct machine_check *check;
    (void)state;
    assert_int_equal(machine_audit_create(&audit, NULL), 0);
    assert_non_null(machine_audit_node(audit, 0));
    check = find_check(audit, "mappings");
    assert_int_equal(check->severity, MACHINE_OK);
    assert_int_equal(find_check(audit, "memory")->severity, MACHINE_OK);
    assert_int_equal(find_check(audit, "capabilities")->severity, MACHINE_OK);
    machine_audit_destroy(audit);
}

static void another_process_can_be_audited(void **state)
{
    struct machine_audit *audit;
    char source[64];
    (void)state;
    assert_int_equal(
        machine_audit_create(&audit, &MACHINE_AUDIT_OPTIONS(.process = (uint32_t)getppid())), 0);
    (void)snprintf(source, sizeof source, "/proc/%d/limits", (int)getppid());
    assert_string_equal(find_check(audit, "memlock")->source, source);
    machine_audit_destroy(audit);
}

struct seen {
    int rc;
    int dropped;
    enum machine_severity memlock;
    char memlock_value[64];
    char fix[64];
};

static void audit_without_privileges(void *shared)
{
    struct seen *seen = shared;
    struct machine_audit *audit;
    const struct machine_check *check;
    seen->dropped = drop_privileges(1u << 20);
    seen->rc = machine_audit_create(&audit, NULL);
    if (seen->rc != 0)
        return;
    check = find_check(audit, "memlock");
    seen->memlock = check->severity;
    (void)snprintf(seen->memlock_value, sizeof seen->memlock_value, "%s", check->value);
    (void)snprintf(seen->fix, sizeof seen->fix, "%s", check->fix);
    machine_audit_destroy(audit);
}

static void a_user_without_privileges_sees_its_own_limits(void **state)
{
    struct seen *seen = shared_create(sizeof *seen);
    (void)state;
    assert_int_equal(run_in_child(audit_without_privileges, seen), 0);
    assert_int_equal(seen->dropped, 0);
    assert_int_equal(seen->rc, 0);
    assert_int_equal(seen->memlock, MACHINE_WARNING);
    assert_string_equal(seen->memlock_value, "1 MiB left of 1 MiB");
    assert_string_equal(seen->fix, "prlimit --pid $$ --memlock=unlimited:unlimited");
    shared_destroy(seen, sizeof *seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(options_of_a_newer_program_are_refused_when_set),
        cmocka_unit_test(a_root_that_holds_nothing_is_an_error),
        cmocka_unit_test(a_process_that_is_not_there_is_an_error),
        cmocka_unit_test(nothing_is_asked_of_no_audit),
        cmocka_unit_test(an_ordinary_user_of_a_quiet_machine_has_three_warnings),
        cmocka_unit_test(the_oldest_kernel_lacks_what_came_later),
        cmocka_unit_test(a_badly_set_machine_is_told_so),
        cmocka_unit_test(a_well_set_machine_has_nothing_to_mend),
        cmocka_unit_test(a_container_shows_the_limits_of_its_group),
        cmocka_unit_test(what_cannot_be_read_is_unknown_and_no_fault_of_the_machine),
        cmocka_unit_test(each_setting_is_judged_by_what_it_says),
        cmocka_unit_test(a_process_that_offers_its_memory_for_merging_is_warned),
        cmocka_unit_test(a_driver_that_unplugs_memory_is_told),
        cmocka_unit_test(capabilities_of_a_user_namespace_lift_nothing),
        cmocka_unit_test(mappings_that_are_used_up_are_a_warning),
        cmocka_unit_test(a_path_that_a_shell_would_take_apart_is_quoted),
        cmocka_unit_test(a_path_that_no_quoting_saves_gets_no_command),
        cmocka_unit_test(groups_of_another_process_are_found_by_our_mounts),
        cmocka_unit_test(this_machine_can_be_audited),
        cmocka_unit_test(another_process_can_be_audited),
        cmocka_unit_test(a_user_without_privileges_sees_its_own_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
