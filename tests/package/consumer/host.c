/* host MODULE: a thread that a module attached ends after the module was closed. */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

static sem_t attached, closed;

static void *run(void *module)
{
    int (*attach)(void);
    *(void **)&attach = dlsym(module, "plugin_attach");
    void *result = attach != NULL && attach() == 0 ? module : NULL;
    sem_post(&attached);
    sem_wait(&closed);
    return result;
}

int main(int argc, char **argv)
{
    void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *result = NULL;
    pthread_t thread;
    if (module == NULL)
        return fprintf(stderr, "host: no module: %s\n", argc == 2 ? dlerror() : "usage"), 1;
    sem_init(&attached, 0, 0);
    sem_init(&closed, 0, 0);
    if (pthread_create(&thread, NULL, run, module) != 0)
        return fprintf(stderr, "host: no thread\n"), 1;
    sem_wait(&attached);
    dlclose(module);
    sem_post(&closed);
    pthread_join(thread, &result);
    return result != module;
}
