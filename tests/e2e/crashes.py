"""Programs killed at every change that they make to a disk, and at random moments: the input stays, nothing is half published,
and one command leads out.

  crashes.py [--full]     every point of every verb on 1 and 2 ranks, and 60 random kills; else a few of each
"""

import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import time

import harness as h

FULL = "--full" in sys.argv
RECORDS = 5000
SMALL = ["--set", "memory.budget=16MiB", "--set", "partitions.count=3", "--set", "run.watchdog=10s"]
OVERWRITE = ["--set", "run.overwrite=true"]
FIRST = ["--set", "run.overwrite=first"]

WAYS = ("clean --run all", "overwrite", "again")
# name: (words, is there an input before?, an output?)
VERBS = {
    "gen": (["gen", "--records", RECORDS], False, False),
    "gen over old": (["gen", "--records", RECORDS, *OVERWRITE], True, False),
    "sort": (["sort", *SMALL], True, False),
    "sort over old": (["sort", *SMALL, *OVERWRITE], True, True),
    "sort, old first": (["sort", *SMALL, *FIRST], True, True),
    "clean": (["clean", "--yes"], True, True),
}


class Lab(h.Workspace):
    """Two disks, and what lies on them before each trial."""

    def __enter__(self):
        super().__enter__()
        self.data.rmdir()
        self.data, self.second = self.path / "disks" / "a", self.path / "disks" / "b"
        for disk in self.disks():
            disk.mkdir(parents=True)
        self.options = [str(h.config_of_disks(self.path / "disks.toml", self.disks())), "--set", f"results.dir={self.path}/results", "--set", "run.progress=none"]
        self.saved = self.path / "saved"
        h.must(self.sluice(["gen", "--records", RECORDS]), "gen")
        self.save("input")
        self.input = self.content("input")
        h.must(self.sluice(["sort", *SMALL]), "sort")
        self.save("both")
        return self

    def sluice(self, words, ranks=0, env=None):
        return h.sluice([*map(str, words), *self.options], ranks=ranks, timeout=100, env=env)

    def disks(self):
        return [self.data, self.second]

    def save(self, name):
        for disk in self.disks():
            shutil.copytree(disk, self.saved / name / disk.name)

    def restore(self, name):
        for disk in self.disks():
            for entry in disk.iterdir():
                shutil.rmtree(entry)
            if name:
                shutil.copytree(self.saved / name / disk.name, disk, dirs_exist_ok=True)

    def content(self, name):
        """The records of a data set, by disk and file, without their frame."""
        return {str(p): h.sha_of_files([p]) for disk in self.disks() for p in sorted((disk / name).glob("*-[0-9]*"))}

    def left(self):
        return [str(p) for disk in self.disks() for p in disk.iterdir() if p.name not in ("input", "sorted")]


def preload(lab, at):
    counter = lab.path / "counter"
    counter.write_bytes(struct.pack("<Q", 0))
    library = h.BIN.parent / "lib" / "libkill_before.so"
    h.check(library.exists(), f"{library} is not there")
    return counter, {"LD_PRELOAD": str(library), "KILL_BEFORE_DIR": str(lab.path / "disks"), "KILL_BEFORE_COUNTER": str(counter), "KILL_BEFORE": str(at)}


def check_way_out(lab, words, had_input, where, way):
    """The input as it was, an output that is whole or none, and after one command all is well."""
    generates = words[0] == "gen"
    if had_input and not generates:
        h.check(lab.content("input") == lab.input, f"{where}: the input changed")
    code, out, err = lab.sluice(["validate"])
    h.check(code in (0, 4, 10), f"{where}: validate ends with {code}: {out}{err}")
    if words[0] == "clean":
        h.must(lab.sluice(["clean", "--yes"]), f"{where}: clean again")
        h.must(lab.sluice(["sort", *SMALL]), f"{where}: sort after clean")
    elif way == "clean --run all":
        h.must(lab.sluice(["clean", "--run", "all"]), f"{where}: clean --run all")
        code, out, err = lab.sluice(words)
        h.check(code == 0 or code == 2 and "is there already" in err, f"{where}: the same again ends with {code}: {out}{err}")
    elif way == "overwrite":
        h.must(lab.sluice([*words, *OVERWRITE]), f"{where}: the same with overwrite")
    else:
        code, out, err = lab.sluice(words)
        h.check(code == 0 or code == 2 and "is there already" in err, f"{where}: the same again ends with {code}: {out}{err}")
        h.check("sluice clean" not in err or code == 2, f"{where}: {err}")
        if code == 2:  # published before the kill: a run that is refused removes nothing, so its logs may be there still
            h.must(lab.sluice(["clean", "--run", "all"]), f"{where}: clean --run all")
    if generates:
        h.check(lab.content("input") == lab.input, f"{where}: generated otherwise")
        h.must(lab.sluice(["sort", *SMALL, *OVERWRITE]), f"{where}: sort")
    out = h.must(lab.sluice(["validate"]), f"{where}: validate at the end")
    h.check(f"records={RECORDS}" in out and "VALID" in out, f"{where}: {out}")
    h.check(lab.left() == [], f"{where}: left {lab.left()}")


def report(points, what, stuck, least):
    print(f"{points} {what}, {len(stuck)} stuck")
    h.check(not stuck, "\n".join(stuck))
    h.check(points >= least, f"only {points} {what}")


def before_every_change():
    points, stuck = 0, []
    with Lab() as lab:
        for ranks in (0, 2):
            for name, (words, had_input, had_output) in VERBS.items():
                before = "both" if had_output else "input" if had_input else None
                lab.restore(before)
                counter, env = preload(lab, 0)
                h.must(lab.sluice(words, ranks, env), name)
                changes = struct.unpack("<Q", counter.read_bytes())[0]
                h.check(changes > 5, f"{name}: only {changes} changes were seen")
                chosen = range(1, changes + 1) if FULL else sorted(random.Random(ranks).sample(range(1, changes + 1), 3))
                for at in chosen:
                    lab.restore(before)
                    counter, env = preload(lab, at)
                    code, out, err = lab.sluice(words, ranks, env)
                    fired = struct.unpack("<Q", counter.read_bytes())[0] >= at
                    if not fired:  # another order of the ranks, fewer changes
                        h.must((code, out, err), f"{name} without its kill")
                        continue
                    # What has published ends well, whatever becomes of a rank.
                    h.check(code != 0 or "is published" in err or "was published" in err, f"{name} killed before change {at} of {changes} ends with 0: {out}{err}")
                    points += 1
                    way = WAYS[points % 3]
                    try:
                        check_way_out(lab, words, had_input, f"{name} on {ranks or 1} rank(s), killed before change {at} of {changes}, {way}", way)
                    except h.Failed as failure:
                        stuck.append(str(failure))
    report(points, "kills before a change", stuck, 200 if FULL else 30)


def at_random_moments():
    """The whole job or one rank of it, at any time from its start to its end."""
    rng = random.Random(20261)
    kills, stuck = 0, []
    with Lab() as lab:
        wanted, trial = (60 if FULL else 4), -1
        while kills < wanted and trial < 5 * wanted:  # what had ended before its kill does not count
            trial += 1
            ranks = (0, 2)[trial % 2]
            name = rng.choice([name for name in VERBS if name != "clean"])
            words, had_input, had_output = VERBS[name]
            lab.restore("both" if had_output else "input" if had_input else None)
            command = [str(h.BIN / "sluice"), *map(str, words), *lab.options]
            if ranks:
                command = [str(h.REPO / "scripts" / "launch.sh"), "-n", str(ranks), "--", *command]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True)
            time.sleep(rng.uniform(0.0, 1.2 if ranks else 0.4))
            victims = [process.pid] if not ranks else programs_of(process.pid)
            for pid in victims if rng.random() < 0.5 else victims[:1]:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            try:
                code = process.wait(timeout=100)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                stuck.append(f"random kill {trial} of {name} on {ranks or 1} rank(s): the job did not end")
                continue
            kills += code != 0
            try:
                check_way_out(lab, words, had_input, f"random kill {trial} of {name} on {ranks or 1} rank(s), {WAYS[trial % 3]}", WAYS[trial % 3])
            except h.Failed as failure:
                stuck.append(str(failure))
    report(kills, "kills at random moments", stuck, 60 if FULL else 2)


def segments():
    return {p.name: p.stat().st_ino for p in pathlib.Path("/dev/shm").glob("vader_segment.*")}


def shared_memory_of_a_killed_run_goes_and_a_live_runs_stays():
    """Killed together with their launcher, ranks leave the files in /dev/shm by which they talk to each other."""
    if not pathlib.Path("/dev/shm").is_dir():
        print("      skipped: no /dev/shm")
        return
    with Lab() as lab:
        lab.restore("input")
        at = struct.unpack("<Q", preload_count(lab))[0] // 2
        before = segments()
        counter, env = preload(lab, at)
        process = subprocess.Popen([str(h.REPO / "scripts" / "launch.sh"), "-n", "2", "--", str(h.BIN / "sluice"), *map(str, ["sort", *SMALL]), *lab.options],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True,
                                   env={**os.environ, **env, "KILL_BEFORE_STOPS": "1"})
        deadline = time.monotonic() + 60
        while struct.unpack("<Q", counter.read_bytes())[0] < at and time.monotonic() < deadline:
            time.sleep(0.01)
        h.check(struct.unpack("<Q", counter.read_bytes())[0] >= at, "the run did not come so far")
        mine = {name: inode for name, inode in segments().items() if name not in before}
        h.check(len(mine) >= 2, f"two ranks share {sorted(mine)}; is this another MPI?")
        h.must(lab.sluice(["clean", "--run", "all"]), "clean --run all beside it")
        h.check(all(segments().get(name) == inode for name, inode in mine.items()), "a live run's shared memory is gone")
        os.killpg(process.pid, 9)
        process.wait()
        for pid in programs_with(str(lab.path)):
            os.kill(pid, 9)
        h.check(all(segments().get(name) == inode for name, inode in mine.items()), "nothing was left, so nothing is shown here")
        stranger = pathlib.Path("/dev/shm") / f"vader_segment.stranger.{os.getpid()}"
        stranger.write_bytes(b"x")
        try:
            deadline = time.monotonic() + 10   # killed, a process holds its locks for some milliseconds more
            while True:
                h.must(lab.sluice(["clean", "--run", "all"]), "clean --run all after the kill")
                if not any(segments().get(name) == inode for name, inode in mine.items()) or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            h.check(not any(segments().get(name) == inode for name, inode in mine.items()), f"{sorted(mine)} are still there")
            h.check(stranger.exists(), "a stranger's went too")
        finally:
            stranger.unlink(missing_ok=True)


def programs_with(word):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid() and word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def preload_count(lab):
    """How many changes a sort on two ranks makes."""
    counter, env = preload(lab, 0)
    h.must(lab.sluice(["sort", *SMALL], 2, env), "sort")
    changes = counter.read_bytes()
    lab.restore("input")
    return changes


def programs_of(root):
    """The sluice processes below a process."""
    table = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True).stdout
    rows = [(int(pid), int(parent), name) for pid, parent, name in re.findall(r"(\d+)\s+(\d+)\s+(\S+)", table)]
    below, found = {root}, []
    for _ in range(6):
        below |= {pid for pid, parent, _ in rows if parent in below}
    for pid, _, name in rows:
        if pid in below and name == "sluice":
            found.append(pid)
    return found


if __name__ == "__main__":
    h.main([before_every_change, at_random_moments, shared_memory_of_a_killed_run_goes_and_a_live_runs_stays])
