/* What libwebsockets has parsed of a request, copied out: its header table is not ours to keep. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "web/web_internal.h"

static const struct {
    enum lws_token_indexes token;
    const char *name;
} METHODS[] = {
    [WEB_GET] = {WSI_TOKEN_GET_URI, "GET"},
    [WEB_HEAD] = {WSI_TOKEN_HEAD_URI, "HEAD"},
    [WEB_POST] = {WSI_TOKEN_POST_URI, "POST"},
    [WEB_PUT] = {WSI_TOKEN_PUT_URI, "PUT"},
    [WEB_PATCH] = {WSI_TOKEN_PATCH_URI, "PATCH"},
    [WEB_DELETE] = {WSI_TOKEN_DELETE_URI, "DELETE"},
    [WEB_OPTIONS] = {WSI_TOKEN_OPTIONS_URI, "OPTIONS"},
};

const char *web_method_name(enum web_method method)
{
    return (unsigned)method < ARRAY_LEN(METHODS) ? METHODS[method].name : "?";
}

static int read_path(struct web_request *r, struct lws *wsi)
{
    for (unsigned m = 0; m < ARRAY_LEN(METHODS); m++) {
        int bytes = lws_hdr_total_length(wsi, METHODS[m].token);
        if (bytes <= 0)
            continue;
        r->method = (enum web_method)m;
        r->path = malloc((size_t)bytes + 1);
        if (!r->path)
            return 503;
        if (lws_hdr_copy(wsi, r->path, bytes + 1, METHODS[m].token) < 0)
            return 400;
        return strlen(r->path) == (size_t)bytes && r->path[0] == '/' ? 0 : 400;
    }
    return 400;
}

static int read_parameters(struct web_request *r, struct lws *wsi)
{
    char text[WEB_HEADER_BYTES];
    for (int i = 0;; i++) {
        int bytes = lws_hdr_copy_fragment(wsi, text, sizeof(text), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (bytes < 0)
            return 0;
        if (i == WEB_PARAMETERS_MAX)
            return 414;
        if (memchr(text, 0, (size_t)bytes))
            return 400;
        r->parameters[i] = strndup(text, (size_t)bytes);
        if (!r->parameters[i])
            return 503;
    }
}

/* Headers that libwebsockets knows have a token, the others are found by name. */
static int header_length(struct lws *wsi, const char *name, size_t bytes, int *token)
{
    static const struct {
        const char *name;
        int token;
    } KNOWN[] = {
        {"authorization", WSI_TOKEN_HTTP_AUTHORIZATION},
        {"content-type", WSI_TOKEN_HTTP_CONTENT_TYPE},
        {"accept", WSI_TOKEN_HTTP_ACCEPT},
        {"if-match", WSI_TOKEN_HTTP_IF_MATCH},
        {"if-none-match", WSI_TOKEN_HTTP_IF_NONE_MATCH},
        {"if-modified-since", WSI_TOKEN_HTTP_IF_MODIFIED_SINCE},
        {"host", WSI_TOKEN_HOST},
        {"origin", WSI_TOKEN_ORIGIN},
        {"user-agent", WSI_TOKEN_HTTP_USER_AGENT},
        {"range", WSI_TOKEN_HTTP_RANGE},
        {"content-range", WSI_TOKEN_HTTP_CONTENT_RANGE},
    };
    for (unsigned i = 0; i < ARRAY_LEN(KNOWN); i++)
        if (!strcmp(KNOWN[i].name, name)) {
            *token = KNOWN[i].token;
            return lws_hdr_total_length(wsi, KNOWN[i].token);
        }
    char with_colon[64];
    *token = -1;
    if (bytes + 2 > sizeof(with_colon))
        return 0;
    memcpy(with_colon, name, bytes);
    memcpy(with_colon + bytes, ":", 2);
    return lws_hdr_custom_length(wsi, with_colon, (int)bytes + 1);
}

static int read_header(struct web_request *r, struct lws *wsi, unsigned i, const char *name)
{
    size_t name_bytes = strlen(name);
    int token, bytes = header_length(wsi, name, name_bytes, &token);
    if (bytes < 0 || (bytes == 0 && token < 0))
        return 0;
    if (token >= 0 && bytes == 0)
        return 0;
    r->headers[i] = calloc(1, (size_t)bytes + 1);
    if (!r->headers[i])
        return 503;
    if (token >= 0)
        return lws_hdr_copy(wsi, r->headers[i], bytes + 1, (enum lws_token_indexes)token) < 0 ? 400
                                                                                              : 0;
    char with_colon[64];
    memcpy(with_colon, name, name_bytes);
    memcpy(with_colon + name_bytes, ":", 2);
    return lws_hdr_custom_copy(wsi, r->headers[i], bytes + 1, with_colon, (int)name_bytes + 1) < 0
               ? 400
               : 0;
}

static void read_peer(struct web_request *r, struct lws *wsi)
{
    static const char MAPPED[] =
        "::ffff:"; /* IPv4 on a socket that takes both: RFC 4291, 2.5.5.2 */
    lws_get_peer_simple(wsi, r->peer_address, sizeof(r->peer_address));
    if (!strncmp(r->peer_address, MAPPED, sizeof(MAPPED) - 1) && strchr(r->peer_address, '.'))
        memmove(r->peer_address, r->peer_address + sizeof(MAPPED) - 1,
                strlen(r->peer_address + sizeof(MAPPED) - 1) + 1);
    union lws_tls_cert_info_results *info = malloc(sizeof(*info) + 256);
    if (info && !lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_VERIFIED, info, 0) &&
        info->verified && !lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_COMMON_NAME, info, 256))
        r->peer_name = strdup(info->ns.name);
    free(info);
}

int web_request_read(struct web_request *r, struct web_server *s, struct lws *wsi)
{
    r->server = s;
    r->wsi = wsi;
    int status = read_path(r, wsi);
    if (!status)
        status = read_parameters(r, wsi);
    const char *const *names = s->config.headers;
    for (unsigned i = 0; !status && names && names[i] && i < WEB_HEADERS_MAX; i++)
        status = read_header(r, wsi, i, names[i]);
    if (!status)
        read_peer(r, wsi);
    return status;
}

enum web_method web_request_method(const struct web_request *r)
{
    return r->method;
}

const char *web_request_path(const struct web_request *r)
{
    return r->path;
}

const char *web_request_parameter(const struct web_request *r, unsigned i)
{
    return i < WEB_PARAMETERS_MAX ? r->parameters[i] : NULL;
}

const char *web_request_header(const struct web_request *r, const char *name)
{
    const char *const *names = r->server->config.headers;
    for (unsigned i = 0; names && names[i] && i < WEB_HEADERS_MAX; i++)
        if (!strcmp(names[i], name))
            return r->headers[i];
    return NULL;
}

const char *web_request_body(const struct web_request *r, size_t *bytes)
{
    *bytes = r->body ? r->body_bytes : 0;
    return r->body ? r->body : "";
}

const struct web_body_done *web_request_body_done(const struct web_request *r)
{
    return r->body_in_file ? &r->body_done : NULL;
}

const char *web_request_peer_name(const struct web_request *r)
{
    return r->peer_name;
}

const char *web_request_peer_address(const struct web_request *r)
{
    return r->peer_address;
}
