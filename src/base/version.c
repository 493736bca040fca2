/* The version that the library was built as. */
#include <zerofault/version.h>

const char *zerofault_version(void)
{
    return ZEROFAULT_VERSION;
}
