/* Copies of the store, made by a worker while the server serves. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"

#define PATH_BYTES 512

struct backup {
    struct server_job job;
    struct server_call *c;
    char path[PATH_BYTES];
    uint64_t seq;
    int64_t made_ms, size_bytes;
    int result;
    struct err err;
};

static void work(struct server_job *j)
{
    struct backup *b = container_of(j, struct backup, job);
    struct stat st;
    b->result = store_backup(b->c->s->store, b->path, &b->err);
    if (!b->result && !stat(b->path, &st))
        b->size_bytes = st.st_size;
}

static void done(struct server_job *j)
{
    struct backup *b = container_of(j, struct backup, job);
    struct server_call *c = b->c;
    char time[SERVER_TIME_BYTES];
    if (!b->result) {
        server_meta_time(b->made_ms, time);
        const struct api_backup answer = {
            .path = {API_VALUE, b->path},
            .size_bytes = {API_VALUE, b->size_bytes},
            .seq = {API_VALUE, (int64_t)b->seq},
            .created_at = {API_VALUE, time},
        };
        server_call_reply_struct(c, 201, &api_types_backup, &answer);
    } else {
        api_problem_set(&c->refusal,
                        b->result == -EOPNOTSUPP ? API_PROBLEM_CODE_FEATURE_NO_DRIVER
                                                 : API_PROBLEM_CODE_SERVER_STORE,
                        "%s", b->err.msg);
        server_call_refuse(c);
    }
    free(b);
}

static int backup_create(struct server_call *c)
{
    struct server *s = c->s;
    struct backup *b = calloc(1, sizeof(*b));
    char folder[PATH_BYTES], id[UUID_TEXT_BYTES];
    if (!b || !s->config.state_dir) {
        free(b);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                               "there is no place for a backup: try again");
    }
    b->job = (struct server_job){.work = work, .done = done};
    b->c = c;
    b->seq = s->seq;
    b->made_ms = server_now_ms();
    struct store_id name = catalog_id(b->made_ms);
    uuid_format(name.bytes, id);
    snprintf(folder, sizeof(folder), "%s/backups", s->config.state_dir);
    (void)mkdir(folder, 0700); /* what is wrong with it is said by what comes next */
    int n = snprintf(b->path, sizeof(b->path), "%s/%s.db", folder, id);
    if (n < (int)sizeof(b->path) && !server_workers_submit(s->workers, &b->job))
        return 0;
    free(b);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "too much is being read just now: try again");
}

const struct server_route server_backup_routes[] = {
    {API_OP_BACKUP_CREATE, backup_create},
    {0},
};
