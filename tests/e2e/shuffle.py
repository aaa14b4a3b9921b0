"""The shuffle alone on 1, 2 and 4 ranks under mpirun: VALID, each pair accounted for, no disk touched, bad words refused."""

import json
import re

import harness as h

RECORDS = 2_000_000


def shuffle(w, words, ranks):
    out = h.must(h.sluice(["shuffle", *words, "--set", f"results.dir={w.path}/results", "--set", "memory.budget=256MiB"], ranks=ranks), f"shuffle {words} on {ranks}")
    last = out.rstrip().splitlines()[-1]
    h.check(last.startswith("SHUFFLE "), f"no SHUFFLE line at the end of:\n{out}")
    fields = dict(re.findall(r"(\w+)=(\S+)", last))
    h.check(list(fields) == ["status", "records", "bytes", "elapsed_s", "shuffle_mb_per_s", "wire_mb_per_s_per_host", "of_limit"], last)
    folder = re.search(r"^results: (.*)$", out, re.M).group(1)
    return fields, json.loads(open(folder + "/result.json").read()), out


def pairs_of(result):
    return {(pair["from"], pair["to"]): pair["records"] for pair in result["pairs"]}


def all_to_all_is_valid_on_any_rank_count():
    with h.Workspace() as w:
        for ranks in (1, 2, 4):
            fields, result, out = shuffle(w, ["--records", RECORDS], ranks)
            h.check(fields["status"] == "VALID" and fields["records"] == str(RECORDS) and fields["bytes"] == str(100 * RECORDS), out)
            h.check(fields["of_limit"] == "unmeasured", out)
            pairs = pairs_of(result)
            h.check(len(pairs) == ranks * ranks and sum(pairs.values()) == RECORDS, pairs)
            for pair, records in pairs.items():   # uniform keys: chance stays far below 3 %
                h.check(abs(records - RECORDS / ranks**2) < 0.03 * RECORDS, f"{pair}: {records}")
            for rank in result["ranks"]:
                h.check(rank["peak_resident_bytes"] <= rank["budget_bytes"] + 64 * 2**20, "memory")
                stages = {stage["stage"]: stage for stage in rank["phase"]["stages"]}
                h.check(stages["sink"]["records"] == sum(n for (_, to), n in pairs.items() if to == result["ranks"].index(rank)), stages["sink"])
            remote = 100 * sum(n for (a, b), n in pairs.items() if a != b)
            sent = sum(host["sent_bytes"] for host in result["hosts"])
            h.check(remote <= sent < 1.01 * remote + 1, f"sent {sent} of {remote}")
        h.check(not any(w.data.iterdir()), "the shuffle wrote to a disk")


def patterns_send_only_where_they_say():
    expected = {
        ("one-to-all",): {(0, 1), (0, 2), (0, 3)},
        ("all-to-one",): {(1, 0), (2, 0), (3, 0)},
        ("stride", "--stride", "3"): {(0, 3), (1, 0), (2, 1), (3, 2)},
    }
    with h.Workspace() as w:
        for words, pairs in expected.items():
            _, result, out = shuffle(w, ["--records", 300_000, "--pattern", *words], 4)
            h.check({pair for pair, records in pairs_of(result).items() if records} == pairs, out)
        _, result, _ = shuffle(w, ["--records", 300_000, "--pattern", "permutation"], 4)
        used = [pair for pair, records in pairs_of(result).items() if records]
        h.check(len(used) == 4 and {a for a, _ in used} == {b for _, b in used} == {0, 1, 2, 3} and all(a != b for a, b in used), used)


def memory_stays_bounded_where_all_send_to_one():
    """Twelve times the receiver's budget goes through it: who kept what arrives would show."""
    with h.Workspace() as w:
        for transport in ("p2p", "alltoallv", "rma"):
            _, result, out = shuffle(w, ["--records", 8_000_000, "--pattern", "all-to-one", "--set", f"net.transport={transport}", "--set", "memory.budget=256MiB"], 4)
            for number, rank in enumerate(result["ranks"]):
                most = rank["budget_bytes"] + 64 * 2**20
                h.check(rank["peak_resident_bytes"] <= most < 800e6 / 4, f"{transport}: rank {number} of {rank['peak_resident_bytes']} bytes, {most} allowed:\n{out}")


def by_the_clock_and_with_its_limit():
    with h.Workspace() as w:
        fields, result, out = shuffle(w, ["--seconds", "0.6", "--limit"], 2)
        h.check(fields["status"] == "VALID" and 0.5 < float(fields["elapsed_s"]) < 10, out)
        limit = result["limit"]
        rates = [limit[f"{step}_mb_per_s"] for step in ("distribute", "transport", "redistribute", "check")]
        h.check(all(rate > 10 for rate in rates), limit)
        # The slowest rank decides in each, so the sum of the slowest is at least the slowest sum.
        h.check(limit["mb_per_s"] >= 0.99 / sum(1 / rate for rate in rates) and limit["mb_per_s"] < min(rates), limit)
        h.check(abs(limit["of_limit"] - result["shuffle_mb_per_s"] / limit["mb_per_s"]) < 1e-6, limit)


def unverified_shuffle_is_called_unchecked():
    with h.Workspace() as w:
        fields, _, out = shuffle(w, ["--records", 10_000, "--set", "run.verify=false"], 2)
        h.check(fields["status"] == "UNCHECKED" and fields["records"] == "10000", out)


def wrong_words_are_refused():
    for words, expected in (
        ([], "--records N or --seconds S"),
        (["--records", "5", "--seconds", "1"], "--records N or --seconds S"),
        (["--seconds", "0"], "--records N or --seconds S"),
        (["--seconds", "-1"], "--seconds"),
        (["--records", "5", "--pattern", "all-to-al"], "did you mean all-to-all"),
        (["--records", "5", "--set", "record.size=64B", "--set", "record.key_size=4B", "--limit"], "record.key_size"),
    ):
        code, out, err = h.sluice(["shuffle", *words])
        h.check(code == 2 and expected in err and "SHUFFLE" not in out, f"{words}: exit {code}\n{out}{err}")


h.main([all_to_all_is_valid_on_any_rank_count, patterns_send_only_where_they_say, memory_stays_bounded_where_all_send_to_one, by_the_clock_and_with_its_limit,
        unverified_shuffle_is_called_unchecked, wrong_words_are_refused])
