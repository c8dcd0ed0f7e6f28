#pragma once
#include <time.h>

/* The library is preloaded; its functions are not called by name. */
int clock_gettime(clockid_t clock, struct timespec *time);
