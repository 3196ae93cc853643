/* What a server, or a file, tells the command line: YAML, problem documents, lists. The first byte
 * says which. What is read is printed, and what is printed as YAML reads back the same. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cloud/cloud_http.h"
#include "cli/cloud/cloud_print.h"
#include "cli/cloud/cloud_problem.h"
#include "cli/cloud/cloud_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const json_t *v)
{
    char *text = NULL;
    size_t n;
    json_t *back = NULL;
    FILE *f = open_memstream(&text, &n);
    int r = f ? cloud_yaml_write(v, f) : -1;
    if (f)
        fclose(f);
    if (!r && n < CLOUD_YAML_MAX_BYTES &&
        (cloud_yaml_read(text, n, &back, NULL) || !json_equal(v, back)))
        abort();
    json_decref(back);
    free(text);
}

static void print(const json_t *v, FILE *out)
{
    for (unsigned form = 0; form < CLOUD_PRINT_FORMS; form++) {
        cloud_print_one(v, form, NULL, out);
        cloud_print_list(v, form, "id,name,status.state,labels.a.b", out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cloud_flags flags;
    const char *text = (const char *)data + 1;
    json_t *v = NULL;
    if (size < 2)
        return 0;
    FILE *out = fopen("/dev/null", "w");
    if (!out)
        return 0;
    if (!flags.n)
        cloud_flags_build(&flags, &api_route_table[API_OP_VM_CREATE], CLOUD_FLAG_ALWAYS);
    if (data[0] % 2) {
        if (!cloud_yaml_read(text, size - 1, &v, NULL))
            write_and_read(v);
    } else {
        v = json_loadb(text, size - 1, 0, NULL);
        free(cloud_http_redact(text, size - 1));
        if (v) {
            cloud_problem_show(v, "vm create", &flags, out);
            print(v, out);
        }
    }
    json_decref(v);
    fclose(out);
    return 0;
}
