/* Messages of the link: what is written is read, what is wrong is refused and said why. */
#include "link/link.h"

#include <errno.h>
#include <string.h>

#include "api/api_json.h"
#include "base/util.h"
#include "tap.h"

#define ID    "01890a5d-ac96-774b-bcce-b302099a8057"
#define OTHER "01890a5d-ac96-774b-bcce-b302099a8058"

#define HELLO                                                                                      \
    "{\"type\":\"hello\",\"protocol\":1,\"host\":\"" ID "\",\"boot\":\"" ID                        \
    "\",\"instance\":\"" ID "\",\"agent_version\":\"0.1.0\""

static struct api_arena arena;
static struct link_message message;
static struct err err;

static int from(enum link_side side, const char *text)
{
    err = (struct err){0};
    return link_read(side, text, strlen(text), &arena, &message, &err);
}

static void reads_a_message_and_fills_in_defaults(void)
{
    api_arena_init(&arena, LINK_ARENA_BYTES);
    REQUIRE(!from(LINK_AGENT, HELLO "}"));
    CHECK_EQ(message.type, LINK_TYPE_HELLO);
    CHECK_STR(message.hello->host.v, ID);
    CHECK_EQ(message.hello->desired_seq.is, API_VALUE);
    CHECK_EQ(message.hello->desired_seq.v, 0);
    REQUIRE(!from(LINK_SERVER, "{\"type\":\"desired\",\"seq\":4,\"vms\":[{\"id\":\"" ID
                               "\",\"generation\":1,\"epoch\":1,\"power\":\"running\","
                               "\"config\":{\"cpus\":{\"count\":2}},\"disks\":[{\"volume\":\"" OTHER
                               "\",\"size_bytes\":1048576}]}]}"));
    REQUIRE(message.desired->vms.n == 1);
    const struct link_vm_want *vm = &message.desired->vms.v[0];
    CHECK_EQ(vm->grace_ms.v, 60000);
    CHECK_EQ(vm->power.v, LINK_VM_WANT_POWER_RUNNING);
    CHECK_STR(vm->config.v, "{\"cpus\":{\"count\":2}}");
    REQUIRE(vm->disks.n == 1);
    CHECK_EQ(vm->disks.v[0].keep.is, API_VALUE);
    CHECK(!vm->disks.v[0].keep.v);
    uint8_t id[16];
    link_uuid(&vm->id, id);
    CHECK_EQ(id[0], 0x01);
    CHECK_EQ(id[15], 0x57);
    api_arena_fini(&arena);
}

static void skips_members_that_a_newer_peer_sends(void)
{
    api_arena_init(&arena, LINK_ARENA_BYTES);
    CHECK(!from(LINK_AGENT, HELLO ",\"in_a_later_version\":{\"a\":[1,2]}}"));
    api_arena_fini(&arena);
}

static void refuses_what_is_not_allowed_and_says_where(void)
{
    static const struct {
        enum link_side side;
        const char *text;
        int code;
        const char *words;
    } WRONG[] = {
        {LINK_AGENT, "", EINVAL, "begins with"},
        {LINK_AGENT, "[]", EINVAL, "begins with"},
        {LINK_AGENT, "{\"protocol\":1,\"type\":\"hello\"}", EINVAL, "begins with"},
        {LINK_AGENT, "{\"type\":\"nonsense\"}", EINVAL, "begins with"},
        {LINK_AGENT, "{\"type\":\"hel", EINVAL, "begins with"},
        {LINK_AGENT, "{\"type\":\"hello\"", EINVAL, "not JSON"},
        {LINK_AGENT, "{\"type\":\"hello\"}", EINVAL, "/protocol"},
        {LINK_AGENT, "{\"type\":\"seen\",\"vms\":[{}]}", EINVAL, "/vms/0/id"},
        {LINK_AGENT, "{\"type\":\"seen\",\"type\":\"bye\"}", EINVAL, "given twice"},
        {LINK_AGENT, "{\"type\":\"usage_ack\"}", EPERM, "not for an agent"},
        {LINK_SERVER, HELLO "}", EPERM, "not for a server"},
        {LINK_SERVER, "{\"type\":\"desired\",\"seq\":-1}", EINVAL, "/seq"},
        {LINK_SERVER,
         "{\"type\":\"desired\",\"seq\":1,\"vms\":[{\"id\":\"" ID
         "\",\"generation\":1,\"epoch\":1,\"power\":\"hibernated\"}]}",
         EINVAL, "/vms/0/power"},
    };
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++) {
        api_arena_init(&arena, LINK_ARENA_BYTES);
        message.any = &arena;
        CHECK_EQ(from(WRONG[i].side, WRONG[i].text), -WRONG[i].code);
        CHECK(strstr(err.msg, WRONG[i].words) != NULL);
        if (!strstr(err.msg, WRONG[i].words))
            printf("# %s: %s\n", WRONG[i].text, err.msg);
        CHECK(message.any == &arena); /* untouched */
        api_arena_fini(&arena);
    }
}

static void what_is_written_is_read_by_the_other_end(void)
{
    struct link_vm_seen vms[] = {{.id = {API_VALUE, ID},
                                  .managed = {API_VALUE, true},
                                  .generation = {API_VALUE, 3},
                                  .epoch = {API_VALUE, 2},
                                  .state = {API_VALUE, LINK_VM_SEEN_STATE_FAILED},
                                  .reason = {API_VALUE, "its \"disk\" is\ngone"}}};
    struct link_seen seen = {.full = {API_VALUE, true}, .vms = {API_VALUE, 1, vms}};
    struct api_buf b;
    api_arena_init(&arena, LINK_ARENA_BYTES);
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(LINK_TYPE_SEEN, &seen, &b);
    REQUIRE(!b.failed);
    CHECK(!link_check(LINK_TYPE_SEEN, &seen, NULL));
    REQUIRE(!from(LINK_AGENT, b.text));
    CHECK(message.seen->full.v && !message.seen->more.v);
    REQUIRE(message.seen->vms.n == 1);
    CHECK_STR(message.seen->vms.v[0].reason.v, "its \"disk\" is\ngone");
    CHECK_EQ(message.seen->vms.v[0].state.v, LINK_VM_SEEN_STATE_FAILED);
    vms[0].id.v = "not an id";
    CHECK_EQ(link_check(LINK_TYPE_SEEN, &seen, &err), -EINVAL);
    CHECK(strstr(err.msg, "/vms/0/id") != NULL);
    api_buf_fini(&b);
    api_arena_fini(&arena);
}

static void every_type_has_a_struct_that_begins_with_it_and_a_sender(void)
{
    for (unsigned i = 0; i < LINK_TYPE_N; i++) {
        const struct api_types_object *o = link_object((enum link_type)i);
        REQUIRE(o != NULL);
        CHECK_STR(o->fields[0].name, "type");
        CHECK(link_may_send(LINK_AGENT, (enum link_type)i) ||
              link_may_send(LINK_SERVER, (enum link_type)i));
    }
}

static void a_stream_keeps_its_number_and_its_bytes(void)
{
    struct api_buf b;
    uint32_t stream = 0;
    const char *data = NULL;
    size_t bytes = 0;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_stream_write(0x12345678, "\0\xff", 2, &b);
    REQUIRE(!link_stream_read(b.text, b.bytes, &stream, &data, &bytes));
    CHECK_EQ(stream, 0x12345678);
    CHECK_EQ(bytes, 2);
    CHECK(!memcmp(data, "\0\xff", 2));
    CHECK_EQ(link_stream_read(b.text, 3, &stream, &data, &bytes), -EINVAL);
    CHECK_EQ(link_stream_read("\0\0\0\0x", 5, &stream, &data, &bytes), -EINVAL);
    CHECK_EQ(link_stream_read("\x80\0\0\0x", 5, &stream, &data, &bytes), -EINVAL);
    CHECK_EQ(link_stream_read(b.text, LINK_STREAM_DATA_MAX_BYTES + LINK_STREAM_HEAD_BYTES + 1,
                              &stream, &data, &bytes),
             -EINVAL);
    api_buf_fini(&b);
}

static void a_message_that_is_too_long_is_not_looked_at(void)
{
    api_arena_init(&arena, LINK_ARENA_BYTES);
    CHECK_EQ(link_read(LINK_AGENT, HELLO, LINK_MESSAGE_MAX_BYTES + 1, &arena, &message, &err),
             -E2BIG);
    api_arena_fini(&arena);
}

int main(void)
{
    TAP_RUN(reads_a_message_and_fills_in_defaults);
    TAP_RUN(skips_members_that_a_newer_peer_sends);
    TAP_RUN(refuses_what_is_not_allowed_and_says_where);
    TAP_RUN(what_is_written_is_read_by_the_other_end);
    TAP_RUN(every_type_has_a_struct_that_begins_with_it_and_a_sender);
    TAP_RUN(a_stream_keeps_its_number_and_its_bytes);
    TAP_RUN(a_message_that_is_too_long_is_not_looked_at);
    return tap_done();
}
