/*
 * What it costs to write to memory for the first time, and five ways to pay for it earlier or not.
 *
 * Each variant gets the same number of bytes from the kernel, prepares them its own way, and then
 * writes random data to all of them. Page faults and time are counted for both halves. Run with
 * the name of a variant for its numbers, or without for a table of all, each in a process of its
 * own. Pages are 4 KiB throughout (transparent huge pages are switched off for this process), and
 * the code of the measurement has run once before it counts, so that the faults are the memory's.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zerofault/zerofault.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; headers may be older than the kernel */
#endif

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

/* What one variant measured. */
struct result {
    int error;           /* 0, or the errno with which the kernel refused */
    int signal;          /* that ended the variant's process, or 0 */
    uint64_t prepare_ns; /* time of each half */
    uint64_t hot_ns;
    uint64_t prepare_faults; /* minor and major, in each half */
    uint64_t hot_faults;
};

/* A way to get memory: 0 or -errno. */
struct variant {
    const char *name;
    int (*prepare)(void **memory, size_t size_bytes);
    const char *summary;
};

/* ------------------------------------------------------------------------------------- variants */

static int map(void **memory, size_t size_bytes, int flags)
{
    *memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return *memory == MAP_FAILED ? -errno : 0;
}

static int prepare_lazy(void **memory, size_t size_bytes)
{
    return map(memory, size_bytes, 0);
}

static int prepare_init(void **memory, size_t size_bytes)
{
    int rc = map(memory, size_bytes, 0);
    if (rc != 0)
        return rc;
    /* Not to 0: whoever knows that fresh memory is zero may leave the write out. */
    memset(*memory, 0x80, size_bytes);
    /* Everything is written again later: without this line a compiler may drop the first time. */
    __asm__ volatile("" : : "r"(*memory) : "memory");
    return 0;
}

static int prepare_map_populate(void **memory, size_t size_bytes)
{
    return map(memory, size_bytes, MAP_POPULATE);
}

static int prepare_populate_write(void **memory, size_t size_bytes)
{
    int rc = map(memory, size_bytes, 0);
    if (rc != 0)
        return rc;
    return madvise(*memory, size_bytes, MADV_POPULATE_WRITE) == 0 ? 0 : -errno;
}

static int prepare_arena_warmup(void **memory, size_t size_bytes)
{
    struct arena *arena;
    struct warmup_report report = WARMUP_REPORT_INIT;
    int rc = arena_create(&arena, &ARENA_OPTIONS(.name = "warm", .capacity_bytes = size_bytes));
    if (rc != 0)
        return rc;
    rc = arena_warmup(arena, NULL, &report);
    if (rc != 0) {
        (void)warmup_report_print(&report, stderr);
        arena_destroy(arena);
        return rc;
    }
    *memory = arena_alloc(arena, size_bytes, alignof(max_align_t));
    return 0;
}

static const struct variant variants[] = {
    {"lazy", prepare_lazy, "nothing is prepared"},
    {"init", prepare_init, "memset to a sentinel that is not 0"},
    {"map_populate", prepare_map_populate, "mmap with MAP_POPULATE"},
    {"populate_write", prepare_populate_write, "madvise with MADV_POPULATE_WRITE"},
    {"arena_warmup", prepare_arena_warmup, "arena_create and arena_warmup"},
};
enum { VARIANT_COUNT = sizeof variants / sizeof variants[0] };

/* -------------------------------------------------------------------------------------- measure */

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of the whole process: a preparation may use threads. */
static uint64_t fault_count(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static void write_random(void *memory, size_t size_bytes)
{
    uint64_t *words = memory;
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < size_bytes / sizeof *words; ++i) {
        state ^= state << 13; /* Marsaglia's xorshift: any cheap noise will do */
        state ^= state >> 7;
        state ^= state << 17;
        words[i] = state;
    }
    __asm__ volatile("" : : "r"(memory) : "memory");
}

static int measure(const struct variant *variant, size_t size_bytes, struct result *result)
{
    void *memory = NULL;
    uint64_t faults_before = fault_count();
    uint64_t begin_ns = clock_ns();
    int rc = variant->prepare(&memory, size_bytes);
    result->prepare_ns = clock_ns() - begin_ns;
    result->prepare_faults = fault_count() - faults_before;
    result->error = -rc;
    if (rc != 0)
        return rc;

    faults_before = fault_count();
    begin_ns = clock_ns();
    write_random(memory, size_bytes);
    result->hot_ns = clock_ns() - begin_ns;
    result->hot_faults = fault_count() - faults_before;
    return 0;
}

/* The first call of anything faults in its code, its stack and the clock's page: all of that
 * happens here, on a memory that was never missing. */
static void measure_warm(const struct variant *variant, size_t size_bytes, struct result *result)
{
    static const struct variant rehearsal = {"rehearsal", prepare_init, ""};
    (void)measure(&rehearsal, (size_t)sysconf(_SC_PAGESIZE), result);
    (void)measure(variant, size_bytes, result);
}

/* ---------------------------------------------------------------------------------------- table */

/* A child inherits nothing that was prepared: its parent prepares nothing. */
static int measure_in_child(const struct variant *variant, size_t size_bytes, struct result *result)
{
    int ends[2];
    int status = 0;
    ssize_t length;
    pid_t child;
    if (pipe(ends) != 0)
        return -errno;
    child = fork();
    if (child == 0) {
        measure_warm(variant, size_bytes, result);
        _exit(write(ends[1], result, sizeof *result) == (ssize_t)sizeof *result ? 0 : 1);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -errno;
    }
    length = read(ends[0], result, sizeof *result);
    close(ends[0]);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        result->signal = WTERMSIG(status);
    else if (length != (ssize_t)sizeof *result)
        result->error = EIO;
    return 0;
}

static double seconds(uint64_t spent_ns)
{
    return (double)spent_ns / 1e9;
}

static int is_measured(const struct result *result)
{
    return result->error == 0 && result->signal == 0;
}

static void print_row(const struct variant *variant, const struct result *result)
{
    printf("%-15s ", variant->name);
    if (result->signal != 0)
        printf("killed by signal %d (%s)\n", result->signal, strsignal(result->signal));
    else if (result->error != 0)
        printf("refused: %s (errno %d)\n", strerror(result->error), result->error);
    else
        printf("%14" PRIu64 " %11" PRIu64 " %12.6f s %12.6f s\n", result->prepare_faults,
               result->hot_faults, seconds(result->prepare_ns), seconds(result->hot_ns));
}

static int run_all(size_t size_bytes)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    int status = 0;
    printf("%zu bytes in %zu pages of %zu bytes, each variant in a process of its own\n\n",
           size_bytes, size_bytes / page_bytes, page_bytes);
    printf("%-15s %14s %11s %14s %14s\n", "variant", "prepare faults", "hot faults", "prepare time",
           "hot time");
    for (size_t i = 0; i < VARIANT_COUNT; ++i) {
        struct result result = {0};
        int rc;
        fflush(stdout);
        rc = measure_in_child(&variants[i], size_bytes, &result);
        if (rc != 0)
            result.error = -rc;
        print_row(&variants[i], &result);
        if (!is_measured(&result))
            status = EXIT_REFUSED;
    }
    return status;
}

static int run_one(const struct variant *variant, size_t size_bytes)
{
    struct result result = {0};
    measure_warm(variant, size_bytes, &result);
    if (!is_measured(&result)) {
        fprintf(stderr, "%s: refused: %s (errno %d)\n", variant->name, strerror(result.error),
                result.error);
        return EXIT_REFUSED;
    }
    printf("Time: %.6f s\n", seconds(result.hot_ns));
    printf("Time (Prepare): %.6f s\n", seconds(result.prepare_ns));
    printf("Pagefaults (Prepare): %" PRIu64 "\n", result.prepare_faults);
    printf("Pagefaults (Hot): %" PRIu64 "\n", result.hot_faults);
    return 0;
}

/* ----------------------------------------------------------------------------------------- main */

static void print_usage(FILE *stream)
{
    fputs("usage: lazy_vs_warm [--size BYTES] [VARIANT]\n\n"
          "Writes random data to fresh memory and counts page faults and time, while the memory\n"
          "is prepared and while it is written. Without a variant: a table of all.\n\n",
          stream);
    for (size_t i = 0; i < VARIANT_COUNT; ++i)
        fprintf(stream, "  %-15s %s\n", variants[i].name, variants[i].summary);
    fputs("\n  --size BYTES    how much memory, in whole pages; K, M or G may follow;\n"
          "                  default 40000000\n"
          "  --help          this text\n\n"
          "Exit status: 0 all was measured, 1 a variant was refused or the output could not be\n"
          "written, 2 wrong usage.\n",
          stream);
}

/* Whole pages, or 0 when the text is no size or too large a one. */
static size_t parse_size(const char *text)
{
    static const char suffixes[] = "KMG";
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    char *end;
    unsigned long long number;
    const char *suffix;
    size_t size_bytes;
    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    suffix = *end == '\0' ? NULL : strchr(suffixes, *end);
    if (errno != 0 || (*end != '\0' && (suffix == NULL || end[1] != '\0')))
        return 0;
    if (__builtin_mul_overflow(number, suffix == NULL ? 1ull : 1024ull << 10 * (suffix - suffixes),
                               &size_bytes) ||
        __builtin_add_overflow(size_bytes, page_bytes - 1, &size_bytes))
        return 0;
    return size_bytes / page_bytes * page_bytes;
}

static const struct variant *find_variant(const char *name)
{
    for (size_t i = 0; i < VARIANT_COUNT; ++i) {
        if (strcmp(variants[i].name, name) == 0)
            return &variants[i];
    }
    return NULL;
}

static int refuse_usage(const char *what, const char *which)
{
    fprintf(stderr, "lazy_vs_warm: %s%s\n\n", what, which);
    print_usage(stderr);
    return EXIT_USAGE;
}

/* A table that did not arrive was not printed. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    fputs("lazy_vs_warm: standard output cannot be written\n", stderr);
    return EXIT_REFUSED;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"size", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    size_t size_bytes = parse_size("40000000");
    const struct variant *variant = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            print_usage(stdout);
            return finish(0);
        }
        if (option != 's')
            return EXIT_USAGE;
        size_bytes = parse_size(optarg);
        if (size_bytes == 0)
            return refuse_usage("no such size: ", optarg);
    }
    if (argc - optind > 1)
        return refuse_usage("one variant at a time", "");
    if (optind < argc) {
        variant = find_variant(argv[optind]);
        if (variant == NULL)
            return refuse_usage("no such variant: ", argv[optind]);
    }
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
        perror("lazy_vs_warm: transparent huge pages stay on");
    return finish(variant != NULL ? run_one(variant, size_bytes) : run_all(size_bytes));
}
