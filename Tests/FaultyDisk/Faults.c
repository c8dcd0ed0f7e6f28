/*
 * Makes one of the calls fail that use paths with a prefix.
 *   FAULT_PROGRAM    the name of the program; other programs are not affected
 *   FAULT_DIRECTORY  the prefix: a directory, or a file
 *   FAULT_AT         the number of the call, from 1
 *   FAULT_ERRNO      the error of the call
 *   FAULT_TRACE      a file that is created when the call fails
 *   FAULT_HOLD       a FIFO: as long as it exists, each call waits until another process opens it, and then succeeds
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

static void create(const char *path) {
    if (path) syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void hold(const char *path) {
    int saved = errno;
    if (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0) {
        create(getenv("FAULT_TRACE"));
        int fifo = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (fifo >= 0) syscall(SYS_close, fifo);
    }
    errno = saved;
}

int fault_at(const char *path) {
    static atomic_int calls;
    const char *program = getenv("FAULT_PROGRAM");
    const char *directory = getenv("FAULT_DIRECTORY");
    const char *at = getenv("FAULT_AT");
    if (!program || !directory || strcmp(program, program_invocation_short_name) != 0) return 0;
    if (strncmp(path, directory, strlen(directory)) != 0) return 0;
    const char *fifo = getenv("FAULT_HOLD");
    if (fifo) hold(fifo);
    if (!at || atomic_fetch_add(&calls, 1) + 1 != atoi(at)) return 0;
    create(getenv("FAULT_TRACE"));
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}
