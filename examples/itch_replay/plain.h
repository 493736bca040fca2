/* Book memory from the C library's allocator, with nothing prepared. */
#ifndef PLAIN_H
#define PLAIN_H

#include "book.h"

extern struct book_memory plain_memory;

#endif
