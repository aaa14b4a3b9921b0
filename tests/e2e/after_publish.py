"""Standard output and the results folder are tried before the work, and nothing that fails after the MANIFEST is an error."""

import os
import pathlib
import signal
import struct
import subprocess
import time

import harness as h

ENV = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "HWLOC_COMPONENTS": "-gl"}


def start(words, **streams):
    """The program, not yet waited for; ended after two minutes."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(["timeout", "-s", "KILL", "120", *map(str, words)], text=True, stdin=subprocess.DEVNULL,
                            env={**os.environ, **ENV}, **streams)


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        h.check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.005)


def results_nobody_could_see_are_refused_before_the_work():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 20000]), "gen")
        h.must(h.sluice(["sort", *w.options, "--set", "memory.budget=64MiB"]), "sort")
        before = h.snapshot(w.path)
        sluice = h.BIN / "sluice"
        small = [*w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"]
        for verb in (["gen", "--records", "10"], ["sort"], ["validate"], ["clean", "--yes"], ["shuffle", "--records", "1000"],
                     ["bench", "disk", "--two-pass-copy"], ["config", "check"], ["config", "show"]):
            words = [sluice, *verb, *small]
            reader, writer = os.pipe()
            os.close(reader)
            for what, run in (("/dev/full", lambda: start(words, stdout=open("/dev/full", "w"))),
                              ("closed", lambda: start(["sh", "-c", '"$@" >&-', "sh", *words])),
                              ("no reader", lambda: start(words, stdout=writer))):
                process = run()
                _, err = process.communicate()
                h.check(process.returncode == 1 and "standard output" in err and err.count("ERROR") == 1, f"{verb}, {what}: exit {process.returncode}: {err}")
            os.close(writer)
        for words in (["config", "list"], ["sysinfo"], ["--help"], ["--version"]):
            for process in (start([sluice, *words], stdout=open("/dev/full", "w")), start(["sh", "-c", '"$@" >&-', "sh", sluice, *words])):
                process.communicate()
                h.check(process.returncode == 1, f"{words}: exit {process.returncode}")
        h.check(h.snapshot(w.path) == before, "something was written")
        part = w.parts()[0]
        process = start([h.BIN / "valsort", part], stderr=open("/dev/full", "w"))
        process.communicate()
        h.check(process.returncode == 1, "valsort: a verdict nobody saw")


def a_reader_that_leaves_costs_the_table_and_not_the_result():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 2_000_000]), "gen")
        reader, writer = os.pipe()
        process = start([h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB"], stdout=writer)
        os.close(writer)
        wait_for("the run's directory", lambda: list(w.data.glob(".partial-*")))
        os.close(reader)
        _, err = process.communicate()
        h.check((w.data / "sorted" / "MANIFEST.json").exists() and process.returncode == 0, f"exit {process.returncode}: {err}")
        h.check("WARNING" in err and "standard output: Broken pipe" in err, f"the fault did not fire: {err}")
        h.check(h.result_line(err)["status"] == "VALID" and "ERROR" not in err, err)


class FullResults:
    """A results folder on a small tmpfs; fill() leaves nothing of it."""

    def __init__(self, w):
        self.path = w.path / "results"

    def __enter__(self):
        self.path.mkdir(exist_ok=True)
        h.check(h.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", self.path])[0] == 0, "mount")
        return self

    def fill(self):
        try:
            with open(self.path / "fill", "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
        except OSError:
            pass

    def __exit__(self, *_):
        h.run(["umount", self.path])


def a_results_folder_that_fills_costs_the_report():
    if os.geteuid() != 0:
        print("skip  needs root")
        return
    with h.Workspace() as w, FullResults(w) as results:
        h.must(h.sluice(["gen", *w.options, "--records", 2_000_000]), "gen")
        manifest = w.data / "sorted" / "MANIFEST.json"
        process = start([h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.limit=copy"])
        wait_for("the MANIFEST", manifest.exists)
        results.fill()   # while the limit is measured
        out, err = process.communicate()
        h.check(process.returncode == 0 and h.result_line(out)["status"] == "VALID", f"exit {process.returncode}: {out}{err}")
        h.check("WARNING" in err and "results folder is missing" in err and "No space left" in err, f"the fault did not fire: {err}")
        h.check(not list(results.path.glob("sort-*")), "half a report")
        code, _, err = h.sluice(["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"])
        h.check(code == 3 and "results.dir" in err and "No space left" in err, f"full from the start: exit {code}: {err}")
        h.check(manifest.exists(), "the older set is gone")


def rank_process(w, rank):
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/sluice") and str(w.path).encode() in b" ".join(words) and f"OMPI_COMM_WORLD_RANK={rank}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except (OSError, ValueError):
            continue
    return None


def a_rank_killed_after_the_manifest_costs_the_limit():
    for plain in (False, True):
        for rank in (1, 0):
            with h.Workspace() as w:
                h.must(h.sluice(["gen", *w.options, "--records", 2_000_000]), "gen")
                launcher = ["mpirun", "-n", 2, "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1"] if plain else [h.REPO / "scripts" / "launch.sh", "-n", 2, "--"]
                process = start([*launcher, h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.limit=copy"])
                wait_for("the MANIFEST", (w.data / "sorted" / "MANIFEST.json").exists)
                time.sleep(0.05)   # its rename is seen before its directory is synced: the other rank has to learn of it
                pid = rank_process(w, rank)
                h.check(pid is not None, f"rank {rank} has gone already: the test shows nothing")
                os.kill(pid, signal.SIGKILL)
                out, err = process.communicate()
                h.check("ERROR" not in err, f"rank {rank}: {err}")
                if rank == 1:   # who is killed says nothing, rank 0 as well
                    h.check(out.count("RESULT status=VALID") == 1, f"rank {rank}: {out}{err}")
                h.check(process.returncode == 137 if plain else process.returncode == 0, f"rank {rank}, {launcher[0]}: exit {process.returncode}: {err}")
                h.must(h.sluice(["validate", *w.options]), "validate")


def sort_signalled_before(call, ranks, goes_on_after_ms):
    """A sort that gets SIGTERM before that change below its data set's final name: code, output, errors, whether the
    call was reached, whether the data set is valid."""
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 20000]), "gen")
        counter = w.path / "counter"
        counter.write_bytes(struct.pack("<Q", 0))
        env = {**ENV, "LD_PRELOAD": str(h.BIN.parent / "lib" / "libkill_before.so"), "KILL_BEFORE_DIR": str(w.data / "sorted"),
               "KILL_BEFORE_COUNTER": str(counter), "KILL_BEFORE": str(call), "KILL_BEFORE_TERM": str(goes_on_after_ms)}
        launcher = [h.REPO / "scripts" / "launch.sh", "-n", ranks, "--"] if ranks > 1 else []
        code, out, err = h.run([*launcher, h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB"], env=env)
        fired = struct.unpack("<Q", counter.read_bytes())[0] >= call
        return code, out, err, fired, h.sluice(["validate", *w.options])[0] == 0


def a_signal_at_the_manifest_ends_with_what_is_true():
    """SIGTERM to rank 0 before each change below the data set's final name: 0 and RESULT if it is there then, else 8.
    Where writing the MANIFEST hangs for longer than anybody waits, the message says that nobody knows."""
    for ranks in (1, 2):
        codes = {}
        for call in range(1, 20):
            code, out, err, fired, is_there = sort_signalled_before(call, ranks, 200)
            where = f"{ranks} ranks, call {call}: exit {code}: {out}{err}"
            h.check(is_there == (code == 0) and (code in (0, 8)), where)
            h.check(out.count("RESULT status=VALID") == (code == 0) and ("ERROR" in err) == (code == 8), where)
            if not fired:
                break
            codes[call] = code
        h.check(not fired and 0 in codes.values(), f"codes {codes}: the test shows nothing")
        in_commit = min(call for call, code in codes.items() if code == 0)
        code, out, err, fired, is_there = sort_signalled_before(in_commit, ranks, 12000)
        h.check(fired and code == 8 and "whether the data set is published is not known" in err and "RESULT" not in out,
                f"{ranks} ranks, call {in_commit} hangs: exit {code}: {out}{err}")


h.main([results_nobody_could_see_are_refused_before_the_work, a_reader_that_leaves_costs_the_table_and_not_the_result,
        a_results_folder_that_fills_costs_the_report,
        a_signal_at_the_manifest_ends_with_what_is_true, a_rank_killed_after_the_manifest_costs_the_limit])
