#include "base/crc32c.h"

#include <string.h>

#include "base/util.h"
#include "tap.h"

/* Spec: RFC 3720, appendix B.4. */
static void the_examples_of_the_rfc_come_out(void)
{
    uint8_t b[32] = {0};
    CHECK_EQ(crc32c(0, b, 32), 0x8a9136aa);
    memset(b, 0xff, 32);
    CHECK_EQ(crc32c(0, b, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++)
        b[i] = (uint8_t)i;
    CHECK_EQ(crc32c(0, b, 32), 0x46dd794e);
    CHECK_EQ(crc32c_portable(0, b, 32), 0x46dd794e);
}

static void pieces_give_what_the_whole_gives(void)
{
    uint8_t b[100];
    for (unsigned i = 0; i < sizeof(b); i++)
        b[i] = (uint8_t)(i * 7 + 3);
    for (unsigned at = 0; at <= sizeof(b); at++) {
        uint32_t crc = crc32c(crc32c(0, b, at), b + at, sizeof(b) - at);
        CHECK_EQ(crc, crc32c_portable(0, b, sizeof(b)));
    }
}

int main(void)
{
    TAP_RUN(the_examples_of_the_rfc_come_out);
    TAP_RUN(pieces_give_what_the_whole_gives);
    return tap_done();
}
