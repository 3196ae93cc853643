/* What is not a state: buttons and consoles. Each command is done once; its result is kept for one
 * that comes again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_core_internal.h"
#include "base/log.h"
#include "base/util.h"

static void say_end(struct agent_core *c, uint32_t stream, const char *why)
{
    struct link_stream_end end = {.stream = {API_VALUE, stream}, .reason = {API_VALUE, why}};
    if (c->up)
        (void)c->config.ops->send(c->config.opaque, LINK_TYPE_STREAM_END, &end);
}

/* ---- consoles ---- */

static struct vm_console *console_of(struct agent_core *c, uint32_t stream)
{
    for (unsigned i = 0; i < c->n_vms; i++)
        if (vm_console_has(c->vms[i]->console, stream))
            return c->vms[i]->console;
    return NULL;
}

static void console_output(void *opaque, uint32_t stream, const char *data, size_t bytes)
{
    struct agent_core *c = opaque;
    if (!c->config.ops->stream(c->config.opaque, stream, data, bytes))
        return;
    struct vm_console *console = console_of(c, stream);
    if (console)
        vm_console_close(console, stream);
    say_end(c, stream, "it was not read fast enough");
}

static void console_end(void *opaque, uint32_t stream, const char *why)
{
    say_end(opaque, stream, why);
}

const struct vm_console_ops agent_core_console_ops = {console_output, console_end};

void agent_core_stream(struct agent_core *c, uint32_t stream, const char *data, size_t bytes)
{
    struct vm_console *console = console_of(c, stream);
    if (console)
        vm_console_input(console, data, bytes);
}

void agent_core_stream_end(struct agent_core *c, uint32_t stream)
{
    struct vm_console *console = console_of(c, stream);
    if (console)
        vm_console_close(console, stream);
}

/* ---- results ---- */

static const struct agent_core_result *find_result(const struct agent_core *c, const uint8_t id[16])
{
    for (unsigned i = 0; i < MIN(c->n_results, AGENT_CORE_RESULTS); i++)
        if (!memcmp(c->results[i].id, id, 16))
            return &c->results[i];
    return NULL;
}

static void say_result(struct agent_core *c, const struct agent_core_result *r, const char *text,
                       bool truncated)
{
    char id[UUID_TEXT_BYTES];
    uuid_format(r->id, id);
    struct link_result result = {.id = {API_VALUE, id}, .ok = {API_VALUE, r->ok}};
    if (r->reason[0])
        result.reason = (struct api_text){API_VALUE, r->reason};
    if (text) {
        result.text = (struct api_text){API_VALUE, text};
        result.truncated = (struct api_bool){API_VALUE, truncated};
    }
    (void)c->config.ops->send(c->config.opaque, LINK_TYPE_RESULT, &result);
}

/* ---- commands ---- */

static int open_console(struct agent_core *c, struct agent_core_vm *v,
                        const struct link_command *command, struct err *err)
{
    if (command->stream.is != API_VALUE)
        return err_set(err, EINVAL, "a console needs the number of a stream");
    if (console_of(c, (uint32_t)command->stream.v))
        return err_set(err, EEXIST, "the stream is open already");
    int ret = vm_console_open(v->console, (uint32_t)command->stream.v);
    if (ret == -EMFILE)
        return err_set(err, EMFILE, "%d streams of this console are open: close one",
                       VM_CONSOLE_STREAMS_MAX);
    if (ret)
        return err_set(err, -ret, "the VM is %s: only one that runs has a console",
                       agent_vm_state_name(agent_vm_seen(v->vm)->state));
    return 0;
}

static int carry_out(struct agent_core *c, struct agent_core_vm *v,
                     const struct link_command *command, struct err *err)
{
    switch (command->kind.v) {
    case LINK_COMMAND_KIND_VM_RESET:
        return agent_vm_reset(v->vm, err);
    case LINK_COMMAND_KIND_VM_POWER_BUTTON:
        return agent_vm_press(v->vm, err);
    case LINK_COMMAND_KIND_VM_CONSOLE_OPEN:
        return open_console(c, v, command, err);
    case LINK_COMMAND_KIND_VM_CONSOLE_LOG:
    case LINK_COMMAND_KIND_N:
        break;
    }
    return 0; /* reading is done again however often it is asked for */
}

static void say_log(struct agent_core *c, const struct agent_core_vm *v,
                    const struct link_command *command, const struct agent_core_result *r)
{
    size_t bytes = 0;
    bool truncated = false;
    char *text = vm_console_log(v->console, (size_t)command->max_bytes.v, &bytes, &truncated);
    for (size_t i = 0; text && i < bytes; i++)
        if (!text[i]) /* the link's texts have none */
            text[i] = ' ';
    say_result(c, r, text, truncated);
    free(text);
}

void agent_core_command(struct agent_core *c, const struct link_command *command)
{
    struct agent_core_result made = {.ok = false};
    struct err err = {0};
    uint8_t id[16];
    link_uuid(&command->id, made.id);
    link_uuid(&command->vm, id);
    struct agent_core_vm *v = agent_core_find(c, id);
    bool reads = command->kind.v == LINK_COMMAND_KIND_VM_CONSOLE_LOG;
    const struct agent_core_result *r = reads ? NULL : find_result(c, made.id);
    if (r) {
        say_result(c, r, NULL, false);
        return;
    }
    int ret =
        v ? carry_out(c, v, command, &err) : err_set(&err, ENOENT, "this host has no such VM");
    made.ok = !ret;
    if (ret)
        snprintf(made.reason, sizeof(made.reason), "%.*s", (int)sizeof(made.reason) - 1, err.msg);
    if (reads && !ret) {
        say_log(c, v, command, &made);
        return;
    }
    c->results[c->n_results++ % AGENT_CORE_RESULTS] = made;
    say_result(c, &made, NULL, false);
}
