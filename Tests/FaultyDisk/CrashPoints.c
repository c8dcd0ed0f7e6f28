/*
 * Kills a process before one of its calls, and writes the journal that a power cut is simulated from.
 *   CRASH_DIRECTORY  the directory of the following files, on the file system that the journal describes
 *     count          one byte for each call so far, of all programs
 *     hit            the name of the process that was killed, which writes it
 *     journal        a line for each change: its kind, the path, the old path, the kept file, the synced length
 *   CRASH_AT         the number of the call before which the process is killed; 0 or absent: none
 *   CRASH_PROGRAM    the name of one more program that is killed
 *   CRASH_DISK       the prefix of the paths that the journal describes; absent: it is not written
 */
#define _GNU_SOURCE
#include "FaultyDisk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_ours(void) {
    static const char *const programs[] = {"upgradelinkd", "upgradelink-fetch", "upgradelink-installer"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (strcmp(program_invocation_short_name, programs[i]) == 0) return 1;
    const char *other = getenv("CRASH_PROGRAM");
    return other && strcmp(program_invocation_short_name, other) == 0;
}

/* Appends to a file of CRASH_DIRECTORY. Returns the new length, or -1. */
static long append(const char *directory, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return -1;
    long length = -1;
    if (syscall(SYS_write, file, text, strlen(text)) >= 0) length = syscall(SYS_lseek, file, 0, SEEK_CUR);
    syscall(SYS_close, file);
    return length;
}

/* Copies a regular file. Returns 1, or 0 if there is none. */
static int copy(const char *path, const char *kept) {
    int from = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0) return 0;
    int to = (int)syscall(SYS_openat, AT_FDCWD, kept, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    static char bytes[65536];
    long count = -1;
    while (to >= 0 && (count = syscall(SYS_read, from, bytes, sizeof bytes)) > 0)
        if (syscall(SYS_write, to, bytes, count) != count) break;
    syscall(SYS_close, from);
    if (to >= 0) syscall(SYS_close, to);
    return to >= 0 && count == 0;
}

void crash_point(void) {
    const char *directory = getenv("CRASH_DIRECTORY");
    const char *at = getenv("CRASH_AT");
    if (!directory || !at || !is_ours()) return;
    int saved = errno;
    if (append(directory, "count", ".") == atol(at)) {
        append(directory, "hit", program_invocation_short_name);
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    }
    errno = saved;
}

void crash_note(const char *what, const char *path, const char *from) {
    const char *directory = getenv("CRASH_DIRECTORY");
    const char *disk = getenv("CRASH_DISK");
    if (!directory || !disk || !is_ours() || strncmp(path, disk, strlen(disk)) != 0) return;
    int saved = errno;
    char kept[4096] = "";
    if (strcmp(what, "rename") == 0 || strcmp(what, "remove") == 0) {
        /* Not a link: the installer counts the names of a file. */
        snprintf(kept, sizeof kept, "%s/kept-%ld", directory, append(directory, "keeping", "."));
        if (!copy(path, kept)) kept[0] = 0;
    }
    long size = 0;
    if (strcmp(what, "sync") == 0) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            size = syscall(SYS_lseek, file, 0, SEEK_END);
            syscall(SYS_close, file);
        }
    }
    char line[16384];
    snprintf(line, sizeof line, "%s\t%s\t%s\t%s\t%ld\n", what, path, from ? from : "", kept, size);
    append(directory, "journal", line);
    errno = saved;
}
