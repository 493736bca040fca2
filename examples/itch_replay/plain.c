/*
 * malloc and free behind the seam. A large table of zeros from calloc is address space only; its
 * pages come one by one, as they are touched.
 */
#include "plain.h"

#include <stdlib.h>

static void *plain_take_table(struct book_memory *memory, size_t size_bytes)
{
    (void)memory;
    return calloc(1, size_bytes);
}

static void plain_give_table(struct book_memory *memory, void *table)
{
    (void)memory;
    free(table);
}

static void *plain_take(struct book_memory *memory, enum book_object kind)
{
    (void)memory;
    return malloc(book_object_bytes[kind]);
}

static void plain_give(struct book_memory *memory, enum book_object kind, void *object)
{
    (void)memory;
    (void)kind;
    free(object);
}

struct book_memory plain_memory = {plain_take_table, plain_give_table, plain_take, plain_give};
