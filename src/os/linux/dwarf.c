/*
 * Function, file and line of an address by libdwfl, the part of elfutils' libdw that knows running
 * processes.
 *
 * The library is loaded at the first question and stays: a program that never asks neither links
 * nor starts with it. Only its headers are needed to build. Debug information is looked for in the
 * object itself and where distributions put it by build id; never on the network, for which libdw's
 * own search would read the environment. The session sees what is loaded when it is opened.
 */
#include "os/linux/dwarf.h"

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/linux/names.h"

#define LIBRARY "libdw.so.1"

/* What is used of the library, by the types of its headers. */
struct functions {
    __typeof__(dwfl_begin) *begin;
    __typeof__(dwfl_end) *end;
    __typeof__(dwfl_linux_proc_report) *report_process;
    __typeof__(dwfl_report_end) *report_end;
    __typeof__(dwfl_linux_proc_find_elf) *find_elf;
    __typeof__(dwfl_addrmodule) *module_of;
    __typeof__(dwfl_module_addrinfo) *symbol_of;
    __typeof__(dwfl_module_getsrc) *line_of;
    __typeof__(dwfl_lineinfo) *line_info;
    __typeof__(dwfl_module_build_id) *build_id;
    __typeof__(dwfl_module_nextcu) *next_unit;
    __typeof__(dwarf_haspc) *has_address;
    __typeof__(dwarf_getsrc_die) *line_in_unit;
    __typeof__(dwarf_linesrc) *line_file;
    __typeof__(dwarf_lineno) *line_number;
};

struct zf_linux_dwarf {
    Dwfl *session;
    Dwfl_Callbacks callbacks;
};

static struct functions functions;
static bool loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX has function pointers come out of dlsym; ISO C has no cast for it. */
static bool find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    *(void **)function = found;
    return found != NULL;
}

static void load_once(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return;
    loaded = find(library, "dwfl_begin", &functions.begin) &&
             find(library, "dwfl_end", &functions.end) &&
             find(library, "dwfl_linux_proc_report", &functions.report_process) &&
             find(library, "dwfl_report_end", &functions.report_end) &&
             find(library, "dwfl_linux_proc_find_elf", &functions.find_elf) &&
             find(library, "dwfl_addrmodule", &functions.module_of) &&
             find(library, "dwfl_module_addrinfo", &functions.symbol_of) &&
             find(library, "dwfl_module_getsrc", &functions.line_of) &&
             find(library, "dwfl_lineinfo", &functions.line_info) &&
             find(library, "dwfl_module_build_id", &functions.build_id) &&
             find(library, "dwfl_module_nextcu", &functions.next_unit) &&
             find(library, "dwarf_haspc", &functions.has_address) &&
             find(library, "dwarf_getsrc_die", &functions.line_in_unit) &&
             find(library, "dwarf_linesrc", &functions.line_file) &&
             find(library, "dwarf_lineno", &functions.line_number);
}

/* Called back for an object whose own file has no debug information. Returns an open file or -1. */
static int find_debug_file(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                           const char *file, const char *link, GElf_Word checksum, char **found)
{
    char path[160] = "/usr/lib/debug/.build-id/";
    const unsigned char *id = NULL;
    size_t length = 25;
    GElf_Addr where;
    int count = functions.build_id(module, &id, &where);
    (void)user;
    (void)name;
    (void)base;
    (void)file;
    (void)link;
    (void)checksum;
    (void)found;
    if (count < 2 || count > 32)
        return -1;
    for (int i = 0; i < count; ++i)
        length += (size_t)snprintf(path + length, sizeof path - length, i == 0 ? "%02x/" : "%02x",
                                   (unsigned)id[i]);
    (void)snprintf(path + length, sizeof path - length, ".debug");
    return open(path, O_RDONLY | O_CLOEXEC);
}

struct zf_linux_dwarf *zf_linux_dwarf_open(void)
{
    struct zf_linux_dwarf *dwarf;
    (void)pthread_once(&once, load_once);
    if (!loaded)
        return NULL;
    dwarf = calloc(1, sizeof *dwarf);
    if (dwarf == NULL)
        return NULL;
    dwarf->callbacks.find_elf = functions.find_elf;
    dwarf->callbacks.find_debuginfo = find_debug_file;
    dwarf->session = functions.begin(&dwarf->callbacks);
    if (dwarf->session != NULL && functions.report_process(dwarf->session, getpid()) == 0 &&
        functions.report_end(dwarf->session, NULL, NULL) == 0)
        return dwarf;
    zf_linux_dwarf_close(dwarf);
    return NULL;
}

void zf_linux_dwarf_close(struct zf_linux_dwarf *dwarf)
{
    if (dwarf == NULL)
        return;
    if (dwarf->session != NULL)
        functions.end(dwarf->session);
    free(dwarf);
}

/* The unit of an address comes from a table that gcc writes and clang leaves out; without it, each
 * unit is asked. */
static const char *find_in_units(Dwfl_Module *module, uintptr_t address, int *number)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = NULL;
    Dwarf_Line *line = NULL;
    while (line == NULL && (unit = functions.next_unit(module, unit, &bias)) != NULL)
        if (functions.has_address(unit, address - bias) == 1)
            line = functions.line_in_unit(unit, address - bias);
    if (line == NULL || functions.line_number(line, number) != 0)
        return NULL;
    return functions.line_file(line, NULL, NULL);
}

static const char *find_line(Dwfl_Module *module, uintptr_t address, int *number)
{
    Dwfl_Line *line = functions.line_of(module, address);
    if (line == NULL)
        return find_in_units(module, address, number);
    return functions.line_info(line, NULL, number, NULL, NULL, NULL);
}

void zf_linux_dwarf_find(struct zf_linux_dwarf *dwarf, uintptr_t address,
                         struct zf_os_symbol *symbol)
{
    Dwfl_Module *module;
    GElf_Off offset;
    GElf_Sym entry;
    const char *name;
    int number = 0;
    ZF_ASSERT(dwarf->session != NULL);
    ZF_ASSERT(symbol != NULL);
    module = functions.module_of(dwarf->session, address);
    if (module == NULL)
        return;
    name = functions.symbol_of(module, address, &offset, &entry, NULL, NULL, NULL);
    if (name != NULL)
        snprintf(symbol->function, sizeof symbol->function, "%s", name);
    name = find_line(module, address, &number);
    if (name == NULL)
        return;
    zf_linux_copy_path(symbol->file, name);
    symbol->line = number > 0 ? (uint32_t)number : 0;
}
