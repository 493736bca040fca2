/*
 * Stack, heap, lock, binding: the parts of a process that have limits or a will of their own.
 *
 * The stack is warmed down to where the thread may go and no further; the C heap by making it grow
 * once and forbidding it to shrink; locking is refused before it could fill the machine, because
 * the kernel would go on until the OOM killer ends it. Binding is only counted.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/arith.h"
#include "machine/memory.h"
#include "os/os.h"
#include "warmup/process_run.h"

int zf_process_check_memory(size_t size_bytes)
{
    struct zf_machine_memory memory;
    /* What cannot be read is no limit. */
    (void)zf_machine_memory("", &memory);
    return size_bytes > zf_min(memory.available_bytes, memory.cgroup_free_bytes) ? -ENOMEM : 0;
}

/* ---------------------------------------------------------------------------------------- stack */

int zf_process_stack(struct zf_process_run *run, struct process_item *item)
{
    struct zf_os_stack stack;
    uintptr_t wanted, reached;
    int rc, error;
    item->asked_bytes = run->stack_bytes;
    rc = zf_os_stack(&stack);
    if (rc != 0)
        return rc;
    ZF_ASSERT(stack.lowest <= stack.frame && stack.frame < stack.top);
    wanted = (uintptr_t)stack.frame - zf_min(run->stack_bytes, (uintptr_t)stack.frame);
    if (wanted < (uintptr_t)stack.lowest && stack.grows) {
        rc = zf_process_check_memory((uintptr_t)stack.lowest - wanted);
        if (rc == 0)
            rc = zf_os_stack_grow(&stack, (void *)wanted);
    }
    reached = zf_max(wanted, (uintptr_t)stack.lowest);
    if (rc == 0 && reached > wanted)
        rc = -ENOMEM;
    /* All above the frame too: an array there may never have been touched. */
    error = zf_process_warm_range(run, (void *)reached, (uintptr_t)stack.top - reached, true);
    item->granted_bytes = error == 0 ? (uintptr_t)stack.frame - reached : 0;
    return rc != 0 ? rc : error;
}

/* ----------------------------------------------------------------------------------------- heap */

/* The pages that hold any byte of a block; all of them are the heap's. */
static int warm_block(struct zf_process_run *run, void *block, size_t size_bytes)
{
    uintptr_t start = zf_align_down((uintptr_t)block, run->page_bytes);
    uintptr_t last = zf_align_down((uintptr_t)block + size_bytes - 1, run->page_bytes);
    return zf_process_warm_range(run, (void *)start, last + run->page_bytes - start, true);
}

int zf_process_heap(struct zf_process_run *run, struct process_item *item)
{
    size_t heap_bytes;
    void *block, *heap;
    int rc;
    item->asked_bytes = run->heap_bytes;
    rc = zf_os_heap_keep();
    if (rc == 0)
        rc = zf_process_check_memory(run->heap_bytes);
    if (rc != 0)
        return rc;
    block = malloc(run->heap_bytes);
    if (block == NULL)
        return -ENOMEM;
    rc = warm_block(run, block, run->heap_bytes);
    free(block);
    /* Blocks that were freed untouched, too: the next malloc may find them first. */
    if (rc == 0 && zf_os_heap(&heap, &heap_bytes) == 0)
        rc = zf_process_warm_range(run, heap, heap_bytes, true);
    item->granted_bytes = rc == 0 ? run->heap_bytes : 0;
    return rc;
}

/* ----------------------------------------------------------------------------------------- lock */

int zf_process_lock(struct zf_process_run *run, struct process_item *item)
{
    struct zf_os_process_memory memory;
    int rc = zf_os_process_memory(&memory);
    (void)run;
    if (rc != 0)
        return rc;
    item->asked_bytes = memory.lockable_bytes;
    ZF_ASSERT(memory.resident_bytes <= memory.lockable_bytes);
    rc = zf_process_check_memory(memory.lockable_bytes - memory.resident_bytes);
    if (rc == 0)
        rc = zf_os_lock_all();
    if (zf_os_process_memory(&memory) == 0) {
        item->asked_bytes = memory.lockable_bytes;
        item->granted_bytes = memory.locked_bytes;
    }
    return rc == 0 && item->granted_bytes < item->asked_bytes ? -EAGAIN : rc;
}

/* -------------------------------------------------------------------------------------- binding */

int zf_process_binding(struct zf_process_run *run, struct process_item *item)
{
    struct process_report *report = run->report;
    struct zf_os_binding binding;
    zf_os_binding(&binding);
    static_assert(sizeof report->lazy_object == sizeof binding.lazy_object, "names fit");
    report->objects = binding.objects;
    report->lazy_objects = binding.lazy_objects;
    report->lazy_slots = binding.lazy_slots;
    for (size_t i = 0; i < sizeof report->lazy_object; ++i)
        report->lazy_object[i] = binding.lazy_object[i];
    item->asked_bytes = binding.slots * sizeof(void *);
    item->granted_bytes = (binding.slots - binding.lazy_slots) * sizeof(void *);
    return binding.lazy_slots == 0 ? 0 : -EAGAIN;
}
