/*
 * Names of addresses: object and offset from the loader, function, file and line from debug
 * information where the build has a reader for it, and otherwise the function from the object's
 * dynamic symbols, which a program has only when it was linked with -rdynamic. See
 * dl_iterate_phdr(3), dladdr(3).
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "os/linux/dwarf.h"
#include "os/linux/names.h"
#include "os/os.h"

struct zf_os_symbols {
    struct zf_linux_dwarf *dwarf; /* NULL without one */
};

struct search {
    uintptr_t address;
    struct zf_os_symbol *symbol;
};

struct zf_os_symbols *zf_os_symbols_open(void)
{
    struct zf_os_symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols != NULL)
        symbols->dwarf = zf_linux_dwarf_open();
    return symbols;
}

void zf_os_symbols_close(struct zf_os_symbols *symbols)
{
    if (symbols == NULL)
        return;
    zf_linux_dwarf_close(symbols->dwarf);
    free(symbols);
}

/* The object whose segments hold the address; what is between them is nobody's. */
static int look_in_object(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    const struct search *search = context;
    uintptr_t offset = search->address - info->dlpi_addr;
    (void)size_bytes;
    for (size_t i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || offset < segment->p_vaddr ||
            offset - segment->p_vaddr >= segment->p_memsz)
            continue;
        zf_linux_copy_object(search->symbol->object, info->dlpi_name);
        search->symbol->object_offset = offset;
        return 1;
    }
    return 0;
}

static void find_dynamic(uintptr_t address, struct zf_os_symbol *symbol)
{
    Dl_info info;
    if (dladdr((const void *)address, &info) != 0 && info.dli_sname != NULL)
        snprintf(symbol->function, sizeof symbol->function, "%s", info.dli_sname);
}

void zf_os_symbols_find(struct zf_os_symbols *symbols, uintptr_t address, bool is_return,
                        struct zf_os_symbol *symbol)
{
    struct search search = {address, symbol};
    ZF_ASSERT(symbols != NULL);
    ZF_ASSERT(symbol != NULL);
    memset(symbol, 0, sizeof *symbol);
    if (address == 0)
        return;
    if (is_return)
        --search.address;
    (void)dl_iterate_phdr(look_in_object, &search);
    if (symbols->dwarf != NULL)
        zf_linux_dwarf_find(symbols->dwarf, search.address, symbol);
    if (symbol->function[0] == '\0')
        find_dynamic(search.address, symbol);
    if (is_return && symbol->object[0] != '\0')
        ++symbol->object_offset;
}
