/*
 * Printing the outcome. Nothing is measured or judged here.
 */
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"

/* A number with a comma after every three digits. */
struct grouped {
    char text[32]; /* terminated */
};

static struct grouped group(uint64_t value)
{
    struct grouped grouped;
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, value);
    int used = 0;
    for (int i = 0; i < count; ++i) {
        if (i > 0 && (count - i) % 3 == 0)
            grouped.text[used++] = ',';
        grouped.text[used++] = digits[i];
    }
    grouped.text[used] = '\0';
    return grouped;
}

/* -------------------------------------------------------------------------------- circumstances */

/* The processor's name as the kernel knows it. */
static void print_machine(void)
{
    char line[256];
    const char *model = "unknown processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        model = value + 2;
        break;
    }
    printf("machine   %s, %ld CPUs, %s MiB of memory\n", model, sysconf(_SC_NPROCESSORS_ONLN),
           group((uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20).text);
    if (file != NULL)
        fclose(file);
}

void table_print_circumstances(const char *file_name, uint64_t file_bytes, const struct plan *plan,
                               const struct books *books)
{
    const uint64_t *by_type = books->counts.by_type;
    struct utsname kernel;
    uname(&kernel);
    print_machine();
    printf("kernel    %s %s %s\n", kernel.sysname, kernel.release, kernel.machine);
    printf("file      %s, %s bytes\n", file_name, group(file_bytes).text);
    printf("messages  %s: ", group(plan->messages).text);
    printf("%s add, ", group(by_type['A'] + by_type['F']).text);
    printf("%s delete, ", group(by_type['D']).text);
    printf("%s replace, ", group(by_type['U']).text);
    printf("%s execute, ", group(by_type['E'] + by_type['C']).text);
    printf("%s cancel\n", group(by_type['X']).text);
    printf("books     at most %s orders", group(books->peak[BOOK_ORDER]).text);
    printf(" on %s price levels at one time: ", group(books->peak[BOOK_LEVEL]).text);
    printf("%s KiB with the tables\n", group(mode_block_bytes(&plan->capacity) >> 10).text);
    if (books_anomalies(books) != 0)
        printf("anomalies %s messages do not fit the books (%s of them name an unknown order)\n",
               group(books_anomalies(books)).text, group(books->counts.unknown_references).text);
    printf("clock     %s, read twice per message inside the hot section\n", CLOCK_NAME);
    fflush(stdout);
}

/* ---------------------------------------------------------------------------------------- table */

static void print_row(const char *name, const struct outcome *outcome)
{
    printf("%-14s %9s %9s %7s %7s %7s %11s %8.1f  %016" PRIx64 "\n", name,
           group(outcome->section_faults).text, group(outcome->rusage_faults).text,
           group(outcome->p50_ns).text, group(outcome->p99_ns).text, group(outcome->p999_ns).text,
           group(outcome->max_ns).text, (double)outcome->warmup_ns / 1e6, outcome->checksum);
}

static void print_guard(const struct outcome *outcome)
{
    printf("guard     source %s; each message is one hot section, getrusage goes around the loop\n",
           hot_source_name(outcome->source));
    if (outcome->remedy[0] != '\0')
        printf("          %s\n", outcome->remedy);
}

/* A long maximum need not be the memory's: tell how often the loop lost its processor. */
static void print_preemptions(const struct outcome outcomes[MODE_COUNT])
{
    uint64_t sum = 0;
    for (int i = 0; i < MODE_COUNT; ++i)
        sum += outcomes[i].preemptions;
    if (sum == 0)
        return;
    printf("preemptions, which show in max: ");
    for (int i = 0; i < MODE_COUNT; ++i)
        printf("%s%s %s", i == 0 ? "" : ", ", modes[i].name, group(outcomes[i].preemptions).text);
    printf("\n");
}

static void print_notes(const struct outcome outcomes[MODE_COUNT])
{
    for (int i = 0; i < MODE_COUNT; ++i) {
        if (outcomes[i].note[0] != '\0')
            printf("%s: %s\n", modes[i].name, outcomes[i].note);
        if (outcomes[i].other_violations != 0)
            printf("%s: %s other violations of the hot section\n", modes[i].name,
                   group(outcomes[i].other_violations).text);
    }
    print_preemptions(outcomes);
}

void table_print(const struct outcome outcomes[MODE_COUNT])
{
    print_guard(&outcomes[0]);
    printf("\n%-14s %19s %35s %8s\n", "", "faults in the loop", "nanoseconds per message   ",
           "warmup");
    printf("%-14s %9s %9s %7s %7s %7s %11s %8s  %s\n", "memory",
           hot_source_name(outcomes[0].source), "getrusage", "p50", "p99", "p99.9", "max", "ms",
           "checksum of books");
    for (int i = 0; i < MODE_COUNT; ++i)
        print_row(modes[i].name, &outcomes[i]);
    printf("\n");
    print_notes(outcomes);
}

/* ----------------------------------------------------------------------------------------- JSON */

static void print_number(const char *name, const char *metric, double value, const char *unit)
{
    printf("{\"bench\":\"itch_replay\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":%.15g,"
           "\"unit\":\"%s\"}\n",
           name, metric, value, unit);
}

void table_print_json(const struct outcome outcomes[MODE_COUNT])
{
    for (int i = 0; i < MODE_COUNT; ++i) {
        const struct outcome *outcome = &outcomes[i];
        const char *name = modes[i].name;
        char faults[32];
        snprintf(faults, sizeof faults, "faults_%s", hot_source_name(outcome->source));
        print_number(name, "messages", (double)outcome->messages, "messages");
        print_number(name, faults, (double)outcome->section_faults, "faults");
        print_number(name, "faults_getrusage", (double)outcome->rusage_faults, "faults");
        print_number(name, "p50", (double)outcome->p50_ns, "ns");
        print_number(name, "p99", (double)outcome->p99_ns, "ns");
        print_number(name, "p99_9", (double)outcome->p999_ns, "ns");
        print_number(name, "max", (double)outcome->max_ns, "ns");
        print_number(name, "warmup", (double)outcome->warmup_ns / 1e6, "ms");
        print_number(name, "preempted", (double)outcome->preemptions, "times");
        /* A double holds 53 bits of it, enough to tell two apart. */
        print_number(name, "checksum_low48",
                     (double)(outcome->checksum & ((UINT64_C(1) << 48) - 1)), "fnv1a");
    }
}
