/* Running a program; see program.h. Output goes to files, so no pipe can fill up and stall. */
#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/deny.h"

static int anonymous_file(void)
{
    char path[] = "/tmp/zerofault-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

static void read_back(int fd, char *text, size_t text_bytes)
{
    ssize_t got_bytes = pread(fd, text, text_bytes - 1, 0);
    assert_true(got_bytes >= 0);
    text[got_bytes] = '\0';
    close(fd);
}

/* In the child: never returns. */
static void become(const struct program_options *options, const char *const argv[], int input_fd,
                   int output_fd, int errors_fd)
{
    if (dup2(input_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
        dup2(errors_fd, STDERR_FILENO) < 0)
        _exit(126);
    if (options->deny_perf && deny_system_call(SYS_perf_event_open) != 0)
        _exit(125);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* A process that writes a file into a pipe. Returns the pipe's other end. */
static int pipe_from(const char *path, pid_t *writer)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    *writer = fork();
    assert_true(*writer >= 0);
    if (*writer == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execlp("cat", "cat", path, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    return fds[0];
}

static int await(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void program_run(struct program_result *result, const struct program_options *options,
                 const char *const argv[])
{
    static const struct program_options none;
    const struct program_options *how = options == NULL ? &none : options;
    pid_t writer = -1;
    int input_fd = how->input_path == NULL ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                                           : pipe_from(how->input_path, &writer);
    int output_fd = anonymous_file();
    int errors_fd = anonymous_file();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become(how, argv, input_fd, output_fd, errors_fd);
    close(input_fd);
    result->status = await(child);
    if (writer > 0)
        (void)await(writer);
    read_back(output_fd, result->output, sizeof result->output);
    read_back(errors_fd, result->errors, sizeof result->errors);
    assert_int_not_equal(result->status, 127);
}

void program_run_line(struct program_result *result, const char *line)
{
    char both[1024];
    int length = snprintf(both, sizeof both, "%s 2>&1", line);
    assert_in_range(length, 1, sizeof both - 1);
    program_run(result, NULL, (const char *[]){"/bin/sh", "-c", both, NULL});
}

void program_make_file(char path[64], const void *bytes, size_t size_bytes)
{
    int fd;
    snprintf(path, 64, "/tmp/zerofault-test-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size_bytes), (ssize_t)size_bytes);
    close(fd);
}
