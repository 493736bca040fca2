/*
 * Small files of /proc and /sys below a root directory, and the few shapes that they come in.
 */
#ifndef ZF_MACHINE_FILES_H
#define ZF_MACHINE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any path that the system can open. */
#define ZF_PATH_BYTES 4096

/* Read `root` followed by `path` whole into `*text`, which the caller frees. `root` is "" for this
 * machine. -ENAMETOOLONG, -ENOMEM, or the error of reading; `*text` is then NULL. */
int zf_file_read(const char *root, const char *path, char **text);

/* The number that a file begins with. -EINVAL it begins with something else, "max" say; or as
 * zf_file_read. */
int zf_file_number(const char *root, const char *path, uint64_t *value);

/* The number after `key` at the start of a line; `otherwise` when there is none. NULL holds no
 * line. */
uint64_t zf_text_field(const char *text, const char *key, uint64_t otherwise);

/* As zf_text_field for a field in kB, in bytes. */
size_t zf_text_field_bytes(const char *text, const char *key, size_t otherwise);

/* Where the value after `key` at the start of a line begins, blanks skipped; NULL when there is
 * none. */
const char *zf_text_value(const char *text, const char *key);

/* The choice that a setting stands at, "[madvise]" of "always [madvise] never", else its first
 * word. Cut to fit; "" when there is none. */
void zf_text_choice(const char *text, char *word, size_t word_bytes);

/* Tell whether `list`, words between blanks or commas, holds a word. */
bool zf_text_holds(const char *list, const char *word);

#endif
