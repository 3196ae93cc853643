/* Security groups: kept, checked and shown. No driver of this cloud filters packets, so only those
 * that let everything through can be used (server_network_groups()). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/server/server_network_internal.h"

static int wrong(struct server_call *c, unsigned rule, const char *field, const char *why)
{
    char pointer[64];
    snprintf(pointer, sizeof(pointer), "/rules/%u/%s", rule, field);
    return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, pointer, "%s", why);
}

static int check_ports(struct server_call *c, unsigned i, struct api_security_rule *rule)
{
    bool icmp = rule->protocol.v == API_SECURITY_RULE_PROTOCOL_ICMP;
    if (rule->port_first.is != API_VALUE)
        return rule->port_last.is == API_VALUE
                   ? wrong(c, i, "port_first", "a last port needs a first one: say it too")
                   : 0;
    if (rule->protocol.is != API_VALUE || rule->protocol.v == API_SECURITY_RULE_PROTOCOL_ANY)
        return wrong(c, i, "protocol", "ports belong to tcp, udp, sctp or icmp: say which");
    bool last = rule->port_last.is == API_VALUE;
    if (icmp && (rule->port_first.v > 255 || (last && rule->port_last.v > 255)))
        return wrong(c, i, "port_first", "an ICMP type or code is 0 to 255: say one that is");
    if (!icmp && last && rule->port_first.v > rule->port_last.v)
        return wrong(c, i, "port_last", "the last port is below the first: exchange them");
    return 0;
}

static int check_remote(struct server_call *c, unsigned i, struct api_security_rule *rule)
{
    bool ipv6 = rule->family.is == API_VALUE && rule->family.v == API_SECURITY_RULE_FAMILY_IPV6;
    if (rule->remote_cidr.is != API_VALUE)
        return 0;
    if (rule->remote_group.is == API_VALUE)
        return wrong(c, i, "remote_group", "a rule has a remote_cidr or a remote_group: say one");
    if (ipv6 != !!strchr(rule->remote_cidr.v, ':'))
        return wrong(c, i, "remote_cidr",
                     "it is of the other family than the rule: change one of the two");
    return 0;
}

/* A group that a rule names is used by this one, itself excepted. */
static int check_group(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                       unsigned i, struct api_security_rule *rule)
{
    char pointer[64];
    struct catalog_slot *slot;
    snprintf(pointer, sizeof(pointer), "/rules/%u/remote_group", i);
    int r = server_call_ref(c, CATALOG_SECURITY_GROUP, &rule->remote_group, pointer, &slot);
    if (r || !slot)
        return r;
    bool itself = !memcmp(&slot->now->id, &v->id, sizeof(v->id));
    if (!itself)
        r = server_call_wait(c, slot);
    if (!r && server_meta_text(v, &rule->remote_group, slot->now->id_text))
        r = server_network_no_memory(c);
    if (!r && !itself)
        server_network_hold(t, &slot->now->id, SERVER_NETWORK_GROUP);
    return r;
}

static int check_rules(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    const struct api_security_group *doc = v->doc;
    int r = 0;
    for (uint32_t i = 0; !r && doc->rules.is == API_VALUE && i < doc->rules.n; i++) {
        struct api_security_rule *rule = &doc->rules.v[i];
        r = check_ports(c, i, rule);
        if (!r)
            r = check_remote(c, i, rule);
        if (!r)
            r = check_group(c, t, v, i, rule);
    }
    return r;
}

static int set_status(struct server_call *c, struct catalog_object *v)
{
    struct api_security_group *doc = v->doc;
    const struct server_network_entry *e = server_network_entry(c->s, &v->id);
    if (doc->status.is != API_VALUE)
        doc->status.v = api_json_new(&api_types_security_group_status, &v->arena);
    if (!doc->status.v || !e)
        return server_network_no_memory(c);
    doc->status.is = API_VALUE;
    doc->status.v->ports = (struct api_int){API_VALUE, e->ports};
    return 0;
}

static int group_create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    if (api_json_fill(&api_types_security_group, v->doc, &v->arena))
        return server_network_no_memory(c);
    int r = check_rules(c, t, v);
    return r ? r : set_status(c, v);
}

static int group_patch(struct server_call *c, struct server_txn *t,
                       const struct catalog_object *before, struct catalog_object *v)
{
    const struct server_network_entry *e = server_network_entry(c->s, &v->id);
    int r = check_rules(c, t, v);
    if (!r && e && (e->ports || e->others) && !server_network_group_open(v))
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER, "/rules",
                               "no driver of this cloud filters packets, and %lld ports and %lld "
                               "networks have security group %s: take it from them first",
                               (long long)e->ports, (long long)e->others, before->name);
    return r ? r : set_status(c, v);
}

static int group_remove(struct server_call *c, struct server_txn *t, const struct catalog_object *v)
{
    const struct server_network_entry *e = server_network_entry(c->s, &v->id);
    (void)t;
    if (!e)
        return server_network_no_memory(c);
    if (e->ports || e->others || e->groups)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_IN_USE,
                               "%lld ports and %lld networks have security group %s, and %lld "
                               "rules of other groups name it: take it from them first",
                               (long long)e->ports, (long long)e->others, v->name,
                               (long long)e->groups);
    return 0;
}

static const struct server_resource group = {.kind = CATALOG_SECURITY_GROUP,
                                             .create = group_create,
                                             .patch = group_patch,
                                             .remove = group_remove,
                                             .quota = "security_groups"};

int server_network_group_create(struct server_call *c)
{
    return server_resource_create(c, &group);
}

int server_network_group_get(struct server_call *c)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_SECURITY_GROUP, 0);
    if (!slot)
        return -ENOENT;
    server_network_refresh(c->s, slot->now);
    server_call_reply_object(c, 200, slot->now);
    return 0;
}

int server_network_group_list(struct server_call *c)
{
    server_network_refresh_all(c);
    return server_resource_list(c, &group);
}

int server_network_group_patch(struct server_call *c)
{
    return server_resource_patch(c, &group);
}

int server_network_group_delete(struct server_call *c)
{
    return server_resource_delete(c, &group);
}
