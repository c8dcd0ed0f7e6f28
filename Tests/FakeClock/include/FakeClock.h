#pragma once
#include <time.h>

/* Preloaded, never called by name. */
int clock_gettime(clockid_t clock, struct timespec *time);
