/* What happened to the VM: the last 64 events, for the streams that follow them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "control/control_internal.h"

#define TEXT_MAX_BYTES (CONTROL_EVENTS * 512)

static int64_t wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void control_event(struct control *c, enum vm_api_event event, const char *device, const char *text)
{
    struct control_event_record *e = &c->events[++c->last_event % CONTROL_EVENTS];
    e->sequence = c->last_event;
    e->time_ms = wall_ms();
    e->event = event;
    snprintf(e->device, sizeof(e->device), "%s", device ? device : "");
    snprintf(e->text, sizeof(e->text), "%s", text ? text : "");
    loop_post(c->loop, &c->wake_streams);
}

/* Texts come from errors and may quote a file's name: odd bytes would make the line no JSON. */
static json_t *plain(const char *text)
{
    char copy[sizeof(((struct control_event_record *)0)->text)];
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    return json_string(copy);
}

static size_t write_line(char *out, size_t room, const struct control_event_record *e)
{
    json_t *line = json_pack("{sIsIss}", "seq", (json_int_t)e->sequence, "time_ms",
                             (json_int_t)e->time_ms, "event", vm_api_event_name(e->event));
    if (line && e->device[0])
        json_object_set_new(line, "device", plain(e->device));
    if (line && e->text[0])
        json_object_set_new(line, "text", plain(e->text));
    size_t n = line ? json_dumpb(line, out, room, JSON_COMPACT) : 0;
    json_decref(line);
    if (n == 0 || n >= room)
        return 0;
    out[n] = '\n';
    return n + 1;
}

char *control_events_text(const struct control *c, uint64_t *since, size_t *bytes)
{
    char *out = malloc(TEXT_MAX_BYTES);
    size_t n = 0;
    if (!out)
        return NULL;
    uint64_t oldest = c->last_event >= CONTROL_EVENTS ? c->last_event - CONTROL_EVENTS + 1 : 1;
    uint64_t next = *since + 1;
    if (next < oldest) {
        struct control_event_record lost = {
            .sequence = oldest - 1, .time_ms = wall_ms(), .event = VM_API_EVENT_LOST};
        snprintf(lost.text, sizeof(lost.text), "%" PRIu64, oldest - next);
        n += write_line(out, TEXT_MAX_BYTES, &lost);
        next = oldest;
    }
    for (; next <= c->last_event; next++) {
        size_t line = write_line(out + n, TEXT_MAX_BYTES - n, &c->events[next % CONTROL_EVENTS]);
        if (!line)
            break;
        n += line;
    }
    *since = next - 1;
    *bytes = n;
    return out;
}
