"""Faults of processes, links and people, on three hosts as network namespaces: each ends the job in time with our exit code and
one line that names the cause, or is survived. Each test shows that its fault happened, and prints exit code and time to exit.

    faults.py          the quick ones
    faults.py --full   the long ones: a flap of 5 s, a one-way drop, a late rank, a link that is full for long
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

import harness as h

RACK = h.REPO / "scripts" / "rack-in-a-box.sh"
PREFIX = f"sluice-t{os.getpid()}"
MOUNT = f"/mnt/{PREFIX}"
LIMIT_S = 3
RECORDS = 600000   # 60 MB: each of three hosts sends 13 MB, which a link of 20 Mbit/s carries in some 5 s


def process_state(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(") ", 1)[1][0]
    except OSError:
        return ""


def thread_states(pid):
    try:
        return [open(f"/proc/{pid}/task/{t}/stat").read().rsplit(") ", 1)[1][0] for t in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def received_packets(host):
    """What the host's network card has taken in."""
    out = h.must(h.run(["ip", "netns", "exec", f"{PREFIX}-{host}", "cat", "/proc/net/dev"]), "/proc/net/dev")
    return int(next(line.split()[2] for line in out.splitlines() if line.strip().startswith("eth0:")))


def is_down(host):
    state = h.run(["ip", "-n", f"{PREFIX}-{host}", "link", "show", "eth0"])[1]
    return "state DOWN" in state or "LOWERLAYERDOWN" in state


def addressed_nowhere(host):
    """All that the host sends to others carries an address that nobody has."""
    known = h.run(["ip", "-n", f"{PREFIX}-{host}", "neigh", "show", "dev", "eth0"])[1].splitlines()
    return len(known) >= 2 and all("02:00:00:00:de:ad" in line for line in known)


def processes_of(job):
    """Live processes that carry this job's mark in their environment: {pid: (program, rank)}."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = dict(e.split(b"=", 1) for e in file.read().split(b"\0") if b"=" in e)
            with open(f"/proc/{pid}/comm") as file:
                program = file.read().strip()
        except OSError:
            continue
        if environment.get(b"SLUICE_TEST_JOB") == job.encode() and process_state(pid) not in ("Z", ""):
            rank = environment.get(b"OMPI_COMM_WORLD_RANK")
            found[int(pid)] = (program, int(rank) if rank is not None else None)
    return found


class Job:
    """A sort on the rack, under way."""

    def __init__(self, rack, *options, program=None, launcher=("launch",), keepalive=True):
        self.rack, self.name = rack, uuid.uuid4().hex
        self.results = rack.w.path / f"results-{self.name[:6]}"
        self.log = open(rack.w.path / f"log-{self.name[:6]}", "w+")
        words = [h.BIN / "sluice", "sort", *rack.options(self.results), "--set", f"run.watchdog={LIMIT_S}s", *options]
        command = [RACK, *launcher, "-n", "3", "--timeout", "90", "--", *(program or []), *words]
        self.process = subprocess.Popen(
            [*map(str, command)], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**{k: v for k, v in rack.env.items() if keepalive or not k.startswith("OMPI_MCA_oob_tcp_keep")}, "SLUICE_TEST_JOB": self.name})
        self.at = None

    def pid(self, program, rank=None):
        pids = [p for p, (name, r) in processes_of(self.name).items() if name == program and r == rank]
        h.check(pids, f"no {program} of rank {rank}:\n{self.text()}")
        return pids[0]

    def wait_for_phase_one(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            steps = [json.loads(path.read_text())["step"] for path in self.results.glob("run-*/status-r*.json")]
            if len(steps) == 3 and set(steps) == {"phase-one"}:
                time.sleep(0.5)   # data is on its way everywhere
                return
            h.check(self.process.poll() is None, f"ended before the fault:\n{self.text()}")
            time.sleep(0.05)
        raise h.Failed(f"phase one was not reached:\n{self.text()}")

    def fault_now(self):
        h.check(self.process.poll() is None, f"ended before the fault:\n{self.text()}")
        self.at = time.monotonic()

    def end(self, within_s):
        """Exit code and seconds since the fault; nothing of the job may be left."""
        try:
            code = self.process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise h.Failed(f"still running {within_s} s after the fault:\n{self.text()}") from None
        finally:
            took_s = time.monotonic() - self.at
            if self.process.poll() is None:
                for pid in processes_of(self.name):
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()
        return code, took_s

    def left_over(self, within_s):
        deadline = time.monotonic() + within_s
        while (left := processes_of(self.name)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def errors(self):
        return [line for line in self.text().splitlines() if line.startswith("ERROR ")]

    def files(self, kind):
        return {path.name: json.loads(path.read_text()) for path in sorted(self.results.glob(f"run-*/{kind}-r*.json"))}


class Rack:
    def __enter__(self):
        self.w = h.Workspace().__enter__()
        self.env = {**os.environ, "RACK_PREFIX": PREFIX, "RACK_DIR": str(self.w.path / "rack"), "RACK_MOUNT": MOUNT,
                    "OMPI_MCA_oob_tcp_keepalive_time": "2", "OMPI_MCA_oob_tcp_keepalive_intvl": "1", "OMPI_MCA_oob_tcp_keepalive_probes": "2"}
        self.own_disks = h.run([RACK, "up", "3", "disks=1", "size=400M"], env=self.env)[0] == 0
        if not self.own_disks:   # no loop devices here
            h.run([RACK, "down"], env=self.env)
            h.must(h.run([RACK, "up", "3"], env=self.env), "rack up")
            for host in self.host_dirs():
                host.mkdir()
        h.must(h.run([RACK, "mpirun", "-n", "3", "--timeout", "60", h.BIN / "sluice", "gen", "--records", RECORDS,
                      *self.options(self.w.path / "results")], env=self.env), "gen")
        for host in ("h1", "h2", "h3"):
            self.do("limit", host, "20mbit")
        return self

    def __exit__(self, *problem):
        h.run([RACK, "down"], env=self.env)
        self.w.__exit__(*problem)

    def options(self, results):
        return ["--set", f"disks.path={MOUNT}/d0", "--set", f"results.dir={results}", "--set", "memory.budget=48MiB", "--set", "run.progress=none"]

    def do(self, *words):
        h.must(h.run([RACK, *words], env=self.env), " ".join(words))

    def host_dirs(self):
        return [self.w.path / "rack" / f"h{k}" / "d0" for k in (1, 2, 3)]

    def check_unpublished_then_clean(self):
        """A run that died has published nothing, and what it left goes by `sluice clean`; the input stays."""
        for host in self.host_dirs():
            h.check(not (host / "sorted").exists(), f"published in {host}")
        h.must(h.run([RACK, "mpirun", "-n", "3", "--timeout", "60", h.BIN / "sluice", "clean", "--run", "all", *self.options(self.w.path / "results")], env=self.env), "clean")
        for host in self.host_dirs():
            left = [p.name for p in host.iterdir() if p.name != "input"]
            h.check(not left and list(host.glob("input/data-*")), f"{left} left in {host}, or the input is gone")

    def remove_output(self):
        for host in self.host_dirs():
            shutil.rmtree(host / "sorted", ignore_errors=True)


rack = None


def ended(job, code, within_s, needles, errors=1, clean=True):
    got, took_s = job.end(within_s + 20)
    print(f"      exit code {got}, {took_s:.1f} s after the fault: {(job.errors() or [''])[0][:150]}", flush=True)
    h.check(got == code, f"exit code {got} instead of {code}:\n{job.text()}")
    h.check(took_s <= within_s, f"{took_s:.1f} s are more than {within_s}:\n{job.text()}")
    h.check(errors is None or len(job.errors()) == errors, f"{len(job.errors())} error lines:\n{job.text()}")
    for needle in needles:
        h.check(any(needle in line for line in job.errors()), f"'{needle}' is in no error line:\n{job.text()}")
    left = job.left_over(6 + LIMIT_S)
    h.check(not left, f"left over: {left}")
    if clean:
        rack.check_unpublished_then_clean()


def survived(job, within_s):
    got, took_s = job.end(within_s)
    print(f"      exit code {got}, {took_s:.1f} s after the fault: survived", flush=True)
    h.check(got == 0 and h.result_line(job.text())["status"] == "VALID" and not job.errors(), f"exit code {got}:\n{job.text()}")
    h.check(not job.files("status") and not job.files("error"), "status files of a run that succeeded")
    rack.remove_output()


def stopped_rank_is_named_within_the_limit(transport="p2p"):
    job = Job(rack, "--set", f"net.transport={transport}")
    job.wait_for_phase_one()
    pid = job.pid("sluice", 1)
    job.fault_now()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.2)
    h.check(process_state(pid) == "T", "the rank is not stopped")
    ended(job, 7, LIMIT_S + 4, ["rank=0", "host=h1", "rank 1 on h2 has not been heard for 3.", "phase-one", "code=peer(7)"])


def rank_stopped_for_two_seconds_goes_on():
    # TCP itself needs a second or two until the link is busy again: not within the 3 s of the other tests.
    job = Job(rack, "--set", "run.watchdog=6s")
    job.wait_for_phase_one()
    pid = job.pid("sluice", 2)
    job.fault_now()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(2)
    h.check(process_state(pid) == "T", "the rank is not stopped")
    os.kill(pid, signal.SIGCONT)
    survived(job, 40)


def killed_rank_ends_the_job(transport="p2p"):
    job = Job(rack, "--set", f"net.transport={transport}")
    job.wait_for_phase_one()
    pid = job.pid("sluice", 2)
    job.fault_now()
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    h.check(process_state(pid) in ("", "Z"), "the rank lives")
    ended(job, 7, 5, [], errors=None)
    # Only the launcher on that host sees it die: its own notice names rank and host.
    h.check(re.search(r"rank 2 .*on node h3 exited on signal 9", job.text()), f"rank and host are not named:\n{job.text()}")


def cut_cable_ends_the_job(transport="p2p"):
    job = Job(rack, "--set", f"net.transport={transport}")
    job.wait_for_phase_one()
    job.fault_now()
    rack.do("cut", "h3")
    try:
        h.check(is_down("h3"), "the link is up")
        # h3 cannot speak to us any more; the others end, and what runs there ends by itself.
        got, took_s = job.end(LIMIT_S + 25)
        print(f"      exit code {got}, {took_s:.1f} s after the fault: {(job.errors() or [''])[0][:150]}", flush=True)
        h.check(got == 7 and took_s <= LIMIT_S + 8, f"exit code {got} after {took_s:.1f} s:\n{job.text()}")
        h.check(any("rank 2 on h3 has not been heard" in line for line in job.errors()), job.text())
        left = {p: w for p, w in job.left_over(LIMIT_S + 10).items() if w[0] == "sluice"}
        h.check(not left, f"ranks left over: {left}")
        cut_off = job.files("error")["error-r00002.json"]
        h.check(cut_off["exit_code"] == 7, f"the rank that was cut off says {cut_off}")
    finally:
        rack.do("heal", "h3")
    h.check(not job.left_over(10), f"left over: {job.left_over(0)}")
    rack.check_unpublished_then_clean()


def mute_host_ends_the_job():
    job = Job(rack)
    job.wait_for_phase_one()
    job.fault_now()
    rack.do("mute", "h2")
    try:
        time.sleep(0.3)   # what was on its way
        before = {host: received_packets(host) for host in ("h1", "h2", "h3")}
        time.sleep(0.5)
        heard = {host: received_packets(host) - count for host, count in before.items()}
        print(f"      packets heard in half a second: {heard}", flush=True)
        h.check(heard["h2"] > 0 and not is_down("h2"), f"h2 hears nothing either: {heard}")
        # What h2 has to say are requests by the hundred; of the others' own traffic nothing is lost, so only its own end is sure.
        h.check(addressed_nowhere("h2"), "h2 still knows where the others are")
        ended(job, 7, LIMIT_S + 9, ["rank 1 on h2 has not been heard"], errors=None, clean=False)
    finally:
        rack.do("unmute", "h2")
    rack.check_unpublished_then_clean()


def cable_out_for_five_seconds_is_survived():
    # With launch.sh's own keepalive times: those of the other tests give a host up after 4 s.
    job = Job(rack, "--set", "run.watchdog=15s", keepalive=False)
    job.wait_for_phase_one()
    job.fault_now()
    rack.do("cut", "h2")
    h.check(is_down("h2"), "the link is up")
    time.sleep(5)
    h.check(is_down("h2"), "the link came back by itself")
    h.check(job.process.poll() is None, f"ended in the outage:\n{job.text()}")
    rack.do("heal", "h2")
    survived(job, 60)


def frozen_disk_is_named_with_code_five():
    if not rack.own_disks or shutil.which("fsfreeze") is None:
        print("      skipped: needs a file system of its own to freeze")
        return
    disk = rack.host_dirs()[1]
    job = Job(rack)
    job.wait_for_phase_one()
    pid = job.pid("sluice", 1)
    h.must(h.run(["fsfreeze", "--freeze", disk]), "freeze")
    job.fault_now()
    try:
        # The rank itself cannot die before its disk answers: the others and the launcher must not wait for that.
        got, took_s = job.end(LIMIT_S + 25)
        print(f"      exit code {got}, {took_s:.1f} s after the fault: {(job.errors() or [''])[0][:150]}", flush=True)
        h.check("D" in thread_states(pid), "no thread hangs: the disk was not frozen")
    finally:
        h.must(h.run(["fsfreeze", "--unfreeze", disk]), "unfreeze")
    h.check(got == 5 and took_s <= LIMIT_S + 8 and len(job.errors()) == 1, f"exit code {got} after {took_s:.1f} s:\n{job.text()}")
    for needle in ("rank=1 host=h2", "code=device(5)", f"{MOUNT}/d0/sluice-", "the oldest request, is 3.", "writer-0"):
        h.check(needle in job.errors()[0], f"'{needle}' is not in {job.errors()[0]}")
    deadline = time.monotonic() + 10
    while "D" in thread_states(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    h.check(not job.left_over(10), f"left over: {job.left_over(0)}")
    rack.check_unpublished_then_clean()


def interrupted(number, to_whom, code, errors):
    job = Job(rack)
    job.wait_for_phase_one()
    pid = job.process.pid if to_whom == "launch.sh" else job.pid("mpirun") if to_whom == "mpirun" else job.pid("sluice", 1)
    job.fault_now()
    mine = [p for p, (name, _) in processes_of(job.name).items() if name == "sluice"] if to_whom != "rank" else [pid]
    os.kill(pid, number)
    while any(process_state(p) not in ("", "Z") for p in mine) and time.monotonic() - job.at < 10:
        time.sleep(0.01)
    took_s = time.monotonic() - job.at
    print(f"      {len(mine)} rank(s) gone after {took_s:.2f} s", flush=True)
    # mpirun itself lets a second go by between a signal and its ranks; launch.sh has a way around that.
    h.check(took_s < (3 if to_whom == "mpirun" else 1), f"{took_s:.2f} s until the signalled ranks were gone")
    ended(job, code, 4, ["code=interrupted(8)", number.name] if errors else [], errors=errors)
    states = {s["state"] for s in job.files("status").values()}
    h.check(states <= {"interrupted", "aborted"} and "interrupted" in states, f"states {states}")
    h.check(all(e["exit_code"] == 8 for e in job.files("error").values()) and job.files("error"), job.files("error"))


def signal_to_mpirun_ends_all_with_eight():
    interrupted(signal.SIGINT, "mpirun", 8, None)


def sigterm_to_the_launcher_ends_all_with_eight():
    interrupted(signal.SIGTERM, "launch.sh", 8, None)


def sigterm_to_one_rank_ends_all_with_eight():
    interrupted(signal.SIGTERM, "rank", 8, 1)


def killed_mpirun_leaves_no_orphans():
    job = Job(rack)
    job.wait_for_phase_one()
    pid = job.pid("mpirun")
    job.fault_now()
    os.kill(pid, signal.SIGKILL)
    ended(job, 7, 5, [], errors=None)


def late_rank_is_missed_at_the_start():
    late = ["sh", "-c", '[ "$OMPI_COMM_WORLD_RANK" != 1 ] || sleep 20; exec "$@"', "late"]
    job = Job(rack, program=late)
    job.fault_now()
    ended(job, 7, LIMIT_S + 8, ["MPI_Init, which waits until all ranks of the job have started", "; never started: rank 1 on h2"], errors=None)


def link_bytes(host):
    return json.loads(h.must(h.run(["tc", "-n", f"{PREFIX}-{host}", "-s", "-j", "qdisc", "show", "dev", "eth0"]), "tc"))[0]["bytes"]


def full_link_is_no_fault(transport):
    """Three times the watchdog's limit on links that have no room to spare."""
    before, begin = link_bytes("h1"), time.monotonic()
    out = h.must(h.run([RACK, "launch", "-n", "3", "--timeout", "60", "--", h.BIN / "sluice", "shuffle", "--records", "1000000", "--set", f"net.transport={transport}",
                        "--set", f"run.watchdog={LIMIT_S}s", "--set", "memory.budget=256MiB", "--set", f"results.dir={rack.w.path}/results"], env=rack.env, timeout=90), transport)
    took_s = float(h.re.search(r"elapsed_s=([0-9.]+)", out).group(1))
    full = (link_bytes("h1") - before) / (20e6 / 8) / took_s
    print(f"      exit code 0 after {time.monotonic() - begin:.1f} s: {took_s:.1f} s of shuffle by {transport}, link of h1 {full:.2f} full, watchdog {LIMIT_S} s", flush=True)
    h.check("SHUFFLE status=VALID" in out and took_s > 2.5 * LIMIT_S and full > 0.8, out)


def second_signal_is_immediate_and_one_rank_without_launcher_ends_too():
    with h.Workspace() as w:
        env = {**os.environ, "SLUICE_TEST_JOB": "single"}
        process = subprocess.Popen([h.BIN / "sluice", "gen", "--records", "100000000", *w.options], env=env, stderr=subprocess.PIPE, text=True)
        while not list(w.path.glob("results/run-*/status-r00000.json")) or not list(w.data.glob(".partial-*/data-*")):
            h.check(process.poll() is None, "gen ended")
            time.sleep(0.02)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=20)[1]
        took_s = time.monotonic() - begin
        print(f"      exit code {process.returncode}, {took_s:.2f} s after the signal: {err.strip()[:150]}", flush=True)
        h.check(process.returncode == 8 and took_s < 1 and err.count("ERROR") == 1 and "SIGINT" in err, f"{process.returncode} after {took_s:.2f} s: {err}")
        status = json.loads(next(w.path.glob("results/run-*/status-r00000.json")).read_text())
        h.check(status["state"] == "interrupted" and status["verb"] == "gen", status)


def hangup_and_closed_output_do_not_end_a_run():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 4000000]), "gen")
        process = subprocess.Popen([h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB", "--set", "io.depth=1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        sent = 0
        while process.poll() is None and not list(w.path.glob("results/run-*/status-r00000.json")):
            time.sleep(0.005)
        process.stdout.close()   # not before: a run whose result nobody can read does not begin
        process.stderr.close()
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            sent += 1
            time.sleep(0.01)
        h.check(process.returncode == 0 and sent > 5 and (w.data / "sorted" / "MANIFEST.json").exists(), f"exit code {process.returncode} after {sent} signals")


def rank_of_one_host(fault, within_s, needle):
    """Two ranks that write each other's memory: one of them is sent `fault` in the middle of a shuffle."""
    with h.Workspace() as w:
        name = uuid.uuid4().hex
        results = w.path / "results"
        log = open(w.path / "log", "w+")
        process = subprocess.Popen(
            [h.REPO / "scripts" / "launch.sh", "-n", "2", "--timeout", "90", "--", h.BIN / "sluice", "shuffle", "--seconds", "60",
             "--set", f"results.dir={results}", "--set", "memory.budget=128MiB", "--set", f"run.watchdog={LIMIT_S}s"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "SLUICE_TEST_JOB": name})
        try:
            deadline = time.monotonic() + 30
            while [json.loads(path.read_text())["step"] for path in results.glob("run-*/status-r*.json")] != ["shuffle"] * 2:
                h.check(process.poll() is None and time.monotonic() < deadline, "the shuffle was not reached")
                time.sleep(0.05)
            time.sleep(0.5)
            pid = next(p for p, who in processes_of(name).items() if who == ("sluice", 1))
            begin = time.monotonic()
            os.kill(pid, fault)
            time.sleep(0.2)
            h.check(process_state(pid) in ("T", "Z", ""), "nothing happened to the rank")
            code = process.wait(timeout=within_s + 20)
            took_s = time.monotonic() - begin
            log.seek(0)
            text = log.read()
            print(f"      exit code {code}, {took_s:.1f} s after the fault: {next((line for line in text.splitlines() if needle in line), '')[:150]}", flush=True)
            h.check(code == 7 and took_s <= within_s and needle in text, f"exit code {code} after {took_s:.1f} s:\n{text}")
            deadline = time.monotonic() + 6 + LIMIT_S
            while (left := processes_of(name)) and time.monotonic() < deadline:
                time.sleep(0.1)
            h.check(not left, f"left over: {left}")
        finally:
            for left in processes_of(name):
                os.kill(left, signal.SIGKILL)
            process.wait()


def stopped_rank_of_one_host_is_named_within_the_limit():
    rank_of_one_host(signal.SIGSTOP, LIMIT_S + 4, "has not been heard for 3.")


def killed_rank_of_one_host_ends_the_job():
    rank_of_one_host(signal.SIGKILL, 5, "exited on signal 9")


def by(transport, test):
    body = lambda: test(transport)
    body.__name__ = f"{test.__name__}_by_{transport}"
    return body


QUICK = [stopped_rank_is_named_within_the_limit, rank_stopped_for_two_seconds_goes_on, killed_rank_ends_the_job, cut_cable_ends_the_job,
         signal_to_mpirun_ends_all_with_eight, sigterm_to_one_rank_ends_all_with_eight]
LONG = [frozen_disk_is_named_with_code_five, mute_host_ends_the_job, cable_out_for_five_seconds_is_survived, sigterm_to_the_launcher_ends_all_with_eight,
        killed_mpirun_leaves_no_orphans, late_rank_is_missed_at_the_start,
        *(by(t, full_link_is_no_fault) for t in ("p2p", "alltoallv", "rma")),
        *(by(t, test) for t in ("alltoallv", "rma") for test in (stopped_rank_is_named_within_the_limit, killed_rank_ends_the_job, cut_cable_ends_the_job))]
ANYWHERE = [stopped_rank_of_one_host_is_named_within_the_limit, killed_rank_of_one_host_ends_the_job, second_signal_is_immediate_and_one_rank_without_launcher_ends_too, hangup_and_closed_output_do_not_end_a_run]

tests = LONG if "--full" in sys.argv else QUICK + ANYWHERE
chosen = [t for t in QUICK + LONG + ANYWHERE if t.__name__ in sys.argv[1:]]
tests = chosen or tests
if os.geteuid() != 0 or shutil.which("ip") is None or h.run(["ip", "netns", "add", PREFIX])[0] != 0:
    print("no network namespaces here (root and iproute2 are needed): only what needs none")
    h.main([t for t in tests if t in ANYWHERE])
h.run(["ip", "netns", "del", PREFIX])
with Rack() as rack:
    h.main(tests)
