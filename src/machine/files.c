/*
 * Small files of /proc and /sys below a root directory; see files.h.
 *
 * The kernel does not say beforehand how long they are, and a table of mounts can be megabytes, so
 * the buffer grows until the whole text fits. What is read may be captured, cut short or not from
 * a kernel at all: every function here takes any text and answers "not there" to what it does not
 * understand. See proc(5), sysfs(5).
 */
#include "machine/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "os/os.h"

#define FILE_BYTES_MIN 8192u
#define FILE_BYTES_MAX (16u << 20)

int zf_file_read(const char *root, const char *path, char **text)
{
    char whole[ZF_PATH_BYTES];
    int length = snprintf(whole, sizeof whole, "%s%s", root, path);
    ZF_ASSERT(path[0] == '/');
    *text = NULL;
    if (length < 0 || (size_t)length >= sizeof whole)
        return -ENAMETOOLONG;
    for (size_t size_bytes = FILE_BYTES_MIN; size_bytes <= FILE_BYTES_MAX; size_bytes *= 4) {
        char *buffer = malloc(size_bytes);
        ssize_t rc = buffer == NULL ? -ENOMEM : zf_os_read_file(whole, buffer, size_bytes);
        if (rc >= 0) {
            *text = buffer;
            return 0;
        }
        free(buffer);
        if (rc != -EFBIG)
            return (int)rc;
    }
    return -EFBIG;
}

int zf_file_number(const char *root, const char *path, uint64_t *value)
{
    char *text;
    int rc = zf_file_read(root, path, &text);
    ZF_ASSERT(value != NULL);
    if (rc != 0)
        return rc;
    if (*text >= '0' && *text <= '9')
        *value = strtoull(text, NULL, 10);
    else
        rc = -EINVAL;
    free(text);
    return rc;
}

const char *zf_text_value(const char *text, const char *key)
{
    size_t key_length = strlen(key);
    ZF_ASSERT(key_length > 0);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_length) == 0)
            return line + key_length + strspn(line + key_length, " \t");
    }
    return NULL;
}

uint64_t zf_text_field(const char *text, const char *key, uint64_t otherwise)
{
    const char *value = zf_text_value(text, key);
    return value != NULL && *value >= '0' && *value <= '9' ? strtoull(value, NULL, 10) : otherwise;
}

size_t zf_text_field_bytes(const char *text, const char *key, size_t otherwise)
{
    uint64_t kib = zf_text_field(text, key, UINT64_MAX);
    return kib < SIZE_MAX / 1024 ? (size_t)kib * 1024 : otherwise;
}

void zf_text_choice(const char *text, char *word, size_t word_bytes)
{
    const char *opened = strchr(text, '[');
    const char *start = opened != NULL ? opened + 1 : text + strspn(text, " \t\n");
    size_t length = strcspn(start, " \t\n]");
    ZF_ASSERT(word_bytes > 0);
    if (length >= word_bytes)
        length = word_bytes - 1;
    memcpy(word, start, length);
    word[length] = '\0';
}

bool zf_text_holds(const char *list, const char *word)
{
    size_t length = strlen(word);
    ZF_ASSERT(list != NULL);
    while (*list != '\0') {
        size_t word_length;
        list += strspn(list, " ,\t\n");
        word_length = strcspn(list, " ,\t\n");
        if (word_length > 0 && word_length == length && memcmp(list, word, length) == 0)
            return true;
        list += word_length;
    }
    return false;
}
