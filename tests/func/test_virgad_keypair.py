#!/usr/bin/env python3
"""The management server: key pairs, held against ssh-keygen."""
import os
import shutil
import subprocess
import tempfile

from virgatest import case, check, check_eq, main, skip
from virgatest.described import DescribedCloud as Cloud


def keygen(*args, **kw):
    """What ssh-keygen says."""
    if not shutil.which("ssh-keygen"):
        skip("ssh-keygen is not installed")
    return subprocess.run(["ssh-keygen", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, **kw).stdout


@case
def a_public_key_that_is_given_has_its_fingerprint():
    """Each type, as ssh-keygen -l shows it; the same after a restart."""
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        for kind, bits in (("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")):
            path = os.path.join(folder, kind + bits)
            keygen("-q", "-t", kind, "-b", bits, "-N", "", "-C", "ann", "-f", path)
            with open(path + ".pub", encoding="ascii") as f:
                line = f.read()
            made = cloud.post("/keypairs", {"name": kind + bits, "public_key": line})
            check_eq(made.status, 201, f"{made}")
            check("private_key" not in made.body, "no private key is made")
            check_eq(made.body["keypair"]["public_key"], line.strip(), "one line")
            check_eq(made.body["keypair"]["fingerprint"], keygen("-l", "-f", path + ".pub").split()[1], "its fingerprint")
        before = cloud.get("/keypairs").body
        check_eq(cloud.stop(), 0, "ended")
        cloud.start()
        check_eq(cloud.get("/keypairs").body, before, "all are there")


@case
def a_pair_is_made_and_its_private_key_shown_once():
    """ssh-keygen makes the same public key of it; it is kept nowhere."""
    with tempfile.TemporaryDirectory() as folder, Cloud() as cloud:
        made = cloud.post("/keypairs", {"name": "web"})
        check_eq(made.status, 201, f"{made}")
        path = os.path.join(folder, "key")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(made.body["private_key"])
        public = keygen("-y", "-f", path).split()
        check_eq(made.body["keypair"]["public_key"].split()[:2], public[:2], "they belong together")
        check_eq(keygen("-l", "-f", path).split()[1], made.body["keypair"]["fingerprint"], "the fingerprint")
        shown = cloud.get("/keypairs/web").body
        check("private_key" not in shown, "not shown again")
        check_eq(cloud.stop(), 0, "ended")
        secret = "".join(made.body["private_key"].split("\n")[1:-2])[-60:].encode()
        for name in os.listdir(cloud.state):
            with open(os.path.join(cloud.state, name), "rb") as f:
                check(secret not in f.read(), f"{name} does not hold it")


@case
def bad_keys_are_refused():
    """Each with what is wrong with it, at /public_key."""
    good = "AAAAC3NzaC1lZDI1NTE5AAAAIE5wVnJ5Y0dOZ2hqa2xxd2VydHl1aW9wYXNkZmdoamts"
    with Cloud() as cloud:
        for line in ("no key at all, however long it may be", "ssh-dss AAAAB3NzaC1kc3MAAACBAKc", f"ssh-rsa {good}",
                     f"ssh-ed25519 {good}AAAA", f"ssh-ed25519 {good[:-8]}", f"ssh-ed25519 {good}\nssh-ed25519 {good}",
                     f"command=\"reboot\" ssh-ed25519 {good}", "ssh-ed25519 " + "?" * 60, " " * 40):
            answer = cloud.post("/keypairs", {"name": "k", "public_key": line})
            check_eq((answer.status, answer.code), (422, "request.invalid"), f"{line!r}: {answer}")
            check_eq(answer.body["errors"][0]["pointer"], "/public_key", "where")
        check_eq(cloud.get("/keypairs").body["items"], [], "none was made")
        check_eq(cloud.post("/keypairs", {"name": "k", "public_key": f"ssh-ed25519 {good}"}).status, 201, "the good one is")


@case
def key_pairs_belong_to_a_project():
    """Names are a project's; changing and deleting; a project with one stays."""
    with Cloud() as cloud:
        cloud.post("/projects", {"name": "shop"})
        there = {"Virga-Project": "shop"}
        check_eq(cloud.post("/keypairs", {"name": "k"}).status, 201, "here")
        check_eq(cloud.post("/keypairs", {"name": "k"}).code, "resource.name_taken", "once")
        made = cloud.post("/keypairs", {"name": "k"}, headers=there)
        check_eq(made.status, 201, "and there")
        check_eq(cloud.get(f"/keypairs/{made.body['keypair']['id']}").status, 404, "not seen from here")
        check_eq(cloud.delete("/projects/shop").code, "resource.in_use", "the project is not empty")
        changed = cloud.patch("/keypairs/k", {"name": "l", "description": "d"}, headers=there)
        check_eq((changed.status, changed.body["name"]), (200, "l"), "renamed")
        check_eq(cloud.patch("/keypairs/l", {"public_key": "x" * 40}, headers=there).code, "request.invalid", "the key stays")
        check_eq(cloud.delete("/keypairs/l", headers=there).status, 204, "deleted")
        check_eq(cloud.delete("/projects/shop").status, 204, "the project too")


main()
