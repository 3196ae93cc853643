/* Images against agents that are played: imports on one host and copies on others, checksums,
 * failures, hosts that go; uploads in parts. */
#include <fcntl.h>
#include <sys/stat.h>

#include "rig_storage.h"

/* sha256 of "hello world" */
#define HELLO "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
#define WRONG "0000000000000000000000000000000000000000000000000000000000000000"

/* ---- agents ---- */

struct say {
    struct store_id host;
    struct server_image_seen seen;
};

static void say_in(struct rig *r, void *arg)
{
    const struct say *say = arg;
    server_image_seen(r->s, &say->host, &say->seen);
}

struct ask {
    struct store_id id, host;
    bool there;
    struct server_image_want want;
    char sha256[65];
};

static void ask_in(struct rig *r, void *arg)
{
    struct ask *a = arg;
    const struct catalog_slot *slot = catalog_find(r->s->catalog, CATALOG_IMAGE, &a->id);
    a->there = slot && server_image_want(r->s, slot->now, &a->host, &a->want);
    snprintf(a->sha256, sizeof(a->sha256), "%s", a->there && a->want.sha256 ? a->want.sha256 : "");
}

static struct ask want(const struct store_id *id, const struct store_id *of)
{
    struct ask a = {.id = *id, .host = *of};
    rig_in(&rig, ask_in, &a);
    return a;
}

static void say(const struct store_id *id, const struct store_id *of, int64_t generation,
                enum server_storage_state state, const char *sha256, const char *reason)
{
    struct say s = {*of,
                    {.id = *id,
                     .generation = generation,
                     .state = state,
                     .percent = 30,
                     .received_bytes = 1000,
                     .format = API_IMAGE_FORMAT_QCOW2,
                     .size_bytes = 12345,
                     .virtual_size_bytes = 3 * GIB - 512,
                     .sha256 = sha256,
                     .reason = reason}};
    rig_in(&rig, say_in, &s);
}

static void done(const struct store_id *id, const struct store_id *of)
{
    say(id, of, want(id, of).want.generation, SERVER_STORAGE_PRESENT, HELLO, NULL);
}

static void gone(const struct store_id *id, const struct store_id *of)
{
    say(id, of, want(id, of).want.generation, SERVER_STORAGE_ABSENT, NULL, NULL);
}

/* Which of two hosts was chosen; the other one goes to *other. */
static struct store_id chosen(const struct store_id *id, const struct store_id hosts[2],
                              struct store_id *other)
{
    for (int i = 0; i < 5000; i++) {
        bool a = want(id, &hosts[0]).there, b = want(id, &hosts[1]).there;
        if (a != b) {
            *other = hosts[a];
            return hosts[!a];
        }
        usleep(1000);
    }
    CHECK(!"a host was chosen");
    return hosts[0];
}

static void until_wanted(const struct store_id *id, const struct store_id *of)
{
    for (int i = 0; i < 5000 && !want(id, of).there; i++)
        usleep(1000);
    CHECK(want(id, of).there);
}

/* ---- the user ---- */

static void put_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", rig.dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
}

#define URL_IMAGE                                                                                  \
    "{\"name\":\"i\",\"source\":{\"kind\":\"url\",\"url\":\"https://example.org/i.qcow2\","        \
    "\"sha256\":\"" HELLO "\"}}"

static struct store_id image_there(void)
{
    struct store_id id = create("/images", URL_IMAGE);
    until_wanted(&id, &host);
    done(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    return id;
}

/* ---- imports ---- */

static void a_file_is_imported_by_a_host(void)
{
    char path[128];
    begin();
    put_file("disk.qcow2", "content");
    struct store_id id = create(
        "/images", "{\"name\":\"i\",\"source\":{\"kind\":\"file\",\"file\":\"disk.qcow2\"}}");
    until_wanted(&id, &host);
    struct ask a = want(&id, &host);
    snprintf(path, sizeof(path), "%s/disk.qcow2", rig.dir);
    CHECK(a.want.wish == SERVER_STORAGE_MAKE && a.want.from == SERVER_IMAGE_CONTENT);
    CHECK_STR(a.want.file, path);
    CHECK(!strncmp(a.want.path, "/v1/images/", 11));
    say(&id, &host, a.want.generation, SERVER_STORAGE_WORKING, NULL, NULL);
    CHECK_STR(rig_state(&rig, "/images/i"), "importing");
    CHECK_STR(rig_value(&rig, "received_bytes"), "1000");
    snprintf(path, sizeof(path), "/operations/%s", operation);
    rig_ask(&rig, "GET", path, NULL);
    CHECK_STR(rig_value(&rig, "progress_percent"), "30");
    done(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_STR(rig_state(&rig, "/images/i"), "ready");
    CHECK(strstr(rig.body, "\"virtual_size_bytes\":3221224960") != NULL);
    CHECK(strstr(rig.body, "\"sha256\":\"" HELLO "\"") != NULL);
    CHECK(strstr(rig.body, "\"users\":0") != NULL);
    CHECK_STR(want(&id, &host).sha256, HELLO);
    rig_fini(&rig);
}

static void a_source_is_looked_at(void)
{
    static const struct {
        const char *source;
        int status;
    } cases[] = {
        {"{\"kind\":\"file\",\"file\":\"none\"}", 422},
        {"{\"kind\":\"file\",\"file\":\"../x\"}", 422},
        {"{\"kind\":\"file\",\"file\":\"folder\"}", 422},
        {"{\"kind\":\"file\"}", 422},
        {"{\"kind\":\"url\"}", 422},
        {"{\"kind\":\"url\",\"url\":\"file:///etc/passwd\"}", 422},
        {"{\"kind\":\"url\",\"url\":\"http://h/x\",\"file\":\"x\"}", 422},
        {"{\"kind\":\"volume\"}", 422},
        {"{\"kind\":\"volume\",\"resource\":\"none\"}", 422},
        {"{\"kind\":\"debian\",\"sha256\":\"" HELLO "\"}", 422},
    };
    char path[128], json[512];
    begin();
    snprintf(path, sizeof(path), "%s/folder", rig.dir);
    mkdir(path, 0700);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(json, sizeof(json), "{\"name\":\"i\",\"source\":%s}", cases[i].source);
        CHECK_EQ(rig_ask(&rig, "POST", "/images", json), cases[i].status);
    }
    CHECK_EQ(rig_ask(&rig, "GET", "/images/i", NULL), 404);
    rig_fini(&rig);
}

static void another_checksum_is_an_error(void)
{
    begin();
    struct store_id id = create("/images", URL_IMAGE);
    until_wanted(&id, &host);
    CHECK_STR(want(&id, &host).sha256, HELLO);
    say(&id, &host, want(&id, &host).want.generation, SERVER_STORAGE_PRESENT, WRONG, NULL);
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_value(&rig, "code"), "image.checksum");
    CHECK_STR(rig_state(&rig, "/images/i"), "error");
    CHECK(want(&id, &host).want.wish == SERVER_STORAGE_REMOVE);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"v\",\"image\":\"i\"}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "image.not_ready");
    CHECK_EQ(remove_it("/images/i"), 202);
    gone(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_fini(&rig);
}

static void an_import_that_fails_says_why(void)
{
    begin();
    struct store_id id = create("/images", URL_IMAGE);
    until_wanted(&id, &host);
    int64_t generation = want(&id, &host).want.generation;
    say(&id, &host, generation - 1, SERVER_STORAGE_FAILED, NULL, "of another time");
    CHECK_STR(rig_state(&rig, "/images/i"), "importing");
    say(&id, &host, generation, SERVER_STORAGE_FAILED, NULL, "404 Not Found");
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_value(&rig, "code"), "host.failed");
    rig_ask(&rig, "GET", "/images/i", NULL);
    CHECK_STR(rig_value(&rig, "reason"), "404 Not Found");
    rig_fini(&rig);
}

static void an_import_waits_for_a_host(void)
{
    rig_init(&rig);
    struct store_id id = create("/images", URL_IMAGE);
    until("/images/i", "importing");
    for (int i = 0; i < 1000 && !rig_value(&rig, "reason")[0]; i++) {
        usleep(1000);
        rig_state(&rig, "/images/i");
    }
    CHECK(strstr(rig_value(&rig, "reason"), "no host") != NULL);
    rig_host(&rig, &host, 10);
    until_wanted(&id, &host);
    done(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_ask(&rig, "GET", "/images/i", NULL);
    CHECK_STR(rig_value(&rig, "reason"), "");
    rig_fini(&rig);
}

static void another_host_imports_when_the_first_is_lost(void)
{
    struct store_id hosts[2], other;
    begin();
    hosts[0] = host;
    rig_host(&rig, &hosts[1], 100);
    struct store_id id = create("/images", URL_IMAGE);
    struct store_id first = chosen(&id, hosts, &other);
    say(&id, &first, want(&id, &first).want.generation, SERVER_STORAGE_WORKING, NULL, NULL);
    rig_in(&rig, rig_lose_host, &first);
    until_wanted(&id, &other);
    CHECK(want(&id, &first).want.wish == SERVER_STORAGE_REMOVE);
    done(&id, &other);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_fini(&rig);
}

static void a_copy_is_fetched_where_a_volume_needs_it(void)
{
    struct store_id other, v;
    begin();
    struct store_id id = image_there();
    rig_host(&rig, &other, 5000); /* roomier, but it has not got the image */
    CHECK(!want(&id, &other).there);
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"v\",\"image\":\"i\",\"size_gib\":2}"),
             422);
    create("/volumes", "{\"name\":\"v\",\"image\":\"i\"}");
    rig_ask(&rig, "GET", "/volumes/v", NULL);
    CHECK_STR(rig_value(&rig, "size_gib"), "3");
    struct store_id where;
    rig_id(rig_value(&rig, "host"), &where);
    CHECK(!memcmp(&where, &host, sizeof(host)));
    CHECK(!want(&id, &other).there);
    rig_pools(&rig, &host, 0, NULL);
    v = create("/volumes", "{\"name\":\"w\",\"image\":\"i\"}");
    (void)v;
    until_wanted(&id, &other);
    struct ask a = want(&id, &other);
    CHECK(a.want.wish == SERVER_STORAGE_MAKE);
    CHECK_STR(a.sha256, HELLO);
    done(&id, &other);
    rig_ask(&rig, "GET", "/images/i", NULL);
    CHECK_STR(rig_value(&rig, "users"), "2");
    CHECK_EQ(remove_it("/images/i"), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.in_use");
    rig_fini(&rig);
}

static void disk_in(struct rig *r, void *arg)
{
    const struct server_storage_seen *seen = arg;
    struct store_id of;
    const struct catalog_slot *slot = catalog_find(r->s->catalog, seen->kind, &seen->id);
    if (slot && server_storage_host_of(slot->now, &of))
        server_storage_seen(r->s, &of, seen);
}

static void disk(const struct store_id *id, int64_t generation, enum server_storage_state state,
                 const char *reason)
{
    struct server_storage_seen seen = {.kind = CATALOG_VOLUME,
                                       .id = *id,
                                       .generation = generation,
                                       .state = state,
                                       .size_bytes = 3 * GIB,
                                       .reason = reason};
    rig_in(&rig, disk_in, &seen);
}

struct wish {
    struct store_id id;
    int64_t generation;
};

static void wish_in(struct rig *r, void *arg)
{
    struct wish *w = arg;
    const struct catalog_slot *slot = catalog_find(r->s->catalog, CATALOG_VOLUME, &w->id);
    w->generation = slot && !slot->writing ? server_storage_wish(slot->now) : 1;
}

static int64_t disk_generation(const struct store_id *id)
{
    struct wish w = {.id = *id};
    rig_in(&rig, wish_in, &w);
    return w.generation;
}

static void a_volume_waits_for_its_image(void)
{
    struct store_id other;
    char first[64];
    begin();
    struct store_id id = image_there();
    rig_host(&rig, &other, 50);
    rig_pools(&rig, &host, 0, NULL);
    struct store_id v = create("/volumes", "{\"name\":\"v\",\"image\":\"i\"}");
    disk(&v, 1, SERVER_STORAGE_FAILED, "its source is not there");
    CHECK_STR(rig_state(&rig, "/volumes/v"), "creating");
    CHECK_EQ(disk_generation(&v), 1);
    done(&id, &other);
    for (int i = 0; i < 5000 && disk_generation(&v) == 1; i++)
        usleep(1000);
    CHECK_EQ(disk_generation(&v), 2); /* asked for again */
    CHECK_STR(rig_state(&rig, "/volumes/v"), "creating");
    disk(&v, 2, SERVER_STORAGE_PRESENT, NULL);
    CHECK_STR(rig_end(&rig, operation), "done");
    gone(&id, &other);
    v = create("/volumes", "{\"name\":\"w\",\"image\":\"i\"}");
    snprintf(first, sizeof(first), "%s", operation);
    say(&id, &other, want(&id, &other).want.generation, SERVER_STORAGE_FAILED, NULL, "no route");
    CHECK_STR(rig_end(&rig, first), "failed");
    CHECK(strstr(rig.body, "no route") != NULL);
    CHECK_STR(rig_state(&rig, "/images/i"), "ready");
    rig_fini(&rig);
}

static void a_deletion_waits_for_all_hosts_that_answer(void)
{
    struct store_id other;
    begin();
    struct store_id id = image_there();
    rig_host(&rig, &other, 50);
    say(&id, &other, want(&id, &host).want.generation, SERVER_STORAGE_PRESENT, HELLO, NULL);
    CHECK_EQ(rig_ask(&rig, "PATCH", "/images/i", "{\"delete_protection\":true}"), 200);
    CHECK_EQ(remove_it("/images/i"), 409);
    CHECK_EQ(rig_ask(&rig, "PATCH", "/images/i", "{\"delete_protection\":false}"), 200);
    CHECK_EQ(remove_it("/images/i"), 202);
    gone(&id, &host);
    CHECK_STR(rig_state(&rig, "/images/i"), "deleting");
    CHECK(want(&id, &other).want.wish == SERVER_STORAGE_REMOVE);
    gone(&id, &other);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(rig_ask(&rig, "GET", "/images/i", NULL), 404);
    rig_fini(&rig);
}

static void a_deletion_does_not_wait_for_a_host_that_is_lost(void)
{
    begin();
    image_there();
    CHECK_EQ(remove_it("/images/i"), 202);
    rig_in(&rig, rig_lose_host, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_fini(&rig);
}

static void an_image_of_a_volume_lies_on_its_host(void)
{
    struct store_id hosts[2], other, where;
    begin();
    hosts[0] = host;
    rig_host(&rig, &hosts[1], 5000);
    struct server_storage_seen seen = {.kind = CATALOG_VOLUME,
                                       .generation = 1,
                                       .state = SERVER_STORAGE_PRESENT,
                                       .size_bytes = GIB};
    seen.id = create("/volumes", "{\"name\":\"v\",\"size_gib\":1}");
    rig_ask(&rig, "POST", "/images",
            "{\"name\":\"i\",\"source\":{\"kind\":\"volume\",\"resource\":\"v\"}}");
    CHECK_STR(rig_value(&rig, "code"), "resource.wrong_state");
    rig_in(&rig, disk_in, &seen);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_ask(&rig, "GET", "/volumes/v", NULL);
    rig_id(rig_value(&rig, "host"), &where);
    struct store_id id = create("/images", "{\"name\":\"i\",\"source\":{\"kind\":\"volume\","
                                           "\"resource\":\"v\"}}");
    struct store_id on = chosen(&id, hosts, &other);
    CHECK(!memcmp(&on, &where, sizeof(on)));
    struct ask a = want(&id, &on);
    CHECK(a.want.from == SERVER_IMAGE_VOLUME && !memcmp(&a.want.resource, &seen.id, 16));
    CHECK_EQ(rig_ask(&rig, "DELETE", "/volumes/v", NULL), 409);
    CHECK_STR(rig_value(&rig, "code"), "resource.in_use");
    done(&id, &on);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_pools(&rig, &on, 0, NULL); /* the only host that could make a volume of it */
    CHECK_EQ(rig_ask(&rig, "POST", "/volumes", "{\"name\":\"w\",\"image\":\"i\"}"), 409);
    CHECK_STR(rig_value(&rig, "code"), "placement.no_host");
    CHECK_EQ(rig_ask(&rig, "DELETE", "/volumes/v", NULL), 202);
    rig_fini(&rig);
}

static void cancel_in(struct rig *r, void *arg)
{
    struct server_call c = {.s = r->s};
    api_problem_init(&c.refusal);
    struct server_txn *t = server_txn_begin(r->s, NULL);
    CHECK_EQ(server_image_cancel(&c, t, catalog_find(r->s->catalog, CATALOG_IMAGE, arg)), 0);
    CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
}

static void an_import_is_cancelled(void)
{
    begin();
    struct store_id id = create("/images", URL_IMAGE);
    until_wanted(&id, &host);
    rig_in(&rig, cancel_in, &id);
    CHECK_STR(rig_end(&rig, operation), "cancelled");
    CHECK_STR(rig_state(&rig, "/images/i"), "error");
    CHECK(want(&id, &host).want.wish == SERVER_STORAGE_REMOVE);
    rig_fini(&rig);
}

static void a_portable_image_outlives_its_host(void)
{
    struct store_id other;
    begin();
    struct store_id id = image_there();
    rig_host(&rig, &other, 50);
    rig_in(&rig, rig_remove_host, &host);
    until_wanted(&id, &other);
    CHECK_STR(rig_state(&rig, "/images/i"), "ready");
    rig_fini(&rig);
}

static void a_built_image_does_not(void)
{
    struct store_id other;
    begin();
    struct store_id id = create("/images", "{\"name\":\"i\",\"source\":{\"kind\":\"debian\"}}");
    until_wanted(&id, &host);
    struct ask a = want(&id, &host);
    CHECK(a.want.from == SERVER_IMAGE_DEBIAN && a.want.debian != NULL);
    done(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    rig_host(&rig, &other, 50);
    rig_in(&rig, rig_remove_host, &host);
    until("/images/i", "error");
    CHECK(!want(&id, &other).there);
    rig_fini(&rig);
}

/* ---- a VM's first disk ---- */

struct boot {
    struct store_id image, host, vm, volume;
    int64_t size_gib, size;
    const char *pool;
    int result;
    char code[64];
};

static void boot_in(struct rig *r, void *arg)
{
    struct boot *b = arg;
    static const struct store_id nobody;
    struct server_call c = {.s = r->s};
    api_problem_init(&c.refusal);
    api_arena_init(&c.arena, API_JSON_ARENA_BYTES);
    c.project = catalog_find_text(r->s->catalog, CATALOG_PROJECT, &nobody, "default")->now->id;
    struct catalog_object *vm = catalog_new(CATALOG_VM, &b->vm, &c.project), *v = NULL;
    struct server_txn *t = server_txn_begin(r->s, NULL);
    const struct catalog_slot *image = catalog_find(r->s->catalog, CATALOG_IMAGE, &b->image);
    b->result = server_storage_boot(&c, t, vm, image->now, b->size_gib, b->pool, &b->host, &v);
    if (v) {
        b->volume = v->id;
        b->size = ((struct api_volume *)v->doc)->size_gib.v;
    }
    snprintf(b->code, sizeof(b->code), "%s",
             b->result < 0 ? api_problem_kinds[c.refusal.code].code : "");
    if (b->result)
        server_txn_abandon(t);
    else
        CHECK_EQ(server_txn_commit(t, NULL, NULL), 0);
    catalog_unref(vm);
    api_arena_fini(&c.arena);
}

/* Again while something that it needs is being written. */
static void boot(struct boot *b)
{
    do
        rig_in(&rig, boot_in, b);
    while (b->result == SERVER_WAIT);
}

static void a_vm_gets_its_first_disk(void)
{
    char path[64], id[UUID_TEXT_BYTES];
    begin();
    struct store_id image = create("/images", URL_IMAGE);
    struct boot b = {.image = image, .host = host, .vm = catalog_id(server_now_ms())};
    boot(&b);
    CHECK_STR(b.code, "image.not_ready");
    until_wanted(&image, &host);
    done(&image, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(rig_ask(&rig, "PATCH", "/images/i", "{\"min_disk_gib\":4}"), 200);
    b.size_gib = 3;
    boot(&b);
    CHECK_STR(b.code, "request.invalid");
    b.size_gib = 0;
    b.pool = "none";
    boot(&b);
    CHECK_STR(b.code, "reference.not_found");
    b.pool = "local";
    b.size_gib = 500;
    boot(&b);
    CHECK_STR(b.code, "placement.no_host");
    b.size_gib = 0;
    boot(&b);
    CHECK_EQ(b.result, 0);
    CHECK_EQ(b.size, 4);
    uuid_format(b.volume.bytes, id);
    snprintf(path, sizeof(path), "/volumes/%s", id);
    until(path, "creating");
    CHECK_STR(rig_value(&rig, "operation"), "");
    rig_ask(&rig, "GET", "/images/i", NULL);
    CHECK_STR(rig_value(&rig, "users"), "1"); /* and nothing of those that were refused */
    rig_ask(&rig, "GET", "/pools/local", NULL);
    CHECK_STR(rig_value(&rig, "promised_gib"), "4");
    rig_fini(&rig);
}

/* ---- uploads ---- */

static int put_part(const char *part, const char *range, const char *query)
{
    char headers[256], path[64];
    snprintf(headers, sizeof(headers), "Content-Type: application/octet-stream\r\n%s%s%s",
             range ? "Content-Range: " : "", range ? range : "", range ? "\r\n" : "");
    snprintf(path, sizeof(path), "/images/i/content%s", query);
    return rig_send(&rig, "PUT", path, headers, part, strlen(part));
}

static struct store_id upload(const char *sha256)
{
    char json[512];
    snprintf(
        json, sizeof(json),
        "{\"name\":\"i\",\"source\":{\"kind\":\"upload\",\"sha256\":\"%s\",\"size_bytes\":11}}",
        sha256);
    return create("/images", json);
}

static void an_upload_comes_in_parts(void)
{
    begin();
    struct store_id id = upload(HELLO);
    CHECK_STR(rig_state(&rig, "/images/i"), "waiting");
    CHECK_EQ(put_part("hello", "bytes 0-4/11", ""), 200);
    CHECK_STR(rig_value(&rig, "received_bytes"), "5");
    CHECK_STR(rig_value(&rig, "state"), "waiting");
    CHECK_EQ(put_part("hello", "bytes 0-4/11", ""), 409);
    CHECK(strstr(rig.body, "5 bytes have come") != NULL);
    CHECK_EQ(put_part("x", "bytes 5-9/11", ""), 400);
    CHECK_EQ(put_part("x", "lines 5-5/11", ""), 400);
    CHECK_EQ(put_part(" world!", "bytes 5-11/12", ""), 422);
    CHECK_EQ(put_part(" wor", NULL, "?offset_bytes=5"), 200);
    CHECK_STR(rig_value(&rig, "received_bytes"), "9");
    CHECK_EQ(put_part("ld", NULL, "?offset_bytes=9"), 200);
    CHECK_STR(rig_value(&rig, "state"), "importing");
    CHECK_STR(rig_value(&rig, "received_bytes"), "11");
    CHECK_EQ(put_part("x", NULL, ""), 409);
    until_wanted(&id, &host);
    struct ask a = want(&id, &host);
    CHECK_STR(a.sha256, HELLO);
    struct stat st;
    CHECK(!stat(a.want.file, &st) && st.st_size == 11);
    CHECK_EQ(rig_send(&rig, "GET", "/images/i/content", "", NULL, 0), 200);
    CHECK_STR(rig.body, "hello world");
    CHECK_EQ(rig_send(&rig, "GET", "/images/i/content", "Range: bytes=6-8\r\n", NULL, 0), 206);
    CHECK_STR(rig.body, "wor");
    CHECK_EQ(rig_send(&rig, "GET", "/images/i/content", "Range: bytes=11-\r\n", NULL, 0), 400);
    done(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(remove_it("/images/i"), 202);
    gone(&id, &host);
    CHECK_STR(rig_end(&rig, operation), "done");
    for (int i = 0; i < 5000 && !stat(a.want.file, &st); i++)
        usleep(1000);
    CHECK(stat(a.want.file, &st) < 0);
    rig_fini(&rig);
}

static void an_upload_with_another_checksum_is_refused(void)
{
    begin();
    upload(WRONG);
    CHECK_EQ(put_part("hello world", NULL, ""), 422);
    CHECK_STR(rig_value(&rig, "code"), "image.checksum");
    CHECK_STR(rig_end(&rig, operation), "failed");
    CHECK_STR(rig_value(&rig, "code"), "image.checksum");
    CHECK_STR(rig_state(&rig, "/images/i"), "error");
    rig_fini(&rig);
}

static void an_upload_that_nobody_measured_is_whole_or_says_its_total(void)
{
    begin();
    create("/images", "{\"name\":\"i\",\"source\":{\"kind\":\"upload\"}}");
    CHECK_EQ(put_part("hello", "bytes 0-4/*", ""), 422);
    CHECK_EQ(put_part("hello", NULL, "?offset_bytes=0"), 200);
    CHECK_STR(rig_value(&rig, "state"), "importing");
    rig_fini(&rig);
}

static void an_upload_that_waits_is_deleted_at_once(void)
{
    begin();
    upload(HELLO);
    CHECK_EQ(put_part("hello", "bytes 0-4/11", ""), 200);
    CHECK_EQ(remove_it("/images/i"), 202);
    CHECK_STR(rig_end(&rig, operation), "done");
    CHECK_EQ(rig_ask(&rig, "GET", "/images/i", NULL), 404);
    rig_fini(&rig);
}

int main(void)
{
    TAP_RUN(a_file_is_imported_by_a_host);
    TAP_RUN(a_source_is_looked_at);
    TAP_RUN(another_checksum_is_an_error);
    TAP_RUN(an_import_that_fails_says_why);
    TAP_RUN(an_import_waits_for_a_host);
    TAP_RUN(another_host_imports_when_the_first_is_lost);
    TAP_RUN(a_copy_is_fetched_where_a_volume_needs_it);
    TAP_RUN(a_volume_waits_for_its_image);
    TAP_RUN(a_deletion_waits_for_all_hosts_that_answer);
    TAP_RUN(a_deletion_does_not_wait_for_a_host_that_is_lost);
    TAP_RUN(an_image_of_a_volume_lies_on_its_host);
    TAP_RUN(an_import_is_cancelled);
    TAP_RUN(a_portable_image_outlives_its_host);
    TAP_RUN(a_built_image_does_not);
    TAP_RUN(a_vm_gets_its_first_disk);
    TAP_RUN(an_upload_comes_in_parts);
    TAP_RUN(an_upload_with_another_checksum_is_refused);
    TAP_RUN(an_upload_that_nobody_measured_is_whole_or_says_its_total);
    TAP_RUN(an_upload_that_waits_is_deleted_at_once);
    return tap_done();
}
