#ifndef CTOML_H
#define CTOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// toml++ for C: a document is parsed as a whole, and its values are read as an array. Nothing here throws.

#ifdef __cplusplus
extern "C" {
#endif

// UTF-8 with a length; not terminated.
struct ctoml_text {
    const char *bytes;
    size_t length;
};

// Both count from 1; a column counts Unicode scalars. A byte order mark is not counted.
struct ctoml_position {
    uint32_t line;
    uint32_t column;
};

enum ctoml_kind {
    ctoml_kind_string,
    ctoml_kind_integer,
    ctoml_kind_number,
    ctoml_kind_bool,
    ctoml_kind_moment,
    ctoml_kind_list,
    ctoml_kind_table,
} __attribute__((enum_extensibility(closed)));

struct ctoml_node {
    enum ctoml_kind kind;
    bool flag;
    int64_t integer;
    double number;
    // The value of ctoml_kind_string, or of ctoml_kind_moment in TOML's notation.
    struct ctoml_text text;
    // The elements of a list or a table. They follow this node, each with its own elements after it.
    size_t count;
    struct ctoml_position position;
    // Empty, unless the node is an element of a table.
    struct ctoml_text key;
    struct ctoml_position key_position;
};

struct ctoml_document;

// NULL if there is not enough memory. Deeply nested documents are an error, because they would overflow the stack.
struct ctoml_document *ctoml_parse(const char *bytes, size_t length);
void ctoml_free(struct ctoml_document *document);

// True if the document is not TOML; then it sets the reason and its position. All texts live as long as the document.
bool ctoml_error(const struct ctoml_document *document, struct ctoml_text *text, struct ctoml_position *position);

// The first node is the table of the document itself. NULL if the document is not TOML.
const struct ctoml_node *ctoml_nodes(const struct ctoml_document *document);

#ifdef __cplusplus
}
#endif

#endif
