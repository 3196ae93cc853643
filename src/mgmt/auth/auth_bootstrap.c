#include "mgmt/auth/auth_bootstrap.h"

#include <errno.h>
#include <string.h>

#include "api/api_format.h"
#include "mgmt/auth/auth_random_internal.h"

#define GROUPS      5
#define GROUP_CHARS 5 /* 25 characters of 5 bits: 125 bits, in groups that a person can copy */

bool auth_bootstrap_is_needed(const struct auth_table *t)
{
    return !auth_table_users(t);
}

static int make_password(char *text, struct err *err)
{
    uint8_t random[GROUPS * GROUP_CHARS];
    int r = auth_random_fill(random, sizeof(random), err);
    if (r)
        return r;
    for (unsigned i = 0; i < sizeof(random); i++) {
        if (i && i % GROUP_CHARS == 0)
            *text++ = '-';
        *text++ = auth_random_digits[random[i] & 31];
    }
    *text = '\0';
    auth_password_wipe(random, sizeof(random));
    return 0;
}

int auth_bootstrap_make(const char *name, const struct auth_id *user, const struct auth_id *role,
                        int64_t now_ms, const struct auth_password_cost *cost,
                        struct auth_bootstrap *b, struct err *err)
{
    size_t bytes = strlen(name);
    *b = (struct auth_bootstrap){
        .user = {.id = *user, .enabled = true, .sessions_since_ms = now_ms},
        .role = {.id = *role, .user = *user, .role = API_ROLE_NAME_ADMIN},
    };
    if (bytes >= sizeof(b->name) || !api_format_holds(API_FORMAT_NAME, name, bytes))
        return err_set(err, EINVAL,
                       "the first admin cannot be called \"%.63s\": a name has to be %s", name,
                       api_format_wanted(API_FORMAT_NAME));
    memcpy(b->name, name, bytes);
    int r = make_password(b->password, err);
    if (!r)
        r = auth_password_hash(b->password, strlen(b->password), cost, b->password_text, err);
    if (r) {
        auth_bootstrap_fini(b);
        return r;
    }
    b->user.name = b->name;
    b->user.password = b->password_text;
    return 0;
}

void auth_bootstrap_fini(struct auth_bootstrap *b)
{
    auth_password_wipe(b, sizeof(*b));
}
