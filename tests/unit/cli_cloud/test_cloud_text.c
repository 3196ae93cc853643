/* Text for people. */
#include "cli/cloud/cloud_text.h"

#include "tap.h"

static void put(const char *text, bool lines, const char *expected)
{
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    cloud_text_put(f, text, lines);
    fclose(f);
    CHECK_STR(out, expected);
    free(out);
}

static void control_characters_become_question_marks(void)
{
    put("a\x1b[31mb\x07", false, "a?[31mb?");
    put("a\nb\tc", false, "a?b?c");
    put("a\nb\tc\r", true, "a\nb\tc?");
    put("caf\xc3\xa9 \xf0\x9f\x98\x80", false, "caf\xc3\xa9 \xf0\x9f\x98\x80");
    put("\xc2\x9b"
        "31m\x7f",
        false, "?31m?");
    put("\xff\xc3", false, "??");
}

static void widths_count_characters(void)
{
    CHECK_EQ(cloud_text_width(""), 0);
    CHECK_EQ(cloud_text_width("caf\xc3\xa9"), 4);
    CHECK_EQ(cloud_text_width("\xff\xff"), 2);
}

static void distances_count_changes(void)
{
    CHECK_EQ(cloud_text_distance("flavor", "flavor"), 0);
    CHECK_EQ(cloud_text_distance("flavr", "flavor"), 1);
    CHECK_EQ(cloud_text_distance("falvor", "flavor"), 1); /* neighbours swapped */
    CHECK_EQ(cloud_text_distance("", "abc"), 3);
    CHECK_EQ(cloud_text_distance("kitten", "sitting"), 3);
    char longer[200];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    CHECK(cloud_text_distance(longer, "abc") > 40); /* and reads no further than it may */
}

static const char *guess(const char *typed)
{
    static const char *const words[] = {"vm", "volume", "network", "server-group",
                                        "security-group"};
    struct cloud_text_guess g = {.typed = typed};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        cloud_text_guess(&g, words[i]);
    return g.best ? g.best : "(none)";
}

static void only_what_is_near_is_offered(void)
{
    CHECK_STR(guess("vmm"), "vm");
    CHECK_STR(guess("volumes"), "volume");
    CHECK_STR(guess("netwrok"), "network");
    CHECK_STR(guess("vol"), "volume");
    CHECK_STR(guess("xyzzy"), "(none)");
    CHECK_STR(guess("z"), "(none)");
}

int main(void)
{
    TAP_RUN(control_characters_become_question_marks);
    TAP_RUN(widths_count_characters);
    TAP_RUN(distances_count_changes);
    TAP_RUN(only_what_is_near_is_offered);
    return tap_done();
}
