/*
 * itch_replay: one file of exchange messages, four kinds of memory, and what each of them costs.
 *
 * The parent rehearses the file to learn how large the books become. Then it runs itself once for
 * each mode, one after another: a fresh process, so that no mode finds what another one warmed.
 * Such a child gets the file as its standard input, the plan as arguments that no user gives, and
 * writes its outcome, a struct, to its standard output.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arguments.h"
#include "table.h"

#define EXIT_USAGE 2

static const char usage_text[] =
    "usage: itch_replay [--messages N] [--json] FILE\n"
    "\n"
    "Replays a NASDAQ TotalView-ITCH 5.0 file into price-time order books, each message one hot\n"
    "section, four times: on cold malloc, on malloc after mlockall and touching, on memory mapped\n"
    "with MAP_POPULATE, and on a zerofault arena. Prints page faults, latency and warmup time.\n"
    "\n"
    "FILE             as NASDAQ publishes it (each message after its 2-byte length), or bare\n"
    "                 messages; - reads standard input: gunzip -c day.gz | itch_replay -\n"
    "--messages N     replay the first N messages only\n"
    "--json           one JSON object per line and number, and no table\n"
    "--help           this text\n"
    "\n"
    "Exit status: 0; 1 the file is cut or malformed, memory does not suffice, the books differ,\n"
    "or the output cannot be written; 2 wrong usage. itch_generate makes a file to try it on.\n";

struct arguments {
    const char *file_name;   /* of the parent; - is standard input */
    uint64_t messages_max;   /* 0: all */
    bool json;               /* instead of the table */
    const struct mode *mode; /* of a child; NULL in the parent */
    struct plan plan;        /* of a child */
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "itch_replay: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

/* ------------------------------------------------------------------------------------ arguments */

enum {
    OPTION_HELP = 'h',
    OPTION_JSON = 'j',
    OPTION_MESSAGES = 'm',
    OPTION_MODE = 256,
    OPTION_ORDERS,
    OPTION_LEVELS,
    OPTION_LOCATES,
    OPTION_WINDOW
};

static const struct option options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"json", no_argument, NULL, OPTION_JSON},
    {"messages", required_argument, NULL, OPTION_MESSAGES},
    /* Only for children: */
    {"mode", required_argument, NULL, OPTION_MODE},
    {"orders", required_argument, NULL, OPTION_ORDERS},
    {"levels", required_argument, NULL, OPTION_LEVELS},
    {"locates", required_argument, NULL, OPTION_LOCATES},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {0},
};

/* Take one option. Returns false when its value is not one. */
static bool take_option(struct arguments *arguments, int option, const char *value)
{
    uint64_t number = 0;
    if (option == OPTION_JSON) {
        arguments->json = true;
        return true;
    }
    if (option == OPTION_MODE) {
        arguments->mode = mode_named(value);
        return arguments->mode != NULL;
    }
    if (!parse_number(value, 1, INT64_MAX, &number))
        return false;
    switch (option) {
    case OPTION_ORDERS:
        arguments->plan.capacity.counts[BOOK_ORDER] = number;
        break;
    case OPTION_LEVELS:
        arguments->plan.capacity.counts[BOOK_LEVEL] = number;
        break;
    case OPTION_LOCATES:
        arguments->plan.capacity.locates = (uint32_t)number;
        break;
    case OPTION_WINDOW:
        arguments->plan.window_bytes = (size_t)number;
        break;
    default:
        arguments->messages_max = number;
        break;
    }
    return true;
}

/* Returns -1 to go on, or an exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    int option;
    while ((option = getopt_long(argc, argv, "hjm:", options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            fputs(usage_text, stdout);
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return EXIT_USAGE;
        if (!take_option(arguments, option, optarg)) {
            fprintf(stderr, "itch_replay: not a number greater than 0: %s\n", optarg);
            return EXIT_USAGE;
        }
    }
    if (arguments->mode != NULL)
        return -1;
    if (argc - optind != 1) {
        fputs("itch_replay: give one file; --help tells more\n", stderr);
        return EXIT_USAGE;
    }
    arguments->file_name = argv[optind];
    return -1;
}

/* ---------------------------------------------------------------------------------------- child */

static int run_child(const struct arguments *arguments)
{
    struct outcome outcome = {0};
    struct plan plan = arguments->plan;
    plan.messages = arguments->messages_max;
    if (replay_measure(STDIN_FILENO, arguments->mode, &plan, &outcome) != 0)
        return EXIT_FAILURE;
    if (write(STDOUT_FILENO, &outcome, sizeof outcome) != (ssize_t)sizeof outcome)
        return complain("cannot hand over the outcome", strerror(errno));
    return EXIT_SUCCESS;
}

/* --------------------------------------------------------------------------------------- parent */

/* Start this program again with a mode; its input is the file, its output goes into the pipe. */
static int start_child(const struct mode *mode, const struct plan *plan, int fd, int pipe_fd,
                       pid_t *child)
{
    static char self[] = "/proc/self/exe";
    posix_spawn_file_actions_t actions;
    char texts[6][64];
    char *argv[] = {self, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], NULL};
    int rc;
    snprintf(texts[0], sizeof texts[0], "--mode=%s", mode->name);
    snprintf(texts[1], sizeof texts[1], "--messages=%" PRIu64, plan->messages);
    snprintf(texts[2], sizeof texts[2], "--orders=%" PRIu64, plan->capacity.counts[BOOK_ORDER]);
    snprintf(texts[3], sizeof texts[3], "--levels=%" PRIu64, plan->capacity.counts[BOOK_LEVEL]);
    snprintf(texts[4], sizeof texts[4], "--locates=%" PRIu32, plan->capacity.locates);
    snprintf(texts[5], sizeof texts[5], "--window=%zu", plan->window_bytes);
    rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, pipe_fd, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn(child, self, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* Read the outcome and wait for the child's end. Returns 0 when there is an outcome. */
static int await_child(const char *name, pid_t child, int pipe_fd, struct outcome *outcome)
{
    ssize_t got_bytes = read(pipe_fd, outcome, sizeof *outcome);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "itch_replay: %s: ended by signal %d (%s)%s\n", name, WTERMSIG(status),
                strsignal(WTERMSIG(status)),
                WTERMSIG(status) == SIGKILL ? "; out of memory? try --messages" : "");
        return -1;
    }
    if (got_bytes != (ssize_t)sizeof *outcome || status != 0) {
        fprintf(stderr, "itch_replay: %s: the replay failed\n", name);
        return -1;
    }
    return 0;
}

static int run_mode(const struct mode *mode, const struct plan *plan, int fd,
                    struct outcome *outcome)
{
    int pipe_fds[2];
    pid_t child = -1;
    int rc;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return complain(mode->name, strerror(errno));
    rc = start_child(mode, plan, fd, pipe_fds[1], &child);
    close(pipe_fds[1]);
    if (rc == 0)
        rc = await_child(mode->name, child, pipe_fds[0], outcome);
    else
        complain(mode->name, strerror(-rc));
    close(pipe_fds[0]);
    return rc;
}

/* What can be had without swapping, as the kernel estimates it; no limit when it does not say. */
static uint64_t available_bytes(void)
{
    char line[128];
    uint64_t available_kib = UINT64_MAX >> 10;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemAvailable: %" SCNu64, &available_kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return available_kib << 10;
}

/* malloc needs about a third more than a block of one's own does. */
static int check_memory(const struct plan *plan)
{
    uint64_t block_bytes = mode_block_bytes(&plan->capacity);
    uint64_t needed_bytes = block_bytes + block_bytes / 2 + plan->window_bytes;
    if (needed_bytes <= available_bytes())
        return 0;
    fprintf(stderr,
            "itch_replay: the replay needs about %" PRIu64 " MiB of memory and %" PRIu64
            " MiB are available; replay fewer messages with --messages\n",
            needed_bytes >> 20, available_bytes() >> 20);
    return -1;
}

static bool books_agree(const struct outcome outcomes[MODE_COUNT], uint64_t checksum)
{
    for (int i = 0; i < MODE_COUNT; ++i)
        if (outcomes[i].checksum != checksum)
            return false;
    return true;
}

static int run_parent(const struct arguments *arguments, int fd)
{
    static struct books books;
    struct outcome outcomes[MODE_COUNT] = {0};
    struct plan plan;
    struct stat file;
    if (fstat(fd, &file) != 0)
        return complain(arguments->file_name, strerror(errno));
    if (replay_rehearse(fd, arguments->file_name, arguments->messages_max, &plan, &books) != 0 ||
        check_memory(&plan) != 0)
        return EXIT_FAILURE;
    if (!arguments->json)
        table_print_circumstances(arguments->file_name, (uint64_t)file.st_size, &plan, &books);
    for (int i = 0; i < MODE_COUNT; ++i)
        if (run_mode(&modes[i], &plan, fd, &outcomes[i]) != 0)
            return EXIT_FAILURE;
    if (arguments->json)
        table_print_json(outcomes);
    else
        table_print(outcomes);
    if (!books_agree(outcomes, plan.checksum))
        return complain(arguments->file_name, "the books differ from mode to mode");
    return EXIT_SUCCESS;
}

/* ----------------------------------------------------------------------------------------- main */

/* A pipe can be read once only: put what it brings into a file without a name. */
static int spool(FILE *source)
{
    static char block[1u << 16];
    FILE *spooled = tmpfile();
    size_t count;
    if (source == NULL || spooled == NULL)
        return -1;
    while ((count = fread(block, 1, sizeof block, source)) > 0)
        if (fwrite(block, 1, count, spooled) != count)
            return -1;
    return ferror(source) || fflush(spooled) != 0 ? -1 : fileno(spooled);
}

/* Open the file so that it can be read at any offset. Returns -1, with errno. */
static int open_input(const char *file_name)
{
    struct stat file;
    int fd = strcmp(file_name, "-") == 0 ? STDIN_FILENO : open(file_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0)
        return -1;
    if (S_ISDIR(file.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    return S_ISREG(file.st_mode) ? fd : spool(fdopen(fd, "rb"));
}

/* A table that did not arrive was not printed. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    return complain("standard output", "cannot be written");
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int status = parse_arguments(argc, argv, &arguments);
    int fd;
    if (status >= 0)
        return finish(status);
    if (arguments.mode != NULL)
        return run_child(&arguments);
    fd = open_input(arguments.file_name);
    if (fd < 0)
        return complain(arguments.file_name, strerror(errno));
    return finish(run_parent(&arguments, fd));
}
