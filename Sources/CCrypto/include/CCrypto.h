#pragma once
#include <openssl/evp.h>

/* Loads libcrypto. Returns NULL, or the reason why it cannot be loaded. */
const char *upgradelink_load_crypto(void);
