#define _GNU_SOURCE
#include "WideFiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8 && sizeof(ino_t) == 8, "compile with -D_FILE_OFFSET_BITS=64");
_Static_assert(sizeof(time_t) == 8, "compile with -D_TIME_BITS=64");

static struct upgradelink_moment moment(struct timespec time) {
    return (struct upgradelink_moment){.seconds = time.tv_sec, .nanoseconds = (int32_t)time.tv_nsec};
}

static struct timespec timespec_of(struct upgradelink_moment moment) {
    return (struct timespec){.tv_sec = moment.seconds, .tv_nsec = moment.nanoseconds};
}

static int describe(int result, const struct stat *status, struct upgradelink_file *file) {
    if (result != 0) return result;
    *file = (struct upgradelink_file){
        .device = status->st_dev,
        .inode = status->st_ino,
        .own_device = status->st_rdev,
        .links = status->st_nlink,
        .size = status->st_size,
        /* st_blocks counts units of 512 bytes on every file system (stat(3type)). */
        .allocated = (int64_t)status->st_blocks * 512,
        .accessed = moment(status->st_atim),
        .modified = moment(status->st_mtim),
        .changed = moment(status->st_ctim),
        .mode = status->st_mode,
        .user = status->st_uid,
        .group = status->st_gid,
    };
    return 0;
}

int upgradelink_examine(int directory, const char *name, int follows_links, struct upgradelink_file *file) {
    struct stat status;
    return describe(fstatat(directory, name, &status, follows_links ? 0 : AT_SYMLINK_NOFOLLOW), &status, file);
}

int upgradelink_examine_open(int descriptor, struct upgradelink_file *file) {
    struct stat status;
    return describe(fstat(descriptor, &status), &status, file);
}

int upgradelink_open(const char *path, int flags, uint32_t mode) { return open(path, flags, (mode_t)mode); }

int upgradelink_open_at(int directory, const char *name, int flags, uint32_t mode) {
    return openat(directory, name, flags, (mode_t)mode);
}

int64_t upgradelink_read_at(int descriptor, void *bytes, int64_t count, int64_t offset) {
    return pread(descriptor, bytes, (size_t)count, offset);
}

int upgradelink_truncate(int descriptor, int64_t size) { return ftruncate(descriptor, size); }

int upgradelink_seek(int descriptor, int64_t offset) { return lseek(descriptor, offset, SEEK_SET) < 0 ? -1 : 0; }

void upgradelink_drop_cache(int descriptor, int64_t offset, int64_t count) {
    posix_fadvise(descriptor, offset, count, POSIX_FADV_DONTNEED);
}

int upgradelink_set_times(int descriptor, struct upgradelink_moment accessed, struct upgradelink_moment modified) {
    const struct timespec times[] = {timespec_of(accessed), timespec_of(modified)};
    return futimens(descriptor, times);
}

const char *upgradelink_next_name(void *directory) {
    errno = 0;
    const struct dirent *entry = readdir(directory);
    return entry ? entry->d_name : NULL;
}

static int count_space(int result, const struct statvfs *status, struct upgradelink_space *space) {
    if (result != 0) return result;
    /* A file system can claim more than 2^63 bytes. */
    if (__builtin_mul_overflow(status->f_bavail, status->f_frsize, &space->free)) space->free = INT64_MAX;
    space->inodes = status->f_files;
    space->free_inodes = status->f_favail;
    return 0;
}

int upgradelink_space(const char *path, struct upgradelink_space *space) {
    struct statvfs status;
    return count_space(statvfs(path, &status), &status, space);
}

int upgradelink_space_open(int descriptor, struct upgradelink_space *space) {
    struct statvfs status;
    return count_space(fstatvfs(descriptor, &status), &status, space);
}

int64_t upgradelink_write_at(int descriptor, const void *bytes, int64_t count, int64_t offset) {
    return pwrite(descriptor, bytes, (size_t)count, offset);
}

int64_t upgradelink_end(int descriptor) { return lseek(descriptor, 0, SEEK_END); }

int64_t upgradelink_position(int descriptor) { return lseek(descriptor, 0, SEEK_CUR); }
