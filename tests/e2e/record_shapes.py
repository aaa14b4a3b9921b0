"""Record shapes and printable data, under mpirun on a real disk: VALID, bytes of an independent sort."""

import json
import random
import re

import harness as h


def shape_words(size, offset, key):
    return ["--set", f"record.size={size}B", "--set", f"record.key_offset={offset}B", "--set", f"record.key_size={key}B"]


def sorted_bytes(paths, size=100, offset=0, key=10):
    data = b"".join(path.read_bytes() for path in paths)
    records = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(sorted(records, key=lambda r: (r[offset:offset + key], r)))


def check_sort(w, ranks, words, expected, what):
    out = h.must(h.sluice(["sort", *w.options, *words, "--set", "run.overwrite=true"], ranks=ranks), f"sort {what} on {ranks}")
    h.check(h.result_line(out)["status"] == "VALID", f"{what} on {ranks}: {out}")
    got = b"".join(path.read_bytes() for path in w.parts())
    h.check(got == expected, f"{what} on {ranks}: output differs from the independent sort")


def records_of_any_shape_sort_and_validate():
    shapes = [(8, 0, 8, 200000), (9, 8, 1, 100000), (101, 3, 50, 60000), (1001, 990, 11, 60000), (4097, 0, 4097, 3000),
              (65537, 65000, 300, 300), (1048575, 7, 20, 40), (1048576, 0, 10, 40)]
    for size, offset, key, records in shapes:
        with h.Workspace() as w:
            shape = shape_words(size, offset, key)
            h.must(h.sluice(["gen", *w.options, *shape, "--records", records]), f"gen {size}")
            expected = sorted_bytes(w.inputs(), size, offset, key)
            for ranks in (1, 2):
                check_sort(w, ranks, [*shape, "--set", "memory.budget=96MiB"], expected, f"{size}-byte records")
                h.must(h.sluice(["validate", *w.options], ranks=ranks), f"validate {size}")
            if size == 1001:
                check_overhead(w)
            part = max(w.parts(), key=lambda p: p.stat().st_size)
            good = part.read_bytes()
            part.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
            code, _, err = h.sluice(["validate", *w.options], ranks=2)
            h.check(code == 6 and err.count("ERROR") == 1, f"{size}: damage not found: {code} {err}")


def as_many_partitions_of_long_records_as_mpi_counts_bytes():
    # 1,025 splitters of 1 MiB as whole records would be more than a gibibyte: more than one call of MPI may be, and
    # far more than a rank may hold beside its budget. All records agree in their keys: what follows decides.
    shape, records = shape_words(1 << 20, 0, 10), 1100
    with h.Workspace() as w:
        raw = w.path / "raw"
        raw.mkdir()
        order = list(range(records))
        random.Random(3).shuffle(order)
        with open(raw / "a.dat", "wb") as file:
            for i in order:
                file.write(b"same key.." + b"%08d" % i + bytes((1 << 20) - 18))
        out = h.must(h.sluice(["sort", *w.options, *shape, "--set", f"input.paths={raw}/*.dat", "--set", "memory.budget=3GiB",
                               "--set", "partitions.count=1026"], ranks=2), "1 MiB records")
        h.check(h.result_line(out)["status"] == "VALID", out)
        parts = w.parts()
        h.check(len(parts) >= 1026, f"{len(parts)} parts: the plan made fewer partitions")
        got = []
        for part in parts:
            data = part.read_bytes()
            got += [data[at:at + 18] for at in range(0, len(data), 1 << 20)]
        h.check(got == [b"same key.." + b"%08d" % i for i in range(records)], "not in order")
        for rank in h.newest_result(w)["ranks"]:
            h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20, f"peak {rank['peak_resident_bytes']} of budget {rank['budget_bytes']}")


def the_smallest_budget_reads_twice():
    for size in (1001, 2049, 4097):
        for ranks in (1, 4):
            with h.Workspace() as w:
                shape = shape_words(size, 0, 10)
                h.must(h.sluice(["gen", *w.options, *shape, "--records", 20_000_000 // size]), f"gen {size}")
                out = h.must(h.sluice(["config", "check", *w.options, *shape, "--set", "memory.budget=700MiB"], ranks=ranks), "config check")
                smallest = int(re.search(r"smallest budget that works\D*(\d+)MiB", out).group(1))
                out = h.must(h.sluice(["sort", *w.options, *shape, "--set", f"memory.budget={smallest * ranks}MiB"], ranks=ranks), f"{size}, {smallest} MiB")
                result = h.newest_result(w)
                # Counted apart, both: samples, and the padding of chunks, which are small here.
                padding = sum(rank["padding_bytes"] for rank in result["ranks"]) / result["input_bytes"]
                reads = result["reads_per_tuple"] - result["sampled_share"] - padding
                h.check(result["passes_exceeded"] or 2 <= reads < 2.01, f"{size} bytes, {ranks} ranks, {smallest} MiB: {reads} reads per tuple, and no note")


def check_overhead(w):
    """Re-read blocks and padding together stay below 0.1 % of the bytes, by our counters."""
    newest = max((w.path / "results").glob("sort-*/result.json"), key=lambda p: p.stat().st_mtime)
    result = json.loads(newest.read_text())
    sampled = result["reads_per_tuple"] - result["sampled_share"]   # so little data is sampled beyond 0.1 %
    h.check(2 <= sampled < 2.004, f"reads per tuple: {result['reads_per_tuple']}, sampling included")
    h.check(2 <= result["writes_per_tuple"] < 2.002, f"writes per tuple: {result['writes_per_tuple']}")


def torn_files_and_impossible_keys_are_refused():
    with h.Workspace() as w:
        torn = w.path / "torn.dat"
        torn.write_bytes(b"x" * 10011)
        words = [*shape_words(1001, 0, 10), "--set", f"input.paths={torn}", "--set", "memory.budget=64MiB"]
        code, _, err = h.sluice(["sort", *w.options, *words], ranks=2)
        h.check(code == 4 and "10011 bytes is no multiple of the record size 1001" in err and "offset 10010" in err, f"{code} {err}")
        code, _, err = h.sluice(["sort", *w.options, *shape_words(20, 15, 6)])
        h.check(code == 2 and "a key of 6 bytes at 15 does not fit in a record of 20 bytes" in err, f"{code} {err}")


def printable_records_sort_and_validate():
    with h.Workspace() as w:
        for options in ([], ["--skewed"]):
            h.must(h.sluice(["gen", *w.options, "--ascii", *options, "--records", 40000, "--set", "run.overwrite=true"]), "gen")
            expected = sorted_bytes(w.inputs())
            for ranks in (1, 3):
                check_sort(w, ranks, ["--set", "memory.budget=64MiB"], expected, f"ascii {options}")
                h.must(h.sluice(["validate", *w.options], ranks=ranks), "validate")
            lines = b"".join(path.read_bytes() for path in w.parts()).split(b"\r\n")
            h.check(len(lines) == 40001 and all(len(line) == 98 and line.isascii() for line in lines[:-1]), "lines are broken")


def valsort_can_ignore_the_case_of_keys():
    with h.Workspace() as w:
        h.must(h.run([h.BIN / "gensort", "-a", 3000, w.path / "plain"]), "gensort")
        data = (w.path / "plain").read_bytes()
        records = sorted((data[i:i + 100] for i in range(0, len(data), 100)), key=lambda r: r[:10].lower())
        for i in range(0, 3000, 100):   # thirty neighbours whose keys differ in case alone
            key = b"aBcDeFgHiJ" if i == 0 else records[i][:10]
            records[i], records[i + 1] = key.upper() + records[i][10:], key.lower() + records[i + 1][10:]
        records.sort(key=lambda r: r[:10].lower())
        equal = sum(a[:10].lower() == b[:10].lower() for a, b in zip(records, records[1:]))
        falls = [i + 1 for i, (a, b) in enumerate(zip(records, records[1:])) if a[:10] > b[:10]]
        h.check(equal >= 30 and falls, "the data shows nothing")
        (w.path / "file").write_bytes(b"".join(records))
        code, _, err = h.run([h.BIN / "valsort", "-i", "-t3", w.path / "file"])
        h.check(code == 0 and f"Duplicate keys: {equal}\n" in err and "SUCCESS" in err, f"-i: {code} {err}")
        code, _, err = h.run([h.BIN / "valsort", w.path / "file"])
        h.check(code == 1 and f"First unordered record is record {falls[0]}\n" in err and f"there are {len(falls)} unordered records" in err, f"{code} {err}")
        summaries = b""
        for name, part in (("a", records[:1]), ("b", records[1:1700]), ("c", records[1700:])):
            (w.path / name).write_bytes(b"".join(part))
            h.check(h.run([h.BIN / "valsort", "-i", "-q", "-o", w.path / "sum", w.path / name])[0] == 0, name)
            summaries += (w.path / "sum").read_bytes()
        (w.path / "all").write_bytes(summaries)
        code, _, err = h.run([h.BIN / "valsort", "-s", "-i", w.path / "all"])
        h.check(code == 0 and f"Duplicate keys: {equal}\n" in err, f"-s -i: {code} {err}")


h.main([as_many_partitions_of_long_records_as_mpi_counts_bytes, the_smallest_budget_reads_twice,
        records_of_any_shape_sort_and_validate, torn_files_and_impossible_keys_are_refused, printable_records_sort_and_validate,
        valsort_can_ignore_the_case_of_keys])
