/*
 * Files of more than 2^32 bytes and times after 2038, through the functions of CHost. The argument is an empty directory. The
 * output is for a comparison with what the tests see: the size and the time of the file, and the free bytes of the file system.
 */
#include "CHost.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static const int64_t size = INT64_C(5) << 30;
/* 2100-01-01 */
static const int64_t later = INT64_C(4102444800);

int main(int count, char **arguments) {
    CHECK(count == 2);
    CHECK(chdir(arguments[1]) == 0);
    int file = upgradelink_open("large", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    CHECK(upgradelink_truncate(file, size - 3) == 0);
    CHECK(upgradelink_seek(file, size - 3) == 0);
    CHECK(write(file, "end", 3) == 3);

    struct upgradelink_file status;
    CHECK(upgradelink_examine_open(file, &status) == 0);
    CHECK(status.size == size && status.allocated < 1 << 20 && (status.mode & 0777) == 0600 && status.links == 1);

    char bytes[8] = "";
    CHECK(upgradelink_read_at(file, bytes, sizeof bytes, size - 3) == 3 && memcmp(bytes, "end", 3) == 0);
    CHECK(upgradelink_read_at(file, bytes, 1, size - (INT64_C(1) << 32)) == 1 && bytes[0] == 0);
    CHECK(upgradelink_begin_write_out(file, size - 3, 3) == 0);
    CHECK(upgradelink_finish_write_out(file, size - 3, 3) == 0);
    upgradelink_drop_cache(file, size - 4096, 4096);
    /* Behind the end: the length stays. */
    CHECK(upgradelink_reserve(file, size, 4096) == 0 || errno == EOPNOTSUPP);
    CHECK(upgradelink_examine_open(file, &status) == 0 && status.size == size);

    struct upgradelink_moment moment = {.seconds = later, .nanoseconds = 500000000};
    CHECK(upgradelink_set_times(file, moment, moment) == 0);
    CHECK(upgradelink_examine(AT_FDCWD, "large", 1, &status) == 0);
    CHECK(status.modified.seconds == later && status.accessed.seconds == later && status.size == size);
    close(file);

    /* A file that has this size already. */
    file = upgradelink_open("large", O_RDONLY | O_CLOEXEC, 0);
    CHECK(file >= 0);
    close(file);

    CHECK(symlink("large", "link") == 0);
    CHECK(upgradelink_examine(AT_FDCWD, "link", 0, &status) == 0 && status.size == 5);
    int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(upgradelink_examine(directory, "link", 1, &status) == 0 && status.size == size);
    CHECK(upgradelink_examine(directory, "missing", 1, &status) == -1 && errno == ENOENT);
    file = upgradelink_open_at(directory, "large", O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    CHECK(file >= 0);

    DIR *names = fdopendir(directory);
    CHECK(names);
    int found = 0;
    for (const char *name; (name = upgradelink_next_name(names));) found += strcmp(name, "large") == 0;
    CHECK(found == 1 && errno == 0);

    struct upgradelink_space space, same;
    CHECK(upgradelink_space(".", &space) == 0 && upgradelink_space_open(file, &same) == 0);
    CHECK(space.free >= 0 && same.inodes == space.inodes);
    CHECK(upgradelink_examine_open(file, &status) == 0);
    printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", status.size, status.modified.seconds, space.free);
    return 0;
}
