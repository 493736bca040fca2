/*
 * Reserved huge pages for a region: populated apart, then put in the place of its small pages.
 */
#ifndef ZF_REGION_POOL_H
#define ZF_REGION_POOL_H

#include "region/region.h"

/* Make a range like `region` elsewhere, of pages of this size, cold, with the region's placement
 * made strict where it names nodes unless `pool_anywhere`, and its fork advice. -ENOMEM the pools
 * have too few; -EOPNOTSUPP no pages of this size; or the refusal of the policy. */
int zf_region_pool_create(const struct zf_region *region, size_t page_bytes,
                          const struct zf_region_options *options, struct zf_region *candidate);

/* Give a candidate back. */
void zf_region_pool_discard(struct zf_region *candidate);

/* Put a populated candidate, which is then gone, in the place of the region's pages, with their
 * content. -EOPNOTSUPP with a candidate whose base is not NULL: this system cannot, and the
 * candidate stays as it is; otherwise an error discards it. */
int zf_region_pool_settle(struct zf_region *region, struct zf_region *candidate);

/* Put pages that are still to be populated in the place of the region's, whose content is lost. */
int zf_region_pool_replace(struct zf_region *region, size_t page_bytes,
                           const struct zf_region_options *options);

/* Copy what is present of a range to another one. */
int zf_region_copy(const void *from, size_t size_bytes, void *to);

#endif
