/* Dates after 2038, through the functions of CHost. The output is the wall clock, for a comparison. */
#include "CHost.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static const char *text(int64_t time) {
    static char buffer[64];
    return upgradelink_local_text(time, buffer, sizeof buffer) > 0 ? buffer : "?";
}

int main(void) {
    CHECK(upgradelink_unix_time(1970, 1, 1, 0, 0, 0) == 0);
    CHECK(upgradelink_unix_time(2038, 1, 19, 3, 14, 8) == INT64_C(1) << 31);
    CHECK(upgradelink_unix_time(2100, 1, 1, 0, 0, 0) == INT64_C(4102444800));
    CHECK(upgradelink_unix_time(2106, 2, 7, 6, 28, 16) == INT64_C(1) << 32);
    CHECK(upgradelink_unix_time(9999, 12, 31, 23, 59, 59) == INT64_C(253402300799));

    setenv("TZ", "UTC0", 1);
    tzset();
    CHECK(strcmp(text((INT64_C(1) << 31) - 1), "2038-01-19 03:14") == 0);
    CHECK(strcmp(text(INT64_C(1) << 31), "2038-01-19 03:14") == 0);
    CHECK(strcmp(text(INT64_C(4102444800)), "2100-01-01 00:00") == 0);
    CHECK(strcmp(text(INT64_C(253402300799)), "9999-12-31 23:59") == 0);
    /* No year of struct tm. */
    CHECK(strcmp(text(INT64_MAX), "?") == 0);

    /* The rules of a time zone go on after 2038. */
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    int32_t offset = 0;
    CHECK(upgradelink_utc_offset(upgradelink_unix_time(2100, 7, 1, 0, 0, 0), &offset) == 0 && offset == 7200);
    CHECK(upgradelink_utc_offset(upgradelink_unix_time(2100, 12, 1, 0, 0, 0), &offset) == 0 && offset == 3600);
    CHECK(upgradelink_utc_offset(INT64_MAX, &offset) == -1);

    /* The time at which this timer expires is the year 2262. */
    int watch = upgradelink_clock_watch();
    CHECK(watch >= 0 && upgradelink_arm_clock_watch(watch) == 0);
    char expirations[8];
    CHECK(read(watch, expirations, sizeof expirations) == -1 && errno == EAGAIN);

    struct upgradelink_moment now;
    CHECK(upgradelink_clock(CLOCK_BOOTTIME, &now) == 0 && now.seconds > 0);
    CHECK(upgradelink_clock(12345, &now) == -1);
    CHECK(upgradelink_clock(CLOCK_REALTIME, &now) == 0 && now.nanoseconds >= 0 && now.nanoseconds < 1000000000);
    printf("%" PRId64 "\n", now.seconds);
    return 0;
}
