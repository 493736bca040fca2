/*
 * Calls several mallocs in one process without letting any of them replace the program's own.
 *
 * The peers keep their state in static TLS, of which a late dlopen finds too little; so the bench
 * is linked to them, behind the C library. The dynamic linker takes the first definition in that
 * order: `malloc` stays the C library's, and a peer's is reached by asking its handle. Both are
 * checked: a peer whose function is the program's own malloc would be measured as itself, and is
 * left out.
 */
#include "peer.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Where a peer's functions are. */
struct peer_source {
    const char *name;
    const char *library;
    const char *allocate;
    const char *release;
};

static const struct peer_source sources[PEER_COUNT - 1] = {
    {"jemalloc", "libjemalloc.so.2", "malloc", "free"},
    {"mimalloc", "libmimalloc.so.2", "mi_malloc", "mi_free"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "tc_malloc", "tc_free"},
};

/* LeakSanitizer looks for this name: tcmalloc keeps one object of its constructor for good. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libtcmalloc\n";
}

/* ISO C has no conversion from an object pointer to a function pointer; POSIX promises that the
 * bytes are the same. */
static void load_symbol(void *library, const char *name, void *function, size_t function_bytes)
{
    void *symbol = dlsym(library, name);
    if (function_bytes == sizeof symbol)
        memcpy(function, &symbol, sizeof symbol);
}

static void find_one(struct peer *peer, const struct peer_source *source)
{
    void *library = dlopen(source->library, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    peer->name = source->name;
    if (library == NULL) {
        peer->left_out = "not installed when the bench was built";
        return;
    }
    load_symbol(library, source->allocate, &peer->allocate, sizeof peer->allocate);
    load_symbol(library, source->release, &peer->release, sizeof peer->release);
    if (peer->allocate == NULL || peer->release == NULL)
        peer->left_out = "its library lacks the functions";
    else if (peer->allocate == malloc || peer->release == free)
        peer->left_out = "it has replaced the program's malloc, and is measured there";
    else
        peer->left_out = NULL;
}

void peer_find(struct peer peers[PEER_COUNT])
{
    memset(peers, 0, PEER_COUNT * sizeof peers[0]);
    peers[0].name = "C library";
    peers[0].allocate = malloc;
    peers[0].release = free;
    for (size_t i = 1; i < PEER_COUNT; i++)
        find_one(&peers[i], &sources[i - 1]);
}
