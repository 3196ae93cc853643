#include "pki/pki_ssh.h"

#include <errno.h>

#include "pki/pki.h"
#include "tap.h"

/* Made by ssh-keygen for this test; fingerprints and bits as its -l shows them. */
static const struct {
    const char *line, *type, *fingerprint;
    unsigned bits;
} good[] = {
    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIChcoQig7vBpIw7bna1aHwJfEeSyTzEnBCibj9x1LorK"
     " ann@host",
     "ssh-ed25519", "SHA256:fqInNLY0de1iwnHFcMzbj8tJy0fnYa/T0ipnnroShHM", 256},
    {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCgvTrnZY0LbBehm3pZet0DckGdHmsD123ZaLjOEE+i"
     "pZWZer62yfHwfm9h5Sa4n3acbvOJ0d0pX8h6DM0fuYvpVwlsZyc1kMEneATNDDO+5eU+pmezMEDXfxov"
     "T6LKuuniUJM7yUkphsbaJaMo+5VjdUfSAixjE4nz7o0nQmcwE+6nXzL+iM/OztiKKIFIMrwwLLfCf/9s"
     "sF9dcMHSANp3opRtMGZBFVpcYewvgkMP67CzOvyy2onId2kZ9l1TMdTf+gTmmP1biu35G/rKbMCdYoYm"
     "BnJIxRX7SZ9CSvQRln9IPK2TiowWxQTy7pUha0Ryp/1/x5tOlC0zk/XAbjz/ rsa",
     "ssh-rsa", "SHA256:CccOZ0VqrlLcLCpAiEw3PDOTnec8VeCuxjZZA9mW8WE", 2048},
    {"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBES3z7Gi"
     "KH53poHVPIECCSn2Om9FhZUtYPXfpfxCws7eq9b5tCa42So8yutC9gukIMBM/agtKpexvOdJZ/To11Y="
     " ec256",
     "ecdsa-sha2-nistp256", "SHA256:7Uffx938g8zsBanp+rrFpyG2dD5N+QmlRA0PN9lMFhA", 256},
    {"ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBL5JWsjF"
     "cVZvNa2W/YaPVsc1Ny8shPYK9+lP7MahOKpdleLTt5FJOJL1L01c2nbp1KT/DzZqkPUwjgQ6dr5rCHMz"
     "e+6kt3+oqe04xA0+dmYmASjxhohZ+Xhu0xBJA25j1g== ec384",
     "ecdsa-sha2-nistp384", "SHA256:hh0KKLKiinmBDdz5ODXoFv0Jv38j76h4gCxl2QKy4oE", 384},
    {"ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACPKZHW"
     "bwS9a+fdrqS79CXUy9tC8sYtnSPdrzujAwhiZAvqvBnRDEkAfUIY2vhFYgcUSyHchd2NsLYM74HYL7QR"
     "jQDr6k/JREVf12oXTGc33GH+7EyWIqiEdUwMUK9q0/tZdaIMMBaX7Eeoh7JOiVBHiyiZ7fGG6aoKwBE6"
     "HY//6Hxmlg== ec521",
     "ecdsa-sha2-nistp521", "SHA256:snjmWwX8+Ja+XveqmzCXc1DuleqLcYDCnBht265XBPQ", 521},
};

static const char weak[] =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDe/2EYKTyZJaTs2Nk6l1+bNTD1wdHflQg/419YZ9Hm"
    "TQVaBcd+3mCORC5H5ks0izqFu5v+6r9Lmo0F2lQ/E+7ukVekLJ5Kb/qEIVrKBtw2sVuGPw07D2afLE3M"
    "1+iU9Z2A76IfxBFj+JvGJFVT4Ubk7q1s8JJ/99psmiX1p8HXcQ== weak";

#define ED "AAAAC3NzaC1lZDI1NTE5AAAAIChcoQig7vBpIw7bna1aHwJfEeSyTzEnBCibj9x1LorK"

static void reads_what_ssh_keygen_makes(void)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct pki_ssh_key key;
        struct err err = {0};
        REQUIRE(!pki_ssh_read(good[i].line, &key, &err));
        CHECK_STR(key.type, good[i].type);
        CHECK_STR(key.fingerprint, good[i].fingerprint);
        CHECK_EQ(key.bits, good[i].bits);
    }
}

static void blanks_and_comments_do_not_matter(void)
{
    static const char *const lines[] = {"ssh-ed25519 " ED, "  ssh-ed25519   " ED "  \r\n",
                                        "ssh-ed25519 " ED " some words behind it"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct pki_ssh_key key;
        struct err err = {0};
        REQUIRE(!pki_ssh_read(lines[i], &key, &err));
        CHECK_STR(key.fingerprint, good[0].fingerprint);
    }
}

static void refused(const char *line, const char *because)
{
    struct pki_ssh_key key;
    struct err err = {0};
    CHECK_EQ(pki_ssh_read(line, &key, &err), -EINVAL);
    if (!strstr(err.msg, because)) {
        CHECK_STR(err.msg, because);
    }
}

static void refuses_what_is_no_key_of_its_type(void)
{
    refused("", "begins with none of");
    refused("ssh-dss AAAA", "begins with none of");
    refused("command=\"x\" ssh-ed25519 " ED, "begins with none of");
    refused("ssh-ed25519", "not base64");
    refused("ssh-ed25519 ", "not base64");
    refused("ssh-ed25519 " ED "=", "not base64");
    refused("ssh-ed25519 %%%%", "not base64");
    refused("ssh-ed25519 AAAAB", "not base64");
    refused("ssh-ed25519 AB==", "not base64");
    refused("ssh-rsa " ED, "no key of type ssh-rsa");
    refused("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "has 0 bytes");
    refused("ssh-ed25519 " ED "AAAA", "more than a key");
    refused("ssh-ed25519 " ED "\nssh-ed25519 " ED, "more than one line");
    refused("ssh-ed25519 " ED " a\tb", "more than one line");
    refused(weak, "has 1024 bits");
}

static void refuses_a_point_beside_the_curve(void)
{
    char line[512];
    snprintf(line, sizeof(line), "%s", good[2].line);
    /* The last character but one before the comment lies in the point's y. */
    char *last = strrchr(line, ' ') - 3;
    *last = *last == 'B' ? 'C' : 'B';
    refused(line, "no point of the curve nistp256");
    snprintf(line, sizeof(line), "ecdsa-sha2-nistp384%s", good[2].line + strlen(good[2].type));
    refused(line, "no key of type ecdsa-sha2-nistp384");
}

static void refuses_every_key_that_is_cut_or_altered_in_its_lengths(void)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *begin = strchr(good[i].line, ' ') + 1;
        size_t chars = strcspn(begin, " ");
        for (size_t n = 0; n < chars; n += 4) {
            char line[PKI_SSH_LINE_MAX_BYTES + 1];
            struct pki_ssh_key key;
            struct err err = {0};
            snprintf(line, sizeof(line), "%s %.*s", good[i].type, (int)n, begin);
            CHECK_EQ(pki_ssh_read(line, &key, &err), -EINVAL);
        }
    }
}

static void makes_pairs_that_differ_and_read_back(void)
{
    char *line[2] = {NULL, NULL}, *text[2] = {NULL, NULL};
    struct pki_ssh_key key[2];
    struct err err = {0};
    for (int i = 0; i < 2; i++) {
        REQUIRE(!pki_ssh_create("web", &line[i], &text[i], &err));
        REQUIRE(!pki_ssh_read(line[i], &key[i], &err));
        CHECK_STR(key[i].type, "ssh-ed25519");
        CHECK(!strncmp(text[i], "-----BEGIN OPENSSH PRIVATE KEY-----\n", 36));
        CHECK_STR(strrchr(line[i], ' '), " web");
    }
    CHECK(strcmp(key[0].fingerprint, key[1].fingerprint) != 0);
    CHECK(strcmp(text[0], text[1]) != 0);
    for (int i = 0; i < 2; i++) {
        pki_wipe(text[i]);
        free(text[i]);
        free(line[i]);
    }
}

static void refuses_a_comment_that_could_begin_another_line(void)
{
    char *line = NULL, *text = NULL;
    struct err err = {0};
    CHECK_EQ(pki_ssh_create("a\nb", &line, &text, &err), -EINVAL);
    CHECK(!line && !text);
}

int main(void)
{
    TAP_RUN(reads_what_ssh_keygen_makes);
    TAP_RUN(blanks_and_comments_do_not_matter);
    TAP_RUN(refuses_what_is_no_key_of_its_type);
    TAP_RUN(refuses_a_point_beside_the_curve);
    TAP_RUN(refuses_every_key_that_is_cut_or_altered_in_its_lengths);
    TAP_RUN(makes_pairs_that_differ_and_read_back);
    TAP_RUN(refuses_a_comment_that_could_begin_another_line);
    return tap_done();
}
