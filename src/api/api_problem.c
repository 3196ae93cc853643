#include "api/api_problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

void api_problem_init(struct api_refusal *r)
{
    r->code = 0;
    r->set = false;
    r->n_errors = 0;
    r->retry_after_s = 0;
    r->detail[0] = '\0';
}

/* A text that was cut in the middle of a character ends before it. */
static void cut_cleanly(char *text)
{
    size_t left = strlen(text);
    while (left) {
        unsigned n = api_buf_utf8(text, left);
        if (!n && left < 4) {
            *text = '\0';
            return;
        }
        text += n ? n : 1;
        left -= n ? n : 1;
    }
}

int api_problem_set(struct api_refusal *r, enum api_problem_code code, const char *fmt, ...)
{
    if (r) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
        va_end(ap);
        cut_cleanly(r->detail);
        r->code = code;
        r->set = true;
    }
    return api_problem_errno(code);
}

int api_problem_add(struct api_refusal *r, enum api_problem_code code, const char *pointer,
                    const char *fmt, ...)
{
    if (!r)
        return api_problem_errno(code);
    if (!r->set) {
        r->code = code;
        r->set = true;
    }
    if (r->n_errors < API_PROBLEM_ERRORS_MAX) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(r->errors[r->n_errors].detail, sizeof(r->errors[0].detail), fmt, ap);
        va_end(ap);
        cut_cleanly(r->errors[r->n_errors].detail);
        snprintf(r->errors[r->n_errors].pointer, sizeof(r->errors[0].pointer), "%s", pointer);
        cut_cleanly(r->errors[r->n_errors].pointer);
    }
    r->n_errors++;
    return api_problem_errno(code);
}

void api_problem_summarize(struct api_refusal *r)
{
    if (!r || !r->set || !r->n_errors || r->detail[0])
        return;
    const char *pointer = r->errors[0].pointer, *detail = r->errors[0].detail;
    const char *colon = *pointer ? ": " : "";
    if (r->n_errors == 1)
        api_problem_set(r, r->code, "%s%s%s", pointer, colon, detail);
    else
        api_problem_set(r, r->code, "%s%s%s; and %u more, see errors", pointer, colon, detail,
                        r->n_errors - 1);
}

int api_problem_status(enum api_problem_code code)
{
    return (size_t)code < API_PROBLEM_CODE_N ? api_problem_kinds[code].status : 500;
}

int api_problem_errno(enum api_problem_code code)
{
    static const struct {
        int status, errno_value;
    } rows[] = {{400, EINVAL}, {401, EACCES}, {403, EPERM},   {404, ENOENT}, {405, ENOTSUP},
                {409, EBUSY},  {410, ESTALE}, {412, ESTALE},  {413, E2BIG},  {415, EINVAL},
                {422, EINVAL}, {429, EAGAIN}, {501, ENOTSUP}, {503, EAGAIN}};
    int status = api_problem_status(code);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return -rows[i].errno_value;
    return -EIO;
}

int api_problem_find(const char *name, enum api_problem_code *code)
{
    for (int i = 0; i < API_PROBLEM_CODE_N; i++)
        if (!strcmp(api_problem_kinds[i].code, name)) {
            *code = (enum api_problem_code)i;
            return 0;
        }
    return -ENOENT;
}

static void put_member(struct api_buf *out, const char *key, const char *text)
{
    if (!text || !*text)
        return;
    api_buf_printf(out, ",\"%s\":", key);
    api_buf_json_text(out, text);
}

void api_problem_write(const struct api_refusal *r, const char *instance, const char *request_id,
                       const char *extra, struct api_buf *out)
{
    enum api_problem_code code = r->set ? r->code : API_PROBLEM_CODE_SERVER_INTERNAL;
    const struct api_problem_kind *kind = &api_problem_kinds[code];
    unsigned n = MIN(r->n_errors, (unsigned)API_PROBLEM_ERRORS_MAX);
    api_buf_printf(out, "{\"type\":\"urn:virga:problem:%s\"", kind->code);
    put_member(out, "title", kind->title);
    api_buf_printf(out, ",\"status\":%d", kind->status);
    put_member(out, "detail", r->detail);
    put_member(out, "instance", instance);
    put_member(out, "code", kind->code);
    put_member(out, "request_id", request_id);
    if (r->retry_after_s)
        api_buf_printf(out, ",\"retry_after_s\":%u", r->retry_after_s);
    for (unsigned i = 0; i < n; i++) {
        api_buf_puts(out, i ? ",{\"pointer\":" : ",\"errors\":[{\"pointer\":");
        api_buf_json_text(out, r->errors[i].pointer);
        put_member(out, "detail", r->errors[i].detail);
        api_buf_putc(out, '}');
    }
    if (n)
        api_buf_putc(out, ']');
    if (extra)
        api_buf_puts(out, extra);
    api_buf_putc(out, '}');
}
