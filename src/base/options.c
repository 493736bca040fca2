/*
 * Structs that carry their size; see options.h. The size field is always the first and always a
 * size_t, so it is read and written through memcpy at offset 0 whatever the struct is.
 */
#include "base/options.h"

#include <errno.h>
#include <string.h>

#include "base/arith.h"

static size_t stated_size(const void *given)
{
    size_t stated_bytes;
    memcpy(&stated_bytes, given, sizeof stated_bytes);
    return stated_bytes;
}

/* A size that nobody's struct has is a size field that nobody filled. */
static int check_stated(size_t stated_bytes)
{
    return stated_bytes <= sizeof(size_t) || stated_bytes > 65536 ? -EINVAL : 0;
}

int zf_options_take(void *known, size_t known_bytes, const void *given)
{
    ZF_ASSERT(known != NULL);
    ZF_ASSERT(known_bytes > sizeof(size_t));
    memset(known, 0, known_bytes);
    if (given != NULL) {
        const unsigned char *bytes = given;
        size_t stated_bytes = stated_size(given);
        if (check_stated(stated_bytes) != 0)
            return -EINVAL;
        for (size_t i = known_bytes; i < stated_bytes; ++i)
            if (bytes[i] != 0)
                return -E2BIG;
        memcpy(known, given, zf_min(known_bytes, stated_bytes));
    }
    memcpy(known, &known_bytes, sizeof known_bytes);
    return 0;
}

int zf_result_check(const void *given)
{
    return given == NULL ? -EINVAL : check_stated(stated_size(given));
}

void zf_result_give(void *given, const void *known, size_t known_bytes)
{
    size_t stated_bytes = stated_size(given);
    ZF_ASSERT(zf_result_check(given) == 0);
    ZF_ASSERT(known_bytes > sizeof(size_t));
    memset((unsigned char *)given + sizeof(size_t), 0, stated_bytes - sizeof(size_t));
    memcpy((unsigned char *)given + sizeof(size_t), (const unsigned char *)known + sizeof(size_t),
           zf_min(stated_bytes, known_bytes) - sizeof(size_t));
}
