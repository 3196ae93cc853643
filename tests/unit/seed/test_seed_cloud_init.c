/* The texts for cloud-init, and what is refused. A guest takes them in
 * tests/guest/test_cloud_init.py. */
#include "seed/seed_cloud_init.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

static const char *const KEYS[] = {"ssh-ed25519 AAAA me@home", NULL};

static struct seed_cloud_init simple(void)
{
    return (struct seed_cloud_init){.instance_id = "i-1", .hostname = "web-1", .ssh_keys = KEYS};
}

static void one_nic_is_found_by_its_mac_and_has_all_that_was_said(void)
{
    static const char *const addresses[] = {"10.0.0.5/24", "2001:db8::5/64", NULL};
    static const char *const dns[] = {"10.0.0.1", NULL}, *const search[] = {"a.example", NULL};
    const struct seed_cloud_init_nic nics[] = {{.mac = {0x52, 0x54, 0, 1, 2, 3},
                                                .addresses = addresses,
                                                .gateway4 = "10.0.0.1",
                                                .gateway6 = "fe80::1",
                                                .dns_servers = dns,
                                                .dns_search = search,
                                                .mtu = 1450},
                                               {.mac = {0x52, 0x54, 0, 1, 2, 4}, .dhcp4 = true}};
    struct seed_cloud_init c = simple();
    struct seed_cloud_init_texts t;
    c.nics = nics;
    c.n_nics = 2;
    REQUIRE(!seed_cloud_init_make(&c, &t, NULL));
    CHECK_STR(t.network_config, "version: 2\n"
                                "ethernets:\n"
                                "  eth0:\n"
                                "    match:\n"
                                "      macaddress: \"52:54:00:01:02:03\"\n"
                                "    set-name: eth0\n"
                                "    dhcp4: false\n"
                                "    dhcp6: false\n"
                                "    mtu: 1450\n"
                                "    addresses: [\"10.0.0.5/24\", \"2001:db8::5/64\"]\n"
                                "    routes:\n"
                                "      - to: \"0.0.0.0/0\"\n"
                                "        via: \"10.0.0.1\"\n"
                                "      - to: \"::/0\"\n"
                                "        via: \"fe80::1\"\n"
                                "    nameservers:\n"
                                "      addresses: [\"10.0.0.1\"]\n"
                                "      search: [\"a.example\"]\n"
                                "  eth1:\n"
                                "    match:\n"
                                "      macaddress: \"52:54:00:01:02:04\"\n"
                                "    set-name: eth1\n"
                                "    dhcp4: true\n"
                                "    dhcp6: false\n");
    CHECK_STR(t.meta_data, "instance-id: \"i-1\"\nlocal-hostname: \"web-1\"\n"
                           "public-keys: [\"ssh-ed25519 AAAA me@home\"]\n");
    seed_cloud_init_free(&t);
}

static void user_data_is_passed_on_byte_by_byte(void)
{
    static const char data[] = "\x1f\x8b\0\n\xff";
    struct seed_cloud_init c = simple();
    struct seed_cloud_init_texts t;
    c.user_data = data;
    c.user_data_bytes = sizeof(data);
    c.vendor_data = "#cloud-config\nruncmd: []\n";
    REQUIRE(!seed_cloud_init_make(&c, &t, NULL));
    CHECK_EQ(t.user_data_bytes, sizeof(data));
    CHECK(!memcmp(t.user_data, data, sizeof(data)));
    CHECK_STR(t.vendor_data, c.vendor_data);
    CHECK_STR(t.network_config, "version: 2\nethernets: {}\n");
    seed_cloud_init_free(&t);
    c.user_data = NULL;
    REQUIRE(!seed_cloud_init_make(&c, &t, NULL));
    CHECK_STR(t.user_data, "#cloud-config\n{}\n");
    seed_cloud_init_free(&t);
}

static void the_disk_is_the_same_for_the_same_input(void)
{
    const struct seed_cloud_init c = simple();
    uint8_t *a, *b;
    size_t an, bn;
    REQUIRE(!seed_cloud_init_disk(&c, &a, &an, NULL));
    REQUIRE(!seed_cloud_init_disk(&c, &b, &bn, NULL));
    CHECK(an == bn && !memcmp(a, b, an));
    free(a);
    free(b);
}

/* The error is EINVAL and says what it is about. */
static void refused(const struct seed_cloud_init *c, const char *word)
{
    struct seed_cloud_init_texts t;
    struct err err = {0};
    int ret = seed_cloud_init_make(c, &t, &err);
    CHECK_EQ(ret, -EINVAL);
    if (!strstr(err.msg, word))
        printf("# no \"%s\" in: %s\n", word, err.msg);
    CHECK(strstr(err.msg, word));
    if (!ret)
        seed_cloud_init_free(&t);
}

static void what_makes_no_sense_is_refused(void)
{
    static const char *const ids[] = {"", "../../etc", ".", "a b", "a\nb"};
    for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
        struct seed_cloud_init c = simple();
        c.instance_id = ids[i];
        refused(&c, "instance id");
    }
    static const char *const keys[] = {"ssh-rsa AAAA\ncommand=\"x\" ssh-rsa BBBB", ""};
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        const char *const list[] = {keys[i], NULL};
        struct seed_cloud_init c = simple();
        c.ssh_keys = list;
        refused(&c, "SSH key");
    }
}

static void addresses_that_are_none_are_refused(void)
{
    static const char *const bad[] = {
        "10.0.0.5", "10.0.0.5/", "10.0.0.5/33", "10.0.0/24",     "10.0.0.5/24]",
        "::1/129",  "::1/-1",    "x/24",        "10.0.0.5/24\n", "/24",
        ""};
    struct seed_cloud_init c = simple();
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        const char *const list[] = {bad[i], NULL};
        const struct seed_cloud_init_nic nic = {.addresses = list};
        c.nics = &nic;
        c.n_nics = 1;
        refused(&c, "NIC 0");
    }
    static const char *const dns[] = {"resolver", NULL};
    const struct seed_cloud_init_nic nics[] = {{.gateway4 = "fe80::1"},
                                               {.gateway6 = "10.0.0.1"},
                                               {.dns_servers = dns},
                                               {.mtu = 67},
                                               {.mtu = 65536}};
    for (unsigned i = 0; i < ARRAY_LEN(nics); i++) {
        c.nics = &nics[i];
        refused(&c, i < 2 ? "gateway" : i == 2 ? "DNS server" : "MTU");
    }
}

int main(void)
{
    TAP_RUN(one_nic_is_found_by_its_mac_and_has_all_that_was_said);
    TAP_RUN(user_data_is_passed_on_byte_by_byte);
    TAP_RUN(the_disk_is_the_same_for_the_same_input);
    TAP_RUN(what_makes_no_sense_is_refused);
    TAP_RUN(addresses_that_are_none_are_refused);
    return tap_done();
}
