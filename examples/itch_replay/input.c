/*
 * The window over an ITCH file.
 *
 * Invariant: unless `ended`, at least FRAME_BYTES_MAX bytes of data follow `next_bytes` whenever a
 * message is looked at, so a message that is not whole is one that the file cuts. Nothing here
 * allocates; the one system call is pread, into memory that is the caller's.
 */
#include "input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LENGTH_BYTES 2
#define FRAME_BYTES_MAX (LENGTH_BYTES + ITCH_MESSAGE_BYTES_MAX)

/* Move what is left to the window's start and read on behind it. */
static enum itch_status refill(struct input *input)
{
    size_t left_bytes = input->filled_bytes - input->next_bytes;
    memmove(input->window, input->window + input->next_bytes, left_bytes);
    input->window_offset += input->next_bytes;
    input->next_bytes = 0;
    input->filled_bytes = left_bytes;
    while (input->filled_bytes < input->window_bytes && !input->ended) {
        ssize_t got_bytes = pread(input->fd, input->window + input->filled_bytes,
                                  input->window_bytes - input->filled_bytes,
                                  (off_t)(input->window_offset + input->filled_bytes));
        if (got_bytes < 0 && errno == EINTR)
            continue;
        if (got_bytes < 0) {
            input->read_error = errno;
            return ITCH_UNREADABLE;
        }
        input->filled_bytes += (size_t)got_bytes;
        input->ended = got_bytes == 0;
    }
    return ITCH_MESSAGE;
}

/* A length field begins with 0, because no message has 256 bytes; a bare message begins with the
 * letter of its type. */
static enum itch_status find_framing(struct input *input)
{
    const uint8_t *start = input->window;
    if (input->filled_bytes == 0)
        return ITCH_EMPTY;
    if (input->filled_bytes >= 2 && start[0] == 0x1f && start[1] == 0x8b)
        return ITCH_GZIP;
    input->framed = start[0] == 0;
    return input->framed || itch_length(start[0]) != 0 ? ITCH_MESSAGE : ITCH_NOT_ITCH;
}

enum itch_status input_open(struct input *input, int fd, void *window, size_t window_bytes)
{
    enum itch_status status;
    *input = (struct input){.fd = fd, .window = window, .window_bytes = window_bytes};
    status = refill(input);
    return status == ITCH_MESSAGE ? find_framing(input) : status;
}

/* Read the length before a message, or know it from the type. */
static enum itch_status find_length(const struct input *input, size_t left_bytes,
                                    size_t *length_bytes)
{
    const uint8_t *frame = input->window + input->next_bytes;
    if (!input->framed) {
        *length_bytes = itch_length(frame[0]);
        return itch_check_frame(frame[0], *length_bytes);
    }
    if (left_bytes < LENGTH_BYTES)
        return ITCH_CUT;
    *length_bytes = itch_load_bytes(frame, LENGTH_BYTES);
    if (*length_bytes == 0)
        return left_bytes == LENGTH_BYTES ? ITCH_END : ITCH_BAD_END;
    if (left_bytes == LENGTH_BYTES)
        return ITCH_CUT;
    return itch_check_frame(frame[LENGTH_BYTES], *length_bytes);
}

enum itch_status input_next(struct input *input, const uint8_t **message)
{
    size_t left_bytes = input->filled_bytes - input->next_bytes;
    size_t skip_bytes = input->framed ? LENGTH_BYTES : 0;
    size_t length_bytes;
    enum itch_status status;
    if (left_bytes < FRAME_BYTES_MAX && !input->ended) {
        status = refill(input);
        if (status != ITCH_MESSAGE)
            return status;
        left_bytes = input->filled_bytes;
    }
    if (left_bytes == 0)
        return ITCH_END;
    status = find_length(input, left_bytes, &length_bytes);
    if (status != ITCH_MESSAGE)
        return status;
    if (left_bytes < skip_bytes + length_bytes)
        return ITCH_CUT;
    *message = input->window + input->next_bytes + skip_bytes;
    status = itch_check_fields(*message);
    if (status != ITCH_MESSAGE)
        return status;
    input->next_bytes += skip_bytes + length_bytes;
    input->message_index += 1;
    return ITCH_MESSAGE;
}

/* A byte as the reader of an error message wants it. */
static const char *byte_name(uint8_t byte, char name[8])
{
    snprintf(name, 8, byte > ' ' && byte < 0x7f ? "'%c'" : "0x%02x", byte);
    return name;
}

static void explain_message(const struct input *input, enum itch_status status, char *text,
                            size_t text_bytes)
{
    const uint8_t *frame = input->window + input->next_bytes;
    size_t left_bytes = input->filled_bytes - input->next_bytes;
    const uint8_t *message = frame + (input->framed ? LENGTH_BYTES : 0);
    char name[8];
    switch (status) {
    case ITCH_CUT:
        if (left_bytes <= LENGTH_BYTES)
            snprintf(text, text_bytes, "the file ends after %zu byte%s of a message", left_bytes,
                     left_bytes == 1 ? "" : "s");
        else
            snprintf(text, text_bytes,
                     "the file ends inside a message of type %s: %zu of %zu bytes",
                     byte_name(message[0], name), left_bytes - (size_t)(message - frame),
                     itch_length(message[0]));
        break;
    case ITCH_BAD_TYPE:
        snprintf(text, text_bytes, "ITCH 5.0 has no message type %s", byte_name(message[0], name));
        break;
    case ITCH_BAD_LENGTH:
        snprintf(text, text_bytes, "a message of type %s has %zu bytes, its length field says %u",
                 byte_name(message[0], name), itch_length(message[0]),
                 (unsigned)itch_load_bytes(frame, LENGTH_BYTES));
        break;
    case ITCH_BAD_SIDE:
        snprintf(text, text_bytes, "the side of an order is neither B nor S");
        break;
    default:
        snprintf(text, text_bytes, "length 0 ends a file, but %zu or more bytes follow",
                 left_bytes - LENGTH_BYTES);
        break;
    }
}

void input_explain(const struct input *input, enum itch_status status, char *text,
                   size_t text_bytes)
{
    int used;
    switch (status) {
    case ITCH_EMPTY:
        snprintf(text, text_bytes, "the file is empty");
        return;
    case ITCH_GZIP:
        snprintf(text, text_bytes, "compressed by gzip; use: gunzip -c FILE | itch_replay -");
        return;
    case ITCH_NOT_ITCH:
        snprintf(text, text_bytes,
                 "byte offset 0: not an ITCH 5.0 file: it begins with 0x%02x, "
                 "neither a length nor a message type",
                 input->window[0]);
        return;
    case ITCH_UNREADABLE:
        snprintf(text, text_bytes, "byte offset %" PRIu64 ": cannot read: %s",
                 input->window_offset + input->filled_bytes, strerror(input->read_error));
        return;
    default:
        used = snprintf(text, text_bytes, "byte offset %" PRIu64 ", message index %" PRIu64 ": ",
                        input_offset(input), input->message_index);
        if (used > 0 && (size_t)used < text_bytes)
            explain_message(input, status, text + used, text_bytes - (size_t)used);
        return;
    }
}
