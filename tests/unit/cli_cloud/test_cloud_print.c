/* Tables, names, CSV. */
#include "cli/cloud/cloud_print.h"

#include "tap.h"

static const char items[] = "[{\"id\":\"1\",\"name\":\"web\",\"n\":2,\"status\":{\"state\":\"up\","
                            "\"at\":[{\"ip\":\"a\"},{\"ip\":"
                            "\"b\"}]},\"labels\":{\"x.y\":\"z\"}},{\"id\":\"2\",\"name\":\"a,"
                            "\\\"b\",\"on\":true,\"r\":0.5}]";

static void check_list(enum cloud_print_form form, const char *columns, const char *expected)
{
    char *out = NULL;
    size_t n;
    json_t *v = json_loads(items, 0, NULL);
    FILE *f = open_memstream(&out, &n);
    cloud_print_list(v, form, columns, f);
    fclose(f);
    CHECK_STR(out, expected);
    free(out);
    json_decref(v);
}

static void tables_have_aligned_columns(void)
{
    check_list(CLOUD_PRINT_TABLE, "name,n,status.state",
               "NAME  N  STATE\nweb   2  up\na,\"b  -  -\n");
    check_list(CLOUD_PRINT_TABLE, ",", "");
}

static void paths_go_through_lists_and_labels(void)
{
    check_list(CLOUD_PRINT_TABLE, "status.at.ip", "IP\na,b\n-\n");
    check_list(CLOUD_PRINT_TABLE, "labels.x.y", "Y\nz\n-\n");
    check_list(CLOUD_PRINT_TABLE, "on", "ON\n-\ntrue\n");
    check_list(CLOUD_PRINT_TABLE, "no.such", "SUCH\n-\n-\n");
}

static void names_and_csv_are_for_programs(void)
{
    check_list(CLOUD_PRINT_NAME, "", "web\na,\"b\n");
    check_list(CLOUD_PRINT_CSV, "name,r", "name,r\r\nweb,\r\n\"a,\"\"b\",0.5\r\n");
}

static void check_one(const char *json, enum cloud_print_form form, const char *expected)
{
    char *out = NULL;
    size_t n;
    json_t *v = json_loads(json, 0, NULL);
    FILE *f = open_memstream(&out, &n);
    cloud_print_one(v, form, NULL, f);
    fclose(f);
    CHECK_STR(out, expected);
    free(out);
    json_decref(v);
}

static void one_thing_is_a_list_of_its_fields(void)
{
    check_one("{\"name\":\"web\",\"status\":{\"state\":\"up\"},\"labels\":{\"a\":\"b\"}}",
              CLOUD_PRINT_TABLE,
              "name          web\nstatus.state  up\nlabels        {\"a\":\"b\"}\n");
    check_one("{\"token\":{\"id\":\"i\",\"name\":\"ci\"},\"secret\":\"s\"}", CLOUD_PRINT_NAME,
              "ci\n");
    check_one("{\"a\":1}", CLOUD_PRINT_JSON, "{\n  \"a\": 1\n}\n");
    check_one("{\"a\":\"1\"}", CLOUD_PRINT_YAML, "a: \"1\"\n");
}

int main(void)
{
    TAP_RUN(tables_have_aligned_columns);
    TAP_RUN(paths_go_through_lists_and_labels);
    TAP_RUN(names_and_csv_are_for_programs);
    TAP_RUN(one_thing_is_a_list_of_its_fields);
    return tap_done();
}
