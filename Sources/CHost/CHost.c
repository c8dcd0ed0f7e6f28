#define _GNU_SOURCE
#include "CHost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int upgradelink_permanent_address(const char *interface_name, uint8_t address[6]) {
    union {
        struct ethtool_perm_addr request;
        uint8_t room[sizeof(struct ethtool_perm_addr) + 32];
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
