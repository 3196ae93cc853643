/* usage_list: rows of the store, read by a worker, and what is in use now.
 *
 * An interval may be closed while the rows are read: then it would be there twice, as open and as a
 * row. So what the catalog showed when the reading began decides: of an object that it showed, rows
 * with a higher number than it had then are not counted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_page.h"
#include "mgmt/server/server_usage_sum.h"

#define READ_AT_ONCE 1000

static const enum catalog_kind metered[] = {CATALOG_VM,          CATALOG_VOLUME,
                                            CATALOG_SNAPSHOT,    CATALOG_IMAGE,
                                            CATALOG_FLOATING_IP, CATALOG_RESERVATION};

struct listing {
    struct server_job job;
    struct server_call *c;
    int64_t begin_ms, end_ms, now_ms;
    enum api_usage_list_query_group_by by;
    bool everything; /* of all projects */
    struct store_id *projects;
    size_t n_projects;
    struct catalog_object **shown; /* all that was metered, in the order of ids */
    size_t n_shown;
    struct server_usage_sum *sum;
    uint64_t last;
    unsigned n_read;
    int64_t first_ms;
    int result;
    struct err err;
    struct api_refusal refusal;
    struct api_buf text;
};

static void listing_free(struct listing *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n_shown; i++)
        catalog_unref(l->shown[i]);
    free(l->shown);
    free(l->projects);
    server_usage_sum_destroy(l->sum);
    api_buf_fini(&l->text);
    free(l);
}

/* ---- in the worker ---- */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct store_id));
}

static int compare_objects(const void *a, const void *b)
{
    const struct catalog_object *const *x = a, *const *y = b;
    return compare_ids(&(*x)->id, &(*y)->id);
}

static bool is_asked(const struct listing *l, const struct store_id *project)
{
    return l->everything || (l->n_projects && bsearch(project, l->projects, l->n_projects,
                                                      sizeof(*project), compare_ids));
}

static bool was_open(const struct listing *l, const struct store_row *row)
{
    size_t low = 0, high = l->n_shown;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct catalog_object *v = l->shown[middle];
        int order = memcmp(&v->id, &row->object, sizeof(v->id));
        if (!order)
            return row->number >
                   (v->own->usage_number.is == API_VALUE ? (uint64_t)v->own->usage_number.v : 0);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int add_row(const struct store_row *row, void *ctx)
{
    struct listing *l = ctx;
    l->n_read++;
    l->last = row->position;
    bool interval = !memcmp(&row->actor, &row->object, sizeof(row->actor));
    if (!is_asked(l, &row->project) || (interval && was_open(l, row)))
        return 0;
    return server_usage_sum_row(l->sum, row);
}

static int look(const struct store_row *row, void *ctx)
{
    struct listing *l = ctx;
    l->n_read = 1;
    l->last = row->position;
    l->first_ms = row->at_ms;
    return 0;
}

/* Rows are nearly in the order of their times: the position behind which they are late enough. */
static int find_first(struct listing *l, struct store *store, uint64_t *after)
{
    int64_t from_ms = l->begin_ms - SERVER_USAGE_SUM_BACK_MS;
    struct store_status status;
    store_status(store, &status);
    uint64_t low = 0, high = status.seq;
    while (high > low + READ_AT_ONCE) {
        uint64_t middle = low + (high - low) / 2;
        l->n_read = 0;
        int r = store_rows(store, STORE_USAGE_ROWS, middle, 1, look, l, &l->err);
        if (r)
            return r;
        if (!l->n_read || l->first_ms >= from_ms)
            high = middle;
        else
            low = middle;
    }
    *after = low;
    return 0;
}

static int add_open(struct listing *l)
{
    struct server_usage_row row;
    for (size_t i = 0; i < l->n_shown; i++) {
        const struct catalog_object *v = l->shown[i];
        const struct api_text *open = &v->own->usage;
        if (open->is != API_VALUE || server_usage_row_read(open->v, strlen(open->v), &row))
            continue;
        row.end_ms = 0;
        if (is_asked(l, &v->project) &&
            server_usage_sum_interval(l->sum, &v->project, &v->id, &row, l->now_ms))
            return -ENOMEM;
    }
    return 0;
}

static int add_up(struct listing *l, struct store *store)
{
    l->sum = server_usage_sum_create(l->begin_ms, l->end_ms, l->by);
    if (!l->sum)
        return -ENOMEM;
    if (l->n_shown)
        qsort(l->shown, l->n_shown, sizeof(struct catalog_object *), compare_objects);
    int r = find_first(l, store, &l->last);
    do {
        l->n_read = 0;
        if (!r)
            r = store_rows(store, STORE_USAGE_ROWS, l->last, READ_AT_ONCE, add_row, l, &l->err);
    } while (!r && l->n_read == READ_AT_ONCE);
    return r ? r : add_open(l);
}

static void work(struct server_job *j)
{
    struct listing *l = container_of(j, struct listing, job);
    const void **docs;
    size_t n;
    l->result = add_up(l, l->c->s->store);
    if (!l->result)
        l->result = server_usage_sum_records(l->sum, &docs, &n);
    if (!l->result && server_page_write(&l->c->request.list, docs, n, &l->text, &l->refusal))
        l->result = -EINVAL;
}

/* ---- in the loop ---- */

static void done(struct server_job *j)
{
    struct listing *l = container_of(j, struct listing, job);
    struct server_call *c = l->c;
    if (!l->result) {
        server_call_reply(c, 200, l->text.text, l->text.bytes);
    } else {
        if (l->refusal.set)
            c->refusal = l->refusal;
        else if (l->result == -ENOMEM)
            api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                            "too much was used to be listed one by one: ask for a shorter time, "
                            "or group_by=meter");
        else
            api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_STORE,
                            "the usage cannot be read now: try again");
        c->refusal.retry_after_s = l->refusal.set ? 0 : 2;
        server_call_refuse(c);
    }
    listing_free(l);
}

static int64_t month_begin(int64_t now_ms)
{
    time_t s = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) * 1000;
}

static int read_times(struct listing *l, struct server_call *c)
{
    const struct api_usage_list_query *q = c->request.query;
    l->begin_ms = month_begin(l->now_ms);
    l->end_ms = l->now_ms;
    if ((q->begin.is == API_VALUE && server_meta_parse_time(q->begin.v, &l->begin_ms)) ||
        (q->end.is == API_VALUE && server_meta_parse_time(q->end.v, &l->end_ms)))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_QUERY_INVALID,
                               "begin and end are times such as 2026-01-31T00:00:00Z");
    l->by = q->group_by.is == API_VALUE ? q->group_by.v : API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE;
    return 0;
}

static int find_projects(struct listing *l, struct server_call *c)
{
    const struct catalog_list *list = catalog_all(c->s->catalog, CATALOG_PROJECT);
    bool all = c->request.all_projects;
    l->everything = all && c->who.cloud_role >= API_ROLE_READER;
    l->projects = calloc(all ? list->n + 1 : 1, sizeof(*l->projects));
    if (!l->projects)
        return -ENOMEM;
    if (!all)
        l->projects[l->n_projects++] = c->project;
    for (size_t i = 0; all && i < list->n; i++) {
        struct auth_id id = server_auth_id(&list->slots[i]->now->id);
        if (auth_role_in(c->s->auth, &c->who, &id) >= API_ROLE_READER)
            l->projects[l->n_projects++] = list->slots[i]->now->id;
    }
    return 0;
}

static int find_shown(struct listing *l, struct server_call *c)
{
    for (size_t k = 0; k < ARRAY_LEN(metered); k++) {
        const struct catalog_list *list = c->request.all_projects
                                              ? catalog_all(c->s->catalog, metered[k])
                                              : catalog_in(c->s->catalog, metered[k], &c->project);
        if (!list->n)
            continue;
        void *p = reallocarray(l->shown, l->n_shown + list->n, sizeof(struct catalog_object *));
        if (!p)
            return -ENOMEM;
        l->shown = p;
        for (size_t i = 0; i < list->n; i++)
            l->shown[l->n_shown++] = catalog_ref(list->slots[i]->now);
    }
    return 0;
}

int server_usage_list(struct server_call *c)
{
    struct listing *l = calloc(1, sizeof(*l));
    if (!l)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    *l = (struct listing){.job = {.work = work, .done = done}, .c = c};
    l->now_ms = server_now_ms();
    api_problem_init(&l->refusal);
    api_buf_init(&l->text, SERVER_BODY_MAX_BYTES);
    int r = read_times(l, c);
    if (!r && (find_projects(l, c) || find_shown(l, c) ||
               server_workers_submit(c->s->workers, &l->job))) {
        c->refusal.retry_after_s = 1;
        r = api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                            "too much is asked for at once: try again");
    }
    if (r)
        listing_free(l);
    return r;
}
