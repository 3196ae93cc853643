/* WebSockets whose peer says nothing: it is asked by a ping, which keeps a proxy in between awake
 * too, and one that does not answer has gone without a word. One timer a loop looks at all. */
#include "base/util.h"
#include "web/web_internal.h"

void web_loop_silence(struct web_loop *l, int64_t ping_us, int64_t hangup_us)
{
    l->ping_us = ping_us;
    l->hangup_us = hangup_us;
}

static void look(void *ctx)
{
    struct web_loop *l = ctx;
    int64_t now = lws_now_usecs();
    for (struct web_stream *s = l->streams; s; s = s->next) {
        int64_t silent_us = now - s->heard_us;
        if (silent_us >= l->hangup_us) {
            lws_set_timeout(s->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
        } else if (silent_us >= l->ping_us) {
            s->ping = true;
            lws_callback_on_writable(s->wsi);
        }
    }
    if (l->streams)
        web_timer_arm(l->silence, l->ping_us / 3);
}

void web_silence_begin(struct web_loop *l, struct web_stream *s)
{
    if (!l->silence)
        l->silence = web_timer_create(l, look, l);
    if (!l->silence)
        return; /* without it, as without memory for it: TCP finds out, later */
    if (!l->streams)
        web_timer_arm(l->silence, l->ping_us / 3);
    s->loop = l;
    s->next = l->streams;
    s->link = &l->streams;
    if (s->next)
        s->next->link = &s->next;
    l->streams = s;
    web_silence_heard(s);
}

void web_silence_end(struct web_stream *s)
{
    if (!s->loop)
        return;
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    s->loop = NULL;
}

void web_silence_destroy(struct web_loop *l)
{
    web_timer_destroy(l->silence);
    l->silence = NULL;
}
