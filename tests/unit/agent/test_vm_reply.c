/* Answers cut at every byte, and what is no answer. */
#include "agent/vm_reply.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

static char GOT[65536];
static size_t GOT_BYTES;

static void take(void *opaque, const char *data, size_t bytes)
{
    (void)opaque;
    memcpy(GOT + GOT_BYTES, data, bytes);
    GOT_BYTES += bytes;
    GOT[GOT_BYTES] = 0;
}

/* Feeds `text` in pieces of `step` bytes; what was left over is in *rest. */
static int feed(struct vm_reply *r, const char *text, size_t step, size_t *rest)
{
    size_t bytes = strlen(text), at = 0, used;
    int ret = 0;
    GOT_BYTES = 0;
    GOT[0] = 0;
    vm_reply_init(r);
    while (!ret && at < bytes && r->part != VM_REPLY_DONE) {
        ret = vm_reply_feed(r, text + at, MIN(step, bytes - at), take, NULL, &used);
        at += used;
    }
    *rest = bytes - at;
    return ret;
}

static void reads_a_body_by_its_length_however_it_is_cut(void)
{
    const char *text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"
                       "\r\n{\"state\": 1}\nHTTP/1.1";
    struct vm_reply r;
    size_t rest;
    for (size_t step = 1; step < strlen(text); step++) {
        CHECK_EQ(feed(&r, text, step, &rest), 0);
        CHECK_EQ(r.part, VM_REPLY_DONE);
        CHECK_EQ(r.status, 200);
        CHECK(!r.closes);
        CHECK_STR(GOT, "{\"state\": 1}\n");
    }
    CHECK_EQ(rest, strlen("HTTP/1.1"));
}

static void reads_chunks_however_they_are_cut(void)
{
    const char *text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                       "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
    struct vm_reply r;
    size_t rest;
    for (size_t step = 1; step < strlen(text); step++) {
        CHECK_EQ(feed(&r, text, step, &rest), 0);
        CHECK_EQ(r.part, VM_REPLY_DONE);
        CHECK(r.closes);
        CHECK_STR(GOT, "abc0123456789abcdef");
        CHECK_EQ(rest, 0);
    }
}

static void an_answer_without_a_body_is_whole_at_once(void)
{
    struct vm_reply r;
    size_t rest;
    CHECK_EQ(feed(&r, "HTTP/1.1 204 No Content\r\n\r\n", 100, &rest), 0);
    CHECK_EQ(r.part, VM_REPLY_DONE);
    CHECK_EQ(feed(&r, "HTTP/1.1 202 Accepted\r\ncontent-length:0\r\n\r\n", 100, &rest), 0);
    CHECK_EQ(r.part, VM_REPLY_DONE);
    CHECK_EQ(GOT_BYTES, 0);
}

static void refuses_what_is_no_answer(void)
{
    static const char *const BAD[] = {
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", /* how long? */
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
    };
    struct vm_reply r;
    size_t rest;
    for (unsigned i = 0; i < ARRAY_LEN(BAD); i++)
        for (size_t step = 1; step < 40; step += 38) {
            int ret = feed(&r, BAD[i], step, &rest);
            if (ret != -EBADMSG)
                printf("# %u taken: %s\n", i, BAD[i]);
            CHECK_EQ(ret, -EBADMSG);
        }
}

static void a_head_has_a_bound(void)
{
    static char text[VM_REPLY_HEAD_MAX_BYTES * 2];
    struct vm_reply r;
    size_t rest;
    int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nX: ");
    memset(text + n, 'x', sizeof(text) - (size_t)n - 1);
    CHECK_EQ(feed(&r, text, 1000, &rest), -EBADMSG);
    CHECK(r.head_bytes <= VM_REPLY_HEAD_MAX_BYTES);
}

int main(void)
{
    TAP_RUN(reads_a_body_by_its_length_however_it_is_cut);
    TAP_RUN(reads_chunks_however_they_are_cut);
    TAP_RUN(an_answer_without_a_body_is_whole_at_once);
    TAP_RUN(refuses_what_is_no_answer);
    TAP_RUN(a_head_has_a_bound);
    return tap_done();
}
