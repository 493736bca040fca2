/*
 * The samples in a perf ring that overwrites its oldest: from a position to the record there, and
 * from nothing to the oldest record that is certain.
 */
#ifndef ZF_OS_LINUX_PERF_LOG_H
#define ZF_OS_LINUX_PERF_LOG_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

/* What PERF_SAMPLE_IP | TID | TIME | ADDR writes, in the kernel's order; more may follow. */
struct zf_perf_sample {
    struct perf_event_header header;
    uint64_t instruction;
    uint32_t process_id;
    uint32_t thread_id;
    uint64_t time_ns;
    uint64_t address;
};

struct zf_perf_log {
    const volatile uint64_t *head;
    const unsigned char *data;
    size_t data_bytes;
    uint32_t thread_id; /* whose samples they are */
};

/* Copy the beginning of the record at a position. Returns the record's bytes in the ring, or 0 when
 * there is no plausible one before `to`. */
size_t zf_perf_log_look(const struct zf_perf_log *log, uint64_t position, uint64_t to,
                        struct zf_perf_sample *sample);

/* The oldest boundary that is still there; `to` when there is none. */
uint64_t zf_perf_log_oldest(const struct zf_perf_log *log, uint64_t to);

/* Was what lies at a position overwritten since? */
int zf_perf_log_is_lost(const struct zf_perf_log *log, uint64_t position);

#endif
