"""File systems without locks, and with locks that only one host sees: what lives is never taken for dead, a lock that cannot be
had is never passed over in silence, and run.locks = "record" tells by a counter that moves."""

import os
import re
import struct
import subprocess
import time

import harness as h

RECORDS = 5000
SORT = ["sort", "--set", "memory.budget=16MiB", "--set", "partitions.count=3", "--set", "run.watchdog=60s"]
GEN = ["gen", "--records", RECORDS]
RECORD = ["--set", "run.locks=record"]
OVERWRITE = ["--set", "run.overwrite=true"]


class Lab(h.Workspace):
    def __enter__(self):
        super().__enter__()
        self.counter, self.hold = self.path / "counter", self.path / "hold"
        self.counter.write_bytes(bytes(8))
        h.check((h.BIN.parent / "lib" / "libother_locks.so").exists(), "libother_locks.so is not there")
        return self

    def env(self, table="", hold=False):
        if table:
            (self.path / table).mkdir(exist_ok=True)
        return {"LD_PRELOAD": str(h.BIN.parent / "lib" / "libother_locks.so"), "OTHER_LOCKS_DIR": str(self.data), "OTHER_LOCKS_COUNTER": str(self.counter),
                "OTHER_LOCKS_TABLE": str(self.path / table) if table else "", "OTHER_LOCKS_HOLD": str(self.hold if hold else "")}

    def run(self, words, **how):
        return h.sluice([*map(str, words), *self.options], timeout=100, env=self.env(**how))

    def elsewhere(self, words, **how):
        """In a pid namespace of its own: as another host, it cannot ask for the other's processes."""
        return h.run(["unshare", "-p", "-f", "--mount-proc", h.BIN / "sluice", *map(str, words), *self.options], timeout=100, env=self.env(**how))

    def start(self, words, **how):
        """Comes back when it stands in its first read or write, its directories made; the status thread goes on."""
        self.hold.touch()
        process = subprocess.Popen([str(word) for word in [h.BIN / "sluice", *words, *self.options]], env={**os.environ, **self.env(hold=True, **how)},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        while not any(re.match(r"\.partial-[0-9a-f]{32}$", p.name) and (p / "OWNER.json").exists() for p in self.data.iterdir()):
            h.check(process.poll() is None, "the run ended at once")
            time.sleep(0.01)
        time.sleep(1.0)
        return process

    def fired(self):
        return struct.unpack("<Q", self.counter.read_bytes())[0]

    def left(self):
        return sorted(p.name for p in self.data.iterdir() if p.name not in ("input", "sorted"))


def finished(process, what):
    out, err = process.communicate(timeout=100)
    return h.must((process.returncode, out, err), what)


def without_locks_every_verb_ends_with_3_and_says_the_way_out():
    with Lab() as lab:
        code, out, err = lab.run(GEN)
        h.check(code == 3 and 'run.locks = "record"' in err and "No locks available" in err, f"gen: {code}: {out}{err}")
        h.check(list(lab.data.iterdir()) == [] and lab.fired() > 0, f"left {lab.left()}, {lab.fired()} locks were refused")
        plain = [*GEN, *lab.options]
        h.must(h.sluice(plain), "gen with locks")
        h.must(h.sluice([*SORT, *lab.options]), "sort with locks")
        (lab.data / "sorted").rename(lab.data / f".partial-{'a' * 32}")
        for words in (SORT, ["validate"], ["clean", "--yes"], ["clean", "--run", "all"], ["clean", "--run", "a" * 32], [*GEN, *OVERWRITE]):
            before, there = lab.fired(), h.snapshot(lab.data)
            code, out, err = lab.run(words)
            missing = words == ["validate"] and code == 4  # there is no set, so that no lock was wanted
            named = words[:2] == ["clean", "--run"] and words[2] != "all" and code == 10  # may live: nobody can tell
            h.check(code == 3 or missing or named, f"{words}: {code}: {out}{err}")
            h.check(missing or 'run.locks = "record"' in err or named, f"{words}: {err}")
            h.check(missing or lab.fired() > before, f"{words}: no lock was tried")
            h.check(h.snapshot(lab.data) == there, f"{words}: something changed")


def by_record_all_verbs_work():
    with Lab() as lab:
        for words in (GEN, SORT, ["validate"], [*SORT, *OVERWRITE], [*GEN, *OVERWRITE], ["validate"]):
            out = h.must(lab.run([*words, *RECORD]), f"{words} by record")
            h.check("validate" not in words or f"records={RECORDS}" in out, out)
        code, out, err = lab.run(["validate", *RECORD])
        h.check(code == 0 and "WARNING" in err and "lock" in err, f"validate does not say that it reads without a lock: {err}")
        h.must(lab.run(["clean", "--yes", "--input", *RECORD]), "clean by record")
        h.check(list(lab.data.iterdir()) == [] and lab.fired() > 10, f"left {list(lab.data.iterdir())}, {lab.fired()} locks were refused")


def a_counter_that_moves_is_alive():
    with Lab() as lab:
        h.must(lab.run([*GEN, *RECORD]), "gen")
        live = lab.start([*SORT, *RECORD])
        for words, expected in ((["clean", "--run", "all"], (0,)), ([*GEN, *OVERWRITE], (10,)), (["clean", "--yes", "--input"], (10,))):
            begin = time.monotonic()
            code, out, err = lab.elsewhere([*words, *RECORD])
            h.check(live.poll() is None, "the sort ended too early for this test")
            h.check(code in expected, f"{words} beside a sort that beats: {code}: {out}{err}")
            h.check(code != 10 or re.search(r"run [0-9a-f]{32} \(sluice sort", err), f"{words} does not say whom it met: {err}")
            h.check(time.monotonic() - begin > 2.9, f"{words} looked for less than three beats")
        lab.hold.unlink()
        out = finished(live, "the live sort")
        h.check(f"records={RECORDS}" in out and lab.left() == [], f"{out}, left {lab.left()}")


def a_counter_that_stands_still_is_dead():
    with Lab() as lab:
        h.must(lab.run([*GEN, *RECORD]), "gen")
        for way in (["clean", "--run", "all"], SORT, [*SORT, *OVERWRITE]):
            dead = lab.start([*(SORT if way[0] == "clean" else way), *RECORD])
            dead.kill()
            dead.wait()
            h.check(lab.left() != [], "the killed sort left nothing")
            h.must(lab.elsewhere([*way, *RECORD]), f"{way} after a kill")
            h.check(lab.left() == [], f"{way} left {lab.left()}")


def locks_of_one_host_do_not_let_another_take_what_lives():
    """flock that only its host sees: each host gets every lock that it asks for."""
    with Lab() as lab:
        h.must(lab.run(GEN, table="one"), "gen")
        live = lab.start(SORT, table="one")
        there = {p.name for p in lab.data.iterdir()}
        for words, expected in ((["clean", "--run", "all"], (0,)), (SORT, (10,)), ([*SORT, *OVERWRITE], (10,)), ([*GEN, *OVERWRITE], (10,)), (["clean", "--yes", "--input"], (10,))):
            before = lab.fired()
            code, out, err = lab.elsewhere(words, table="other")
            h.check(live.poll() is None, "the sort ended too early for this test")
            h.check(code in expected, f"{words} beside another host's sort: {code}: {out}{err}")
            h.check(code != 10 or re.search(r"run [0-9a-f]{32} \(sluice sort", err), f"{words} does not say whom it met: {err}")
            h.check({p.name for p in lab.data.iterdir()} == there and lab.fired() > before, f"{words}: something went, or no lock was tried")
        lab.hold.unlink()
        out = finished(live, "the live sort")
        h.check(f"records={RECORDS}" in out and lab.left() == [], f"{out}, left {lab.left()}")
        # The table works: on one host the same is seen by the lock.
        live = lab.start([*SORT, *OVERWRITE], table="one")
        code, out, err = lab.run(["clean", "--yes"], table="one")
        h.check(code == 10, f"clean on the same host: {code}: {out}{err}")
        lab.hold.unlink()
        finished(live, "the second sort")


def two_ranks_watch_a_beat_for_longer_than_the_watchdog_allows_silence():
    with Lab() as lab:
        h.must(lab.run([*GEN, *RECORD]), "gen")
        h.must(lab.run([*SORT, *RECORD]), "sort")
        record = (lab.data / "sorted" / "OWNER.json").read_text()
        run_id = re.search(r'"run_id": ?"([0-9a-f]{32})"', record).group(1)
        # As a killed run leaves it: its own number, its own name, and nobody at work.
        (lab.data / "sorted").rename(lab.data / (".partial-" + run_id))
        began = time.monotonic()
        words = [*map(str, [*SORT, *RECORD]), "--set", "run.watchdog=1s", *lab.options]
        code, out, err = h.sluice(words, ranks=2, timeout=100, env=lab.env())
        h.check(code == 0 and "RESULT status=VALID" in out, f"exit {code}: {out}{err}")
        h.check(time.monotonic() - began > 3 and lab.fired() > 0, "nobody watched the record: the test shows nothing")


def a_live_run_that_somebody_moves_while_it_publishes_ends_as_an_error():
    """Whoever takes it for a dead one and moves it, before each of the last changes of a small sort: no run says VALID whose
    directory was moved before it had the MANIFEST, and where the MANIFEST went along it is looked at again."""
    met, calls = {}, None
    at = 0   # 0 counts only
    while calls is None or at <= calls:
        with h.Workspace() as w:
            h.must(h.sluice(["gen", *w.options, "--records", 2000]), "gen")
            counter, log = w.path / "counter", w.path / "moved"
            counter.write_bytes(bytes(8))
            move = f"cd {w.data}; for d in sorted .partial-*; do [ ! -e $d/OWNER.json ] || {{ ls $d > {log}; mv $d moved; break; }}; done"
            code, out, err = h.sluice(["sort", *w.options, "--set", "memory.budget=64MiB"], env={
                "LD_PRELOAD": str(h.BIN.parent / "lib" / "libkill_before.so"), "KILL_BEFORE_DIR": str(w.data), "KILL_BEFORE_COUNTER": str(counter),
                "KILL_BEFORE": str(at), "KILL_BEFORE_RUN": move})
            if calls is None:
                calls = struct.unpack("<Q", counter.read_bytes())[0]
                at = max(0, calls - 30)
            elif log.exists():   # else there was no directory any more
                had, has = "MANIFEST.json" in log.read_text().split(), (w.data / "moved" / "MANIFEST.json").exists()
                where = f"change {at} of {calls}, MANIFEST at the move: {had}, later: {has}: exit {code}: {out}{err}"
                h.check(had or (code != 0 and "RESULT" not in out), where)
                h.check((code == 0) == ("RESULT status=VALID" in out) and "a bug of sluice" not in err, where)
                met[(had, has, code)] = met.get((had, has, code), 0) + 1
        at += 1
    h.check(any(has and not had for had, has, _ in met), f"no move between the last look before the MANIFEST and its rename: {met}")
    h.check(any(code == 10 and not has for _, has, code in met), f"no move seen before the MANIFEST: {met}")
    print(f"      (MANIFEST at the move, later, exit code): moves: {met}")


if __name__ == "__main__":
    tests = [a_live_run_that_somebody_moves_while_it_publishes_ends_as_an_error, two_ranks_watch_a_beat_for_longer_than_the_watchdog_allows_silence, without_locks_every_verb_ends_with_3_and_says_the_way_out, by_record_all_verbs_work]
    if h.run(["unshare", "-p", "-f", "--mount-proc", "true"])[0] == 0:
        tests += [a_counter_that_moves_is_alive, a_counter_that_stands_still_is_dead, locks_of_one_host_do_not_let_another_take_what_lives]
    else:
        print("skipped: no pid namespaces for this user, so no other hosts")
    h.main(tests)
