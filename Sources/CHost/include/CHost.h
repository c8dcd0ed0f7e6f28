#pragma once
#include <stdint.h>

/* ioctl() is variadic. Returns 0 and the six bytes of the interface's permanent address, or -1 with errno. */
int upgradelink_permanent_address(const char *interface_name, uint8_t address[6]);

/* __DATE__ and __TIME__ are macros of the C preprocessor: "Feb 17 2025 10:34:55", in the builder's time zone. */
const char *upgradelink_build_time(void);

/* fallocate(2) with FALLOC_FL_KEEP_SIZE; the headers show both only under the macro _GNU_SOURCE. */
int upgradelink_reserve(int descriptor, int64_t offset, int64_t length);
