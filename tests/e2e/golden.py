"""gensort and valsort as programs, against the golden data of the public tools."""

import hashlib
import os
import pathlib
import subprocess

import harness as h

DATA = h.REPO / "tests" / "data" / "gensort"
FULL = os.environ.get("SLUICE_FULL_TESTS") == "1"


def rows(name):
    lines = (DATA / name).read_text().splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"))) for line in lines[1:]]


def gensort_makes_the_published_bytes_and_sums():
    for row in rows("sums.tsv"):
        count = int(row["count"])
        if count > (10**7 if FULL else 10**6):
            continue
        options = [] if row["options"] == "-" else row["options"].split()
        for threads in (1, 3):
            pipe = subprocess.Popen([h.BIN / "gensort", "-c", f"-t{threads}", *options, f"-b{row['start']}", row["count"], "/dev/stdout"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            digest = hashlib.sha256()
            while block := pipe.stdout.read(1 << 20):
                digest.update(block)
            checksum = pipe.stderr.read().decode().strip()
            h.check(pipe.wait() == 0 and digest.hexdigest() == row["sha256"] and checksum == row["checksum"], f"{row}: {checksum}")


def gensort_writes_the_same_file_with_any_number_of_threads():
    with h.Workspace() as w:
        for row in rows("sums.tsv"):
            if row["count"] != "100000":
                continue
            options = [] if row["options"] == "-" else row["options"].split()
            for threads in (1, 2, 7):
                file = w.path / "out.dat"
                code, out, _ = h.run([h.BIN / "gensort", f"-t{threads}", *options, f"-b{row['start']}", row["count"], file])
                h.check(code == 0 and out == "" and h.sha_of_files([file]) == row["sha256"], f"{row} with {threads} threads")


def gensort_refuses_what_the_format_says():
    with h.Workspace() as w:
        file = w.path / "x"
        for words in ([], ["5"], ["-b", "5", "10", file], ["-x", "5", file], ["1k", file], ["-babc", "1", file]):
            code, out, err = h.run([h.BIN / "gensort", *words])
            h.check(code == 1 and out == "" and err and not file.exists(), f"{words}: {code} {err}")
        code, _, err = h.run([h.BIN / "gensort", "5", w.path / "no" / "dir"])
        h.check(code == 1 and err == f"{w.path}/no/dir: No such file or directory\n", err)
        code, _, err = h.run([h.BIN / "gensort", "1000", "/dev/full"])
        h.check(code == 1 and "No space left" in err, f"a write error must show: {code} {err}")
        code, out, err = h.run([h.BIN / "gensort", "-c", "0", file])
        h.check((code, out, err) == (0, "", "0\n") and file.stat().st_size == 0, err)


def valsort_prints_what_the_public_tool_prints():
    cases = rows("valsort/cases.tsv")
    h.check(len(cases) > 30, "cases are missing")
    for case in cases:
        for threads, block in (("-t1", "1000"), ("-t3", "1"), ("-t2", "7")):
            with h.Workspace() as w:
                summary = w.path / "out.sum"
                words = [summary if word == "OUT" else word for word in case["args"].split()]
                code, out, err = h.run([h.BIN / "valsort", threads, *words], cwd=DATA / "valsort" / "in", env={"SLUICE_TEST_VALSORT_BLOCK_RECORDS": block})
                expected = (DATA / "valsort" / "expect" / case["stderr"]).read_text() if case["stderr"] != "-" else ""
                if "usage" in expected.lower():
                    h.check(code == int(case["exit"]) and "usage" in err.lower(), f"{case['case']}: {code} {err}")
                else:
                    h.check(code == int(case["exit"]) and out == "" and err == expected, f"{case['case']} {threads}: exit {code}, {err!r} instead of {expected!r}")
                if case["summary"] != "-":
                    h.check(summary.read_bytes() == (DATA / "valsort" / "expect" / case["summary"]).read_bytes(), f"{case['case']}: summary")


h.main([gensort_makes_the_published_bytes_and_sums, gensort_writes_the_same_file_with_any_number_of_threads, gensort_refuses_what_the_format_says,
        valsort_prints_what_the_public_tool_prints])
