/*
 * zerofault doctor: audits the machine, and a plan, and tells what to mend.
 *
 * All judgement is the library's; this is the command line around machine_audit_create. Nothing is
 * ever changed: the commands that mend are printed, not run.
 */
#include "cli/doctor.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/size.h"

/* Options without a short form. */
enum { KEY_ROOT = 256, KEY_JSON, KEY_FOR, KEY_NODE, KEY_HUGE, KEY_RESERVED, KEY_LOCK };

static const struct argp_option option_table[] = {
    {"verbose", 'v', NULL, 0, "Show what is fine too", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object with all checks", 0},
    {"pid", 'p', "PID", 0, "Judge for this process instead of the doctor itself", 0},
    {"root", KEY_ROOT, "DIR", 0, "Read DIR/proc and DIR/sys, captured from another system", 0},
    {NULL, 0, NULL, 0, "Preflight of a plan, without allocating it:", 0},
    {"for", KEY_FOR, "SIZE", 0, "Can a range of SIZE (64K, 256M, 2G) be made warm?", 0},
    {"node", KEY_NODE, "N", 0, "... on NUMA node N", 0},
    {"huge", KEY_HUGE, "SIZE", 0, "... in pages of SIZE (2M, 1G)", 0},
    {"reserved", KEY_RESERVED, NULL, 0, "... from the pools of reserved pages and nowhere else", 0},
    {"lock", KEY_LOCK, NULL, 0, "... and be locked", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* A number up to `most`; ends the program with a message when it is none. */
static unsigned long take_number(struct argp_state *state, const char *text, const char *what,
                                 unsigned long least, unsigned long most)
{
    char *end;
    unsigned long value;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
        argp_error(state, "'%s' is no %s", text, what);
    return value;
}

/* Likewise a size. */
static size_t take_size(struct argp_state *state, const char *text, const char *what)
{
    size_t bytes = 0;
    if (!cli_size_parse(text, &bytes) || bytes == 0)
        argp_error(state, "'%s' is no %s", text, what);
    return bytes;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct doctor_options *options = state->input;
    struct machine_audit_options *audit = &options->audit;
    switch (key) {
    case 'v':
        options->verbose = true;
        return 0;
    case 'p':
        audit->process = (uint32_t)take_number(state, argument, "process", 1, INT_MAX);
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    case KEY_ROOT:
        audit->root = argument;
        return 0;
    case KEY_FOR:
        audit->plan_bytes = take_size(state, argument, "size");
        return 0;
    case KEY_NODE:
        audit->plan_node = MACHINE_NODE((int)take_number(state, argument, "node", 0, 65535));
        return 0;
    case KEY_HUGE:
        audit->plan_huge_bytes = take_size(state, argument, "page size");
        if ((audit->plan_huge_bytes & (audit->plan_huge_bytes - 1)) != 0)
            argp_error(state, "'%s' is no page size", argument);
        return 0;
    case KEY_RESERVED:
        audit->plan_reserved = true;
        return 0;
    case KEY_LOCK:
        audit->plan_lock = true;
        return 0;
    case ARGP_KEY_END:
        if (audit->plan_bytes == 0 && (audit->plan_node != MACHINE_NODE_ANY ||
                                       audit->plan_huge_bytes != 0 || audit->plan_lock))
            argp_error(state, "--node, --huge and --lock need --for SIZE");
        if (audit->plan_reserved && audit->plan_huge_bytes == 0)
            argp_error(state, "--reserved needs --huge SIZE");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Why there is no audit, on standard error; returns the exit status. */
static int refuse(const struct doctor_options *options, int error)
{
    const char *root = options->audit.root != NULL ? options->audit.root : "/";
    if (error == -ESRCH)
        fprintf(stderr, "zerofault doctor: there is no process %lu\n",
                (unsigned long)options->audit.process);
    else if (error == -ENOENT)
        fprintf(stderr, "zerofault doctor: neither proc nor sys can be read in %s\n", root);
    else
        fprintf(stderr, "zerofault doctor: %s\n", strerror(-error));
    return error == -ENOMEM ? EX_OSERR : EX_NOINPUT;
}

static int judge(const struct machine_audit *audit)
{
    enum machine_severity worst = machine_audit_worst(audit);
    if (worst >= MACHINE_CRITICAL || !machine_audit_plan_works(audit))
        return CLI_CRITICAL;
    return worst >= MACHINE_WARNING ? CLI_WARNING : CLI_CLEAN;
}

int cli_doctor(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Audit this machine for what brings page faults back after a warmup, and tell the "
               "commands that mend it. Nothing is changed.\v"
               "Exit status: 0 nothing to mend, 1 warnings, 2 something critical, or the plan "
               "cannot work; 64 wrong usage, 66 nothing to read. Unprivileged use is fine; what "
               "cannot be read is unknown, and counts as nothing to mend.",
    };
    struct doctor_options options = {.audit = MACHINE_AUDIT_OPTIONS(.root = NULL)};
    struct machine_audit *audit;
    int status;
    int rc;
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return EX_USAGE;
    rc = machine_audit_create(&audit, &options.audit);
    if (rc != 0)
        return refuse(&options, rc);
    status = judge(audit);
    if (!options.json)
        doctor_print_table(&options, audit, stdout);
    else if (doctor_print_json(&options, audit, stdout) != 0)
        status = EX_OSERR;
    machine_audit_destroy(audit);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fprintf(stderr, "zerofault doctor: the output could not be written\n");
        return EX_IOERR;
    }
    return status;
}
