/*
 * What the doctor found, as a table for people.
 *
 * A check that is fine takes one line, and only when asked for or when it is about the plan; any
 * other is followed by why it matters and by the command that mends it, on a line of its own that
 * can be copied whole, however long it is.
 */
#include "cli/doctor.h"

#include <string.h>

#include "cli/size.h"
#include "cli/terminal.h"

#define INDENT 12u
#define NAME_WIDTH 22

/* Headings, in the order of the topics. */
static const struct {
    const char *topic;
    const char *heading;
} headings[] = {
    {"plan", "The plan"},
    {"system", "The system"},
    {"numa", "Nodes"},
    {"pages", "Page sizes"},
    {"daemons", "What takes and moves pages"},
    {"limits", "Limits"},
    {"guard", "The guard"},
};

static const char *heading_of(const char *topic)
{
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; ++i)
        if (strcmp(headings[i].topic, topic) == 0)
            return headings[i].heading;
    return topic;
}

static const char *colour_of(enum machine_severity severity)
{
    static const char *const colours[] = {"32", "36", "35", "33", "1;31"};
    return (size_t)severity < sizeof colours / sizeof colours[0] ? colours[severity] : "0";
}

/* The value of a check by its name; "unknown" when there is none. */
static const char *value_of(const struct machine_audit *audit, const char *name)
{
    const struct machine_check *check;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        if (strcmp(check->name, name) == 0)
            return check->value;
    return "unknown";
}

/* ---------------------------------------------------------------------------------------- nodes */

static void print_distances(const struct machine_audit *audit, const struct machine_node *node,
                            FILE *stream)
{
    for (size_t i = 0; node->distances != NULL && machine_audit_node(audit, i) != NULL; ++i)
        fprintf(stream, " %2u", node->distances[i]);
}

static void print_pools(const struct machine_node *node, FILE *stream)
{
    char size[24];
    for (size_t i = 0; i < node->pools_count; ++i)
        if (node->pools[i].total_count > 0)
            fprintf(stream, "  %zu of %zu free of %s", node->pools[i].free_count,
                    node->pools[i].total_count, cli_size_format(node->pools[i].page_bytes, size));
}

static void print_nodes(const struct cli_terminal *terminal, const struct machine_audit *audit)
{
    const struct machine_node *node;
    FILE *stream = terminal->stream;
    cli_terminal_colour(terminal, "1");
    fprintf(stream, "\nnode  %-11s %11s %11s %11s  distances, reserved pages", "CPUs", "memory",
            "free", "in huge");
    cli_terminal_plain(terminal);
    fputc('\n', stream);
    for (size_t i = 0; (node = machine_audit_node(audit, i)) != NULL; ++i) {
        char total[24], unused[24], huge[24];
        fprintf(stream, "%4u%c %-11s %11s %11s %11s ", node->number, node->allowed ? ' ' : '-',
                node->cpus_count > 0 ? node->cpus : "none",
                cli_size_format(node->total_bytes, total),
                cli_size_format(node->free_bytes, unused),
                cli_size_format(node->huge_free_bytes, huge));
        print_distances(audit, node, stream);
        print_pools(node, stream);
        fputs(node->allowed || node->total_bytes == 0 ? "\n" : "  (not in the cpuset)\n", stream);
    }
}

/* --------------------------------------------------------------------------------------- checks */

static void print_check(const struct cli_terminal *terminal, const struct machine_check *check)
{
    FILE *stream = terminal->stream;
    fputs("  ", stream);
    cli_terminal_colour(terminal, colour_of(check->severity));
    fprintf(stream, "%-*s", (int)INDENT - 2, machine_severity_name(check->severity));
    cli_terminal_plain(terminal);
    fprintf(stream, "%-*s %s\n", NAME_WIDTH, check->name, check->value);
    if (check->severity == MACHINE_OK)
        return;
    cli_terminal_wrap(terminal, INDENT, check->why);
    if (check->fix != NULL)
        fprintf(stream, "%*sfix: %s\n", (int)INDENT, "", check->fix);
}

/* Is this check to be seen? */
static bool is_shown(const struct doctor_options *options, const struct machine_check *check)
{
    return options->verbose || check->severity != MACHINE_OK || strcmp(check->topic, "plan") == 0;
}

static void print_checks(const struct cli_terminal *terminal, const struct doctor_options *options,
                         const struct machine_audit *audit)
{
    const char *topic = "";
    const struct machine_check *check;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i) {
        if (!is_shown(options, check))
            continue;
        if (strcmp(check->topic, topic) != 0) {
            topic = check->topic;
            fputc('\n', terminal->stream);
            cli_terminal_colour(terminal, "1");
            fputs(heading_of(topic), terminal->stream);
            cli_terminal_plain(terminal);
            fputc('\n', terminal->stream);
        }
        print_check(terminal, check);
    }
}

static void print_sum(const struct cli_terminal *terminal, const struct doctor_options *options,
                      const struct machine_audit *audit)
{
    size_t counts[MACHINE_CRITICAL + 1] = {0};
    size_t sum = 0;
    FILE *stream = terminal->stream;
    const struct machine_check *check;
    for (; (check = machine_audit_check(audit, sum)) != NULL; ++sum)
        if (check->severity <= MACHINE_CRITICAL)
            ++counts[check->severity];
    fprintf(stream, "\n%zu checks: %zu ok, %zu info, %zu unknown, %zu warning, %zu critical.", sum,
            counts[MACHINE_OK], counts[MACHINE_INFO], counts[MACHINE_UNKNOWN],
            counts[MACHINE_WARNING], counts[MACHINE_CRITICAL]);
    if (options->audit.plan_bytes != 0)
        fputs(machine_audit_plan_works(audit) ? " The plan can work."
                                              : " The plan cannot work here.",
              stream);
    fputc('\n', stream);
    if (counts[MACHINE_WARNING] + counts[MACHINE_CRITICAL] > 0)
        fputs("Fixes are commands for root; none of them outlasts a boot.\n", stream);
}

void doctor_print_table(const struct doctor_options *options, const struct machine_audit *audit,
                        FILE *stream)
{
    struct cli_terminal terminal;
    cli_terminal_open(&terminal, stream);
    fprintf(stream, "%s, memory: %s\n", value_of(audit, "kernel"), value_of(audit, "memory"));
    if (options->verbose || machine_audit_node(audit, 1) != NULL)
        print_nodes(&terminal, audit);
    print_checks(&terminal, options, audit);
    print_sum(&terminal, options, audit);
}
