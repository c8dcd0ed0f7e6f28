/*
 * The disk of a process under test. The library is preloaded (LD_PRELOAD) and replaces functions of the C library. Environment
 * variables select the call that fails, the call before which the process is killed, and where calls are written down: see Faults.c,
 * CrashPoints.c and Calls.c.
 */
#define _GNU_SOURCE
#include "FaultyDisk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The path of an open file; empty if it has none. */
static const char *path_of(int descriptor, char path[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
    path[count > 0 ? count : 0] = 0;
    return path;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    const char *boot = getenv("FAULT_BOOT_ID");
    if (boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot;
    if (fault_at(path)) return -1;
    if (flags & (O_WRONLY | O_RDWR)) {
        crash_point();
        if (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0) {
            if (flags & O_CREAT) crash_note("create", path, NULL);
        } else if (flags & O_TRUNC) {
            crash_note("truncate", path, NULL);
        }
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    char path[4096];
    if (fault_at(path_of(descriptor, path))) return -1;
    crash_point();
    crash_note("write", path, NULL);
    note_call("write", path, NULL);
    return syscall(SYS_write, descriptor, bytes, count);
}

/* FAULT_CORRUPT is the path of a file in which one bit of each write changes on the way to the disk. */
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    char path[4096];
    if (fault_at(path_of(descriptor, path))) return -1;
    crash_point();
    crash_note("write", path, NULL);
    note_call("write", path, NULL);
    ssize_t result = syscall(SYS_pwrite64, descriptor, bytes, count, offset);
    const char *corrupt = getenv("FAULT_CORRUPT");
    if (result > 0 && corrupt && strcmp(path, corrupt) == 0) {
        char bit = (char)(((const char *)bytes)[result / 2] ^ 1);
        int other = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
        syscall(SYS_pwrite64, other, &bit, 1, offset + (off_t)(result / 2));
        syscall(SYS_close, other);
    }
    return result;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) __attribute__((alias("pwrite")));

int fsync(int descriptor) {
    char path[4096];
    if (fault_at(path_of(descriptor, path))) return -1;
    crash_point();
    int result = (int)syscall(SYS_fsync, descriptor);
    if (result == 0) crash_note("sync", path, NULL);
    if (result == 0) note_call("sync", path, NULL);
    return result;
}

int syncfs(int descriptor) {
    int result = (int)syscall(SYS_syncfs, descriptor);
    if (result == 0) note_call("sync-all", "", NULL);
    return result;
}

void sync(void) {
    syscall(SYS_sync);
    note_call("sync-all", "", NULL);
}

int ftruncate(int descriptor, off_t size) {
    char path[4096];
    if (fault_at(path_of(descriptor, path))) return -1;
    crash_point();
    crash_note("truncate", path, NULL);
    return (int)syscall(SYS_ftruncate, descriptor, size);
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    char path[4096];
    if (fault_at(path_of(descriptor, path))) return -1;
    return (int)syscall(SYS_fallocate, descriptor, mode, offset, length);
}

/* Programs call these names if they are compiled with _FILE_OFFSET_BITS=64; on machines of 64 bits they are the same functions. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int ftruncate64(int descriptor, off64_t size) __attribute__((alias("ftruncate")));
int fallocate64(int descriptor, int mode, off64_t offset, off64_t length) __attribute__((alias("fallocate")));

int rename(const char *from, const char *to) {
    if (fault_at(to)) return -1;
    crash_point();
    crash_note("rename", to, from);
    note_call("rename", to, from);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path) {
    if (fault_at(path)) return -1;
    crash_point();
    crash_note("remove", path, NULL);
    note_call("remove", path, NULL);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode) {
    if (fault_at(path)) return -1;
    crash_point();
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

/* The same with names in open directories. */

/* The path of a name in an open directory. */
static const char *path_in(int directory, const char *name, char path[8192]) {
    char above[4096];
    int is_whole = directory == AT_FDCWD || *name == '/';
    snprintf(path, 8192, "%s%s%s", is_whole ? "" : path_of(directory, above), is_whole ? "" : "/", name);
    return path;
}

int openat(int directory, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    char path[8192];
    if (fault_at(path_in(directory, name, path))) return -1;
    if (flags & (O_WRONLY | O_RDWR)) {
        crash_point();
        if (flags & O_CREAT && syscall(SYS_faccessat, directory, name, F_OK) != 0) crash_note("create", path, NULL);
    }
    return (int)syscall(SYS_openat, directory, name, flags, mode);
}

int openat64(int directory, const char *name, int flags, ...) __attribute__((alias("openat")));

int renameat(int from, const char *name, int to, const char *other) {
    char path[8192], place[8192];
    if (fault_at(path_in(to, other, place))) return -1;
    crash_point();
    crash_note("rename", place, path_in(from, name, path));
    note_call("rename", place, path_in(from, name, path));
    return (int)syscall(SYS_renameat2, from, name, to, other, 0);
}

/* As mv(1) calls it. */
int renameat2(int from, const char *name, int to, const char *other, unsigned flags) {
    char path[8192], place[8192];
    int result = (int)syscall(SYS_renameat2, from, name, to, other, flags);
    if (result == 0)
        note_call(
            "rename", path_in(to, other, place), path_in(from, name, path));
    return result;
}

int linkat(int from, const char *name, int to, const char *other, int flags) {
    char path[8192];
    const char *place = path_in(to, other, path);
    if (fault_at(place)) return -1;
    crash_point();
    int result = (int)syscall(SYS_linkat, from, name, to, other, flags);
    if (result == 0) crash_note("link", place, NULL);
    if (result == 0) note_call("link", place, NULL);
    return result;
}

int fchown(int descriptor, uid_t user, gid_t group) {
    char path[4096];
    crash_point();
    note_call("change", path_of(descriptor, path), NULL);
    return (int)syscall(SYS_fchown, descriptor, user, group);
}

int unlinkat(int directory, const char *name, int flags) {
    char path[8192];
    if (fault_at(path_in(directory, name, path))) return -1;
    crash_point();
    /* The journal has no directories. */
    if (!(flags & AT_REMOVEDIR)) crash_note("remove", path, NULL);
    note_call("remove", path, NULL);
    return (int)syscall(SYS_unlinkat, directory, name, flags);
}

int mkdirat(int directory, const char *name, mode_t mode) {
    char path[8192];
    if (fault_at(path_in(directory, name, path))) return -1;
    crash_point();
    return (int)syscall(SYS_mkdirat, directory, name, mode);
}

int symlinkat(const char *target, int directory, const char *name) {
    char path[8192];
    if (fault_at(path_in(directory, name, path))) return -1;
    crash_point();
    note_call("link", path, target);
    return (int)syscall(SYS_symlinkat, target, directory, name);
}

int fchmod(int descriptor, mode_t mode) {
    char path[4096];
    crash_point();
    note_call("change", path_of(descriptor, path), NULL);
    return (int)syscall(SYS_fchmod, descriptor, mode);
}

/* No disk operations: messages to other processes, and what comes before the start of a process. */

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
    crash_point();
    return syscall(SYS_sendmsg, descriptor, message, flags);
}

int pipe2(int ends[2], int flags) {
    crash_point();
    return (int)syscall(SYS_pipe2, ends, flags);
}

int posix_spawn(
    pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
    char *const arguments[], char *const environment[]) {
    crash_point();
    int (*real)(
        pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
        char *const[]) = dlsym(RTLD_NEXT, "posix_spawn");
    return real(pid, path, actions, attributes, arguments, environment);
}

int socketpair(int domain, int type, int protocol, int ends[2]) {
    crash_point();
    return (int)syscall(SYS_socketpair, domain, type, protocol, ends);
}
