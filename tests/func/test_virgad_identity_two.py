#!/usr/bin/env python3
"""Several management servers on one PostgreSQL: who is signed in, and that somebody may, is the same on each."""
import concurrent.futures
import contextlib
import os
import shutil
import tempfile

from virgatest import case, check, check_eq, main
from virgatest.cloud import Cloud
from virgatest.pg import Postgres

PASSWORD = "correct horse battery"


@contextlib.contextmanager
def two():
    """Two servers; both signed in to."""
    with Postgres() as pg, Cloud("--store", pg.url) as one:
        state = tempfile.mkdtemp(prefix="virga-cloud-")
        try:
            shutil.copy(os.path.join(one.state, "first-password"), state)
            with Cloud("--store", pg.url, state=state) as other:
                yield one, other
        finally:
            shutil.rmtree(state, ignore_errors=True)


def caught_up(cloud, answer):
    """Waits until a server shows what another one has written."""
    check_eq(cloud.get("/whoami", headers={"Virga-Seq": answer.headers["virga-seq"]}).status, 200, "it has come as far")


def with_token(cloud, token, method, path, body=None):
    """One request by another token."""
    return cloud.ask(method, path, body, headers={"Authorization": f"Bearer {token}"})


@case
def a_session_and_a_token_are_known_to_both():
    """And both forget them."""
    with two() as (one, other):
        check_eq(one.post("/users", {"name": "ann", "password": PASSWORD}).status, 201, "a user")
        signed = one.post("/sessions", {"user": "ann", "password": PASSWORD})
        caught_up(other, signed)
        secret = signed.body["secret"]
        check_eq(with_token(other, secret, "GET", "/whoami").body["user"]["name"], "ann", "known to the other")
        made = with_token(other, secret, "POST", "/tokens", {"name": "t"})
        check_eq(made.status, 201, f"{made}")
        caught_up(one, made)
        token = made.body["secret"]
        check_eq(with_token(one, token, "GET", "/whoami").body["token"]["name"], "t", "the token is known to the first")
        gone = with_token(other, secret, "DELETE", "/session")
        check_eq(gone.status, 204, "signed out")
        caught_up(one, gone)
        check_eq(with_token(one, secret, "GET", "/whoami").code, "auth.invalid", "at the first too")
        changed = one.patch("/users/ann", {"enabled": False})
        check_eq(changed.status, 200, "disabled")
        caught_up(other, changed)
        check_eq(with_token(other, token, "GET", "/whoami").status, 401, "at the other too")


@case
def a_change_of_password_ends_sessions_on_both():
    """The old password and what it opened end everywhere."""
    with two() as (one, other):
        one.post("/users", {"name": "ann", "password": PASSWORD})
        signed = one.post("/sessions", {"user": "ann", "password": PASSWORD})
        caught_up(other, signed)
        body = {"old_password": PASSWORD, "new_password": PASSWORD + "!"}
        changed = with_token(other, signed.body["secret"], "POST", "/users/ann/password", body)
        check_eq(changed.status, 204, f"{changed}")
        caught_up(one, changed)
        check_eq(with_token(one, signed.body["secret"], "GET", "/whoami").status, 401, "ended")
        check_eq(one.post("/sessions", {"user": "ann", "password": PASSWORD}).status, 401, "the old one is wrong")
        check_eq(one.post("/sessions", {"user": "ann", "password": PASSWORD + "!"}).status, 201, "the new one is right")


@case
def of_two_admins_that_go_on_two_servers_one_stays():
    """At the same time, again and again."""
    with two() as (one, other):
        made = one.post("/users", {"name": "ann", "password": PASSWORD})
        check_eq(made.status, 201, "a second one")
        roles = {"admin": next(r for r in one.get("/roles").body["items"] if r["role"] == "admin")["id"]}
        ids = {"admin": one.get("/users/admin").body["id"], "ann": made.body["id"]}
        given = one.post("/roles", {"user": "ann", "role": "admin"})
        roles["ann"] = given.body["id"]
        caught_up(other, given)
        other.sign_in("ann", PASSWORD)
        for _ in range(8):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda x: x[0].delete(f"/roles/{roles[x[1]]}"), ((one, "ann"), (other, "admin"))))
            statuses = [a.status for a in answers]
            check(204 in statuses, f"one goes: {answers}")
            check(statuses.count(204) == 1, f"the other stays: {answers}")
            check(set(statuses) <= {204, 403, 409}, f"{answers}")
            goes, stays, cloud = ("ann", "admin", one) if statuses[0] == 204 else ("admin", "ann", other)
            caught_up(cloud, answers[statuses.index(204)])
            left = [r["user"] for r in cloud.get("/roles").body["items"] if r["role"] == "admin"]
            check_eq(left, [ids[stays]], "the one that stayed is one")
            again = cloud.post("/roles", {"user": goes, "role": "admin"})
            check_eq(again.status, 201, f"{again}")
            roles[goes] = again.body["id"]
            caught_up(other if cloud is one else one, again)


main()
