/* YAML in and out. */
#include "cli/cloud/cloud_yaml.h"

#include "tap.h"

/* As compact JSON, or the message. Owns: free(). */
static char *read_text(const char *text)
{
    json_t *v = NULL;
    struct err err = {0};
    if (cloud_yaml_read(text, strlen(text), &v, &err))
        return strdup(err.msg);
    char *out = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(v);
    return out;
}

static void check_read(const char *text, const char *expected)
{
    char *got = read_text(text);
    CHECK_STR(got, expected);
    free(got);
}

static void scalars_mean_what_the_core_schema_says(void)
{
    check_read("a: 1\nb: -2\nc: 1.5\nd: true\ne: null\nf:\ng: ~\n",
               "{\"a\":1,\"b\":-2,\"c\":1.5,\"d\":true,\"e\":null,\"f\":null,\"g\":null}");
    check_read("a: yes\nb: no\nc: 10.0.0.1\nd: 2026-01-01\ne: '1'\nf: \"true\"\ng: 1.2.3\nh: '-'\n",
               "{\"a\":\"yes\",\"b\":\"no\",\"c\":\"10.0.0.1\",\"d\":\"2026-01-01\",\"e\":\"1\","
               "\"f\":\"true\",\"g\":\"1.2.3\",\"h\":\"-\"}");
    check_read("99999999999999999999", "\"99999999999999999999\"");
    check_read("{\"a\": [1, {\"b\": \"c\"}], \"d\": {}}", "{\"a\":[1,{\"b\":\"c\"}],\"d\":{}}");
}

static void check_refused(const char *text, const char *part)
{
    char *got = read_text(text);
    if (!strstr(got, part))
        CHECK_STR(got, part);
    free(got);
}

static void what_is_no_plain_document_is_refused_with_its_line(void)
{
    check_refused("a: &x 1\nb: *x\n", "line 1");
    check_refused("a: 1\nb: *x\n", "line 2");
    check_refused("a: 1\na: 2\n", "line 2: this key is there twice");
    check_refused("a: [1\n", "line");
    check_refused("? [a]\n: b\n", "a key is a text");
    check_refused("--- 1\n--- 2\n", "second document");
    check_refused("", "nothing");
    check_refused("# only a comment\n", "nothing");
    check_refused("a: \"\\0\"\n", "NUL");
    char deep[200] = "";
    for (int i = 0; i < 60; i++)
        strcat(deep, "[");
    check_refused(deep, "too deep");
}

static void check_round(const char *json)
{
    char *text = NULL;
    size_t n;
    json_t *v = json_loads(json, JSON_DECODE_ANY, NULL), *back = NULL;
    FILE *f = open_memstream(&text, &n);
    struct err err = {0};
    CHECK_EQ(cloud_yaml_write(v, f), 0);
    fclose(f);
    CHECK_EQ(cloud_yaml_read(text, n, &back, &err), 0);
    if (!json_equal(v, back))
        CHECK_STR(text, json);
    json_decref(v);
    json_decref(back);
    free(text);
}

static void what_is_written_reads_back_the_same(void)
{
    check_round("{\"a\":\"1\",\"b\":\"true\",\"c\":\"null\",\"d\":\"\",\"e\":\"~\",\"f\":\"1.5\"}");
    check_round(
        "{\"a\":\"two\\nlines\\n\",\"b\":\" blanks \",\"c\":\"a: b\",\"d\":\"#x\",\"e\":\"- x\"}");
    check_round(
        "{\"a\":\"\\u0007\\u001b\",\"b\":\"caf\\u00e9\",\"c\":\"\\n\",\"d\":\"tab\\there\"}");
    check_round("{\"a\":[],\"b\":{},\"c\":[[1,2],[{}]],\"d\":1e300,\"h\":1.0,\"i\":1e20,\"j\":-2."
                "5e-7,\"e\":0.1,\"f\":-5,\"g\":null}");
    check_round("[\"trailing \\n\",\"\\n leading\",\"&a\",\"*a\",\"!t\",\"%x\",\"@y\",\"`z\"]");
}

int main(void)
{
    TAP_RUN(scalars_mean_what_the_core_schema_says);
    TAP_RUN(what_is_no_plain_document_is_refused_with_its_line);
    TAP_RUN(what_is_written_reads_back_the_same);
    return tap_done();
}
