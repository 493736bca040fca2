/* The version of these headers, and of the library that is linked. */
#ifndef ZEROFAULT_VERSION_H
#define ZEROFAULT_VERSION_H

#include <zerofault/attributes.h>

#define ZEROFAULT_VERSION_MAJOR 0
#define ZEROFAULT_VERSION_MINOR 1
#define ZEROFAULT_VERSION_PATCH 0
#define ZEROFAULT_VERSION "0.1.0"

ZEROFAULT_BEGIN_DECLS

/**
 * Tell the version of the library that is linked, which may be newer than ZEROFAULT_VERSION.
 *
 * Returns  a static string such as "0.1.0"
 * Latency  hot
 * Threads  any
 * Since    0.1
 */
ZEROFAULT_API const char *zerofault_version(void);

ZEROFAULT_END_DECLS

#endif
