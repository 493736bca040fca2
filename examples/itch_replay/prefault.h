/*
 * Everything that a hot loop touches besides its data: code, static data, stack, clock.
 */
#ifndef PREFAULT_H
#define PREFAULT_H

/* Touch it all, so that what faults afterwards is the memory under test. */
void prefault_process(void);

#endif
