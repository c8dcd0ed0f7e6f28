#pragma once
#include "WideFiles.h"
#include <stdint.h>

/* Reads a clock (clock_gettime(2)). Returns 0, or -1 with errno. */
int upgradelink_clock(int clock, struct upgradelink_moment *now);

/* The seconds since 1970 of a date in UTC (timegm(3)). The month is from 1 to 12; values out of range count on, as a 32nd day does. */
int64_t upgradelink_unix_time(int year, int month, int day, int hour, int minute, int second);

/* Seconds east of Greenwich at this time, in the local time zone after tzset(3). Returns 0, or -1 with errno. */
int upgradelink_utc_offset(int64_t unix_seconds, int32_t *offset);

/* Writes the local time as `2026-11-24 03:10`. Returns the length of the text; 0 if it does not fit, or the year does not. */
int64_t upgradelink_local_text(int64_t unix_seconds, char *text, int64_t size);
