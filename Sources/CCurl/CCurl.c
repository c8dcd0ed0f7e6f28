#pragma GCC visibility push(hidden)
#include "CCurl.h"
#include "CLibrary.h"

static void *curl;
static const char file[] = "libcurl.so.4";
#define STUB(result, missing, name, parameters, arguments)                                                             \
    CLIBRARY_STUB(&curl, file, result, missing, name, parameters, arguments)

STUB(CURL *, NULL, curl_easy_init, (void), ())
STUB(CURLcode, CURLE_FAILED_INIT, curl_easy_perform, (CURL * handle), (handle))
STUB(const char *, "libcurl is missing", curl_easy_strerror, (CURLcode code), (code))
STUB(struct curl_slist *, NULL, curl_slist_append, (struct curl_slist * list, const char *text), (list, text))

CLIBRARY_VOID_STUB(&curl, file, curl_easy_cleanup, (CURL * handle), (handle))
CLIBRARY_VOID_STUB(&curl, file, curl_slist_free_all, (struct curl_slist * list), (list))
STUB(CURLSH *, NULL, curl_share_init, (void), ())

STUB(CURLU *, NULL, curl_url, (void), ())
STUB(CURLUcode, CURLUE_OUT_OF_MEMORY, curl_url_set, (CURLU * url, CURLUPart part, const char *text, unsigned int flags),
     (url, part, text, flags))
CLIBRARY_VOID_STUB(&curl, file, curl_url_cleanup, (CURLU * url), (url))
CLIBRARY_VOID_STUB(&curl, file, curl_free, (void *memory), (memory))

const char *upgradelink_load_curl(void) { return upgradelink_load(&curl, file); }

#define SETTER(name, type)                                                                                             \
    CURLcode name(CURL *handle, CURLoption option, type value) {                                                       \
        static CURLcode (*real)(CURL *, CURLoption, ...);                                                              \
        if (!real) real = (CURLcode(*)(CURL *, CURLoption, ...))upgradelink_symbol(&curl, file, "curl_easy_setopt");   \
        return real ? real(handle, option, value) : CURLE_FAILED_INIT;                                                 \
    }

SETTER(upgradelink_set_long, long)
SETTER(upgradelink_set_offset, curl_off_t)
SETTER(upgradelink_set_string, const char *)
SETTER(upgradelink_set_pointer, void *)
SETTER(upgradelink_set_data_callback, curl_write_callback)
SETTER(upgradelink_set_progress_callback, curl_xferinfo_callback)

char *upgradelink_url_text(CURLU *url) {
    CURLUcode (*get)(CURLU *, CURLUPart, char **, unsigned int) =
        (CURLUcode(*)(CURLU *, CURLUPart, char **, unsigned int))upgradelink_symbol(&curl, file, "curl_url_get");
    char *text = NULL;
    return get && get(url, CURLUPART_URL, &text, 0) == CURLUE_OK ? text : NULL;
}

long upgradelink_get_long(CURL *handle, CURLINFO info) {
    CURLcode (*get)(CURL *, CURLINFO, ...) =
        (CURLcode(*)(CURL *, CURLINFO, ...))upgradelink_symbol(&curl, file, "curl_easy_getinfo");
    long value = 0;
    return get && get(handle, info, &value) == CURLE_OK ? value : 0;
}

CURLSH *upgradelink_share(void) {
    static CURLSH *share;
    CURLSHcode (*set)(CURLSH *, CURLSHoption, ...) =
        (CURLSHcode(*)(CURLSH *, CURLSHoption, ...))upgradelink_symbol(&curl, file, "curl_share_setopt");
    if (share || !set || !(share = curl_share_init())) return share;
    set(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    set(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    set(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return share;
}
