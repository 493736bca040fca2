/*
 * One replay: what it is to do, and what it found out.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <zerofault/zerofault.h>

#include "book.h"
#include "modes.h"

#define INPUT_WINDOW_BYTES ((size_t)64 << 20) /* of the file in memory at a time; see input.h */

/* What a process that replays needs to know. */
struct plan {
    uint64_t messages;             /* to be replayed */
    struct book_capacity capacity; /* that the books will need */
    size_t window_bytes;           /* of memory for the file */
    uint64_t checksum;             /* that the books have in the end; unknown to a child */
};

/* What it measured. Goes from the process that replays to its parent, as it is. */
struct outcome {
    uint64_t messages;         /* replayed */
    uint64_t section_faults;   /* page faults that the hot sections reported */
    uint64_t other_violations; /* what else they reported */
    uint64_t rusage_faults;    /* getrusage around the loop, minor and major */
    uint64_t preemptions;      /* times that the loop lost its processor */
    uint64_t p50_ns;           /* per message */
    uint64_t p99_ns;
    uint64_t p999_ns;
    uint64_t max_ns;
    uint64_t warmup_ns;           /* the mode's preparation and the creation of the books */
    uint64_t checksum;            /* of the books after the last message */
    enum hot_source source;       /* what counted section_faults */
    char note[MODE_NOTE_BYTES];   /* the mode's, or "" */
    char remedy[MODE_NOTE_BYTES]; /* how to get a better source, or "" */
};

/* Build the books once, on whatever memory there is, and find out what the plan must provide for.
 * Checks every message. `messages_max` 0 is all of them. Prints what is wrong to standard error,
 * with `name` for the file. `books` are
 * empty again afterwards, but their peaks and counts can be read. Returns 0 or -1. */
int replay_rehearse(int fd, const char *name, uint64_t messages_max, struct plan *plan,
                    struct books *books);

/* Prepare memory as the mode does and replay the file into it, each message one hot section.
 * Prints what is wrong to standard error. Returns 0 or -1. */
int replay_measure(int fd, const struct mode *mode, const struct plan *plan,
                   struct outcome *outcome);

#endif
