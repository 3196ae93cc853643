/* Why a request is refused, and the problem document that says so (RFC 9457).
 *
 * A refusal is an object on the caller's stack, as struct err is, but for people at the other end:
 * a stable code, and for bad values each place with what is there and what is allowed. Codes, with
 * their statuses and titles, are those of api/problems.yaml. */
#ifndef API_API_PROBLEM_H
#define API_API_PROBLEM_H

#include <stddef.h>

#include "api/api_buf.h"
#include "api/gen/enums.h"

#define API_PROBLEM_ERRORS_MAX 16
#define API_PROBLEM_MEDIA      "application/problem+json"

struct api_problem_kind {
    int status;
    const char *code; /* "resource.not_found" */
    const char *title;
};
extern const struct api_problem_kind api_problem_kinds[API_PROBLEM_CODE_N];

struct api_refusal {
    enum api_problem_code code; /* meaningful once `set` */
    bool set;
    unsigned n_errors; /* more than API_PROBLEM_ERRORS_MAX are counted and not kept */
    unsigned retry_after_s;
    char detail[512];
    struct {
        char pointer[192]; /* a JSON pointer, or a parameter's name */
        char detail[256];
    } errors[API_PROBLEM_ERRORS_MAX];
};

void api_problem_init(struct api_refusal *r);
/* Sets code and detail; message as for err_set(). `r` may be NULL. Returns the negative errno value
 * that belongs to the code's status. */
int api_problem_set(struct api_refusal *r, enum api_problem_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds one thing that is wrong; the first one also sets the code. Returns as api_problem_set(). */
int api_problem_add(struct api_refusal *r, enum api_problem_code code, const char *pointer,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Where no detail was set: the first thing that is wrong and how many more there are. */
void api_problem_summarize(struct api_refusal *r);

int api_problem_status(enum api_problem_code code);
/* -EINVAL, -EACCES, -ENOENT, ...: for callers that only want to know what kind of failure it was.
 */
int api_problem_errno(enum api_problem_code code);
/* The code of that name. Errors: ENOENT. */
int api_problem_find(const char *name, enum api_problem_code *code);

/* The document. `instance` (the path) and `request_id` may be NULL. `extra`: members that follow,
 * as JSON text that begins with a comma, such as an explanation; NULL: none. */
void api_problem_write(const struct api_refusal *r, const char *instance, const char *request_id,
                       const char *extra, struct api_buf *out);

#endif
