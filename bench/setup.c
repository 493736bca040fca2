/*
 * What every bench does before it times anything: command line, pinning, clock, and the machine's
 * memory.
 *
 * The last needs a word. In a virtual machine, memory that the guest has never used is often not
 * backed by the host either: its first touch costs microseconds in the host, no counter in the
 * guest shows it, and it hits whichever case happens to come first. So as much memory as a bench
 * uses is touched once and given back, and the kernel hands out the same frames again.
 */
#include "harness.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"

#define CALIBRATE_NS UINT64_C(50000000)
#define CALIBRATE_SMOKE_NS UINT64_C(2000000)
#define MACHINE_BYTES ((size_t)1280 << 20) /* more than any bench takes */
#define MACHINE_SMOKE_BYTES ((size_t)8 << 20)

/* ThreadSanitizer writes a trace of all calls to ever new pages: a warm case cannot be without
 * faults then, and is not failed for them. */
#if defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define INSTRUMENTED true
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED false
#endif

/* What the command line asked for beyond struct bench. */
struct request {
    long cpu; /* to pin to; -1 for the present one, -2 for none */
    const char *json_path;
    bool help;
};
#define CPU_PRESENT (-1L)
#define CPU_NONE (-2L)

static void print_usage(FILE *stream, const char *name, const char *idea)
{
    fprintf(stream,
            "usage: bench_%s [--smoke] [--json] [--json-to FILE] [--cpu N | --no-pin]\n"
            "%s\n"
            "  --smoke         a tiny size, to see that it runs; its times mean nothing\n"
            "  --json          one object per figure on standard output, instead of the table\n"
            "  --json-to FILE  the same objects to FILE, beside the table\n"
            "  --cpu N         pin to this CPU; default: the one it was started on\n"
            "  --no-pin        do not pin\n"
            "  --help          this text\n"
            "exit status: 0 done; 1 could not run, or a warm case took a page fault; 2 usage\n",
            name, idea);
}

static int parse_cpu(const char *text, long *cpu)
{
    char *end;
    errno = 0;
    *cpu = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *cpu >= 0 && *cpu < CPU_SETSIZE ? 0 : -1;
}

/* Returns 0, or -1 when the command line was not understood. */
static int parse(struct bench *bench, struct request *request, int argc, char **argv)
{
    static const struct option options[] = {
        {"smoke", no_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"json-to", required_argument, NULL, 't'},
        {"cpu", required_argument, NULL, 'c'},
        {"no-pin", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (letter == 's')
            bench->smoke = true;
        else if (letter == 'j')
            bench->json = true;
        else if (letter == 't')
            request->json_path = optarg;
        else if (letter == 'n')
            request->cpu = CPU_NONE;
        else if (letter == 'h')
            request->help = true;
        else if (letter != 'c' || parse_cpu(optarg, &request->cpu) != 0)
            return -1;
    }
    return optind == argc ? 0 : -1;
}

static void pin(struct bench *bench, long cpu)
{
    cpu_set_t set;
    bench->cpu = -1;
    if (cpu == CPU_NONE)
        return;
    if (cpu == CPU_PRESENT)
        cpu = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET((size_t)(cpu < 0 ? 0 : cpu), &set);
    if (cpu < 0 || sched_setaffinity(0, sizeof set, &set) != 0)
        bench->pin_error = errno;
    else
        bench->cpu = (int)cpu;
}

/* Touch memory and give it back. Returns how much; never more than half of what is free. */
static size_t warm_machine(size_t bytes)
{
    long free_pages = sysconf(_SC_AVPHYS_PAGES);
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t limit_bytes = free_pages <= 0 ? 0 : (size_t)free_pages / 2 * page_bytes;
    unsigned char *memory;
    if (bytes > limit_bytes)
        bytes = limit_bytes;
    if (bytes == 0)
        return 0;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    for (size_t offset = 0; offset < bytes; offset += page_bytes)
        ((volatile unsigned char *)memory)[offset] = 1;
    munmap(memory, bytes);
    return bytes;
}

static void warn_about_build(const struct bench *bench)
{
#ifndef __OPTIMIZE__
    if (!bench->smoke)
        fprintf(stderr, "bench_%s: not an optimised build: the times mean nothing\n", bench->name);
#else
    (void)bench;
#endif
}

static void print_setup(const struct bench *bench)
{
    const struct bench_metric metrics[] = {
        {"cpu", (double)bench->cpu, "cpu"},
        {"clock", 1e3 / bench_clock.ns_per_tick, "MHz"},
        {"machine_bytes", (double)bench->machine_bytes, "bytes"},
        {"smoke", bench->smoke ? 1.0 : 0.0, "flag"},
        {"instrumented", bench->instrumented ? 1.0 : 0.0, "flag"},
    };
    bench_emit(bench, "setup", metrics, sizeof metrics / sizeof metrics[0]);
    if (bench->json)
        return;
    printf("bench %s%s: ", bench->name, bench->smoke ? " (smoke size: times mean nothing)" : "");
    if (bench->cpu >= 0)
        printf("pinned to CPU %d", bench->cpu);
    else
        printf("not pinned%s%s", bench->pin_error == 0 ? "" : ": ",
               bench->pin_error == 0 ? "" : strerror(bench->pin_error));
    printf("; clock %s, %.1f MHz; %zu MiB of the machine's memory touched first\n",
           bench_clock.counter ? "time-stamp counter" : "CLOCK_MONOTONIC",
           1e3 / bench_clock.ns_per_tick, bench->machine_bytes >> 20);
}

int bench_begin(struct bench *bench, const char *name, const char *idea, int argc, char **argv)
{
    struct request request = {CPU_PRESENT, NULL, false};
    memset(bench, 0, sizeof *bench);
    bench->name = name;
    bench->instrumented = INSTRUMENTED;
    if (parse(bench, &request, argc, argv) != 0) {
        print_usage(stderr, name, idea);
        return BENCH_USAGE;
    }
    if (request.help) {
        print_usage(stdout, name, idea);
        return BENCH_OK;
    }
    if (request.json_path != NULL) {
        bench->json_file = fopen(request.json_path, "w");
        if (bench->json_file == NULL) {
            fprintf(stderr, "bench_%s: %s: %s\n", name, request.json_path, strerror(errno));
            return BENCH_FAILED;
        }
    }
    warn_about_build(bench);
    pin(bench, request.cpu);
    bench->machine_bytes = warm_machine(bench->smoke ? MACHINE_SMOKE_BYTES : MACHINE_BYTES);
    bench_clock_calibrate(bench->smoke ? CALIBRATE_SMOKE_NS : CALIBRATE_NS);
    print_setup(bench);
    return BENCH_CONTINUE;
}

int bench_end(struct bench *bench, int status)
{
    bool lost = fflush(stdout) != 0 || ferror(stdout) != 0;
    if (bench->json_file != NULL) {
        lost = ferror(bench->json_file) != 0 || lost;
        lost = fclose(bench->json_file) != 0 || lost;
        bench->json_file = NULL;
    }
    if (!lost)
        return status;
    fprintf(stderr, "bench_%s: the output could not be written\n", bench->name);
    return BENCH_FAILED;
}
