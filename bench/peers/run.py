#!/usr/bin/env python3
"""One data set, several external sorts in turn, one table: the bare two-pass copy, sluice on 1 and 2 ranks, STXXL, GNU sort.

    bench/peers/run.py [--records N | --sizes GB,GB,...] [--memory SIZE] [--runs K] [--dir DIR] [--bin DIR] [--peers a,b,...]
                       [--reference PEER] [--set KEY=VALUE]... [--json FILE]

Every round runs each peer once, in the same order, so that a machine that slows down slows all of them; the table has medians
over the rounds, and ratios taken within a round. Time is wall time of the whole command; CPU and memory are the kernel's own
counts for the command and all its children; bytes moved are those of the device under --dir, everybody's. Each output is
checked by valsort (order, count, checksum). --sizes does all of it for each size and ends with the growth of the ratios.
A --dir on tmpfs measures processors instead of disks: sluice then runs with io.direct=attempt.

Peers: copy (sluice bench disk --two-pass-copy), sluice1, sluice2 (1 and 2 ranks), sluice1-unchecked, sluice2-unchecked
(run.verify=false), stxxl-stream, stxxl-inplace (libstxxl-dev at build time), gnusort (ASCII data of the same number of records).
Columns: dev/in is device bytes read and written per input byte; over MiB the peak resident memory of the largest process
less its share of --memory; start s the time to the first read, from result.json.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
BLOCK_RECORDS = 40960   # STXXL maps whole blocks of 4,096,000 bytes onto a file


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=40_000_000, help="100-byte records, rounded up to whole 4,096,000-byte blocks")
    parser.add_argument("--sizes", help="instead of --records: gigabytes, such as 1,2,5,10, one after the other")
    parser.add_argument("--memory", default="1GiB", help="what each sort may use, such as 512MiB or 1GiB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="a directory on the disk to measure")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin")
    parser.add_argument("--peers", default="copy,sluice1,sluice2,stxxl-stream,gnusort")
    parser.add_argument("--reference", default="copy", help="the peer whose time over a peer's own is that one's ratio")
    parser.add_argument("--set", action="append", default=[], help="further KEY=VALUE for sluice")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures there")
    arguments = parser.parse_args()
    arguments.bin, arguments.dir = arguments.bin.resolve(), arguments.dir.resolve()
    arguments.peers = arguments.peers.split(",")
    if arguments.reference not in arguments.peers:
        parser.error(f"--reference {arguments.reference}: not among --peers")
    wanted = [float(one) * 1e7 for one in arguments.sizes.split(",")] if arguments.sizes else [arguments.records]
    arguments.sizes = [-(-int(records) // BLOCK_RECORDS) * BLOCK_RECORDS for records in wanted]
    return arguments


def bytes_of(size):
    number, unit = re.fullmatch(r"(\d+)(MiB|GiB|MB|GB)", size).groups()
    return int(number) * {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}[unit]


class Device:
    """The block device under a directory, as the kernel counts it: what everybody moves, whoever asked for it."""

    def __init__(self, directory):
        number = os.stat(directory).st_dev
        self.stat = pathlib.Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
        self.exists = self.stat.exists()   # tmpfs has none

    def moved(self):
        """Bytes read, bytes written, and discards (iostats.rst), once everything has been written that was to be."""
        os.sync()
        if not self.exists:
            return 0, 0, 0
        fields = [int(f) for f in self.stat.read_text().split()]
        return fields[2] * 512, fields[6] * 512, fields[11] if len(fields) > 11 else 0

    def settle(self):
        """Until what was deleted has been discarded and nobody moves much, or half a minute has gone by."""
        before, limit = self.moved(), time.monotonic() + 30
        while self.exists and time.monotonic() < limit:
            time.sleep(1)
            now = self.moved()
            if now[2] == before[2] and now[0] + now[1] - before[0] - before[1] < 2**23:
                return
            before = now


class Bench:
    def __init__(self, arguments, records):
        self.a, self.records = arguments, records
        self.work = arguments.dir / f"sluice-peers-{os.getpid()}"
        self.data = self.work / "data"
        self.options = ["--set", f"disks.path={self.data}", "--set", f"results.dir={self.work}/results", "--set", f"memory.budget={arguments.memory}"]
        self.device = Device(arguments.dir)
        direct = [] if self.device.exists else ["io.direct=attempt"]
        for one in direct + arguments.set:
            self.options += ["--set", one]

    def call(self, words, **more):
        return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, **more)

    def sluice(self, verb, *words, ranks=1):
        command = [self.a.bin / "sluice", verb, *words, *self.options]
        return command if ranks == 1 else [REPO / "scripts" / "launch.sh", "-n", ranks, "--", *command]

    def make_data(self):
        self.data.mkdir(parents=True)
        self.call(self.sluice("gen", "--records", str(self.records)))
        self.input = sorted((self.data / "input").glob("data-*"))[0]
        self.checksum = self.call([self.a.bin / "gensort", "-c", self.records, "/dev/null"]).stderr.strip()
        if any(p == "gnusort" for p in self.a.peers):
            self.ascii = self.work / "ascii.txt"
            self.ascii_checksum = self.call([self.a.bin / "gensort", "-a", "-c", self.records, self.ascii]).stderr.strip()

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
            with open(self.ascii) as file:   # as for the others, input comes from the disk
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            words = ["sort", "--parallel=2", f"--buffer-size={memory // 2**20}M", f"--temporary-directory={self.work}", "-o", out, self.ascii]
            return words, [out], self.ascii_checksum
        sys.exit(f"--peers {peer}: unknown; see --help")

    def clean_outputs(self):
        for path in (self.work / "out", self.work / "stxxl.tmp"):
            path.unlink(missing_ok=True)
        for path in (self.data / "sorted", self.work / "results"):
            shutil.rmtree(path, ignore_errors=True)
        self.device.settle()

    def run(self, peer):
        self.clean_outputs()
        command, outputs, checksum = self.command_of(peer)
        environment = dict(os.environ, LC_ALL="C", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        if peer.startswith("stxxl"):
            config = self.work / "stxxl.cfg"
            config.write_text(f"disk={self.work}/stxxl.tmp,{self.records * 100 * 11 // 10 // 2**20}MiB,linuxaio unlink\n")
            environment["STXXLCFG"] = str(config)
        before = self.device.moved()
        figures = timed([str(w) for w in command], environment, self.work / "log")
        after = self.device.moved()
        if self.device.exists:
            figures["device_read_bytes"], figures["device_written_bytes"] = after[0] - before[0], after[1] - before[1]
        if peer != "copy":   # which needs a few buffers and no budget
            ranks = int(peer[6]) if peer.startswith("sluice") else 1
            figures["over_budget_mib"] = (figures["peak_resident_bytes"] - bytes_of(self.a.memory) / ranks) / 2**20
        for result in (self.work / "results").glob("*/result.json"):
            figures["startup_s"] = json.loads(result.read_text())["startup_s"]
        figures["mb_per_s"] = self.records * 100 / 1e6 / figures["elapsed_s"]
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
        good = judged.returncode == 0 and f"Records: {self.records}\n" in judged.stderr and f"Checksum: {checksum}\n" in judged.stderr
        return "yes" if good else "NO"


def timed(command, environment, log):
    """Runs the command; wall time, and the kernel's counts for it and all its children (its largest process's memory)."""
    with open(log, "wb") as output:
        begin = time.monotonic()
        # In the work directory: STXXL leaves logs where it runs.
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        _, status, used = os.wait4(process.pid, 0)
        elapsed_s = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{log.read_text(errors='replace')[-3000:]}")
    return {"elapsed_s": elapsed_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_resident_bytes": used.ru_maxrss * 1024}


class Column:
    def __init__(self, head, width, digits, value):
        self.head, self.width, self.digits, self.value = head, width, digits, value

    def text(self, rounds, peer):
        try:
            return f"{statistics.median(self.value(r[peer]) for r in rounds):>{self.width}.{self.digits}f}"
        except KeyError:   # does not apply to this peer, or here
            return f"{'-':>{self.width}}"


def shares(rounds, peer, reference):
    """The reference's time over the peer's, round by round, sorted. Against the copy: what both time themselves."""
    key = lambda f: f.get("own_elapsed_s", f["elapsed_s"]) if reference == "copy" else f["elapsed_s"]
    return sorted(key(r[reference]) / key(r[peer]) for r in rounds)


def table(arguments, records, rounds):
    gigabytes = records / 1e7
    columns = [Column("time s", 8, 2, lambda f: f["elapsed_s"]), Column("MB/s", 7, 0, lambda f: f["mb_per_s"]),
               Column("CPU s/GB", 10, 2, lambda f: f["cpu_s"] / gigabytes), Column("over MiB", 10, 0, lambda f: f["over_budget_mib"]),
               Column("read/in", 9, 2, lambda f: f["device_read_bytes"] / gigabytes / 1e9),
               Column("written/in", 12, 2, lambda f: f["device_written_bytes"] / gigabytes / 1e9),
               Column("dev/in", 8, 3, lambda f: (f["device_read_bytes"] + f["device_written_bytes"]) / gigabytes / 1e9),
               Column("start s", 9, 2, lambda f: f["startup_s"])]
    print(f"\n{records} records, {gigabytes:.2f} GB, memory {arguments.memory}, medians of {len(rounds)} rounds; "
          f"'of {arguments.reference}' is its time / this time within a round (min .. max)")
    of = f"of {arguments.reference}"
    print(f"{'peer':<18}" + "".join(f"{c.head:>{c.width}}" for c in columns) + f"{of:>20}{'valid':>7}")
    for peer in arguments.peers:
        ratios = shares(rounds, peer, arguments.reference)
        share = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})"
        valid = "/".join(sorted({r[peer]["valid"] for r in rounds}))
        print(f"{peer:<18}" + "".join(c.text(rounds, peer) for c in columns) + f"{share:>20}{valid:>7}", flush=True)


def growth(arguments, results):
    print(f"\ngrowth: 'of {arguments.reference}' by size, and the largest over the smallest of the row")
    print(f"{'peer':<18}" + "".join(f"{one['records'] / 1e7:>8.1f} GB" for one in results) + f"{'spread':>9}")
    for peer in arguments.peers:
        row = [statistics.median(shares(one["rounds"], peer, arguments.reference)) for one in results]
        print(f"{peer:<18}" + "".join(f"{ratio:>11.2f}" for ratio in row) + f"{max(row) / min(row):>9.2f}")


def measure(arguments, records):
    """All rounds of one size. The work directory is gone afterwards, whatever happens."""
    copies = 4 if "gnusort" in arguments.peers or "stxxl-inplace" in arguments.peers else 3
    if not arguments.dir.is_dir():
        sys.exit(f"--dir {arguments.dir}: is no folder; make it, or name one on the disk to measure")
    need, free = records * 100 * copies * 1.1, shutil.disk_usage(arguments.dir).free
    if free < need:
        sys.exit(f"--dir {arguments.dir}: {need / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; sort less or choose another disk")
    bench, rounds = Bench(arguments, records), []
    try:
        bench.make_data()
        for number in range(arguments.runs):
            rounds.append({peer: bench.run(peer) for peer in arguments.peers})
            line = ", ".join(f"{p} {f['elapsed_s']:.1f} s" for p, f in rounds[-1].items())
            print(f"{records / 1e7:.1f} GB, round {number + 1} of {arguments.runs}: {line}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:   # the rounds that are complete count
        if not rounds:
            raise
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    table(arguments, records, rounds)
    return {"records": records, "memory": arguments.memory, "rounds": rounds}


def main():
    arguments = parse_arguments()
    if any(p.startswith("stxxl") for p in arguments.peers) and not (arguments.bin / "stxxl_sort").exists():
        sys.exit("stxxl_sort was not built: apt-get install --no-remove libstxxl-dev, build again, or choose --peers without it")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = []
    for records in arguments.sizes:
        results.append(measure(arguments, records))
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    if len(results) > 1:
        growth(arguments, results)


main()
