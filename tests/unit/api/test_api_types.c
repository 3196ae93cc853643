/* The generated tables hold together. */
#include "api/api_types.h"

#include "api/gen/all.h"
#include "tap.h"

static void fields_lie_within_their_structs_and_do_not_overlap(void)
{
    for (int t = 0; t < API_TYPES_OBJECTS; t++) {
        const struct api_types_object *o = api_types_objects[t];
        uint32_t end = 0;
        for (uint32_t i = 0; i < o->n_fields; i++) {
            const struct api_types_field *f = &o->fields[i];
            CHECK(f->offset >= end);
            end = f->offset + (uint32_t)api_types_member_bytes(f);
            CHECK(end <= o->bytes);
        }
    }
}

static void every_field_says_what_its_kind_needs(void)
{
    for (int t = 0; t < API_TYPES_OBJECTS; t++) {
        const struct api_types_object *o = api_types_objects[t];
        for (uint32_t i = 0; i < o->n_fields; i++) {
            const struct api_types_field *f = &o->fields[i];
            unsigned kind = f->kind == API_KIND_LIST ? f->item_kind : f->kind;
            CHECK(kind != API_KIND_ENUM || (f->words && f->words->n));
            CHECK(kind != API_KIND_OBJECT || f->object);
            CHECK(kind != API_KIND_TEXT || f->max > 0);
            CHECK(f->kind != API_KIND_LIST || f->max_items > 0);
            CHECK(f->min <= f->max);
            CHECK(!(f->flags & API_FIELD_REQUIRED) || !(f->flags & API_FIELD_NULLABLE));
        }
    }
}

static void finds_fields_by_their_whole_names(void)
{
    const struct api_types_field *f = api_types_find(&api_types_vm, "flavor", 6);
    REQUIRE(f);
    CHECK_STR(f->name, "flavor");
    CHECK(!api_types_find(&api_types_vm, "flavo", 5));
    CHECK(!api_types_find(&api_types_vm, "flavors", 7));
    CHECK(!api_types_find(&api_types_vm, "", 0));
    CHECK(api_types_find(&api_types_vm, "name rest", 4) != NULL);
}

static void what_only_the_server_writes_cannot_be_given(void)
{
    CHECK(!api_types_find(&api_types_vm_create, "status", 6));
    CHECK(!api_types_find(&api_types_vm_create, "id", 2));
    CHECK(!api_types_find(&api_types_vm_patch, "flavor", 6));
    CHECK(api_types_find(&api_types_vm_patch, "name", 4) != NULL);
    CHECK(api_types_vm_patch.base == &api_types_vm);
}

int main(void)
{
    TAP_RUN(fields_lie_within_their_structs_and_do_not_overlap);
    TAP_RUN(every_field_says_what_its_kind_needs);
    TAP_RUN(finds_fields_by_their_whole_names);
    TAP_RUN(what_only_the_server_writes_cannot_be_given);
    return tap_done();
}
