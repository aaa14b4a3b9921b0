#!/usr/bin/env python3
"""The network campaign: `sluice shuffle` by each transport, over shared memory and over TCP between rate-limited hosts.

  bench/net_campaign.py                                    everything; TCP needs root, for network namespaces
  bench/net_campaign.py --parts shm --shm-repeats 15       shared memory alone
  bench/net_campaign.py --parts tcp,incast --hosts 2,4     a smaller rack

Prints a table and writes JSON (--json). Each figure is the median of --repeats runs (shm: --shm-repeats, with the least and the most); transports take turns within a round,
so that what else the machine does meets them alike. A cluster's own figure stands beside its limit from the same run:

  shm     2 and 4 ranks on this host: the shuffle over 1 / sum(1/rate) of its steps alone (`sluice shuffle --limit`); and what of it
          crosses between ranks beside the raw figure of the same message size (`sluice bench net`)
  tcp     N hosts (scripts/rack-in-a-box.sh) all-to-all: bytes that left each host over its link, by the kernel's queueing
          discipline, which counts every packet with its Ethernet, IP and TCP headers, as the link's rate limit does
  incast  all-to-one: the same on the receiver's link, with the receiver's peak memory beside its budget
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[1]
RACK = REPO / "scripts" / "rack-in-a-box.sh"
LAUNCH = REPO / "scripts" / "launch.sh"
GOAL_WIRE, GOAL_FLAT, GOAL_SHM = 0.9, 0.10, 0.7


def run(command, timeout=120):
    done = subprocess.run(["timeout", "-s", "KILL", str(timeout), *map(str, command)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def shuffle(options, launcher, words):
    """One shuffle; its result.json."""
    out = run([*launcher, options.bin / "sluice", "shuffle", "--set", f"results.dir={options.results}", "--set", f"memory.budget={options.memory}",
               *[word for pair in options.set for word in ("--set", pair)], *words])
    line = out.rstrip().splitlines()[-1]
    if not line.startswith("SHUFFLE status=VALID"):
        sys.exit(f"no VALID shuffle:\n{out}")
    return json.loads(pathlib.Path(re.search(r"^results: (.*)$", out, re.M).group(1), "result.json").read_text())


def raw(options, launcher, transport, message_bytes):
    """What `sluice bench net` moves all-to-all in messages of this size, in MB/s over all ranks, payload alone."""
    out = run([*launcher, options.bin / "sluice", "bench", "net", "--transport", transport, "--pattern", "all-to-all", "--sizes", f"{message_bytes}B",
               "--seconds", options.raw_seconds, "--set", f"results.dir={options.results}", "--set", f"memory.budget={options.memory}"])
    rows = json.loads(pathlib.Path(re.search(r"^results: (.*)$", out, re.M).group(1), "result.json").read_text())["rows"]
    if len(rows) != 1 or rows[0]["wrong"] != 0:
        sys.exit(f"not one good row:\n{out}")
    return rows[0]["algorithm_mb_per_s"]["median"]


def transports_of(options):
    """Those that this build has, or the wanted ones."""
    known = re.search(r"net\.transport.*", run([options.bin / "sluice", "config", "list"])).group(0)
    return [t for t in options.transports.split(",") if re.search(rf"\b{t}\b", known)]


def rounds(repeats, transports, one):
    """{transport: [one(transport), ...]}, in turn."""
    figures = {transport: [] for transport in transports}
    for _ in range(repeats):
        for transport in transports:
            figures[transport].append(one(transport))
    return figures


def middle(runs, key):
    return statistics.median(run[key] for run in runs)


# ---- shared memory -----------------------------------------------------------------------------------------------------------

def shared_memory(options, transports, report):
    print(f"\nshared memory, {options.seconds} s each: MB/s of records; each step alone on the same ranks, all at once", flush=True)
    print(f"{'ranks':>6} {'transport':<10}{'shuffle':>9}{'distribute':>11}{'transport':>10}{'redistrib.':>11}{'check':>8}{'1/sum':>8}{'of limit':>9}{'':>14}{'crossing':>10}{'bench net':>11}   goal {GOAL_SHM} of limit")
    for ranks in options.ranks:
        def one(transport):
            launcher = [LAUNCH, "-n", ranks, "--timeout", 90, "--"]
            result = shuffle(options, launcher, ["--seconds", options.seconds, "--limit", "--set", f"net.transport={transport}"])
            crossing = sum(pair["bytes"] for pair in result["pairs"] if pair["from"] != pair["to"]) / result["bytes"]
            return {"crossing": result["shuffle_mb_per_s"] * crossing, "bench_net": raw(options, launcher, transport, result["message_bytes"]), "shuffle": result["shuffle_mb_per_s"], **{k: v for k, v in result["limit"].items() if k != "kind"}}

        for transport, runs in rounds(options.shm_repeats, transports, one).items():
            row = {key: middle(runs, key) for key in runs[0]}
            ratios = [run["of_limit"] for run in runs]
            spread = f"({min(ratios):.2f}..{max(ratios):.2f})"
            report.append({"part": "shm", "ranks": ranks, "transport": transport, **row, "runs": runs})
            print(f"{ranks:>6} {transport:<10}{row['shuffle']:>9.0f}{row['distribute_mb_per_s']:>11.0f}{row['transport_mb_per_s']:>10.0f}{row['redistribute_mb_per_s']:>11.0f}"
                  f"{row['check_mb_per_s']:>8.0f}{row['mb_per_s']:>8.0f}{row['of_limit']:>9.2f}{spread:>14}{row['crossing']:>10.0f}{row['bench_net']:>11.0f}   {verdict(row['of_limit'] >= GOAL_SHM)}", flush=True)


# ---- TCP ---------------------------------------------------------------------------------------------------------------------

def link_bytes(hosts):
    """(sent by, sent to) each host over its cable, by the rate limiter at either end."""
    def sent(namespace, device):
        return json.loads(run(["tc", "-n", namespace, "-s", "-j", "qdisc", "show", "dev", device]))[0]["bytes"]

    prefix = os.environ.get("RACK_PREFIX", "sluice-rack")
    return [(sent(f"{prefix}-h{k}", "eth0"), sent(f"{prefix}-sw", f"p-h{k}")) for k in range(1, hosts + 1)]


def rate_bytes(text):
    number, unit = re.fullmatch(r"(\d+)([kmg])bit", text).groups()
    return int(number) * {"k": 1e3, "m": 1e6, "g": 1e9}[unit] / 8


def records_for(options, hosts):
    """As many as keep each link busy for tcp_seconds: of what a host makes, its own share stays."""
    return int(rate_bytes(options.rate) * options.tcp_seconds / 100 * hosts * hosts / (hosts - 1))


class Rack:
    def __init__(self, hosts, rate):
        self.hosts, self.rate = hosts, rate

    def __enter__(self):
        run([RACK, "up", self.hosts, self.rate])
        return [RACK, "mpirun", "-n", self.hosts, "--timeout", 110]

    def __exit__(self, *_):
        run([RACK, "down"])


def on_links(options, launcher, hosts, words):
    before = link_bytes(hosts)
    result = shuffle(options, launcher, words)
    after, seconds, link = link_bytes(hosts), result["elapsed_s"], rate_bytes(options.rate)
    out = [(b[0] - a[0]) / seconds / link for a, b in zip(before, after)]
    into = [(b[1] - a[1]) / seconds / link for a, b in zip(before, after)]
    return {"out": statistics.mean(out), "out_least": min(out), "in": statistics.mean(into), "in_first": into[0], "shuffle": result["shuffle_mb_per_s"],
            "payload": result["wire_mb_per_s_per_host"] * 1e6 / link, "first_rank_peak_bytes": result["ranks"][0]["peak_resident_bytes"],
            "first_rank_budget_bytes": result["ranks"][0]["budget_bytes"]}


def raw_share(options, launcher, transport, hosts):
    """The transport alone, full buffers of the same size without records: payload over the link."""
    result = shuffle(options, launcher, ["--records", records_for(options, hosts), "--limit", "--set", f"net.transport={transport}"])
    remote = sum(pair["bytes"] for pair in result["pairs"] if pair["from"] != pair["to"]) / result["bytes"]
    return result["limit"]["transport_mb_per_s"] * 1e6 * remote / hosts / rate_bytes(options.rate)


def tcp(options, transports, report):
    print(f"\nTCP between hosts of {options.rate} each, all-to-all, {options.tcp_seconds} s each: shares of the link", flush=True)
    print(f"{'hosts':>6} {'transport':<10}{'wire':>7}{'least':>7}{'payload':>9}{'raw payload':>13}{'of raw':>8}   goal wire {GOAL_WIRE}, flat within {GOAL_FLAT:.0%}")
    shares = {transport: [] for transport in transports}
    for hosts in options.hosts:
        with Rack(hosts, options.rate) as launcher:
            figures = rounds(options.repeats, transports, lambda transport: on_links(options, launcher, hosts, ["--records", records_for(options, hosts), "--set", f"net.transport={transport}"]))
            for transport, runs in figures.items():
                row = {key: middle(runs, key) for key in runs[0]}
                row["raw_payload"] = statistics.median(raw_share(options, launcher, transport, hosts) for _ in range(options.raw_repeats))
                report.append({"part": "tcp", "hosts": hosts, "transport": transport, **row, "runs": runs})
                shares[transport].append(row["out"])
                print(f"{hosts:>6} {transport:<10}{row['out']:>7.3f}{row['out_least']:>7.3f}{row['payload']:>9.3f}{row['raw_payload']:>13.3f}{row['payload'] / row['raw_payload']:>8.2f}"
                      f"   {verdict(row['out'] >= GOAL_WIRE)}", flush=True)
    for transport, values in shares.items():
        spread = (max(values) - min(values)) / max(values)
        print(f"{'':>6} {transport:<10}from {options.hosts[0]} to {options.hosts[-1]} hosts within {spread:.1%}   {verdict(spread <= GOAL_FLAT)}", flush=True)


def incast(options, transports, report):
    hosts = options.hosts[-1]
    print(f"\nincast over TCP: {hosts - 1} senders to one, {options.rate} each: share of the receiver's link", flush=True)
    print(f"{'hosts':>6} {'transport':<10}{'wire':>7}{'payload':>9}{'receiver peak MB':>18}{'its budget MB':>15}   goal wire {GOAL_WIRE}")
    with Rack(hosts, options.rate) as launcher:
        words = ["--records", int(rate_bytes(options.rate) * options.tcp_seconds / 100), "--pattern", "all-to-one"]
        figures = rounds(options.repeats, transports, lambda transport: on_links(options, launcher, hosts, [*words, "--set", f"net.transport={transport}"]))
    for transport, runs in figures.items():
        row = {key: middle(runs, key) for key in runs[0]}
        report.append({"part": "incast", "hosts": hosts, "transport": transport, **row, "runs": runs})
        print(f"{hosts:>6} {transport:<10}{row['in_first']:>7.3f}{row['payload']:>9.3f}{row['first_rank_peak_bytes'] / 1e6:>18.0f}{row['first_rank_budget_bytes'] / 1e6:>15.0f}"
              f"   {verdict(row['in_first'] >= GOAL_WIRE)}", flush=True)


def verdict(good):
    return "reached" if good else "MISSED"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(n) for n in text.split(",")]
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where sluice is")
    parser.add_argument("--parts", default="shm,tcp,incast")
    parser.add_argument("--transports", default="p2p,alltoallv,rma")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shm-repeats", type=int, default=9, help="over shared memory, where two runs differ by a tenth and more")
    parser.add_argument("--raw-repeats", type=int, default=3, help="of the transport alone over TCP")
    parser.add_argument("--ranks", type=numbers, default=[2, 4], help="over shared memory")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one shuffle over shared memory")
    parser.add_argument("--raw-seconds", type=float, default=0.3, help="of one `sluice bench net`")
    parser.add_argument("--hosts", type=numbers, default=[2, 4, 8])
    parser.add_argument("--rate", default="200mbit", help="of each link, both ways")
    parser.add_argument("--tcp-seconds", type=float, default=3.0, help="that the links of one shuffle over TCP are busy")
    parser.add_argument("--memory", default="1GiB", help="memory.budget of a host")
    parser.add_argument("--results", default="/var/tmp/sluice-net-campaign", help="where result folders go")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the config, for all runs")
    parser.add_argument("--json", type=pathlib.Path, help="all figures, also of each run")
    options = parser.parse_args()
    transports = transports_of(options)
    parts = options.parts.split(",")
    if {"tcp", "incast"} & set(parts) and os.geteuid() != 0:
        sys.exit("tcp and incast make network namespaces, which needs root; --parts shm does not")
    report = []
    for part, measure in (("shm", shared_memory), ("tcp", tcp), ("incast", incast)):
        if part in parts:
            measure(options, transports, report)
    if options.json:
        options.json.write_text(json.dumps({"command": sys.argv, "repeats": options.repeats, "shm_repeats": options.shm_repeats, "rows": report}, indent=1) + "\n")


main()
