/*
 * Small files of /proc and /sys, read whole and written in one piece.
 *
 * Their stated size is 0 or a page whatever they hold, so the end is found by reading until read()
 * answers 0. Nothing is allocated: the caller owns the buffer, and a file that does not fit is
 * refused instead of cut, because half a number is still a number. A captured tree can hold
 * anything, so what is no file is refused before a byte of it is read: a pipe that nobody writes to
 * would be waited for without end. See proc(5), fifo(7).
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

static ssize_t read_to_end(int file, char *text, size_t size_bytes)
{
    size_t length = 0;
    while (length < size_bytes) {
        ssize_t count = read(file, text + length, size_bytes - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0) {
            text[length] = '\0';
            return (ssize_t)length;
        }
        length += (size_t)count;
    }
    return -EFBIG;
}

/* All that /proc and /sys hold are regular files too. */
static int check_regular(int file)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return -errno;
    if (S_ISREG(status.st_mode))
        return 0;
    return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
}

ssize_t zf_os_read_file(const char *path, char *text, size_t size_bytes)
{
    ssize_t length;
    int file;
    ZF_ASSERT(path != NULL);
    ZF_ASSERT(text != NULL);
    ZF_ASSERT(size_bytes > 0);
    text[0] = '\0';
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return -errno;
    length = check_regular(file);
    if (length == 0)
        length = read_to_end(file, text, size_bytes);
    close(file);
    if (length < 0)
        text[0] = '\0';
    return length;
}

int zf_os_write_file(const char *path, const char *text)
{
    size_t length = strlen(text);
    ssize_t count;
    int file, error;
    ZF_ASSERT(path != NULL && length != 0);
    file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    /* In one piece: each write to such a file is an order of its own. */
    do
        count = write(file, text, length);
    while (count < 0 && errno == EINTR);
    error = count < 0 ? -errno : 0;
    close(file);
    return count >= 0 && (size_t)count != length ? -EIO : error;
}
