/*
 * Where the build has no libdw: names come from the dynamic symbol tables alone, see symbols.c.
 */
#include "os/linux/dwarf.h"

#include <stddef.h>

struct zf_linux_dwarf *zf_linux_dwarf_open(void)
{
    return NULL;
}

void zf_linux_dwarf_close(struct zf_linux_dwarf *dwarf)
{
    (void)dwarf;
}

void zf_linux_dwarf_find(struct zf_linux_dwarf *dwarf, uintptr_t address,
                         struct zf_os_symbol *symbol)
{
    (void)dwarf;
    (void)address;
    (void)symbol;
}
