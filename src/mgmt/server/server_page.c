#include "mgmt/server/server_page.h"

#include <stdlib.h>

#include "api/api_problem.h"

static int order(const void *a, const void *b, void *query)
{
    const void *const *x = a, *const *y = b;
    return api_query_order(query, *x, *y);
}

static size_t keep(const struct api_query *q, const void **docs, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (api_query_match(q, docs[i]) && api_query_after(q, docs[i]))
            docs[kept++] = docs[i];
    return kept;
}

int server_page_write(const struct api_query *q, const void **docs, size_t n, struct api_buf *b,
                      struct api_refusal *refusal)
{
    n = keep(q, docs, n);
    if (n)
        qsort_r(docs, n, sizeof(*docs), order, (void *)(uintptr_t)q);
    size_t shown = n < q->limit ? n : q->limit;
    api_buf_puts(b, "{\"items\":[");
    for (size_t i = 0; i < shown; i++) {
        if (i)
            api_buf_putc(b, ',');
        api_json_write(q->item, docs[i], 0, q->fields, b);
    }
    api_buf_putc(b, ']');
    if (n > shown && shown) {
        char cursor[API_QUERY_CURSOR_BYTES];
        if (api_query_cursor(q, docs[shown - 1], cursor))
            return api_problem_set(refusal, API_PROBLEM_CODE_QUERY_INVALID,
                                   "sort: the values are too long to page by: sort by others");
        api_buf_puts(b, ",\"next_cursor\":");
        api_buf_json_text(b, cursor);
    }
    api_buf_putc(b, '}');
    return b->failed ? api_problem_set(refusal, API_PROBLEM_CODE_SERVER_BUSY,
                                       "the page is too large: ask for fewer, or for some fields")
                     : 0;
}
