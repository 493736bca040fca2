/*
 * A progress bar for warmups, ready to be copied: hand progress_bar_show to a warmup.
 *
 *     struct progress_bar bar;
 *     progress_bar_begin(&bar, stderr, &cancelled);
 *     rc = arena_warmup(arena, &WARMUP_OPTIONS(.progress = progress_bar_show, .context = &bar,
 *                                              .cancel = &cancelled), &report);
 *
 * On a terminal one line is drawn again and again, in colour. Anywhere else there is one plain line
 * for each step that is done. Once the warmup is cancelled nothing more is written.
 */
#ifndef PROGRESS_BAR_H
#define PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <zerofault/warmup.h>

struct progress_bar {
    FILE *stream;
    const int *cancelled; /* not 0 once the warmup is to stop; or NULL */
    bool terminal;        /* draw, and in colour unless the next says otherwise */
    bool coloured;
    bool drawn;        /* a line stands there without its end */
    uint64_t drawn_ns; /* when, in the phase */
    enum warmup_phase phase;
};

/* Find out what the stream is. */
void progress_bar_begin(struct progress_bar *bar, FILE *stream, const int *cancelled);

/* The callback of a warmup; `context` is the bar. Returns 1 when cancelled, otherwise 0. */
int progress_bar_show(const struct warmup_progress *progress, void *context);

#endif
