#pragma once
#include <stdint.h>

/* Files can have more bytes, and more inodes, than 32 bits can count, and times go on after 2038. Where `long` has 32 bits, the
   C library's types have 64 only with the macros _FILE_OFFSET_BITS and _TIME_BITS. Package.swift defines them for C. Swift's
   module of the C library is made without them, so Swift calls these functions instead of those of the C library that use off_t,
   ino_t, time_t, struct stat, struct statvfs, struct dirent and struct timespec. Each returns 0, or -1 with errno, unless it says
   otherwise. */

/* Seconds since 1970, or since the beginning of a clock. */
struct upgradelink_moment {
    int64_t seconds;
    int32_t nanoseconds;
};

/* struct stat (stat(3type)). `allocated` is in bytes. */
struct upgradelink_file {
    uint64_t device;
    uint64_t inode;
    uint64_t own_device;
    uint64_t links;
    int64_t size;
    int64_t allocated;
    struct upgradelink_moment accessed;
    struct upgradelink_moment modified;
    struct upgradelink_moment changed;
    uint32_t mode;
    uint32_t user;
    uint32_t group;
};

/* What a name in a directory is; `directory` may be AT_FDCWD. */
int upgradelink_examine(int directory, const char *name, int follows_links, struct upgradelink_file *file);
int upgradelink_examine_open(int descriptor, struct upgradelink_file *file);

/* open(2) and openat(2). Without a wide off_t, a file of 2 GiB cannot be opened, and none can grow to that size. Each returns a
   descriptor. */
int upgradelink_open(const char *path, int flags, uint32_t mode);
int upgradelink_open_at(int directory, const char *name, int flags, uint32_t mode);

/* pread(2). Returns the number of bytes that were read; 0 at the end of the file. */
int64_t upgradelink_read_at(int descriptor, void *bytes, int64_t count, int64_t offset);

/* pwrite(2). Returns the number of bytes that were written. */
int64_t upgradelink_write_at(int descriptor, const void *bytes, int64_t count, int64_t offset);

/* The offset of the end, for a block device too (lseek(2)). The position is then there. */
int64_t upgradelink_end(int descriptor);

/* The current position. */
int64_t upgradelink_position(int descriptor);

int upgradelink_truncate(int descriptor, int64_t size);

/* The position from the start of the file. */
int upgradelink_seek(int descriptor, int64_t offset);

/* The file's pages need not stay in the page cache (posix_fadvise(2), POSIX_FADV_DONTNEED). */
void upgradelink_drop_cache(int descriptor, int64_t offset, int64_t count);

/* Sets the times of the last access and of the last modification (futimens(3)). */
int upgradelink_set_times(int descriptor, struct upgradelink_moment accessed, struct upgradelink_moment modified);

/* The next name of a `DIR *` (readdir(3)), valid until the next call. NULL at the end and after an error, which sets errno. */
const char *upgradelink_next_name(void *directory);

/* What an unprivileged process can still use of a file system (statvfs(3)). */
struct upgradelink_space {
    /* Bytes. */
    int64_t free;
    uint64_t inodes;
    uint64_t free_inodes;
};

int upgradelink_space(const char *path, struct upgradelink_space *space);
int upgradelink_space_open(int descriptor, struct upgradelink_space *space);
