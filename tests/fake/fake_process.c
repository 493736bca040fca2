/*
 * The fake's loaded objects, stack, heap and process: what the test has put into fake_os, in ranges
 * that it reserved; see fake_os.h.
 */
#include "fake/fake_os.h"

#include <errno.h>
#include <stdlib.h>

int zf_os_each_image(zf_os_image_visit *visit, void *context)
{
    int rc = fake_os_enter(FAKE_EACH_IMAGE);
    for (size_t i = 0; rc == 0 && i < sizeof fake_os.images / sizeof fake_os.images[0]; ++i)
        if (fake_os.images[i].base != NULL)
            rc = visit(&fake_os.images[i], context);
    return rc;
}

int zf_os_each_thread_local(zf_os_image_visit *visit, void *context)
{
    int rc = fake_os_enter(FAKE_EACH_THREAD_LOCAL);
    if (rc == 0 && fake_os.thread_variables.base != NULL)
        rc = visit(&fake_os.thread_variables, context);
    return rc;
}

void zf_os_binding(struct zf_os_binding *binding)
{
    *binding = fake_os.binding;
}

int zf_os_stack(struct zf_os_stack *stack)
{
    int rc = fake_os_enter(FAKE_STACK);
    if (rc == 0)
        *stack = fake_os.stack;
    return rc;
}

int zf_os_stack_grow(struct zf_os_stack *stack, const void *lowest)
{
    unsigned char *reached = (unsigned char *)(uintptr_t)lowest;
    int rc = fake_os_enter(FAKE_STACK_GROW);
    if (!stack->grows || lowest >= stack->lowest)
        abort();
    if (rc != 0)
        return rc;
    stack->lowest = reached < fake_os.stack_limit ? fake_os.stack_limit : reached;
    fake_os.stack.lowest = stack->lowest;
    return stack->lowest == reached ? 0 : -ENOMEM;
}

int zf_os_heap_keep(void)
{
    return fake_os_enter(FAKE_HEAP_KEEP);
}

int zf_os_heap(void **base, size_t *size_bytes)
{
    int rc = fake_os_enter(FAKE_HEAP);
    *base = fake_os.heap.base;
    *size_bytes = fake_os.heap.size_bytes;
    return rc == 0 && fake_os.heap.base == NULL ? -ENODATA : rc;
}

void zf_os_clocks_use(void)
{
}

int zf_os_lock_all(void)
{
    int rc = fake_os_enter(FAKE_LOCK_ALL);
    if (rc != 0 || fake_os.lock_lies)
        return rc;
    fake_os.memory.resident_bytes = fake_os.memory.lockable_bytes;
    fake_os.memory.locked_bytes = fake_os.memory.lockable_bytes;
    return 0;
}

int zf_os_process_memory(struct zf_os_process_memory *memory)
{
    int rc = fake_os_enter(FAKE_PROCESS_MEMORY);
    if (rc == 0)
        *memory = fake_os.memory;
    return rc;
}
