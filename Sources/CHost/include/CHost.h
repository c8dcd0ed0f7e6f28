#pragma once
/* Only fixed types here: a header of the system that is included first by this module would take its types away from
   Glibc's. */
#include <stdint.h>

/* ioctl() is variadic. Returns 0 and the six bytes of the interface's permanent address, or -1 with errno. */
int upgradelink_permanent_address(const char *interface_name, uint8_t address[6]);

/* __DATE__ and __TIME__ are macros of the C preprocessor: "Feb 17 2025 10:34:55", in the builder's time zone. */
const char *upgradelink_build_time(void);

/* fallocate(2) with FALLOC_FL_KEEP_SIZE; the headers show both only under the macro _GNU_SOURCE. */
int upgradelink_reserve(int descriptor, int64_t offset, int64_t length);

/* The CMSG_ macros of cmsg(3). Sends at most `count` bytes, with the descriptor beside them where it is not negative.
   Returns how many bytes were sent, or -1 with errno. */
int64_t upgradelink_send(int socket, const void *bytes, int64_t count, int descriptor);

/* Receives at most `count` bytes, and one descriptor that came with them, or -1 in its place; the kernel discards
   further ones. Returns how many bytes came, 0 at the end, or -1 with errno. */
int64_t upgradelink_receive(int socket, void *bytes, int64_t count, int *descriptor);

/* struct ucred is declared only under the macro _GNU_SOURCE. The user at the other end of a unix socket, or -1 with errno. */
int upgradelink_peer_user(int socket, uint32_t *user);

/* ioprio_set(2), which the C library has no function for: the class of this process (IOPRIO_CLASS_…) and its level in it.
   Returns 0, or -1 with errno. */
int upgradelink_set_io_priority(int io_class, int level);

/* sync_file_range(2) is declared only under the macro _GNU_SOURCE. Begins to write these bytes to the disk, or waits until
   they are there. Returns 0, or -1 with errno. */
int upgradelink_begin_write_out(int descriptor, int64_t offset, int64_t length);
int upgradelink_finish_write_out(int descriptor, int64_t offset, int64_t length);

/* timerfd_create(2) is not in Swift's module of the C library. Returns a descriptor that does not block and becomes readable
   when the wall clock is set and when the device resumes from standby, or -1 with errno. */
int upgradelink_clock_watch(void);

/* Watches for the next time that the clock is set. Returns 0, or -1 with errno. */
int upgradelink_arm_clock_watch(int watch);

/* posix_spawn_file_actions_addclosefrom_np(3) is declared only under the macro _GNU_SOURCE. `actions` is a
   posix_spawn_file_actions_t. Returns 0, or what went wrong. */
int upgradelink_close_from(void *actions, int descriptor);

/* posix_spawn_file_actions_addchdir_np(3), likewise. */
int upgradelink_change_directory(void *actions, const char *path);

/* POSIX_SPAWN_SETSID of posix_spawn(3), likewise. */
int upgradelink_spawn_session(void);

/* malloc_trim(3), whose header is not in Swift's module of the C library: gives free memory back to the kernel. */
void upgradelink_trim_heap(void);

/* dl_iterate_phdr(3) is declared only under the macro _GNU_SOURCE. Unmaps the pages of all code and constants that are in
   files: the next use of one maps it again. */
void upgradelink_forget_code(void);
