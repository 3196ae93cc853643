#include "base/uuid.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int uuid_parse(const char *text, uint8_t uuid[16])
{
    uint8_t v[16];
    if (strlen(text) != UUID_TEXT_BYTES - 1)
        return -EINVAL;
    for (unsigned i = 0; i < 16; i++, text += 2) {
        if (dash_before(i) && *text++ != '-')
            return -EINVAL;
        int high = hex_value(text[0]), low = hex_value(text[1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        v[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(uuid, v, sizeof(v));
    return 0;
}

void uuid_format(const uint8_t uuid[16], char text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i))
            *text++ = '-';
        *text++ = digits[uuid[i] >> 4];
        *text++ = digits[uuid[i] & 15];
    }
    *text = 0;
}
