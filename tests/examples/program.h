/* Runs an example as a user does, and keeps what it prints. */
#ifndef ZF_TESTS_EXAMPLES_PROGRAM_H
#define ZF_TESTS_EXAMPLES_PROGRAM_H

#include <stddef.h>

/* What a program printed on both streams, as text, and its exit status; -1 when it did not exit. */
struct program_result {
    char output[16384];
    int status;
};

/* Run a shell command line. Fails the running test when it cannot be started, or prints more than
 * fits. */
void program_run(const char *command, struct program_result *result);

#endif
