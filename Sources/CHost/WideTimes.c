#define _GNU_SOURCE
#include "WideTimes.h"

#include <time.h>

_Static_assert(sizeof(time_t) == 8, "compile with -D_TIME_BITS=64");

int upgradelink_clock(int clock, struct upgradelink_moment *now) {
    struct timespec time;
    if (clock_gettime(clock, &time) != 0) return -1;
    *now = (struct upgradelink_moment){.seconds = time.tv_sec, .nanoseconds = (int32_t)time.tv_nsec};
    return 0;
}

int64_t upgradelink_unix_time(int year, int month, int day, int hour, int minute, int second) {
    struct tm date = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second};
    return timegm(&date);
}

int upgradelink_utc_offset(int64_t unix_seconds, int32_t *offset) {
    time_t time = unix_seconds;
    struct tm date;
    if (!localtime_r(&time, &date)) return -1;
    *offset = (int32_t)date.tm_gmtoff;
    return 0;
}

int64_t upgradelink_local_text(int64_t unix_seconds, char *text, int64_t size) {
    time_t time = unix_seconds;
    struct tm date;
    return localtime_r(&time, &date) ? (int64_t)strftime(text, (size_t)size, "%Y-%m-%d %H:%M", &date) : 0;
}
