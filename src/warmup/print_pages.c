/*
 * The report's part about page sizes, for warmup_report_print: each step of the order, from the
 * largest pages down, with what its pool had; then by which pages the arena is mapped.
 */
#include <inttypes.h>
#include <stdbool.h>

#include "warmup/print.h"

/* A page size for people: a power of two, so it needs no fraction. */
static void print_size(FILE *stream, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        ++unit;
    }
    fprintf(stream, "%" PRIu64 " %s", bytes, units[unit]);
}

void zf_warmup_print_pool(FILE *stream, const struct warmup_hugetlb *hugetlb)
{
    if (hugetlb->needed_count != 0) {
        fprintf(stream, "  %-*s", ZF_COLUMN_WIDTH, "");
        if (hugetlb->limit == WARMUP_LIMIT_HUGETLB)
            fputs("control group: ", stream);
        else if (hugetlb->node >= 0)
            fprintf(stream, "node %d: ", hugetlb->node);
        fprintf(stream, "needs %zu pages, had %zu: %zu free of %zu", hugetlb->needed_count,
                hugetlb->available_count, hugetlb->free_count, hugetlb->total_count);
        if (hugetlb->reserved_count != 0)
            fprintf(stream, ", %zu promised", hugetlb->reserved_count);
        if (hugetlb->overcommit_count != 0)
            fprintf(stream, ", %zu of %zu beyond the pool", hugetlb->surplus_count,
                    hugetlb->overcommit_count);
        fputc('\n', stream);
    }
    if (hugetlb->raised_count != 0)
        fprintf(stream, "  %-*sraised by %zu pages, to be taken away with the arena\n",
                ZF_COLUMN_WIDTH, "", hugetlb->raised_count);
    if (hugetlb->raise_error != 0) {
        fprintf(stream, "  %-*snot raised: ", ZF_COLUMN_WIDTH, "");
        zf_warmup_print_error(stream, hugetlb->raise_error);
        fputc('\n', stream);
    }
}

void zf_warmup_print_sizes(FILE *stream, const struct warmup_report *report)
{
    bool between = (report->transparent_sizes & ~(uint64_t)report->huge_page_bytes) != 0;
    if (report->huge_pages.asked != WARMUP_OFF && between) {
        const char *separator = "";
        fprintf(stream, "  %-*sthe kernel gives pages of ", ZF_COLUMN_WIDTH, "");
        for (uint64_t size = UINT64_C(1) << 63; size != 0; size >>= 1) {
            if ((report->transparent_sizes & size) == 0)
                continue;
            fputs(separator, stream);
            print_size(stream, size);
            separator = ", ";
        }
        fputs(" to who asks\n", stream);
    }
    if (report->sizes_count == 0)
        return;
    fprintf(stream, "  %-*s", ZF_COLUMN_WIDTH, "page sizes");
    for (size_t i = 0; i < report->sizes_count && i < WARMUP_SIZES_MAX; ++i) {
        fprintf(stream, "%s%.1f MiB by ", i == 0 ? "" : ", ",
                (double)report->sizes[i].resident_bytes / (1024.0 * 1024.0));
        print_size(stream, report->sizes[i].page_bytes);
    }
    if (report->sizes_error != 0) {
        fputs("; sizes between count as small: ", stream);
        zf_warmup_print_error(stream, report->sizes_error);
    }
    fputc('\n', stream);
}
