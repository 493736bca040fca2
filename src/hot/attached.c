/*
 * What attached threads tell. The calling one how it is attached: its options and the report of its
 * attach, kept with the guard, so that code which finds a thread attached can tell what that guard
 * sees, and can attach it again in the same way. Any one what a section has seen on it, by its id.
 */
#include <zerofault/hot.h>

#include <errno.h>

#include "base/options.h"
#include "hot/table.h"

int hot_thread_attached(struct hot_thread_options *options, struct hot_thread_report *report)
{
    const struct zf_hot_thread *thread = zf_hot_thread_self();
    if ((options != NULL && zf_result_check(options) != 0) ||
        (report != NULL && zf_result_check(report) != 0))
        return -EINVAL;
    if (thread == NULL)
        return -ENOTCONN;
    ZF_ASSERT(thread->report.active == thread->source);
    ZF_ASSERT(thread->report.watched == thread->watched);
    if (options != NULL)
        zf_result_give(options, &thread->options, sizeof thread->options);
    if (report != NULL)
        zf_result_give(report, &thread->report, sizeof thread->report);
    return 0;
}

int hot_thread_stats(const struct hot_section *section, uint32_t thread_id,
                     struct hot_section_statistics *stats)
{
    struct hot_section_statistics seen = {0};
    if (section == NULL || zf_result_check(stats) != 0)
        return -EINVAL;
    if (!zf_hot_table_thread(section, thread_id, &seen))
        return -ESRCH;
    zf_result_give(stats, &seen, sizeof seen);
    return 0;
}
