"""Runs a bench on the rig: the script starts itself again inside and its result comes back."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from . import report, vmm

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RIG = "/rig"
MARK = "@mark "


def arguments(description, runs):
    """The options that every bench has; a script adds its own before parsing."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--runs", type=int, default=runs, metavar="N", help=f"interleaved runs of each ({runs})")
    p.add_argument("--build", default=os.path.join(TOP, "build-bench"), metavar="DIR",
                   help="the build to measure (build-bench, made when it is not there)")
    p.add_argument("--results", default=os.path.join(TOP, "bench", "results"), metavar="DIR")
    p.add_argument("--timeout", type=int, default=1500, metavar="S", help="of the whole run on the rig (1500)")
    p.add_argument("--here", action="store_true",
                   help="measure on this machine instead of on the rig (its KVM must run Linux)")
    p.add_argument("--flag", action="append", default=[], metavar="FLAG",
                   help="give virga-vmm this flag too, as in --flag=--sandbox --flag=off")
    p.add_argument("--paging", choices=["nested", "shadow"], default="shadow",
                   help="of the rig's KVM; nested is what real hosts have, and may crash the rig (shadow)")
    p.add_argument("--verbose", action="store_true")
    return p


def inside():
    """Whether this is the part that measures."""
    return os.environ.get("VIRGA_BENCH_INSIDE") == "1"


def out_file(name):
    """Where the part that measures leaves what shall be kept."""
    return os.path.join(os.environ.get("VIRGA_OUT", tempfile.gettempdir()), name)


MONITOR = ("virga-vmm", "bench/blkload", "bench/netload", "bench/cpuload")


def release_build(path, targets=MONITOR):
    """Makes (and brings up to date) the build that is measured: release, link-time optimisation."""
    if not os.path.exists(os.path.join(path, "build.ninja")):
        subprocess.run(["meson", "setup", path, TOP, "--buildtype=release", "-Db_lto=true", "--strip"],
                       check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run(["ninja", "-C", path, "-j2", *targets], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        sys.exit(made.stdout[-3000:])


def artefact(recipe):
    """The directory that tools/image/build makes."""
    return subprocess.run([os.path.join(TOP, "tools/image/build"), recipe], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip().split("\n")[-1]


def on_rig(args, figure, measure, argv=(), files=(), disks=(), memory_mib=3072, finish=None):
    """Runs measure(args) -> result on the rig, or here when asked to; writes bench/results/FIGURE.json.

    argv: options for the part that runs inside; files, disks: as tests/rig/run takes them; finish(result): a last
    change to the result.
    """
    if inside():
        result = measure(args)
        result["machine"] = report.host()
        with open(out_file("result.json"), "w", encoding="utf-8") as f:
            json.dump(result, f)
        return None
    release_build(args.build)
    with tempfile.TemporaryDirectory(prefix="virga-bench-") as out:
        if args.here:
            result = _here(args, argv, out)
        else:
            result = _rig(args, argv, files, disks, memory_mib, out)
    result = finish(result) if finish else result
    result.update(figure=figure, commit=report.commit(TOP), rig=not args.here)
    if not args.here:
        result["machine_outside"] = report.host()
        result["paging"] = args.paging
    report.write(os.path.join(args.results, figure + ".json"), result)
    return result


def _script_argv(args, argv):
    return ["--runs", str(args.runs)] + (["--verbose"] if args.verbose else []) + \
        [f"--flag={f}" for f in args.flag] + list(argv)


def _rig(args, argv, files, disks, memory_mib, out):
    script = os.path.abspath(sys.argv[0])
    run = [os.path.join(TOP, "tests/rig/run"), "--guest", "--timeout", str(args.timeout), "--out", out,
           "--build", args.build, "--memory", str(memory_mib),
           "--file", os.path.join(TOP, "bench") + ":src/bench", "--file", os.path.join(TOP, "tests/lib") + ":src/tests/lib",
           "--env", "VIRGA_BENCH_INSIDE=1", "--env", "VIRGA_OUT=/out", "--env", "VIRGA_BUILD=/rig/build",
           "--env", "VIRGA_GUEST=/rig/guest", "--env", f"RIG_NPT={int(args.paging == 'nested')}",
           "--env", "PYTHONDONTWRITEBYTECODE=1", "--env", f"PYTHONPATH={RIG}/src/tests/lib"]
    for f in files:
        run += ["--file", f]
    for d in disks:
        run += ["--disk", d]
    run += ["--", f"{RIG}/src/bench/{os.path.basename(script)}"] + _script_argv(args, argv)
    with subprocess.Popen(run, stdout=subprocess.PIPE) as rig:
        costs = _follow(rig)
    result = _result(out, rig.wait())
    result["host_cpu_ms"] = {name: report.summary(values) for name, values in costs.items()}
    return result


def _host_cpu_ms(pid):
    """CPU time on this machine of all threads of the rig's QEMU."""
    qemu = [p for p in vmm.processes_below(pid) if vmm.process_name(p).startswith("qemu")]
    return vmm.cpu_ms(qemu[0]) if qemu else 0


def _follow(rig):
    """Passes the rig's output on and gives {name: [host CPU ms]} of what it marked with start() and stop()."""
    begun, costs = 0, {}
    for line in rig.stdout:
        text = line.decode("utf-8", "replace")
        if not text.startswith(MARK):
            sys.stderr.write(text)
            sys.stderr.flush()
        elif text.startswith(MARK + "start"):
            begun = _host_cpu_ms(rig.pid)
        else:
            costs.setdefault(text.split()[2], []).append(_host_cpu_ms(rig.pid) - begun)
    return costs


def mark(what, name):
    """Inside: says that the measured part of a run starts or stops."""
    print(f"{MARK}{what} {name}", flush=True)


def warm(share=0.75):
    """Touches most of the free memory once: a page's first use costs far more on an emulated machine."""
    with open("/proc/meminfo", encoding="ascii") as f:
        free = next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))
    path, block = "/dev/shm/warm", b"\1" * 1048576
    with open(path, "wb", buffering=0) as f:
        try:
            for _ in range(int(free * share) // 1024):
                f.write(block)
        except OSError:
            pass
    os.unlink(path)


def _here(args, argv, out):
    guest = subprocess.run([os.path.join(TOP, "tools/image/build"), "guest"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.strip()
    env = dict(os.environ, VIRGA_BENCH_INSIDE="1", VIRGA_OUT=out, VIRGA_BUILD=os.path.abspath(args.build),
               VIRGA_GUEST=guest)
    code = subprocess.run([os.path.abspath(sys.argv[0])] + _script_argv(args, argv), env=env, check=False).returncode
    return _result(out, code)


def _result(out, code):
    path = os.path.join(out, "result.json")
    if code or not os.path.exists(path):
        sys.exit(f"the part that measures ended with {code}")
    with open(path, encoding="utf-8") as f:
        return json.load(f)
