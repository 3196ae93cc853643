/* The request headers that mean something to every operation: preconditions, the project, keys and
 * ids. A value that cannot be one is refused (request.header_invalid), never ignored: a
 * precondition that is not understood must not pass. */
#ifndef API_API_HEADER_H
#define API_API_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api_problem.h"

#define API_HEADER_ETAG_BYTES 24
#define API_HEADER_KEY_MAX    127
#define API_HEADER_REF_MAX    63

/* The ETag of a generation: "7" in its quotes. */
void api_header_etag(uint64_t generation, char text[API_HEADER_ETAG_BYTES]);

/* If-Match against what there is; value NULL: no such header, which always matches. Errors: ESTALE
 * (resource.generation), EINVAL (no list of ETags). Spec: RFC 9110, section 13.1.1; comparison is
 * strong, so W/"7" matches nothing. */
int api_header_if_match(const char *value, uint64_t generation, struct api_refusal *refusal);
/* If-None-Match of a GET: whether the client has this already (answer 304). Comparison is weak.
 * What is no list of ETags matches nothing: the client gets the whole answer. */
bool api_header_none_match(const char *value, uint64_t generation);

/* Virga-Project: an id or name, or "*" for all where a list allows it. Errors: EINVAL. */
int api_header_project(const char *value, bool may_be_all, bool *all, struct api_refusal *refusal);
/* Idempotency-Key: 1 to API_HEADER_KEY_MAX visible ASCII characters. Errors: EINVAL. */
int api_header_idempotency_key(const char *value, struct api_refusal *refusal);
/* Virga-Request-Id: a name of 1 to API_HEADER_REF_MAX characters. Errors: EINVAL. */
int api_header_request_id(const char *value, struct api_refusal *refusal);

#endif
