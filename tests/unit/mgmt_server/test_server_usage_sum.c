#include "mgmt/server/server_usage_sum.h"

#include "api/gen/system.h"

#include "tap.h"

#define FLAVOR "0190b8e4-9a5b-7cde-8f01-000000000001"

static const struct store_id project = {{1}}, other = {{2}}, vm = {{3}}, second = {{4}};

static void interval(struct server_usage_sum *sum, const struct store_id *of,
                     const struct store_id *object, int64_t begin_ms, int64_t end_ms, int64_t rate)
{
    char text[128];
    snprintf(text, sizeof(text), "%lld %lld " FLAVOR " vcpu_time=%lld vm", (long long)begin_ms,
             (long long)end_ms, (long long)rate);
    struct store_row row = {.at_ms = end_ms,
                            .project = *of,
                            .object = *object,
                            .actor = *object,
                            .name = store_text_of("interval"),
                            .body = store_text_of(text)};
    CHECK_EQ(server_usage_sum_row(sum, &row), 0);
}

static void counter(struct server_usage_sum *sum, int64_t at_ms, uint64_t epoch, const char *text)
{
    struct store_row row = {.at_ms = at_ms,
                            .project = project,
                            .object = vm,
                            .actor = {{9}},
                            .name = store_text_of("egress"),
                            .body = store_text_of(text),
                            .epoch = epoch};
    CHECK_EQ(server_usage_sum_row(sum, &row), 0);
}

/* The record of a meter and (if it is not NULL) a resource; NULL: none. */
static const struct api_usage_record *find(struct server_usage_sum *sum,
                                           enum api_usage_record_meter meter,
                                           const struct store_id *object, size_t *n)
{
    const void **docs;
    const struct api_usage_record *found = NULL;
    char id[UUID_TEXT_BYTES] = "";
    if (object)
        uuid_format(object->bytes, id);
    CHECK_EQ(server_usage_sum_records(sum, &docs, n), 0);
    for (size_t i = 0; i < *n; i++) {
        const struct api_usage_record *r = docs[i];
        if (r->meter.v == meter && (!object || !strcmp(r->resource.v, id)))
            found = r;
    }
    return found;
}

static double quantity(struct server_usage_sum *sum, enum api_usage_record_meter meter,
                       const struct store_id *object)
{
    size_t n;
    const struct api_usage_record *r = find(sum, meter, object, &n);
    return r ? r->quantity.v : -1;
}

static void intervals_are_clipped_to_what_is_asked(void)
{
    struct server_usage_sum *sum =
        server_usage_sum_create(10000, 20000, API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE);
    interval(sum, &project, &vm, 5000, 12000, 2);      /* 2 s of it */
    interval(sum, &project, &vm, 12000, 13000, 4);     /* all of it */
    interval(sum, &project, &vm, 1000, 9000, 100);     /* before */
    interval(sum, &project, &vm, 30000, 40000, 100);   /* behind */
    interval(sum, &project, &second, 1000, 90000, 1);  /* around */
    interval(sum, &project, &second, 15000, 15000, 9); /* nothing */
    CHECK(quantity(sum, API_USAGE_RECORD_METER_VCPU_TIME, &vm) == 8);
    CHECK(quantity(sum, API_USAGE_RECORD_METER_VCPU_TIME, &second) == 10);
    size_t n;
    const struct api_usage_record *r = find(sum, API_USAGE_RECORD_METER_VCPU_TIME, &vm, &n);
    CHECK_EQ(n, 2);
    REQUIRE(r);
    CHECK_STR(r->begin.v, "1970-01-01T00:00:10.000Z");
    CHECK_STR(r->end.v, "1970-01-01T00:00:13.000Z");
    CHECK_STR(r->flavor.v, FLAVOR);
    CHECK_STR(r->resource_name.v, "vm");
    CHECK_EQ(r->unit.v, API_USAGE_RECORD_UNIT_VCPU_S);
    CHECK_EQ(r->open.is, API_ABSENT);
    server_usage_sum_destroy(sum);
}

static void what_is_open_ends_now(void)
{
    struct server_usage_sum *sum =
        server_usage_sum_create(0, 20000, API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE);
    struct server_usage_row row = {
        .begin_ms = 10000, .n = 1, .rates = {{API_USAGE_RECORD_METER_VM_TIME, 1}}};
    size_t n;
    CHECK_EQ(server_usage_sum_interval(sum, &project, &vm, &row, 12000), 0);
    CHECK_EQ(server_usage_sum_interval(sum, &project, &second, &row, 50000), 0);
    CHECK(quantity(sum, API_USAGE_RECORD_METER_VM_TIME, &vm) == 2);
    CHECK(quantity(sum, API_USAGE_RECORD_METER_VM_TIME, &second) == 10);
    CHECK_EQ(find(sum, API_USAGE_RECORD_METER_VM_TIME, &vm, &n)->open.is, API_VALUE);
    CHECK_EQ(find(sum, API_USAGE_RECORD_METER_VM_TIME, &second, &n)->open.is, API_ABSENT);
    server_usage_sum_destroy(sum);
}

static void groups_add_up(void)
{
    struct server_usage_sum *sum =
        server_usage_sum_create(0, 100000, API_USAGE_LIST_QUERY_GROUP_BY_METER);
    interval(sum, &project, &vm, 0, 1000, 1);
    interval(sum, &project, &second, 0, 1000, 2);
    interval(sum, &other, &second, 0, 1000, 4);
    size_t n;
    const struct api_usage_record *r = find(sum, API_USAGE_RECORD_METER_VCPU_TIME, NULL, &n);
    CHECK_EQ(n, 2); /* of each project */
    CHECK(r && r->resource.is == API_ABSENT && r->flavor.is == API_ABSENT);
    server_usage_sum_destroy(sum);
    sum = server_usage_sum_create(0, 100000, API_USAGE_LIST_QUERY_GROUP_BY_FLAVOR);
    interval(sum, &project, &vm, 0, 1000, 1);
    interval(sum, &project, &second, 0, 1000, 2);
    r = find(sum, API_USAGE_RECORD_METER_VCPU_TIME, NULL, &n);
    CHECK_EQ(n, 1);
    REQUIRE(r);
    CHECK(r->quantity.v == 3);
    CHECK_STR(r->flavor.v, FLAVOR);
    server_usage_sum_destroy(sum);
}

static void counters_count_what_they_grew_by(void)
{
    struct server_usage_sum *sum =
        server_usage_sum_create(10000, 20000, API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE);
    counter(sum, 9000, 1, "100 0");  /* before: not counted, but known */
    counter(sum, 11000, 1, "150 0"); /* its writer did not know the one before */
    counter(sum, 12000, 1, "160 150");
    counter(sum, 13000, 2, "7 0");      /* a new epoch began at zero */
    counter(sum, 14000, 2, "nonsense"); /* counts nothing */
    counter(sum, 20000, 2, "1000 7");   /* behind */
    CHECK(quantity(sum, API_USAGE_RECORD_METER_EGRESS, &vm) == 50 + 10 + 7);
    server_usage_sum_destroy(sum);
}

static void the_first_row_trusts_its_writer(void)
{
    struct server_usage_sum *sum =
        server_usage_sum_create(10000, 20000, API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE);
    counter(sum, 11000, 5, "1000 900");
    CHECK(quantity(sum, API_USAGE_RECORD_METER_EGRESS, &vm) == 100);
    server_usage_sum_destroy(sum);
}

int main(void)
{
    TAP_RUN(intervals_are_clipped_to_what_is_asked);
    TAP_RUN(what_is_open_ends_now);
    TAP_RUN(groups_add_up);
    TAP_RUN(counters_count_what_they_grew_by);
    TAP_RUN(the_first_row_trusts_its_writer);
    return tap_done();
}
