/*
 * One line of /proc/self/maps, or the first line of an entry of smaps. Private to this system's
 * folder.
 */
#ifndef ZF_OS_LINUX_MAPS_H
#define ZF_OS_LINUX_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/linux/lines.h"

struct zf_linux_mapping {
    uintptr_t start;
    uintptr_t end;
    bool readable;
    bool writable;
    bool executable;
    bool shared;
    const char *path; /* or "[stack]" and the like; "" for none; inside the line */
};

/* False when the line is none of that form. */
bool zf_linux_mapping_parse(const char *line, struct zf_linux_mapping *mapping);

/* The next mapping of an open maps or smaps file; false at the end. */
bool zf_linux_mapping_next(struct zf_linux_lines *lines, struct zf_linux_mapping *mapping);

/* Find the mapping that holds an address, or with a NULL address the one of this name. 0; -ENODATA
 * there is none; -EOPNOTSUPP no /proc. Its `path` is copied to `path`, cut to fit. */
int zf_linux_mapping_find(uintptr_t address, const char *name, struct zf_linux_mapping *mapping,
                          char *path, size_t path_bytes);

#endif
