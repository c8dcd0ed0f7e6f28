#pragma GCC visibility push(hidden)
#include "CCrypto.h"
#include "CLibrary.h"

static void *crypto;
static const char file[] = "libcrypto.so.3";
#define STUB(result, missing, name, parameters, arguments)                                                             \
    CLIBRARY_STUB(&crypto, file, result, missing, name, parameters, arguments)

STUB(EVP_MD_CTX *, NULL, EVP_MD_CTX_new, (void), ())
STUB(const EVP_MD *, NULL, EVP_sha256, (void), ())
STUB(const EVP_MD *, NULL, EVP_blake2b512, (void), ())
STUB(const EVP_MD *, NULL, EVP_md5, (void), ())
STUB(int, 0, EVP_DigestInit_ex, (EVP_MD_CTX * context, const EVP_MD *type, ENGINE *engine), (context, type, engine))
STUB(int, 0, EVP_DigestUpdate, (EVP_MD_CTX * context, const void *bytes, size_t count), (context, bytes, count))
STUB(int, 0, EVP_DigestFinal_ex, (EVP_MD_CTX * context, unsigned char *digest, unsigned int *size),
     (context, digest, size))
STUB(EVP_PKEY *, NULL, EVP_PKEY_new_raw_public_key,
     (int type, ENGINE *engine, const unsigned char *key, size_t length), (type, engine, key, length))
STUB(int, 0, EVP_DigestVerifyInit,
     (EVP_MD_CTX * context, EVP_PKEY_CTX **key_context, const EVP_MD *type, ENGINE *engine, EVP_PKEY *key),
     (context, key_context, type, engine, key))
STUB(int, 0, EVP_DigestVerify,
     (EVP_MD_CTX * context, const unsigned char *signature, size_t size, const unsigned char *bytes, size_t count),
     (context, signature, size, bytes, count))

CLIBRARY_VOID_STUB(&crypto, file, EVP_MD_CTX_free, (EVP_MD_CTX * context), (context))
CLIBRARY_VOID_STUB(&crypto, file, EVP_PKEY_free, (EVP_PKEY * key), (key))

const char *upgradelink_load_crypto(void) { return upgradelink_load(&crypto, file); }
