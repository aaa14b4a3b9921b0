"""Two programs at once on the same disks: whatever the pair and the moment, no file of a live run is lost, and the one that
is refused says whom it met.

  two_programs.py [--full]     each pair four times; else once
"""

import itertools
import random
import re
import signal
import subprocess
import sys
import time

import harness as h
from crashes import OVERWRITE, SMALL, Lab

REPEATS = 4 if "--full" in sys.argv else 1
RECORDS = 5000
VERBS = {
    "gen": ["gen", "--records", RECORDS],
    "gen overwrite": ["gen", "--records", RECORDS, *OVERWRITE],
    "sort": ["sort", *SMALL],
    "sort overwrite": ["sort", *SMALL, *OVERWRITE],
    "clean": ["clean", "--yes", "--input"],
    "clean --run all": ["clean", "--run", "all"],
    "validate": ["validate"],
}
# What each needs to succeed by itself, and what a run that ended before it may have made of that: refused (2, 10) or missing (4).
NEEDS = {"gen": None, "gen overwrite": "input", "sort": "input", "sort overwrite": "both", "clean": "both", "clean --run all": "both", "validate": "both"}
# By its record, or, before it has made one, as the holder of a lock.
WHOM = r"run [0-9a-f]{32} \(sluice \w+|`sluice \w+` \(pid \d+\)"
ORDER = [None, "input", "both"]


def start(lab, name):
    command = [h.BIN / "sluice", *VERBS[name], *lab.options]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def check_pair(lab, names, before, ended, where):
    codes = [code for code, _, _ in ended]
    told = "".join(f"\n--- {name}: {code}\n{out}{err}" for name, (code, out, err) in zip(names, ended))
    h.check(all(code in (0, 2, 4, 10) for code in codes), f"{where}: codes {codes}{told}")
    # One that is refused for another reason (2, 4) lived all the same while the other met it; two that refuse each other are wrong.
    h.check(0 in codes or set(codes) & {2, 4}, f"{where}: both were refused{told}")
    for name, (code, _, err) in zip(names, ended):
        if code == 10:
            h.check(re.search(WHOM, err), f"{where}: {name} does not say whom it met{told}")
        if code == 2:
            h.check("is there already" in err, f"{where}: {name}{told}")
        if code == 4:
            missing = {"sort": "input", "sort overwrite": "input", "validate": "output"}.get(name)
            h.check(missing is not None and ("clean" in names or "gen overwrite" in names or before != "both"), f"{where}: {name} missed its data{told}")
    # What is there is whole: inputs as generated, outputs valid, whatever came before what.
    files = lab.content("input")
    h.check(files in ({}, lab.input), f"{where}: the input is damaged: {sorted(files)}{told}")
    if "clean" not in names:
        h.check(before is None or files == lab.input, f"{where}: the input is gone{told}")
        for name, code in zip(names, codes):
            if name.startswith("sort") and code == 0:
                out = h.must(lab.sluice(["validate"]), f"{where}: validate{told}")
                h.check(f"records={RECORDS}" in out, f"{where}: {out}{told}")
    for name, code in zip(names, codes):
        if name.startswith("gen") and code == 0 and "clean" not in names:
            h.check(files == lab.input, f"{where}: nothing was generated{told}")
    code, out, err = lab.sluice(["validate"])
    h.check(code in (0, 4), f"{where}: validate afterwards ends with {code}: {out}{err}{told}")
    h.check(code == 4 or f"records={RECORDS}" in out, f"{where}: {out}{told}")
    h.check(lab.left() == [], f"{where}: left {lab.left()}{told}")


def every_pair():
    rng = random.Random(7)
    pairs = list(itertools.combinations_with_replacement(VERBS, 2))
    met = refused = 0
    with Lab() as lab:
        for repeat, names in itertools.product(range(REPEATS), pairs):
            names = list(names)
            rng.shuffle(names)
            before = max((NEEDS[name] for name in names), key=ORDER.index)
            lab.restore(before)
            first = start(lab, names[0])
            time.sleep(rng.choice([0.0, 0.01, 0.02, 0.04, 0.06]))
            met += first.poll() is None
            second = start(lab, names[1])
            ended = [finish(first), finish(second)]
            refused += any(code == 10 for code, _, _ in ended)
            check_pair(lab, names, before, ended, f"{names[0]}, then {names[1]} ({repeat})")
    print(f"{len(pairs)} pairs x {REPEATS}: {met} met, {refused} were refused with the other's run")
    h.check(met > len(pairs) * REPEATS // 3 and refused >= REPEATS, f"{met} met, {refused} refused")


def a_live_sort_keeps_its_input_and_its_logs():
    """Beside a sort that stands still in its phase one, all others end at once and take nothing from it."""
    with Lab() as lab:
        h.must(lab.sluice(["clean", "--yes"]), "clean")
        held = start(lab, "sort")
        while not any(list(disk.glob("*-logs/log-*")) for disk in lab.disks()):  # its output has been claimed by then
            h.check(held.poll() is None, "the sort ended at once")
        held.send_signal(signal.SIGSTOP)
        for name in VERBS:
            code, out, err = lab.sluice(VERBS[name])
            expected = {"gen": (2, 10), "clean --run all": (0,), "validate": (4,)}.get(name, (10,))
            h.check(code in expected, f"{name} beside a live sort ends with {code}: {out}{err}")
            h.check(code != 10 or re.search(WHOM, err), f"{name} does not say whom it met: {err}")
        h.check(held.poll() is None, "the sort had ended before")
        held.send_signal(signal.SIGCONT)
        code, out, err = finish(held)
        h.check(code == 0 and f"records={RECORDS}" in out, f"the sort ends with {code}: {out}{err}")


if __name__ == "__main__":
    h.main([every_pair, a_live_sort_keeps_its_input_and_its_logs])
