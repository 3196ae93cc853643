/* The content of images: sent from a file, going on where a lost connection left it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_run.h"

#define RESUMES 3

/* A server takes no larger body. */
#define PART_BYTES (INT64_C(8) << 20)

struct sending {
    int64_t begin, all; /* of the part, in the file; of the file */
};

static void on_sent(void *ctx, int64_t done, int64_t all)
{
    char text[64];
    const struct sending *s = ctx;
    (void)all;
    snprintf(text, sizeof(text), "%lld of %lld MiB", (long long)((s->begin + done) >> 20),
             (long long)(s->all >> 20));
    cloud_run_progress("sending", (int)((s->begin + done) * 100 / s->all), text);
}

static FILE *open_regular(const char *path, int64_t *bytes, struct err *err)
{
    struct stat st;
    FILE *f = fopen(path, "re");
    if (!f) {
        err_sys(err, errno, "could not open %.200s", path);
        return NULL;
    }
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode)) {
        err_set(err, EINVAL, "%.200s is no file whose size is known: save it to one first", path);
        fclose(f);
        return NULL;
    }
    *bytes = st.st_size;
    return f;
}

/* How much the server has; -1: it could not be told. */
static int64_t received(struct cloud_run *r, const char *image)
{
    json_t *answer = NULL;
    struct cloud_call c = {.op = API_OP_IMAGE_GET, .params = {image}};
    int64_t bytes = -1;
    if (!cloud_run_call(r, &c, &answer, NULL)) {
        const json_t *status = json_object_get(answer, "status");
        bytes = json_integer_value(json_object_get(status, "received_bytes"));
    }
    json_decref(answer);
    return bytes;
}

static int send_part(struct cloud_run *r, const char *image, FILE *file, struct sending *s,
                     int64_t bytes, json_t **answer)
{
    json_t *query = s->begin ? json_pack("{s:I}", "offset_bytes", (json_int_t)s->begin) : NULL;
    struct cloud_call c = {.op = API_OP_IMAGE_UPLOAD,
                           .params = {image},
                           .query = query,
                           .upload = file,
                           .upload_bytes = bytes,
                           .upload_first = s->begin,
                           .upload_total = bytes < s->all ? s->all : 0,
                           .progress = on_sent,
                           .progress_ctx = s};
    int status = cloud_run_call(r, &c, answer, NULL);
    json_decref(query);
    return status;
}

/* In parts. One that is lost goes on where the server is. */
static int send_file(struct cloud_run *r, const char *image, FILE *file, int64_t bytes,
                     int64_t begin, json_t **answer)
{
    struct sending s = {begin, bytes};
    int status = CLOUD_EXIT_FAILED, resumes = 0;
    do {
        json_t *part_answer = NULL;
        int64_t part = MIN(bytes - s.begin, PART_BYTES);
        if (s.begin < 0 || s.begin > bytes || fseeko(file, s.begin, SEEK_SET))
            break;
        status = send_part(r, image, file, &s, part, &part_answer);
        if (status && (status != CLOUD_EXIT_UNREACHABLE || resumes++ == RESUMES))
            break;
        s.begin = status ? received(r, image) : s.begin + part;
        if (!status && s.begin == bytes && answer)
            *answer = json_incref(part_answer);
        json_decref(part_answer);
    } while (status || s.begin < bytes);
    cloud_run_progress_end();
    return status;
}

int cloud_run_image_upload(struct cloud_run *r)
{
    struct err err = {0};
    json_t *answer = NULL;
    const char *path = r->args.common[CLOUD_FILE];
    if (!path && r->args.n_words == 2)
        path = r->args.words[1];
    else if (r->args.n_words != 1)
        path = NULL;
    if (!path) {
        err_set(&err, EINVAL, "it is: virga image upload IMAGE FILE");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    int64_t bytes, begin = json_integer_value(json_object_get(r->args.query, "offset_bytes"));
    FILE *file = open_regular(path, &bytes, &err);
    if (!file)
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    int status = send_file(r, r->args.words[0], file, bytes, begin, &answer);
    fclose(file);
    if (!status)
        cloud_run_print(r, answer);
    json_decref(answer);
    return status;
}

/* "https://...", "debian:bookworm" or a file: the source that the API takes. */
static int set_source(struct cloud_run *r, const char *source, FILE **file, int64_t *bytes,
                      struct err *err)
{
    json_t *made;
    if (!strncmp(source, "http://", 7) || !strncmp(source, "https://", 8)) {
        made = json_pack("{s:s, s:s}", "kind", "url", "url", source);
    } else if (!strncmp(source, "debian:", 7)) {
        made = json_pack("{s:s, s:{s:s}}", "kind", "debian", "debian", "suite", source + 7);
    } else {
        *file = open_regular(source, bytes, err);
        if (!*file)
            return -err->code;
        made = json_pack("{s:s, s:I}", "kind", "upload", "size_bytes", (json_int_t)*bytes);
    }
    /* Flags may say more of it, such as --sha256. */
    json_t *given = json_object_get(r->args.body, "source");
    if (json_is_object(given))
        json_object_update_recursive(made, given);
    return json_object_set_new(r->args.body, "source", made)
               ? err_set(err, EINVAL, "the source is no UTF-8 text")
               : 0;
}

int cloud_run_image_import(struct cloud_run *r)
{
    struct err err = {0};
    json_t *body = NULL, *operation = NULL;
    FILE *file = NULL;
    int64_t bytes = 0;
    if (r->args.n_words != 2) {
        err_set(&err, EINVAL,
                "it is: virga image import NAME SOURCE; --help says what a source is");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    json_object_set_new(r->args.body, "name", json_string(r->args.words[0]));
    if (set_source(r, r->args.words[1], &file, &bytes, &err) ||
        cloud_run_body(r, &api_route_table[API_OP_IMAGE_CREATE], &body, &err))
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    struct cloud_call c = {.op = API_OP_IMAGE_CREATE, .body = body};
    int status = cloud_run_call(r, &c, &operation, NULL);
    json_decref(body);
    const char *image = json_string_value(json_object_get(operation, "resource"));
    if (!status && file)
        status = send_file(r, image ? image : r->args.words[0], file, bytes, 0, NULL);
    if (file)
        fclose(file);
    if (!status)
        status = cloud_run_operation(r, operation, r->who, API_OP_IMAGE_GET);
    json_decref(operation);
    return status;
}
