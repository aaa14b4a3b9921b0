"""What people see while a sort runs: a live line on a terminal, a line every 10 s elsewhere, nothing when told so."""

import os
import pty
import re
import shutil
import subprocess

import harness as h

LIVE = r"(generate|phase one|phase two) +(\d+) %  disk (\d+) MB/s  net (\d+) MB/s  ETA (\d+) s"
SLOW = ["strace", "-f", "-o", "/dev/null", "-e", "trace=io_submit", "-e"]   # strace with what to inject: a slow disk


def on_a_terminal(command):
    """Runs with stderr on a terminal of its own; returns exit code, stdout, what the terminal got."""
    master, slave = pty.openpty()
    job = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    shown = b""
    try:
        while block := os.read(master, 65536):
            shown += block
    except OSError:   # the other end is closed: the program ended
        pass
    os.close(master)
    out = job.stdout.read().decode()
    return job.wait(), out, shown.decode()


def sort_words(w, *more):
    return [h.BIN / "sluice", "sort", "--set", f"disks.path={w.data}", "--set", f"results.dir={w.path}/results", "--set", "memory.budget=64MiB", *more]


def terminal_shows_one_line_that_is_rewritten_and_goes_away():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 1000000]), "gen")
        slow = [*SLOW, "inject=io_submit:delay_enter=30000"]
        code, out, shown = on_a_terminal([*slow, *sort_words(w)])
        h.check(code == 0 and h.result_line(out)["status"] == "VALID", f"{out}{shown}")
        lines = re.findall(r"\r\x1b\[K" + LIVE, shown)
        h.check(len(lines) >= 2, f"hardly a live line in {shown!r}")
        for phase in ("phase one", "phase two"):
            percents = [int(line[1]) for line in lines if line[0] == phase]
            h.check(percents == sorted(percents) and all(p <= 100 for p in percents), f"{phase}: {percents}")
        h.check(any(int(line[2]) > 0 for line in lines), f"no disk rate in {lines}")
        h.check("\n" not in shown.strip("\r\n") and shown.endswith("\r\x1b[K"), f"the live line was left behind or is not one line: {shown!r}")
        h.check("\r" not in out and " ETA " not in out, "the live line is on stdout")


def elsewhere_a_line_comes_every_ten_seconds():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 200000]), "gen")
        slow = [*SLOW, "inject=io_submit:delay_enter=500000"]
        # Few places are sampled: each is a request, which takes half a second here.
        code, out, err = h.run([*slow, *sort_words(w, "--set", "keys.samples=200")], timeout=120)
        h.check(code == 0, f"{out}{err}")
        lines = re.findall(r"^" + LIVE + r".*$", err, re.M)
        elapsed = float(h.result_line(out)["elapsed_s"])
        h.check(elapsed > 10 and 1 <= len(lines) <= elapsed / 10, f"{len(lines)} lines in {elapsed} s: {err!r}")
        h.check("\r" not in err and "\x1b" not in err, f"terminal codes in a log: {err!r}")


def nothing_when_told_so():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 200000]), "gen")
        code, out, shown = on_a_terminal([*SLOW, "inject=io_submit:delay_enter=30000", *sort_words(w, "--set", "run.progress=none")])
        h.check(code == 0 and shown == "", f"{code}: {shown!r}")


if shutil.which("strace") is None:
    print("skipped: no strace, no slow disk")
    h.main([])
h.main([terminal_shows_one_line_that_is_rewritten_and_goes_away, elsewhere_a_line_comes_every_ten_seconds, nothing_when_told_so])
