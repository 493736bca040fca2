/*
 * Output for people: colour where a terminal shows it, lines that fit.
 */
#ifndef ZF_CLI_TERMINAL_H
#define ZF_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cli_terminal {
    FILE *stream;
    bool coloured;
    size_t columns; /* lines are wrapped to this width */
};

/* Look at where a stream leads. Colour needs a terminal that is not "dumb", and NO_COLOR unset or
 * empty. */
void cli_terminal_open(struct cli_terminal *terminal, FILE *stream);

/* Switch to a colour, by the parameters of the terminal's SGR sequence, and back; nothing where
 * there is no colour. */
void cli_terminal_colour(const struct cli_terminal *terminal, const char *parameters);
void cli_terminal_plain(const struct cli_terminal *terminal);

/* Print words in lines that are indented by `indent` blanks, the last one ended. */
void cli_terminal_wrap(const struct cli_terminal *terminal, size_t indent, const char *words);

#endif
