/*
 * Reading off an instruction whether it reads or writes memory.
 */
#ifndef ZF_HOT_ACCESS_H
#define ZF_HOT_ACCESS_H

#include <zerofault/hot_report.h>

/* `code` may be read up to the end of its instruction. An instruction that does both, or that is
 * not known here, is unknown. */
enum hot_access zf_hot_access(const unsigned char *code);

#endif
