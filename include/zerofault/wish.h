/* What may be wished for a range of memory, and how much each wish matters. */
#ifndef ZEROFAULT_WISH_H
#define ZEROFAULT_WISH_H

/* How much a property matters. */
enum warmup_wish {
    WARMUP_DEFAULT = 0, /* what the field's comment says */
    WARMUP_OFF,         /* do not try */
    WARMUP_PREFER,      /* try; report a refusal */
    WARMUP_REQUIRE      /* try; a refusal fails the warmup */
};

/* What a child of fork finds where the arena was. */
enum warmup_fork {
    WARMUP_FORK_EXCLUDE = 0, /* nothing, and a head that refuses every call: a copy would turn every
                                warm page of the parent into a fault */
    WARMUP_FORK_WIPE,   /* zeros, and such a head; of reserved huge pages, which cannot be wiped,
                                nothing, and the report says so */
    WARMUP_FORK_INHERIT /* a copy-on-write copy; parent and child must warm up again after each
                           fork, and arena_verify says so */
};

/* Where the pages of an arena belong. With `bind` WARMUP_PREFER the kernel may put them elsewhere,
 * and the report counts those; with WARMUP_REQUIRE a page elsewhere fails the warmup. */
enum arena_placement {
    ARENA_PLACE_NODE = 0,      /* on `node`: a number, or the one where the first warmup runs */
    ARENA_PLACE_CPU,           /* on the node of `cpu`; nearest to it if that has no memory */
    ARENA_INTERLEAVE,          /* page by page over `nodes` */
    ARENA_WEIGHTED_INTERLEAVE, /* over `nodes`, more on some: by `weights`, in stripes; without
                                * them page by page by the kernel's own (Linux 6.9) */
    ARENA_PREFERRED_MANY       /* on any of `nodes`; before Linux 5.15 on the first, if it can be */
};

#endif
