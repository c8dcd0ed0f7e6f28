/*
 * A disk that fails: preloaded into a process (LD_PRELOAD), it lets one call fail of those that touch files below a folder.
 *   FAULT_PROGRAM  the name of the program that is meant; others go on as ever
 *   FAULT_FOLDER   the folder
 *   FAULT_AT       the number of the call, from 1
 *   FAULT_ERRNO    with which error it fails
 *   FAULT_TRACE    a file that is made when it does
 */
#define _GNU_SOURCE
#include "FaultyDisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(const char *path) {
    static atomic_int calls;
    const char *program = getenv("FAULT_PROGRAM");
    const char *folder = getenv("FAULT_FOLDER");
    const char *at = getenv("FAULT_AT");
    if (!program || !folder || !at || strcmp(program, program_invocation_short_name) != 0) return 0;
    if (strncmp(path, folder, strlen(folder)) != 0 || atomic_fetch_add(&calls, 1) + 1 != atoi(at)) return 0;
    const char *trace = getenv("FAULT_TRACE");
    if (trace) syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, trace, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

static int fails_at(int descriptor) {
    char link[64];
    char path[4096] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    return syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1) > 0 && fails(path);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails(path) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    return fails_at(descriptor) ? -1 : syscall(SYS_write, descriptor, bytes, count);
}

int fsync(int descriptor) { return fails_at(descriptor) ? -1 : (int)syscall(SYS_fsync, descriptor); }

int ftruncate(int descriptor, off_t size) {
    return fails_at(descriptor) ? -1 : (int)syscall(SYS_ftruncate, descriptor, size);
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    return fails_at(descriptor) ? -1 : (int)syscall(SYS_fallocate, descriptor, mode, offset, length);
}

int rename(const char *from, const char *to) {
    return fails(to) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path) { return fails(path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }

int mkdir(const char *path, mode_t mode) {
    return fails(path) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
