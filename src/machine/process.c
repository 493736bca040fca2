/*
 * What one process may do and has done, from its folder of /proc below a root directory.
 *
 * A capability inside a user namespace of its own does not reach the kernel's checks for locking
 * and perf events, which ask the first namespace; the identity mapping of uid_map tells which one
 * it is. See proc(5), user_namespaces(7), getrlimit(2).
 */
#include "machine/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "machine/files.h"

static int read_file(const char *root, const char *folder, const char *name, char **text)
{
    char path[ZF_PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    ZF_ASSERT(length > 0);
    ZF_ASSERT((size_t)length < sizeof path);
    return zf_file_read(root, path, text);
}

/* The list of a cpuset; NULL when the line is missing. */
static const char *read_list(const char *status, const char *key, struct zf_store *store)
{
    const char *value = zf_text_value(status, key);
    if (value == NULL)
        return NULL;
    return zf_store_text(store, "%.*s", (int)strspn(value, "0123456789,-"), value);
}

static void take_status(const char *status, struct zf_store *store, struct zf_process *process)
{
    const char *capabilities = zf_text_value(status, "CapEff:");
    process->status_known = capabilities != NULL;
    if (capabilities != NULL)
        process->capabilities = strtoull(capabilities, NULL, 16);
    process->tracer = (unsigned)zf_text_field(status, "TracerPid:", 0);
    process->filter = (unsigned)zf_text_field(status, "Seccomp:", 0);
    process->locked_bytes = zf_text_field_bytes(status, "VmLck:", 0);
    process->address_bytes = zf_text_field_bytes(status, "VmSize:", 0);
    process->data_bytes = zf_text_field_bytes(status, "VmData:", 0);
    process->huge_pages_off = zf_text_field(status, "THP_enabled:", 1) == 0;
    process->nodes_allowed = read_list(status, "Mems_allowed_list:", store);
    process->cpus_allowed = read_list(status, "Cpus_allowed_list:", store);
}

/* A number or the word unlimited; `*text` moves behind it. */
static bool take_limit_value(const char **text, size_t *value)
{
    char *end;
    *text += strspn(*text, " ");
    if (strncmp(*text, "unlimited", 9) == 0) {
        *value = SIZE_MAX;
        *text += 9;
        return true;
    }
    if (**text < '0' || **text > '9')
        return false;
    *value = (size_t)strtoull(*text, &end, 10);
    *text = end;
    return true;
}

static void take_limit(const char *limits, const char *key, struct zf_limit *limit)
{
    const char *value = zf_text_value(limits, key);
    limit->known = value != NULL && take_limit_value(&value, &limit->soft) &&
                   take_limit_value(&value, &limit->hard);
    if (!limit->known)
        limit->soft = limit->hard = SIZE_MAX;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; ++text)
        count += *text == '\n';
    return count;
}

int zf_process_read(const char *root, const char *folder, struct zf_store *store,
                    struct zf_process *process)
{
    char *text;
    unsigned long long inside, outside, length;
    int rc;
    memset(process, 0, sizeof *process);
    (void)read_file(root, folder, "limits", &text);
    take_limit(text, "Max locked memory", &process->locked);
    take_limit(text, "Max address space", &process->address);
    take_limit(text, "Max data size", &process->data);
    take_limit(text, "Max stack size", &process->stack);
    free(text);
    /* Without the file there are no user namespaces. */
    process->first_user_namespace =
        read_file(root, folder, "uid_map", &text) != 0 ||
        (sscanf(text, "%llu %llu %llu", &inside, &outside, &length) == 3 && inside == 0 &&
         outside == 0 && length == UINT32_MAX);
    free(text);
    if (read_file(root, folder, "maps", &text) == 0) {
        process->mappings_known = true;
        process->mappings_count = count_lines(text);
    }
    free(text);
    rc = read_file(root, folder, "status", &text);
    if (rc == 0)
        take_status(text, store, process);
    free(text);
    return rc;
}

bool zf_process_can(const struct zf_process *process, enum zf_capability capability)
{
    ZF_ASSERT(capability < 64);
    return process->status_known && process->first_user_namespace &&
           (process->capabilities >> capability & 1) != 0;
}

size_t zf_process_lockable_bytes(const struct zf_process *process)
{
    size_t limit_bytes = process->locked.soft;
    if (limit_bytes == SIZE_MAX || zf_process_can(process, ZF_CAP_IPC_LOCK))
        return SIZE_MAX;
    return limit_bytes - zf_min(limit_bytes, process->locked_bytes);
}
