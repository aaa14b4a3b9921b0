"""scripts/quickstart.sh as a newcomer types it: its options, and that it leaves nothing behind, also when interrupted."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import harness as h

QUICKSTART = h.REPO / "scripts" / "quickstart.sh"


def processes_in(directory):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if str(directory).encode() in words and state != "Z":
                found.append(words.replace(b"\0", b" ").decode(errors="replace")[:80])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def it_ends_in_a_valid_result_and_leaves_nothing():
    with h.Workspace() as w:
        code, out, err = h.run([QUICKSTART, "--records", "400000", "--memory", "64MiB", "--dir", w.data], timeout=600)
        h.check(code == 0, f"{out}{err}")
        fields = h.result_line(out)
        h.check(fields["status"] == "VALID" and re.fullmatch(r"\d+\.\d\d", fields["of_limit"]), fields)
        h.check(re.search(r"^== result: built in \d+ s, done after \d+ s$", out, re.M), f"it does not say how long it took: {out}")
        h.check(list(w.data.iterdir()) == [], f"left behind: {list(w.data.iterdir())}")


def kept_data_stay_with_their_results_for_any_rank_count():
    with h.Workspace() as w:
        code, out, err = h.run([QUICKSTART, "--records", "30000", "--ranks", "3", "--memory", "96MiB", "--dir", w.data / "new" / "place", "--keep"], timeout=600)
        h.check(code == 0 and h.result_line(out)["records"] == "30000", f"{out}{err}")
        kept = next((w.data / "new" / "place").glob("quickstart-*"))
        h.check(f"kept: {kept}" in err, err)
        h.check((kept / "sorted" / "MANIFEST.json").exists() and list(kept.glob("results/sort-*/result.json")), f"not kept: {list(kept.rglob('*'))}")


def nonsense_and_memory_disks_are_refused_with_nothing_made():
    with h.Workspace() as w:
        for words, code, why in ((["--records", "12k"], 2, "is no whole number"), (["--ranks", "0"], 2, "is no positive"), (["--memory"], 1, ""),
                                 (["--memory", "banana", "--records", "1000"], 2, "is no size"), (["--records", "900000000000"], 3, "free")):
            got, out, err = h.run([QUICKSTART, "--dir", w.data, *words], timeout=600)
            h.check(got == code and why in err and "RESULT" not in out, f"{words}: exit {got}: {out}{err}")
            h.check(list(w.data.iterdir()) == [], f"{words} left {list(w.data.iterdir())}")


def interrupted_it_takes_everything_away():
    for wait_for in ("== generate", "== sort"):
        with h.Workspace() as w:
            # A session of its own is to kill what a terminal's foreground group is to Ctrl-C.
            job = subprocess.Popen([QUICKSTART, "--records", "6000000", "--memory", "128MiB", "--dir", str(w.data)], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, start_new_session=True)
            said = ""
            for line in job.stdout:
                said += line
                if line.startswith(wait_for):
                    break
            time.sleep(0.7)
            h.check(job.poll() is None, f"it was too quick to interrupt: {said}")
            os.killpg(job.pid, signal.SIGINT)
            said += job.stdout.read()
            code = job.wait(timeout=30)
            h.check(code != 0 and "RESULT" not in said, f"after {wait_for}: exit {code}: {said}")
            deadline = time.monotonic() + 10
            while (left := processes_in(w.data)) and time.monotonic() < deadline:
                time.sleep(0.1)
            h.check(not left, f"still running: {left}")
            h.check(list(w.data.iterdir()) == [], f"after {wait_for} left behind: {list(w.data.rglob('*'))}")


if h.BIN != h.REPO / "build" / "release" / "bin":
    print("skipped: the script builds and runs the release preset")
    sys.exit(0)
h.main([it_ends_in_a_valid_result_and_leaves_nothing, kept_data_stay_with_their_results_for_any_rank_count,
        nonsense_and_memory_disks_are_refused_with_nothing_made, interrupted_it_takes_everything_away])
