/* What answers show of a version. */
#ifndef TESTS_UNIT_SHOWN_H
#define TESTS_UNIT_SHOWN_H

#include <stdlib.h>
#include <string.h>

#include "mgmt/catalog/catalog.h"
#include "tap.h"

/* Owns: free(). */
static inline char *shown(const struct catalog_object *v)
{
    struct api_buf b;
    api_buf_init(&b, STORE_BODY_MAX);
    catalog_write(v, &b);
    char *text = api_buf_steal(&b);
    CHECK(text);
    return text ? text : strdup("");
}

static inline bool shows(const struct catalog_object *v, const char *text)
{
    char *all = shown(v);
    bool there = strstr(all, text);
    free(all);
    return there;
}

#endif
