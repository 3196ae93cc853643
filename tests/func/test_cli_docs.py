#!/usr/bin/env python3
"""The manual page is what the tables say, and every line that docs/cli shows is taken."""
import contextlib
import os
import re
import subprocess
import sys
import time

from virgatest import case, check, check_eq, main, program
from virgatest import cloud as real
from virgatest.agent import Agent
from virgatest.cli import EXIT, LIMIT_S, PASSWORD, Home
from virgatest.fakecloud import Cloud, Plan

TOP = os.environ["VIRGA_TOP"]


@case
def the_manual_page_is_current():
    out = subprocess.run([program("virga-cloud"), "__manual"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open(os.path.join(TOP, "docs/man/virga-cloud.7"), encoding="utf-8") as f:
        check_eq(f.read() == out, True, "docs/man/virga-cloud.7 is what virga-cloud __manual prints; that it is so")


def documented():
    """[(file, command line)] of docs/cli."""
    folder = os.path.join(TOP, "docs/cli")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            text = f.read()
        for block in re.findall(r"^```\n(.*?)^```", text, re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    yield name, line[2:]


# Nouns whose verbs are on another's page.
PAGES = {"quota-defaults": "quota", "profile": "login", "logout": "login", "whoami": "login", "api": "login", "server": "settings", "down": "up"}


@case
def every_verb_is_on_its_page():
    table = subprocess.run([program("virga-cloud"), "__commands"], stdout=subprocess.PIPE, text=True, check=True).stdout
    missing, index = [], os.path.join(TOP, "docs/cli/README.md")
    with open(index, encoding="utf-8") as f:
        listed = set(re.findall(r"\]\(([a-z-]+)\.md\)", f.read()))
    for _, noun, verb in map(str.split, table.splitlines()):
        page = PAGES.get(noun, noun)
        with open(os.path.join(TOP, "docs/cli", page + ".md"), encoding="utf-8") as f:
            text = f.read()
        command = noun if verb == "-" else f"{noun} {verb}"
        if page not in listed or not re.search(rf"virga {command}\b(?!-)", text) and f"`{verb}`" not in text:
            missing.append(command)
    check_eq(missing, [], "what a reader of docs/cli does not hear of")


@case
def every_noun_says_what_it_is():
    text = subprocess.run([program("virga-cloud"), "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    nouns = re.findall(r"^  (\S+) *(.*)$", text, re.M)
    check(len(nouns) > 30, text)
    check_eq([n for n, says in nouns if not says], [], "nouns without a word")


def furnish(home):
    """What the lines name, in a home."""
    os.mkdir(home.path("bin"))
    os.symlink(program("virga"), home.path("bin/virga"))
    home.write("bin/ssh", "#!/bin/sh\nexit 0\n")
    os.chmod(home.path("bin/ssh"), 0o755)
    for name in ("debian.qcow2", "vm.yaml", "user-data", "key.pub"):
        home.write(name, "name: web\nflavor: small\nimage: debian\n" if name == "vm.yaml" else "content of a file that is long enough\n")


def type_line(home, line):
    """The end of a line's run, as somebody types it."""
    with contextlib.suppress(IndexError, FileNotFoundError):
        os.unlink(home.path(line.split("--save")[1].split()[0]))
    return subprocess.run(["sh", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=home.dir,
                          env={**home.env, "PATH": home.path("bin") + ":" + os.environ["PATH"], "VIRGA_CLOUD": program("virga-cloud")},
                          input=PASSWORD + "\n", timeout=LIMIT_S, check=False)


@case
def what_the_documents_show_is_taken():
    lines = list(documented())
    check(len(lines) > 40, f"only {len(lines)} lines")
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        furnish(home)
        for page, line in lines:
            if "vm ssh" in line:
                cloud.plan(Plan(200, {"id": "1", "status": {"addresses": [{"ip": "192.0.2.1", "source": "guest"}]}}))
            if "event watch" in line:
                event = {"specversion": "1.0", "id": "8", "source": "x", "type": "t", "time": "T"}
                cloud.plan(Plan(200, {"items": [event] * 10, "next_after": "8"}))
            p = type_line(home, line)
            dry = "--dry-run" in line and p.returncode == EXIT["conflict"]
            check(p.returncode == 0 or dry, f"{page}: {line}: {p.returncode} {p.stdout[-800:]}")
            for c in cloud.take():
                check_eq(c.wrong, [], f"{page}: {line}: {c.method} {c.path}")
            cloud.plans.clear()


def begin(cloud, home):
    """The cloud with which a page begins, on a host that is played."""
    def made(path, body):
        answer = cloud.post(path, body)
        check(answer.status in (201, 202), f"{path}: {answer}")
        if answer.status == 202:
            check_eq(cloud.wait(answer)["state"], "done", path)
    made("/images", {"name": "debian", "source": {"kind": "url", "url": "http://127.0.0.1:9/debian"}})
    made("/networks", {"name": "front", "kind": "bridge", "bridge": "br0"})
    made("/subnets", {"name": "front-v4", "network": "front", "cidr": "10.0.0.0/24"})
    made("/projects", {"name": "acme"})
    made("/users", {"name": "ada", "password": PASSWORD})
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home.path("real")], check=True)
    os.replace(home.path("real.pub"), home.path("key.pub"))
    with open(home.path("key.pub"), encoding="ascii") as f:
        made("/keypairs", {"name": "ada", "public_key": f.read().strip()})
    made("/vms", {"name": "web", "flavor": "small", "image": "debian", "nics": [{"network": "front"}]})


@case
def what_the_documents_show_is_done_by_a_cloud():
    refused = []
    with real.Cloud("--description", os.path.join(TOP, "api/openapi.json")) as cloud, \
            Agent(cloud, "node1", cpus=64, memory_mib=1 << 18), Home(f"http://127.0.0.1:{cloud.port}") as home:
        deadline = time.monotonic() + LIMIT_S
        while cloud.get("/hosts/node1").body["status"]["state"] != "up":
            check(time.monotonic() < deadline, "the host is up")
            time.sleep(0.05)
        furnish(home)
        begin(cloud, home)
        for page, line in documented():
            if page == "floating-ip.md":  # which says that there are none yet
                continue
            if page != home.env.get("PAGE"):  # one of them signs out
                cloud.sign_in()
                home.env.update(PAGE=page, VIRGA_TOKEN=cloud.token)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(home.config)
            p = type_line(home, line)
            if p.returncode:
                refused.append(f"{page}: {line}: {p.returncode} {p.stdout[-400:]}")
    check_eq(refused, [], "what was refused")


if __name__ == "__main__":
    sys.exit(main())
