/*
 * The rehearsal: how much will the books need?
 *
 * Nobody can size a pool by the size of a file. So the messages are applied once, in the parent
 * process and outside of all measurement, to books on plain malloc with room for every stock
 * number; their peaks are the capacity that each mode prepares. A file that is cut or malformed is
 * found here, before anything is measured.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "input.h"
#include "plain.h"
#include "replay.h"

#define REHEARSAL_WINDOW_BYTES ((size_t)1 << 20)

static const struct book_capacity every_stock = {
    .counts = {[BOOK_ORDER] = 1u << 21}, /* more than that only make the hash chains longer */
    .locates = 1u << 16,
};

static uint64_t at_least_one(uint64_t count)
{
    return count > 0 ? count : 1;
}

static void make_plan(const struct books *books, const struct input *input, uint32_t locate_max,
                      struct plan *plan)
{
    uint64_t read_bytes = input_offset(input) + INPUT_WINDOW_BYTES_MIN;
    *plan = (struct plan){
        .messages = input->message_index,
        .capacity.locates = locate_max + 1,
        .checksum = books_checksum(books),
        .window_bytes = read_bytes < INPUT_WINDOW_BYTES ? (size_t)read_bytes : INPUT_WINDOW_BYTES,
    };
    for (int kind = 0; kind < BOOK_OBJECT_COUNT; ++kind)
        plan->capacity.counts[kind] = at_least_one(books->peak[kind]);
}

static void complain(const struct input *input, enum itch_status status, const char *name)
{
    char text[200];
    input_explain(input, status, text, sizeof text);
    fprintf(stderr, "itch_replay: %s: %s\n", name, text);
}

static int rehearse(struct input *input, const char *name, uint64_t messages_max, struct plan *plan,
                    struct books *books)
{
    enum itch_status status = ITCH_MESSAGE;
    uint32_t locate_max = 0;
    const uint8_t *message;
    while (messages_max == 0 || input->message_index < messages_max) {
        const struct itch_header *header;
        status = input_next(input, &message);
        if (status != ITCH_MESSAGE)
            break;
        header = (const void *)message;
        if (itch_load(header->locate) > locate_max)
            locate_max = (uint32_t)itch_load(header->locate);
        if (books_apply(books, message) != 0) {
            fprintf(stderr,
                    "itch_replay: no memory for the books after %" PRIu64
                    " messages; replay fewer with --messages\n",
                    input->message_index - 1);
            return -1;
        }
    }
    if (status != ITCH_MESSAGE && status != ITCH_END) {
        complain(input, status, name);
        return -1;
    }
    make_plan(books, input, locate_max, plan);
    return 0;
}

int replay_rehearse(int fd, const char *name, uint64_t messages_max, struct plan *plan,
                    struct books *books)
{
    struct input input;
    enum itch_status status;
    int rc = -1;
    void *window = malloc(REHEARSAL_WINDOW_BYTES);
    if (window == NULL || books_create(books, &plain_memory, &every_stock) != 0) {
        fprintf(stderr, "itch_replay: no memory for the rehearsal\n");
        free(window);
        return -1;
    }
    status = input_open(&input, fd, window, REHEARSAL_WINDOW_BYTES);
    if (status == ITCH_MESSAGE)
        rc = rehearse(&input, name, messages_max, plan, books);
    else
        complain(&input, status, name);
    books_destroy(books);
    free(window);
    return rc;
}
