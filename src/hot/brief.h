/*
 * The way of a section that is counted or timed and else asks for the ring alone: nothing of the
 * long way but the count and the clock.
 */
#ifndef ZF_HOT_BRIEF_H
#define ZF_HOT_BRIEF_H

#include "hot/thread.h"

/* Open the section this way. Returns false when it has to go the long way. */
bool zf_hot_brief_begin(struct hot_section *section);

/* Close it when it is open, clean and within its budget. Returns false otherwise; then nothing was
 * done. */
bool zf_hot_brief_end(struct hot_section *section);

#endif
