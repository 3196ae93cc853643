/* Query strings, sorting, pages. */
#include "api/api_query.h"

#include <errno.h>

#include "api/api_route.h"
#include "api/gen/all.h"
#include "base/util.h"
#include "tap.h"

static struct api_arena arena;
static struct api_refusal refusal;

static int read_list(const char *text, struct api_query *q)
{
    api_problem_init(&refusal);
    return api_query_read(text, strlen(text), NULL, NULL, &api_types_flavor, q, &arena, &refusal);
}

static void a_bare_list_has_a_limit_and_an_order(void)
{
    struct api_query q;
    REQUIRE(!read_list("", &q));
    CHECK_EQ(q.limit, 100);
    CHECK_EQ(q.n_sorts, 1);
    CHECK(!q.filter && !q.fields && !q.has_cursor);
    CHECK(!api_query_read(NULL, 0, NULL, NULL, &api_types_flavor, &q, &arena, &refusal));
}

static void reads_what_an_operation_takes_and_fills_in_the_rest(void)
{
    struct api_vm_delete_query *own;
    api_problem_init(&refusal);
    const char *text = "purge=true";
    REQUIRE(!api_query_read(text, strlen(text), &api_types_vm_delete_query, (void **)&own, NULL,
                            NULL, &arena, &refusal));
    CHECK(own->purge.v);
    CHECK_EQ(own->delete_volumes.is, API_VALUE);
    CHECK(!own->delete_volumes.v);
    struct api_usage_list_query *usage;
    struct api_query q;
    text = "begin=2026-01-01T00%3A00%3A00Z&group_by=flavor&limit=5";
    REQUIRE(!api_query_read(text, strlen(text), &api_types_usage_list_query, (void **)&usage,
                            &api_types_usage_record, &q, &arena, &refusal));
    CHECK_STR(usage->begin.v, "2026-01-01T00:00:00Z");
    CHECK_EQ(usage->group_by.v, API_USAGE_LIST_QUERY_GROUP_BY_FLAVOR);
    CHECK_EQ(q.limit, 5);
}

static void refuses_what_is_unknown_twice_or_not_allowed(void)
{
    static const struct {
        const char *text, *parameter, *part;
    } rows[] = {
        {"colour=red", "colour", "no such parameter: use limit, cursor"},
        {"limit=1&limit=2", "limit", "given twice"},
        {"limit=0", "limit", "0: use 1 to 1000"},
        {"limit=1001", "limit", "1001: use 1 to 1000"},
        {"limit=+5", "limit", "a whole number"},
        {"limit=5x", "limit", "a whole number"},
        {"limit=", "limit", "a whole number"},
        {"limit", "limit", "a whole number"},
        {"sort=colour", "sort", "no field \"colour\""},
        {"sort=traits", "sort", "cannot sort by traits"},
        {"sort=description", "sort", "cannot sort by description"},
        {"sort=name,vcpus,memory_mib,disk_gib,enabled", "sort", "over 4 fields"},
        {"sort=,", "sort", "no field \"\""},
        {"fields=name,colour", "fields", "no field \"colour\""},
        {"filter=name+eq", "filter", "double quotes"},
        {"cursor=x", "cursor", "no cursor of ours"},
        {"cursor=!", "cursor", "no cursor of ours"},
        {"name=%zz", "", "percent"},
        {"limit=%00", "", "percent"},
        {"filter=%ff", "", "UTF-8"},
    };
    struct api_query q;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ(read_list(rows[i].text, &q), -EINVAL);
        if (strcmp(refusal.errors[0].pointer, rows[i].parameter) != 0 ||
            !strstr(refusal.errors[0].detail, rows[i].part)) {
            printf("# %s: %s: %s\n", rows[i].text, refusal.errors[0].pointer,
                   refusal.errors[0].detail);
            CHECK(0);
        }
    }
}

static struct api_flavor *flavor(int i, const char *name, int64_t vcpus)
{
    struct api_flavor *f = api_json_new(&api_types_flavor, &arena);
    char id[40];
    snprintf(id, sizeof(id), "0190b8e4-9a5b-7cde-8f01-%012d", i);
    f->id = (struct api_text){API_VALUE, api_arena_text(&arena, id, strlen(id))};
    f->name = (struct api_text){API_VALUE, name};
    if (vcpus)
        f->vcpus = (struct api_int){API_VALUE, vcpus};
    return f;
}

static void sorts_by_several_fields_and_then_by_id(void)
{
    struct api_query q;
    struct api_flavor *a = flavor(1, "a", 4), *b = flavor(2, "b", 8), *c = flavor(3, "c", 8),
                      *none = flavor(4, "none", 0), *twin = flavor(5, "c", 8);
    REQUIRE(!read_list("sort=-vcpus,name", &q));
    CHECK(api_query_order(&q, b, a) < 0);
    CHECK(api_query_order(&q, b, c) < 0);
    CHECK(api_query_order(&q, a, none) < 0);
    CHECK(api_query_order(&q, c, twin) < 0);
    CHECK_EQ(api_query_order(&q, c, c), 0);
    REQUIRE(!read_list("sort=vcpus", &q));
    CHECK(api_query_order(&q, none, a) < 0);
}

#define ITEMS 50

static struct api_query ordering;
static int by_query(const void *a, const void *b)
{
    return api_query_order(&ordering, *(struct api_flavor *const *)a,
                           *(struct api_flavor *const *)b);
}

/* Pages of seven over items that change places between reads: none twice, none missing. */
static void pages_give_each_item_once(void)
{
    static const char *const sorts[] = {"", "&sort=name", "&sort=-vcpus", "&sort=-name,vcpus",
                                        "&sort=enabled,-memory_mib"};
    static const char *const names[] = {"a", "b", "c", "d"};
    struct api_flavor *items[ITEMS];
    for (int i = 0; i < ITEMS; i++)
        items[i] = flavor(i, names[i % 4], i % 5);
    for (size_t s = 0; s < ARRAY_LEN(sorts); s++) {
        char text[API_QUERY_CURSOR_BYTES + 64], cursor[API_QUERY_CURSOR_BYTES] = "";
        bool seen[ITEMS] = {false};
        int pages = 0, found = 0;
        for (;;) {
            snprintf(text, sizeof(text), "limit=7%s%s%s", sorts[s], *cursor ? "&cursor=" : "",
                     cursor);
            REQUIRE(!read_list(text, &ordering));
            qsort(items, ITEMS, sizeof(items[0]), by_query);
            const struct api_flavor *last = NULL;
            unsigned n = 0;
            for (int i = 0; i < ITEMS && n < ordering.limit; i++)
                if (api_query_after(&ordering, items[i])) {
                    int id = atoi(items[i]->id.v + 24);
                    CHECK(!seen[id]);
                    seen[id] = true;
                    last = items[i];
                    n++;
                    found++;
                }
            if (!n)
                break;
            REQUIRE(!api_query_cursor(&ordering, last, cursor));
            CHECK(++pages < 20);
        }
        CHECK_EQ(found, ITEMS);
        CHECK_EQ(pages, 8);
    }
}

static void a_cursor_belongs_to_its_filter_and_sort(void)
{
    struct api_query q;
    char cursor[API_QUERY_CURSOR_BYTES], text[API_QUERY_CURSOR_BYTES + 64];
    REQUIRE(!read_list("sort=name", &q));
    REQUIRE(!api_query_cursor(&q, flavor(1, "a", 1), cursor));
    snprintf(text, sizeof(text), "sort=vcpus&cursor=%s", cursor);
    CHECK_EQ(read_list(text, &q), -EINVAL);
    CHECK_EQ(refusal.code, API_PROBLEM_CODE_QUERY_CURSOR_INVALID);
    snprintf(text, sizeof(text), "sort=name&filter=vcpus+gt+1&cursor=%s", cursor);
    CHECK_EQ(read_list(text, &q), -EINVAL);
    snprintf(text, sizeof(text), "sort=name&cursor=%s", cursor);
    CHECK_EQ(read_list(text, &q), 0);
    for (size_t cut = 0; cut < strlen(cursor); cut++) {
        snprintf(text, sizeof(text), "sort=name&cursor=%.*s", (int)cut, cursor);
        CHECK_EQ(read_list(text, &q), -EINVAL);
    }
}

static void selects_fields_and_always_the_id(void)
{
    struct api_query q;
    struct api_buf b;
    struct api_volume volume = {.id = {API_VALUE, "0190b8e4-9a5b-7cde-8f01-23456789abcd"},
                                .name = {API_VALUE, "v"},
                                .size_gib = {API_VALUE, 3}};
    struct api_volume_status status = {.state = {API_VALUE, API_VOLUME_STATUS_STATE_ERROR},
                                       .reason = {API_VALUE, "r"},
                                       .used_bytes = {API_VALUE, 5}};
    volume.status.is = API_VALUE;
    volume.status.v = &status;
    static const struct {
        const char *query, *expected;
    } rows[] = {
        {"fields=name", "{\"id\":\"0190b8e4-9a5b-7cde-8f01-23456789abcd\",\"name\":\"v\"}"},
        {"fields=status.state,status.used_bytes",
         "{\"id\":\"0190b8e4-9a5b-7cde-8f01-23456789abcd\",\"status\":{\"state\":\"error\",\"used_"
         "bytes\":5}}"},
        {"fields=status,status.state",
         "{\"id\":\"0190b8e4-9a5b-7cde-8f01-23456789abcd\",\"status\":{\"state\":\"error\","
         "\"reason\":\"r\",\"used_bytes\":5}}"},
        {"fields=status.state,status",
         "{\"id\":\"0190b8e4-9a5b-7cde-8f01-23456789abcd\",\"status\":{\"state\":\"error\","
         "\"reason\":\"r\",\"used_bytes\":5}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        api_buf_init(&b, 10000);
        REQUIRE(!api_query_read(rows[i].query, strlen(rows[i].query), NULL, NULL, &api_types_volume,
                                &q, &arena, &refusal));
        api_json_write(&api_types_volume, &volume, 0, q.fields, &b);
        CHECK_STR(b.text, rows[i].expected);
        api_buf_fini(&b);
    }
}

static void every_list_has_an_order_that_is_total(void)
{
    for (int op = 0; op < API_OPS; op++) {
        const struct api_types_object *item = api_route_table[op].item;
        struct api_query q;
        if (item) {
            CHECK_EQ(api_query_read("", 0, NULL, NULL, item, &q, &arena, &refusal), 0);
            CHECK_EQ(q.n_sorts, 1);
        }
    }
}

static void filters_by_the_query(void)
{
    struct api_query q;
    REQUIRE(!read_list("filter=vcpus%20gt%202+and+name+in+(%22a%22,%22b%22)", &q));
    CHECK(api_query_match(&q, flavor(1, "a", 4)));
    CHECK(!api_query_match(&q, flavor(1, "a", 2)));
    CHECK(!api_query_match(&q, flavor(1, "c", 4)));
}

static void length_and_number_of_parameters_are_bounded(void)
{
    struct api_query q;
    static char text[9000];
    memset(text, '&', sizeof(text) - 1);
    CHECK_EQ(read_list(text, &q), -EINVAL);
    text[8000] = '\0';
    CHECK_EQ(read_list(text, &q), -EINVAL);
}

int main(void)
{
    api_arena_init(&arena, 64 << 20);
    TAP_RUN(a_bare_list_has_a_limit_and_an_order);
    TAP_RUN(reads_what_an_operation_takes_and_fills_in_the_rest);
    TAP_RUN(refuses_what_is_unknown_twice_or_not_allowed);
    TAP_RUN(sorts_by_several_fields_and_then_by_id);
    TAP_RUN(pages_give_each_item_once);
    TAP_RUN(a_cursor_belongs_to_its_filter_and_sort);
    TAP_RUN(selects_fields_and_always_the_id);
    TAP_RUN(every_list_has_an_order_that_is_total);
    TAP_RUN(filters_by_the_query);
    TAP_RUN(length_and_number_of_parameters_are_bounded);
    api_arena_fini(&arena);
    return tap_done();
}
