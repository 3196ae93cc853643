/* boot/gpt.h: tables made by hand, whole and damaged. */
#include "boot/gpt.h"

#include "disk_images.h"
#include "tap.h"

#define DISK_BYTES (8 * MIB)

static const uint64_t two_ranges[][2] = {{64, 127}, {0, 0}, {2048, 4095}};

static int table_of(struct disk_image *d, struct gpt *gpt, struct err *err)
{
    struct disk_reader r = disk_image_reader(d);
    return gpt_read(&r, gpt, err);
}

static void a_gpt_lists_its_partitions_by_number(void)
{
    struct disk_image d;
    struct gpt gpt;
    struct err err = {0};
    for (unsigned big = 0; big < 2; big++) {
        uint64_t sector = big ? 4096 : 512;
        static const uint64_t small[][2] = {{64, 127}, {0, 0}, {512, 1023}};
        disk_image_init(&d, DISK_BYTES);
        put_gpt(&d, sector, big ? small : two_ranges, 3);
        CHECK_EQ(table_of(&d, &gpt, &err), 0);
        CHECK_EQ(gpt.scheme, GPT_GPT);
        REQUIRE(gpt.n == 2);
        CHECK_EQ(gpt.partitions[0].number, 1);
        CHECK_EQ(gpt.partitions[0].offset_bytes, 64 * sector);
        CHECK_EQ(gpt.partitions[0].size_bytes, 64 * sector);
        CHECK_EQ(gpt.partitions[1].number, 3);
        CHECK_STR(gpt.partitions[1].partuuid, "11111111-1111-1111-1111-111111111111");
        disk_image_fini(&d);
    }
}

static void a_damaged_primary_header_or_list_leaves_the_backup(void)
{
    static const uint64_t damage[] = {512 + 20, 512 + 90, 1024 + 33, 512};
    struct gpt gpt;
    for (unsigned i = 0; i < ARRAY_LEN(damage); i++) {
        struct disk_image d;
        struct err err = {0};
        disk_image_init(&d, DISK_BYTES);
        put_gpt(&d, 512, two_ranges, 3);
        d.data[damage[i]] ^= 1;
        CHECK_EQ(table_of(&d, &gpt, &err), 0);
        CHECK_EQ(gpt.n, 2);
        disk_image_fini(&d);
    }
}

static void two_damaged_copies_are_refused_with_the_sum(void)
{
    struct disk_image d;
    struct gpt gpt;
    struct err err = {0};
    disk_image_init(&d, DISK_BYTES);
    put_gpt(&d, 512, two_ranges, 3);
    d.data[512 + 60] ^= 1;
    d.data[DISK_BYTES - 512 + 60] ^= 1;
    CHECK(table_of(&d, &gpt, &err) == -EINVAL);
    CHECK(strstr(err.msg, "GPT header at sector 1 is damaged") && strstr(err.msg, "backup"));
    disk_image_fini(&d);
}

static void absurd_sizes_in_a_gpt_are_refused(void)
{
    static const struct {
        unsigned at;
        uint32_t value;
    } changes[] = {{80, UINT32_MAX}, {84, 8},    {84, UINT32_MAX},
                   {12, 20},         {12, 4000}, {72, UINT32_MAX}};
    for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
        struct disk_image d;
        struct gpt gpt;
        struct err err = {0};
        disk_image_init(&d, DISK_BYTES);
        put_gpt(&d, 512, two_ranges, 3);
        for (unsigned copy = 0; copy < 2; copy++) {
            uint8_t *h = d.data + (copy ? DISK_BYTES - 512 : 512);
            le32_write(h + changes[i].at, changes[i].value);
            le32_write(h + 16, 0);
            uint32_t bytes = le32_read(h + 12);
            le32_write(h + 16, plain_crc32(h, MIN(bytes, 512)));
        }
        CHECK(table_of(&d, &gpt, &err) == -EINVAL);
        CHECK(err.msg[0]);
        disk_image_fini(&d);
    }
}

static void partitions_beyond_the_disk_are_left_out(void)
{
    static const uint64_t ranges[][2] = {
        {64, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {99, 98}, {100, 200}};
    struct disk_image d;
    struct gpt gpt;
    disk_image_init(&d, DISK_BYTES);
    put_gpt(&d, 512, ranges, 4);
    CHECK_EQ(table_of(&d, &gpt, NULL), 0);
    REQUIRE(gpt.n == 1);
    CHECK_EQ(gpt.partitions[0].number, 4);
    disk_image_fini(&d);
}

static void an_mbr_lists_primary_and_logical_partitions(void)
{
    struct disk_image d;
    struct gpt gpt;
    disk_image_init(&d, DISK_BYTES);
    le32_write(d.data + 440, 0xabcd1234);
    put_mbr_entry(d.data, 0, 0x83, 64, 100);
    put_mbr_entry(d.data, 2, 0x05, 1000, 5000);
    put_mbr_entry(d.data + 1000 * 512, 0, 0x83, 8, 50);
    put_mbr_entry(d.data + 1000 * 512, 1, 0x05, 500, 600);
    put_mbr_entry(d.data + 1500 * 512, 0, 0x83, 8, 60);
    CHECK_EQ(table_of(&d, &gpt, NULL), 0);
    CHECK_EQ(gpt.scheme, GPT_MBR);
    REQUIRE(gpt.n == 3);
    CHECK_EQ(gpt.partitions[1].number, 5);
    CHECK_EQ(gpt.partitions[1].offset_bytes, 1008 * 512);
    CHECK_EQ(gpt.partitions[2].offset_bytes, 1508 * 512);
    CHECK_EQ(gpt.partitions[2].size_bytes, 60 * 512);
    CHECK_STR(gpt.partitions[0].partuuid, "abcd1234-01");
    CHECK_STR(gpt.partitions[2].partuuid, "abcd1234-06");
    disk_image_fini(&d);
}

static void logical_partitions_that_form_a_circle_end(void)
{
    struct disk_image d;
    struct gpt gpt;
    disk_image_init(&d, DISK_BYTES);
    put_mbr_entry(d.data, 0, 0x0f, 1000, 5000);
    put_mbr_entry(d.data + 1000 * 512, 0, 0x83, 8, 50);
    put_mbr_entry(d.data + 1000 * 512, 1, 0x05, 0, 600);
    CHECK_EQ(table_of(&d, &gpt, NULL), 0);
    CHECK(gpt.n <= GPT_PARTITIONS_MAX);
    disk_image_fini(&d);
}

static void a_disk_without_a_table_is_one_partition(void)
{
    struct disk_image d;
    struct gpt gpt;
    disk_image_init(&d, DISK_BYTES);
    memset(d.data + 446, 0x90, 64); /* a file system's boot code */
    d.data[510] = 0x55;
    d.data[511] = 0xaa;
    CHECK_EQ(table_of(&d, &gpt, NULL), 0);
    CHECK_EQ(gpt.scheme, GPT_NONE);
    REQUIRE(gpt.n == 1);
    CHECK_EQ(gpt.partitions[0].number, 0);
    CHECK_EQ(gpt.partitions[0].size_bytes, DISK_BYTES);
    disk_image_fini(&d);
}

static void any_bytes_are_a_table_or_an_error(void)
{
    struct disk_image d;
    disk_image_init(&d, DISK_BYTES);
    srandom(1);
    for (unsigned i = 0; i < 1000; i++) {
        struct gpt gpt;
        struct err err = {0};
        put_gpt(&d, 512, two_ranges, 3);
        if (i & 1)
            put_mbr_entry(d.data, (unsigned)random() % 4, 5, (uint32_t)random() % 20000, 2000);
        for (unsigned n = 0; n < 4; n++)
            d.data[(unsigned)random() % 2048] = (uint8_t)random();
        int ret = table_of(&d, &gpt, &err);
        CHECK(ret ? err.msg[0] : gpt.n <= GPT_PARTITIONS_MAX);
        for (unsigned p = 0; !ret && p < gpt.n; p++)
            CHECK(range_within(gpt.partitions[p].offset_bytes, gpt.partitions[p].size_bytes,
                               d.bytes));
    }
    disk_image_fini(&d);
}

int main(void)
{
    TAP_RUN(a_gpt_lists_its_partitions_by_number);
    TAP_RUN(a_damaged_primary_header_or_list_leaves_the_backup);
    TAP_RUN(two_damaged_copies_are_refused_with_the_sum);
    TAP_RUN(absurd_sizes_in_a_gpt_are_refused);
    TAP_RUN(partitions_beyond_the_disk_are_left_out);
    TAP_RUN(an_mbr_lists_primary_and_logical_partitions);
    TAP_RUN(logical_partitions_that_form_a_circle_end);
    TAP_RUN(a_disk_without_a_table_is_one_partition);
    TAP_RUN(any_bytes_are_a_table_or_an_error);
    return tap_done();
}
