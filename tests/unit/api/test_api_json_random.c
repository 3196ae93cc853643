/* Of every type that there is, random structs drawn from the tables: what is written reads back the
 * same, and the reader, the checker and the patcher agree about it. */
#include "api/api_json.h"

#include <inttypes.h>

#include "api/api_format.h"
#include "api/gen/all.h"
#include "base/util.h"
#include "base/uuid.h"
#include "tap.h"

#define ROUNDS 30

static struct api_arena arena;
static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? state % below : state;
}

static void draw_object(const struct api_types_object *o, void *object, unsigned depth);

static const char *kept(const char *text)
{
    return api_arena_text(&arena, text, strlen(text));
}

static const char *draw_format(enum api_types_format format)
{
    static const char *const texts[API_FORMATS] = {
        [API_FORMAT_CIDR] = "10.0.0.0/8",
        [API_FORMAT_IP] = "2001:db8::1",
        [API_FORMAT_MAC] = "52:54:00:12:34:56",
        [API_FORMAT_SHA256] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        [API_FORMAT_URL] = "https://a/b?c",
        [API_FORMAT_BASE64] = "aGk=",
        [API_FORMAT_HOSTNAME] = "a.example",
        [API_FORMAT_VERSION] = "1.2~3",
    };
    char text[UUID_TEXT_BYTES];
    uint8_t uuid[16];
    switch (format) {
    case API_FORMAT_UUID:
        for (size_t i = 0; i < sizeof(uuid); i++)
            uuid[i] = (uint8_t)draw(256);
        uuid_format(uuid, text);
        return kept(text);
    case API_FORMAT_TIMESTAMP:
        api_format_time_text((int64_t)draw(4000000000000), text);
        return kept(text);
    case API_FORMAT_NAME:
    case API_FORMAT_KEY:
        snprintf(text, sizeof(text), "n%" PRIx64, draw(0) & 0xffffff);
        return kept(text);
    default:
        return texts[format];
    }
}

/* Any characters that JSON can hold, so also those that have to be escaped. */
static const char *draw_text(int64_t min, int64_t max)
{
    static const char *const characters[] = {
        "a", "\"", "\\", "\n", "\x01", "/", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f"};
    char text[4 * 64 + 1];
    size_t at = 0;
    int64_t n =
        min + (int64_t)draw((uint64_t)MIN(max - min, (int64_t)64 - MIN(min, (int64_t)64)) + 1);
    for (int64_t i = 0; i < n && at + 5 < sizeof(text); i++) {
        const char *ch = characters[draw(ARRAY_LEN(characters))];
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", ch);
    }
    text[at] = '\0';
    return kept(text);
}

static void draw_item(const struct api_types_field *f, unsigned kind, void *item, unsigned depth)
{
    const char *text;
    int64_t number;
    int word;
    switch (kind) {
    case API_KIND_TEXT:
        text =
            f->format ? draw_format((enum api_types_format)f->format) : draw_text(f->min, f->max);
        memcpy(item, &text, sizeof(text));
        break;
    case API_KIND_INT:
        number = f->min + (int64_t)draw((uint64_t)(f->max - f->min) + 1);
        memcpy(item, &number, sizeof(number));
        break;
    case API_KIND_ENUM:
        word = (int)draw(f->words->n);
        memcpy(item, &word, sizeof(word));
        break;
    default:
        draw_object(f->object, item, depth + 1);
    }
}

static void draw_list(const struct api_types_field *f, void *member, unsigned depth)
{
    uint32_t n = f->min_items + (uint32_t)draw(MIN(f->max_items - f->min_items, 3u) + 1);
    size_t stride = api_types_item_bytes(f);
    struct api_list list = {API_VALUE, n, api_arena_array(&arena, n, stride)};
    for (uint32_t i = 0; list.v && i < n; i++)
        draw_item(f, f->item_kind, (char *)list.v + i * stride, depth);
    memcpy(member, &list, sizeof(list));
}

static void draw_map(const struct api_types_field *f, struct api_map *map)
{
    *map = (struct api_map){API_VALUE, 0, api_arena_array(&arena, 3, sizeof(struct api_pair))};
    for (uint64_t n = draw(4); map->v && n; n--) {
        char key[32];
        snprintf(key, sizeof(key), "k%u.%" PRIx64, map->n, draw(0) & 0xffff);
        bool null = (f->flags & API_FIELD_NULL_VALUES) && !draw(3);
        map->v[map->n++] = (struct api_pair){kept(key), null ? NULL : draw_text(f->min, f->max)};
    }
}

static void draw_value(const struct api_types_field *f, void *member, unsigned depth)
{
    static const char *const json[] = {"null", "1", "\"x\"", "{\"a\":[1,2]}", "[]"};
    struct api_object inner = {API_VALUE, NULL};
    enum api_is is = API_VALUE;
    memcpy(member, &is, sizeof(is));
    switch ((enum api_types_kind)f->kind) {
    case API_KIND_NUMBER:
        ((struct api_number *)member)->v =
            f->number_min + (f->number_max - f->number_min) * ((double)draw(1 << 30) / (1 << 30));
        break;
    case API_KIND_BOOL:
        ((struct api_bool *)member)->v = draw(2);
        break;
    case API_KIND_OBJECT:
        inner.v = api_json_new(f->object, &arena);
        draw_object(f->object, inner.v, depth + 1);
        memcpy(member, &inner, sizeof(inner));
        break;
    case API_KIND_LIST:
        draw_list(f, member, depth);
        break;
    case API_KIND_MAP:
        draw_map(f, member);
        break;
    case API_KIND_ANY:
        ((struct api_any *)member)->v = json[draw(ARRAY_LEN(json))];
        break;
    default:
        draw_item(f, f->kind,
                  (char *)member + offsetof(struct api_text, v) * (f->kind != API_KIND_ENUM) +
                      offsetof(struct api_enum, v) * (f->kind == API_KIND_ENUM),
                  depth);
    }
}

static void draw_object(const struct api_types_object *o, void *object, unsigned depth)
{
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        void *member = api_types_at(object, f);
        enum api_is null = API_NULL;
        if (!(f->flags & API_FIELD_REQUIRED) && draw(depth + 2))
            continue;
        if ((f->flags & API_FIELD_NULLABLE) && !draw(4))
            memcpy(member, &null, sizeof(null));
        else
            draw_value(f, member, depth);
    }
}

/* Each type, several times; false ends it. */
static void for_all(bool (*holds)(const struct api_types_object *o, void *object))
{
    for (int t = 0; t < API_TYPES_OBJECTS; t++)
        for (int round = 0; round < ROUNDS; round++) {
            const struct api_types_object *o = api_types_objects[t];
            state = (uint64_t)t * 1000 + (uint64_t)round + UINT64_C(0x9e3779b97f4a7c15);
            api_arena_init(&arena, 64 << 20);
            void *object = api_json_new(o, &arena);
            draw_object(o, object, 0);
            bool good = holds(o, object);
            api_arena_fini(&arena);
            if (!good) {
                printf("# %s, round %d\n", o->what, round);
                CHECK(good);
                return;
            }
        }
}

static void *read_back(const struct api_types_object *o, const void *object, char **text)
{
    struct api_refusal refusal;
    struct api_buf b;
    void *back = NULL;
    api_problem_init(&refusal);
    api_buf_init(&b, 16 << 20);
    api_json_write(o, object, API_JSON_SECRETS, NULL, &b);
    *text = api_buf_steal(&b);
    if (*text && api_json_read(o, *text, strlen(*text), 0, &arena, &back, &refusal))
        printf("# %s\n# %s: %s\n", *text, refusal.errors[0].pointer, refusal.errors[0].detail);
    return back;
}

static bool reads_back(const struct api_types_object *o, void *object)
{
    char *text, *again = NULL;
    void *back = read_back(o, object, &text), *twice = back ? read_back(o, back, &again) : NULL;
    bool good = back && twice && api_json_equal(o, object, back) && !strcmp(text, again);
    free(text);
    free(again);
    return good;
}

static void what_is_written_reads_back_the_same(void)
{
    for_all(reads_back);
}

static bool is_allowed(const struct api_types_object *o, void *object)
{
    struct api_refusal refusal;
    api_problem_init(&refusal);
    if (!api_json_check(o, object, &refusal))
        return true;
    printf("# %s: %s\n", refusal.errors[0].pointer, refusal.errors[0].detail);
    return false;
}

static void the_checker_takes_what_the_reader_takes(void)
{
    for_all(is_allowed);
}

/* Merging into nothing gives the thing itself, and merging it once more changes nothing; what is
 * null or removed in it is gone. */
static bool merges(const struct api_types_object *o, void *object)
{
    void *once = api_json_new(o, &arena), *twice = api_json_new(o, &arena);
    if (!once || !twice || api_json_merge(o, once, o, object, &arena))
        return false;
    memcpy(twice, once, o->bytes);
    if (api_json_merge(o, twice, o, object, &arena) || !api_json_equal(o, once, twice))
        return false;
    char *text;
    struct api_buf b;
    api_buf_init(&b, 16 << 20);
    api_json_write(o, once, API_JSON_SECRETS, NULL, &b);
    text = api_buf_steal(&b);
    bool good = text != NULL;
    free(text);
    return good;
}

static void a_patch_that_is_applied_twice_changes_nothing_more(void)
{
    for_all(merges);
}

static bool fills(const struct api_types_object *o, void *object)
{
    void *once = api_json_new(o, &arena);
    if (!once || api_json_fill(o, object, &arena))
        return false;
    memcpy(once, object, o->bytes);
    return !api_json_fill(o, once, &arena) && api_json_equal(o, once, object) &&
           is_allowed(o, object);
}

static void defaults_keep_what_is_there_and_are_allowed(void)
{
    for_all(fills);
}

/* With an arena of its own that everything else is freed before: ASan sees what is shared. */
static bool copies(const struct api_types_object *o, void *object)
{
    struct api_arena own, other;
    struct api_refusal refusal;
    struct api_buf b;
    void *read = NULL;
    api_problem_init(&refusal);
    api_arena_init(&own, 16 << 20);
    api_arena_init(&other, 16 << 20);
    api_buf_init(&b, 16 << 20);
    api_json_write(o, object, API_JSON_SECRETS, NULL, &b);
    bool good = !b.failed && !api_json_read(o, b.text, b.bytes, 0, &other, &read, &refusal);
    void *copy = good ? api_json_copy(o, read, &own) : NULL;
    api_arena_fini(&other);
    good = copy && api_json_equal(o, object, copy);
    api_buf_fini(&b);
    api_arena_fini(&own);
    return good;
}

static void a_copy_shares_nothing(void)
{
    for_all(copies);
}

int main(void)
{
    TAP_RUN(what_is_written_reads_back_the_same);
    TAP_RUN(the_checker_takes_what_the_reader_takes);
    TAP_RUN(a_patch_that_is_applied_twice_changes_nothing_more);
    TAP_RUN(defaults_keep_what_is_there_and_are_allowed);
    TAP_RUN(a_copy_shares_nothing);
    return tap_done();
}
