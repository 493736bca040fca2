/*
 * Descriptions: evidence, names and the likely cause put together.
 */
#ifndef ZF_HOT_DESCRIBE_H
#define ZF_HOT_DESCRIBE_H

#include "hot/evidence.h"

/* Fill a description from evidence of the first step, which is completed. `symbols` may be NULL:
 * then addresses stay without names. The caller has paused the guard. */
void zf_hot_explain(struct zf_os_symbols *symbols, const struct hot_violation *violation,
                    struct zf_hot_evidence *evidence, struct hot_description *description);

#endif
