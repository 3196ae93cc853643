/* Made by tools/apigen from api/common.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_COMMON_H
#define API_GEN_COMMON_H

#include "api/api_types.h"
#include "api/gen/enums.h"

struct api_placement;

/* An error (RFC 9457). */
struct api_problem {
    /* A URI that names the kind of problem: urn:virga:problem:CODE. */
    struct api_text type;
    /* What is wrong in general; the same for every problem of this code. */
    struct api_text title;
    /* The HTTP status. */
    struct api_int status;
    /* What is wrong here: the thing, the value and the remedy. */
    struct api_text detail;
    /* The path of the request. */
    struct api_text instance;
    /* A stable dotted code for programs. */
    struct { enum api_is is; enum api_problem_code v; } code;
    /* The id of the request. */
    struct api_text request_id;
    /* When it is worth trying again. */
    struct api_int retry_after_s;
    /* Each thing that is wrong with the request. */
    struct { enum api_is is; uint32_t n; struct api_problem_error *v; } errors;
    /* For placement.no_host and its like why each host was turned away. */
    struct { enum api_is is; struct api_placement *v; } explanation;
};
extern const struct api_types_object api_types_problem;

/* One thing that is wrong with a request. */
struct api_problem_error {
    /* Where: a JSON pointer into the body (RFC 6901), or the name of a parameter. */
    struct api_text pointer;
    /* What is there and what is allowed. */
    struct api_text detail;
};
extern const struct api_types_object api_types_problem_error;

/* What every list takes. */
struct api_list_query {
    /* The most items of a page. */
    struct api_int limit;
    /* Where the page begins: `next_cursor` of the page before. */
    struct api_text cursor;
    /* Which items: comparisons `FIELD eq|ne|lt|le|gt|ge|in|has VALUE` joined by `and`, `or`,
     * `not` and parentheses, such as `name eq "web" and status.state ne "error"`. Fields inside
     * objects are named with dots; `labels.KEY` is a label; `has` asks whether a list holds a
     * value, or a text the value. */
    struct api_text filter;
    /* By what: up to four fields with commas; `-` before one means descending, such as
     * `-created_at,name`. The id decides between equals. */
    struct api_text sort;
    /* Which fields to answer with: names with commas, dots for those inside objects, such as
     * `id,name,status.state`. The id always comes. */
    struct api_text fields;
};
extern const struct api_types_object api_types_list_query;

#endif
