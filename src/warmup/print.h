/* What the printers of this part share. */
#ifndef ZF_WARMUP_PRINT_H
#define ZF_WARMUP_PRINT_H

#include <stdio.h>

/* Print an error as "ENOMEM (Cannot allocate memory)". */
void zf_warmup_print_error(FILE *stream, int error);

#endif
