/* The catalog against a naive model: a random history of publishes and removals, and after each
 * step every way to find an object gives what the model says. */
#include "mgmt/catalog/catalog.h"

#include "shown.h"
#include "tap.h"

#define OBJECTS 60
#define STEPS   4000

static uint64_t state = 88172645463325252ull;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* What there is, as the model has it. */
struct model {
    struct store_id id, project, parent;
    bool there;
    char name[16];
    uint64_t seq;
};

static struct model model[OBJECTS];
static struct store_id projects[3], hosts[3];
static unsigned told;

static void changed(void *ctx, struct catalog_slot *slot, struct catalog_object *before,
                    struct catalog_object *after)
{
    (void)ctx;
    (void)slot;
    CHECK(before || after);
    told++;
}

static struct catalog_object *make(const struct model *m)
{
    struct catalog_object *v = catalog_new(CATALOG_VM, &m->id, &m->project);
    struct api_vm *vm = v->doc;
    char host[UUID_TEXT_BYTES];
    vm->id = (struct api_text){API_VALUE, v->id_text};
    vm->name = (struct api_text){API_VALUE, m->name};
    vm->status.is = API_VALUE;
    vm->status.v = api_json_new(&api_types_vm_status, &v->arena);
    if (!catalog_id_is_zero(&m->parent)) {
        uuid_format(m->parent.bytes, host);
        vm->status.v->host = (struct api_text){API_VALUE, host};
    }
    CHECK_EQ(catalog_seal(v), 0);
    v->seq = m->seq;
    return v;
}

static size_t count(const struct store_id *project, const struct store_id *parent)
{
    size_t n = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        n += model[i].there && (!project || !memcmp(&model[i].project, project, 16)) &&
             (!parent || !memcmp(&model[i].parent, parent, 16));
    return n;
}

static void check_order(const struct catalog_list *list)
{
    for (size_t i = 1; i < list->n; i++)
        CHECK(memcmp(&list->slots[i - 1]->now->id, &list->slots[i]->now->id, 16) < 0);
}

static void check_all(const struct catalog *c)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        const struct model *m = &model[i];
        const struct catalog_slot *slot = catalog_find(c, CATALOG_VM, &m->id);
        CHECK_EQ(slot != NULL, m->there);
        if (!slot)
            continue;
        CHECK_STR(slot->now->name, m->name);
        CHECK_EQ(slot->now->seq, m->seq);
        CHECK(catalog_find_text(c, CATALOG_VM, &m->project, m->name) == slot);
        CHECK(catalog_find_text(c, CATALOG_VM, &m->project, slot->now->id_text) == slot);
        CHECK(!catalog_find_text(c, CATALOG_PORT, &m->project, m->name));
        CHECK(catalog_find_id(c, CATALOG_VM, slot->now->id_text) == slot);
        CHECK(!catalog_find_id(c, CATALOG_PORT, slot->now->id_text));
        CHECK(!catalog_find_id(c, CATALOG_VM, m->name));
        CHECK(!catalog_find_id(c, CATALOG_VM, NULL));
    }
    CHECK_EQ(catalog_all(c, CATALOG_VM)->n, count(NULL, NULL));
    check_order(catalog_all(c, CATALOG_VM));
    for (unsigned k = 0; k < 3; k++) {
        CHECK_EQ(catalog_in(c, CATALOG_VM, &projects[k])->n, count(&projects[k], NULL));
        CHECK_EQ(catalog_under(c, CATALOG_VM, &hosts[k])->n, count(NULL, &hosts[k]));
        check_order(catalog_in(c, CATALOG_VM, &projects[k]));
        check_order(catalog_under(c, CATALOG_VM, &hosts[k]));
    }
}

static void finds_what_a_history_left(void)
{
    static const struct store_id nothing;
    struct catalog *c = catalog_create(changed, NULL);
    for (unsigned k = 0; k < 3; k++) {
        projects[k] = catalog_id(1000);
        hosts[k] = catalog_id(1000);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        model[i].id = catalog_id(2000 + (int64_t)draw(50));
        model[i].project = projects[draw(3)];
    }
    for (uint64_t step = 1; step <= STEPS; step++) {
        struct model *m = &model[draw(OBJECTS)];
        if (draw(4)) {
            /* Names are unique; what has one keeps it or takes another free one. */
            snprintf(m->name, sizeof(m->name), "vm%u-%u", (unsigned)(m - model), (unsigned)draw(3));
            m->parent = draw(3) ? hosts[draw(3)] : nothing;
            m->seq = step;
            m->there = true;
            CHECK(catalog_publish(c, make(m)) != NULL);
        } else {
            catalog_remove(c, CATALOG_VM, &m->id, step);
            m->there = false;
        }
        if (step % 16 == 0)
            check_all(c);
    }
    check_all(c);
    CHECK(told > STEPS / 2);
    catalog_destroy(c);
}

static void older_news_changes_nothing(void)
{
    struct catalog *c = catalog_create(NULL, NULL);
    struct model m = {.id = catalog_id(1), .project = catalog_id(1), .name = "new", .seq = 10};
    CHECK(catalog_publish(c, make(&m)) != NULL);
    struct model old = m;
    old.seq = 9;
    strcpy(old.name, "old");
    catalog_publish(c, make(&old));
    CHECK_STR(catalog_find(c, CATALOG_VM, &m.id)->now->name, "new");
    catalog_remove(c, CATALOG_VM, &m.id, 9);
    CHECK(catalog_find(c, CATALOG_VM, &m.id) != NULL);
    catalog_remove(c, CATALOG_VM, &m.id, 11);
    CHECK(!catalog_find(c, CATALOG_VM, &m.id));
    catalog_destroy(c);
}

static void what_is_stored_reads_back(void)
{
    struct model m = {.id = catalog_id(1), .project = catalog_id(1), .name = "web", .seq = 3};
    struct catalog_object *v = make(&m), *copy = catalog_copy(v);
    struct api_vm *vm = copy->doc;
    const char *steps[] = {"stop", "run"};
    struct err err = {0};
    vm->user_data = (struct api_text){API_VALUE, "c2VjcmV0"};
    copy->own->steps = (struct api_texts){API_VALUE, 2, steps};
    CHECK_EQ(catalog_seal(copy), 0);
    CHECK(!shows(copy, "c2VjcmV0"));
    const struct store_record record = {.type = STORE_OBJECT,
                                        .kind = CATALOG_VM,
                                        .id = m.id,
                                        .project = m.project,
                                        .body = {copy->body, copy->body_bytes}};
    struct catalog_object *read = catalog_parse(&record, &err);
    REQUIRE(read);
    CHECK(api_json_equal(&api_types_vm, read->doc, copy->doc));
    CHECK(api_json_equal(&catalog_own_type, read->own, copy->own));
    char *before = shown(copy), *after = shown(read);
    CHECK_STR(after, before);
    free(before);
    free(after);
    const struct store_record cut = {
        .type = STORE_OBJECT, .kind = CATALOG_VM, .id = m.id, .body = {copy->body, 20}};
    CHECK(!catalog_parse(&cut, &err));
    CHECK(strstr(err.msg, "restore a backup"));
    catalog_unref(read);
    catalog_unref(copy);
    catalog_unref(v);
}

static void ids_rise(void)
{
    struct store_id last = catalog_id(5000);
    for (int i = 0; i < 10000; i++) {
        struct store_id id = catalog_id(i % 100 ? 5000 : 4000);
        CHECK(memcmp(&last, &id, sizeof(id)) < 0);
        CHECK_EQ(id.bytes[6] >> 4, 7);
        CHECK_EQ(id.bytes[8] >> 6, 2);
        last = id;
    }
}

int main(void)
{
    TAP_RUN(finds_what_a_history_left);
    TAP_RUN(older_news_changes_nothing);
    TAP_RUN(what_is_stored_reads_back);
    TAP_RUN(ids_rise);
    return tap_done();
}
