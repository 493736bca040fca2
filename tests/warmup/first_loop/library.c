/*
 * Tables of many pages in .data, .bss and thread-local storage, in an object that is not the
 * program.
 */
#include "library.h"

#include <stddef.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 64

static unsigned char initialised[PAGES][PAGE] = {{1}, {2}};
static unsigned char zeroed[PAGES][PAGE];
static _Thread_local unsigned char per_thread[8][PAGE];

unsigned library_step(unsigned seed)
{
    unsigned sum = seed;
    for (size_t i = 0; i < PAGES; ++i) {
        initialised[i][seed % PAGE] += 1;
        zeroed[i][seed % PAGE] += 2;
        sum += initialised[i][0] + zeroed[i][1];
    }
    for (size_t i = 0; i < sizeof per_thread / PAGE; ++i)
        sum += ++per_thread[i][seed % PAGE];
    return sum;
}

long library_parent(void)
{
    return getppid();
}
