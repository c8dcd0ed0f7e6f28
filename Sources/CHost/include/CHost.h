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
