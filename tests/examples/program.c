/* Runs an example as a user does; see program.h. */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

void program_run(const char *command, struct program_result *result)
{
    char both[1024];
    int length = snprintf(both, sizeof both, "%s 2>&1", command);
    FILE *pipe;
    size_t read_bytes;
    int status;
    assert_in_range(length, 1, sizeof both - 1);
    pipe = popen(both, "r");
    assert_non_null(pipe);
    read_bytes = fread(result->output, 1, sizeof result->output, pipe);
    status = pclose(pipe);
    assert_in_range(read_bytes, 0, sizeof result->output - 1);
    result->output[read_bytes] = '\0';
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
