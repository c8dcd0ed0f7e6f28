/* Passes sizes and numbers to the libcurl of libcurl.c. */
#include "CCurl.h"

#include <stdint.h>
#include <stdio.h>

int main(void) {
    int handle = 0;
    const char *problem = upgradelink_load_curl();
    if (problem) return puts(problem), 1;
    if (upgradelink_set_offset(&handle, CURLOPT_POSTFIELDSIZE_LARGE, (INT64_C(5) << 30) + 1) != CURLE_OK) return 2;
    if (upgradelink_set_long(&handle, CURLOPT_LOW_SPEED_LIMIT, INT32_MAX) != CURLE_OK) return 3;
    if (upgradelink_set_long(NULL, CURLOPT_NOSIGNAL, 1) != CURLE_BAD_FUNCTION_ARGUMENT) return 4;
    return upgradelink_get_long(&handle, CURLINFO_HTTP_CONNECTCODE) == 407 ? 0 : 5;
}
