/*
 * Makes one of the calls fail that use paths with a prefix.
 *   FAULT_PROGRAM    the name of the program; other programs are not affected
 *   FAULT_DIRECTORY  the prefix: a directory, or a file
 *   FAULT_AT         the number of the call, from 1
 *   FAULT_ERRNO      the error of the call
 *   FAULT_TRACE      a file that is created when the call fails
 */
#define _GNU_SOURCE
#include "FaultyDisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fault_at(const char *path) {
    static atomic_int calls;
    const char *program = getenv("FAULT_PROGRAM");
    const char *directory = getenv("FAULT_DIRECTORY");
    const char *at = getenv("FAULT_AT");
    if (!program || !directory || !at || strcmp(program, program_invocation_short_name) != 0) return 0;
    if (strncmp(path, directory, strlen(directory)) != 0 || atomic_fetch_add(&calls, 1) + 1 != atoi(at)) return 0;
    const char *trace = getenv("FAULT_TRACE");
    if (trace) syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, trace, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}
