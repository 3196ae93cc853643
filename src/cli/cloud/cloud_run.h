/* One command while it runs: what was said, where the server is, and the calls that it makes. */
#ifndef CLI_CLOUD_CLOUD_RUN_H
#define CLI_CLOUD_CLOUD_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/cloud/cloud_args.h"
#include "cli/cloud/cloud_command.h"
#include "cli/cloud/cloud_flag.h"
#include "cli/cloud/cloud_http.h"
#include "cli/cloud/cloud_print.h"

struct cloud_run {
    struct cloud_command command;
    char who[96]; /* "vm create": what messages begin with */
    struct cloud_flags flags;
    struct cloud_args args;
    enum cloud_print_form form;
    json_t *config;  /* the file; NULL until it was needed */
    json_t *profile; /* of it; NULL: none */
    const char *profile_name;
    const char *url, *project; /* NULL: not known */
    int64_t wait_limit_ms;     /* of --timeout; -1: none */
    bool wait;
    struct cloud_http *http;
};

/* Runs a command with the words behind its noun and verb. Returns the exit status. */
int cloud_run(const struct cloud_command *command, char **argv);

/* Prints a failure of ours and returns the exit status for it. */
int cloud_run_fail(const struct cloud_run *r, int status, const struct err *err);
/* Reads the profile (into r->config and what follows) and makes r->http with its token. Returns an
 * exit status; what failed is printed. */
int cloud_run_connect(struct cloud_run *r);
/* r->config and r->profile only. */
int cloud_run_profile(struct cloud_run *r, bool make);

struct cloud_call {
    enum api_op op;
    const char *params[API_ROUTE_PARAMS];
    const json_t *body;  /* NULL: none */
    const json_t *query; /* NULL: none; values are texts, numbers, booleans or lists of texts */
    const char *if_match;
    FILE *upload, *download;
    int64_t upload_bytes, upload_first, upload_total; /* as in struct cloud_http_request */
    int64_t timeout_ms;
    bool quiet; /* a failure is not printed: the answer may do without */
    void (*progress)(void *ctx, int64_t done, int64_t all);
    void *progress_ctx;
};
/* Calls an operation. Returns an exit status; a failure was printed. *answer is the JSON of a
 * success (json_null() where there is none) and may be NULL; etag (64 bytes) may be NULL. */
int cloud_run_call(struct cloud_run *r, const struct cloud_call *c, json_t **answer, char *etag);

/* Appends a text as it may stand in a path or a query. */
void cloud_run_escape(struct api_buf *b, const char *text);
/* Prints all pages of a list, in the form, order and columns that were asked for. Returns an exit
 * status. */
int cloud_run_list(struct cloud_run *r, struct cloud_call *c);
/* Puts names where the columns (as in cloud_print_list()) have ids of other things, as far as the
 * caller may look them up. */
void cloud_run_names(struct cloud_run *r, json_t *items, const char *columns);
/* The number of --limit; *most stays as it is without one. Errors: EINVAL. */
int cloud_run_limit(const struct cloud_run *r, uint64_t *most, struct err *err);
/* Follows an operation to its end with progress on the terminal. Takes no reference; *end is the
 * last that was seen of it (may be NULL). Returns the exit status. */
int cloud_run_follow(struct cloud_run *r, const json_t *operation, json_t **end);
/* What becomes of an operation: followed and told, or printed, as --wait says. `what`: of what, in
 * words; `show`: the operation that gets the resource that was made, or API_OPS. */
int cloud_run_operation(struct cloud_run *r, const json_t *operation, const char *what,
                        enum api_op show);
/* Prints one thing in the wanted form. */
void cloud_run_print(const struct cloud_run *r, const json_t *item);
/* A line on standard output that a table would be: nothing in the other forms. */
void cloud_run_tell(const struct cloud_run *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The body that flags and --from give; secrets that are needed are asked for. Owns: json_decref().
 * Errors: EINVAL: fields that are needed and missing, by their flags. */
int cloud_run_body(struct cloud_run *r, const struct api_route *route, json_t **body,
                   struct err *err);

/* A line on a terminal's standard error that is written over: how far something is. percent: -1:
 * not known. Nothing without a terminal. */
void cloud_run_progress(const char *what, int percent, const char *step);
void cloud_run_progress_end(void);

/* Commands by hand. */
int cloud_run_console(struct cloud_run *r);
int cloud_run_console_log(struct cloud_run *r);
int cloud_run_ssh(struct cloud_run *r);
int cloud_run_image_upload(struct cloud_run *r);
int cloud_run_image_import(struct cloud_run *r);
int cloud_run_operation_wait(struct cloud_run *r);
int cloud_run_event_list(struct cloud_run *r);
int cloud_run_event_watch(struct cloud_run *r);
int cloud_run_login(struct cloud_run *r);
int cloud_run_logout(struct cloud_run *r);
int cloud_run_profile_ls(struct cloud_run *r);
int cloud_run_profile_use(struct cloud_run *r);
int cloud_run_profile_set(struct cloud_run *r);
int cloud_run_profile_rm(struct cloud_run *r);
int cloud_run_api(struct cloud_run *r);
int cloud_run_up(struct cloud_run *r);
int cloud_run_down(struct cloud_run *r);

#endif
