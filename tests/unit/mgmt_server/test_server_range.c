/* Headers of ranges: what is one, and what is not. */
#include "mgmt/server/server_range.h"

#include <stdbool.h>

#include "tap.h"

static bool content(const char *text, int64_t first, int64_t last, int64_t total)
{
    int64_t a = -7, b = -7, n = -7;
    int r = server_range_content(text, &a, &b, &n);
    return first == -7 ? r && a == -7 && b == -7 && n == -7
                       : !r && a == first && b == last && n == total;
}

static void reads_where_a_part_lies(void)
{
    CHECK(content("bytes 0-99/1000", 0, 99, 1000));
    CHECK(content("bytes 0-0/1", 0, 0, 1));
    CHECK(content("bytes 5-9/*", 5, 9, -7));
    CHECK(content("bytes 72057594037927934-72057594037927934/72057594037927935", 72057594037927934,
                  72057594037927934, 72057594037927935));
}

static void refuses_what_is_no_part(void)
{
    static const char *const wrong[] = {
        "",
        "bytes",
        "bytes ",
        "bytes 0-99",
        "bytes 0-99/",
        "bytes -5/9",
        "bytes 5-4/9",
        "bytes 0-9/9",
        "bytes 0-8/9 ",
        "bytes  0-8/9",
        "bytes +0-8/9",
        "bytes 0- 8/9",
        "bytes 0-8/ 9",
        "bytes 0-8/-9",
        "bytes 0-8/**",
        "bytes 0x0-8/9",
        "Bytes 0-8/9",
        "bytes=0-8/9",
        "bytes 0-8/9,1-2",
        "bytes */9",
        "bytes 0-72057594037927936/*",
        "bytes 99999999999999999999-99999999999999999999/*",
        "bytes 0-8/99999999999999999999999999",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(content(wrong[i], -7, 0, 0));
        if (!content(wrong[i], -7, 0, 0))
            printf("# \"%s\"\n", wrong[i]);
    }
}

static void reads_what_is_wanted(void)
{
    int64_t a, b;
    CHECK(!server_range_wanted("bytes=0-99", &a, &b) && a == 0 && b == 99);
    CHECK(!server_range_wanted("bytes=7-", &a, &b) && a == 7 && b == -1);
    CHECK(!server_range_wanted("bytes=7-7", &a, &b) && a == 7 && b == 7);
}

static void refuses_what_is_no_range(void)
{
    static const char *const wrong[] = {"",           "bytes=",     "bytes=-5",      "bytes=5",
                                        "bytes=5-4",  "bytes=1-2,", "bytes=1-2,4-5", "bytes=1 -2",
                                        "bytes=+1-2", "lines=1-2",  "bytes=1-x",     "bytes 1-2"};
    int64_t a = -7, b = -7;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(server_range_wanted(wrong[i], &a, &b) && a == -7 && b == -7);
}

int main(void)
{
    TAP_RUN(reads_where_a_part_lies);
    TAP_RUN(refuses_what_is_no_part);
    TAP_RUN(reads_what_is_wanted);
    TAP_RUN(refuses_what_is_no_range);
    return tap_done();
}
