"""The sort in memory: one read and one write of each record, the same bytes as two passes and an independent sort, or a refusal with the numbers."""

import json
import re

import harness as h

RECORDS = 600_000
INPUT_BYTES = RECORDS * h.RECORD_BYTES
AMPLE = "memory.budget=320MiB"
TIGHT = "memory.budget=32MiB"


def sort(w, *sets, ranks=0):
    words = [word for text in ("run.overwrite=true", "keys.distribution=uniform", *sets) for word in ("--set", text)]
    return h.sluice(["sort", *w.options, *words], ranks=ranks)


def newest_result(w):
    folders = sorted((w.path / "results").glob("sort-*/result.json"), key=lambda p: p.stat().st_mtime)
    return json.loads(folders[-1].read_text())


def io_bytes(result, kind):
    return sum(rank[phase]["io"][f"{kind}_bytes"] for rank in result["ranks"] for phase in ("phase_one", "phase_two"))


def any_ranks_give_the_bytes_of_an_independent_sort_with_one_read_and_one_write():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        expected = h.sorted_oracle_sha(w.inputs())
        before = h.snapshot(w.data / "input")
        for ranks in (1, 2, 4):
            fields = h.result_line(h.must(sort(w, "passes=one", AMPLE, ranks=ranks), f"sort on {ranks}"))
            h.check(fields["status"] == "VALID" and fields["records"] == str(RECORDS), f"{ranks} ranks: {fields}")
            h.check(fields["reads_per_tuple"] == "1.00" and fields["writes_per_tuple"] == "1.00", f"{ranks} ranks: {fields}")
            h.check(h.sha_of_files(w.parts()) == expected, f"{ranks} ranks: output differs from the independent sort")
            h.must(h.sluice(["validate", *w.options], ranks=ranks), f"validate on {ranks}")
            result = newest_result(w)
            h.check(result["passes"] == 1 and len(result["ranks"]) == ranks, "result.json")
            for kind in ("reads", "writes"):
                ours, kernel = result[f"{kind}_per_tuple"], result[f"kernel_{kind}_per_tuple"]
                h.check(abs(ours - 1) < 0.01 and abs(kernel - ours) < 0.01, f"{kind} per tuple: kernel {kernel}, ours {ours}")
            for rank in result["ranks"]:
                h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20, f"peak memory {rank['peak_resident_bytes']} of {rank['budget_bytes']}")
            leftovers = [p.name for p in w.data.iterdir() if p.name not in ("input", "sorted")]
            h.check(not leftovers, f"left on the disk: {leftovers}")
        fields = h.result_line(h.must(sort(w, "passes=one", AMPLE, "keys.distribution=sample", ranks=2), "sort with sampling"))
        h.check(fields["status"] == "VALID" and h.sha_of_files(w.parts()) == expected, f"sampled: {fields}")
        h.check(h.snapshot(w.data / "input") == before, "the input changed")


def one_pass_halves_the_bytes_of_two():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        runs = {}
        print(f"{'passes':>8}{'read B':>14}{'written B':>14}{'elapsed s':>11}")
        for passes in ("two", "one"):
            h.must(sort(w, f"passes={passes}", AMPLE, "partitions.count=12", ranks=2), f"{passes} passes")
            result = newest_result(w)
            runs[passes] = (io_bytes(result, "read"), io_bytes(result, "written"), sum(rank["padding_bytes"] for rank in result["ranks"]), h.sha_of_files(w.parts()))
            print(f"{passes:>8}{runs[passes][0]:>14}{runs[passes][1]:>14}{result['elapsed_s']:>11.2f}")
        two, one = runs["two"], runs["one"]
        h.check(one[0] == INPUT_BYTES and one[2] == 0, f"one pass read {one[0]} of {INPUT_BYTES} bytes")
        # What two passes move more is the logs, written and read: the records and the padding of their last blocks.
        h.check(two[0] - one[0] == INPUT_BYTES + two[2], f"read: two passes {two[0]}, one {one[0]}, padding {two[2]}")
        h.check(two[1] - one[1] == INPUT_BYTES + two[2], f"written: two passes {two[1]}, one {one[1]}, padding {two[2]}")
        h.check(0 <= one[1] - INPUT_BYTES < 12 * 4096, f"one pass wrote {one[1]} bytes")
        h.check(two[3] == one[3], "the bytes differ")


def auto_takes_one_pass_where_it_fits_and_says_why():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        for budget, passes, words in ((AMPLE, 1, "one pass, since"), (TIGHT, 2, "two passes, since one pass over")):
            code, out, err = sort(w, "passes=auto", budget)
            h.check(code == 0 and words in err, f"{budget}: exit {code}\n{err}")
            result = newest_result(w)
            h.check(result["passes"] == passes and words in result["passes_reason"], f"{budget}: {result['passes']}, {result['passes_reason']}")
            h.check(h.result_line(out)["reads_per_tuple"] == f"{passes}.00", out)


def what_does_not_fit_is_refused_with_a_budget_that_works():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        before = h.snapshot(w.data)
        code, out, err = sort(w, "passes=one", TIGHT, ranks=2)
        found = re.search(r"needs a budget of (\w+) for each rank, host \S+ has 16MiB", err)
        h.check(code == 2 and err.count("ERROR") == 1 and found, f"exit {code}\n{err}")
        h.check(h.snapshot(w.data) == before, "something was written")
        smallest = int(found.group(1).removesuffix("MiB"))
        fields = h.result_line(h.must(sort(w, "passes=one", f"memory.budget={2 * smallest}MiB", ranks=2), "the smallest budget"))
        h.check(fields["status"] == "VALID" and fields["reads_per_tuple"] == "1.00", f"{fields}")
        h.check(h.sha_of_files(w.parts()) == h.sorted_oracle_sha(w.inputs()), "output differs")
        out = h.must(h.sluice(["config", "check", *w.options, "--set", "run.overwrite=true", "--set", "passes=one", "--set", AMPLE]), "config check")
        h.check("in memory" in out and "1 keeper" in out and "smallest budget that works" in out, out)


def a_promise_of_uniform_keys_that_is_wrong_is_sorted_after_all():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS, "--keys", "hot-range"]), "gen")
        expected = h.sorted_oracle_sha(w.inputs())
        for passes in ("auto", "one"):
            code, out, err = sort(w, f"passes={passes}", AMPLE, ranks=3)
            h.check(code == 0 and "one pass was exceeded" in err, f"{passes}: exit {code}\n{err}")
            fields = h.result_line(out)
            h.check(fields["status"] == "VALID" and fields["note"] == "one-pass-exceeded", f"{fields}")
            h.check(2 <= float(fields["reads_per_tuple"]) < 2.1 and fields["writes_per_tuple"] == "1.00", f"{fields}")
            h.check(h.sha_of_files(w.parts()) == expected, f"{passes}: output differs")
            result = newest_result(w)
            h.check(result["one_pass_attempts_exceeded"] == 1 and result["passes"] == 1, f"{passes}: not reported")
            for rank in result["ranks"]:
                h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20, f"peak memory {rank['peak_resident_bytes']} of {rank['budget_bytes']}")


def no_intermediate_disk_is_needed():
    with h.Workspace() as w:
        config = w.path / "memory.toml"
        disks = "".join(f'[[disks]]\npath = "{w.data}"\nrole = "{role}"\n' for role in ("input", "output"))
        config.write_text(f'passes = "one"\n{disks}[memory]\nbudget = "320MiB"\n[results]\ndir = "{w.path}/results"\n[run]\nprogress = "none"\nlimit = "copy"\n')
        h.must(h.sluice(["gen", config, "--records", RECORDS]), "gen")
        fields = h.result_line(h.must(h.sluice(["sort", config], ranks=2), "sort"))
        h.check(fields["status"] == "VALID" and float(fields["of_limit"]) > 0, f"{fields}")
        limit = newest_result(w)["limit"]
        h.check(limit["kind"] == "one-pass-copy" and limit["pass_one_s"] > 0 and limit["pass_two_s"] == 0, f"{limit}")
        h.check(h.sha_of_files(w.parts()) == h.sorted_oracle_sha(w.inputs()), "output differs")
        out = h.must(h.sluice(["bench", "disk", "--one-pass-copy", config, "--set", "run.overwrite=true"]), "bench")
        h.check(re.search(rf"^COPY passes=1 bytes={INPUT_BYTES} ", out, re.M), out)
        code, _, err = h.sluice(["bench", "disk", "--two-pass-copy", config, "--set", "run.overwrite=true"])
        h.check(code == 2 and "intermediate" in err, f"exit {code}\n{err}")
        code, _, err = h.sluice(["sort", config, "--set", "passes=two", "--set", "run.overwrite=true"])
        h.check(code == 2 and 'none has role = "intermediate"' in err, f"exit {code}\n{err}")


h.main([any_ranks_give_the_bytes_of_an_independent_sort_with_one_read_and_one_write, one_pass_halves_the_bytes_of_two, auto_takes_one_pass_where_it_fits_and_says_why,
        what_does_not_fit_is_refused_with_a_budget_that_works, no_intermediate_disk_is_needed,
        a_promise_of_uniform_keys_that_is_wrong_is_sorted_after_all])
