/*
 * Available memory and control group limits, from /proc and /sys below a root directory.
 *
 * /proc/self/cgroup names this process's group, /proc/self/mountinfo says where its hierarchy is
 * mounted and which group the mount shows as its root (a container's own, say). From the group up
 * to that root every level's limit counts, and the tightest wins; levels above the mount cannot be
 * seen from here. File cache that is clean counts as free, because the kernel drops it before it
 * calls the OOM killer. Swap counts for nothing: swapped memory is not warm.
 * See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux, proc(5).
 */
#include "machine/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "os/os.h"

#define FILE_BYTES_MIN 8192u
#define FILE_BYTES_MAX (16u << 20)
#define PATH_BYTES (2 * PATH_MAX)

/* The two generations of the memory controller. */
struct generation {
    const char *filesystem; /* type of its mount */
    const char *limit_name; /* file with the limit */
    const char *usage_name; /* file with what is used of it */
    const char
        *stat_keys[4]; /* of memory.stat: two to add as cache, two to subtract as not clean */
};
static const struct generation generation_two = {
    "cgroup2",
    "memory.max",
    "memory.current",
    {"inactive_file ", "active_file ", "file_dirty ", "file_writeback "}};
static const struct generation generation_one = {
    "cgroup",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    {"total_inactive_file ", "total_active_file ", "total_dirty ", "total_writeback "}};

/* ---------------------------------------------------------------------------------------- files */

/* Read root/directory/name whole into memory of its own. NULL, with errno set, when it cannot be
 * read. */
static char *read_whole(const char *root, const char *directory, const char *name)
{
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s%s%s", root, directory, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    for (size_t size_bytes = FILE_BYTES_MIN; size_bytes <= FILE_BYTES_MAX; size_bytes *= 4) {
        char *text = malloc(size_bytes);
        ssize_t rc = text == NULL ? -ENOMEM : zf_os_read_file(path, text, size_bytes);
        if (rc >= 0)
            return text;
        free(text);
        errno = (int)-rc;
        if (rc != -EFBIG)
            return NULL;
    }
    return NULL;
}

/* The number after `key` at the start of a line; `otherwise` when there is none. */
static uint64_t field(const char *text, const char *key, uint64_t otherwise)
{
    size_t key_length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_length) == 0)
            return strtoull(line + key_length, NULL, 10);
    }
    return otherwise;
}

/* A file that holds one number or the word max; SIZE_MAX for that and when it cannot be read. */
static size_t read_number(const char *root, const char *directory, const char *name)
{
    char *text = read_whole(root, directory, name);
    size_t value = SIZE_MAX;
    if (text != NULL && *text >= '0' && *text <= '9')
        value = strtoull(text, NULL, 10);
    free(text);
    return value;
}

/* --------------------------------------------------------------------------------------- groups */

/* Of the cache charged to a group, what could be dropped at once. */
static size_t clean_cache_bytes(const char *root, const char *directory,
                                const struct generation *generation)
{
    char *text = read_whole(root, directory, "/memory.stat");
    uint64_t cache_bytes, dirty_bytes;
    if (text == NULL)
        return 0;
    cache_bytes =
        field(text, generation->stat_keys[0], 0) + field(text, generation->stat_keys[1], 0);
    dirty_bytes =
        field(text, generation->stat_keys[2], 0) + field(text, generation->stat_keys[3], 0);
    free(text);
    return cache_bytes > dirty_bytes ? (size_t)(cache_bytes - dirty_bytes) : 0;
}

/* Let one group's limit count. */
static void add_group(const char *root, const char *directory, const struct generation *generation,
                      struct zf_machine_memory *memory)
{
    char name[40];
    size_t limit_bytes, usage_bytes, free_bytes;
    snprintf(name, sizeof name, "/%s", generation->limit_name);
    limit_bytes = read_number(root, directory, name);
    /* The first generation writes "none" as the largest multiple of a page. */
    if (limit_bytes >= SIZE_MAX / 2 - 65536)
        return;
    snprintf(name, sizeof name, "/%s", generation->usage_name);
    usage_bytes = read_number(root, directory, name);
    if (usage_bytes == SIZE_MAX)
        usage_bytes = 0;
    usage_bytes -= zf_min(usage_bytes, clean_cache_bytes(root, directory, generation));
    free_bytes = limit_bytes - zf_min(limit_bytes, usage_bytes);
    if (free_bytes < memory->cgroup_free_bytes || memory->cgroup_limit_bytes == SIZE_MAX) {
        memory->cgroup_free_bytes = free_bytes;
        memory->cgroup_limit_bytes = limit_bytes;
    }
}

/* Walk from the group up to the mount point, which is the first `mount_length` characters. */
static void add_groups(const char *root, char *directory, size_t mount_length,
                       const struct generation *generation, struct zf_machine_memory *memory)
{
    size_t length = strlen(directory);
    ZF_ASSERT(mount_length <= length);
    while (length > mount_length && directory[length - 1] == '/')
        directory[--length] = '\0';
    for (;;) {
        add_group(root, directory, generation, memory);
        if (length <= mount_length)
            return;
        while (length > mount_length && directory[length - 1] != '/')
            --length;
        length -= length > mount_length;
        directory[length] = '\0';
    }
}

/* --------------------------------------------------------------------------------------- mounts */

/* Cut the next word off a line; the kernel writes blanks inside a word as \040 and the like. */
static char *next_word(char **line)
{
    char *word = *line;
    char *in = word;
    char *out = word;
    while (*in != '\0' && *in != ' ') {
        if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
            in[3] >= '0' && in[3] <= '7') {
            *out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 4;
        } else {
            *out++ = *in++;
        }
    }
    *line = *in == ' ' ? in + 1 : in;
    *out = '\0';
    return word;
}

/* Tell whether a list like "rw,memory" holds a word. */
static bool list_holds(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (; list != NULL; list = strchr(list, ',')) {
        list += *list == ',';
        if (strncmp(list, word, length) == 0 && (list[length] == ',' || list[length] == '\0'))
            return true;
    }
    return false;
}

/* One line of mountinfo, cut into what matters here. */
struct mount {
    const char *top;        /* what of the file system the mount shows as its root */
    const char *directory;  /* where */
    const char *filesystem; /* type */
    const char *options;    /* of the file system */
};

static bool parse_mount(char *line, struct mount *mount)
{
    char *word;
    for (int skipped = 0; skipped < 3; ++skipped)
        next_word(&line);
    mount->top = next_word(&line);
    mount->directory = next_word(&line);
    do
        word = next_word(&line);
    while (*word != '\0' && strcmp(word, "-") != 0);
    mount->filesystem = next_word(&line);
    next_word(&line);
    mount->options = next_word(&line);
    return *mount->filesystem != '\0';
}

/* Where below the mount a group is: its path without the part above the mount. A group outside of
 * what the mount shows is looked for at the mount itself. */
static const char *below_mount(const char *group, const char *top)
{
    size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
    if (strncmp(group, "/..", 3) == 0 || strncmp(group, top, length) != 0 ||
        (group[length] != '/' && group[length] != '\0'))
        return "";
    return group + length;
}

/* Let the group `group` count, wherever its hierarchy is mounted. */
static void add_hierarchy(const char *root, const char *mounts, const char *group,
                          const struct generation *generation, struct zf_machine_memory *memory)
{
    char line[PATH_BYTES];
    char directory[PATH_BYTES];
    struct mount mount;
    int length;
    for (const char *end; (end = strchr(mounts, '\n')) != NULL; mounts = end + 1) {
        if ((size_t)(end - mounts) >= sizeof line)
            continue;
        memcpy(line, mounts, (size_t)(end - mounts));
        line[end - mounts] = '\0';
        if (!parse_mount(line, &mount) || strcmp(mount.filesystem, generation->filesystem) != 0)
            continue;
        if (generation == &generation_one && !list_holds(mount.options, "memory"))
            continue;
        length = snprintf(directory, sizeof directory, "%s%s", mount.directory,
                          below_mount(group, mount.top));
        if (length < 0 || (size_t)length >= sizeof directory)
            continue;
        add_groups(root, directory, strlen(mount.directory), generation, memory);
        return;
    }
}

/* Read this process's groups: lines of number:controllers:path. */
static void add_memberships(const char *root, struct zf_machine_memory *memory)
{
    char *mounts = read_whole(root, "", "/proc/self/mountinfo");
    char *groups = read_whole(root, "", "/proc/self/cgroup");
    char *line = mounts != NULL ? groups : NULL;
    while (line != NULL && *line != '\0') {
        char *end = strchr(line, '\n');
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (end != NULL)
            *end = '\0';
        if (path != NULL) {
            *path++ = '\0';
            if (controllers[1] == '\0')
                add_hierarchy(root, mounts, path, &generation_two, memory);
            else if (list_holds(controllers + 1, "memory"))
                add_hierarchy(root, mounts, path, &generation_one, memory);
        }
        line = end != NULL ? end + 1 : NULL;
    }
    free(groups);
    free(mounts);
}

int zf_machine_memory(const char *root, struct zf_machine_memory *memory)
{
    uint64_t available_kib;
    char *text;
    int rc = 0;
    ZF_ASSERT(root != NULL);
    ZF_ASSERT(memory != NULL);
    memory->available_bytes = memory->cgroup_limit_bytes = memory->cgroup_free_bytes = SIZE_MAX;
    if (strcmp(root, "/") == 0)
        root = "";
    text = read_whole(root, "", "/proc/meminfo");
    if (text == NULL) {
        rc = -errno;
    } else {
        available_kib = field(text, "MemAvailable:", UINT64_MAX);
        if (available_kib < SIZE_MAX / 1024)
            memory->available_bytes = (size_t)available_kib * 1024;
        free(text);
    }
    add_memberships(root, memory);
    return rc;
}
