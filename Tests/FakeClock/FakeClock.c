/*
 * Clocks that tests can set. The library is preloaded into a process (LD_PRELOAD). It adds the number of seconds in the file
 * WALL_CLOCK_OFFSET to CLOCK_REALTIME, and the number in the file BOOT_CLOCK_OFFSET to CLOCK_BOOTTIME. If CLOCK_WATCH names a
 * FIFO, it replaces the timer on CLOCK_REALTIME, which the kernel cancels when the clock is set and at a resume.
 */
#define _GNU_SOURCE
#include "FakeClock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

static long long offset(const char *variable) {
    const char *path = getenv(variable);
    char text[32] = {0};
    int descriptor = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return 0;
    if (syscall(SYS_read, descriptor, text, sizeof text - 1) < 0) text[0] = 0;
    syscall(SYS_close, descriptor);
    return atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset("WALL_CLOCK_OFFSET");
    if (result == 0 && clock == CLOCK_BOOTTIME) time->tv_sec += offset("BOOT_CLOCK_OFFSET");
    return result;
}

static int watch = -1;

int timerfd_create(int clock, int flags) {
    const char *path = getenv("CLOCK_WATCH");
    if (!path || clock != CLOCK_REALTIME) return (int)syscall(SYS_timerfd_create, clock, flags);
    return watch = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int timerfd_settime(int timer, int flags, const struct itimerspec *new, struct itimerspec *old) {
    return timer >= 0 && timer == watch ? 0 : (int)syscall(SYS_timerfd_settime, timer, flags, new, old);
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
