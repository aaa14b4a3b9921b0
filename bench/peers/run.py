#!/usr/bin/env python3
"""One data set, several external sorts in turn, one table: the bare two-pass copy, sluice on 1 and 2 ranks, STXXL, GNU sort.

    bench/peers/run.py [--records N] [--memory SIZE] [--runs K] [--dir DIR] [--bin DIR] [--peers a,b,...] [--json FILE]

Every round runs each peer once, in the same order, so that a machine that slows down slows all of them; the table has medians
over the rounds, and ratios taken within a round. Time is wall time of the whole command; CPU, bytes and memory are the
kernel's own counts for the command and all its children. Each output is checked by valsort (order, count, checksum).

Peers: copy (sluice bench disk --two-pass-copy), sluice1, sluice2 (1 and 2 ranks), sluice1-unchecked (run.verify=false),
stxxl-stream, stxxl-inplace (libstxxl-dev at build time), gnusort (ASCII data of the same number of records).
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

REPO = pathlib.Path(__file__).resolve().parents[2]
BLOCK_RECORDS = 40960   # STXXL maps whole blocks of 4,096,000 bytes onto a file


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=40_000_000, help="100-byte records, rounded up to whole 4,096,000-byte blocks")
    parser.add_argument("--memory", default="1GiB", help="what each sort may use, such as 512MiB or 1GiB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="a directory on the disk to measure")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin")
    parser.add_argument("--peers", default="copy,sluice1,sluice2,stxxl-stream,gnusort")
    parser.add_argument("--set", action="append", default=[], help="further KEY=VALUE for sluice")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures there")
    arguments = parser.parse_args()
    arguments.bin, arguments.dir = arguments.bin.resolve(), arguments.dir.resolve()
    arguments.records = -(-arguments.records // BLOCK_RECORDS) * BLOCK_RECORDS
    return arguments


def bytes_of(size):
    number, unit = re.fullmatch(r"(\d+)(MiB|GiB|MB|GB)", size).groups()
    return int(number) * {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}[unit]


class Bench:
    def __init__(self, arguments):
        self.a = arguments
        self.work = arguments.dir / f"sluice-peers-{os.getpid()}"
        self.data = self.work / "data"
        self.options = ["--set", f"disks.path={self.data}", "--set", f"results.dir={self.work}/results", "--set", f"memory.budget={arguments.memory}"]
        for one in arguments.set:
            self.options += ["--set", one]

    def call(self, words, **more):
        return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, **more)

    def sluice(self, verb, *words, ranks=1):
        command = [self.a.bin / "sluice", verb, *words, *self.options]
        return command if ranks == 1 else [REPO / "scripts" / "launch.sh", "-n", ranks, "--", *command]

    def make_data(self):
        self.data.mkdir(parents=True)
        self.call(self.sluice("gen", "--records", str(self.a.records)))
        self.input = sorted((self.data / "input").glob("data-*"))[0]
        self.checksum = self.call([self.a.bin / "gensort", "-c", self.a.records, "/dev/null"]).stderr.strip()
        if any(p == "gnusort" for p in self.a.peers.split(",")):
            self.ascii = self.work / "ascii.txt"
            self.ascii_checksum = self.call([self.a.bin / "gensort", "-a", "-c", self.a.records, self.ascii]).stderr.strip()

    def command_of(self, peer):
        """The command, the files of its output, and the checksum these must have."""
        memory, out = bytes_of(self.a.memory), self.work / "out"
        stxxl = self.a.bin / "stxxl_sort"
        if peer == "copy":
            return self.sluice("bench", "disk", "--two-pass-copy"), None, None
        if peer.startswith("sluice"):
            extra = ["--set", "run.verify=false"] if peer.endswith("-unchecked") else []
            return self.sluice("sort", *extra, ranks=int(peer[6])), "parts", self.checksum
        if peer == "stxxl-stream":
            return [stxxl, "stream", self.input, out, memory], [out], self.checksum
        if peer == "stxxl-inplace":
            self.call(["cp", "--reflink=never", self.input, out])   # not timed: it sorts a file in its place
            return [stxxl, "inplace", out, out, memory], [out], self.checksum
        if peer == "gnusort":
            words = ["sort", "--parallel=2", f"--buffer-size={memory // 2**20}M", f"--temporary-directory={self.work}", "-o", out, self.ascii]
            return words, [out], self.ascii_checksum
        sys.exit(f"--peers {peer}: unknown; see --help")

    def clean_outputs(self):
        for path in (self.work / "out", self.work / "stxxl.tmp"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.data / "sorted", ignore_errors=True)
        os.sync()
        time.sleep(0.5)   # let the disk finish discarding

    def run(self, peer):
        self.clean_outputs()
        command, outputs, checksum = self.command_of(peer)
        environment = dict(os.environ, LC_ALL="C", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        if peer.startswith("stxxl"):
            config = self.work / "stxxl.cfg"
            config.write_text(f"disk={self.work}/stxxl.tmp,{self.a.records * 100 * 11 // 10 // 2**20}MiB,linuxaio unlink\n")
            environment["STXXLCFG"] = str(config)
        figures = timed([str(w) for w in command], environment, self.work / "log")
        figures["mb_per_s"] = self.a.records * 100 / 1e6 / figures["elapsed_s"]
        text = (self.work / "log").read_text(errors="replace")
        own = re.search(r"^(?:COPY|RESULT).* elapsed_s=([0-9.]+)", text, re.M)
        if own:   # what the program itself times: the copy without its preflight, the sort from launch to durable output
            figures["own_elapsed_s"] = float(own.group(1))
        figures["valid"] = self.validity(outputs, checksum) if outputs else "-"
        self.clean_outputs()
        return figures

    def validity(self, outputs, checksum):
        if outputs == "parts":
            outputs = sorted((self.data / "sorted").glob("part-*"))
        summaries = b""
        for path in outputs:
            if path.stat().st_size == 0:
                continue
            one = self.work / "summary"
            if subprocess.run([self.a.bin / "valsort", "-q", "-o", one, path], capture_output=True).returncode != 0:
                return "NO"
            summaries += one.read_bytes()
        merged = self.work / "summaries"
        merged.write_bytes(summaries)
        judged = subprocess.run([self.a.bin / "valsort", "-s", merged], capture_output=True, text=True)
        good = judged.returncode == 0 and f"Records: {self.a.records}\n" in judged.stderr and f"Checksum: {checksum}\n" in judged.stderr
        return "yes" if good else "NO"


def timed(command, environment, log):
    """Runs the command; wall time, and the kernel's counts for it and all its children (512-byte blocks, KiB)."""
    with open(log, "wb") as output:
        begin = time.monotonic()
        # In the work directory: STXXL leaves logs where it runs.
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        _, status, used = os.wait4(process.pid, 0)
        elapsed_s = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{log.read_text(errors='replace')[-3000:]}")
    return {"elapsed_s": elapsed_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_resident_mb": used.ru_maxrss * 1024 / 1e6,
            "read_bytes": used.ru_inblock * 512, "written_bytes": used.ru_oublock * 512}


def table(bench, rounds, peers):
    input_bytes = bench.a.records * 100
    print(f"{bench.a.records} records, {input_bytes / 1e9:.2f} GB, memory {bench.a.memory}, medians of {len(rounds)} rounds; "
          "'of copy' is the copy's time / this time within a round (min .. max)")
    head = ["peer", "time s", "MB/s", "CPU s/GB", "peak MB", "read/in", "written/in", "of copy", "valid"]
    print(("{:<18}" + "{:>10}" * 6 + "{:>20}{:>7}").format(*head))
    for peer in peers:
        mid = lambda key: statistics.median(r[peer][key] for r in rounds)
        if "copy" in peers:
            shares = sorted(r["copy"].get("own_elapsed_s", 0) / r[peer].get("own_elapsed_s", r[peer]["elapsed_s"]) for r in rounds)
            share = f"{statistics.median(shares):.2f} ({shares[0]:.2f}..{shares[-1]:.2f})"
        else:
            share = "-"
        valid = {r[peer]["valid"] for r in rounds}
        print(f"{peer:<18}{mid('elapsed_s'):>10.2f}{mid('mb_per_s'):>10.0f}{mid('cpu_s') / (input_bytes / 1e9):>10.2f}{mid('peak_resident_mb'):>10.0f}"
              f"{mid('read_bytes') / input_bytes:>10.2f}{mid('written_bytes') / input_bytes:>10.2f}{share:>20}{'/'.join(sorted(valid)):>7}")


def main():
    arguments = parse_arguments()
    bench = Bench(arguments)
    peers = arguments.peers.split(",")
    if any(p.startswith("stxxl") for p in peers) and not (arguments.bin / "stxxl_sort").exists():
        sys.exit("stxxl_sort was not built: apt-get install --no-remove libstxxl-dev, build again, or choose --peers without it")
    copies = 4 if "gnusort" in peers else 3
    need, free = arguments.records * 100 * copies * 1.1, shutil.disk_usage(arguments.dir).free
    if free < need:
        sys.exit(f"--dir {arguments.dir}: {need / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; lower --records or choose another disk")
    rounds = []
    try:
        bench.make_data()
        for number in range(arguments.runs):
            rounds.append({peer: bench.run(peer) for peer in peers})
            print(f"round {number + 1} of {arguments.runs}: " + ", ".join(f"{p} {f['elapsed_s']:.1f} s" for p, f in rounds[-1].items()), file=sys.stderr, flush=True)
        table(bench, rounds, peers)
        if arguments.json:
            arguments.json.write_text(json.dumps({"records": arguments.records, "memory": arguments.memory, "rounds": rounds}, indent=1) + "\n")
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)


main()
