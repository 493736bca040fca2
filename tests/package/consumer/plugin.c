/* A module with the static library inside it: what the library leaves for a thread's end is code of
 * this module. */
#include <zerofault/zerofault.h>

int plugin_attach(void);

int plugin_attach(void)
{
    return hot_thread_attach(NULL, NULL);
}
