"""A PostgreSQL of a test's own: a new cluster in a temporary folder, on a unix socket only, run by user postgres where the
test is root's (PostgreSQL refuses root)."""
import glob
import os
import pwd
import shutil
import subprocess
import tempfile

from .tap import check, skip


class Postgres:
    """A context manager; `url` is what virgad --store takes."""

    def __init__(self, fsync=False):
        self.fsync = "on" if fsync else "off"
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            skip("no PostgreSQL server is installed (package postgresql-15)")
        self.bin = os.path.dirname(found[-1])
        self.dir = tempfile.mkdtemp(prefix="virga-pg-", dir="/tmp")
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                skip("no user postgres to run PostgreSQL as")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        self.url = f"postgresql://postgres@/postgres?host={self.dir}"
        check(self.run("initdb", "-D", f"{self.dir}/data", "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"),
              "a new cluster")
        self.start()

    def run(self, *command):
        """A command of PostgreSQL's; whether it succeeded."""
        who = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        with open(f"{self.dir}/out", "ab") as out:
            return subprocess.run([*who, f"{self.bin}/{command[0]}", *command[1:]], cwd="/", stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=out, check=False).returncode == 0

    def start(self):
        """Starts it (again). What a crash of the machine leaves is not tested: no fsync, but where times are taken."""
        check(self.run("pg_ctl", "-D", f"{self.dir}/data", "-l", f"{self.dir}/log", "-w", "-o",
                       f"-c listen_addresses= -k {self.dir} -c fsync={self.fsync} -c shared_buffers=16MB", "start"), "PostgreSQL starts")

    def stop(self):
        """Ends it at once, as a crash would."""
        return self.run("pg_ctl", "-D", f"{self.dir}/data", "-m", "immediate", "-w", "stop")

    def rows(self, sql):
        """What a query answers, as texts."""
        out = subprocess.run([f"{self.bin}/psql", "-X", "-At", "-F", "\t", "-c", sql, self.url], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        return [line.split("\t") for line in out.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
