#!/usr/bin/env python3
"""A copy of the store while the server serves, and the way back."""
import os
import subprocess

from virgatest import case, check, check_eq, main, program
from virgatest.cloud import DESCRIPTION, Cloud

SMALL = {"vcpus": 1, "memory_mib": 256}


def restore(cloud, path):
    """virgad --restore: (exit code, output)"""
    p = subprocess.run([program("virgad"), "--state", cloud.state, "--restore", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, check=False)
    return p.returncode, p.stdout


@case
def a_backup_is_made_while_it_serves_and_restored():
    """What was there then is there again; what came later is kept beside it."""
    with Cloud() as cloud:
        check_eq(cloud.post("/flavors", dict(SMALL, name="before")).status, 201, "made")
        made = cloud.post("/backups")
        check_eq(made.status, 201, f"a backup: {made}")
        check_eq(DESCRIPTION.errors(DESCRIPTION.schema("Backup"), made.body), [], "as described")
        check_eq(os.path.getsize(made.body["path"]), made.body["size_bytes"], "it is there")
        check_eq(cloud.post("/flavors", dict(SMALL, name="after")).status, 201, "made")
        code, text = restore(cloud, made.body["path"])
        check(code == 1 and "end the server first" in text, f"not under a server: {text}")
        check_eq(cloud.get("/flavors/after").status, 200, "nothing happened")
        check_eq(cloud.stop(), 0, "ended")
        code, text = restore(cloud, made.body["path"])
        check_eq(code, 0, text)
        cloud.start()
        check_eq((cloud.get("/flavors/before").status, cloud.get("/flavors/after").status), (200, 404), "as it was then")


@case
def what_is_no_backup_changes_nothing():
    """A file of another kind, and none."""
    with Cloud() as cloud:
        check_eq(cloud.stop(), 0, "ended")
        for path, what in ((cloud.log, "is no backup"), ("/nonexistent", "cannot read")):
            code, text = restore(cloud, path)
            check(code == 1 and what in text, f"{path}: {text}")
        cloud.start()
        check_eq(cloud.get("/flavors/tiny").status, 200, "all there")


@case
def only_an_administrator_makes_one():
    """Not a user without a role."""
    with Cloud() as cloud:
        check_eq(cloud.post("/users", {"name": "u", "password": "long enough it is"}).status, 201, "a user")
        cloud.sign_in("u", "long enough it is")
        check_eq(cloud.post("/backups").status, 403, "forbidden")


main()
