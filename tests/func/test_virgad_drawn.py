#!/usr/bin/env python3
"""The management server: requests drawn from the description, right and spoiled, about things that are there and that are not.
Each answer has to be as described, and none a failure of the server's own."""
import collections
import json
import os
import random
import re

from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION
from virgatest.described import DescribedCloud

KINDS = re.compile("(project|user|role|token|quota|flavor|keypair|zone|aggregate|host_join|host_join_token|server_group|reservation)_")
KIND_OF = {"user": "user", "on_project": "project", "default_project": "project", "token_project": "project", "projects": "project",
           "dedicated_to": "project", "zone": "zone", "flavor": "flavor", "aggregate": "aggregate"}
SEEDS = range(1, 1 + int(os.environ.get("VIRGA_DRAWN_SEEDS", "2")))
REQUESTS = 400


class Drawer:
    """Draws requests, and remembers what they have made."""

    def __init__(self, cloud, seed):
        self.cloud, self.rng = cloud, random.Random(seed)
        self.there = collections.defaultdict(list, project=["default"], flavor=["tiny"], zone=["default"])
        self.operations = [x for x in DESCRIPTION.operations() if KINDS.match(x[2]["operationId"])]

    def path(self, template):
        """With things that are there, mostly."""
        def pick(match):
            return self.rng.choice(self.there[match.group(1)] or ["none"]) if self.rng.random() < 0.85 else "none"
        return re.sub(r"\{(\w+)\}", pick, template)

    def refer(self, value, key=None):
        """The same with references to what is there, mostly."""
        if isinstance(value, dict):
            return {k: self.refer(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.refer(v, key) for v in value]
        known = self.there[KIND_OF[key]] if key in KIND_OF and isinstance(value, str) else []
        return self.rng.choice(known) if known and self.rng.random() < 0.8 else value

    def body(self, schema):
        """Right, spoiled, or nothing of the kind."""
        body = self.refer(DESCRIPTION.draw(schema, self.rng))
        if self.rng.random() < 0.35:
            body = DESCRIPTION.spoil(schema, body, self.rng)
        return self.rng.choice([[], "x", 3, None, True]) if self.rng.random() < 0.05 else body

    def ask(self):
        """One request; returns its operation and its status."""
        method, template, op = self.rng.choice(self.operations)
        media, schema = DESCRIPTION.request_schema(op)
        headers = {"If-Match": self.rng.choice(['"1"', '"99"', "*", 'W/"1"'])} if self.rng.random() < 0.1 else {}
        body = None
        if schema:
            body, headers["Content-Type"] = json.dumps(self.body(schema)).encode(), media
        answer = self.cloud.ask(method.upper(), self.path(template), body, headers)
        if answer.status == 401:
            self.cloud.sign_in()
        if answer.status == 201:
            kind = op["operationId"].rsplit("_", 1)[0]
            made = answer.body[kind] if isinstance(answer.body.get(kind), dict) else answer.body
            if "id" in made:
                self.there[kind].append(self.rng.choice([made["id"], made.get("name", made["id"])]))
        return op["operationId"], answer


@case
def what_is_drawn_gets_a_described_answer():
    """With a few seeds; things are really made and changed by it; the server ends as it should."""
    for seed in SEEDS:
        with DescribedCloud() as cloud:
            drawer, seen = Drawer(cloud, seed), collections.Counter()
            for _ in range(REQUESTS):
                name, answer = drawer.ask()
                check(answer.status < 500, f"seed {seed}: {name}: {answer}")
                seen[answer.status] += 1
            check(all(seen[s] for s in (200, 201, 204, 404, 422)), f"seed {seed}: answers of each kind: {seen}")
            check_eq(cloud.stop(), 0, f"seed {seed}: it ends well")


main()
