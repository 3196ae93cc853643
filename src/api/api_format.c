#include "api/api_format.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "base/uuid.h"

/* Sets of characters; the C library's depend on the locale. */
#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM  DIGITS LOWER UPPER
#define HEX    DIGITS "abcdef"

static bool all_of(const char *text, size_t bytes, const char *set)
{
    return strspn(text, set) >= bytes;
}

/* A letter or digit, and then also characters of `more`. */
static bool is_word(const char *text, size_t bytes, const char *more)
{
    return bytes && strchr(ALNUM, text[0]) && all_of(text, bytes, more);
}

/* `shape` with h for a hexadecimal digit, d for a digit, anything else for itself. */
static bool is_shape(const char *text, size_t bytes, const char *shape)
{
    if (bytes != strlen(shape))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        const char *set = shape[i] == 'h' ? HEX : shape[i] == 'd' ? DIGITS : NULL;
        if (set ? !strchr(set, text[i]) : text[i] != shape[i])
            return false;
    }
    return true;
}

static bool is_uuid(const char *text, size_t bytes)
{
    return is_shape(text, bytes, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh");
}

static bool is_time(const char *text, size_t bytes)
{
    int64_t ms;
    return strlen(text) == bytes && !api_format_time(text, &ms);
}

static bool is_ip(const char *text)
{
    unsigned char address[16];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool host_bits_are_zero(const unsigned char *address, unsigned address_bits, unsigned prefix)
{
    for (unsigned bit = prefix; bit < address_bits; bit++)
        if (address[bit / 8] & (0x80 >> (bit % 8)))
            return false;
    return true;
}

static bool is_cidr(const char *text, size_t bytes)
{
    const char *slash = memchr(text, '/', bytes);
    char host[INET6_ADDRSTRLEN];
    unsigned char address[16];
    size_t host_bytes = slash ? (size_t)(slash - text) : 0;
    if (!slash || host_bytes >= sizeof(host))
        return false;
    size_t digits = bytes - host_bytes - 1;
    /* One way to write a number: no leading zero. */
    if (!digits || digits > 3 || !all_of(slash + 1, digits, DIGITS) ||
        (slash[1] == '0' && digits > 1))
        return false;
    unsigned prefix = (unsigned)atoi(slash + 1);
    memcpy(host, text, host_bytes);
    host[host_bytes] = '\0';
    if (inet_pton(AF_INET, host, address) == 1)
        return prefix <= 32 && host_bits_are_zero(address, 32, prefix);
    if (inet_pton(AF_INET6, host, address) == 1)
        return prefix <= 128 && host_bits_are_zero(address, 128, prefix);
    return false;
}

/* Unicast and not all zero: what a NIC can have. */
static bool is_mac(const char *text, size_t bytes)
{
    return is_shape(text, bytes, "hh:hh:hh:hh:hh:hh") && !strchr("13579bdf", text[1]) &&
           strcmp(text, "00:00:00:00:00:00") != 0;
}

static bool is_url(const char *text, size_t bytes)
{
    size_t skip = !strncmp(text, "http://", 7) ? 7 : !strncmp(text, "https://", 8) ? 8 : 0;
    if (!skip || bytes == skip || text[skip] == '/' || text[skip] == ':')
        return false;
    for (size_t i = skip; i < bytes; i++)
        if (text[i] < '!' || text[i] > '~')
            return false;
    return true;
}

static bool is_base64(const char *text, size_t bytes)
{
    size_t n = strspn(text, ALNUM "+/");
    size_t padding = strspn(text + n, "=");
    return bytes % 4 == 0 && padding <= 2 && n + padding == bytes;
}

static bool is_hostname(const char *text, size_t bytes)
{
    for (size_t at = 0; at <= bytes;) {
        size_t label = strcspn(text + at, ".");
        if (!label || label > 63 || !is_word(text + at, label, ALNUM "-") ||
            text[at + label - 1] == '-')
            return false;
        at += label + 1;
    }
    return bytes > 0;
}

bool api_format_holds(enum api_types_format format, const char *text, size_t bytes)
{
    switch (format) {
    case API_FORMAT_NAME:
        return is_word(text, bytes, ALNUM "._-");
    case API_FORMAT_UUID:
        return is_uuid(text, bytes);
    case API_FORMAT_TIMESTAMP:
        return is_time(text, bytes);
    case API_FORMAT_CIDR:
        return is_cidr(text, bytes);
    case API_FORMAT_IP:
        return is_ip(text);
    case API_FORMAT_MAC:
        return is_mac(text, bytes);
    case API_FORMAT_SHA256:
        return bytes == 64 && all_of(text, bytes, HEX);
    case API_FORMAT_URL:
        return is_url(text, bytes);
    case API_FORMAT_BASE64:
        return is_base64(text, bytes);
    case API_FORMAT_HOSTNAME:
        return is_hostname(text, bytes);
    case API_FORMAT_VERSION:
        return is_word(text, bytes, ALNUM ".+~-");
    case API_FORMAT_KEY:
        return is_word(text, bytes, ALNUM "._/-");
    case API_FORMAT_NONE:
    case API_FORMATS:
        break;
    }
    return true;
}

const char *api_format_wanted(enum api_types_format format)
{
    static const char *const words[API_FORMATS] = {
        [API_FORMAT_NONE] = "text",
        [API_FORMAT_NAME] = "a name: letters, digits and . _ - after the first",
        [API_FORMAT_UUID] = "a UUID in lower case",
        [API_FORMAT_TIMESTAMP] = "a time in UTC such as 2026-01-31T12:00:00Z",
        [API_FORMAT_CIDR] = "a prefix with host bits of zero, such as 10.0.0.0/24",
        [API_FORMAT_IP] = "an IPv4 or IPv6 address",
        [API_FORMAT_MAC] = "a unicast MAC in lower case, such as 52:54:00:12:34:56",
        [API_FORMAT_SHA256] = "64 hexadecimal digits in lower case",
        [API_FORMAT_URL] = "an http or https URL",
        [API_FORMAT_BASE64] = "base64 with padding",
        [API_FORMAT_HOSTNAME] = "a DNS name",
        [API_FORMAT_VERSION] = "a version: letters, digits and . + ~ - after the first",
        [API_FORMAT_KEY] = "a key: letters, digits and . _ / - after the first",
    };
    return (size_t)format < ARRAY_LEN(words) ? words[format] : "text";
}

int api_format_time(const char *text, int64_t *ms)
{
    size_t bytes = strlen(text);
    bool fraction = bytes == 24;
    if (!is_shape(text, bytes, fraction ? "dddd-dd-ddTdd:dd:dd.dddZ" : "dddd-dd-ddTdd:dd:ddZ"))
        return -EINVAL;
    struct tm tm = {.tm_year = atoi(text) - 1900,
                    .tm_mon = atoi(text + 5) - 1,
                    .tm_mday = atoi(text + 8),
                    .tm_hour = atoi(text + 11),
                    .tm_min = atoi(text + 14),
                    .tm_sec = atoi(text + 17)};
    struct tm wanted = tm;
    /* timegm() moves the 31st of February to March: what comes back has to be what went in. */
    time_t t = timegm(&tm);
    if (tm.tm_mon != wanted.tm_mon || tm.tm_mday != wanted.tm_mday ||
        tm.tm_hour != wanted.tm_hour || tm.tm_min != wanted.tm_min || tm.tm_sec != wanted.tm_sec)
        return -EINVAL;
    *ms = (int64_t)t * 1000 + (fraction ? atoi(text + 20) : 0);
    return 0;
}

void api_format_time_text(int64_t ms, char text[API_FORMAT_TIME_BYTES])
{
    int64_t part = ((ms % 1000) + 1000) % 1000;
    time_t t = (time_t)((ms - part) / 1000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        memset(&tm, 0, sizeof(tm));
    snprintf(text, API_FORMAT_TIME_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (unsigned)part % 1000);
}

int api_format_uuid(const char *text, uint8_t uuid[16])
{
    return is_uuid(text, strlen(text)) ? uuid_parse(text, uuid) : -EINVAL;
}
