#include "api/api_route.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_format.h"
#include "api/api_route_tree.h"
#include "base/util.h"

#define PREFIX "/v1/"

static_assert(API_VM_STATE_N <= 32, "from_states is a bit for each state");
static_assert(API_OPS <= INT16_MAX && API_ROUTE_NODES <= UINT16_MAX, "they fit the nodes");

/* The words of a request's method, in the order of enum api_method. */
static const char *const method_names[API_METHODS] = {"GET", "PUT", "POST", "PATCH", "DELETE"};

static const struct api_route_node *find_word(const struct api_route_node *node, const char *text,
                                              size_t bytes)
{
    size_t low = node->first_word, high = low + node->n_words;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *word = api_route_nodes[middle].segment;
        /* By lengths and not by NULs: a client's path may hold some. */
        size_t length = strlen(word);
        int order = memcmp(word, text, MIN(length, bytes));
        if (!order)
            order = (length > bytes) - (length < bytes);
        if (!order)
            return &api_route_nodes[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* A segment that stands for a name in braces. What can be no name names nothing. */
static int read_ref(const char *text, size_t bytes, char out[API_ROUTE_REF_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++) {
        char ch = text[i];
        if (ch == '%') {
            if (bytes - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return -ENOENT;
            ch = (char)(hex(text[i + 1]) << 4 | hex(text[i + 2]));
            i += 2;
        }
        if (!ch || n == API_ROUTE_REF_BYTES - 1)
            return -ENOENT;
        out[n++] = ch;
    }
    out[n] = '\0';
    return api_format_holds(API_FORMAT_NAME, out, n) ? 0 : -ENOENT;
}

/* Walks to the path's node; what stood for names in braces comes out in order. */
static const struct api_route_node *walk(const char *path, size_t bytes,
                                         char refs[][API_ROUTE_REF_BYTES], unsigned *n_refs)
{
    const struct api_route_node *node = &api_route_nodes[0];
    for (;;) {
        const char *slash = memchr(path, '/', bytes);
        size_t segment = slash ? (size_t)(slash - path) : bytes;
        const struct api_route_node *word = find_word(node, path, segment);
        if (word) {
            node = word;
        } else if (node->parameter >= 0 && *n_refs <= API_ROUTE_PARAMS &&
                   !read_ref(path, segment, refs[*n_refs])) {
            node = &api_route_nodes[node->parameter];
            ++*n_refs;
        } else {
            return NULL;
        }
        if (!slash)
            return node;
        path = slash + 1;
        bytes -= segment + 1;
    }
}

int api_route_find(enum api_method method, const char *path, size_t path_bytes,
                   struct api_route_match *m)
{
    char refs[API_ROUTE_PARAMS + 1][API_ROUTE_REF_BYTES];
    unsigned n_refs = 0;
    const size_t skip = sizeof(PREFIX) - 1;
    memset(m, 0, sizeof(*m));
    if (path_bytes <= skip || memcmp(path, PREFIX, skip) != 0)
        return -ENOENT;
    const struct api_route_node *node = walk(path + skip, path_bytes - skip, refs, &n_refs);
    if (!node)
        return -ENOENT;
    for (int i = 0; i < API_METHODS; i++)
        m->methods |= node->routes[i] >= 0 ? 1u << i : 0;
    if (!m->methods)
        return -ENOENT;
    if ((unsigned)method >= API_METHODS || node->routes[method] < 0)
        return -ENOTSUP;
    m->route = &api_route_table[node->routes[method]];
    /* One more than the route's own is the project in front of them. */
    unsigned first = n_refs - m->route->n_params;
    if (first)
        memcpy(m->project, refs[0], sizeof(m->project));
    for (unsigned i = 0; i < m->route->n_params; i++)
        memcpy(m->params[i], refs[first + i], sizeof(m->params[i]));
    return 0;
}

int api_route_method(const char *text, size_t bytes, enum api_method *method)
{
    if (bytes == 4 && !memcmp(text, "HEAD", 4)) {
        *method = API_METHOD_GET;
        return 0;
    }
    for (int i = 0; i < API_METHODS; i++)
        if (strlen(method_names[i]) == bytes && !memcmp(text, method_names[i], bytes)) {
            *method = (enum api_method)i;
            return 0;
        }
    return -ENOTSUP;
}

const char *api_route_method_name(enum api_method method)
{
    return (unsigned)method < API_METHODS ? method_names[method] : "?";
}

void api_route_allow(unsigned methods, char text[API_ROUTE_ALLOW_BYTES])
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < API_METHODS; i++)
        if (methods & 1u << i) {
            const char *name = i == API_METHOD_GET ? "GET, HEAD" : method_names[i];
            int n = snprintf(text + at, API_ROUTE_ALLOW_BYTES - at, "%s%s", at ? ", " : "", name);
            at = MIN(at + (size_t)MAX(n, 0), (size_t)API_ROUTE_ALLOW_BYTES - 1);
        }
}

/* Scopes come in pairs, NOUN:read and then NOUN:write; "all" is the first pair. */
static_assert(API_TOKEN_SCOPE_ALL_READ == 0 && API_TOKEN_SCOPE_ALL_WRITE == 1 &&
                  API_TOKEN_SCOPE_N % 2 == 0,
              "pairs");

bool api_route_in_scope(const struct api_route *route, const enum api_token_scope *scopes, size_t n)
{
    unsigned need = route->token_scope;
    for (size_t i = 0; i < n; i++) {
        unsigned has = scopes[i];
        bool noun = has / 2 == need / 2 || has / 2 == 0;
        if (noun && (has & 1) >= (need & 1))
            return true;
    }
    return false;
}

bool api_route_in_state(const struct api_route *route, enum api_vm_state state)
{
    return !route->from_states || route->from_states & 1u << state;
}
