#include "dev/chipset/fw_cfg.h"

#include <errno.h>

#include "chipset_fixture.h"
#include "tap.h"

#define PORT MEMORY_MAP_FW_CFG

struct fw_test {
    struct fixture f;
    struct guest_mem mem;
    struct fw_cfg fw;
};

static const uint8_t contents[] = "0123456789";

static void begin(struct fw_test *t)
{
    memset(t, 0, sizeof(*t));
    fixture_init(&t->f);
    CHECK_EQ(guest_mem_init(&t->mem, 2 * MIB, 0, NULL), 0);
    CHECK_EQ(fw_cfg_init(&t->fw, &t->f.bus, &t->mem, NULL), 0);
    CHECK_EQ(fw_cfg_add_value(&t->fw, FW_CFG_N_CPUS, 4, 2, NULL), 0);
    CHECK_EQ(fw_cfg_add_file(&t->fw, "etc/first", contents, 3, NULL), 0);
    CHECK_EQ(fw_cfg_add_file(&t->fw, "etc/second", contents, 10, NULL), 0);
}

static void end(struct fw_test *t)
{
    fw_cfg_fini(&t->fw);
    guest_mem_fini(&t->mem);
    fixture_fini(&t->f);
}

static void read_item(struct fw_test *t, uint16_t key, uint8_t *to, unsigned len)
{
    out(&t->f, PORT, 2, key);
    for (unsigned i = 0; i < len; i++)
        to[i] = (uint8_t)in(&t->f, PORT + 1, 1);
}

/* Runs a DMA descriptor; returns the control word that it ends with. */
static uint32_t dma(struct fw_test *t, uint32_t control, uint32_t len, uint64_t gpa)
{
    uint8_t d[16];
    le32_write(d, htobe32(control));
    le32_write(d + 4, htobe32(len));
    le64_write(d + 8, htobe64(gpa));
    guest_mem_write(&t->mem, 0x1000, d, sizeof(d));
    out(&t->f, PORT + 4, 4, 0);
    out(&t->f, PORT + 8, 4, htobe32(0x1000));
    guest_mem_read(&t->mem, 0x1000, d, 4);
    return be32toh(le32_read(d));
}

static void identifies_itself(void)
{
    struct fw_test t;
    uint8_t b[8];
    begin(&t);
    read_item(&t, 0, b, 4);
    CHECK(!memcmp(b, "QEMU", 4));
    read_item(&t, 1, b, 4);
    CHECK_EQ(b[0], 3);
    CHECK_EQ(in(&t.f, PORT + 4, 4), 0x554d4551); /* "QEMU", read as little-endian */
    CHECK_EQ(in(&t.f, PORT + 8, 4), 0x47464320); /* " CFG" */
    read_item(&t, FW_CFG_N_CPUS, b, 4);
    CHECK_EQ(le32_read(b), 4); /* zeroes behind the end */
    read_item(&t, 0x7777, b, 4);
    CHECK_EQ(le32_read(b), 0);
    end(&t);
}

static void lists_files_and_their_sizes(void)
{
    struct fw_test t;
    uint8_t b[4 + 2 * 64];
    begin(&t);
    read_item(&t, 0x19, b, sizeof(b));
    CHECK_EQ(be32toh(le32_read(b)), 2);
    CHECK_EQ(be32toh(le32_read(b + 68)), 10);
    CHECK_EQ(be16toh(le16_read(b + 72)), 0x21);
    CHECK_STR((const char *)b + 76, "etc/second");
    uint8_t data[12];
    read_item(&t, 0x21, data, 12);
    CHECK(!memcmp(data, "0123456789\0\0", 12));
    end(&t);
}

static void reads_selects_and_skips_by_dma(void)
{
    struct fw_test t;
    begin(&t);
    CHECK_EQ(dma(&t, 0x21u << 16 | 8 | 4, 2, 0), 0);
    CHECK_EQ(dma(&t, 2, 4, 0x2000), 0);
    CHECK(!memcmp(guest_mem_ptr(&t.mem, 0x2000, 5), "2345\0", 5));
    CHECK_EQ(dma(&t, 4, UINT32_MAX, 0), 0);
    memset(guest_mem_ptr(&t.mem, 0x2000, 5), 0xff, 5);
    CHECK_EQ(dma(&t, 2, 4, 0x2000), 0);
    CHECK(!memcmp(guest_mem_ptr(&t.mem, 0x2000, 5), "\0\0\0\0\xff", 5));
    CHECK_EQ(dma(&t, 0x19u << 16 | 8 | 2, 4 + 64, 0x2000), 0);
    CHECK_STR(guest_mem_ptr(&t.mem, 0x200c, 1), "etc/first");
    end(&t);
}

static void refuses_dma_that_writes_or_leaves_ram(void)
{
    struct fw_test t;
    begin(&t);
    CHECK_EQ(dma(&t, 0x20u << 16 | 8 | 0x10, 4, 0x2000), 1);
    CHECK_EQ(dma(&t, 0x21u << 16 | 8 | 2, 10, 2 * MIB - 5), 1);
    CHECK_EQ(dma(&t, 0x21u << 16 | 8 | 2, 10, UINT64_MAX - 3), 1);
    CHECK_EQ(dma(&t, 0x21u << 16 | 8 | 2, UINT32_MAX, 0x2000), 1); /* zeroes without end */
    /* A descriptor outside of RAM changes nothing. */
    out(&t.f, PORT + 4, 4, 0xffffffff);
    out(&t.f, PORT + 8, 4, 0xffffffff);
    end(&t);
}

static void refuses_what_it_has_no_room_for(void)
{
    struct fw_test t;
    char name[80];
    begin(&t);
    CHECK_EQ(fw_cfg_add_file(&t.fw, "etc/first", contents, 1, NULL), -EEXIST);
    CHECK_EQ(fw_cfg_add_value(&t.fw, FW_CFG_N_CPUS, 1, 2, NULL), -EEXIST);
    memset(name, 'x', sizeof(name));
    name[56] = 0;
    CHECK_EQ(fw_cfg_add_file(&t.fw, name, contents, 1, NULL), -ENAMETOOLONG);
    int ret = 0;
    for (unsigned i = 0; !ret && i < 100; i++) {
        snprintf(name, sizeof(name), "file-%u", i);
        ret = fw_cfg_add_file(&t.fw, name, contents, 1, NULL);
    }
    CHECK_EQ(ret, -ENOSPC);
    end(&t);
}

static void takes_any_width_at_any_offset(void)
{
    struct fw_test t;
    begin(&t);
    for (unsigned key = 0; key < 0x42; key++) {
        out(&t.f, PORT, 2, key);
        fixture_touch_all(&t.f, PORT + 1, 11);
    }
    end(&t);
}

static void saves_and_loads_its_position(void)
{
    struct fw_test a, b;
    struct state_writer w;
    struct state_reader r;
    begin(&a);
    begin(&b);
    uint8_t data[3];
    read_item(&a, 0x21, data, 3);
    state_writer_init(&w);
    fw_cfg_save(&a.fw, &w);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(fw_cfg_load(&b.fw, &r), 0);
    CHECK_EQ(in(&b.f, PORT + 1, 1), '3');
    memset(w.data + 34, 0xff, 4);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(fw_cfg_load(&b.fw, &r), 0);
    CHECK_EQ(in(&b.f, PORT + 1, 1), 0); /* far behind the end */
    CHECK_EQ(dma(&b, 2, 4, 0x2000), 0);
    fw_cfg_reset(&b.fw);
    CHECK_EQ(in(&b.f, PORT + 1, 1), 0);
    state_writer_fini(&w);
    end(&a);
    end(&b);
}

int main(void)
{
    TAP_RUN(identifies_itself);
    TAP_RUN(lists_files_and_their_sizes);
    TAP_RUN(reads_selects_and_skips_by_dma);
    TAP_RUN(refuses_dma_that_writes_or_leaves_ram);
    TAP_RUN(refuses_what_it_has_no_room_for);
    TAP_RUN(takes_any_width_at_any_offset);
    TAP_RUN(saves_and_loads_its_position);
    return tap_done();
}
