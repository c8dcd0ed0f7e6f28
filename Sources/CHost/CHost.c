#define _GNU_SOURCE
#include "CHost.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/ethtool.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <net/if.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8 && sizeof(time_t) == 8, "compile with -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64");

int upgradelink_permanent_address(const char *interface_name, uint8_t address[6]) {
    union {
        struct ethtool_perm_addr request;
        uint8_t storage[sizeof(struct ethtool_perm_addr) + 32];
    } buffer = {.request = {.cmd = ETHTOOL_GPERMADDR, .size = 32}};
    struct ifreq interface = {.ifr_data = (char *)&buffer};
    if (strlen(interface_name) >= sizeof interface.ifr_name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(interface.ifr_name, interface_name);
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    int result = ioctl(descriptor, SIOCETHTOOL, &interface);
    int saved = errno;
    close(descriptor);
    if (result == 0 && buffer.request.size != 6) {
        result = -1;
        saved = ENODATA;
    }
    if (result == 0) memcpy(address, buffer.request.data, 6);
    errno = saved;
    return result;
}

const char *upgradelink_build_time(void) { return __DATE__ " " __TIME__; }

int upgradelink_reserve(int descriptor, int64_t offset, int64_t length) {
    return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, length);
}

int64_t upgradelink_send(int socket, const void *bytes, int64_t count, int descriptor) {
    union {
        struct cmsghdr header;
        char storage[CMSG_SPACE(sizeof(int))];
    } control = {{0}};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = (size_t)count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.storage;
        message.msg_controllen = sizeof control.storage;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

int64_t upgradelink_send_now(int socket, const void *bytes, int64_t count) {
    return send(socket, bytes, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The kernel passes at most this many descriptors with one message (SCM_MAX_FD in net/scm.h). */
#define MAX_PASSED 253

int64_t upgradelink_receive(int socket, void *bytes, int64_t count, int *descriptor) {
    union {
        struct cmsghdr header;
        char storage[CMSG_SPACE(MAX_PASSED * sizeof(int))];
    } control = {{0}};
    struct iovec part = {.iov_base = bytes, .iov_len = (size_t)count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.storage, .msg_controllen = sizeof control.storage};
    *descriptor = -1;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) return received;
    /* If the kernel has cut the list (MSG_CTRUNC), it has closed what does not fit; every descriptor below is ours to close. */
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        for (size_t offset = 0; CMSG_LEN(offset + sizeof(int)) <= header->cmsg_len; offset += sizeof(int)) {
            int passed;
            memcpy(&passed, CMSG_DATA(header) + offset, sizeof passed);
            if (*descriptor < 0) *descriptor = passed;
            else close(passed);
        }
    }
    return received;
}

int upgradelink_peer_user(int socket, uint32_t *user) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    *user = peer.uid;
    return 0;
}

int upgradelink_set_io_priority(int io_class, int level) {
    return (int)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(io_class, level));
}

int upgradelink_begin_write_out(int descriptor, int64_t offset, int64_t length) {
    return sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE);
}

int upgradelink_finish_write_out(int descriptor, int64_t offset, int64_t length) {
    return sync_file_range(
        descriptor, offset, length,
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int upgradelink_clock_is_synchronized(void) {
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);
    return result < 0 ? -1 : result != TIME_ERROR && !(state.status & STA_UNSYNC);
}

int upgradelink_clock_watch(void) { return timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC); }

int upgradelink_arm_clock_watch(int watch) {
    /* The timer never expires; only a change of the clock makes it readable. */
    struct itimerspec when = {.it_value = {INT64_MAX / 1000000000, 0}};
    return timerfd_settime(watch, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

int upgradelink_readiness(void) { return epoll_create1(EPOLL_CLOEXEC); }

int upgradelink_watch(int readiness, int descriptor, int for_input, int for_output) {
    struct epoll_event event = {.events = (for_input ? EPOLLIN : 0u) | (for_output ? EPOLLOUT : 0u)};
    /* Without this, a hang-up would be reported even if neither input nor output is wanted. */
    if (event.events == 0) return epoll_ctl(readiness, EPOLL_CTL_DEL, descriptor, &event);
    if (epoll_ctl(readiness, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
    return errno == ENOENT ? epoll_ctl(readiness, EPOLL_CTL_ADD, descriptor, &event) : -1;
}

int upgradelink_ready(int readiness) {
    struct epoll_event event = {0};
    if (epoll_wait(readiness, &event, 1, 0) != 1) return 0;
    if (event.events & (EPOLLHUP | EPOLLERR)) return 3;
    return (event.events & EPOLLIN ? 1 : 0) | (event.events & EPOLLOUT ? 2 : 0);
}

int upgradelink_close_from(void *actions, int descriptor) {
    return posix_spawn_file_actions_addclosefrom_np(actions, descriptor);
}

int upgradelink_change_directory(void *actions, const char *path) {
    return posix_spawn_file_actions_addchdir_np(actions, path);
}

int upgradelink_spawn_session(void) { return POSIX_SPAWN_SETSID; }

void upgradelink_trim_heap(void) { malloc_trim(0); }

static int forget_code_of(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[index];
        /* The kernel can read a segment that was never writable from its file again. */
        if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
        uintptr_t start = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(page - 1);
        if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void upgradelink_forget_code(void) { dl_iterate_phdr(forget_code_of, NULL); }

int upgradelink_unread_output(int socket) {
    int count = 0;
    return ioctl(socket, SIOCOUTQ, &count) < 0 ? -1 : count;
}

int upgradelink_sync_file_system(int descriptor) { return syncfs(descriptor); }

int upgradelink_remove_capabilities(int descriptor) {
    static const char name[] = "security.capability";
    if (fgetxattr(descriptor, name, NULL, 0) < 0) return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1;
    return fremovexattr(descriptor, name);
}

int upgradelink_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L); }

int upgradelink_take_read_lease(int descriptor) { return fcntl(descriptor, F_SETLEASE, F_RDLCK); }

int upgradelink_has_read_lease(int descriptor) { return fcntl(descriptor, F_GETLEASE) == F_RDLCK; }

int64_t upgradelink_file_system_type(int descriptor) {
    struct statfs system;
    if (fstatfs(descriptor, &system) != 0) return -1;
    return (uint32_t)system.f_type;
}

int upgradelink_has_inode_flags(int descriptor) {
    /* The kernel writes an int, whatever the macro says (ioctl_iflags(2)). How the file system stores a file is no attribute. */
    enum { storage = FS_EXTENT_FL | 0x40000 /* EXT4_HUGE_FILE_FL */ | FS_INLINE_DATA_FL | FS_INDEX_FL };
    int flags = 0;
    if (ioctl(descriptor, FS_IOC_GETFLAGS, &flags) != 0) return errno == ENOTTY || errno == EOPNOTSUPP ? 0 : -1;
    return (flags & ~storage) != 0;
}

int upgradelink_remove_attributes(int descriptor) {
    /* Only root can set others. */
    static const char *const removable[] = {"user.", "system.posix_acl_access", "security.capability"};
    ssize_t size = flistxattr(descriptor, NULL, 0);
    if (size <= 0) return size == 0 || errno == EOPNOTSUPP ? 0 : -1;
    char *names = malloc((size_t)size);
    if (names == NULL) return -1;
    int result = 0;
    size = flistxattr(descriptor, names, (size_t)size);
    if (size < 0) result = -1;
    for (ssize_t at = 0; at < size && result == 0; at += (ssize_t)strlen(names + at) + 1)
        for (size_t i = 0; i < sizeof removable / sizeof *removable; i++)
            if (strncmp(names + at, removable[i], strlen(removable[i])) == 0) {
                result = fremovexattr(descriptor, names + at);
                break;
            }
    int saved = errno;
    free(names);
    errno = saved;
    return result;
}

int upgradelink_has_label(int descriptor) {
    return fgetxattr(descriptor, "security.selinux", NULL, 0) > 0 || fgetxattr(descriptor, "security.SMACK64", NULL, 0) > 0;
}

int upgradelink_set_direct(int descriptor, int is_direct) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -1;
    return fcntl(descriptor, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}
