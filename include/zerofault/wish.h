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
    WARMUP_FORK_EXCLUDE =
        0,              /* nothing: a copy would turn every warm page of the parent into a fault */
    WARMUP_FORK_WIPE,   /* zeros */
    WARMUP_FORK_INHERIT /* a copy-on-write copy; the parent must warm up again after each fork */
};

#endif
