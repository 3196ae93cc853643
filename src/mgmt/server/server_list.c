/* Pages of lists. In the order of ids, which is that of creation, a page begins where the cursor's
 * id stands; any other order looks at everything that the filter means. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_internal.h"

struct page {
    struct server_call *c;
    const struct api_query *query;
    bool (*shown)(struct server_call *c, const struct catalog_object *v);
    const struct catalog_object **items; /* one more than the limit at most, or all that match */
    size_t n, room;
};

static bool by_id(const struct api_query *q)
{
    return q->n_sorts == 1 && !q->sorts[0].descending &&
           !strcmp(q->sorts[0].path.steps[0]->name, "id");
}

/* In the order of ids: where the page begins. */
static size_t first_index(const struct catalog_list *list, const struct api_query *q)
{
    struct store_id id;
    if (!q->has_cursor || q->cursor[0].kind != API_QUERY_TEXT ||
        catalog_id_parse(q->cursor[0].text, &id))
        return 0;
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&list->slots[middle]->now->id, &id, sizeof(id)) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int collect(struct page *p, const struct catalog_list *list, bool ordered)
{
    for (size_t i = ordered ? first_index(list, p->query) : 0; i < list->n; i++) {
        const struct catalog_object *v = list->slots[i]->now;
        if ((p->shown && !p->shown(p->c, v)) || !api_query_match(p->query, v->doc) ||
            (!ordered && !api_query_after(p->query, v->doc)))
            continue;
        if (p->n == p->room) {
            size_t room = p->room ? p->room * 2 : 128;
            void *items = reallocarray(p->items, room, sizeof(*p->items));
            if (!items)
                return api_problem_set(&p->c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                                       "no memory for the list: ask for fewer");
            p->items = items;
            p->room = room;
        }
        p->items[p->n++] = v;
        if (ordered && p->n > p->query->limit)
            break;
    }
    return 0;
}

static int order(const void *a, const void *b, void *query)
{
    const struct catalog_object *const *x = a, *const *y = b;
    return api_query_order(query, (*x)->doc, (*y)->doc);
}

static int write_page(struct page *p, struct api_buf *b)
{
    size_t n = p->n < p->query->limit ? p->n : p->query->limit;
    api_buf_puts(b, "{\"items\":[");
    for (size_t i = 0; i < n; i++) {
        const struct catalog_object *v = p->items[i];
        if (i)
            api_buf_putc(b, ',');
        api_json_write(catalog_kinds[v->kind].type, v->doc, 0, p->query->fields, b);
    }
    api_buf_putc(b, ']');
    if (p->n > n && n) {
        char cursor[API_QUERY_CURSOR_BYTES];
        if (api_query_cursor(p->query, p->items[n - 1]->doc, cursor))
            return api_problem_set(&p->c->refusal, API_PROBLEM_CODE_QUERY_INVALID,
                                   "sort: the values are too long to page by: sort by others");
        api_buf_puts(b, ",\"next_cursor\":");
        api_buf_json_text(b, cursor);
    }
    api_buf_putc(b, '}');
    return b->failed ? api_problem_set(&p->c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                                       "the page is too large: ask for fewer, or for some fields")
                     : 0;
}

int server_list_reply(struct server_call *c, const struct catalog_list *list,
                      bool (*shown)(struct server_call *c, const struct catalog_object *v))
{
    struct page p = {.c = c, .query = &c->request.list, .shown = shown};
    struct api_buf b;
    bool ordered = by_id(p.query);
    api_buf_init(&b, SERVER_BODY_MAX_BYTES);
    int r = collect(&p, list, ordered);
    if (!r && !ordered && p.n)
        qsort_r(p.items, p.n, sizeof(*p.items), order, &c->request.list);
    if (!r)
        r = write_page(&p, &b);
    free(p.items);
    if (!r)
        server_call_reply(c, 200, b.text, b.bytes);
    api_buf_fini(&b);
    return r;
}
