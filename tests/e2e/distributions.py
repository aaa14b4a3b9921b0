"""Every distribution of `sluice gen --keys` under mpirun, with little and with much memory: VALID, bytes of an independent sort."""

import os

import harness as h

FULL = os.environ.get("SLUICE_FULL_TESTS") == "1"
RECORDS = 1_000_000 if FULL else 40_000
PASSES = [[]]   # options that choose the number of passes; none: two
KINDS = ["uniform", "skewed", "zipf:0.99", "all-equal", "all-same", "few-distinct:7", "sorted", "reverse", "nearly-sorted", "drift", "hot-range"]


def budgets(ranks):
    """Smallest that is taken for these ranks, and plenty; the short test has one of them for each rank count."""
    return ["48MiB", "512MiB"] if FULL else ["24MiB"] if ranks == 2 else ["256MiB"]


def every_distribution_sorts_on_any_ranks():
    for kind in KINDS:
        with h.Workspace() as w:
            h.must(h.sluice(["gen", *w.options, "--keys", kind, "--records", RECORDS]), f"gen {kind}")
            expected = h.sorted_oracle_sha(w.inputs())
            for ranks in (1, 2, 4):
                for words in ([*passes, "--set", f"memory.budget={budget}"] for passes in PASSES for budget in budgets(ranks)):
                    out = h.must(h.sluice(["sort", *w.options, *words, "--set", "run.overwrite=true"], ranks=ranks), f"{kind} on {ranks}, {words}")
                    h.check(h.result_line(out)["status"] == "VALID", f"{kind} on {ranks}, {words}: {out}")
                    h.check(h.sha_of_files(w.parts()) == expected, f"{kind} on {ranks}, {words}: output differs from the independent sort")
            h.must(h.sluice(["validate", *w.options], ranks=2), f"validate {kind}")


h.main([every_distribution_sorts_on_any_ranks])
