/*
 * What the fake operating system does not know at all: what lies at an address, its names, forks.
 * Everything answers so, and calls that nobody may make without a success before abort.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"

#define must(condition)                                                                            \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : (fprintf(stderr, "%s:%d: misuse of os.h: %s\n", __FILE__, __LINE__, #condition),        \
            abort()))

/* ---------------------------------------------------------------------- what lies at an address */

int zf_os_where(uintptr_t address, struct zf_os_where *where)
{
    (void)address;
    memset(where, 0, sizeof *where);
    return -EOPNOTSUPP;
}

int zf_os_page(uintptr_t address, struct zf_os_page *page)
{
    (void)address;
    memset(page, 0, sizeof *page);
    return -EOPNOTSUPP;
}

int zf_os_has_policy(uintptr_t address, bool *has_policy)
{
    (void)address;
    *has_policy = false;
    return -EOPNOTSUPP;
}

void zf_os_thread_ranges(struct zf_os_thread_ranges *ranges_of_thread)
{
    memset(ranges_of_thread, 0, sizeof *ranges_of_thread);
}

struct zf_os_symbols *zf_os_symbols_open(void)
{
    return NULL;
}

void zf_os_symbols_close(struct zf_os_symbols *symbols)
{
    must(symbols == NULL);
}

void zf_os_symbols_find(struct zf_os_symbols *symbols, uintptr_t address, bool is_return,
                        struct zf_os_symbol *symbol)
{
    (void)symbols;
    (void)address;
    (void)is_return;
    (void)symbol;
    must(false); /* none was opened */
}

/* ---------------------------------------------------------------------------- children of forks */

int zf_os_release_part(void *base, size_t size_bytes)
{
    (void)base;
    (void)size_bytes;
    must(false); /* there are none */
    return -EOPNOTSUPP;
}
