/* Children of tests; see child.h. */
#include "support/child.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

void *shared_create(size_t size_bytes)
{
    void *shared =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    return shared;
}

void shared_destroy(void *shared, size_t size_bytes)
{
    (void)munmap(shared, size_bytes);
}

int run_in_child(void (*body)(void *shared), void *shared)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        body(shared);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int drop_privileges(size_t lockable_bytes)
{
    struct rlimit limit = {lockable_bytes, lockable_bytes};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return -1;
    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
        return -1;
    /* A process that changed its user is not dumpable, and then /proc/self belongs to root. */
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
