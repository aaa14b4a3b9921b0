"""keys.distribution = "uniform" promised and wrong: the partition that is too large is split, within memory; a full disk says so."""

import os
import shutil

import harness as h

BUDGET_MIB = 48


def check_memory(result, what):
    for rank in result["ranks"]:
        h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20,
                f"{what}: peak {rank['peak_resident_bytes']} of budget {rank['budget_bytes']}")


def broken_promise(w, raw, ranks, budget_mib=BUDGET_MIB):
    what = f"{ranks} ranks, {budget_mib} MiB"
    out = h.must(h.sluice(["sort", *w.options, "--set", f"input.paths={raw}/*.dat", "--set", f"memory.budget={budget_mib}MiB",
                           "--set", "run.overwrite=true", "--set", "keys.distribution=uniform"], ranks=ranks), what)
    fields = h.result_line(out)
    h.check(fields["status"] == "VALID" and fields["note"] == "two-pass-exceeded", fields)
    h.check(float(fields["reads_per_tuple"]) > 2.5 and float(fields["writes_per_tuple"]) > 2.5, fields)
    h.check("NOTE two-pass was exceeded" in out and "sample" in out, out)
    h.check(h.sha_of_files(w.parts()) == h.sorted_oracle_sha(sorted(raw.glob("*.dat"))), f"{what}: output differs from the independent sort")
    h.must(h.sluice(["validate", *w.options], ranks=ranks), f"validate, {what}")
    result = h.newest_result(w)
    h.check(result["passes_exceeded"] and result["split_partitions"] >= 1, f"{what}: not reported")
    h.check(abs(result["kernel_reads_per_tuple"] - result["reads_per_tuple"]) < 0.02 * result["reads_per_tuple"], f"{what}: kernel disagrees")
    check_memory(result, what)
    return result


def equal_records_are_split_by_position():
    with h.Workspace() as w:
        raw = h.write_records(w, "same.dat", [bytes(range(100))] * 1_200_000)
        for ranks in (1, 3):
            broken_promise(w, raw, ranks)


def a_hot_range_is_split_in_little_memory():
    with h.Workspace() as w:
        # One partition gets all the records, each different, in a quarter of the memory.
        raw = h.write_records(w, "hot.dat", (b"hotkey" + os.urandom(94) for _ in range(600_000)))
        broken_promise(w, raw, 4, budget_mib=16)


def pieces_of_padded_records_have_chunks_of_the_first_size():
    with h.Workspace() as w:
        shape = ["--set", "record.size=65537B", "--set", "record.key_offset=65527B", "--set", "record.key_size=10B"]
        h.must(h.sluice(["gen", *w.options, *shape, "--keys", "all-equal", "--records", 739]), "gen")
        data = b"".join(path.read_bytes() for path in w.inputs())
        records = sorted((data[i:i + 65537] for i in range(0, len(data), 65537)), key=lambda record: (record[65527:], record))
        for ranks, budget in ((1, "4MiB"), (2, "8MiB")):
            out = h.must(h.sluice(["sort", *w.options, *shape, "--set", f"memory.budget={budget}", "--set", "run.overwrite=true"], ranks=ranks), f"{ranks} ranks")
            h.check(h.result_line(out)["status"] == "VALID", out)
            h.check(b"".join(path.read_bytes() for path in w.parts()) == b"".join(records), f"{ranks} ranks: output differs from the independent sort")


def a_disk_that_cannot_hold_the_share_ends_with_code_9():
    if os.geteuid() != 0:
        print("skip  needs root for a file system of its own")
        return
    with h.Workspace() as w:
        raw = h.write_records(w, "same.dat", [b"x" * 100] * 600_000)
        image, mount = w.path / "image", w.path / "small"
        mount.mkdir()
        with open(image, "wb") as file:
            file.truncate(176 * 2**20)
        h.must(h.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-N", "1024", "-O", "^has_journal", image]), "mkfs")
        h.must(h.run(["mount", "-o", "loop", image, mount]), "mount")
        try:
            options = ["--set", f"disks.path={mount}", "--set", f"results.dir={w.path}/results", "--set", "run.progress=none",
                       "--set", f"input.paths={raw}/*.dat", "--set", "memory.budget=24MiB"]
            code, out, err = h.sluice(["sort", *options, "--set", "keys.distribution=uniform"], ranks=2)
            h.check(code == 9 and "RESULT" not in out, f"exit code {code}\n{out}{err}")
            h.check("keys are not uniform: sample" in err and err.count("ERROR") == 1, err)
            h.check(not (mount / "sorted").exists(), "something was published")
            h.check(not list(mount.glob("sluice-*-logs/log-*")), "a log was left")
            for partial in mount.glob(".partial-*"):
                shutil.rmtree(partial)
            out = h.must(h.sluice(["sort", *options], ranks=2), "the same disk, sampled")
            h.check(h.result_line(out)["status"] == "VALID", out)
        finally:
            h.must(h.run(["umount", mount]), "umount")


h.main([equal_records_are_split_by_position, a_hot_range_is_split_in_little_memory, pieces_of_padded_records_have_chunks_of_the_first_size,
        a_disk_that_cannot_hold_the_share_ends_with_code_9])
