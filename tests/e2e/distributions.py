"""Every distribution of `sluice gen --keys` under mpirun, with little and with much memory: VALID, bytes of an independent sort."""

import os

import harness as h

FULL = os.environ.get("SLUICE_FULL_TESTS") == "1"
RECORDS = 1_000_000 if FULL else 40_000
PASSES = ["two", "one"]
KINDS = ["uniform", "skewed", "zipf:0.99", "all-equal", "all-same", "few-distinct:7", "sorted", "reverse", "nearly-sorted", "drift", "hot-range"]


def budgets(ranks, passes):
    """Little and plenty; the short test has one of them for each rank count and number of passes."""
    if passes == "one":   # 100 MB in memory, or 4 MB
        return ["192MiB", "512MiB"] if FULL else ["64MiB"] if ranks == 4 else ["256MiB"]
    return ["48MiB", "512MiB"] if FULL else ["24MiB"] if ranks == 2 else ["256MiB"]


def every_distribution_sorts_on_any_ranks():
    for kind in KINDS:
        with h.Workspace() as w:
            h.must(h.sluice(["gen", *w.options, "--keys", kind, "--records", RECORDS]), f"gen {kind}")
            expected = h.sorted_oracle_sha(w.inputs())
            for ranks in (1, 2, 4):
                for passes, budget in ((p, b) for p in PASSES for b in budgets(ranks, p)):
                    what = f"{kind} on {ranks}, {passes} passes, {budget}"
                    words = ["--set", f"passes={passes}", "--set", f"memory.budget={budget}", "--set", "run.overwrite=true"]
                    fields = h.result_line(h.must(h.sluice(["sort", *w.options, *words], ranks=ranks), what))
                    h.check(fields["status"] == "VALID", f"{what}: {fields}")
                    h.check(abs(float(fields["writes_per_tuple"]) - (1 if passes == "one" else 2)) < 0.02, f"{what}: {fields}")   # padding of 4 MB
                    h.check(h.sha_of_files(w.parts()) == expected, f"{what}: output differs from the independent sort")
            h.must(h.sluice(["validate", *w.options], ranks=2), f"validate {kind}")


h.main([every_distribution_sorts_on_any_ranks])
