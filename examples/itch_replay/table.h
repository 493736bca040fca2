/*
 * What the replay prints: the circumstances, then a row for each mode, or JSON.
 */
#ifndef TABLE_H
#define TABLE_H

#include "replay.h"

/* Say what is about to run: machine, kernel, file, books. */
void table_print_circumstances(const char *file_name, uint64_t file_bytes, const struct plan *plan,
                               const struct books *books);

/* Print the outcomes of all modes, in their order. */
void table_print(const struct outcome outcomes[MODE_COUNT]);

/* The same for programs: one JSON object per line and number. */
void table_print_json(const struct outcome outcomes[MODE_COUNT]);

#endif
