/* What the printers of this part share. */
#ifndef ZF_WARMUP_PRINT_H
#define ZF_WARMUP_PRINT_H

#include <stdio.h>

#include <zerofault/warmup.h>

/* Print an error as "ENOMEM (Cannot allocate memory)". */
void zf_warmup_print_error(FILE *stream, int error);

/* Where the text of a line begins. */
#define ZF_COLUMN_WIDTH 12

/* The lines below a wish for reserved pages, and those about page sizes. */
void zf_warmup_print_pool(FILE *stream, const struct warmup_hugetlb *hugetlb);
void zf_warmup_print_sizes(FILE *stream, const struct warmup_report *report);

#endif
