#!/usr/bin/env python3
"""The management server: users, passwords, roles, tokens, sessions, projects and their quotas."""
import concurrent.futures
import os
import sqlite3

from virgatest import case, check, check_eq, main
from virgatest.described import DescribedCloud as Cloud

PASSWORD = "correct horse battery"
OTHER = "staple, and then some"
FAR = "2099-01-01T00:00:00Z"


def make_user(cloud, name="ann", **more):
    """A user with a password."""
    answer = cloud.post("/users", dict({"name": name, "password": PASSWORD}, **more))
    check_eq(answer.status, 201, f"user {name} is made: {answer}")
    return answer.body


def give(cloud, user, role, project=None):
    """A role assignment."""
    body = {"user": user, "role": role, **({"on_project": project} if project else {})}
    answer = cloud.post("/roles", body)
    check_eq(answer.status, 201, f"{user} is {role}: {answer}")
    return answer.body


def as_token(cloud, token):
    """What the cloud is asked with from now on; returns what it was."""
    kept, cloud.token = cloud.token, token
    return kept


@case
def a_password_is_nowhere_in_clear():
    """Not in answers, the log, the events, the audit trail, the store."""
    with Cloud() as cloud:
        user = make_user(cloud)
        check("password" not in user, "the answer has none")
        check("password" not in cloud.get("/users/ann").body, "nor has a look at the user")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/whoami").body["user"]["name"], "ann", "it works")
        check_eq(cloud.post("/users/ann/password", {"new_password": OTHER}).status, 204, "an admin sets another")
        wrong = cloud.post("/sessions", {"user": "ann", "password": PASSWORD})
        check_eq((wrong.status, wrong.code), (401, "auth.failed"), "the old one no longer works")
        check_eq(cloud.said_by("ann", OTHER, "GET", "/whoami").status, 200, "the new one does")
        check_eq(cloud.stop(), 0, "ended")
        for name in os.listdir(cloud.state):
            with open(os.path.join(cloud.state, name), "rb") as f:
                held = f.read()
            for secret in (PASSWORD, OTHER):
                check(secret.encode() not in held, f"{name} does not hold it")
        with sqlite3.connect(os.path.join(cloud.state, "virga.db")) as db:
            rows = [r for (t,) in db.execute("select name from sqlite_master where type='table'").fetchall()
                    for r in db.execute(f"select * from {t}").fetchall()]
        check(any("$argon2id$" in str(r) for r in rows), "the store holds the hash")
        check(not any("$argon2id$" in str(r) and "virga.user" in str(r) for r in rows), "no event holds it")


@case
def bad_users_are_refused():
    """Each with its reason, and nothing is made."""
    with Cloud() as cloud:
        make_user(cloud)
        for body, status, code in (
                ({"name": "ann", "password": PASSWORD}, 409, "resource.name_taken"),
                ({"name": "bob", "password": "short"}, 422, "request.invalid"),
                ({"name": "bob", "password": "x" * 256}, 422, "request.invalid"),
                ({"name": "bob", "default_project": "nowhere"}, 422, "reference.not_found"),
                ({"name": "no good name"}, 422, "request.invalid"),
                ({"password": PASSWORD}, 422, "request.invalid")):
            answer = cloud.post("/users", body)
            check_eq((answer.status, answer.code), (status, code), f"{body}")
        check_eq([u["name"] for u in cloud.get("/users").body["items"]], ["admin", "ann"], "two users")
        named = cloud.patch("/users/ann", {"default_project": "nowhere"})
        check_eq((named.code, named.body["errors"][0]["pointer"]), ("reference.not_found", "/default_project"), "named")
        project = cloud.get("/projects/default").body["id"]
        check_eq(cloud.patch("/users/ann", {"default_project": "default"}).body["default_project"], project, "by id")
        check("default_project" not in cloud.patch("/users/ann", {"default_project": None}).body, "taken away")


@case
def a_change_of_password_ends_sessions():
    """One's own takes the old one; others are an admin's business."""
    with Cloud() as cloud:
        make_user(cloud)
        admin = cloud.token
        cloud.sign_in("ann", PASSWORD)
        for body, code in (({"new_password": OTHER}, "request.invalid"),
                           ({"new_password": OTHER, "old_password": "not this one"}, "auth.failed"),
                           ({"new_password": "short", "old_password": PASSWORD}, "request.invalid")):
            check_eq(cloud.post("/users/ann/password", body).code, code, f"{body}")
        for name in ("admin", "nobody"):
            answer = cloud.post(f"/users/{name}/password", {"new_password": OTHER, "old_password": PASSWORD})
            check_eq((answer.status, answer.code), (403, "auth.forbidden"), f"that of {name}")
        ann = cloud.token
        good = {"new_password": OTHER, "old_password": PASSWORD}
        check_eq(cloud.post("/users/ann/password", good).status, 204, "changed")
        check_eq(cloud.get("/whoami").status, 401, "the session has ended")
        cloud.stop()
        cloud.token = None
        cloud.start()
        as_token(cloud, ann)
        check_eq(cloud.get("/whoami").status, 401, "also after a restart")
        as_token(cloud, admin)
        check_eq(cloud.get("/whoami").status, 200, "that of the admin has not")


@case
def sessions_survive_a_restart_and_are_not_listed():
    """kill -9; signing out; no token is shown for one."""
    with Cloud() as cloud:
        first = cloud.token
        check_eq(cloud.get("/tokens").body["items"], [], "no session is listed")
        check("token" not in cloud.get("/whoami").body, "whoami shows none")
        cloud.kill()
        cloud.start()
        second = as_token(cloud, first)
        check_eq(cloud.get("/whoami").body["user"]["name"], "admin", "it still works")
        with sqlite3.connect(os.path.join(cloud.state, "virga.db")) as db:
            sessions = [bytes(r[0]).hex() for r in db.execute("select id from objects where kind = 5").fetchall()]
        check(len(sessions) == 2, f"both are stored: {sessions}")
        for hexed in sessions:
            uuid = "-".join((hexed[:8], hexed[8:12], hexed[12:16], hexed[16:20], hexed[20:]))
            check_eq(cloud.get(f"/tokens/{uuid}").status, 404, "not shown by id")
            check_eq(cloud.delete(f"/tokens/{uuid}").status, 404, "nor deleted as a token")
        check_eq(cloud.delete("/session").status, 204, "signed out")
        check_eq(cloud.get("/whoami").code, "auth.invalid", "that is the end of it")
        cloud.stop()
        cloud.start()
        as_token(cloud, first)
        check_eq(cloud.get("/whoami").code, "auth.invalid", "for good")
        as_token(cloud, second)
        check_eq(cloud.get("/whoami").status, 200, "the other one lives on")


@case
def the_last_admin_stays():
    """Not deleted, not disabled, not demoted; of two either may go, and then the other may not."""
    with Cloud() as cloud:
        role = next(r for r in cloud.get("/roles").body["items"] if r["role"] == "admin")
        for answer in (cloud.delete("/users/admin"), cloud.patch("/users/admin", {"enabled": False}),
                       cloud.delete(f"/roles/{role['id']}")):
            check_eq((answer.status, answer.code), (409, "resource.protected"), f"the only one: {answer}")
        made = cloud.post("/users", {"name": "nopass"})
        give(cloud, "nopass", "admin")
        check_eq(cloud.delete(f"/roles/{role['id']}").code, "resource.protected", "one that cannot sign in does not count")
        make_user(cloud)
        other = give(cloud, "ann", "admin")
        check_eq(cloud.patch("/users/admin", {"enabled": False}).status, 200, "of two one may be disabled")
        check_eq(cloud.get("/whoami").status, 401, "which is the end of its session")
        cloud.sign_in("ann", PASSWORD)
        check_eq(cloud.delete(f"/roles/{other['id']}").code, "resource.protected", "ann is the last one now")
        check_eq(cloud.delete("/users/admin").status, 204, "a disabled one goes")
        check_eq([r["id"] for r in cloud.get("/roles").body["items"] if r["user"] == role["user"]], [], "with its roles")
        check_eq(cloud.delete(f"/users/{made.body['id']}").status, 204, "so does the one without a password")


@case
def roles_name_what_is_there():
    """By name or id; twice the same is told."""
    with Cloud() as cloud:
        user = make_user(cloud)
        project = cloud.post("/projects", {"name": "shop"}).body
        role = give(cloud, "ann", "member", "shop")
        check_eq((role["user"], role["on_project"]), (user["id"], project["id"]), "ids are kept")
        again = cloud.post("/roles", {"user": user["id"], "role": "member", "on_project": "shop"})
        check_eq((again.status, again.code), (409, "resource.name_taken"), "the same again")
        for body, pointer in (({"user": "bob", "role": "reader"}, "/user"),
                              ({"user": "ann", "role": "reader", "on_project": "no"}, "/on_project")):
            answer = cloud.post("/roles", body)
            check_eq((answer.code, answer.body["errors"][0]["pointer"]), ("reference.not_found", pointer), f"{body}")
        check_eq(cloud.post("/roles", {"user": "ann", "role": "king"}).code, "request.invalid", "no such role")
        names = [p["name"] for p in cloud.said_by("ann", PASSWORD, "GET", "/projects").body["items"]]
        check_eq(names, ["shop"], "the projects that ann sees")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/projects/default").status, 404, "the other is not there for ann")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/users").status, 403, "users are an admin's business")
        roles = cloud.said_by("ann", PASSWORD, "GET", "/whoami").body["roles"]
        check_eq([r["id"] for r in roles], [role["id"]], "whoami shows it")
        check_eq(cloud.delete(f"/roles/{role['id']}").status, 204, "taken away")
        check_eq(cloud.said_by("ann", PASSWORD, "GET", "/projects").body["items"], [], "ann sees none")


@case
def tokens_speak_for_their_owner_only():
    """Shown once; within scopes, project and time; one's own, but for admins."""
    with Cloud() as cloud:
        make_user(cloud)
        give(cloud, "ann", "member", "default")
        admin = cloud.token
        cloud.sign_in("ann", PASSWORD)
        made = cloud.post("/tokens", {"name": "ci", "scopes": ["compute:read", "identity:read"], "token_project": "default"})
        check_eq(made.status, 201, f"made: {made}")
        check("secret" not in cloud.get("/tokens/ci").body, "the secret is not shown again")
        ann = as_token(cloud, made.body["secret"])
        me = cloud.get("/whoami").body
        check_eq((me["user"]["name"], me["token"]["name"]), ("ann", "ci"), "it is ann")
        answer = cloud.get("/flavors")
        check_eq(answer.status, 200, "within its scopes")
        check(int(answer.headers["ratelimit-limit"]) == 6000 and "ratelimit-remaining" in answer.headers
              and "ratelimit-reset" in answer.headers, f"limits are told: {answer.headers}")
        check_eq(cloud.post("/keypairs", {"name": "k"}).code, "auth.scope", "not beyond them")
        check_eq(cloud.post("/tokens", {"name": "more"}).code, "auth.scope", "it cannot make a stronger one")
        as_token(cloud, admin)
        check_eq([t["name"] for t in cloud.get("/tokens").body["items"]], ["ci"], "an admin sees it")
        mine = cloud.post("/tokens", {"name": "mine"}).body["token"]
        as_token(cloud, ann)
        check_eq([t["name"] for t in cloud.get("/tokens").body["items"]], ["ci"], "ann does not see the admin's")
        for answer in (cloud.get("/tokens/mine"), cloud.patch("/tokens/mine", {"description": "x"}),
                       cloud.delete(f"/tokens/{mine['id']}")):
            check_eq(answer.status, 404, f"{answer}")
        used = cloud.get("/tokens/ci").body
        check(used["last_used_at"].endswith(":00.000Z"), f"to the minute: {used}")
        check_eq(cloud.patch("/tokens/ci", {"rate_limit_per_min": 6}).status, 200, "slower")
        as_token(cloud, made.body["secret"])
        answers = [cloud.get("/flavors") for _ in range(3)]
        check(any(a.status == 429 and int(a.headers["retry-after"]) > 0 for a in answers), f"too fast: {answers}")
        as_token(cloud, ann)
        check_eq(cloud.delete("/tokens/ci").status, 204, "deleted")
        as_token(cloud, made.body["secret"])
        check_eq(cloud.get("/flavors").code, "auth.invalid", "it no longer works")


@case
def tokens_are_bounded_in_time_and_place():
    """What cannot be had is refused with its reason; what was made survives a restart."""
    with Cloud() as cloud:
        make_user(cloud)
        for body, code in (({"name": "t", "expires_at": "2020-01-01T00:00:00Z"}, "request.invalid"),
                           ({"name": "t", "expires_at": FAR}, "request.invalid"),
                           ({"name": "t", "expires_at": "2020-02-31T00:00:00Z"}, "request.invalid"),
                           ({"name": "t", "scopes": []}, "request.invalid"),
                           ({"name": "t", "scopes": ["all:none"]}, "request.invalid"),
                           ({"name": "t", "token_project": "nowhere"}, "reference.not_found")):
            check_eq(cloud.post("/tokens", body).code, code, f"{body}")
        made = cloud.post("/tokens", {"name": "t"})
        check(made.body["token"]["expires_at"] > made.body["token"]["created_at"], "it has an end")
        check_eq(cloud.said_by("ann", PASSWORD, "POST", "/tokens", {"name": "u", "token_project": "default"}).code,
                 "reference.not_found", "a project that ann does not see")
        cloud.kill()
        cloud.start()
        cloud.token = made.body["secret"]
        check_eq(cloud.get("/whoami").body["token"]["name"], "t", "after a restart")
        again = cloud.post("/tokens", {"name": "u"})
        check_eq(again.status, 201, "a token may make one that is no stronger")
        check(again.body["token"]["expires_at"] <= made.body["token"]["expires_at"], "and lives no longer")
        check_eq(cloud.delete("/session").code, "resource.wrong_state", "it is no session")


@case
def a_disabled_user_is_nobody():
    """Sessions end for good; tokens rest."""
    with Cloud() as cloud:
        make_user(cloud)
        admin = cloud.token
        cloud.sign_in("ann", PASSWORD)
        token = cloud.post("/tokens", {"name": "t"}).body["secret"]
        ann = as_token(cloud, admin)
        check_eq(cloud.patch("/users/ann", {"enabled": False}).status, 200, "disabled")
        for secret in (ann, token):
            as_token(cloud, secret)
            check_eq(cloud.get("/whoami").status, 401, "nobody")
        check_eq(cloud.post("/sessions", {"user": "ann", "password": PASSWORD}).code, "auth.failed", "cannot sign in")
        as_token(cloud, admin)
        check_eq(cloud.patch("/users/ann", {"enabled": True}).status, 200, "enabled again")
        cloud.stop()
        cloud.start()
        as_token(cloud, ann)
        check_eq(cloud.get("/whoami").status, 401, "the session does not come back")
        as_token(cloud, token)
        check_eq(cloud.get("/whoami").status, 200, "the token does")
        as_token(cloud, admin)
        check_eq(cloud.delete("/users/ann").status, 204, "deleted")
        check_eq(cloud.get("/tokens").body["items"], [], "with its tokens")


@case
def tickets_are_made_by_whoever_is_signed_in():
    """A ticket, and none without a token."""
    with Cloud() as cloud:
        made = cloud.post("/tickets")
        check_eq(made.status, 201, f"{made}")
        cloud.token = made.body["ticket"]
        check_eq(cloud.get("/whoami").code, "auth.invalid", "a ticket is no token")


@case
def guessing_passwords_is_slowed_down():
    """Too many tries from one address: 429, with the time to wait; whoever is signed in goes on."""
    with Cloud() as cloud:
        token, cloud.token = cloud.token, None
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            answers = list(pool.map(lambda i: cloud.post("/sessions", {"user": f"u{i % 2}", "password": "wrong password"}),
                                    range(60)))
        check_eq({a.status for a in answers}, {401, 429}, "some are tried, some are not")
        slow = next(a for a in answers if a.status == 429)
        check_eq(slow.code, "rate.limited", "the reason")
        check(int(slow.headers["retry-after"]) >= 1, "the time")
        check_eq(slow.body["retry_after_s"], int(slow.headers["retry-after"]), "in both places")
        cloud.token = token
        check_eq(cloud.get("/whoami").status, 200, "a session is not slowed down")


@case
def a_project_has_a_quota():
    """Limits of its own and those of all; what is used; ETags."""
    with Cloud() as cloud:
        project = cloud.post("/projects", {"name": "shop"}).body
        here = {"Virga-Project": "shop"}
        quota = cloud.get("/quota", headers=here)
        check_eq((quota.body["limits"]["vms"], quota.body["used"]["vms"], quota.headers["etag"]), (100, 0, '"1"'), "as all")
        set_to = cloud.patch("/projects/shop/quota", {"limits": {"vms": 3, "ports": -1}}, headers={"If-Match": '"1"'})
        check_eq((set_to.status, set_to.body["limits"]["vms"], set_to.headers["etag"]), (200, 3, '"2"'), "its own")
        check_eq(cloud.patch("/projects/shop/quota", {"limits": {"vms": 4}}, headers={"If-Match": '"1"'}).status, 412, "once")
        check_eq(cloud.patch("/quota-defaults", {"vms": 7, "volumes": 9}).body["volumes"], 9, "those of all")
        check_eq(cloud.get("/quota-defaults").body["vms"], 7, "are kept")
        cloud.stop()
        cloud.start()
        limits = cloud.get("/quota", headers=here).body["limits"]
        check_eq((limits["vms"], limits["volumes"], limits["ports"]), (3, 9, -1), "both count, after a restart")
        check_eq(cloud.patch("/projects/shop/quota", {"limits": {"vms": None}}).body["limits"]["vms"], 7, "taken back")
        check_eq(cloud.patch(f"/projects/{project['id']}/quota", {"limits": None}).body["limits"]["ports"], 500, "all of it")
        for body in ({"limits": {"vms": -2}}, {"limits": {"cows": 1}}, {"used": {"vms": 1}}, {"limits": 3}):
            check_eq(cloud.patch("/projects/shop/quota", body).code, "request.invalid", f"{body}")
        check_eq(cloud.patch("/projects/none/quota", {"limits": {"vms": 1}}).status, 404, "no such project")
        first = cloud.patch("/projects/default/quota", {"limits": {"vms": 1}}, headers={"If-Match": '"1"'})
        check_eq((first.status, first.headers["etag"]), (200, '"2"'), "the first project's too")


@case
def a_project_goes_when_nothing_is_its():
    """What refers to it is named; its roles, tokens and quota go with it."""
    with Cloud() as cloud:
        project = cloud.post("/projects", {"name": "shop"}).body
        make_user(cloud, default_project="shop")
        give(cloud, "ann", "member", "shop")
        token = cloud.said_by("ann", PASSWORD, "POST", "/tokens", {"name": "t", "token_project": "shop"})
        check_eq(token.status, 201, f"{token}")
        answer = cloud.delete("/projects/shop")
        check_eq((answer.status, answer.code), (409, "resource.in_use"), "the default of ann")
        check("ann" in answer.body["detail"], f"named: {answer}")
        check_eq(cloud.patch("/users/ann", {"default_project": None}).status, 200, "no longer")
        check_eq(cloud.delete("/projects/shop").status, 204, "gone")
        check_eq([r for r in cloud.get("/roles").body["items"] if r.get("on_project") == project["id"]], [], "its roles too")
        check_eq(cloud.get("/tokens").body["items"], [], "its tokens too")
        check_eq(cloud.post("/projects", {"name": "shop"}).status, 201, "the name is free")


@case
def a_disabled_project_makes_nothing():
    """POSTs that make or start are refused; looking is not."""
    with Cloud() as cloud:
        check_eq(cloud.patch("/projects/default", {"enabled": False}).status, 200, "disabled")
        for path, body in (("/keypairs", {"name": "k"}), ("/networks", {"name": "n"}), ("/vms/x/start", None)):
            answer = cloud.post(path, body)
            check_eq((answer.status, answer.code), (403, "project.disabled"), f"{path}")
        check_eq(cloud.get("/quota").status, 200, "looked at")
        check(cloud.post("/vms/x/stop").code != "project.disabled", "what stops is not refused for that")


main()
