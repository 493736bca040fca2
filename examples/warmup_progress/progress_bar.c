/*
 * The bar; see progress_bar.h. It is drawn ten times a second at most, because the callback runs
 * between two chunks of the thread that warms, and what it spends is spent on warming. A step ends
 * with a line of its own. Of a step that is cancelled the line stays as it was drawn last.
 */
#include "progress_bar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_NS UINT64_C(100000000)
#define BAR_COLUMNS_MAX 40u
#define OTHER_COLUMNS 58u /* what is beside the bar */
#define MEBIBYTE 1048576.0

void progress_bar_begin(struct progress_bar *bar, FILE *stream, const int *cancelled)
{
    const char *type = getenv("TERM");
    const char *colourless = getenv("NO_COLOR");
    bool dumb = type == NULL || strcmp(type, "dumb") == 0;
    memset(bar, 0, sizeof *bar);
    bar->stream = stream;
    bar->cancelled = cancelled;
    bar->terminal = isatty(fileno(stream)) != 0 && !dumb;
    bar->coloured = bar->terminal && (colourless == NULL || *colourless == '\0');
}

/* Columns for the bar itself, on a terminal that may have changed its size. */
static unsigned bar_columns(const struct progress_bar *bar)
{
    struct winsize size;
    if (ioctl(fileno(bar->stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return BAR_COLUMNS_MAX / 2;
    if (size.ws_col <= OTHER_COLUMNS)
        return 0;
    return size.ws_col - OTHER_COLUMNS > BAR_COLUMNS_MAX ? BAR_COLUMNS_MAX
                                                         : size.ws_col - OTHER_COLUMNS;
}

static void draw_bar(const struct progress_bar *bar, double part)
{
    unsigned columns = bar_columns(bar);
    unsigned full = (unsigned)(part * columns);
    if (columns == 0)
        return;
    fputs(bar->coloured ? " \033[32m" : " [", bar->stream);
    for (unsigned column = 0; column < columns; column++)
        fputs(column < full ? (bar->coloured ? "\u2501" : "=")
                            : (bar->coloured ? "\033[2m\u2500\033[22m" : " "),
              bar->stream);
    fputs(bar->coloured ? "\033[0m" : "]", bar->stream);
}

/* "populate  62 %  159 of 256 MiB  3.1 GiB/s". */
static void print_figures(const struct progress_bar *bar, const struct warmup_progress *progress)
{
    fprintf(bar->stream, " %3.0f %%  %.0f of %.0f MiB  %.1f GiB/s",
            100.0 * (double)progress->done_bytes / (double)progress->total_bytes,
            (double)progress->done_bytes / MEBIBYTE, (double)progress->total_bytes / MEBIBYTE,
            (double)progress->bytes_per_second / MEBIBYTE / 1024.0);
}

static void draw(struct progress_bar *bar, const struct warmup_progress *progress)
{
    size_t left_bytes = progress->total_bytes - progress->done_bytes;
    fprintf(bar->stream, "\r%-9s", warmup_phase_name(progress->phase));
    draw_bar(bar, (double)progress->done_bytes / (double)progress->total_bytes);
    print_figures(bar, progress);
    if (left_bytes != 0 && progress->bytes_per_second != 0)
        fprintf(bar->stream, "  %.1f s left",
                (double)left_bytes / (double)progress->bytes_per_second);
    fputs("\033[K", bar->stream);
    bar->drawn = left_bytes != 0;
    bar->drawn_ns = progress->spent_ns;
    bar->phase = progress->phase;
    if (!bar->drawn)
        fputc('\n', bar->stream);
    fflush(bar->stream);
}

/* Without a terminal: one line when the step is done. */
static void print_line(struct progress_bar *bar, const struct warmup_progress *progress)
{
    if (progress->done_bytes != progress->total_bytes)
        return;
    fprintf(bar->stream, "%-9s", warmup_phase_name(progress->phase));
    print_figures(bar, progress);
    fputc('\n', bar->stream);
    fflush(bar->stream);
}

int progress_bar_show(const struct warmup_progress *progress, void *context)
{
    struct progress_bar *bar = context;
    bool done = progress->done_bytes == progress->total_bytes;
    bool fresh = !bar->drawn || bar->phase != progress->phase ||
                 progress->spent_ns - bar->drawn_ns >= REDRAW_NS;
    if (bar->cancelled != NULL && __atomic_load_n(bar->cancelled, __ATOMIC_RELAXED) != 0)
        return 1;
    if (!bar->terminal)
        print_line(bar, progress);
    else if (done || fresh)
        draw(bar, progress);
    return 0;
}
