#pragma once
#include <openssl/evp.h>

/* NULL where libcrypto can be used, else why not. */
const char *upgradelink_load_crypto(void);
