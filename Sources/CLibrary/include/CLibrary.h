#pragma once

/*
 * Libraries that are loaded when they are first needed: the agent, which is resident, never needs libcurl and libcrypto, and
 * would hold a megabyte of memory for their relocations.
 */

/* Loads the library, unless it is loaded already. Returns NULL, or why it cannot be (dlerror(3)). */
const char *upgradelink_load(void **library, const char *file);

/* A function of the library; NULL where there is none. */
void *upgradelink_symbol(void **library, const char *file, const char *name);

/* Defines a function of the library under its own name, hidden from other libraries, that calls the real one; `missing` is
   what it returns where there is none. */
#define CLIBRARY_STUB(library, file, result, missing, name, parameters, arguments)                                     \
    result name parameters {                                                                                           \
        static result(*real) parameters;                                                                               \
        if (!real) real = (result(*) parameters)upgradelink_symbol(library, file, #name);                              \
        return real ? real arguments : missing;                                                                        \
    }

/* As CLIBRARY_STUB, for what returns nothing. */
#define CLIBRARY_VOID_STUB(library, file, name, parameters, arguments)                                                 \
    void name parameters {                                                                                             \
        static void(*real) parameters;                                                                                 \
        if (!real) real = (void (*) parameters)upgradelink_symbol(library, file, #name);                               \
        if (real) real arguments;                                                                                      \
    }
