#include "CLibrary.h"

#include <dlfcn.h>
#include <stddef.h>

const char *upgradelink_load(void **library, const char *file) {
    /* Loading twice, from two threads, is the same library. */
    if (!*library) *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    return *library ? NULL : dlerror();
}

void *upgradelink_symbol(void **library, const char *file, const char *name) {
    return upgradelink_load(library, file) ? NULL : dlsym(*library, name);
}
