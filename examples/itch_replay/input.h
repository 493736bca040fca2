/*
 * A file of ITCH messages, seen through a window of memory that the caller provides.
 *
 * The window is filled by pread, so its pages are as warm as the caller made them, whatever the
 * size of the file: one that fits is in memory after input_open; of a larger one the next part is
 * read when fewer bytes are left than the longest message has.
 */
#ifndef INPUT_H
#define INPUT_H

#include "itch.h"

#define INPUT_WINDOW_BYTES_MIN 4096

struct input {
    int fd;                 /* the caller's; read by offset only */
    uint8_t *window;        /* the caller's */
    size_t window_bytes;    /* of it */
    size_t next_bytes;      /* offset in the window of the next message */
    size_t filled_bytes;    /* how much of the window holds data */
    uint64_t window_offset; /* offset in the file of the window's first byte */
    uint64_t message_index; /* of the next message; the first is 0 */
    int read_error;         /* errno of a failed read, or 0 */
    bool framed;            /* each message has a 2-byte length before it */
    bool ended;             /* the window reaches the end of the file */
};

/* Start at the beginning of the file and find out its framing: as NASDAQ publishes them, each
 * message after a 2-byte big-endian length, or the bare messages one after another.
 * Returns ITCH_MESSAGE, or why this cannot be an ITCH file. */
enum itch_status input_open(struct input *input, int fd, void *window, size_t window_bytes);

/* Find the next message, check it, and move past it. It stays where it is until the next call.
 * Returns ITCH_MESSAGE, ITCH_END, or what is wrong: then the position is not moved. */
enum itch_status input_next(struct input *input, const uint8_t **message);

/* Offset in the file of the next message, its length field included. */
static inline uint64_t input_offset(const struct input *input)
{
    return input->window_offset + input->next_bytes;
}

/* Put into words what is wrong with the next message, where, and what to do about it. */
void input_explain(const struct input *input, enum itch_status status, char *text,
                   size_t text_bytes);

#endif
