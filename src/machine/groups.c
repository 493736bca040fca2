/*
 * Control groups, from /proc and /sys below a root directory.
 *
 * The process's cgroup file names its group, the reader's mountinfo says where the hierarchy is
 * mounted and which group the mount shows as its root (a container's own, say). From the group up
 * to that root every level's limit counts, and the tightest wins; levels above the mount cannot
 * be seen from here. File cache that is clean counts as free, because the kernel drops it before
 * it calls the OOM killer. See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of Linux,
 * proc(5).
 */
#include "machine/groups.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"

/* What one walk is about. */
struct walk {
    const char *root;
    const struct zf_group_kind *kind;
    struct zf_group_limit *limit; /* result */
    bool second;                  /* generation of the hierarchy being walked */
};

/* ------------------------------------------------------------------------------------ one group */

/* Of the cache charged to a group, what could be dropped at once. */
static size_t clean_cache_bytes(const struct walk *walk, const char *directory)
{
    static const char *const keys_one[] = {"total_inactive_file ", "total_active_file ",
                                           "total_dirty ", "total_writeback "};
    static const char *const keys_two[] = {"inactive_file ", "active_file ", "file_dirty ",
                                           "file_writeback "};
    const char *const *keys = walk->second ? keys_two : keys_one;
    char path[ZF_PATH_BYTES];
    char *text;
    uint64_t cache_bytes, dirty_bytes;
    int length = snprintf(path, sizeof path, "%s/memory.stat", directory);
    if (length < 0 || (size_t)length >= sizeof path || zf_file_read(walk->root, path, &text) != 0)
        return 0;
    cache_bytes = zf_text_field(text, keys[0], 0) + zf_text_field(text, keys[1], 0);
    dirty_bytes = zf_text_field(text, keys[2], 0) + zf_text_field(text, keys[3], 0);
    free(text);
    return cache_bytes > dirty_bytes ? (size_t)(cache_bytes - dirty_bytes) : 0;
}

/* A number of a group; SIZE_MAX for the word max, and when it cannot be read. */
static size_t group_number(const struct walk *walk, const char *directory, const char *name,
                           char path[ZF_PATH_BYTES])
{
    uint64_t value;
    int length;
    if (name == NULL)
        return SIZE_MAX;
    length = snprintf(path, ZF_PATH_BYTES, "%s/%s", directory, name);
    if (length < 0 || length >= ZF_PATH_BYTES || zf_file_number(walk->root, path, &value) != 0)
        return SIZE_MAX;
    return value < SIZE_MAX ? (size_t)value : SIZE_MAX;
}

/* Let one group's limit count. */
static void add_group(const struct walk *walk, const char *directory)
{
    const struct zf_group_kind *kind = walk->kind;
    struct zf_group_limit *limit = walk->limit;
    char file[ZF_PATH_BYTES];
    char other[ZF_PATH_BYTES];
    size_t free_bytes, usage_bytes;
    size_t limit_bytes =
        group_number(walk, directory, walk->second ? kind->limit_two : kind->limit_one, file);
    /* The first generation writes "none" as the largest multiple of a page, or of a huge page. */
    if (limit_bytes >= SIZE_MAX / 4)
        return;
    usage_bytes =
        group_number(walk, directory, walk->second ? kind->usage_two : kind->usage_one, other);
    if (usage_bytes == SIZE_MAX)
        usage_bytes = 0;
    if (kind->clean_cache_is_free)
        usage_bytes -= zf_min(usage_bytes, clean_cache_bytes(walk, directory));
    free_bytes = limit_bytes - zf_min(limit_bytes, usage_bytes);
    if (free_bytes < limit->free_bytes || limit->limit_bytes == SIZE_MAX) {
        limit->free_bytes = free_bytes;
        limit->limit_bytes = limit_bytes;
        memcpy(limit->file, file, sizeof file);
    }
}

/* Walk from the group up to the mount point, which is the first `mount_length` characters. */
static void add_groups(const struct walk *walk, char *directory, size_t mount_length)
{
    size_t length = strlen(directory);
    ZF_ASSERT(mount_length <= length);
    while (length > mount_length && directory[length - 1] == '/')
        directory[--length] = '\0';
    for (;;) {
        add_group(walk, directory);
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
    return *mount->filesystem != '\0' && *mount->directory == '/';
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

/* Does this mount show the hierarchy that is being walked? */
static bool is_wanted(const struct walk *walk, const struct mount *mount)
{
    if (walk->second)
        return strcmp(mount->filesystem, "cgroup2") == 0;
    return strcmp(mount->filesystem, "cgroup") == 0 &&
           zf_text_holds(mount->options, walk->kind->controller);
}

/* Let the group `group` count, wherever its hierarchy is mounted. */
static void add_hierarchy(const struct walk *walk, const char *mounts, const char *group)
{
    char line[ZF_PATH_BYTES];
    char directory[ZF_PATH_BYTES];
    struct mount mount;
    int length;
    for (const char *end; (end = strchr(mounts, '\n')) != NULL; mounts = end + 1) {
        if ((size_t)(end - mounts) >= sizeof line)
            continue;
        memcpy(line, mounts, (size_t)(end - mounts));
        line[end - mounts] = '\0';
        if (!parse_mount(line, &mount) || !is_wanted(walk, &mount))
            continue;
        length = snprintf(directory, sizeof directory, "%s%s", mount.directory,
                          below_mount(group, mount.top));
        if (length < 0 || (size_t)length >= sizeof directory)
            continue;
        add_groups(walk, directory, strlen(mount.directory));
        return;
    }
}

/* ---------------------------------------------------------------------------------- memberships */

/* Take one line of the process's groups, number:controllers:path. */
static void add_membership(struct walk *walk, const char *mounts, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL)
        return;
    *path++ = '\0';
    walk->second = controllers[1] == '\0';
    if (walk->second || zf_text_holds(controllers + 1, walk->kind->controller))
        add_hierarchy(walk, mounts, path);
}

/* Read which groups a process is in. */
static int read_groups(const char *root, const char *process, char **text)
{
    char path[ZF_PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/cgroup", process);
    *text = NULL;
    if (length < 0 || (size_t)length >= sizeof path)
        return -ENAMETOOLONG;
    return zf_file_read(root, path, text);
}

int zf_group_limit(const char *root, const char *process, const struct zf_group_kind *kind,
                   struct zf_group_limit *limit)
{
    struct walk walk = {root, kind, limit, false};
    char *mounts = NULL;
    char *groups = NULL;
    char *line;
    /* Always the reader's own mounts: those of a process in a container are out of reach here. */
    int rc = zf_file_read(root, "/proc/self/mountinfo", &mounts);
    ZF_ASSERT(kind->limit_one != NULL || kind->limit_two != NULL);
    limit->limit_bytes = limit->free_bytes = SIZE_MAX;
    limit->file[0] = '\0';
    if (rc == 0)
        rc = read_groups(root, process, &groups);
    line = groups;
    while (line != NULL && *line != '\0') {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        add_membership(&walk, mounts, line);
        line = end != NULL ? end + 1 : NULL;
    }
    ZF_ASSERT(limit->free_bytes <= limit->limit_bytes);
    free(groups);
    free(mounts);
    return rc;
}
