/* The calling thread's tripwire; see tripwire.h. NULL until the thread attaches to its guard. */
#include "base/tripwire.h"

ZEROFAULT_THREAD_LOCAL struct zf_tripwire *zf_tripwire;
