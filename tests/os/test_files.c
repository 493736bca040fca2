/*
 * Reading small files whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

/* A file of so many bytes; the path is the caller's to unlink. */
static void create_file(char *path, size_t path_bytes, size_t length)
{
    FILE *file;
    (void)snprintf(path, path_bytes, "/tmp/zerofault-files-%d", (int)getpid());
    file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < length; ++i)
        assert_int_equal(fputc('a' + (int)(i % 26), file), 'a' + (int)(i % 26));
    assert_int_equal(fclose(file), 0);
}

static void read_file_returns_length_and_terminates_the_text(void **state)
{
    char path[64];
    char text[64];
    (void)state;
    create_file(path, sizeof path, 10);
    memset(text, '!', sizeof text);

    ssize_t length = zf_os_read_file(path, text, sizeof text);
    unlink(path);

    assert_int_equal(length, 10);
    assert_string_equal(text, "abcdefghij");
}

static void read_file_refuses_what_does_not_fit_with_its_terminator(void **state)
{
    char path[64];
    char text[10];
    (void)state;
    create_file(path, sizeof path, 9);
    assert_int_equal(zf_os_read_file(path, text, sizeof text), 9);
    create_file(path, sizeof path, 10);
    assert_int_equal(zf_os_read_file(path, text, sizeof text), -EFBIG);
    assert_string_equal(text, "");
    unlink(path);
}

static void read_file_of_nothing_is_empty(void **state)
{
    char path[64];
    char text[4] = "xyz";
    (void)state;
    create_file(path, sizeof path, 0);
    assert_int_equal(zf_os_read_file(path, text, sizeof text), 0);
    assert_string_equal(text, "");
    unlink(path);
}

static void read_file_returns_the_system_s_error(void **state)
{
    char text[4] = "xyz";
    (void)state;
    assert_int_equal(zf_os_read_file("/proc/no such file", text, sizeof text), -ENOENT);
    assert_string_equal(text, "");
    assert_int_equal(zf_os_read_file("/proc", text, sizeof text), -EISDIR);
}

static void read_file_reads_files_that_state_no_size(void **state)
{
    char text[8192];
    (void)state;
    assert_true(zf_os_read_file("/proc/self/status", text, sizeof text) > 100);
    assert_non_null(strstr(text, "VmLck:"));
    assert_int_equal(zf_os_read_file("/proc/self/status", text, 100), -EFBIG);
}

static void read_file_waits_for_no_pipe_and_reads_no_device(void **state)
{
    char path[64];
    char text[4] = "xyz";
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/zerofault-pipe-%d", (int)getpid());
    assert_int_equal(mkfifo(path, 0600), 0);
    ssize_t length = zf_os_read_file(path, text, sizeof text);
    unlink(path);
    assert_int_equal(length, -EINVAL);
    assert_string_equal(text, "");
    assert_int_equal(zf_os_read_file("/dev/zero", text, sizeof text), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_file_returns_length_and_terminates_the_text),
        cmocka_unit_test(read_file_refuses_what_does_not_fit_with_its_terminator),
        cmocka_unit_test(read_file_of_nothing_is_empty),
        cmocka_unit_test(read_file_returns_the_system_s_error),
        cmocka_unit_test(read_file_reads_files_that_state_no_size),
        cmocka_unit_test(read_file_waits_for_no_pipe_and_reads_no_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
