/*
 * The `zerofault` command: finds the command that is asked for, and hands it the rest of the line.
 *
 * Each command parses its own options with argp, so that options before the command's name are
 * those of `zerofault` itself. The program is built on the library's public headers alone.
 */
#include <argp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zerofault/version.h>

#include "cli/command.h"

static const struct cli_command commands[] = {
    {"doctor", "Find what brings page faults back on this machine", cli_doctor},
};
#define COMMANDS_COUNT (sizeof commands / sizeof commands[0])

/* What the first part of the line says. */
struct line {
    const struct cli_command *command; /* NULL until its name is read */
    int first;                         /* index of the name among the arguments */
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct line *line = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        for (size_t i = 0; i < COMMANDS_COUNT; ++i)
            if (strcmp(commands[i].name, argument) == 0)
                line->command = &commands[i];
        if (line->command == NULL)
            argp_error(state, "there is no command '%s'", argument);
        line->first = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command?");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Add the list of commands to the help text. */
static char *list_commands(int key, const char *text, void *input)
{
    char *list = NULL;
    size_t size_bytes = 0;
    FILE *stream;
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC || (stream = open_memstream(&list, &size_bytes)) == NULL)
        return (char *)(uintptr_t)text;
    fputs("Commands:\n", stream);
    for (size_t i = 0; i < COMMANDS_COUNT; ++i)
        fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'zerofault COMMAND --help' tells about one of them.", stream);
    if (fclose(stream) != 0) {
        free(list);
        return NULL;
    }
    return list;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .parser = parse,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Memory without page faults, and a guard that proves it.\v",
        .help_filter = list_commands,
    };
    struct line line = {NULL, 0};
    char name[64];
    argp_program_version = "zerofault " ZEROFAULT_VERSION;
    argp_err_exit_status = EX_USAGE;
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &line) != 0 || line.command == NULL)
        return EX_USAGE;
    (void)snprintf(name, sizeof name, "zerofault %s", line.command->name);
    argv[line.first] = name;
    return line.command->run(argc - line.first, argv + line.first);
}
