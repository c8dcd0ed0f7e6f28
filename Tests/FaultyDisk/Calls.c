/*
 * Writes down the calls that change files or sync them, of a process and of all that it starts.
 *   CALLS_FILE       gets a line for each call: its kind, the path, and the other path of a rename
 *   CALLS_DIRECTORY  the prefix of the paths that count; a sync of everything always counts
 */
#define _GNU_SOURCE
#include "FaultyDisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void note_call(const char *what, const char *path, const char *from) {
    const char *name = getenv("CALLS_FILE");
    const char *directory = getenv("CALLS_DIRECTORY");
    if (!name || !directory || (*path && strncmp(path, directory, strlen(directory)) != 0)) return;
    int saved = errno;
    char line[16384];
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, from ? from : "");
    int file = (int)syscall(SYS_openat, AT_FDCWD, name, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        syscall(SYS_write, file, line, length);
        syscall(SYS_close, file);
    }
    errno = saved;
}
