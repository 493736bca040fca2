/*
 * Causes in words: a name, a sentence that says what happened, and one that helps.
 */
#include "hot/evidence.h"

struct words {
    const char *name;
    const char *sentence;
    const char *remedy;
};

static const struct words causes[HOT_CAUSE_COUNT] = {
    [HOT_CAUSE_UNKNOWN] = {"unknown",
                           "The evidence fits no known cause, or more than one equally well.",
                           NULL},
    [HOT_CAUSE_NONE] = {"not a page fault", NULL, NULL},
    [HOT_CAUSE_NOT_WARMED] = {"arena not warmed",
                              "The arena was created but its pages were never made resident.",
                              "Call arena_warmup before the loop, and check what it returns."},
    [HOT_CAUSE_BEYOND_WARM] =
        {"beyond the warm bytes",
         "The arena has grown past the bytes that its last warmup made resident.",
         "Create it large enough for its peak, or warm up again after it has grown."},
    [HOT_CAUSE_FORK] =
        {"copy on write after fork",
         "A fork made every private page of the process read-only, and the first write to each "
         "copies it.",
         "Leave arenas excluded from fork, fork before the warmup, use posix_spawn, or warm up "
         "again after each fork."},
    [HOT_CAUSE_DROPPED] =
        {"page taken away",
         "The page was resident before, after the warmup or the thread's own write, and was taken "
         "away since, with its content, or mapped anew.",
         "Find who calls madvise (MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT), munmap or mmap on this "
         "range, and lock the memory against reclaim."},
    [HOT_CAUSE_NUMA_HINT] =
        {"NUMA hint", "NUMA balancing unmapped the page to see which node uses it.",
         "Give the memory an explicit policy (an arena's bind wish does), or set "
         "kernel.numa_balancing=0."},
    [HOT_CAUSE_MOVED] =
        {"page moved", "The kernel was moving the page to another place when it was touched.",
         "Set vm.compact_unevictable_allowed=0 and vm.compaction_proactiveness=0, and change no "
         "cpuset while the loop runs."},
    [HOT_CAUSE_HUGE_SPLIT] =
        {"huge page split",
         "A huge page of the arena was taken apart, and its parts are mapped one by one.",
         "Fork and change no part of the range after the warmup; use hugetlb pages where it "
         "matters."},
    [HOT_CAUSE_STACK_DEPTH] =
        {"deeper stack", "The stack was never as deep before, and each new page of it faults once.",
         "Touch as much stack as the loop will need before it, and keep large arrays off it."},
    [HOT_CAUSE_CODE] =
        {"code not mapped", "The code had not run in this process, or its page was dropped since.",
         "Run the loop once before it counts, and lock what is mapped (mlockall with "
         "MCL_CURRENT)."},
    [HOT_CAUSE_DATA_COPY] =
        {"first write to private file data",
         "The first write to a page of static data or of the linkage tables copies it from the "
         "file.",
         "Write to it before the loop; link with -z now, so that no function is bound inside."},
    [HOT_CAUSE_FIRST_TOUCH] =
        {"first touch",
         "The memory was only promised: the kernel supplies each page when it is first touched.",
         "Take it from a warm arena, or write to every page before the loop."},
    [HOT_CAUSE_ZERO_PAGE] =
        {"read before written",
         "The page was only read before: it was the page of zeros that all processes share, and "
         "the first write replaces it.",
         "Warm memory by writing to it: reading, and MADV_POPULATE_READ, do not do."},
    [HOT_CAUSE_FILE_PAGE] =
        {"file page not mapped",
         "The page of the mapped file was not in this process's page table.",
         "Read the file into an arena before the loop, or populate the mapping; a shared mapping "
         "of a disk's file faults again after each writeback."},
    [HOT_CAUSE_SYSTEM_PAGE] = {"kernel page not mapped",
                               "The page with the kernel's clock is mapped at its first use.",
                               "Read each clock that the loop uses once before it."},
    [HOT_CAUSE_KERNEL] =
        {"in a system call",
         "Inside a system call the kernel touched memory of the program that was not resident, or "
         "the call itself populates memory.",
         "Use warm memory for the buffers of system calls, and map, lock and populate before the "
         "loop."},
};

/* What is no page fault explains itself. */
static const struct words kinds[HOT_KIND_COUNT] = {
    [HOT_MISUSE] = {NULL, "A section's begin and end do not match.",
                    "Pair every begin with one end on the same thread."},
    [HOT_REFUSED] = {NULL, "An arena or a pool had no room for the request.",
                     "Give it the capacity of its peak; arena_stats tells how much that was."},
    [HOT_SYSTEM_CALL] = {NULL, "The section entered the kernel.",
                         "Move the call out of the section, or allow it by a pause."},
    [HOT_SWITCH] = {NULL, "The thread waited and gave up its CPU.",
                    "Wait outside of the section; inside, poll."},
    [HOT_PREEMPTION] = {NULL, "Another thread ran in this one's place.",
                        "Give the thread a CPU of its own, or a real-time priority."},
    [HOT_MIGRATION] = {NULL, "The scheduler moved the thread to another CPU.",
                       "Pin the thread to a CPU."},
    [HOT_OVER_BUDGET] = {NULL, "The section took longer than its budget.", NULL},
};

const char *hot_cause_name(enum hot_cause cause)
{
    return (unsigned)cause < HOT_CAUSE_COUNT ? causes[cause].name : "unknown";
}

static const struct words *words_of(const struct hot_violation *violation, enum hot_cause cause)
{
    ZF_ASSERT((unsigned)cause < HOT_CAUSE_COUNT);
    ZF_ASSERT((unsigned)violation->kind < HOT_KIND_COUNT);
    return cause == HOT_CAUSE_NONE ? &kinds[violation->kind] : &causes[cause];
}

const char *zf_hot_cause_sentence(const struct hot_violation *violation, enum hot_cause cause)
{
    const char *sentence = words_of(violation, cause)->sentence;
    return sentence == NULL ? hot_kind_name(violation->kind) : sentence;
}

const char *zf_hot_cause_remedy(const struct hot_violation *violation, enum hot_cause cause)
{
    return words_of(violation, cause)->remedy;
}
