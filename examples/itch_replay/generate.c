/*
 * itch_generate: a file for itch_replay where no exchange's file is at hand.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "session.h"

#define EXIT_USAGE 2
#define MESSAGES_DEFAULT 1000000
#define STOCKS_DEFAULT 200

static const char usage_text[] =
    "usage: itch_generate [--seed N] [--messages N] [--stocks N] [--out] [FILE]\n"
    "\n"
    "Writes an invented trading day as a NASDAQ TotalView-ITCH 5.0 file: orders that come, "
    "change,\n"
    "trade and go in bursts, on books that grow over the day. The same numbers give the same "
    "bytes.\n"
    "\n"
    "--seed N       which day; default 1\n"
    "--messages N   in all; default 1000000\n"
    "--stocks N     1 to 10000; default 200, or fewer for a short file\n"
    "--out FILE     where to; default standard output, unless that is a terminal\n"
    "--help         this text\n"
    "\n"
    "Exit status: 0; 1 the file cannot be written; 2 wrong usage.\n";

struct arguments {
    struct session_options session; /* the day */
    const char *file_name;          /* NULL: standard output */
};

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},         {"messages", required_argument, NULL, 'm'},
    {"out", required_argument, NULL, 'o'},    {"seed", required_argument, NULL, 's'},
    {"stocks", required_argument, NULL, 't'}, {0},
};

/* Take one option. Returns false when its value is not one. */
static bool take_option(struct arguments *arguments, int option, const char *value)
{
    uint64_t number;
    switch (option) {
    case 'm':
        return parse_number(value, 1, UINT32_MAX, &arguments->session.messages);
    case 's':
        return parse_number(value, 0, UINT64_MAX, &arguments->session.seed);
    case 't':
        if (!parse_number(value, 1, SESSION_STOCKS_MAX, &number))
            return false;
        arguments->session.stocks = (uint32_t)number;
        return true;
    default:
        arguments->file_name = value;
        return true;
    }
}

/* Without a word on the stocks, a short file has fewer: half of it is for orders. */
static void choose_stocks(struct session_options *session)
{
    if (session->stocks != 0)
        return;
    session->stocks = STOCKS_DEFAULT;
    while (session->stocks > 1 && 2 * session_messages_min(session->stocks) > session->messages)
        session->stocks -= 1;
}

/* Returns -1 to go on, or an exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    int option;
    while ((option = getopt_long(argc, argv, "hm:o:s:t:", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage_text, stdout);
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return EXIT_USAGE;
        if (!take_option(arguments, option, optarg)) {
            fprintf(stderr, "itch_generate: not a number in range: %s\n", optarg);
            return EXIT_USAGE;
        }
    }
    if (optind < argc && arguments->file_name == NULL)
        arguments->file_name = argv[optind++];
    if (optind < argc) {
        fprintf(stderr, "itch_generate: one file at a time: %s\n", argv[optind]);
        return EXIT_USAGE;
    }
    choose_stocks(&arguments->session);
    if (arguments->session.messages < session_messages_min(arguments->session.stocks)) {
        fprintf(stderr, "itch_generate: %" PRIu32 " stocks need at least %" PRIu64 " messages\n",
                arguments->session.stocks, session_messages_min(arguments->session.stocks));
        return EXIT_USAGE;
    }
    if (arguments->file_name == NULL && isatty(STDOUT_FILENO)) {
        fputs("itch_generate: this is not for a terminal; use --out FILE\n", stderr);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.session = {.seed = 1, .messages = MESSAGES_DEFAULT}};
    int status = parse_arguments(argc, argv, &arguments);
    FILE *out = stdout;
    int rc;
    if (status >= 0)
        return status;
    if (arguments.file_name != NULL)
        out = fopen(arguments.file_name, "wb");
    rc = out == NULL ? -errno : session_write(&arguments.session, out);
    if (out != NULL && fclose(out) != 0 && rc == 0)
        rc = -errno;
    if (rc != 0) {
        fprintf(stderr, "itch_generate: %s: %s\n",
                arguments.file_name == NULL ? "standard output" : arguments.file_name,
                strerror(-rc));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
