#include "base/uuid.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

static void text_and_bytes_are_the_same(void)
{
    static const char TEXT[] = "0190b8e4-7c3a-7def-8123-456789abcdef";
    static const uint8_t BYTES[16] = {0x01, 0x90, 0xb8, 0xe4, 0x7c, 0x3a, 0x7d, 0xef,
                                      0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint8_t uuid[16];
    char text[UUID_TEXT_BYTES];
    CHECK_EQ(uuid_parse(TEXT, uuid), 0);
    CHECK(!memcmp(uuid, BYTES, 16));
    uuid_format(uuid, text);
    CHECK_STR(text, TEXT);
    CHECK_EQ(uuid_parse("0190B8E4-7C3A-7DEF-8123-456789ABCDEF", uuid), 0);
    CHECK(!memcmp(uuid, BYTES, 16));
}

static void what_is_no_uuid_changes_nothing(void)
{
    static const char *const BAD[] = {"",
                                      "0190b8e4",
                                      "0190b8e4-7c3a-7def-8123-456789abcde",
                                      "0190b8e4-7c3a-7def-8123-456789abcdef0",
                                      "0190b8e4-7c3a-7def-8123-456789abcdeg",
                                      "0190b8e4-7c3a-7def-81234-56789abcdef",
                                      "0190b8e47c3a-7def-8123-4-56789abcdef",
                                      "{190b8e4-7c3a-7def-8123-456789abcde}"};
    uint8_t uuid[16] = {1, 2, 3};
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++)
        CHECK_EQ(uuid_parse(BAD[i], uuid), -EINVAL);
    CHECK(uuid[0] == 1 && uuid[1] == 2 && uuid[2] == 3 && !uuid[3]);
}

int main(void)
{
    TAP_RUN(text_and_bytes_are_the_same);
    TAP_RUN(what_is_no_uuid_changes_nothing);
    return tap_done();
}
