/* Sizes, times and paths of fields. */
#include "cli/cloud/cloud_value.h"

#include <unistd.h>

#include "tap.h"

static int64_t size(const char *text, enum cloud_unit unit)
{
    int64_t v = -7;
    return cloud_value_size(text, unit, &v) ? -7 : v;
}

static void sizes_are_taken_in_any_unit_that_fits(void)
{
    CHECK_EQ(size("512", CLOUD_UNIT_MIB), 512);
    CHECK_EQ(size("2GiB", CLOUD_UNIT_MIB), 2048);
    CHECK_EQ(size("2g", CLOUD_UNIT_MIB), 2048);
    CHECK_EQ(size("2GB", CLOUD_UNIT_MIB), 2048);
    CHECK_EQ(size("1.5TiB", CLOUD_UNIT_GIB), 1536);
    CHECK_EQ(size("1MiB", CLOUD_UNIT_BYTES), 1 << 20);
    CHECK_EQ(size("4096KiB", CLOUD_UNIT_MIB), 4);
    CHECK_EQ(size("1048576B", CLOUD_UNIT_MIB), 1);
    CHECK_EQ(size("-1", CLOUD_UNIT_MIB), -1);
    CHECK_EQ(size("72057594037927936", CLOUD_UNIT_BYTES), INT64_C(72057594037927936));
}

static void sizes_that_are_none_are_refused(void)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "1KiB",
                                      "0.3",
                                      "1GiBx",
                                      "1 GiB",
                                      " 1",
                                      "1e400",
                                      "nan",
                                      "inf",
                                      "GiB",
                                      "1XiB",
                                      "99999999999999999999",
                                      "0x10zz",
                                      "1iB"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (size(bad[i], CLOUD_UNIT_MIB) != -7)
            CHECK_STR(bad[i], "refused");
}

static int64_t time_of(const char *text)
{
    int64_t v = -7;
    return cloud_value_time(text, &v) ? -7 : v;
}

static void times_are_taken_with_units(void)
{
    CHECK_EQ(time_of("90"), 90000);
    CHECK_EQ(time_of("90s"), 90000);
    CHECK_EQ(time_of("1h30m"), 5400000);
    CHECK_EQ(time_of("2d"), 172800000);
    CHECK_EQ(time_of("250ms"), 250);
    CHECK_EQ(time_of("1.5min"), 90000);
    CHECK_EQ(time_of("0"), 0);
    static const char *const bad[] = {"", "x", "1x", "-1s", "1h-5m", "h", "1e300s", "nan"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (time_of(bad[i]) != -7)
            CHECK_STR(bad[i], "refused");
}

static void paths_lead_into_objects_that_are_made(void)
{
    json_t *o = json_object();
    CHECK_EQ(cloud_value_put(o, "a.b.c", json_integer(1)), 0);
    CHECK_EQ(cloud_value_put(o, "a.d", json_true()), 0);
    CHECK_EQ(json_integer_value(cloud_value_at(o, "a.b.c")), 1);
    CHECK(json_is_true(cloud_value_at(o, "a.d")));
    CHECK(!cloud_value_at(o, "a.b.x") && !cloud_value_at(o, "x.y"));
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    CHECK_STR(text, "{\"a\":{\"b\":{\"c\":1},\"d\":true}}");
    free(text);
    json_decref(o);
}

static void files_are_read_whole_and_within_bounds(void)
{
    char path[] = "/tmp/virga-value-XXXXXX", *text = NULL;
    size_t bytes = 0;
    struct err err = {0};
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    char data[10000];
    memset(data, 'x', sizeof(data));
    CHECK_EQ(write(fd, data, sizeof(data)), (long)sizeof(data));
    close(fd);
    CHECK_EQ(cloud_value_read_file(path, sizeof(data), &text, &bytes, &err), 0);
    CHECK_EQ(bytes, sizeof(data));
    CHECK_EQ(strlen(text), sizeof(data));
    free(text);
    CHECK(cloud_value_read_file(path, sizeof(data) - 1, &text, &bytes, &err) < 0);
    CHECK(strstr(err.msg, path));
    unlink(path);
    CHECK(cloud_value_read_file(path, 1, &text, &bytes, &err) < 0);
}

int main(void)
{
    TAP_RUN(sizes_are_taken_in_any_unit_that_fits);
    TAP_RUN(sizes_that_are_none_are_refused);
    TAP_RUN(times_are_taken_with_units);
    TAP_RUN(paths_lead_into_objects_that_are_made);
    TAP_RUN(files_are_read_whole_and_within_bounds);
    return tap_done();
}
