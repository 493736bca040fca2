/*
 * Names of files in the fixed room that the contract gives them. Private to this system's folder.
 */
#ifndef ZF_OS_LINUX_NAMES_H
#define ZF_OS_LINUX_NAMES_H

/* Copy a path to ZF_OS_NAME_MAX bytes; of one that is too long the end, which tells more. */
void zf_linux_copy_path(char *name, const char *path);

/* The same for the name of a loaded object, "" being the program itself. */
void zf_linux_copy_object(char *name, const char *object);

#endif
