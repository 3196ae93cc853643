#include "boot/smbios.h"

#include "base/util.h"
#include "boot/boot_layout.h"
#include "boot/smbios_wire.h"
#include "tap.h"

static struct err err;
static const uint8_t uuid[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

/* Walks the structures as a kernel does; returns the one of `type`, counts them in *n, and puts
 * its strings into `strings`. NULL if the tables are not well formed. */
static const uint8_t *find(struct guest_mem *mem, unsigned type, unsigned *n, const char **strings)
{
    const struct smbios_wire_entry *e = guest_mem_ptr(mem, BOOT_LAYOUT_SMBIOS, sizeof(*e));
    const uint8_t *found = NULL;
    uint8_t sum = 0;
    for (size_t i = 0; i < sizeof(*e); i++)
        sum = (uint8_t)(sum + ((const uint8_t *)e)[i]);
    if (memcmp(e->anchor, "_SM3_", 5) || sum)
        return NULL;
    const uint8_t *p = guest_mem_ptr(mem, e->address, e->max_size), *end = p + e->max_size;
    for (*n = 0; p && p + 4 < end;) {
        const char *s = (const char *)p + p[1];
        bool match = p[0] == type;
        *n += match;
        for (unsigned i = 1; *s; i++, s += strlen(s) + 1)
            if (match && i < 8)
                strings[i] = s;
        if (match)
            found = p;
        if (p[0] == 127)
            return (const uint8_t *)s + (p[1] + 2 > 6 ? 1 : 2) <= end ? found : NULL;
        /* Two NULs end a structure, whether or not it has strings. */
        p = (const uint8_t *)s + ((const char *)p + p[1] == s ? 2 : 1);
    }
    return NULL;
}

static void has_the_types_that_the_specification_requires(void)
{
    static const unsigned types[] = {0, 1, 3, 4, 16, 17, 19, 32, 127};
    struct guest_mem mem;
    const struct smbios_config c = {.n_vcpus = 2, .name = "web-1"};
    REQUIRE(guest_mem_init(&mem, 16 * MIB, 0, &err) == 0);
    CHECK_EQ(smbios_install(&mem, &c, &err), 0);
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        const char *strings[8] = {0};
        unsigned n;
        CHECK(find(&mem, types[i], &n, strings) != NULL);
        CHECK_EQ(n, 1);
    }
    guest_mem_fini(&mem);
}

static void says_who_it_is(void)
{
    struct guest_mem mem;
    struct smbios_config c = {.n_vcpus = 2, .name = "web\n1", .serial = "ds=nocloud"};
    const char *strings[8] = {0};
    unsigned n;
    memcpy(c.uuid, uuid, sizeof(uuid));
    REQUIRE(guest_mem_init(&mem, 16 * MIB, 0, &err) == 0);
    REQUIRE(smbios_install(&mem, &c, &err) == 0);
    const struct smbios_wire_system *s = (const void *)find(&mem, 1, &n, strings);
    REQUIRE(s);
    CHECK_STR(strings[s->manufacturer], "Virga");
    CHECK_STR(strings[s->serial], "ds=nocloud");
    static const uint8_t stored[] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66};
    CHECK(!memcmp(s->uuid, stored, sizeof(stored)));
    CHECK(!memcmp(s->uuid + 8, uuid + 8, 8));
    const struct smbios_wire_chassis *ch = (const void *)find(&mem, 3, &n, strings);
    REQUIRE(ch);
    CHECK_STR(strings[ch->asset_tag], "web?1");
    guest_mem_fini(&mem);
}

static void maps_memory_on_both_sides_of_the_hole(void)
{
    struct guest_mem mem;
    struct smbios_config c = {.n_vcpus = 1};
    const char *strings[8] = {0};
    unsigned n;
    REQUIRE(guest_mem_init(&mem, 40 * GIB, 0, &err) == 0);
    REQUIRE(smbios_install(&mem, &c, &err) == 0);
    const struct smbios_wire_memory_device *d = (const void *)find(&mem, 17, &n, strings);
    REQUIRE(d);
    CHECK_EQ(d->size_mib, 0x7fff);
    CHECK_EQ(d->extended_size_mib, 40 * 1024);
    const struct smbios_wire_memory_map *m = (const void *)find(&mem, 19, &n, strings);
    REQUIRE(m);
    CHECK_EQ(n, 2);
    CHECK_EQ(m->first_kib, 4 * MIB);
    CHECK_EQ(m->last_kib, 41 * MIB - 1);
    guest_mem_fini(&mem);
}

static void takes_names_of_any_length(void)
{
    struct guest_mem mem;
    char name[5000];
    const char *strings[8] = {0};
    unsigned n;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    REQUIRE(guest_mem_init(&mem, 16 * MIB, 0, &err) == 0);
    const struct smbios_config c = {.n_vcpus = 1, .name = name, .serial = ""};
    REQUIRE(smbios_install(&mem, &c, &err) == 0);
    const struct smbios_wire_chassis *ch = (const void *)find(&mem, 3, &n, strings);
    REQUIRE(ch);
    CHECK_EQ(strlen(strings[ch->asset_tag]), SMBIOS_STRING_MAX);
    CHECK(find(&mem, 127, &n, strings) != NULL);
    guest_mem_fini(&mem);
}

int main(void)
{
    TAP_RUN(has_the_types_that_the_specification_requires);
    TAP_RUN(says_who_it_is);
    TAP_RUN(maps_memory_on_both_sides_of_the_hole);
    TAP_RUN(takes_names_of_any_length);
    return tap_done();
}
