/*
 * Signals that the library handles before the program does.
 */
#ifndef ZF_OS_LINUX_SIGNALS_H
#define ZF_OS_LINUX_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

typedef void zf_signal_handler(int number, siginfo_t *info, void *context);

/* One signal that the library handles; static, one for each. */
struct zf_signal {
    int number;
    unsigned long flags; /* of sigaction, added to the usual ones */
    /* Do what is to be done; false when the signal is not the library's. */
    bool (*handle)(siginfo_t *info, void *context);
    zf_signal_handler *first; /* the program's, from before the first install */
    zf_signal_handler *last;  /* from before the last one */
    struct zf_signal *next;   /* in the list of those installed */
    bool installed;
};

/* Install the handler for the process if it is not there, on the alternate stack where there is
 * one. Call with the table lock held. Returns 0 or -errno. */
int zf_signal_install(struct zf_signal *signal);

/* Have the kernel's default action happen where the signal came from, once its handler has
 * returned. Safe in handlers. */
void zf_signal_default(int number, siginfo_t *info, void *context);

/* Called by the gate's handler. `frame` is `context` when the kernel called that, and something
 * else when another handler handed the signal on. */
void zf_signal_dispatch(int number, siginfo_t *info, void *context, const void *frame);

#endif
