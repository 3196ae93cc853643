/* Microseconds of CPU time to read and to write the document of one VM, as one JSON object on
 * stdout: `bench-json [SECONDS-PER-FIGURE]`. Beside them, in turns, what jansson takes to make a
 * tree of the same text and to write it out again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_json.h"
#include "api/gen/all.h"
#include "base/clock.h"

#define AT_ONCE 500

static const char text[] =
    "{\"id\":\"01a231ed-1c08-7001-aec5-ad2530950a0e\",\"project\":\"01a231ed-0cf8-7002-9d7e-"
    "e3afe1b47882\","
    "\"name\":\"web-17\",\"flavor\":\"01a231ed-1bf8-7001-b733-ed5dcdf019ba\",\"image\":\"01a231ed-"
    "1be1-7001-"
    "af26-52dc56f7d411\",\"start\":true,\"autostart\":true,\"delete_protection\":false,\"on_host_"
    "failure\":"
    "\"restart\",\"live_migration\":true,\"status\":{\"state\":\"running\",\"host\":\"01a231ed-"
    "1624-7001-8484-"
    "aa261451d3ce\",\"run_epoch\":1,\"vcpus\":1,\"memory_mib\":64,\"boot_volume\":\"01a231ed-1c08-"
    "7002-9726-"
    "224147d065dd\",\"started_at\":\"2026-12-01T14:05:52.523Z\"},\"generation\":1,\"created_at\":"
    "\"2026-12-01T14:05:52.520Z\",\"updated_at\":\"2026-12-01T14:05:52.523Z\"}";

static struct api_arena arena;
static struct api_vm *vm;
static struct api_buf out;
static json_t *tree;

static void die(const char *what)
{
    fprintf(stderr, "bench-json: %s\n", what);
    exit(1);
}

static void read_ours(void)
{
    struct api_refusal refusal;
    api_problem_init(&refusal);
    api_arena_fini(&arena);
    if (api_json_read(&api_types_vm, text, sizeof(text) - 1, 0, &arena, (void **)&vm, &refusal))
        die(refusal.detail);
}

static void write_ours(void)
{
    api_buf_reset(&out);
    api_json_write(&api_types_vm, vm, 0, NULL, &out);
}

static void read_jansson(void)
{
    json_decref(tree);
    tree = json_loadb(text, sizeof(text) - 1, JSON_REJECT_DUPLICATES, NULL);
    if (!tree)
        die("jansson does not read the document");
}

static void write_jansson(void)
{
    free(json_dumps(tree, JSON_COMPACT));
}

static const struct {
    const char *name;
    void (*run)(void);
} figures[] = {{"read_virga", read_ours},
               {"read_jansson", read_jansson},
               {"write_virga", write_ours},
               {"write_jansson", write_jansson}};

#define FIGURES (sizeof(figures) / sizeof(figures[0]))

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.5;
    int64_t took[FIGURES] = {0};
    unsigned rounds = 0;
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_buf_init(&out, API_JSON_MAX_BYTES);
    for (; (double)took[0] < seconds * 1e9; rounds++)
        for (size_t f = 0; f < FIGURES; f++) {
            int64_t begin = clock_thread_cpu_ns();
            for (int i = 0; i < AT_ONCE; i++)
                figures[f].run();
            took[f] += clock_thread_cpu_ns() - begin;
        }
    for (size_t f = 0; f < FIGURES; f++)
        printf("%s\"%s_us\": %.3f", f ? ", " : "{", figures[f].name,
               (double)took[f] / 1e3 / AT_ONCE / rounds);
    printf("}\n");
    json_decref(tree);
    api_arena_fini(&arena);
    api_buf_fini(&out);
    return 0;
}
