/*
 * Running a program as a user does: arguments in; status, output and complaints out.
 */
#ifndef ZF_TESTS_SUPPORT_PROGRAM_H
#define ZF_TESTS_SUPPORT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

struct program_result {
    int status;        /* exit status, or 128 + signal */
    char output[8192]; /* what came on standard output, terminated; the rest is dropped */
    char errors[4096]; /* likewise, on standard error */
};

/* How the program is run. Zero of every field is the default. */
struct program_options {
    const char *input_path; /* standard input is a pipe that brings this file; default none */
    bool deny_perf;         /* perf_event_open answers EPERM, as in a container */
};

/* Run a program with arguments up to NULL; `argv[0]` is its path. Fails the test if it cannot be
 * started. */
void program_run(struct program_result *result, const struct program_options *options,
                 const char *const argv[]);

/* Run a shell command line, both of its output streams in `output`. */
void program_run_line(struct program_result *result, const char *line);

/* Make a file of these bytes below the directory for temporary files; `path` gets its name. */
void program_make_file(char path[64], const void *bytes, size_t size_bytes);

#endif
