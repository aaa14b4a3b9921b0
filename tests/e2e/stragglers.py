"""Uneven hosts: overrides of one host take effect, and the report names the one whose link, or disk, is slow."""

import contextlib
import csv
import json
import os
import time
import shutil
import sys

import harness as h

RACK = h.REPO / "scripts" / "rack-in-a-box.sh"
PREFIX = f"sluice-t{os.getpid()}"
MOUNT = f"/mnt/{PREFIX}"


class Rack:
    """Three hosts with 1.2 million records."""

    def __init__(self, w):
        self.w, self.env = w, {"RACK_PREFIX": PREFIX, "RACK_DIR": str(w.path / "rack"), "RACK_MOUNT": MOUNT}
        self.hosts = [w.path / "rack" / f"h{k}" for k in (1, 2, 3)]

    def __enter__(self):
        self.own_disks = own_disks = h.run([RACK, "up", "3", "disks=2", "size=512M"], env=self.env)[0] == 0
        if not own_disks:   # no loop devices here
            h.run([RACK, "down"], env=self.env)
            h.must(h.run([RACK, "up", "3"], env=self.env), "rack up")
            for host in self.hosts:
                (host / "d0").mkdir(), (host / "d1").mkdir()
        devices = {os.stat(host / disk).st_dev for host in self.hosts for disk in ("d0", "d1")}
        h.check(len(devices) == (6 if own_disks else 1), f"{len(devices)} devices, own disks: {own_disks}")
        self.config = self.w.path / "rack.toml"
        disks = "".join(f'[[disks]]\npath = "{MOUNT}/{disk}"\nrole = "{role}"\n' for disk, role in (("d0", "input"), ("d1", "intermediate"), ("d1", "output")))
        self.config.write_text(disks + f'[memory]\nbudget = "64MiB"\n[results]\ndir = "{self.w.path}/results"\n[run]\nprogress = "none"\n'
                               '[hosts."h2"]\nweight = 0.5\nmemory.budget = "48MiB"\n')
        self.on("gen", "--records", "1200000")
        return self

    def __exit__(self, *_):
        h.run([RACK, "down"], env=self.env)

    def on(self, verb, *words, within=()):
        return h.must(h.run([*within, RACK, "mpirun", "-n", "3", "--timeout", "120", h.BIN / "sluice", verb, self.config, *words], timeout=150, env=self.env), verb)

    def result(self):
        newest = max(self.w.path.glob("results/sort-*"), key=lambda path: path.stat().st_mtime)
        return newest, json.loads((newest / "result.json").read_text())


def host_of_half_the_weight_gets_half_the_partitions(rack):
    h.check(h.result_line(rack.on("sort"))["status"] == "VALID", "sort")
    h.check("status=VALID" in rack.on("validate"), "validate")
    parts = [sorted(host.glob("d1/sorted/part-*")) for host in rack.hosts]
    counts = [len(p) for p in parts]
    total = sum(counts)
    expected = [0.4 * total, 0.2 * total, 0.4 * total]
    h.check(all(abs(c - e) <= 1 for c, e in zip(counts, expected)), f"parts by host {counts}, weights 1, 0.5, 1")
    sizes = [sum(p.stat().st_size for p in host) for host in parts]
    h.check(abs(sizes[1] / sum(sizes) - counts[1] / total) < 0.02, f"bytes by host {sizes}")
    inputs = [p for host in rack.hosts for p in sorted(host.glob("d0/input/data-*"))]
    h.check(h.sha_of_files(sorted((p for host in parts for p in host), key=lambda p: p.name)) == h.sorted_oracle_sha(inputs), "not the sorted input")
    _, document = rack.result()
    budgets = {r["host"]: r["budget_bytes"] for r in document["ranks"]}
    h.check(budgets == {"h1": 64 << 20, "h2": 48 << 20, "h3": 64 << 20}, budgets)
    for rank in document["ranks"]:
        h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + (64 << 20), rank["host"])


def host_with_the_slow_link_is_named_with_rma(rack):
    host_with_the_slow_link_is_named(rack, "rma")


def host_with_the_slow_link_is_named(rack, transport="p2p"):
    for host in ("h1", "h2", "h3"):
        h.must(h.run([RACK, "limit", host, "100mbit" if host == "h3" else "800mbit"], env=rack.env), "limit")
    out = rack.on("sort", "--set", "run.overwrite=true", "--set", f"net.transport={transport}")
    lines = [line for line in out.splitlines() if line.startswith("slowest link: ")]
    h.check(len(lines) == 1 and lines[0].startswith("slowest link: of h3, "), out)
    folder, document = rack.result()
    link = document["stragglers"]["link"]
    print("      " + lines[0])
    h.check(link["name"] == "of h3" and link["of_median"] < 0.7 and link["among"] == 3, link)
    h.check("slowest link: of h3" in (folder / "summary.txt").read_text(), "not in the summary")
    rows = list(csv.DictReader((folder / "ranks.csv").open()))
    h.check(len(rows) == 6 and {r["host"] for r in rows} == {"h1", "h2", "h3"} and {r["phase"] for r in rows} == {"phase one", "phase two"}, rows)
    for row in rows:
        h.check(0 < float(row["first_done_s"]) <= float(row["last_done_s"]) <= float(row["elapsed_s"]) + 1e-6, row)


def host_with_the_slow_link_is_named_by_a_shuffle(rack):
    for host in ("h1", "h2", "h3"):
        h.must(h.run([RACK, "limit", host, "100mbit" if host == "h3" else "800mbit"], env=rack.env), "limit")
    out = rack.on("shuffle", "--records", "1200000")
    h.check("shuffle all-to-all by p2p" in out, f"auto is not p2p between hosts: {out}")
    lines = [line for line in out.splitlines() if line.startswith("slowest ")]
    print("      " + "; ".join(lines))
    h.check([line for line in lines if line.startswith("slowest link: of h3, ")] and any(line.startswith("slowest host: ") for line in lines), out)


@contextlib.contextmanager
def slow_device(directory, mb_per_s):
    """Words before a command for which this directory's block device moves so many MB/s at most; None where the kernel cannot."""
    device = os.stat(directory).st_dev
    name, limit = f"{os.major(device)}:{os.minor(device)}", int(mb_per_s * 1e6)
    v1 = os.path.exists("/sys/fs/cgroup/blkio/cgroup.procs")
    group = f"/sys/fs/cgroup/{'blkio/' if v1 else ''}{PREFIX}"
    try:
        os.mkdir(group)
    except OSError:
        yield None
        return
    try:
        limits = [(f"blkio.throttle.{way}_bps_device", f"{name} {limit}") for way in ("read", "write")] if v1 else [("io.max", f"{name} rbps={limit} wbps={limit}")]
        for file, text in limits:
            with open(f"{group}/{file}", "w") as control:
                control.write(text)
        yield ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group]
    except FileNotFoundError:   # no such controller
        yield None
    finally:
        for _ in range(100):  # the last process may be on its way out
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.05)


def slow_disk_is_named(rack):
    if not rack.own_disks:
        print("      skipped: no loop devices here")
        return
    with slow_device(rack.hosts[1] / "d1", 12) as within:
        if within is None:
            print("      skipped: no throttle for block devices here")
            return
        out = rack.on("sort", "--set", "output.name=throttled", within=within)
    lines = [line for line in out.splitlines() if line.startswith("slowest disk: ")]
    print("      " + (lines or [""])[0])
    h.check(len(lines) == 1 and lines[0].startswith(f"slowest disk: {MOUNT}/d1 on h2 ("), out)
    disk = rack.result()[1]["stragglers"]["disk"]
    # The limit counts all that passes the device, in bursts: somewhat more than 12 MB/s may be seen, never twice that.
    h.check(disk["name"].startswith(f"{MOUNT}/d1 on h2") and disk["mb_per_s"] < 24 and disk["of_median"] < 0.5, disk)


def two_racks_stand_side_by_side(rack):
    with h.Workspace() as w:
        other = {"RACK_PREFIX": f"{PREFIX}b", "RACK_DIR": str(w.path / "rack"), "RACK_MOUNT": f"{MOUNT}b"}
        try:
            h.must(h.run([RACK, "up", "2"], env=other), "second rack")
            out = h.must(h.run([RACK, "mpirun", "-n", "2", "--timeout", "60", h.BIN / "sluice", "shuffle", "--records", "200000", "--set", "memory.budget=64MiB",
                                "--set", f"results.dir={w.path}/results"], env=other, timeout=90), "shuffle on the second rack")
            h.check("SHUFFLE status=VALID" in out, out)
            h.check(len([n for n in h.run(["ip", "netns", "list"])[1].split() if n.startswith(PREFIX)]) == 5 + 4, "not both racks are up")
        finally:
            h.must(h.run([RACK, "down"], env=other), "second rack down")
        names = [n for n in h.run(["ip", "netns", "list"])[1].split() if n.startswith(PREFIX)]
        h.check(len(names) == 5 and not any(n.startswith(f"{PREFIX}b") for n in names), f"after the second went: {names}")
    out = rack.on("shuffle", "--records", "200000")
    h.check("SHUFFLE status=VALID" in out, out)


def plans_that_differ_between_hosts_are_refused(rack):
    text = rack.config.read_text()
    rack.config.write_text(text + 'partitions.count = 7\n')
    code, _, err = h.run([RACK, "mpirun", "-n", "3", "--timeout", "60", h.BIN / "sluice", "sort", rack.config, "--set", "output.name=other"], timeout=90, env=rack.env)
    rack.config.write_text(text)
    h.check(code == 2 and err.count("ERROR") == 1 and "[hosts]" in err and "7 partitions" in err, f"exit code {code}: {err}")


if os.geteuid() != 0 or shutil.which("ip") is None or h.run(["ip", "netns", "add", PREFIX])[0] != 0:
    print("skipped: no network namespaces here (root and iproute2 are needed)")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
h.run(["ip", "netns", "del", PREFIX])
with h.Workspace() as workspace, Rack(workspace) as shared:
    def on_rack(test):
        def body():
            test(shared)
        body.__name__ = test.__name__
        return body
    h.main([on_rack(t) for t in (host_of_half_the_weight_gets_half_the_partitions, host_with_the_slow_link_is_named, host_with_the_slow_link_is_named_with_rma, host_with_the_slow_link_is_named_by_a_shuffle, slow_disk_is_named, two_racks_stand_side_by_side, plans_that_differ_between_hosts_are_refused)])
