"""How many collective calls a sort makes, start to end: each costs the job a round trip between its farthest ranks."""

import pathlib

import harness as h

MOST = 20   # a two-pass sort over p2p


def a_sort_makes_few_collective_calls():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 20000, *w.options]), "gen")
        out = h.must(h.sluice(["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "net.transport=p2p"], ranks=2, env={
            "LD_PRELOAD": str(h.BIN.parent / "lib" / "libcount_collectives.so"), "COUNT_COLLECTIVES": str(w.path / "calls")}), "sort")
        h.check("status=VALID" in out, out)
        for rank in range(2):
            lines = [line.split() for line in pathlib.Path(f"{w.path}/calls.{rank}").read_text().split("\n") if line]
            calls = sum(int(number) for _, number in lines)
            print(f"      rank {rank}: {calls} calls: {dict(lines)}")
            h.check(10 < calls <= MOST, f"rank {rank} makes {calls} calls: {lines}")


h.main([a_sort_makes_few_collective_calls])
