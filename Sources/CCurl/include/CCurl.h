#pragma once
/* Without its checks of types, which are macros around the functions. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

/* curl_easy_setopt() is variadic: one function for each kind of argument. */
CURLcode upgradelink_set_long(CURL *handle, CURLoption option, long value);
CURLcode upgradelink_set_offset(CURL *handle, CURLoption option, curl_off_t value);
CURLcode upgradelink_set_string(CURL *handle, CURLoption option, const char *value);
CURLcode upgradelink_set_pointer(CURL *handle, CURLoption option, void *value);
CURLcode upgradelink_set_data_callback(CURL *handle, CURLoption option, curl_write_callback callback);
CURLcode upgradelink_set_progress_callback(CURL *handle, CURLoption option, curl_xferinfo_callback callback);

/* What this process's transfers share, which are one after another: connections, names that were looked up, TLS sessions
   (curl_share_setopt() is variadic too). NULL where that cannot be had. */
CURLSH *upgradelink_share(void);

/* NULL where libcurl can be used, else why not. */
const char *upgradelink_load_curl(void);
