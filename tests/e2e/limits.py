#!/usr/bin/env python3
"""Limits of the process: what a plan needs is counted, refused with the number, and the number is enough."""

import re
import shutil
import sys

import harness
from harness import BIN, Workspace, check, must, result_line, run, sluice


def limited(words, *limits, ranks=0, timeout=300):
    """sluice under prlimit, on `ranks` ranks by launch.sh (whose own limits stay)."""
    command = ["prlimit", *limits, BIN / "sluice", *words]
    if ranks:
        command = [harness.REPO / "scripts" / "launch.sh", "-n", ranks, "--timeout", timeout, "--", *command]
    return run(command, timeout=timeout + 30)


def make_small_files(directory, files, records_a_file, record_bytes=128):
    """Records of 128 bytes that differ, in many files; one more pass over them is one process' work, not one a file."""
    must(run([BIN / "sluice", "gen", "--records", files * records_a_file, "--set", f"disks.path={directory}",
              "--set", f"record.size={record_bytes}B", "--set", "run.progress=none"]), "gen")
    data = b"".join(p.read_bytes() for p in sorted((directory / "input").glob("data-*")))
    shutil.rmtree(directory / "input")
    many = directory / "many"
    many.mkdir()
    step = records_a_file * record_bytes
    for number in range(files):
        (many / f"f{number:06}").write_bytes(data[number * step:(number + 1) * step])
    return data


def sort_many(files, partitions, limit, budget, ranks=0, timeout=300):
    with Workspace() as w:
        data = make_small_files(w.data, files, 5)
        words = ["sort", *w.options, "--set", f"input.paths={w.data}/many/*", "--set", "record.size=128B",
                 "--set", f"partitions.count={partitions}", "--set", f"memory.budget={budget}"]
        out = must(limited(words, f"--nofile={limit}:{limit}", ranks=ranks, timeout=timeout), f"sort under ulimit -n {limit}")
        result = result_line(out)
        check(result["status"] == "VALID" and int(result["records"]) == files * 5, out)
        check(len(w.parts()) == partitions, f"{len(w.parts())} parts")
        got = b"".join(part.read_bytes() for part in w.parts())
        check(got == b"".join(sorted(data[i:i + 128] for i in range(0, len(data), 128))), "not the sorted input")
        out = must(limited(["validate", *w.options, "--set", "record.size=128B"], f"--nofile={limit}:{limit}", timeout=timeout), "validate")
        check("status=VALID" in out, out)


def test_thousands_of_inputs_and_partitions_in_few_descriptors():
    sort_many(3000, 2000, 128, "256MiB")


def test_the_same_on_two_ranks():
    sort_many(2000, 1000, 160, "256MiB", ranks=2)


def test_the_number_that_is_refused_is_enough():
    with Workspace() as w:
        must(sluice(["gen", "--records", 20000, *w.options]), "gen")
        sort = ["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "partitions.count=300"]
        code, _, err = limited(sort, "--nofile=40:40")
        check(code == 3 and "ulimit -n" in err, f"exit code {code}: {err}")
        check(sorted(p.name for p in w.data.iterdir()) == ["input"], "refused, but something was left")
        needed = int(re.search(r"(\d+) files open at a time are needed", err).group(1))
        code, _, err = limited(sort, f"--nofile={needed - 1}:{needed - 1}")
        check(code == 3 and f"may have {needed - 1}" in err, f"exit code {code}: {err}")
        must(limited(sort, f"--nofile={needed}:{needed}"), f"sort under ulimit -n {needed}")


def test_the_soft_limit_is_raised():
    with Workspace() as w:
        must(sluice(["gen", "--records", 20000, *w.options]), "gen")
        must(limited(["sort", *w.options, "--set", "memory.budget=64MiB"], "--nofile=30:1024"), "sort under ulimit -Sn 30")


def test_a_hundred_thousand_inputs():
    sort_many(100_000, 64, 1024, "256MiB", timeout=900)


def test_a_hundred_thousand_partitions():
    sort_many(1000, 100_000, 1024, "2GiB", timeout=900)


FAST = [test_thousands_of_inputs_and_partitions_in_few_descriptors, test_the_same_on_two_ranks,
        test_the_number_that_is_refused_is_enough, test_the_soft_limit_is_raised]
FULL = [test_a_hundred_thousand_inputs, test_a_hundred_thousand_partitions]

if __name__ == "__main__":
    harness.main(FULL if "--full" in sys.argv else FAST)
