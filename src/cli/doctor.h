/*
 * The parts of `zerofault doctor`: what is asked, and two ways of telling what was found.
 */
#ifndef ZF_CLI_DOCTOR_H
#define ZF_CLI_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include <zerofault/machine.h>

/* What the command line asks for. */
struct doctor_options {
    struct machine_audit_options audit;
    bool json;
    bool verbose; /* what is fine too */
};

/* Tell people. */
void doctor_print_table(const struct doctor_options *options, const struct machine_audit *audit,
                        FILE *stream);

/* Tell programs: one JSON object. Returns 0, or -1 without memory. */
int doctor_print_json(const struct doctor_options *options, const struct machine_audit *audit,
                      FILE *stream);

#endif
