/* The headers that speak of a part of some content. Spec: RFC 9110, 14. */
#ifndef MGMT_SERVER_SERVER_RANGE_H
#define MGMT_SERVER_SERVER_RANGE_H

#include <stdint.h>

#define SERVER_RANGE_MAX (INT64_C(1) << 56) /* no content is longer */

/* Content-Range, "bytes 0-99/1000"; the total may be "*", which leaves *total as it is. All are
 * consistent: first <= last < total. Errors: EINVAL; then nothing is set. */
int server_range_content(const char *text, int64_t *first, int64_t *last, int64_t *total);
/* Range, "bytes=0-99" or "bytes=100-" (*last is -1). One range, from the beginning. Errors: EINVAL.
 */
int server_range_wanted(const char *text, int64_t *first, int64_t *last);

#endif
