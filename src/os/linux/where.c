/*
 * What is mapped at an address, and which part of a loaded object it is.
 *
 * The mapping comes from /proc/self/maps, the part from the program headers of the object that
 * holds the address, because a mapping alone does not tell a table of the loader from a variable,
 * and zero-filled variables lie in a mapping without a name. What the loader fills in is what it
 * makes read-only afterwards (PT_GNU_RELRO), and the slots of functions that are bound at their
 * first call (DT_PLTGOT). See proc(5), elf(5), dl_iterate_phdr(3).
 */
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arith.h"
#include "os/linux/lines.h"
#include "os/linux/names.h"
#include "os/os.h"

/* ------------------------------------------------------------------------------------- mappings */

/* Skip this many words and the blanks behind them. */
static const char *skip_words(const char *text, int count)
{
    while (count-- > 0) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return text;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Sort by what the line ends with, and copy the name that is in it. */
static enum zf_os_where_kind kind_of(const char *path, char *name)
{
    name[0] = '\0';
    if (path[0] == '\0')
        return ZF_OS_WHERE_ANONYMOUS;
    if (starts_with(path, "[anon:") || starts_with(path, "[anon_shmem:")) {
        const char *begin = strchr(path, ':') + 1;
        snprintf(name, ZF_OS_NAME_MAX, "%.*s", (int)strcspn(begin, "]"), begin);
        if (starts_with(name, "glibc: malloc"))
            return ZF_OS_WHERE_HEAP;
        return path[5] == ':' ? ZF_OS_WHERE_ANONYMOUS : ZF_OS_WHERE_SHARED;
    }
    zf_linux_copy_path(name, path);
    if (strcmp(path, "[heap]") == 0)
        return ZF_OS_WHERE_HEAP;
    if (strcmp(path, "[stack]") == 0)
        return ZF_OS_WHERE_STACK;
    if (path[0] == '[')
        return ZF_OS_WHERE_SYSTEM;
    if (starts_with(path, "/dev/zero") || starts_with(path, "/memfd:") ||
        starts_with(path, "/SYSV") || starts_with(path, "/dev/shm/"))
        return ZF_OS_WHERE_SHARED;
    return ZF_OS_WHERE_FILE;
}

/* "start-end rwxp offset device inode   path"; true when the line holds the address. */
static bool take_line(const char *line, uintptr_t address, struct zf_os_where *where)
{
    char *rest;
    where->begin = strtoull(line, &rest, 16);
    where->end = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
    if (address < where->begin || address >= where->end || strnlen(rest, 6) < 6)
        return false;
    where->readable = rest[1] == 'r';
    where->writable = rest[2] == 'w';
    where->executable = rest[3] == 'x';
    where->shared = rest[4] == 's';
    where->file_offset = strtoull(rest + 6, NULL, 16) + (address - where->begin);
    where->kind = kind_of(skip_words(rest + 1, 4), where->name);
    if (where->kind != ZF_OS_WHERE_FILE)
        where->file_offset = 0;
    return true;
}

static int find_mapping(uintptr_t address, struct zf_os_where *where)
{
    struct zf_linux_lines lines;
    const char *line;
    bool found = false;
    if (zf_linux_lines_open(&lines, "/proc/self/maps") != 0)
        return -EOPNOTSUPP;
    while (!found && (line = zf_linux_lines_next(&lines)) != NULL)
        found = take_line(line, address, where);
    zf_linux_lines_close(&lines);
    return found ? 0 : -ENODATA;
}

/* -------------------------------------------------------------------------------------- objects */

struct search {
    uintptr_t address;
    struct zf_os_where *where;
};

static bool is_within(uintptr_t address, uintptr_t begin, size_t size_bytes)
{
    return address >= begin && address - begin < size_bytes;
}

/* The slots for functions of other objects: three words of the loader's, then one for each. */
static bool is_in_slots(uintptr_t bias, const ElfW(Dyn) * entry, uintptr_t address)
{
    uintptr_t slots = 0;
    size_t relocations_bytes = 0;
    size_t relocation_bytes = sizeof(ElfW(Rela));
    for (; entry->d_tag != DT_NULL; ++entry) {
        if (entry->d_tag == DT_PLTGOT)
            slots = entry->d_un.d_ptr;
        if (entry->d_tag == DT_PLTRELSZ)
            relocations_bytes = entry->d_un.d_val;
        if (entry->d_tag == DT_PLTREL && entry->d_un.d_val == DT_REL)
            relocation_bytes = sizeof(ElfW(Rel));
    }
    if (slots == 0)
        return false;
    if (slots < bias) /* some C libraries leave the file's own address there */
        slots += bias;
    return is_within(address, slots,
                     (3 + relocations_bytes / relocation_bytes) * sizeof(uintptr_t));
}

static enum zf_os_part part_of_segment(const ElfW(Phdr) * segment, uintptr_t begin,
                                       uintptr_t address)
{
    if ((segment->p_flags & PF_X) != 0)
        return ZF_OS_PART_CODE;
    if ((segment->p_flags & PF_W) == 0)
        return ZF_OS_PART_CONSTANTS;
    return address - begin < segment->p_filesz ? ZF_OS_PART_DATA : ZF_OS_PART_ZEROS;
}

static int look_in_object(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    const struct search *search = context;
    enum zf_os_part part = ZF_OS_PART_NONE;
    bool is_linkage = false;
    (void)size_bytes;
    for (size_t i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && is_within(search->address, begin, segment->p_memsz))
            part = part_of_segment(segment, begin, search->address);
        if (segment->p_type == PT_GNU_RELRO)
            is_linkage |= is_within(search->address, begin, segment->p_memsz);
        if (segment->p_type == PT_DYNAMIC)
            is_linkage |= is_in_slots(info->dlpi_addr, (const ElfW(Dyn) *)begin, search->address);
    }
    if (part == ZF_OS_PART_NONE)
        return 0;
    search->where->part = is_linkage && part != ZF_OS_PART_CODE ? ZF_OS_PART_LINKAGE : part;
    if (search->where->name[0] == '\0')
        zf_linux_copy_object(search->where->name, info->dlpi_name);
    return 1;
}

int zf_os_where(uintptr_t address, struct zf_os_where *where)
{
    struct search search = {address, where};
    int rc;
    ZF_ASSERT(where != NULL);
    memset(where, 0, sizeof *where);
    rc = find_mapping(address, where);
    if (rc != 0) {
        memset(where, 0, sizeof *where);
        return rc;
    }
    ZF_ASSERT(address >= where->begin && address < where->end);
    if (where->kind != ZF_OS_WHERE_SYSTEM)
        (void)dl_iterate_phdr(look_in_object, &search);
    return 0;
}
