/*
 * Names of addresses from symbol tables and debug information. Private to this system's folder; the
 * build chooses between dwarf.c, over libdw of elfutils, and no_dwarf.c, which knows nothing.
 */
#ifndef ZF_OS_LINUX_DWARF_H
#define ZF_OS_LINUX_DWARF_H

#include <stdint.h>

#include "os/os.h"

struct zf_linux_dwarf;

/* NULL when the library is not there, or there is no memory. */
struct zf_linux_dwarf *zf_linux_dwarf_open(void);
void zf_linux_dwarf_close(struct zf_linux_dwarf *dwarf);

/* Fill in function, file and line where they are known; the rest of `symbol` stays. */
void zf_linux_dwarf_find(struct zf_linux_dwarf *dwarf, uintptr_t address,
                         struct zf_os_symbol *symbol);

#endif
