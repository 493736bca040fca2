/* Output for people; see terminal.h. NO_COLOR is that of no-color.org. */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_MIN 60u
#define COLUMNS_MAX 100u

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && *value != '\0';
}

void cli_terminal_open(struct cli_terminal *terminal, FILE *stream)
{
    const char *type = getenv("TERM");
    struct winsize size;
    int handle = fileno(stream);
    bool shown = isatty(handle) != 0;
    terminal->stream = stream;
    terminal->columns = COLUMNS_MAX;
    terminal->coloured = shown && !is_set("NO_COLOR") && type != NULL && strcmp(type, "dumb") != 0;
    if (shown && ioctl(handle, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN &&
        size.ws_col < COLUMNS_MAX)
        terminal->columns = size.ws_col;
}

void cli_terminal_colour(const struct cli_terminal *terminal, const char *parameters)
{
    if (terminal->coloured)
        fprintf(terminal->stream, "\033[%sm", parameters);
}

void cli_terminal_plain(const struct cli_terminal *terminal)
{
    cli_terminal_colour(terminal, "0");
}

void cli_terminal_wrap(const struct cli_terminal *terminal, size_t indent, const char *words)
{
    size_t column = 0;
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        if (column > 0 && column + 1 + length > terminal->columns) {
            fputc('\n', terminal->stream);
            column = 0;
        }
        fprintf(terminal->stream, "%*s%.*s", column == 0 ? (int)indent : 1, "", (int)length, words);
        column += length + (column == 0 ? indent : 1);
        words += length + strspn(words + length, " ");
    }
    fputc('\n', terminal->stream);
}
