/*
 * What the dynamic linker has mapped for this process, and what of it belongs to this thread.
 *
 * The objects come from dl_iterate_phdr, which keeps them from being unloaded while they are
 * visited; the protections come from /proc/self/maps, because a program header no longer tells them
 * once relocations are made read-only or the program has changed them. A stretch is where a loaded
 * segment and a mapping meet, so gaps between segments and neighbours of other origin are left out.
 * Objects of other link-map lists (dlmopen) are not seen. See dl_iterate_phdr(3), elf(5).
 */
#include <errno.h>
#include <link.h>
#include <stddef.h>

#include "base/arith.h"
#include "os/linux/maps.h"
#include "os/os.h"

struct walk {
    zf_os_image_visit *visit;
    void *context;
};

/* --------------------------------------------------------------------------------------- images */

static int visit_overlap(const struct walk *walk, const struct dl_phdr_info *info,
                         const ElfW(Phdr) * segment, const struct zf_linux_mapping *mapping)
{
    size_t page_bytes = zf_os_page_bytes();
    uintptr_t start = info->dlpi_addr + segment->p_vaddr;
    size_t end = 0;
    struct zf_os_image image = {.object = info->dlpi_name == NULL ? "" : info->dlpi_name};
    if (!zf_align_up(start + segment->p_memsz, page_bytes, &end))
        return 0;
    start = zf_max(zf_align_down(start, page_bytes), mapping->start);
    end = zf_min(end, mapping->end);
    if (start >= end)
        return 0;
    image.base = (void *)start;
    image.size_bytes = end - start;
    image.writable = mapping->writable && !mapping->shared;
    return walk->visit(&image, walk->context);
}

static int visit_mapping(const struct walk *walk, const struct dl_phdr_info *info,
                         const struct zf_linux_mapping *mapping)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            rc = visit_overlap(walk, info, &info->dlpi_phdr[i], mapping);
    return rc;
}

static int visit_object(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    const struct walk *walk = context;
    struct zf_linux_mapping mapping;
    struct zf_linux_lines lines;
    int rc = 0;
    (void)size_bytes;
    if (zf_linux_lines_open(&lines, "/proc/self/maps") != 0)
        return -EOPNOTSUPP;
    while (rc == 0 && zf_linux_mapping_next(&lines, &mapping))
        if (mapping.readable)
            rc = visit_mapping(walk, info, &mapping);
    zf_linux_lines_close(&lines);
    return rc;
}

int zf_os_each_image(zf_os_image_visit *visit, void *context)
{
    struct walk walk = {visit, context};
    ZF_ASSERT(visit != NULL);
    return dl_iterate_phdr(visit_object, &walk);
}

/* ----------------------------------------------------------------------- thread-local variables */

/* The ABI's way to a thread-local variable of a module; it makes the module's block when this
 * thread has none yet. Not in every C library. */
struct tls_index {
    unsigned long module;
    unsigned long offset;
};
extern void *__tls_get_addr(struct tls_index *index) __attribute__((weak));

/* A search for modules of which this thread has no block yet. */
struct search {
    size_t behind; /* modules up to this one were found before */
    size_t found;  /* lowest one behind; 0 none */
};

static bool has_tls(const struct dl_phdr_info *info, size_t size_bytes)
{
    return size_bytes >= offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof(void *) &&
           info->dlpi_tls_modid != 0;
}

static int search_module(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    struct search *search = context;
    if (has_tls(info, size_bytes) && info->dlpi_tls_data == NULL &&
        info->dlpi_tls_modid > search->behind &&
        (search->found == 0 || info->dlpi_tls_modid < search->found))
        search->found = info->dlpi_tls_modid;
    return 0;
}

/* Not from within the walk: making a block takes a lock that loading takes before the walk's. */
static void make_all_blocks(void)
{
    struct search search = {0};
    if (__tls_get_addr == NULL)
        return;
    for (;;) {
        struct tls_index index = {0};
        search.found = 0;
        (void)dl_iterate_phdr(search_module, &search);
        if (search.found == 0)
            return;
        ZF_ASSERT(search.found > search.behind);
        index.module = search.found;
        (void)__tls_get_addr(&index);
        search.behind = search.found;
    }
}

static int visit_block(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    const struct walk *walk = context;
    size_t page_bytes = zf_os_page_bytes();
    int rc = 0;
    if (!has_tls(info, size_bytes) || info->dlpi_tls_data == NULL)
        return 0;
    for (size_t i = 0; rc == 0 && i < info->dlpi_phnum; ++i) {
        uintptr_t start = (uintptr_t)info->dlpi_tls_data;
        uintptr_t end = start + info->dlpi_phdr[i].p_memsz;
        struct zf_os_image image = {.object = info->dlpi_name, .writable = true};
        if (info->dlpi_phdr[i].p_type != PT_TLS || start == end)
            continue;
        /* A page that holds a byte of the block is writable as a whole. */
        start = zf_align_down(start, page_bytes);
        image.base = (void *)start;
        image.size_bytes = zf_align_down(end - 1, page_bytes) + page_bytes - start;
        rc = walk->visit(&image, walk->context);
    }
    return rc;
}

int zf_os_each_thread_local(zf_os_image_visit *visit, void *context)
{
    struct walk walk = {visit, context};
    ZF_ASSERT(visit != NULL);
    make_all_blocks();
    return dl_iterate_phdr(visit_block, &walk);
}
