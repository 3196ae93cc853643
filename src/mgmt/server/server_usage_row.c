/* Rows of the usage as text: short, since a cloud has millions, and readable by people. */
#include "mgmt/server/server_usage_row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_types.h"

const char *server_usage_row_meter(enum api_usage_record_meter meter)
{
    return api_types_usage_record_meter.names[meter];
}

int server_usage_row_meter_of(const char *text, size_t bytes, enum api_usage_record_meter *meter)
{
    for (unsigned i = 0; i < API_USAGE_RECORD_METER_N; i++) {
        const char *word = api_types_usage_record_meter.names[i];
        if (strlen(word) == bytes && !memcmp(word, text, bytes)) {
            *meter = (enum api_usage_record_meter)i;
            return 0;
        }
    }
    return -ENOENT;
}

void server_usage_row_write(const struct server_usage_row *row, struct api_buf *b)
{
    api_buf_printf(b, "%lld %lld %s ", (long long)row->begin_ms, (long long)row->end_ms,
                   row->flavor[0] ? row->flavor : "-");
    for (unsigned i = 0; i < row->n; i++)
        api_buf_printf(b, "%s%s=%lld", i ? "," : "", server_usage_row_meter(row->rates[i].meter),
                       (long long)row->rates[i].rate);
    api_buf_printf(b, " %s", row->name);
}

static bool read_number(const char **at, char end, int64_t *value)
{
    char *rest;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *value = strtoll(*at, &rest, 10);
    if (errno || *rest != end)
        return false;
    *at = rest + (end != 0);
    return true;
}

static int read_rates(const char **at, struct server_usage_row *row)
{
    for (;;) {
        size_t name = strcspn(*at, "= ");
        if ((*at)[name] != '=' || row->n == SERVER_USAGE_RATES_MAX)
            return -EBADMSG;
        struct server_usage_rate *rate = &row->rates[row->n++];
        if (server_usage_row_meter_of(*at, name, &rate->meter))
            return -EBADMSG;
        *at += name + 1;
        const char *value = *at;
        if (read_number(at, ',', &rate->rate))
            continue;
        *at = value;
        return read_number(at, ' ', &rate->rate) ? 0 : -EBADMSG;
    }
}

int server_usage_row_read(const char *text, size_t bytes, struct server_usage_row *out)
{
    char line[512];
    struct server_usage_row row = {0};
    if (bytes >= sizeof(line) || memchr(text, 0, bytes))
        return -EBADMSG;
    memcpy(line, text, bytes);
    line[bytes] = 0;
    const char *at = line;
    if (!read_number(&at, ' ', &row.begin_ms) || !read_number(&at, ' ', &row.end_ms))
        return -EBADMSG;
    size_t flavor = strcspn(at, " ");
    if (at[flavor] != ' ' || flavor >= sizeof(row.flavor))
        return -EBADMSG;
    if (strncmp(at, "- ", 2) != 0)
        memcpy(row.flavor, at, flavor);
    at += flavor + 1;
    if (read_rates(&at, &row) || strlen(at) >= sizeof(row.name))
        return -EBADMSG;
    memcpy(row.name, at, strlen(at));
    *out = row;
    return 0;
}

int server_usage_row_read_counter(const char *text, size_t bytes, uint64_t *cumulative,
                                  uint64_t *previous)
{
    char line[64];
    int64_t c, p;
    if (bytes >= sizeof(line))
        return -EBADMSG;
    memcpy(line, text, bytes);
    line[bytes] = 0;
    const char *at = line;
    if (!read_number(&at, ' ', &c) || !read_number(&at, 0, &p) || p > c)
        return -EBADMSG;
    *cumulative = (uint64_t)c;
    *previous = (uint64_t)p;
    return 0;
}
