/*
 * /proc/vmstat below a root directory; see vmstat.h. The file is one line of name and number for
 * each counter of the kernel, some four kilobytes. The counters are of the whole machine: that
 * one has moved is a hint, that it has not is an alibi. See
 * Documentation/admin-guide/numastat.rst, mm/vmstat.c of Linux.
 */
#include "machine/vmstat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "os/os.h"

#define FILE_BYTES 16384
#define PATH_BYTES 512

/* The number behind `name` and a blank at the start of a line; 0 when there is none. */
static uint64_t counter(const char *text, const char *name)
{
    size_t length = strlen(name);
    const char *line = text;
    ZF_ASSERT(length > 0);
    while (line != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return strtoull(line + length, NULL, 10);
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return 0;
}

void zf_machine_vmstat(const char *root, struct zf_machine_vmstat *vmstat)
{
    char *text;
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/proc/vmstat", root);
    ZF_ASSERT(vmstat != NULL);
    memset(vmstat, 0, sizeof *vmstat);
    if (length < 0 || (size_t)length >= sizeof path)
        return;
    text = malloc(FILE_BYTES);
    if (text != NULL && zf_os_read_file(path, text, FILE_BYTES) > 0) {
        vmstat->known = true;
        vmstat->numa_hint_faults = counter(text, "numa_hint_faults");
        vmstat->pages_migrated = counter(text, "pgmigrate_success");
        vmstat->huge_splits = counter(text, "thp_split_page") + counter(text, "thp_split_pmd");
        vmstat->swapped_in = counter(text, "pswpin");
    }
    free(text);
}
