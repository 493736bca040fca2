/* The symbols of the inline functions; see src/arena/inline.c. Those that call them pay for a call,
 * so a probe is nothing beside it: bindings are seen by tools without being built for it. */
#define ZEROFAULT_PROBES
#include <zerofault/hot.h>

extern inline uint64_t hot_ring_head(const unsigned char *table);
extern inline uint32_t hot_slot_bytes(const struct hot_section *section);
extern inline void hot_section_begin(struct hot_section *section);
extern inline uint64_t hot_section_end(struct hot_section *section);
extern inline void hot_pause_begin(void);
extern inline void hot_pause_end(void);
