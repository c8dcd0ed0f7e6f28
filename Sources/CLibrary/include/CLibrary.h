#pragma once

/*
 * Loads libraries when they are first needed. The resident agent never needs libcurl and libcrypto; if they were linked, their
 * relocations would take a megabyte of its memory.
 */

/* Loads the library, unless it is loaded already. Returns NULL, or the reason why it cannot be loaded (dlerror(3)). */
const char *upgradelink_load(void **library, const char *file);

/* The address of a function of the library; NULL if the library or the function is missing. */
void *upgradelink_symbol(void **library, const char *file, const char *name);

/* Defines a function with the name of a function of the library, which calls the latter; it returns `missing` if that is not
   available. The including file hides it from other libraries. */
#define CLIBRARY_STUB(library, file, result, missing, name, parameters, arguments)                                     \
    result name parameters {                                                                                           \
        static result(*real) parameters;                                                                               \
        if (!real) real = (result(*) parameters)upgradelink_symbol(library, file, #name);                              \
        return real ? real arguments : missing;                                                                        \
    }

/* As CLIBRARY_STUB, for functions that return nothing. */
#define CLIBRARY_VOID_STUB(library, file, name, parameters, arguments)                                                 \
    void name parameters {                                                                                             \
        static void(*real) parameters;                                                                                 \
        if (!real) real = (void (*) parameters)upgradelink_symbol(library, file, #name);                               \
        if (real) real arguments;                                                                                      \
    }
