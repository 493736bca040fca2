/*
 * What the doctor found, as one JSON object for programs.
 *
 * All checks are in it, whatever their severity, in the audit's order. Keys are only ever added.
 * What is not known is null.
 */
#include "cli/doctor.h"

#include <jansson.h>

#include <zerofault/version.h>

/* A text, or null. */
static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *make_check(const struct machine_check *check)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "name", check->name, "topic",
                     check->topic, "severity", machine_severity_name(check->severity), "value",
                     check->value, "why", check->why, "fix", text_or_null(check->fix), "source",
                     text_or_null(check->source));
}

static json_t *make_checks(const struct machine_audit *audit)
{
    json_t *array = json_array();
    const struct machine_check *check;
    for (size_t i = 0; (check = machine_audit_check(audit, i)) != NULL; ++i)
        if (json_array_append_new(array, make_check(check)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *make_distances(const struct machine_audit *audit, const struct machine_node *node)
{
    json_t *array;
    if (node->distances == NULL)
        return json_null();
    array = json_array();
    for (size_t i = 0; machine_audit_node(audit, i) != NULL; ++i)
        if (json_array_append_new(array, json_integer(node->distances[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *make_pools(const struct machine_node *node)
{
    json_t *array = json_array();
    for (size_t i = 0; i < node->pools_count; ++i) {
        const struct machine_pool *pool = &node->pools[i];
        json_t *object =
            json_pack("{s:I, s:I, s:I}", "page_bytes", (json_int_t)pool->page_bytes, "total_count",
                      (json_int_t)pool->total_count, "free_count", (json_int_t)pool->free_count);
        if (json_array_append_new(array, object) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *make_nodes(const struct machine_audit *audit)
{
    json_t *array = json_array();
    const struct machine_node *node;
    for (size_t i = 0; (node = machine_audit_node(audit, i)) != NULL; ++i) {
        json_t *object = json_pack(
            "{s:i, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "number", (int)node->number,
            "allowed", (int)node->allowed, "cpus", node->cpus, "cpus_count",
            (json_int_t)node->cpus_count, "total_bytes", (json_int_t)node->total_bytes,
            "free_bytes", (json_int_t)node->free_bytes, "cache_bytes",
            (json_int_t)node->cache_bytes, "huge_free_bytes", (json_int_t)node->huge_free_bytes,
            "distances", make_distances(audit, node), "pools", make_pools(node));
        if (json_array_append_new(array, object) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *make_plan(const struct machine_audit_options *options,
                         const struct machine_audit *audit)
{
    bool placed = options->plan_node != MACHINE_NODE_ANY;
    if (options->plan_bytes == 0)
        return json_null();
    return json_pack("{s:I, s:o, s:I, s:b, s:b, s:b}", "bytes", (json_int_t)options->plan_bytes,
                     "node", placed ? json_integer(options->plan_node - 1) : json_null(),
                     "huge_bytes", (json_int_t)options->plan_huge_bytes, "lock",
                     (int)options->plan_lock, "reserved", (int)options->plan_reserved, "works",
                     (int)machine_audit_plan_works(audit));
}

int doctor_print_json(const struct doctor_options *options, const struct machine_audit *audit,
                      FILE *stream)
{
    json_t *object = json_pack("{s:s, s:s, s:o, s:o, s:o}", "zerofault", ZEROFAULT_VERSION, "worst",
                               machine_severity_name(machine_audit_worst(audit)), "plan",
                               make_plan(&options->audit, audit), "nodes", make_nodes(audit),
                               "checks", make_checks(audit));
    int rc = object != NULL ? 0 : -1;
    /* A stream that failed is seen by its own error flag. */
    if (rc == 0 && json_dumpf(object, stream, JSON_INDENT(2)) == 0)
        fputc('\n', stream);
    json_decref(object);
    return rc;
}
