/*
 * Stretches of the fault ring; see stretches.h. There is room for as many as one section is likely
 * to have. Merging errs towards too long a stretch: a record in it is then only counted, not told
 * by its address.
 */
#include "hot/stretches.h"

#include <string.h>

#include "base/assert.h"

static void forget_before(struct zf_hot_stretches *stretches, uint64_t oldest)
{
    size_t gone = 0;
    while (gone < stretches->count && stretches->items[gone].to <= oldest)
        ++gone;
    if (gone == 0)
        return;
    stretches->count -= gone;
    memmove(stretches->items, stretches->items + gone,
            stretches->count * sizeof stretches->items[0]);
}

void zf_hot_stretches_add(struct zf_hot_stretches *stretches, uint64_t from, uint64_t to,
                          uint64_t oldest)
{
    size_t count;
    ZF_ASSERT(from <= to);
    if (from == to)
        return;
    forget_before(stretches, oldest);
    count = stretches->count;
    ZF_ASSERT(count <= ZF_HOT_STRETCHES);
    if (count > 0 && (count == ZF_HOT_STRETCHES || stretches->items[count - 1].to == from)) {
        stretches->items[count - 1].to = to;
        return;
    }
    stretches->items[count].from = from;
    stretches->items[count].to = to;
    ++stretches->count;
}

bool zf_hot_stretches_have(const struct zf_hot_stretches *stretches, uint64_t position)
{
    for (size_t i = 0; i < stretches->count; ++i)
        if (position >= stretches->items[i].from && position < stretches->items[i].to)
            return true;
    return false;
}
