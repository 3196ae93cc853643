#!/usr/bin/env python3
"""Signing in, profiles, certificates; no secret is ever seen."""
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

from virgatest import case, check, check_eq, main, skip
from virgatest.cli import PASSWORD, TOKEN, Home, on_terminal
from virgatest.fakecloud import Cloud, Plan, problem

TOP = os.environ["VIRGA_TOP"]


# Secrets, sessions, profiles.

@case
def signing_in_keeps_the_session_for_its_owner_alone():
    with Cloud(TOP) as cloud, Home(token=None) as home:
        _, out, err = home.login(cloud.url, "--project", "acme", password=PASSWORD)
        call = cloud.take()[0]
        check_eq((call.op, call.body, call.wrong), ("session_create", {"user": "ada", "password": PASSWORD}, []), "the call")
        check_eq(call.headers.get("Authorization"), None, "no token is sent")
        check_eq(stat.S_IMODE(os.stat(home.config).st_mode), 0o600, "mode")
        secret = call.answer["secret"]
        with open(home.config, encoding="utf-8") as f:
            check_eq(json.load(f)["profiles"]["default"]["token"], secret, "the token")
        check(not secret or secret not in out + err, out + err)
        home.run("vm", "ls", expect="done")
        call = cloud.take()[0]
        check_eq((call.headers["Authorization"], call.headers["Virga-Project"]), (f"Bearer {secret}", "acme"), "headers")
        _, out, _ = home.run("profile", "ls", "-o", "json", expect="done")
        check_eq(json.loads(out)[0]["url"], cloud.url, "URL")
        check("token" not in out, out)
        with Cloud(TOP, 5) as other:
            home.run("vm", "ls", "--url", other.url, expect="done")
            check_eq(other.take()[0].headers.get("Authorization"), None, "the session stays with its server")
        home.run("logout", expect="done")
        check_eq(cloud.take()[-1].op, "session_delete", "call")
        with open(home.config, encoding="utf-8") as f:
            check("token" not in json.load(f)["profiles"]["default"], "the token is forgotten")


@case
def the_password_is_typed_without_being_shown():
    with Cloud(TOP) as cloud, Home(token=None) as home:
        typed = [(b"user: ", b"ada\n"), (b"password: ", PASSWORD.encode() + b"\n")]
        status, shown = on_terminal(home, ["login", cloud.url], typed, b"signed in")
        check_eq(status, 0, "status")
        check(PASSWORD.encode() not in shown, shown)
        check_eq(cloud.take()[0].body, {"user": "ada", "password": PASSWORD}, "the call")
        _, _, err = home.run("login", cloud.url, "--user", "ada", expect="usage")
        check("--password-stdin" in err, err)


@case
def a_wrong_password_changes_nothing():
    with Cloud(TOP) as cloud, Home(token=None) as home:
        cloud.plan(problem("auth.failed", 401))
        home.login(cloud.url, expect="sign_in")
        check(not os.path.exists(home.config), "there is a file")


@case
def profiles_are_chosen_and_forgotten():
    with Cloud(TOP) as one, Cloud(TOP, 2) as two, Home(token=None) as home:
        home.login(one.url, "--profile", "one")
        home.login(two.url, "--profile", "two")
        one.take(), two.take()
        home.run("vm", "ls", expect="done")
        home.run("vm", "ls", "--profile", "one", expect="done")
        home.run("profile", "use", "one", expect="done")
        home.run("profile", "set", "--project", "acme", expect="done")
        home.run("vm", "ls", expect="done")
        check_eq((len(two.take()), [c.headers.get("Virga-Project") for c in one.take()]), (1, [None, "acme"]), "calls")
        home.run("vm", "ls", env={"VIRGA_PROFILE": "two"}, expect="done")
        check_eq(len(two.take()), 1, "calls by the environment")
        home.run("profile", "rm", "two", expect="done")
        _, _, err = home.run("vm", "ls", "--profile", "two", expect="usage")
        check("two" in err, err)


@case
def a_configuration_that_is_open_or_broken_is_refused():
    with Cloud(TOP) as cloud, Home(token=None) as home:
        home.login(cloud.url)
        os.chmod(home.config, 0o644)
        _, _, err = home.run("vm", "ls", expect="failed")
        check("chmod 600" in err, err)
        os.chmod(home.config, 0o600)
        for text in ("", "[]", "{", "nonsense"):
            with open(home.config, "w", encoding="utf-8") as f:
                f.write(text)
            _, _, err = home.run("vm", "ls", expect="failed")
            check("virga login" in err and home.config in err, err)


@case
def secrets_are_never_in_arguments_or_debug_output():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        for args in (["user", "create", "ada", "--password", PASSWORD], ["user", "password", "ada", f"--new-password={PASSWORD}"]):
            _, _, err = home.run(*args, expect="usage")
            check("@FILE" in err and PASSWORD not in err, err)
        check_eq(cloud.take(), [], "calls")
        _, out, err = home.run("user", "create", "ada", "--password", "-", "--debug", stdin=PASSWORD + "\n", expect="done")
        call = cloud.take()[0]
        check_eq(call.body, {"name": "ada", "password": PASSWORD}, "the call")
        check("> POST" in err and "/v1/users" in err and "***" in err and "< 201" in err, err)
        check(PASSWORD not in out + err and TOKEN not in out + err, err)
        _, out, err = home.run("token", "create", "ci", "--scope", "compute:read", "--debug", "-o", "json", expect="done")
        secret = cloud.take()[0].answer["secret"]
        check_eq(json.loads(out)["secret"], secret, "the secret is the answer")
        check(f'"secret":"***"' in err, err)
        # Two secrets, a line each.
        home.run("user", "password", "ada", "--old-password=-", "--new-password=-", stdin="first\nsecond-secret\n", expect="done")
        check_eq(cloud.take()[0].body, {"old_password": "first", "new_password": "second-secret"}, "the call")


@case
def the_process_list_holds_no_secret():
    seen = {}

    def look(_):
        for pid in os.listdir("/proc"):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read()
                if b"virga" in line:
                    seen[pid] = line
            except (OSError, ValueError):
                pass
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(effect=look))
        home.run("user", "create", "ada", "--password", "-", stdin=PASSWORD + "\n", expect="done")
        check(any(b"ada" in line for line in seen.values()), "the program was not seen")
        check(not any(PASSWORD.encode() in line or TOKEN.encode() in line for line in seen.values()), str(seen))


@case
def created_secrets_can_go_to_a_file():
    with Cloud(TOP) as cloud, Home(cloud.url) as home:
        cloud.plan(Plan(201, {"keypair": {"name": "k"}, "private_key": "-----BEGIN\nkey\n-----END\n"}))
        _, out, _ = home.run("keypair", "create", "k", "--save", "key.pem", expect="done")
        check("BEGIN" not in out, out)
        with open(home.path("key.pem"), encoding="utf-8") as f:
            check_eq(f.read(), "-----BEGIN\nkey\n-----END\n", "key")
        check_eq(stat.S_IMODE(os.stat(home.path("key.pem")).st_mode), 0o600, "mode")
        cloud.plan(Plan(201, {"token": {"name": "t"}, "secret": ""}))
        home.run("token", "create", "t", "--save", "empty", expect="done")
        check_eq(os.path.getsize(home.path("empty")), 1, "an empty secret is an empty line")
        cloud.take()
        home.run("keypair", "create", "k2", "--save", "key.pem", expect="usage")
        check_eq(cloud.take(), [], "nothing is made whose secret would be lost")


# Other ways to the server.

@case
def a_unix_socket_will_do():
    with tempfile.TemporaryDirectory() as d, Cloud(TOP, unix=os.path.join(d, "s")) as cloud, Home(cloud.url) as home:
        home.run("flavor", "ls", expect="done")
        check_eq([c.wrong for c in cloud.take()], [[]], "calls")
        _, out, _ = home.run("vm", "console", "web", stdin="bye\n", expect="done")
        check_eq(out, "login: BYE\n", "the console")


def certificate(folder):
    """(certificate, key, fingerprint) of 127.0.0.1, signed by itself."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    if not shutil.which("openssl"):
        skip("openssl is not installed")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, stderr=subprocess.DEVNULL)
    out = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"], check=True,
                         stdout=subprocess.PIPE, text=True)
    return cert, key, out.stdout.split("=")[1].strip()


@case
def certificates_are_pinned_by_file_or_fingerprint():
    with tempfile.TemporaryDirectory() as d:
        cert, key, fingerprint = certificate(d)
        with Cloud(TOP, cert=(cert, key)) as cloud, Home(cloud.url) as home:
            _, _, err = home.run("vm", "ls", expect="unreachable")
            check("--ca-file" in err and "--fingerprint" in err, err)
            check_eq(cloud.take(), [], "nothing is said to a server that is not trusted")
            home.run("vm", "ls", env={"VIRGA_CA_FILE": cert}, expect="done")
            _, out, _ = home.run("vm", "console", "web", stdin="bye\n", env={"VIRGA_CA_FILE": cert}, expect="done")
            check_eq(out, "login: BYE\n", "the console")
            cloud.take()
            wrong = fingerprint.replace(fingerprint[:2], "00" if fingerprint[:2] != "00" else "11", 1)
            _, _, err = home.login(cloud.url, "--fingerprint", wrong, expect="usage")
            check("do not sign in" in err, err)
            check_eq([c.op for c in cloud.take() if c.op != "version_get"], [], "no password is sent")
            home.login(cloud.url, "--fingerprint", f"SHA256:{fingerprint}")
            home.run("vm", "ls", expect="done")
            home.login(cloud.url, "--profile=b", "--ca-file", cert)
            home.run("vm", "ls", expect="done")


if __name__ == "__main__":
    sys.exit(main())
