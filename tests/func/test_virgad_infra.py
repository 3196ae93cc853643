#!/usr/bin/env python3
"""The management server: flavors for some, zones, aggregates, how hosts join, server groups and reservations."""
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile

from virgatest import case, check, check_eq, main, skip
from virgatest.described import DescribedCloud as Cloud

PASSWORD = "correct horse battery"
SMALL = {"name": "one", "vcpus": 1, "memory_mib": 256}
KINDS = {"vm": 9, "host": 21}


def openssl(*args, stdin=None):
    """What openssl says."""
    if not shutil.which("openssl"):
        skip("openssl is not installed")
    return subprocess.run(["openssl", *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True).stdout


def request_for_a_certificate(*key):
    """A new key's request."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "key")
        return openssl("req", "-new", "-newkey", *(key or ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")), "-nodes",
                       "-keyout", path, "-subj", "/CN=whatever")


def join(cloud, name, secret, csr=None, **more):
    """What an agent does; it has no token."""
    kept, cloud.token = cloud.token, None
    try:
        return cloud.post("/host-joins", dict({"secret": secret, "name": name, "csr": csr or request_for_a_certificate()}, **more))
    finally:
        cloud.token = kept


def make_hosts(cloud, *names, zone=None):
    """Joined hosts, by name."""
    token = cloud.post("/host-join-tokens", {"name": f"for-{names[0]}", "max_uses": len(names), **({"zone": zone} if zone else {})})
    check_eq(token.status, 201, f"{token}")
    hosts = {}
    for name in names:
        answer = join(cloud, name, token.body["secret"])
        check_eq(answer.status, 201, f"{name} joins: {answer}")
        hosts[name] = answer.body["host"]
    return hosts


def rewrite(cloud, kind, object_id, change):
    """Changes a stored document while the server is stopped."""
    check_eq(cloud.stop(), 0, "ended")
    with sqlite3.connect(os.path.join(cloud.state, "virga.db")) as db:
        key = (KINDS[kind], bytes.fromhex(object_id.replace("-", "")))
        body = db.execute("select body from objects where kind = ? and id = ?", key).fetchone()[0]
        text = body.decode() if isinstance(body, bytes) else body
        doc, own = text.split("\n")
        doc = json.loads(doc)
        change(doc)
        new = json.dumps(doc, separators=(",", ":")) + "\n" + own
        db.execute("update objects set body = ? where kind = ? and id = ?", (new.encode() if isinstance(body, bytes) else new, *key))
    cloud.start()


@case
def a_flavor_may_be_for_some_projects():
    """Others do not see it; its projects are named by id."""
    with Cloud() as cloud:
        shop = cloud.post("/projects", {"name": "shop"}).body
        cloud.post("/users", {"name": "ann", "password": PASSWORD})
        cloud.post("/roles", {"user": "ann", "role": "member", "on_project": "default"})
        made = cloud.post("/flavors", dict(SMALL, projects=["shop", shop["id"]]))
        check_eq((made.status, made.body["projects"]), (201, [shop["id"]]), "once, by id")
        wrong = cloud.post("/flavors", dict(SMALL, name="two", projects=["shop", "nowhere"]))
        check_eq((wrong.code, wrong.body["errors"][0]["pointer"]), ("reference.not_found", "/projects/1"), "no such project")
        check(made.body in cloud.get("/flavors").body["items"], "an admin sees it")
        names = [f["name"] for f in cloud.said_by("ann", PASSWORD, "GET", "/flavors").body["items"]]
        check("one" not in names and "tiny" in names, f"ann does not: {names}")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/flavors/one").status, 404, "nor alone")
        check_eq(cloud.delete("/projects/shop").code, "resource.in_use", "the project stays while it is named")
        check_eq(cloud.patch("/flavors/one", {"projects": ["default"]}).status, 200, "for another one")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/flavors/one").status, 200, "now ann sees it")
        check_eq(cloud.patch("/flavors/one", {"projects": []}).status, 200, "for none")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/flavors/one").status, 404, "no longer")
        check("projects" not in cloud.patch("/flavors/one", {"projects": None}).body, "for all")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/flavors/one").status, 200, "everybody sees it")
        check_eq(cloud.delete("/projects/shop").status, 204, "nothing names it")


@case
def one_zone_is_the_default():
    """It passes from one to the other, in one step; it cannot be given up."""
    with Cloud() as cloud:
        first = cloud.get("/zones").body["items"]
        check_eq([(z["name"], z["default"], z["status"]) for z in first], [("default", True, {"hosts": 0, "hosts_up": 0})], "one")
        check_eq(cloud.patch("/zones/default", {"default": False}).code, "resource.in_use", "not given up")
        check_eq(cloud.delete("/zones/default").code, "resource.in_use", "not deleted")
        made = cloud.post("/zones", {"name": "west", "default": True})
        check_eq((made.status, made.body["default"]), (201, True), "another one")
        check_eq([z["name"] for z in cloud.get("/zones?filter=default%20eq%20true").body["items"]], ["west"], "only that")
        check_eq(cloud.patch("/zones/default", {"default": True}).status, 200, "back")
        check_eq([z["name"] for z in cloud.get("/zones?filter=default%20eq%20true").body["items"]], ["default"], "only that")
        check_eq(cloud.delete("/zones/west").status, 204, "deleted")
        check_eq(cloud.post("/zones", {"name": "default"}).code, "resource.name_taken", "names are taken once")


@case
def a_host_joins_with_a_certificate():
    """The secret names the authority; what is signed is for this host; the token is used up."""
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        token = cloud.post("/host-join-tokens", {"name": "t"}).body
        check(token["secret"] in token["command"], "the command holds the secret")
        check("secret" not in cloud.get("/host-join-tokens/t").body, "not shown again")
        csr = request_for_a_certificate()
        answer = join(cloud, "h1", token["secret"], csr, agent_version="0.1.0")
        check_eq(answer.status, 201, f"{answer}")
        host = answer.body["host"]
        check_eq((host["status"]["state"], host["mode"], host["status"]["agent_version"]), ("joining", "active", "0.1.0"), "it joins")
        check_eq(host["zone"], cloud.get("/zones/default").body["id"], "in the default zone")
        check_eq(host["status"]["address"], "127.0.0.1", "from here")
        paths = {}
        for name in ("ca", "certificate"):
            paths[name] = os.path.join(folder, name)
            with open(paths[name], "w", encoding="ascii") as f:
                f.write(answer.body[name])
        openssl("verify", "-purpose", "sslclient", "-CAfile", paths["ca"], paths["certificate"])
        printed = openssl("x509", "-in", paths["ca"], "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
        check_eq(token["secret"].split("_")[-1], printed.replace(":", "").lower(), "the authority's hash is in the secret")
        check(host["id"] in openssl("x509", "-in", paths["certificate"], "-noout", "-subject"), "it is this host's")
        check_eq(openssl("x509", "-in", paths["certificate"], "-noout", "-pubkey"), openssl("req", "-noout", "-pubkey", stdin=csr),
                 "of its key")
        again = join(cloud, "h2", token["secret"])
        check_eq((again.status, again.code), (401, "auth.expired"), "used up")
        check_eq(cloud.get("/host-join-tokens/t").body["uses"], 1, "once")
        check_eq(cloud.get("/zones/default").body["status"], {"hosts": 1, "hosts_up": 0}, "counted")
        ca = answer.body["ca"]
        cloud.kill()
        cloud.start()
        check_eq(cloud.get("/hosts/h1").body, host, "it is there after a restart")
        more = cloud.post("/host-join-tokens", {"name": "u", "max_uses": 2}).body
        check_eq(join(cloud, "h2", more["secret"]).body["ca"], ca, "of the same authority")
        check_eq(join(cloud, "h2", more["secret"]).code, "resource.name_taken", "names are taken once")
        check_eq(cloud.get("/host-join-tokens/u").body["uses"], 1, "what was refused is not counted")
        check("PRIVATE" not in json.dumps([cloud.get(p).body for p in ("/hosts", "/host-join-tokens", "/hosts/h1")]), "no key is shown")
        check("PRIVATE KEY" not in cloud.logged(), "nor logged")
        check_eq(cloud.stop(), 0, "ended")
        for name in os.listdir(cloud.state):
            with open(os.path.join(cloud.state, name), "rb") as f:
                check(token["secret"].encode() not in f.read(), f"{name} does not hold the secret")


@case
def bad_joins_are_refused():
    """A wrong secret, an expired one, requests that are none."""
    with Cloud() as cloud:
        token = cloud.post("/host-join-tokens", {"name": "t", "max_uses": 5}).body
        secret = token["secret"]
        good = request_for_a_certificate()
        for value in (secret[:-1] + ("0" if secret[-1] != "0" else "1"), "x", secret + "0"):
            check_eq(join(cloud, "h", value, good).code, "auth.failed", "a wrong secret")
        begin = good.index("\n") + 40
        for csr in ("nothing", good[:200], good[:begin] + ("A" if good[begin] != "A" else "B") + good[begin + 1:],
                    request_for_a_certificate("rsa:2048"), request_for_a_certificate("ec", "-pkeyopt", "ec_paramgen_curve:P-384")):
            answer = join(cloud, "h", secret, csr)
            check_eq((answer.status, answer.code), (422, "request.invalid"), f"{csr[:60]!r}: {answer}")
            check_eq(answer.body["errors"][0]["pointer"], "/csr", "where")
        check_eq(join(cloud, "no good name", secret, good).code, "request.invalid", "a name")
        check_eq(cloud.get("/hosts").body["items"], [], "no host")
        check_eq(cloud.get("/host-join-tokens/t").body["uses"], 0, "no use")
        for body, code in (({"name": "u", "expires_at": "2020-01-01T00:00:00Z"}, "request.invalid"),
                           ({"name": "u", "zone": "nowhere"}, "reference.not_found"),
                           ({"name": "u", "max_uses": 0}, "request.invalid"), ({"name": "t"}, "resource.name_taken")):
            check_eq(cloud.post("/host-join-tokens", body).code, code, f"{body}")
        check_eq(cloud.delete("/host-join-tokens/t").status, 204, "deleted")
        check_eq(join(cloud, "h", secret, good).code, "auth.failed", "which ends it")


@case
def hosts_are_changed_and_deleted():
    """Mode, zone, aggregates; what is on one keeps it."""
    with Cloud() as cloud:
        cloud.post("/zones", {"name": "west"})
        hosts = make_hosts(cloud, "h1", "h2")
        changed = cloud.patch("/hosts/h1", {"zone": "west", "rack": "r1", "traits": ["gpu"], "dedicated_to": "default"})
        check_eq((changed.status, changed.body["zone"]), (200, cloud.get("/zones/west").body["id"]), "moved")
        check_eq(cloud.patch("/hosts/h1", {"zone": "none"}).code, "reference.not_found", "no such zone")
        check_eq(cloud.patch("/hosts/h1", {"dedicated_to": "none"}).code, "reference.not_found", "no such project")
        check_eq(cloud.patch("/hosts/h1", {"mode": "cordoned"}).code, "request.invalid", "the mode has its own calls")
        check_eq(cloud.delete("/zones/west").code, "resource.in_use", "the zone has a host")
        check_eq(cloud.patch("/hosts/h1", {"zone": None}).body["zone"], hosts["h2"]["zone"], "back to the default")
        check_eq(cloud.delete("/zones/west").status, 204, "now it goes")
        check_eq(cloud.post("/hosts/h1/cordon").body["mode"], "cordoned", "cordoned")
        check_eq(cloud.post("/hosts/h1/cordon").body["mode"], "cordoned", "twice is the same")
        check_eq(cloud.post("/hosts/h1/activate").body["mode"], "active", "active")
        check_eq(cloud.post("/hosts/none/activate").status, 404, "no such host")
        aggregate = cloud.post("/aggregates", {"name": "a", "hosts": ["h1", "h2"]}).body
        rewrite(cloud, "host", hosts["h1"]["id"], lambda doc: doc["status"].update(state="up"))
        check_eq(cloud.get("/zones/default").body["status"], {"hosts": 2, "hosts_up": 1}, "one is up")
        check_eq(cloud.delete("/hosts/h1").code, "resource.wrong_state", "it takes VMs")
        check_eq(cloud.post("/hosts/h1/cordon").status, 200, "not any more")
        check_eq(cloud.delete("/hosts/h1").status, 204, "deleted")
        check_eq(cloud.get("/aggregates/a").body["hosts"], [hosts["h2"]["id"]], "it has left the aggregate")
        check_eq(cloud.delete("/hosts/h2", headers={"If-Match": '"9"'}).status, 412, "not on a wrong guess")
        check_eq(cloud.delete("/hosts/h2").status, 204, "one that never came goes at once")
        check_eq(cloud.get(f"/aggregates/{aggregate['id']}").body["hosts"], [], "nobody is left")


@case
def aggregates_hold_hosts_of_their_zone():
    """Put in and taken out, alone or as a list; each once."""
    with Cloud() as cloud:
        cloud.post("/zones", {"name": "west"})
        here = make_hosts(cloud, "h1", "h2")
        there = make_hosts(cloud, "w1", zone="west")
        check_eq(there["w1"]["zone"], cloud.get("/zones/west").body["id"], "by its token")
        check_eq(cloud.delete("/zones/west").code, "resource.in_use", "the zone is used")
        made = cloud.post("/aggregates", {"name": "a", "zone": "default", "hosts": ["h1", here["h1"]["id"]], "dedicated_to": ["default"]})
        check_eq((made.status, made.body["hosts"]), (201, [here["h1"]["id"]]), "once")
        added = cloud.post("/aggregates/a/hosts", {"host": "h2"})
        check_eq((added.status, sorted(added.body["hosts"])), (200, sorted(h["id"] for h in here.values())), "added")
        check_eq(cloud.post("/aggregates/a/hosts", {"host": "h2"}).body, added.body, "twice is the same")
        check_eq(cloud.post("/aggregates/a/hosts", {"host": "w1"}).code, "resource.wrong_state", "another zone")
        check_eq(cloud.patch("/aggregates/a", {"hosts": ["w1"]}).code, "resource.wrong_state", "also as a list")
        check_eq(cloud.post("/aggregates/a/hosts", {"host": "none"}).code, "reference.not_found", "no such host")
        check_eq(cloud.patch("/hosts/h1", {"zone": "west"}).code, "resource.in_use", "a member does not move")
        check_eq(cloud.delete("/aggregates/a/hosts/w1").status, 404, "it is not in it")
        check_eq(cloud.delete("/aggregates/a").code, "resource.in_use", "not with hosts")
        check_eq(cloud.delete("/aggregates/a/hosts/h2").body["hosts"], [here["h1"]["id"]], "taken out")
        check_eq(cloud.delete("/projects/default").code, "resource.in_use", "the project is named")
        check_eq(cloud.patch("/aggregates/a", {"hosts": [], "overcommit": {"vcpu_ratio": 2}}).body["overcommit"]["vcpu_ratio"], 2, "ratio")
        for body, code in (({"hosts": ["none"]}, "reference.not_found"), ({"dedicated_to": ["none"]}, "reference.not_found"),
                           ({"overcommit": {"vcpu_ratio": 0}}, "request.invalid"), ({"hosts": "h1"}, "request.invalid")):
            check_eq(cloud.patch("/aggregates/a", body).code, code, f"{body}")
        check_eq(cloud.delete("/aggregates/a").status, 204, "deleted")


@case
def groups_and_reservations_name_what_is_there():
    """What is referred to stays; times make sense."""
    with Cloud() as cloud:
        group = cloud.post("/server-groups", {"name": "g", "policy": "anti_affinity", "max_per_host": 2})
        check_eq((group.status, group.body["by"], group.body["status"]["members"]), (201, "host", []), f"{group}")
        check_eq(cloud.post("/server-groups", {"name": "h", "policy": "affinity", "max_per_host": 2}).code, "request.invalid", "no")
        check_eq(cloud.post("/server-groups", {"name": "h"}).code, "request.invalid", "a policy is needed")
        check_eq(cloud.patch("/server-groups/g", {"description": "d"}).status, 200, "changed")
        check_eq(cloud.delete("/server-groups/g").status, 204, "deleted")
        cloud.post("/zones", {"name": "west"})
        cloud.post("/aggregates", {"name": "a"})
        cloud.post("/flavors", SMALL)
        good = {"name": "r", "flavor": "one", "count": 3, "zone": "west", "aggregate": "a", "starts_at": "2098-01-01T00:00:00Z"}
        for more, code in (({"flavor": "none"}, "reference.not_found"), ({"zone": "none"}, "reference.not_found"),
                           ({"aggregate": "none"}, "reference.not_found"), ({"count": 0}, "request.invalid"),
                           ({"ends_at": "2020-01-01T00:00:00Z"}, "request.invalid"),
                           ({"ends_at": "2097-01-01T00:00:00Z"}, "request.invalid"), ({"starts_at": "2020-01-01T00:00:00Z"}, "placement.no_host")):
            check_eq(cloud.post("/reservations", dict(good, **more)).code, code, f"{more}")
        made = cloud.post("/reservations", good)
        check_eq((made.status, made.body["status"]), (201, {"state": "pending", "held": 0, "used": 0}), f"{made}")
        for path in ("/flavors/one", "/zones/west", "/aggregates/a"):
            check_eq(cloud.delete(path).code, "resource.in_use", f"{path} stays")
        check_eq(cloud.patch("/reservations/r", {"count": 5, "ends_at": "2099-01-01T00:00:00Z"}).body["count"], 5, "more")
        check_eq(cloud.patch("/reservations/r", {"ends_at": "2020-01-01T00:00:00Z"}).code, "request.invalid", "not in the past")
        check_eq(cloud.patch("/reservations/r", {"flavor": "tiny"}).code, "request.invalid", "another flavor is another one")
        check_eq(cloud.patch("/flavors/one", {"enabled": False}).status, 200, "disabled")
        check_eq(cloud.post("/reservations", dict(good, name="s")).code, "resource.wrong_state", "no new ones")
        cloud.patch("/flavors/one", {"enabled": True, "projects": []})
        check_eq(cloud.post("/reservations", dict(good, name="s")).code, "reference.not_found", "it is for nobody")
        check_eq(cloud.delete("/reservations/r").status, 204, "deleted")
        for path in ("/flavors/one", "/zones/west", "/aggregates/a"):
            check_eq(cloud.delete(path).status, 204, f"{path} goes")


main()
