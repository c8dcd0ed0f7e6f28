/* In the place of libcurl: shows how its variadic function gets the values that CCurl passes. */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#undef curl_easy_setopt
CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...) {
    va_list values;
    va_start(values, option);
    if (option >= CURLOPTTYPE_OFF_T) printf("%d %" PRId64 "\n", option, (int64_t)va_arg(values, curl_off_t));
    else printf("%d %ld\n", option, va_arg(values, long));
    va_end(values);
    return handle ? CURLE_OK : CURLE_BAD_FUNCTION_ARGUMENT;
}

#undef curl_easy_getinfo
CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...) {
    (void)handle, (void)info;
    va_list values;
    va_start(values, info);
    *va_arg(values, long *) = 407;
    va_end(values);
    return CURLE_OK;
}
