#pragma once
/* Disables libcurl's type checks: they are macros around the functions. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

/* Swift cannot call curl_easy_setopt(), which is variadic: one function for each type of argument. */
CURLcode upgradelink_set_long(CURL *handle, CURLoption option, long value);
CURLcode upgradelink_set_offset(CURL *handle, CURLoption option, curl_off_t value);
CURLcode upgradelink_set_string(CURL *handle, CURLoption option, const char *value);
CURLcode upgradelink_set_pointer(CURL *handle, CURLoption option, void *value);
CURLcode upgradelink_set_data_callback(CURL *handle, CURLoption option, curl_write_callback callback);
CURLcode upgradelink_set_progress_callback(CURL *handle, CURLoption option, curl_xferinfo_callback callback);

/* The whole URL, which the caller frees with curl_free(); NULL if it has none. The first parameter of curl_url_get() became
   const in a later version of libcurl. */
char *upgradelink_url_text(CURLU *url);

/* A number from curl_easy_getinfo(), which is variadic; 0 if libcurl does not know it. */
long upgradelink_get_long(CURL *handle, CURLINFO info);

/* The connections, DNS results and TLS sessions that the transfers of this process share (curl_share_setopt() is variadic too).
   The transfers run one after another, so no lock is needed. NULL if libcurl cannot share them. */
CURLSH *upgradelink_share(void);

/* Loads libcurl. Returns NULL, or the reason why it cannot be loaded. */
const char *upgradelink_load_curl(void);
