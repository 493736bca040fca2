/*
 * Names cut to fit; see names.h. A path loses its beginning, which "..." stands for: the file's own
 * name is what a reader looks for. The loader names the program itself "", and the kernel knows
 * what it was started from.
 */
#include "os/linux/names.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/os.h"

void zf_linux_copy_path(char *name, const char *path)
{
    size_t length = strlen(path);
    ZF_ASSERT(name != NULL);
    if (length < ZF_OS_NAME_MAX)
        memcpy(name, path, length + 1);
    else
        snprintf(name, ZF_OS_NAME_MAX, "...%s", path + length - (ZF_OS_NAME_MAX - 4));
    ZF_ASSERT(strlen(name) < ZF_OS_NAME_MAX);
}

void zf_linux_copy_object(char *name, const char *object)
{
    char path[PATH_MAX];
    ssize_t length;
    if (object != NULL && object[0] != '\0') {
        zf_linux_copy_path(name, object);
        return;
    }
    length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    zf_linux_copy_path(name, path);
}
