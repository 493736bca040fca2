/*
 * One warmup of the process or of a thread under way: what its parts share. Private to this part.
 */
#ifndef ZF_WARMUP_PROCESS_RUN_H
#define ZF_WARMUP_PROCESS_RUN_H

#include <stdbool.h>

#include <zerofault/process.h>

struct zf_process_run {
    struct process_report *report;
    size_t page_bytes;
    size_t stack_bytes; /* wished, whole pages */
    size_t heap_bytes;  /* wished */
    bool touch;         /* populate is not known here, or does nothing */
    uint64_t faults;    /* that the part under way found in its ranges */
};

/* Warm one part and fill in its bytes; run again, it finds nothing to do. 0 or -errno. */
typedef int zf_process_step(struct zf_process_run *run, struct process_item *item);

zf_process_step zf_process_stack;
zf_process_step zf_process_heap;
zf_process_step zf_process_lock;
zf_process_step zf_process_binding;

/* Make a range present: written to without a change, or read. Whole pages. Adds what it faults to
 * run->faults. 0 or -errno. */
int zf_process_warm_range(struct zf_process_run *run, void *base, size_t size_bytes, bool writable);

/* 0; -ENOMEM the system, or this process's control group, has less than that available. */
int zf_process_check_memory(size_t size_bytes);

/* What a refusal of one part calls for; NULL for error 0. */
const char *zf_process_remedy_image(int error);
const char *zf_process_remedy_tls(int error);
const char *zf_process_remedy_heap(int error);
const char *zf_process_remedy_stack(int error);
const char *zf_process_remedy_clock(int error);
const char *zf_process_remedy_lock(int error);
const char *zf_process_remedy_binding(int error);

#endif
