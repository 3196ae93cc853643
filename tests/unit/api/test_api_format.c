/* The named formats, and that they are never looser than the patterns that clients are told. */
#include "api/api_format.h"

#include <regex.h>

#include "api/gen/all.h"
#include "base/util.h"
#include "base/uuid.h"
#include "tap.h"

static bool holds(enum api_types_format f, const char *text)
{
    return api_format_holds(f, text, strlen(text));
}

static const struct {
    enum api_types_format format;
    const char *text;
    bool good;
} rows[] = {
    {API_FORMAT_NAME, "web-1.example_2", true},
    {API_FORMAT_NAME, "-web", false},
    {API_FORMAT_NAME, "", false},
    {API_FORMAT_NAME, "a b", false},
    {API_FORMAT_NAME,
     "w\xc3\xa9"
     "b",
     false},
    {API_FORMAT_UUID, "0190b8e4-9a5b-7cde-8f01-23456789abcd", true},
    {API_FORMAT_UUID, "0190B8E4-9a5b-7cde-8f01-23456789abcd", false},
    {API_FORMAT_UUID, "0190b8e4-9a5b-7cde-8f01-23456789abc", false},
    {API_FORMAT_UUID, "0190b8e4-9a5b-7cde-8f01-23456789abcd0", false},
    {API_FORMAT_TIMESTAMP, "2026-02-28T23:59:59Z", true},
    {API_FORMAT_TIMESTAMP, "2024-02-29T00:00:00.123Z", true},
    {API_FORMAT_TIMESTAMP, "2026-02-29T00:00:00Z", false},
    {API_FORMAT_TIMESTAMP, "2026-13-01T00:00:00Z", false},
    {API_FORMAT_TIMESTAMP, "2026-01-01T24:00:00Z", false},
    {API_FORMAT_TIMESTAMP, "2026-01-01 00:00:00Z", false},
    {API_FORMAT_TIMESTAMP, "2026-01-01T00:00:00+00:00", false},
    {API_FORMAT_CIDR, "10.0.0.0/24", true},
    {API_FORMAT_CIDR, "0.0.0.0/0", true},
    {API_FORMAT_CIDR, "fd00:1::/64", true},
    {API_FORMAT_CIDR, "10.0.0.1/24", false},
    {API_FORMAT_CIDR, "10.0.0.0/33", false},
    {API_FORMAT_CIDR, "10.0.0.0/024", false},
    {API_FORMAT_CIDR, "10.0.0.0/", false},
    {API_FORMAT_CIDR, "10.0.0.0", false},
    {API_FORMAT_IP, "192.0.2.1", true},
    {API_FORMAT_IP, "2001:db8::1", true},
    {API_FORMAT_IP, "192.0.2", false},
    {API_FORMAT_IP, "192.0.2.256", false},
    {API_FORMAT_MAC, "52:54:00:12:34:56", true},
    {API_FORMAT_MAC, "53:54:00:12:34:56", false},
    {API_FORMAT_MAC, "00:00:00:00:00:00", false},
    {API_FORMAT_MAC, "52-54-00-12-34-56", false},
    {API_FORMAT_MAC, "52:54:00:12:34:5G", false},
    {API_FORMAT_SHA256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", true},
    {API_FORMAT_SHA256, "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false},
    {API_FORMAT_URL, "https://cloud.debian.org/images/x.qcow2?a=b", true},
    {API_FORMAT_URL, "file:///etc/passwd", false},
    {API_FORMAT_URL, "http://", false},
    {API_FORMAT_URL, "http:///x", false},
    {API_FORMAT_URL, "http://a b", false},
    {API_FORMAT_BASE64, "", true},
    {API_FORMAT_BASE64, "aGk=", true},
    {API_FORMAT_BASE64, "aGk", false},
    {API_FORMAT_BASE64, "a===", false},
    {API_FORMAT_BASE64, "aG=k", false},
    {API_FORMAT_HOSTNAME, "web.example.org", true},
    {API_FORMAT_HOSTNAME, "web..org", false},
    {API_FORMAT_HOSTNAME, "web.", false},
    {API_FORMAT_HOSTNAME, "-web", false},
    {API_FORMAT_HOSTNAME, "web-.org", false},
    {API_FORMAT_VERSION, "6.1.0-18-cloud-amd64", true},
    {API_FORMAT_VERSION, "1.0 beta", false},
    {API_FORMAT_KEY, "virga.io/tier", true},
    {API_FORMAT_KEY, "/tier", false},
    {API_FORMAT_NONE, "anything \xe2\x82\xac", true},
};

static void takes_what_is_right_and_nothing_else(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (holds(rows[i].format, rows[i].text) != rows[i].good) {
            printf("# %s\n", rows[i].text);
            CHECK_EQ(holds(rows[i].format, rows[i].text), rows[i].good);
        }
}

static uint64_t state = 1;
static unsigned draw(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % below;
}

/* Changes, drops or adds a character or two of a text that was right. */
static void mutate(char *text, size_t size)
{
    static const char alphabet[] = "09afAFzZ.:/-_+= %Tz\n";
    for (unsigned n = 1 + draw(2); n; n--) {
        size_t length = strlen(text), at = length ? draw((unsigned)length) : 0;
        char ch = alphabet[draw(sizeof(alphabet) - 1)];
        if (draw(3) == 0 && length)
            memmove(text + at, text + at + 1, length - at);
        else if (draw(2) && length + 1 < size)
            memmove(text + at + 1, text + at, length - at + 1), text[at] = ch;
        else if (length)
            text[at] = ch;
    }
}

static void is_never_looser_than_the_pattern_that_clients_are_told(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *pattern = api_types_patterns[rows[i].format];
        regex_t re;
        if (!pattern)
            continue;
        REQUIRE(!regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB));
        CHECK(!rows[i].good || !regexec(&re, rows[i].text, 0, NULL, 0));
        for (int n = 0; n < 500; n++) {
            char text[128];
            snprintf(text, sizeof(text), "%s", rows[i].text);
            mutate(text, sizeof(text));
            if (holds(rows[i].format, text) && regexec(&re, text, 0, NULL, 0)) {
                printf("# \"%s\" against %s\n", text, pattern);
                CHECK(0);
            }
        }
        regfree(&re);
    }
}

static void every_format_has_a_pattern_and_words(void)
{
    for (int f = API_FORMAT_NONE + 1; f < API_FORMATS; f++) {
        CHECK(api_types_patterns[f] != NULL);
        CHECK(strlen(api_format_wanted((enum api_types_format)f)) > 4);
    }
}

static void times_go_both_ways(void)
{
    static const struct {
        const char *text;
        long long ms;
    } times[] = {{"1970-01-01T00:00:00.000Z", 0},
                 {"2026-11-30T21:18:58.123Z", 1796073538123},
                 {"1969-12-31T23:59:59.999Z", -1},
                 {"0001-01-01T00:00:00.000Z", -62135596800000}};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        char text[API_FORMAT_TIME_BYTES];
        int64_t ms = 7;
        CHECK_EQ(api_format_time(times[i].text, &ms), 0);
        CHECK_EQ(ms, times[i].ms);
        api_format_time_text(ms, text);
        CHECK_STR(text, times[i].text);
    }
}

static void uuids_go_both_ways(void)
{
    const char *text = "0190b8e4-9a5b-7cde-8f01-23456789abcd";
    char back[UUID_TEXT_BYTES];
    uint8_t uuid[16];
    CHECK_EQ(api_format_uuid(text, uuid), 0);
    CHECK_EQ(uuid[0], 0x01);
    CHECK_EQ(uuid[15], 0xcd);
    uuid_format(uuid, back);
    CHECK_STR(back, text);
    CHECK(api_format_uuid("0190b8e4", uuid) < 0);
}

int main(void)
{
    TAP_RUN(takes_what_is_right_and_nothing_else);
    TAP_RUN(is_never_looser_than_the_pattern_that_clients_are_told);
    TAP_RUN(every_format_has_a_pattern_and_words);
    TAP_RUN(times_go_both_ways);
    TAP_RUN(uuids_go_both_ways);
    return tap_done();
}
