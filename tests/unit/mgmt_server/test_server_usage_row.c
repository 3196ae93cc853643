#include "mgmt/server/server_usage_row.h"

#include <errno.h>

#include "tap.h"

static void what_was_written_is_read(void)
{
    struct server_usage_row row = {.begin_ms = 1000,
                                   .end_ms = 5500,
                                   .n = 2,
                                   .rates = {{API_USAGE_RECORD_METER_VCPU_TIME, 4},
                                             {API_USAGE_RECORD_METER_MEMORY_TIME, 8192}},
                                   .flavor = "0190b8e4-9a5b-7cde-8f01-000000000001",
                                   .name = "web"},
                            read;
    struct api_buf b;
    api_buf_init(&b, 512);
    server_usage_row_write(&row, &b);
    CHECK_STR(b.text, "1000 5500 0190b8e4-9a5b-7cde-8f01-000000000001 "
                      "vcpu_time=4,memory_time=8192 web");
    CHECK_EQ(server_usage_row_read(b.text, b.bytes, &read), 0);
    CHECK(!memcmp(&read, &row, sizeof(row)));
    api_buf_fini(&b);
}

static void without_flavor_and_name_it_is_read_too(void)
{
    struct server_usage_row read;
    static const char text[] = "7 0 - floating_ip_time=1 ";
    CHECK_EQ(server_usage_row_read(text, sizeof(text) - 1, &read), 0);
    CHECK_EQ(read.end_ms, 0);
    CHECK_STR(read.flavor, "");
    CHECK_STR(read.name, "");
    CHECK_EQ(read.rates[0].meter, API_USAGE_RECORD_METER_FLOATING_IP_TIME);
}

static void what_is_no_row_is_refused(void)
{
    static const char *const wrong[] = {
        "",
        "1",
        "1 2",
        "x 2 - vm_time=1 n",
        "1 -2 - vm_time=1 n",
        "1 99999999999999999999 - vm_time=1 n",
        "1 2 - vm_time n",
        "1 2 - vm_time= n",
        "1 2 - nothing=1 n",
        "1 2 - vm_time=1",
        "1 2 - vm_time=1, n",
        "1 2 0190b8e4-9a5b-7cde-8f01-0000000000012 vm_time=1 n",
        ("1 2 - vm_time=1,vm_time=1,vm_time=1,vm_time=1,vm_time=1,vm_time=1,vm_time=1,vm_time=1,"
         "vm_time=1 n"),
        "1 2 - vm_time=1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct server_usage_row read;
    uint64_t cumulative, previous;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (server_usage_row_read(wrong[i], strlen(wrong[i]), &read) != -EBADMSG) {
            printf("# taken: %s\n", wrong[i]);
            CHECK(false);
        }
    CHECK_EQ(server_usage_row_read_counter("12 5", 4, &cumulative, &previous), 0);
    CHECK_EQ(cumulative, 12);
    CHECK_EQ(previous, 5);
    CHECK_EQ(server_usage_row_read_counter("5 12", 4, &cumulative, &previous), -EBADMSG);
    CHECK_EQ(server_usage_row_read_counter("5", 1, &cumulative, &previous), -EBADMSG);
    CHECK_EQ(server_usage_row_read_counter("5 1x", 4, &cumulative, &previous), -EBADMSG);
}

int main(void)
{
    TAP_RUN(what_was_written_is_read);
    TAP_RUN(without_flavor_and_name_it_is_read_too);
    TAP_RUN(what_is_no_row_is_refused);
    return tap_done();
}
