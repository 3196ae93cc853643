#!/usr/bin/env python3
"""Networks, subnets, ports, security groups: addresses given once, and refusals that say why."""
import concurrent.futures
import http.client
import random

from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION, Cloud

OPEN = [{"direction": d, "family": f} for d in ("ingress", "egress") for f in ("ipv4", "ipv6")]


def made(cloud, kind, body, schema, **kw):
    """POST that has to succeed, and whose answer is as described."""
    answer = cloud.post(f"/{kind}", body, **kw)
    check_eq(answer.status, 201, f"{kind} {body} is made: {answer}")
    check_eq(DESCRIPTION.errors(DESCRIPTION.schema(schema), answer.body), [], "as described")
    return answer.body


def network(cloud, name="net", **more):
    """A network."""
    return made(cloud, "networks", dict({"name": name}, **more.pop("body", {})), "Network", **more)


def subnet(cloud, cidr, name="sub", of="net", **more):
    """A subnet of it."""
    return made(cloud, "subnets", dict({"name": name, "network": of, "cidr": cidr}, **more), "Subnet")


def port(cloud, name, of="net", **more):
    """A port in it."""
    return made(cloud, "ports", dict({"name": name, "network": of}, **more), "Port")


def refused(answer, status, code, pointer=None, says=""):
    """A problem document with that code and place, which says something."""
    check_eq((answer.status, answer.code), (status, code), f"refused: {answer}")
    if pointer is not None:
        check_eq([e["pointer"] for e in answer.body["errors"]], [pointer], f"the place: {answer}")
    check(says in answer.raw.decode(), f"it says {says!r}: {answer}")


@case
def a_port_gets_the_next_free_address_and_a_mac():
    """Lowest first, neither gateway nor broadcast; what is deleted is given again; all of it after a restart too."""
    with Cloud() as cloud:
        network(cloud)
        made_subnet = subnet(cloud, "10.1.0.0/29")
        check_eq(made_subnet["status"], {"addresses": 5, "used": 0}, "five of eight")
        ports = [port(cloud, f"p{i}") for i in range(5)]
        check_eq([p["status"]["addresses"] for p in ports], [[f"10.1.0.{i}"] for i in range(2, 7)], "in order")
        macs = {p["status"]["mac"] for p in ports}
        check_eq((len(macs), {int(m[:2], 16) & 3 for m in macs}), (5, {2}), "different MACs, local and unicast")
        full = cloud.post("/ports", {"name": "p6", "network": "net"})
        refused(full, 409, "resource.in_use", "/addresses/0/ip", "no address is free")
        check_eq(cloud.get("/subnets/sub").body["status"], {"addresses": 5, "used": 5}, "all are used")
        check_eq(cloud.get("/networks").body["items"][0]["status"]["ports"], 5, "five ports")
        check_eq(cloud.delete("/ports/p2").status, 204, "one is deleted")
        check_eq(cloud.get("/networks/net").body["status"]["ports"], 4, "four ports")
        cloud.kill()
        cloud.start()
        check_eq(port(cloud, "p7")["status"]["addresses"], ["10.1.0.4"], "its address is given again")
        check_eq(cloud.post("/ports", {"name": "p8", "network": "net"}).status, 409, "and it was the only one")
        check_eq(cloud.get("/subnets/sub").body["status"]["used"], 5, "counted after a restart")


@case
def many_at_once_never_share_an_address():
    """Ports that are made and deleted by several clients at once."""
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.2.0.0/26")

        def client(number):
            got = []
            for i in range(40):
                answer = cloud.post("/ports", {"name": f"c{number}-{i}", "network": "net"})
                check(answer.status in (201, 409), f"given or full: {answer}")
                if answer.status == 201:
                    got.append(answer.body["id"])
                if len(got) > 6:
                    check_eq(cloud.delete(f"/ports/{got.pop(i % len(got))}").status, 204, "deleted")
            return got

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            live = sum(pool.map(client, range(6)), [])
        listed = cloud.get("/ports?limit=1000").body["items"]
        check_eq({p["id"] for p in listed}, set(live), "what was not deleted is there")
        for what in (lambda p: p["status"]["addresses"][0], lambda p: p["status"]["mac"]):
            check_eq(len({what(p) for p in listed}), len(listed), "each has its own")
        check_eq(cloud.get("/subnets/sub").body["status"]["used"], len(listed), "and they are counted")


@case
def a_killed_server_loses_no_address():
    """Killed while ports come and go, four times: what was answered is there, and all that is free can be given out."""
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.14.0.0/27")
        answered = {}

        def client(number):
            for i in range(1000):
                try:
                    answer = cloud.post("/ports", {"name": f"k{number}-{i}", "network": "net", "forwards": [{"guest_port": 22}]})
                    if answer.status == 201:
                        answered[answer.body["id"]] = answer.body["status"]
                        if i % 3 == 0:
                            answered.pop(answer.body["id"])
                            cloud.delete(f"/ports/{answer.body['id']}")
                except (OSError, http.client.HTTPException):
                    return

        for _ in range(4):
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                clients = [pool.submit(client, f"{len(answered)}-{n}") for n in range(4)]
                while len(answered) < 8 and not all(c.done() for c in clients):
                    concurrent.futures.wait(clients, timeout=0.005)
                cloud.kill()
                for c in clients:
                    c.result()
            cloud.start()
            there = {p["id"]: p["status"] for p in cloud.get("/ports?limit=1000").body["items"]}
            for port_id, status in answered.items():
                check_eq(there.get(port_id), status, "what was answered is there")
            check_eq(cloud.get("/subnets/sub").body["status"]["used"], len(there), "used as often as there are ports")
            for port_id in there:
                check_eq(cloud.delete(f"/ports/{port_id}").status, 204, "deleted")
            answered.clear()
            made_now = [port(cloud, f"all{i}", forwards=[{"guest_port": 22}]) for i in range(29)]
            check_eq([p["status"]["addresses"][0] for p in made_now], [f"10.14.0.{i}" for i in range(2, 31)], "every address, in order")
            check_eq([p["status"]["forwards"][0]["host_port"] for p in made_now], list(range(20000, 20029)), "and host port")
            for p in made_now:
                check_eq(cloud.delete(f"/ports/{p['id']}").status, 204, "deleted")


@case
def an_address_can_be_named():
    """In the subnet, free, and no gateway; of two that want it one gets it."""
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.3.0.0/24", gateway="10.3.0.254", ranges=[{"first": "10.3.0.100", "last": "10.3.0.101"}])
        subnet(cloud, "fd00:3::/64", name="six")
        p = port(cloud, "p", addresses=[{"ip": "10.3.0.7"}, {"subnet": "six"}, {"subnet": "sub"}], mac="02:00:00:00:00:07")
        check_eq(p["status"]["addresses"], ["10.3.0.7", "fd00:3::2", "10.3.0.100"], "as asked, then the next free ones")
        check_eq(p["status"]["mac"], "02:00:00:00:00:07", "and its MAC")
        for ip, status, code in (("10.3.0.7", 409, "resource.in_use"), ("10.3.0.254", 422, "request.invalid"),
                                 ("10.3.0.255", 422, "request.invalid"), ("10.4.0.1", 422, "request.invalid"),
                                 ("fd00:3::", 422, "request.invalid"), ("::ffff:10.3.0.8", 422, "request.invalid")):
            refused(cloud.post("/ports", {"name": "q", "network": "net", "addresses": [{"ip": ip}]}), status, code, "/addresses/0/ip", ip)
        refused(cloud.post("/ports", {"name": "q", "network": "net", "addresses": [{"ip": "10.3.0.9"}, {"ip": "10.3.0.9"}]}),
                409, "resource.in_use", "/addresses/1/ip")
        refused(cloud.post("/ports", {"name": "q", "network": "net", "addresses": [{"subnet": "sub", "ip": "fd00:3::9"}]}),
                422, "request.invalid", "/addresses/0/ip", "not in that subnet")
        refused(cloud.post("/ports", {"name": "q", "network": "net", "addresses": [{"subnet": "other"}]}),
                422, "reference.not_found", "/addresses/0/subnet")
        refused(cloud.post("/ports", {"name": "q", "network": "net", "mac": "02:00:00:00:00:07"}), 409, "resource.in_use", "/mac")
        refused(cloud.post("/ports", {"name": "q", "network": "net", "mac": "00:00:00:00:00:00"}), 422, "request.invalid", "/mac")
        check_eq(port(cloud, "q", addresses=[{"ip": "10.3.0.9"}])["status"]["addresses"], ["10.3.0.9"], "refusals took nothing")
        check_eq(port(cloud, "none", addresses=[])["status"].get("addresses"), None, "none, if none is wanted")
        check_eq(port(cloud, "next")["status"]["addresses"], ["10.3.0.101"], "the range's last")
        check_eq(port(cloud, "six")["status"]["addresses"], ["fd00:3::3"], "then the other subnet")


@case
def a_ports_addresses_can_be_changed():
    """What is asked for again stays, what is not is free for others."""
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.5.0.0/24")
        subnet(cloud, "fd00:5::/64", name="six")
        port(cloud, "p")
        p = cloud.patch("/ports/p", {"addresses": [{"subnet": "six"}, {"subnet": "sub"}]}).body
        check_eq(p["status"]["addresses"], ["fd00:5::2", "10.5.0.2"], "its own stays, one comes")
        p = cloud.patch("/ports/p", {"addresses": [{"ip": "10.5.0.9"}]}).body
        check_eq(p["status"]["addresses"], ["10.5.0.9"], "another one")
        check_eq(port(cloud, "q")["status"]["addresses"], ["10.5.0.2"], "which was given back")
        check_eq(cloud.patch("/ports/p", {"addresses": None}).body["status"]["addresses"], ["10.5.0.9"], "any one: the one it has")
        refused(cloud.patch("/ports/p", {"addresses": [{"ip": "10.5.0.2"}]}), 409, "resource.in_use", "/addresses/0/ip")
        check_eq(cloud.patch("/ports/p", {"description": "d"}).body["status"]["addresses"], ["10.5.0.9"], "not touched")
        cloud.stop()
        cloud.start()
        refused(cloud.post("/ports", {"name": "r", "network": "net", "addresses": [{"ip": "10.5.0.9"}]}), 409, "resource.in_use")
        check_eq(cloud.delete("/ports/p").status, 204, "deleted")
        check_eq(port(cloud, "r", addresses=[{"ip": "10.5.0.9"}])["status"]["addresses"], ["10.5.0.9"], "free again")


@case
def a_subnet_has_to_make_sense():
    """Prefix, gateway, ranges; no overlap within a network, also of two that come at once."""
    with Cloud() as cloud:
        network(cloud)
        network(cloud, "other")
        for body, pointer in (({"cidr": "127.0.0.0/16"}, "/cidr"), ({"cidr": "224.0.0.0/24"}, "/cidr"), ({"cidr": "0.0.0.0/0"}, "/cidr"),
                              ({"cidr": "fe80::/64"}, "/cidr"), ({"cidr": "::ffff:10.0.0.0/120"}, "/cidr"),
                              ({"cidr": "10.6.0.0/24", "gateway": "10.7.0.1"}, "/gateway"),
                              ({"cidr": "10.6.0.0/24", "gateway": "10.6.0.255"}, "/gateway"),
                              ({"cidr": "10.6.0.0/24", "ranges": [{"first": "10.6.0.9", "last": "10.6.0.8"}]}, "/ranges/0"),
                              ({"cidr": "10.6.0.0/24", "ranges": [{"first": "10.6.0.9", "last": "10.6.1.8"}]}, "/ranges/0"),
                              ({"cidr": "10.6.0.0/24", "ranges": [{"first": "10.6.0.5", "last": "10.6.0.8"},
                                                                 {"first": "10.6.0.8", "last": "10.6.0.9"}]}, "/ranges/1")):
            refused(cloud.post("/subnets", dict(body, name="s", network="net")), 422, "request.invalid", pointer)
        refused(cloud.post("/subnets", {"name": "s", "network": "nowhere", "cidr": "10.6.0.0/24"}), 422, "reference.not_found", "/network")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: cloud.post("/subnets", {"name": f"s{i}", "network": "net", "cidr": f"10.6.0.0/{20 + i}"}), range(8)))
        check_eq(sorted(a.status for a in answers), [201] + 7 * [422], "one of those that overlap")
        check_eq({a.code for a in answers if a.status == 422}, {"request.invalid"}, "and the others are told")
        subnet(cloud, "10.6.0.0/24", of="other")
        check_eq(subnet(cloud, "10.8.0.0/31", name="tiny")["status"]["addresses"], 1, "a link has two, one is the gateway")
        check_eq(subnet(cloud, "fd00:6::/64", name="six")["status"]["addresses"], 2**53 - 1, "more than can be said")


@case
def a_subnets_gateway_and_ranges_can_be_changed():
    """Not to an address that a port has."""
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.9.0.0/24")
        port(cloud, "p")
        refused(cloud.patch("/subnets/sub", {"gateway": "10.9.0.2"}), 409, "resource.in_use", "/gateway", "10.9.0.2")
        changed = cloud.patch("/subnets/sub", {"gateway": "10.9.0.9", "ranges": [{"first": "10.9.0.8", "last": "10.9.0.10"}]})
        check_eq((changed.status, changed.body["status"]), (200, {"addresses": 2, "used": 1}), "changed")
        check_eq(port(cloud, "q")["status"]["addresses"], ["10.9.0.8"], "from the range")
        check_eq(port(cloud, "r")["status"]["addresses"], ["10.9.0.10"], "over the gateway")
        check_eq(cloud.patch("/subnets/sub", {"ranges": None}).body["status"]["addresses"], 253, "all of them again")
        check_eq(port(cloud, "s")["status"]["addresses"], ["10.9.0.1"], "and the old gateway")
        refused(cloud.patch("/subnets/sub", {"gateway": None}), 409, "resource.in_use", "/gateway")


@case
def what_no_driver_offers_is_refused():
    """With 501, and a text that says what to do instead."""
    with Cloud() as cloud:
        for body, pointer in (({"kind": "overlay"}, "/kind"), ({"kind": "overlay", "vni": 7}, "/kind"), ({"kind": "isolated"}, "/kind"),
                              ({"external": True}, "/external"), ({"kind": "bridge", "bridge": "br0", "vlan": 7}, "/vlan")):
            refused(cloud.post("/networks", dict(body, name="n")), 501, "feature.no_driver", pointer, "no driver")
        for body, pointer in (({"vni": 7}, "/vni"), ({"bridge": "br0"}, "/bridge"), ({"kind": "bridge"}, "/bridge"), ({"vlan": 7}, "/vlan"),
                              ({"kind": "bridge", "bridge": "a/b"}, "/bridge")):
            refused(cloud.post("/networks", dict(body, name="n")), 422, "request.invalid", pointer)
        n = network(cloud, body={"kind": "bridge", "bridge": "br0", "mtu_bytes": 9000})
        check_eq((n["kind"], n["bridge"], n["status"]), ("bridge", "br0", {"state": "active", "ports": 0}), "a bridge is offered")
        refused(cloud.post("/floating-ips", {"network": "net"}), 501, "feature.no_driver", says="forwards")
        check_eq(cloud.get("/floating-ips").body["items"], [], "there are none")
        check_eq(cloud.get("/floating-ips/x").code, "resource.not_found", "none")
        check_eq(cloud.patch("/floating-ips/x", {}).code, "resource.not_found", "none")
        check_eq(cloud.delete("/floating-ips/x").code, "resource.not_found", "none")


@case
def ipv6_needs_large_packets():
    """1280 bytes, whichever comes first."""
    with Cloud() as cloud:
        network(cloud, body={"mtu_bytes": 1000})
        refused(cloud.post("/subnets", {"name": "s", "network": "net", "cidr": "fd00::/64"}), 422, "request.invalid", "/cidr", "1280")
        check_eq(cloud.patch("/networks/net", {"mtu_bytes": 1280}).status, 200, "raised")
        subnet(cloud, "fd00::/64")
        refused(cloud.patch("/networks/net", {"mtu_bytes": 1279}), 422, "request.invalid", "/mtu_bytes", "1280")


@case
def security_groups_are_kept_and_used_if_they_filter_nothing():
    """As no driver filters."""
    with Cloud() as cloud:
        made(cloud, "security-groups", {"name": "web", "rules": [
            {"direction": "ingress", "protocol": "tcp", "port_first": 80, "port_last": 443, "remote_cidr": "10.0.0.0/8"}]}, "SecurityGroup")
        made(cloud, "security-groups", {"name": "db", "rules": [{"direction": "ingress", "remote_group": "web"}]}, "SecurityGroup")
        made(cloud, "security-groups", {"name": "open", "rules": OPEN}, "SecurityGroup")
        for rule, field in (({"protocol": "tcp", "port_first": 9, "port_last": 8}, "port_last"), ({"port_first": 9}, "protocol"),
                            ({"protocol": "tcp", "port_last": 9}, "port_first"), ({"remote_cidr": "fd00::/8"}, "remote_cidr"),
                            ({"remote_cidr": "10.0.0.0/8", "remote_group": "web"}, "remote_group"),
                            ({"protocol": "icmp", "port_first": 256}, "port_first")):
            refused(cloud.post("/security-groups", {"name": "x", "rules": [dict(rule, direction="ingress")]}), 422, "request.invalid",
                    f"/rules/0/{field}")
        refused(cloud.post("/security-groups", {"name": "y", "rules": [{"direction": "ingress", "remote_group": "nobody"}]}),
                422, "reference.not_found", "/rules/0/remote_group")
        network(cloud)
        refused(cloud.post("/networks", {"name": "n2", "security_groups": ["web"]}), 501, "feature.no_driver", "/security_groups/0", "web")
        refused(cloud.post("/ports", {"name": "p", "network": "net", "security_groups": ["open", "web"]}), 501, "feature.no_driver",
                "/security_groups/1")
        p = port(cloud, "p", security_groups=["open"])
        check_eq(p["security_groups"], [cloud.get("/security-groups/open").body["id"]], "by its id")
        check_eq(cloud.get("/security-groups/open").body["status"], {"ports": 1}, "a port has it")
        refused(cloud.patch("/security-groups/open", {"rules": OPEN[:3]}), 501, "feature.no_driver", "/rules")
        refused(cloud.delete("/security-groups/open"), 409, "resource.in_use")
        refused(cloud.delete("/security-groups/web"), 409, "resource.in_use")
        check_eq(cloud.patch("/ports/p", {"security_groups": []}).status, 200, "taken away")
        check_eq(cloud.delete("/security-groups/open").status, 204, "deleted")
        check_eq(cloud.patch("/security-groups/db", {"rules": []}).status, 200, "names it no longer")
        check_eq(cloud.delete("/security-groups/web").status, 204, "deleted")


@case
def what_is_in_use_stays():
    """Networks with subnets or ports, subnets with addresses; in the right order all of it goes."""
    with Cloud() as cloud:
        n = network(cloud)
        subnet(cloud, "10.10.0.0/24")
        port(cloud, "p")
        refused(cloud.delete("/networks/net"), 409, "resource.in_use", says="1 ports and 1 subnets")
        refused(cloud.delete("/subnets/sub"), 409, "resource.in_use")
        check_eq(cloud.delete("/ports/p").status, 204, "the port")
        refused(cloud.delete("/networks/net"), 409, "resource.in_use")
        check_eq(cloud.delete("/subnets/sub").status, 204, "the subnet")
        check_eq(cloud.delete("/networks/net").status, 204, "the network")
        refused(cloud.post("/ports", {"name": "p", "network": n["id"]}), 422, "reference.not_found", "/network")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for i in range(20):
                network(cloud, f"n{i}")
                one, two = pool.submit(cloud.delete, f"/networks/n{i}"), pool.submit(cloud.post, "/ports", {"name": f"p{i}", "network": f"n{i}"})
                check((one.result().status, two.result().status) in ((204, 422), (409, 201)), f"one of the two: {one.result()} {two.result()}")


@case
def forwards_lead_to_guests_behind_nat():
    """Each host port once in the cloud, kept while it is asked for."""
    with Cloud() as cloud:
        network(cloud)
        network(cloud, "br", body={"kind": "bridge", "bridge": "br0"})
        p = port(cloud, "p", forwards=[{"guest_port": 22}, {"guest_port": 80, "host_port": 8080}, {"guest_port": 53, "protocol": "udp"}])
        check_eq(p["status"]["forwards"], [{"protocol": "tcp", "guest_port": 22, "host_port": 20000},
                                           {"protocol": "tcp", "guest_port": 80, "host_port": 8080},
                                           {"protocol": "udp", "guest_port": 53, "host_port": 20000}], "given")
        q = port(cloud, "q", forwards=[{"guest_port": 22}])
        check_eq(q["status"]["forwards"][0]["host_port"], 20001, "the next one")
        refused(cloud.post("/ports", {"name": "r", "network": "net", "forwards": [{"guest_port": 1, "host_port": 8080}]}),
                409, "resource.in_use", "/forwards/0/host_port", "8080")
        refused(cloud.post("/ports", {"name": "r", "network": "br", "forwards": [{"guest_port": 1}]}), 422, "request.invalid", "/forwards")
        p = cloud.patch("/ports/p", {"forwards": [{"guest_port": 443, "host_port": 8080}, {"guest_port": 22}]}).body
        check_eq([f["host_port"] for f in p["status"]["forwards"]], [8080, 20000], "both stay")
        check_eq(port(cloud, "r", forwards=[{"guest_port": 53, "protocol": "udp"}])["status"]["forwards"][0]["host_port"], 20000, "given back")
        check_eq(cloud.delete("/ports/p").status, 204, "deleted")
        check_eq(port(cloud, "s", forwards=[{"guest_port": 1, "host_port": 8080}])["status"]["forwards"][0]["host_port"], 8080, "free again")


@case
def projects_see_their_own_and_what_is_shared():
    """A shared network by name or id; its subnets can be read, and only its own project changes any of it."""
    with Cloud() as cloud:
        check_eq(cloud.post("/projects", {"name": "two"}).status, 201, "another project")
        two = {"Virga-Project": "two"}
        n = network(cloud, "public", body={"shared": True})
        s = subnet(cloud, "10.11.0.0/24", of="public")
        private = network(cloud, "private")
        check_eq([x["name"] for x in cloud.get("/networks", headers=two).body["items"]], ["public"], "what is shared")
        check_eq([x["name"] for x in cloud.get("/subnets", headers=two).body["items"]], ["sub"], "and its subnet")
        check_eq([x["name"] for x in cloud.get("/networks").body["items"]], ["public", "private"], "once to its own")
        check_eq(cloud.get("/networks/public", headers=two).body["id"], n["id"], "by name")
        check_eq(cloud.get(f"/subnets/{s['id']}", headers=two).status, 200, "by id")
        check_eq(cloud.get(f"/networks/{private['id']}", headers=two).code, "resource.not_found", "another's is nobody's")
        for answer in (cloud.patch(f"/networks/{n['id']}", {"shared": False}, headers=two), cloud.delete(f"/networks/{n['id']}", headers=two),
                       cloud.patch(f"/subnets/{s['id']}", {"dhcp": False}, headers=two), cloud.delete(f"/subnets/{s['id']}", headers=two)):
            refused(answer, 404, "resource.not_found")
        refused(cloud.post("/subnets", {"name": "x", "network": "public", "cidr": "10.12.0.0/24"}, headers=two), 403, "auth.forbidden", "/network")
        refused(cloud.post("/ports", {"name": "x", "network": private["id"]}, headers=two), 422, "reference.not_found", "/network")
        p = cloud.post("/ports", {"name": "p", "network": "public", "addresses": [{"subnet": "sub"}]}, headers=two)
        check_eq((p.status, p.body["status"]["addresses"]), (201, ["10.11.0.2"]), "a port of the other project")
        check_eq(cloud.get("/ports").body["items"], [], "which is not this one's")
        check_eq(port(cloud, "p", of="public")["status"]["addresses"], ["10.11.0.3"], "the address is taken")
        refused(cloud.patch("/networks/public", {"shared": False}), 409, "resource.in_use", "/shared")
        check_eq(cloud.delete("/ports/p", headers=two).status, 204, "gone")
        check_eq(cloud.patch("/networks/public", {"shared": False}).status, 200, "no longer shared")
        check_eq(cloud.get("/networks", headers=two).body["items"], [], "nothing to see")


@case
def quota_ends_somewhere():
    """The default is 50 networks; what is deleted counts no longer."""
    with Cloud() as cloud:
        for i in range(50):
            network(cloud, f"n{i}")
        refused(cloud.post("/networks", {"name": "n50"}), 409, "quota.exceeded", says="networks")
        check_eq(cloud.delete("/networks/n7").status, 204, "one fewer")
        network(cloud, "n50")


@case
def names_are_taken_once():
    """A refused port gives its address back."""
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.13.0.0/24")
        port(cloud, "p")
        refused(cloud.post("/ports", {"name": "p", "network": "net", "forwards": [{"guest_port": 22}]}), 409, "resource.name_taken")
        q = port(cloud, "q", forwards=[{"guest_port": 22}])
        check_eq((q["status"]["addresses"], q["status"]["forwards"][0]["host_port"]), (["10.13.0.3"], 20000), "nothing was lost")


# What is likely to be meant by a field's name, so that nonsense gets beyond the first check.
LIKELY = {
    "name": [f"n{i}" for i in range(300)], "network": ["net"], "subnet": ["sub", "six", "x"], "security_groups": ["open", "x"],
    "remote_group": ["open"], "cidr": [f"10.{i}.0.0/28" for i in range(1, 99)] + ["fd00:9::/127", "127.0.0.0/8"], "bridge": ["br0"],
    "gateway": ["10.0.0.1", "10.0.0.9"], "ip": [f"10.0.0.{i}" for i in range(16)] + ["fd00::5", "::ffff:10.0.0.1"],
    "first": ["10.0.0.1", "10.0.0.4"], "last": ["10.0.0.9", "10.0.0.12"], "mac": [f"02:00:00:00:00:0{i}" for i in range(9)],
    "remote_cidr": ["10.0.0.0/8", "::/0", "0.0.0.0/0"], "dns_servers": ["10.0.0.3", "fd00::3"], "dns_domain": ["example.org"],
}


def anything(rng, schema, name=""):
    """A value of a schema, more or less."""
    schema = DESCRIPTION.resolve(schema) if "$ref" in schema else schema
    if rng.random() < 0.02:
        return rng.choice([None, -1, 2**63, "", [], {}, True, "\u0000", [[]], 1.5, "a" * 64])
    if "properties" in schema:
        keys = [k for k in schema["properties"] if k in schema.get("required", []) or rng.random() < 0.25]
        return {k: anything(rng, schema["properties"][k], k) for k in keys}
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if kind == "integer":
        return rng.choice([schema.get("minimum", 0), schema.get("maximum", 9), rng.randint(0, 70000)])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "object":
        return {}
    if kind == "array":
        return [anything(rng, schema["items"], name) for _ in range(rng.randint(0, 3))]
    return rng.choice(LIKELY.get(name, ["x", "10.0.0.1"]))


@case
def nonsense_is_never_the_servers_fault():
    """Random bodies along the description: refused or done, never a 500; then all of it can be deleted."""
    rng = random.Random(4)
    kinds = {"networks": "Network", "subnets": "Subnet", "ports": "Port", "security-groups": "SecurityGroup", "floating-ips": "FloatingIp"}
    done = {}
    with Cloud() as cloud:
        network(cloud)
        subnet(cloud, "10.0.0.0/28")
        subnet(cloud, "fd00::/64", name="six")
        made(cloud, "security-groups", {"name": "open", "rules": OPEN}, "SecurityGroup")
        for i in range(2000):
            if i % 200 == 199:
                cloud.sign_in()  # for another minute's requests
            kind = rng.choice(list(kinds))
            items = cloud.get(f"/{kind}?limit=1000").body["items"] if rng.random() < 0.3 else []
            ref = rng.choice(items)["id"] if items else None
            if ref and rng.random() < 0.5:
                answer = cloud.delete(f"/{kind}/{ref}")
            elif ref:
                answer = cloud.patch(f"/{kind}/{ref}", anything(rng, DESCRIPTION.schema(kinds[kind] + "Patch")))
            else:
                answer = cloud.post(f"/{kind}", anything(rng, DESCRIPTION.schema(kinds[kind] + "Create")))
            check(answer.status < 500 or answer.status == 501, f"{kind}: {answer}")
            done[kind, answer.status] = done.get((kind, answer.status), 0) + 1
        check(all(done.get((k, 201), 0) for k in kinds if k != "floating-ips"), f"some of each are made: {done}")
        check(all(done.get((k, 204), 0) for k in kinds if k != "floating-ips"), f"some of each are deleted: {done}")
        ports = cloud.get("/ports?limit=1000").body["items"]
        pairs = [(p["network"], a) for p in ports for a in p["status"].get("addresses", [])]
        check_eq(len(set(pairs)), len(pairs), "each address once in its network")
        for network_id in {p[0] for p in pairs}:
            subnets = [s for s in cloud.get("/subnets?limit=1000").body["items"] if s["network"] == network_id]
            check_eq(sum(s["status"]["used"] for s in subnets), sum(p[0] == network_id for p in pairs), "and counted once")
        for kind in ("ports", "subnets", "networks", "security-groups"):
            items = cloud.get(f"/{kind}?limit=1000").body["items"]
            for item in items if kind == "security-groups" else []:
                check_eq(cloud.patch(f"/{kind}/{item['id']}", {"rules": []}).status, 200, "names no other")
            for item in items:
                check_eq(cloud.delete(f"/{kind}/{item['id']}").status, 204, f"{item} is deleted")


main()
