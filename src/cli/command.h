/*
 * The commands of `zerofault`, and what they end with.
 */
#ifndef ZF_CLI_COMMAND_H
#define ZF_CLI_COMMAND_H

#include <sysexits.h>

/* How every command ends; EX_USAGE, EX_NOINPUT, EX_OSERR and EX_IOERR of sysexits.h beside them. */
enum cli_status {
    CLI_CLEAN = 0,   /* nothing to mend */
    CLI_WARNING = 1, /* something to mend */
    CLI_CRITICAL = 2 /* something that cannot work */
};

/* One command. `run` gets the arguments from the command's own name on, which reads
 * "zerofault NAME" for messages, and returns the exit status. */
struct cli_command {
    const char *name;
    const char *summary; /* for the list of commands */
    int (*run)(int argc, char **argv);
};

/* zerofault doctor */
int cli_doctor(int argc, char **argv);

#endif
