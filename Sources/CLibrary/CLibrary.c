#include "CLibrary.h"

#include <dlfcn.h>
#include <stddef.h>

const char *upgradelink_load(void **library, const char *file) {
    /* If two threads load the library at the same time, dlopen() returns the same handle to both. */
    if (!*library) *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    return *library ? NULL : dlerror();
}

void *upgradelink_symbol(void **library, const char *file, const char *name) {
    return upgradelink_load(library, file) ? NULL : dlsym(*library, name);
}
