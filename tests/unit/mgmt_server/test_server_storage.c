/* Volumes, snapshots and pools against an agent that is played: late, lost and repeated reports,
 * failures, a store that fails, hosts that go. */
#include "rig_storage.h"

/* ---- the agent ---- */

struct say {
    struct store_id host;
    struct server_storage_seen seen;
};

static void say_in(struct rig *r, void *arg)
{
    const struct say *say = arg;
    server_storage_seen(r->s, &say->host, &say->seen);
}

static void say(const struct store_id *id, enum catalog_kind kind, int64_t generation,
                enum server_storage_state state, uint64_t size_gib, const char *reason)
{
    struct say s = {host,
                    {.kind = kind,
                     .id = *id,
                     .generation = generation,
                     .state = state,
                     .percent = 40,
                     .size_bytes = size_gib * GIB,
                     .used_bytes = 5 * MIB,
                     .reason = reason}};
    rig_in(&rig, say_in, &s);
}

struct ask {
    enum catalog_kind kind;
    struct store_id id;
    bool there;
    struct server_storage_want want;
    char pool[64];
};

static void ask_in(struct rig *r, void *arg)
{
    struct ask *a = arg;
    const struct catalog_slot *slot = catalog_find(r->s->catalog, a->kind, &a->id);
    a->there = slot && server_storage_want(r->s, slot->now, &a->want);
    snprintf(a->pool, sizeof(a->pool), "%s", a->there ? a->want.pool : "");
}

static struct ask want(const struct store_id *id, enum catalog_kind kind)
{
    struct ask a = {.kind = kind, .id = *id};
    rig_in(&rig, ask_in, &a);
    return a;
}

/* What is there, as the agent knows it now. */
static void done(const struct store_id *id, enum catalog_kind kind, uint64_t size_gib)
{
    say(id, kind, want(id, kind).want.generation, SERVER_STORAGE_PRESENT, size_gib, NULL);
}

static void gone(const struct store_id *id, enum catalog_kind kind)
{
    say(id, kind, want(id, kind).want.generation, SERVER_STORAGE_ABSENT, 0, NULL);
}

static void failed(const struct store_id *id, enum catalog_kind kind, const char *why)
{
    say(id, kind, want(id, kind).want.generation, SERVER_STORAGE_FAILED, 0, why);
}

/* Nothing follows from what was just said: no write has begun. */
static void writing_in(struct rig *r, void *arg)
{
    struct ask *a = arg;
    const struct catalog_slot *slot = catalog_find(r->s->catalog, a->kind, &a->id);
    a->there = slot && slot->writing;
}

static bool nothing_follows(const struct store_id *id, enum catalog_kind kind)
{
    struct ask a = {.kind = kind, .id = *id};
    rig_in(&rig, writing_in, &a);
    return !a.there;
}

/* ---- the user ---- */

static struct store_id volume(const char *name, unsigned size_gib)
{
    char json[128];
    snprintf(json, sizeof(json), "{\"name\":\"%s\",\"size_gib\":%u}", name, size_gib);
    struct store_id id = create("/volumes", json);
    return id;
}

static struct store_id volume_there(const char *name, unsigned size_gib)
{
    struct store_id id = volume(name, size_gib);
    done(&id, CATALOG_VOLUME, size_gib);
    CHECK_STR(rig_end(&rig, operation), "done");
    return id;
}

static void post(const char *path, const char *json)
{
    rig_ask(&rig, "POST", path, json);
    keep_operation();
}

struct used {
    const char *name;
    int64_t value;
};

static void used_in(struct rig *r, void *arg)
{
    struct used *u = arg;
    static const struct store_id nobody;
    const struct catalog_slot *slot =
        catalog_find_text(r->s->catalog, CATALOG_PROJECT, &nobody, "default");
    u->value = server_quota_used(r->s, &slot->now->id, u->name);
}

static int64_t used(const char *name)
{
    struct used u = {name, 0};
    rig_in(&rig, used_in, &u);
    return u.value;
}

/* ---- volumes ---- */

static void a_volume_is_there_when_its_host_says_so(void)
{
    begin();
    struct store_id id = volume("v", 2);
    CHECK_STR(rig_state(&rig, "/volumes/v"), "creating");
    struct ask a = want(&id, CATALOG_VOLUME);
    CHECK(a.there && a.want.wish == SERVER_STORAGE_MAKE);
    CHECK_EQ(a.want.size_bytes, 2 * GIB);
    CHECK_STR(a.pool, "local");
    CHECK(!memcmp(&a.want.host, &host, sizeof(host)));
    say(&id, CATALOG_VOLUME, 1, SERVER_STORAGE_WORKING, 0, NULL);
    char path[96];
    snprintf(path, sizeof(path), "/operations/%s", operation);
    rig_ask(&rig, "GET", path, NULL);
    CHECK_STR(rig_value(&rig, "progress_percent"), "40");
    CHECK_STR(rig_value(&rig, "state"), "running");
    snprintf(path, sizeof(path), "/operations/%s/cancel", operation);
    CHECK_EQ(rig_ask(&rig, "POST", path, NULL), 409);
    CHECK_STR(rig_value(&rig, "code"), "operation.not_cancellable");
    done(&id, CATALOG_VOLUME, 1); /* not as large as it shall be */
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "creating");
    done(&id, CATALOG_VOLUME, 2);
    done(&id, CATALOG_VOLUME, 2);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    CHECK_STR(rig_value(&rig, "used_bytes"), "5242880");
    CHECK_STR(rig_value(&rig, "operation"), "");
    CHECK(want(&id, CATALOG_VOLUME).want.wish == SERVER_STORAGE_KEEP);
    rig_fini(&rig);
}

static void one_that_cannot_be_made_says_why_and_can_be_deleted(void)
{
    begin();
    struct store_id id = volume("v", 2);
    failed(&id, CATALOG_VOLUME, "no space left on /srv/pool");
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_value(&rig, "code"), "host.failed");
    CHECK(strstr(rig.body, "no space left") != NULL);
    CHECK_STR(rig_state(&rig, "/volumes/v"), "error");
    CHECK_STR(rig_value(&rig, "reason"), "no space left on /srv/pool");
    CHECK(want(&id, CATALOG_VOLUME).want.wish == SERVER_STORAGE_REMOVE);
    CHECK_EQ(used("volume_gib"), 2);
    CHECK_EQ(remove_it("/volumes/v"), 202);
    say(&id, CATALOG_VOLUME, 1, SERVER_STORAGE_ABSENT, 0, NULL); /* said before it was asked */
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "deleting");
    gone(&id, CATALOG_VOLUME);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(rig_ask(&rig, "GET", "/volumes/v", NULL), 404);
    CHECK_EQ(used("volume_gib"), 0);
    CHECK_EQ(used("volumes"), 0);
    rig_fini(&rig);
}

static void a_creation_is_given_up_by_a_deletion(void)
{
    char first[64];
    begin();
    struct store_id id = volume("v", 2);
    snprintf(first, sizeof(first), "%s", operation);
    CHECK_EQ(remove_it("/volumes/v"), 202);
    CHECK_STR(rig_end(&rig, first), "cancelled");
    CHECK_EQ(remove_it("/volumes/v"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.busy");
    rig_ask(&rig, "GET", "/volumes/v", NULL);
    snprintf(operation, sizeof(operation), "%s", rig_value(&rig, "operation"));
    say(&id, CATALOG_VOLUME, 1, SERVER_STORAGE_PRESENT, 2, NULL); /* made after all */
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "deleting");
    gone(&id, CATALOG_VOLUME);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_fini(&rig);
}

/* A write that somebody else has begun. */
static void touch_in(struct rig *r, void *arg)
{
    struct catalog_slot *slot = catalog_find(r->s->catalog, CATALOG_VOLUME, arg);
    struct server_txn *t = server_txn_begin(r->s, NULL);
    server_txn_put(t, slot, catalog_copy(slot->now), true);
    CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
    CHECK(slot->writing);
}

/* Whether the server has begun a change of its own. */
static void settling_in(struct rig *r, void *arg)
{
    static const struct store_id nowhere;
    struct ask *a = arg;
    const struct server_storage_fact *f =
        server_storage_fact_find(r->s->storage, a->kind, &a->id, &nowhere);
    a->there = f && f->settling;
}

static void a_report_while_it_is_written_counts_afterwards(void)
{
    begin();
    struct store_id id = volume("v", 2);
    store_null_hold(rig.store, true);
    rig_in(&rig, touch_in, &id);
    say(&id, CATALOG_VOLUME, 1, SERVER_STORAGE_PRESENT, 2, NULL);
    CHECK_STR(rig_state(&rig, "/volumes/v"), "creating");
    struct ask a = {.kind = CATALOG_VOLUME, .id = id};
    rig_in(&rig, settling_in, &a);
    CHECK(!a.there); /* two writes of one object at once */
    store_null_hold(rig.store, false);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    rig_fini(&rig);
}

static void what_the_store_does_not_take_is_written_later(void)
{
    begin();
    struct store_id id = volume("v", 2);
    store_null_fail(rig.store, STORE_NULL_FAIL_COMMIT, 1, 1);
    done(&id, CATALOG_VOLUME, 2);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    rig_fini(&rig);
}

static void a_resize_is_done_or_undone(void)
{
    begin();
    struct store_id id = volume_there("v", 2);
    post("/volumes/v/resize", "{\"size_gib\":1}");
    CHECK_EQ(rig.status, 422);
    post("/volumes/v/resize", "{\"size_gib\":5}");
    CHECK_EQ(rig.status, 202);
    CHECK_EQ(want(&id, CATALOG_VOLUME).want.size_bytes, 5 * GIB);
    done(&id, CATALOG_VOLUME, 2); /* not yet */
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "resizing");
    char wait[64];
    snprintf(wait, sizeof(wait), "%s", operation);
    CHECK_EQ(remove_it("/volumes/v"), 409);
    done(&id, CATALOG_VOLUME, 5);
    CHECK_STR(rig_end(&rig, wait), "done");
    CHECK_EQ(used("volume_gib"), 5);
    post("/volumes/v/resize", "{\"size_gib\":7}");
    int64_t generation = want(&id, CATALOG_VOLUME).want.generation;
    say(&id, CATALOG_VOLUME, generation - 1, SERVER_STORAGE_FAILED, 5, "of another time");
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "resizing");
    failed(&id, CATALOG_VOLUME, "no space");
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    CHECK_STR(rig_value(&rig, "size_gib"), "5");
    CHECK_STR(rig_value(&rig, "reason"), "no space");
    CHECK_EQ(used("volume_gib"), 5);
    CHECK_EQ(want(&id, CATALOG_VOLUME).want.size_bytes, 5 * GIB);
    rig_fini(&rig);
}

static void a_deletion_that_the_host_refuses_can_be_tried_again(void)
{
    begin();
    struct store_id id = volume_there("v", 2);
    CHECK_EQ(remove_it("/volumes/v"), 202);
    int64_t first = want(&id, CATALOG_VOLUME).want.generation;
    failed(&id, CATALOG_VOLUME, "a monitor uses it");
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    CHECK_EQ(remove_it("/volumes/v"), 202);
    say(&id, CATALOG_VOLUME, first, SERVER_STORAGE_FAILED, 0, "said twice");
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "deleting");
    gone(&id, CATALOG_VOLUME);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_fini(&rig);
}

static void one_that_vanishes_is_in_error_until_it_is_back(void)
{
    begin();
    struct store_id id = volume_there("v", 2);
    gone(&id, CATALOG_VOLUME);
    for (int i = 0; i < 1000 && strcmp(rig_state(&rig, "/volumes/v"), "error") != 0; i++)
        usleep(1000);
    CHECK_STR(rig_value(&rig, "reason"), "its host no longer has it");
    CHECK(want(&id, CATALOG_VOLUME).want.wish == SERVER_STORAGE_KEEP);
    done(&id, CATALOG_VOLUME, 2);
    for (int i = 0; i < 1000 && strcmp(rig_state(&rig, "/volumes/v"), "available") != 0; i++)
        usleep(1000);
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    rig_fini(&rig);
}

static void others_than_its_host_have_no_say(void)
{
    begin();
    struct store_id id = volume("v", 2), mine = host;
    host.bytes[15] ^= 1;
    say(&id, CATALOG_VOLUME, 1, SERVER_STORAGE_PRESENT, 2, NULL);
    CHECK(nothing_follows(&id, CATALOG_VOLUME));
    CHECK_STR(rig_state(&rig, "/volumes/v"), "creating");
    host = mine;
    id.bytes[15] ^= 1;
    say(&id, CATALOG_VOLUME, 1, SERVER_STORAGE_PRESENT, 2, NULL); /* nobody's */
    say(&id, CATALOG_SNAPSHOT, 1, SERVER_STORAGE_PRESENT, 2, NULL);
    say(&id, CATALOG_VM, 1, SERVER_STORAGE_PRESENT, 2, NULL);
    CHECK_EQ(rig_ask(&rig, "GET", "/volumes/v", NULL), 200);
    rig_fini(&rig);
}

static void a_host_that_is_taken_away_ends_what_it_was_to_do(void)
{
    char making[64], removing[64];
    begin();
    volume_there("kept", 1);
    struct store_id going = volume_there("going", 1);
    volume("made", 1);
    snprintf(making, sizeof(making), "%s", operation);
    CHECK_EQ(remove_it("/volumes/going"), 202);
    snprintf(removing, sizeof(removing), "%s", operation);
    rig_in(&rig, rig_remove_host, &host);
    CHECK_STR(rig_end(&rig, making), "failed");
    CHECK_STR(rig_end(&rig, removing), "done");
    CHECK_EQ(rig_ask(&rig, "GET", "/volumes/going", NULL), 404);
    CHECK(!want(&going, CATALOG_VOLUME).there);
    for (int i = 0; i < 1000 && strcmp(rig_state(&rig, "/volumes/kept"), "error") != 0; i++)
        usleep(1000);
    CHECK_STR(rig_value(&rig, "reason"), "its host was taken from the cloud");
    CHECK_EQ(remove_it("/volumes/kept"), 202);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_fini(&rig);
}

static void what_no_driver_offers_is_refused(void)
{
    static const char *const bodies[] = {
        "{\"name\":\"v\",\"size_gib\":1,\"encrypted\":true}",
        "{\"name\":\"v\",\"size_gib\":1,\"qos\":{\"read_iops\":100}}",
        "{\"name\":\"v\",\"source_volume\":\"x\"}",
    };
    begin();
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        CHECK_EQ(rig_ask(&rig, "POST", "/volumes", bodies[i]), 501);
        CHECK_STR(rig_value(&rig, "code"), "feature.no_driver");
    }
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"v\"}"), 422);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"v\",\"size_gib\":1,\"pool\":\"no\"}"),
             422);
    CHECK_EQ(
        rig_ask(&rig, "POST", "/pools", "{\"name\":\"c\",\"kind\":\"ceph\",\"location\":\"rbd\"}"),
        501);
    volume_there("v", 1);
    CHECK_EQ(rig_ask(&rig, "PATCH", "/volumes/v", "{\"qos\":{\"write_iops\":5}}"), 501);
    CHECK_EQ(rig_ask(&rig, "PATCH", "/volumes/v", "{\"description\":\"d\"}"), 200);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes/v/restore", "{\"snapshot\":\"s\"}"), 501);
    CHECK_EQ(used("volumes"), 1);
    rig_fini(&rig);
}

static void protection_and_quota_hold(void)
{
    begin();
    create("/volumes", "{\"name\":\"v\",\"size_gib\":1,\"delete_protection\":true}");
    CHECK_EQ(remove_it("/volumes/v"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.protected");
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"v\",\"size_gib\":1}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.name_taken");
    CHECK_EQ(used("volumes"), 1);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"size_gib\":20000}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "placement.no_host");
    rig_pools(&rig, &host, 60000, NULL);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"size_gib\":20000}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "quota.exceeded");
    CHECK_EQ(used("volume_gib"), 1);
    rig_fini(&rig);
}

/* ---- snapshots ---- */

static void a_snapshot_lives_and_dies(void)
{
    begin();
    struct store_id v = volume_there("v", 3);
    struct store_id s = create("/snapshots", "{\"name\":\"s\",\"volume\":\"v\"}");
    struct ask a = want(&s, CATALOG_SNAPSHOT);
    CHECK(a.there && a.want.wish == SERVER_STORAGE_MAKE && a.want.source_kind == CATALOG_VOLUME);
    CHECK(!memcmp(&a.want.source, &v, sizeof(v)));
    CHECK_STR(a.pool, "local");
    done(&s, CATALOG_SNAPSHOT, 3);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_STR(rig_state(&rig, "/snapshots/s"), "available");
    CHECK_STR(rig_value(&rig, "size_gib"), "3");
    CHECK_EQ(used("volume_gib"), 6);
    CHECK_EQ(
        rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"snapshot\":\"s\",\"size_gib\":2}"),
        422);
    struct store_id w = create("/volumes", "{\"name\":\"w\",\"snapshot\":\"s\"}");
    a = want(&w, CATALOG_VOLUME);
    CHECK(a.want.source_kind == CATALOG_SNAPSHOT && a.want.size_bytes == 3 * GIB);
    CHECK_EQ(remove_it("/snapshots/s"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.in_use");
    failed(&w, CATALOG_VOLUME, "no");
    CHECK_EQ(remove_it("/volumes/w"), 202);
    gone(&w, CATALOG_VOLUME);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(remove_it("/volumes/v"), 202); /* a snapshot outlives its volume */
    gone(&v, CATALOG_VOLUME);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(remove_it("/snapshots/s"), 202);
    gone(&s, CATALOG_SNAPSHOT);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(used("snapshots"), 0);
    CHECK_EQ(used("volume_gib"), 0);
    rig_fini(&rig);
}

static void a_snapshot_that_fails_is_in_error(void)
{
    begin();
    volume_there("v", 3);
    struct store_id s = create("/snapshots", "{\"name\":\"s\",\"volume\":\"v\"}");
    failed(&s, CATALOG_SNAPSHOT, NULL);
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_state(&rig, "/snapshots/s"), "error");
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"snapshot\":\"s\"}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.wrong_state");
    rig_fini(&rig);
}

/* ---- volumes of VMs ---- */

struct attach {
    struct api_vm_volume spec;
    const char *twice;
    struct store_id vm, volume, host;
    int result;
    char code[64];
};

static void attach_in(struct rig *r, void *arg)
{
    struct attach *a = arg;
    static const struct store_id nobody;
    struct server_call c = {.s = r->s};
    api_problem_init(&c.refusal);
    api_arena_init(&c.arena, API_JSON_ARENA_BYTES);
    c.project = catalog_find_text(r->s->catalog, CATALOG_PROJECT, &nobody, "default")->now->id;
    struct catalog_object *vm = catalog_new(CATALOG_VM, &a->vm, &c.project), *v = NULL;
    struct server_txn *t = server_txn_begin(r->s, NULL);
    a->result = server_storage_attach(&c, t, vm, &a->spec, 0, &a->host, &v);
    if (!a->result && a->twice)
        a->result = server_storage_attach(&c, t, vm, &a->spec, 1, &a->host, &v);
    if (v)
        a->volume = v->id;
    snprintf(a->code, sizeof(a->code), "%s",
             a->result < 0 ? api_problem_kinds[c.refusal.code].code : "");
    if (a->result)
        server_txn_abandon(t);
    else
        CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
    catalog_unref(vm);
    api_arena_fini(&c.arena);
}

struct release {
    struct store_id volume;
    bool remove;
    int result;
};

static void release_in(struct rig *r, void *arg)
{
    struct release *x = arg;
    struct server_txn *t = server_txn_begin(r->s, NULL);
    x->result = server_storage_release(t, catalog_find(r->s->catalog, CATALOG_VOLUME, &x->volume),
                                       x->remove);
    if (x->result)
        server_txn_abandon(t);
    else
        CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
}

static void a_volume_is_attached_once_and_released(void)
{
    begin();
    struct store_id id = volume_there("v", 1);
    struct attach a = {.spec = {.volume = {API_VALUE, "v"}}, .twice = "v", .host = host};
    a.vm = catalog_id(server_now_ms());
    rig_in(&rig, attach_in, &a);
    CHECK_STR(a.code, "resource.in_use");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "available");
    a.twice = NULL;
    a.host.bytes[0] ^= 1;
    rig_in(&rig, attach_in, &a);
    CHECK_STR(a.code, "placement.no_host");
    a.host = host;
    rig_in(&rig, attach_in, &a);
    CHECK_EQ(a.result, 0);
    until("/volumes/v", "attached");
    CHECK_EQ(strlen(rig_value(&rig, "device_id")), 20);
    done(&id, CATALOG_VOLUME, 1);
    CHECK_STR(rig_state(&rig, "/volumes/v"), "attached");
    rig_in(&rig, attach_in, &a);
    CHECK_STR(a.code, "resource.in_use");
    CHECK_EQ(remove_it("/volumes/v"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.in_use");
    store_null_hold(rig.store, true);
    rig_in(&rig, touch_in, &id);
    struct release x = {.volume = id};
    rig_in(&rig, release_in, &x);
    CHECK_EQ(x.result, SERVER_WAIT);
    store_null_hold(rig.store, false);
    for (int i = 0; i < 1000 && x.result; i++)
        rig_in(&rig, release_in, &x);
    until("/volumes/v", "available");
    CHECK_STR(rig_value(&rig, "vm"), "");
    rig_fini(&rig);
}

static void a_new_volume_of_a_vm_goes_with_it(void)
{
    char path[64], id[UUID_TEXT_BYTES];
    begin();
    struct attach a = {.spec = {.size_gib = {API_VALUE, 4}}, .host = host};
    a.vm = catalog_id(server_now_ms());
    rig_in(&rig, attach_in, &a);
    CHECK_EQ(a.result, 0);
    uuid_format(a.volume.bytes, id);
    snprintf(path, sizeof(path), "/volumes/%s", id);
    until(path, "creating");
    done(&a.volume, CATALOG_VOLUME, 4);
    until(path, "attached");
    CHECK_EQ(used("volume_gib"), 4);
    struct release x = {.volume = a.volume, .remove = true};
    rig_in(&rig, release_in, &x);
    until(path, "deleting");
    gone(&a.volume, CATALOG_VOLUME);
    for (int i = 0; i < 2000 && rig_ask(&rig, "GET", path, NULL) != 404; i++)
        usleep(1000);
    CHECK_EQ(rig.status, 404);
    CHECK_EQ(used("volume_gib"), 0);
    CHECK_EQ(used("volumes"), 0);
    a.spec.size_gib = (struct api_int){0};
    rig_in(&rig, attach_in, &a);
    CHECK_STR(a.code, "request.invalid");
    rig_fini(&rig);
}

/* ---- pools ---- */

static void pools_are_added_up_over_hosts(void)
{
    struct store_id other;
    begin();
    CHECK_STR(rig_state(&rig, "/pools/local"), "online");
    CHECK_STR(rig_value(&rig, "size_gib"), "100");
    CHECK_STR(rig_value(&rig, "used_gib"), "50");
    rig_host(&rig, &other, 40);
    volume_there("v", 7); /* on the roomier one */
    rig_ask(&rig, "GET", "/pools", NULL);
    CHECK_STR(rig_value(&rig, "size_gib"), "140");
    CHECK_STR(rig_value(&rig, "promised_gib"), "7");
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"size_gib\":94}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "placement.no_host");
    CHECK_EQ(rig_ask(&rig, "PATCH", "/pools/local", "{\"overcommit_ratio\":2}"), 200);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"size_gib\":94}"), 202);
    rig_pools(&rig, &other, 40, "its disk is read-only");
    CHECK_STR(rig_state(&rig, "/pools/local"), "degraded");
    CHECK_STR(rig_value(&rig, "reason"), "its disk is read-only");
    rig_pools(&rig, &host, 0, NULL);
    CHECK_STR(rig_state(&rig, "/pools/local"), "offline");
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"x\",\"size_gib\":1}"), 409);
    CHECK_EQ(rig_ask(&rig, "DELETE", "/pools/local", NULL), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.in_use");
    rig_fini(&rig);
}

static void a_disabled_pool_takes_nothing_new(void)
{
    begin();
    CHECK_EQ(rig_ask(&rig, "PATCH", "/pools/local", "{\"enabled\":false}"), 200);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"v\",\"size_gib\":1}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "placement.no_host");
    rig_pools(&rig, &host, 0, NULL);
    CHECK_EQ(rig_ask(&rig, "DELETE", "/pools/local", NULL), 204);
    rig_fini(&rig);
}

int main(void)
{
    TAP_RUN(a_volume_is_there_when_its_host_says_so);
    TAP_RUN(one_that_cannot_be_made_says_why_and_can_be_deleted);
    TAP_RUN(a_creation_is_given_up_by_a_deletion);
    TAP_RUN(a_report_while_it_is_written_counts_afterwards);
    TAP_RUN(what_the_store_does_not_take_is_written_later);
    TAP_RUN(a_resize_is_done_or_undone);
    TAP_RUN(a_deletion_that_the_host_refuses_can_be_tried_again);
    TAP_RUN(one_that_vanishes_is_in_error_until_it_is_back);
    TAP_RUN(others_than_its_host_have_no_say);
    TAP_RUN(a_host_that_is_taken_away_ends_what_it_was_to_do);
    TAP_RUN(what_no_driver_offers_is_refused);
    TAP_RUN(protection_and_quota_hold);
    TAP_RUN(a_snapshot_lives_and_dies);
    TAP_RUN(a_snapshot_that_fails_is_in_error);
    TAP_RUN(a_volume_is_attached_once_and_released);
    TAP_RUN(a_new_volume_of_a_vm_goes_with_it);
    TAP_RUN(pools_are_added_up_over_hosts);
    TAP_RUN(a_disabled_pool_takes_nothing_new);
    return tap_done();
}
