/* UUIDs as text: 8-4-4-4-12 hexadecimal digits. Spec: RFC 9562, 4. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdint.h>

#define UUID_TEXT_BYTES 37 /* with the final NUL */

/* The whole text, digits of either case. Errors: EINVAL; `uuid` is untouched then. */
int uuid_parse(const char *text, uint8_t uuid[16]);
/* Digits in lower case. */
void uuid_format(const uint8_t uuid[16], char text[UUID_TEXT_BYTES]);

#endif
