/* What a stranger sends as a token, and what the store gives back as a password's hash: the first
 * byte says which. What is taken has one text only. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/auth/auth_password.h"
#include "mgmt/auth/auth_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void token(const char *text, size_t bytes)
{
    enum auth_token_kind kind = AUTH_TOKEN_KINDS;
    struct err err = {.code = 0};
    int r = auth_token_parse(text, bytes, &kind, &err);
    if ((r == 0) != (kind != AUTH_TOKEN_KINDS) || (r == 0) != (err.code == 0))
        abort();
    if (!r && (bytes != AUTH_TOKEN_BYTES - 1 || memchr(text, '\0', bytes)))
        abort();
}

static void header(const char *text)
{
    const char *found;
    size_t bytes;
    if (auth_token_bearer(text, &found, &bytes))
        return;
    if (!bytes || found < text + 7 || found + bytes > text + strlen(text))
        abort();
    token(found, bytes);
}

static void password(const char *text)
{
    struct auth_password_parts parts;
    char again[512];
    if (auth_password_parse(text, &parts))
        return;
    if (auth_password_format(&parts, again, sizeof(again)) < 0 || strcmp(again, text) != 0)
        abort();
    auth_password_is_stale(text, &auth_password_cost_default);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = malloc(size); /* with a NUL in the first byte's stead, but at the end */
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0)
        header(text);
    else if (data[0] % 3 == 1)
        password(text);
    else
        token((const char *)data + 1, size - 1);
    free(text);
    return 0;
}
