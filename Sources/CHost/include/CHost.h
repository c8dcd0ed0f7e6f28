#pragma once
/* Only <stdint.h> here: if this module were the first to include another system header, that header's types would belong to
   this module and not to Glibc. */
#include "WideFiles.h"
#include "WideTimes.h"
#include <stdint.h>

/* ioctl() is variadic. Returns 0 and the six bytes of the interface's permanent address, or -1 with errno. */
int upgradelink_permanent_address(const char *interface_name, uint8_t address[6]);

/* __DATE__ and __TIME__ are macros of the C preprocessor: "Feb 17 2025 10:34:55", in the builder's time zone. */
const char *upgradelink_build_time(void);

/* fallocate(2) and FALLOC_FL_KEEP_SIZE are declared only under the macro _GNU_SOURCE. Returns 0, or -1 with errno. */
int upgradelink_reserve(int descriptor, int64_t offset, int64_t length);

/* Swift cannot use the CMSG_ macros of cmsg(3). Sends at most `count` bytes, and passes the descriptor with them if it is not
   negative. Returns the number of bytes that were sent, or -1 with errno. */
int64_t upgradelink_send(int socket, const void *bytes, int64_t count, int descriptor);

/* Sends at most `count` bytes without waiting. Returns the number of bytes that were sent, or -1 with errno: EAGAIN if the other
   end has not read what was sent before. */
int64_t upgradelink_send_now(int socket, const void *bytes, int64_t count);

/* Receives at most `count` bytes. Sets *descriptor to the first descriptor that was passed with them, or to -1; further ones are
   closed. Returns the number of bytes that were received, 0 at the end, or -1 with errno. */
int64_t upgradelink_receive(int socket, void *bytes, int64_t count, int *descriptor);

/* struct ucred is declared only under the macro _GNU_SOURCE. Sets *user to the user ID at the other end of a unix socket.
   Returns 0, or -1 with errno. */
int upgradelink_peer_user(int socket, uint32_t *user);

/* The C library has no function for ioprio_set(2). Sets the class of this process (IOPRIO_CLASS_…) and the level in it, 0 to 7.
   Returns 0, or -1 with errno. */
int upgradelink_set_io_priority(int io_class, int level);

/* sync_file_range(2) is declared only under the macro _GNU_SOURCE. The first function begins to write these bytes to
   the disk, the second one waits until they have been written. Returns 0, or -1 with errno. */
int upgradelink_begin_write_out(int descriptor, int64_t offset, int64_t length);
int upgradelink_finish_write_out(int descriptor, int64_t offset, int64_t length);

/* adjtimex(2) is not in Swift's module of the C library. Returns 1 if a program such as an NTP client keeps the wall clock
   synchronized, 0 if none does, or -1 with errno. */
int upgradelink_clock_is_synchronized(void);

/* timerfd_create(2) is not in Swift's module of the C library. Returns a descriptor that does not block and becomes readable
   when the wall clock is set and when the device resumes from standby, or -1 with errno. */
int upgradelink_clock_watch(void);

/* Makes the descriptor readable at the next change of the clock. Returns 0, or -1 with errno. */
int upgradelink_arm_clock_watch(int watch);

/* epoll(7) is not in Swift's module of the C library. Returns a descriptor, or -1 with errno. */
int upgradelink_readiness(void);

/* Watches a descriptor for input, for output, for both, or not any more. Returns 0, or -1 with errno; EPERM means that the
   descriptor is always ready, as that of a file is. */
int upgradelink_watch(int readiness, int descriptor, int for_input, int for_output);

/* What one watched descriptor is ready for, without waiting: the bits 1 for input and 2 for output. Both after an error or if
   the other end has closed. */
int upgradelink_ready(int readiness);

/* posix_spawn_file_actions_addclosefrom_np(3) is declared only under the macro _GNU_SOURCE. `actions` is a
   posix_spawn_file_actions_t. Returns 0, or an errno value. */
int upgradelink_close_from(void *actions, int descriptor);

/* posix_spawn_file_actions_addchdir_np(3), likewise. */
int upgradelink_change_directory(void *actions, const char *path);

/* POSIX_SPAWN_SETSID of posix_spawn(3), likewise. */
int upgradelink_spawn_session(void);

/* The header of malloc_trim(3) is not in Swift's module of the C library. Returns free heap memory to the kernel. */
void upgradelink_trim_heap(void);

/* dl_iterate_phdr(3) is declared only under the macro _GNU_SOURCE. Unmaps the pages of the code and constants of all loaded
   files; the next use of a page maps it again. */
void upgradelink_forget_code(void);

/* ioctl() is variadic. Returns the bytes that the other end of a unix socket has not read yet (SIOCOUTQ), or -1 with errno. */
int upgradelink_unread_output(int socket);

/* syncfs(2) is declared only under the macro _GNU_SOURCE. Returns 0, or -1 with errno. */
int upgradelink_sync_file_system(int descriptor);

/* The header of fremovexattr(2) is not in Swift's module of the C library. Removes a file's capabilities (capabilities(7)), if
   it has some. Returns 0, or -1 with errno. */
int upgradelink_remove_capabilities(int descriptor);

/* prctl() is variadic. Makes this process the parent of each descendant whose own parent has ended (PR_SET_CHILD_SUBREAPER).
   Returns 0, or -1 with errno. */
int upgradelink_adopt_orphans(void);

/* fcntl() is variadic, and leases are declared only under the macro _GNU_SOURCE (F_SETLEASE of fcntl(2)). Takes a lease for reading
   on a file that is open for reading. Returns 0, or -1 with errno: EAGAIN if any process has it open for writing. */
int upgradelink_take_read_lease(int descriptor);

/* Returns 1 if the lease is as it was taken, 0 if it is gone or another process waits for its end. */
int upgradelink_has_read_lease(int descriptor);

/* struct statfs is not in Swift's module of the C library. Returns the number of the file system's type (statfs(2)), or -1 with
   errno. */
int64_t upgradelink_file_system_type(int descriptor);

/* ioctl() is variadic. Returns 1 if the file has attributes of ioctl_iflags(2) that its owner or root has set, 0 if it has none or
   the file system knows none, or -1 with errno. */
int upgradelink_has_inode_flags(int descriptor);

/* The header of fremovexattr(2) is not in Swift's module of the C library. Removes access control lists (acl(5)), capabilities, and
   the attributes that a file's owner can set (`user.`). Returns 0, or -1 with errno. */
int upgradelink_remove_attributes(int descriptor);

/* Likewise for fgetxattr(2). Returns 1 if the file has a label of SELinux or Smack, else 0. */
int upgradelink_has_label(int descriptor);

/* fcntl() is variadic, and O_DIRECT is declared only under the macro _GNU_SOURCE. Reads and writes of the open file no longer go
   through the page cache, or do so again. Returns 0, or -1 with errno: EINVAL if the file system cannot do that. */
int upgradelink_set_direct(int descriptor, int is_direct);
