"""Any keys: duplicates, one record over and over, gensort's skewed data. Equal bytes on 1 to 4 ranks, balanced, within memory."""

import random

import harness as h

BUDGET_MIB = 48   # for all ranks


def check_balance(result, what):
    balance = result["balance"]
    h.check(balance["worst_partition_of_mean"] <= 1.25, f"{what}: largest partition {balance['worst_partition_of_mean']} of the mean")
    for kind in ("ranks", "output_disks"):
        for entry in balance[kind]:
            h.check(abs(entry["of_target"] - 1) <= 0.05, f"{what}: {entry}")
    h.check(sum(balance["partition_bytes"]) == result["input_bytes"], f"{what}: partitions do not sum to the input")


def sort_on_ranks(w, raw, what, ranks_list=(1, 2, 3, 4)):
    expected = h.sorted_oracle_sha(sorted(raw.glob("*.dat")))
    for ranks in ranks_list:
        out = h.must(h.sluice(["sort", *w.options, "--set", f"input.paths={raw}/*.dat", "--set", f"memory.budget={BUDGET_MIB}MiB",
                               "--set", "run.overwrite=true"], ranks=ranks), f"{what} on {ranks}")
        h.check(h.result_line(out)["status"] == "VALID", out)
        h.check("phase zero (sample):" in out and "balance:" in out, out)
        h.check(h.sha_of_files(w.parts()) == expected, f"{what} on {ranks} ranks: output differs from the independent sort")
        result = h.newest_result(w)
        check_balance(result, f"{what} on {ranks}")
        for rank in result["ranks"]:
            h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20,
                    f"{what} on {ranks}: peak {rank['peak_resident_bytes']} of budget {rank['budget_bytes']}")


def duplicate_keys_with_different_payloads():
    rng = random.Random(7)
    keys = [rng.randbytes(10) for _ in range(40)]
    weights = [1 / (i + 1) for i in range(40)]
    with h.Workspace() as w:
        for i in range(2):
            chosen = rng.choices(keys, weights, k=300_000)
            raw = h.write_records(w, f"f{i}.dat", (key + rng.randbytes(90) for key in chosen))
        sort_on_ranks(w, raw, "duplicate keys")


def one_record_over_and_over():
    with h.Workspace() as w:
        raw = h.write_records(w, "same.dat", [bytes(range(100))] * 1_000_000)
        sort_on_ranks(w, raw, "equal records", ranks_list=(1, 3, 4))


def three_records_in_turn():
    with h.Workspace() as w:
        raw = h.write_records(w, "three.dat", [b"abc"[i % 3:i % 3 + 1] * 100 for i in range(500_000)])
        sort_on_ranks(w, raw, "three records", ranks_list=(2, 4))


def disks_that_ranks_share_and_that_do_not_divide_the_partitions():
    # 5 partitions a rank on 3 disks, 7 on 2: 0.6 to 1.2 and 0.86 to 1.14 of the target, were each rank to begin at the first disk.
    for disks, each in ((3, 5), (2, 7)):
        with h.Workspace() as w:
            tables = "".join(f'[[disks]]\npath = "{w.data}"\nrole = "{role}"\n' for role in ("input", "intermediate"))
            for disk in range(disks):
                (w.path / f"out{disk}").mkdir()
                tables += f'[[disks]]\npath = "{w.path}/out{disk}"\nrole = "output"\n'
            config = w.path / "disks.toml"
            config.write_text(f'{tables}[memory]\nbudget = "64MiB"\n[partitions]\ncount = {4 * each}\n[results]\ndir = "{w.path}/results"\n[run]\nprogress = "none"\n')
            h.must(h.sluice(["gen", config, "--records", 300_000, "--keys", "skewed"]), "gen")
            h.must(h.sluice(["sort", config], ranks=4), f"{disks} disks")
            result = h.newest_result(w)
            h.check(len(result["balance"]["output_disks"]) == disks, result["balance"]["output_disks"])
            check_balance(result, f"{disks} disks, {each} partitions a rank")
            parts = sorted(path for disk in range(disks) for path in (w.path / f"out{disk}" / "sorted").glob("part-*"))
            parts.sort(key=lambda path: path.name)
            h.check(h.sha_of_files(parts) == h.sorted_oracle_sha(w.inputs()), f"{disks} disks: output differs from the independent sort")


def gensort_skewed_data():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 1_000_000, "--skewed"]), "gen --skewed")
        raw = w.path / "raw"
        raw.mkdir()
        for path in w.inputs():
            path.rename(raw / f"{path.name}.dat")
        sort_on_ranks(w, raw, "gensort -s", ranks_list=(1, 3))


def sampling_reads_little_and_is_counted():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 3_000_000]), "gen")
        words = ["sort", *w.options, "--set", "memory.budget=256MiB", "--set", "run.overwrite=true"]
        h.must(h.sluice(words), "sampled")
        sampled = h.newest_result(w)
        h.check(sampled["samples"] > 0 and 0 < sampled["sampled_share"] < 0.004, f"sampled {sampled['sampled_share']}")
        h.check(abs(sampled["reads_per_tuple"] - sampled["sampled_share"] - 2) < 0.001, f"{sampled['reads_per_tuple']} reads a tuple")
        out = h.must(h.sluice([*words, "--set", "keys.distribution=uniform"]), "promised uniform")
        promised = h.newest_result(w)
        h.check(promised["samples"] == 0 and promised["sampled_share"] == 0 and "skipped" in out, "something was sampled")


h.main([disks_that_ranks_share_and_that_do_not_divide_the_partitions, duplicate_keys_with_different_payloads, one_record_over_and_over, three_records_in_turn, gensort_skewed_data,
        sampling_reads_little_and_is_counted])
