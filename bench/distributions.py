#!/usr/bin/env python3
"""What skew costs: the same sort of each key distribution beside uniform keys, and its balance.

    bench/distributions.py [--kinds skewed,sorted,...] [--records N] [--memory SIZE] [--ranks R] [--disks D] [--rounds K]
                           [--passes two|one] [--dir DIR] [--bin DIR] [--json FILE]

In every round each data set, uniform first, is sorted once, so that a machine that slows down slows all of them. `of uniform` is
the distribution's time over that of uniform keys within a round, median (least .. most); time is the program's own, from launch to
durable output, sampling included. Ranks and disks are the farthest from their target of any round, the partition the largest. Data
sets lie on the disk together: (kinds + 3) x the size of one. Every output is checked by the sort (order, count, checksum).
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[1]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="skewed,zipf:0.99,all-equal,few-distinct:7,sorted,reverse,nearly-sorted,drift,hot-range", help="as `sluice gen --keys` takes them")
    parser.add_argument("--records", type=int, default=20_000_000, help="of 100 bytes")
    parser.add_argument("--memory", default="512MiB", help="of all ranks together")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--disks", type=int, default=1, help="directories that count as disks; the balance over several needs no real ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", default="two", choices=["two", "one", "auto"])
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="a directory on the disk to measure")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures there")
    arguments = parser.parse_args()
    arguments.dir, arguments.bin = arguments.dir.resolve(), arguments.bin.resolve()
    arguments.kinds = ["uniform", *[k for k in arguments.kinds.split(",") if k and k != "uniform"]]
    return arguments


class Bench:
    def __init__(self, arguments):
        self.a = arguments
        self.work = arguments.dir / f"sluice-distributions-{os.getpid()}"
        self.config = self.work / "bench.toml"

    def sluice(self, verb, *words):
        command = [self.a.bin / "sluice", verb, self.config, *words]
        if self.a.ranks > 1:
            command = [REPO / "scripts" / "launch.sh", "-n", self.a.ranks, "--", *command]
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def make_data(self):
        """One input directory a kind, by its number; keys of a sort are given by input.paths."""
        disks = [self.work / f"disk{d}" for d in range(self.a.disks)]
        for disk in disks:
            disk.mkdir(parents=True)
        roles = ("input", "intermediate", "output")
        self.config.write_text("".join(f'[[disks]]\npath = "{d}"\nrole = "{role}"\n' for d in disks for role in roles) +
                               f'[memory]\nbudget = "{self.a.memory}"\n[run]\nprogress = "none"\noverwrite = true\n[results]\ndir = "{self.work}/results"\n')
        for number, kind in enumerate(self.a.kinds):
            self.sluice("gen", "--keys", kind, "--records", self.a.records, "--set", f"input.name=input-{number}")

    def sort(self, number):
        shutil.rmtree(self.work / "results", ignore_errors=True)
        for sorted_set in self.work.glob("disk*/sorted"):
            shutil.rmtree(sorted_set)
        os.sync()
        time.sleep(0.5)   # let the disk finish discarding
        out = self.sluice("sort", "--set", f"passes={self.a.passes}", "--set", f"input.name=input-{number}")
        fields = dict(re.findall(r"(\w+)=(\S+)", out.rstrip().splitlines()[-1]))
        if fields.get("status") != "VALID":
            sys.exit(f"{self.a.kinds[number]}: not VALID\n{out}")
        return json.loads(next(self.work.glob("results/sort-*/result.json")).read_text())


def figures_of(result):
    farthest = lambda entries: max((e["of_target"] for e in entries), key=lambda share: abs(share - 1))
    balance = result["balance"]
    return {"elapsed_s": result["elapsed_s"], "sampled_share": result["sampled_share"], "partitions": len(balance["partition_bytes"]),
            "rank_of_target": farthest(balance["ranks"]), "disk_of_target": farthest(balance["output_disks"]),
            "partition_of_mean": balance["worst_partition_of_mean"], "reads_per_tuple": result["reads_per_tuple"],
            "writes_per_tuple": result["writes_per_tuple"]}


def table(arguments, rounds):
    print(f"{arguments.records} records, {arguments.records / 1e7:.2f} GB, {arguments.ranks} ranks, memory {arguments.memory}, passes {arguments.passes}, "
          f"medians of {len(rounds)} rounds")
    print(("{:<18}" + "{:>9}{:>24}" + "{:>11}" * 6).format("keys", "time s", "of uniform", "rank", "disk", "partition", "sampled %", "reads", "writes"))
    for kind in arguments.kinds:
        runs = [r[kind] for r in rounds]
        shares = sorted(r[kind]["elapsed_s"] / r["uniform"]["elapsed_s"] for r in rounds)
        worst = lambda key: max((run[key] for run in runs), key=lambda share: abs(share - 1))
        middle = lambda key: statistics.median(run[key] for run in runs)
        print(f"{kind:<18}{middle('elapsed_s'):>9.2f}{f'{statistics.median(shares):.2f} ({shares[0]:.2f} .. {shares[-1]:.2f})':>24}"
              f"{worst('rank_of_target'):>11.3f}{worst('disk_of_target'):>11.3f}{worst('partition_of_mean'):>11.3f}"
              f"{100 * middle('sampled_share'):>11.3f}{middle('reads_per_tuple'):>11.4f}{middle('writes_per_tuple'):>11.4f}")


def main():
    arguments = parse_arguments()
    need, free = arguments.records * 100 * (len(arguments.kinds) + 2) * 1.1, shutil.disk_usage(arguments.dir).free
    if free < need:
        sys.exit(f"--dir {arguments.dir}: {need / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; name fewer --kinds, lower --records or choose another disk")
    bench = Bench(arguments)
    rounds = []
    try:
        bench.make_data()
        for number in range(arguments.rounds):
            rounds.append({kind: figures_of(bench.sort(i)) for i, kind in enumerate(arguments.kinds)})
            print(f"round {number + 1} of {arguments.rounds}: " + ", ".join(f"{k} {f['elapsed_s']:.1f} s" for k, f in rounds[-1].items()), file=sys.stderr, flush=True)
        table(arguments, rounds)
        if arguments.json:
            arguments.json.write_text(json.dumps({"records": arguments.records, "memory": arguments.memory, "ranks": arguments.ranks, "passes": arguments.passes,
                                                  "rounds": rounds}, indent=1) + "\n")
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)


main()
