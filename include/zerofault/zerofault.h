/* zerofault: memory that is proven ready before the hot loop, and a guard that says if it was
 * not. */
#ifndef ZEROFAULT_ZEROFAULT_H
#define ZEROFAULT_ZEROFAULT_H

#include <zerofault/arena.h>
#include <zerofault/group.h>
#include <zerofault/histogram.h>
#include <zerofault/hot.h>
#include <zerofault/hot_report.h>
#include <zerofault/machine.h>
#include <zerofault/pool.h>
#include <zerofault/probes.h>
#include <zerofault/process.h>
#include <zerofault/trace.h>
#include <zerofault/valgrind.h>
#include <zerofault/version.h>
#include <zerofault/warmup.h>
#include <zerofault/wish.h>

#endif
