/* An integer of a configuration that needs more than 32 bits. */
#include "CTOML.h"

#include <string.h>

int main(void) {
    static const char text[] = "download.sizeLimit = 8589934592";
    struct ctoml_document *document = ctoml_parse(text, strlen(text));
    const struct ctoml_node *node = document ? ctoml_nodes(document) : NULL;
    if (!node) return 1;
    int result = node[2].kind == ctoml_kind_integer && node[2].integer == INT64_C(8589934592) ? 0 : 2;
    ctoml_free(document);
    return result;
}
