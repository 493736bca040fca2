/* An object that is loaded and unloaded: its section lives and dies with it. */
#include <zerofault/zerofault.h>

uint64_t plugin_run(volatile unsigned char *fresh);

static struct hot_section plugin_section = HOT_SECTION("in a plugin");

/* Touch a fresh page in a hot section; how many violations that was. */
ZEROFAULT_API uint64_t plugin_run(volatile unsigned char *fresh)
{
    hot_section_begin(&plugin_section);
    *fresh = 1;
    return hot_section_end(&plugin_section);
}
