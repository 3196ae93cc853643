/* Calls of the API over libcurl: one request, its answer, retries, and --debug.
 *
 * A call is sent again when the connection was lost and it can have no second effect (a GET, one
 * with Idempotency-Key, one with If-Match), and when the server said 503 or 429, with which nothing
 * has happened: at most CLOUD_HTTP_TRIES times, waiting longer each time. A connection that was
 * refused before any was made is not tried again: nobody is there. */
#ifndef CLI_CLOUD_CLOUD_HTTP_H
#define CLI_CLOUD_CLOUD_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "api/api_buf.h"
#include "api/api_route.h"
#include "base/err.h"

#define CLOUD_HTTP_TRIES            4
#define CLOUD_HTTP_ANSWER_MAX_BYTES (64u << 20)

struct cloud_http;

struct cloud_http_config {
    const char *url;     /* https://HOST[:PORT], http://... of this machine, or unix:PATH */
    const char *token;   /* NULL: none */
    const char *ca_file; /* PEM: what alone is trusted; NULL: the system's */
    bool debug;
};

/* The strings are copied. Errors: EINVAL: the URL, with what it should be. */
struct cloud_http *cloud_http_create(const struct cloud_http_config *config, struct err *err);
void cloud_http_destroy(struct cloud_http *h);

struct cloud_http_request {
    enum api_method method;
    const char *path;    /* with its query */
    const char *project; /* of the header; NULL: none */
    const char *media;   /* of the body */
    const char *body;    /* NULL: none */
    size_t body_bytes;
    FILE *upload; /* instead of a body */
    int64_t upload_bytes;
    int64_t upload_first, upload_total; /* which part of it this is; total 0: the whole */
    FILE *download;                     /* where the body of a success goes */
    const char *if_match;
    bool idempotent;    /* send an Idempotency-Key */
    int64_t timeout_ms; /* 0: a minute; of uploads and downloads: while something comes */
    void (*progress)(void *ctx, int64_t done, int64_t all); /* of uploads; may be NULL */
    void *progress_ctx;
};

struct cloud_http_answer {
    int status;
    struct api_buf body;
    char media[64], etag[64], request_id[64];
    int retry_after_s; /* -1: not said */
};
void cloud_http_answer_fini(struct cloud_http_answer *a);

/* Sends it, more than once if need be. 0: there is an answer, whatever its status; *a is the
 * caller's to finish either way. Errors: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, EPROTO (TLS), EIO:
 * with the server's name and the remedy. */
int cloud_http_send(struct cloud_http *h, const struct cloud_http_request *request,
                    struct cloud_http_answer *a, struct err *err);

/* Where the server is, for connections of another kind. */
struct cloud_http_place {
    char host[256]; /* or "+PATH" of a unix socket, as libwebsockets has it */
    uint16_t port;
    bool tls;
};
int cloud_http_place(const char *url, struct cloud_http_place *place, struct err *err);

/* The certificate (PEM) that the server shows and whose SHA-256 the fingerprint is: its own or one
 * that signed it. "sha256:", colons and capitals are taken. Owns: free(). Errors: EACCES: it shows
 * none such, with what it shows. */
int cloud_http_pin(const char *url, const char *fingerprint, char **pem, struct err *err);

/* JSON with the values of secrets as "***", for people to see. Owns: free(). */
char *cloud_http_redact(const char *text, size_t bytes);

#endif
