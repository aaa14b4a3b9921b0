"""The same records sorted on 1 to 4 ranks under mpirun: VALID, equal bytes, two reads and two writes, memory within budget."""

import os
import subprocess

import harness as h

RECORDS = int(os.environ.get("SLUICE_TEST_RECORDS", "3000000"))
BUDGET_MIB = int(os.environ.get("SLUICE_TEST_BUDGET_MIB", "48"))   # for all ranks: the data is larger


def ranks_agree_with_each_other_and_an_independent_sort():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", RECORDS]), "gen")
        expected = h.sorted_oracle_sha(w.inputs())
        checksum = h.run([h.BIN / "gensort", "-c", RECORDS, "/dev/null"])[2].strip()
        for ranks in (1, 2, 3, 4):
            out = h.must(h.sluice(["sort", *w.options, "--set", f"memory.budget={BUDGET_MIB}MiB", "--set", "run.overwrite=true"], ranks=ranks), f"sort on {ranks}")
            fields = h.result_line(out)
            h.check(fields["status"] == "VALID" and fields["records"] == str(RECORDS), f"{ranks} ranks: {fields}")
            h.check(float(fields["reads_per_tuple"]) < 2.012 and fields["writes_per_tuple"] == "2.00", f"{ranks} ranks: {fields}")
            h.check(h.sha_of_files(w.parts()) == expected, f"{ranks} ranks: output differs from the independent sort")
            check_accounts(w, ranks)
            check_valsort(w, checksum)
            h.must(h.sluice(["validate", *w.options], ranks=ranks), f"validate on {ranks}")


def check_accounts(w, ranks):
    result = h.newest_result(w)
    h.check(result["schema_version"] == 1 and result["status"] == "VALID" and len(result["ranks"]) == ranks, "result.json is incomplete")
    for kind in ("reads", "writes"):
        ours, kernel = result[f"{kind}_per_tuple"], result[f"kernel_{kind}_per_tuple"]
        sampled = result["sampled_share"] if kind == "reads" else 0   # partitions are small here: 200 samples each are 0.5 %
        h.check(abs(ours - sampled - 2) < 0.01, f"{kind} per tuple by our counters: {ours}, {sampled} of them sampled")
        h.check(sampled < 0.012, f"sampled {sampled} of the input")
        h.check(abs(kernel - ours) < 0.01 * ours, f"{kind} per tuple: kernel {kernel}, ours {ours}")
    for rank in result["ranks"]:
        h.check(0 < rank["phase_boundary_s"] < 1, f"{rank['phase_boundary_s']} s between the phases")
        h.check(0 < rank["phase_one"]["io"]["submit_ns"] < 1e9 * result["elapsed_s"], f"io_submit: {rank['phase_one']['io']['submit_ns']} ns")
        h.check(0 < rank["startup_s"] <= result["startup_s"] < result["elapsed_s"], f"start-up {rank['startup_s']} of {result['elapsed_s']} s")
        h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20, f"peak memory {rank['peak_resident_bytes']} of budget {rank['budget_bytes']}")
        for phase in ("phase_one", "phase_two"):
            io = rank[phase]["io"]
            h.check(io["max_in_flight"] >= min(4, rank[phase]["planned_depth"]), f"{phase}: only {io['max_in_flight']} requests in flight")
        if ranks > 1:
            h.check(rank["sent_bytes"] > 0 and rank["received_bytes"] > 0, "nothing was shuffled")
        if ranks == 2:   # with more ranks a tenth of this little input is less than the reads in flight
            h.check(0 <= rank["first_arrival_input_fraction"] < 0.1, f"first record from a peer after {rank['first_arrival_input_fraction']} of the input")


def check_valsort(w, checksum):
    """The public tool's way: a summary a part, then all of them together."""
    merged = w.path / "all.sum"
    with open(merged, "wb") as all_summaries:
        for part in w.parts():
            if part.stat().st_size == 0:
                continue
            summary = w.path / "one.sum"
            code, _, err = h.run([h.BIN / "valsort", "-o", summary, part])
            h.check(code == 0, f"valsort {part}: {err}")
            all_summaries.write(summary.read_bytes())
    code, _, err = h.run([h.BIN / "valsort", "-s", merged])
    h.check(code == 0 and f"Checksum: {checksum}\n" in err and f"Records: {RECORDS}\n" in err, f"valsort -s: {err}")


def few_records_and_no_records_sort():
    for records in (0, 1, 3, 1025):
        with h.Workspace() as w:
            h.must(h.sluice(["gen", *w.options, "--records", records], ranks=2), "gen")
            out = h.must(h.sluice(["sort", *w.options, "--set", "memory.budget=64MiB"], ranks=3), f"sort {records}")
            h.check(h.result_line(out)["records"] == str(records), out)
            h.check(h.sha_of_files(w.parts()) == h.sorted_oracle_sha(w.inputs()), f"{records} records")
            h.must(h.sluice(["validate", *w.options], ranks=2), f"validate {records}")


def existing_files_are_sorted_by_input_paths():
    with h.Workspace() as w:
        raw = w.path / "raw"
        raw.mkdir()
        for i, count in enumerate((1000, 0, 30001)):
            h.check(h.run([h.BIN / "gensort", f"-b{i * 100000}", count, raw / f"f{i}.dat"])[0] == 0, "gensort")
        out = h.must(h.sluice(["sort", *w.options, "--set", f"input.paths={raw}/*.dat", "--set", "memory.budget=32MiB"], ranks=2), "sort")
        h.check(h.result_line(out)["records"] == "31001", out)
        h.check(h.sha_of_files(w.parts()) == h.sorted_oracle_sha(sorted(raw.glob("*.dat"))), "order")


def validator_finds_what_is_wrong():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 50000]), "gen")
        h.must(h.sluice(["sort", *w.options, "--set", "memory.budget=32MiB"]), "sort")
        part = w.parts()[0]
        good = part.read_bytes()
        damages = {
            "swapped": good[100:200] + good[:100] + good[200:],
            "doubled": good[:100] + good[:100] + good[200:],
            "flipped": good[:150] + bytes([good[150] ^ 1]) + good[151:],
            "cut": good[:-100],
        }
        for name, bad in damages.items():
            part.write_bytes(bad)
            code, out, err = h.sluice(["validate", *w.options], ranks=2)
            expected = 4 if name == "cut" else 6   # of another size, or of another content
            h.check(code == expected and str(part) in err and "VALID" not in out and err.count("ERROR") == 1, f"{name}: exit {code}\n{out}{err}")
        part.write_bytes(good)
        h.must(h.sluice(["validate", *w.options]), "validate")


def unverified_sort_is_called_unchecked():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 5000]), "gen")
        out = h.must(h.sluice(["sort", *w.options, "--set", "run.verify=false", "--set", "memory.budget=32MiB"]), "sort")
        h.check(h.result_line(out)["status"] == "UNCHECKED", out)
        # The input's manifest still has a checksum to compare with; without it only the count is left, and said so.
        h.check("VALIDATE status=VALID" in h.must(h.sluice(["validate", *w.options], ranks=2), "validate"), "validate against the input's manifest")
        only_count = h.must(h.sluice(["validate", *w.options, "--set", f"input.paths={w.data}/input/data-*"]), "validate by count")
        h.check("VALIDATE status=UNCHECKED" in only_count, only_count)


def rank_killed_in_the_middle_ends_the_job():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 8000000]), "gen")
        before = h.snapshot(w.data / "input")
        victim = subprocess.Popen(["bash", "-c", f"for i in $(seq 400); do p=$(pgrep -f '^{h.BIN}/sluice sort.*{w.data}' | tail -1); "
                                   f"[ -n \"$p\" ] && ls {w.data}/sluice-*-logs/log-* >/dev/null 2>&1 && sleep 0.2 && kill -9 $p && exit 0; sleep 0.02; done; exit 1"])
        code, out, _ = h.sluice(["sort", *w.options, "--set", "memory.budget=64MiB"], ranks=2, timeout=60)
        h.check(victim.wait() == 0, "the fault did not fire")
        h.check(code not in (0, 124) and "RESULT" not in out, f"exit code {code}\n{out}")
        h.check(not (w.data / "sorted").exists(), "something was published")
        h.check(h.snapshot(w.data / "input") == before, "the input changed")


if "SLUICE_TEST_RECORDS" in os.environ:   # the large case of the full suite
    h.main([ranks_agree_with_each_other_and_an_independent_sort])
h.main([ranks_agree_with_each_other_and_an_independent_sort, few_records_and_no_records_sort, existing_files_are_sorted_by_input_paths,
        validator_finds_what_is_wrong, unverified_sort_is_called_unchecked, rank_killed_in_the_middle_ends_the_job])
