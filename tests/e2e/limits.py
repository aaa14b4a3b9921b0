#!/usr/bin/env python3
"""Limits of the process: what a plan needs is counted, refused with the number, and the number is enough."""

import json
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import harness
from harness import BIN, Workspace, check, must, result_line, run, sluice


def limited(words, *limits, ranks=0, timeout=300):
    """sluice under prlimit, on `ranks` ranks by launch.sh (whose own limits stay)."""
    command = ["prlimit", *limits, BIN / "sluice", *words]
    if ranks:
        command = [harness.REPO / "scripts" / "launch.sh", "-n", ranks, "--timeout", timeout, "--", *command]
    return run(command, timeout=timeout + 30)


def make_small_files(directory, files, records_a_file, record_bytes=128):
    """Records of 128 bytes that differ, in many files; one more pass over them is one process' work, not one a file."""
    must(run([BIN / "sluice", "gen", "--records", files * records_a_file, "--set", f"disks.path={directory}",
              "--set", f"record.size={record_bytes}B", "--set", "run.progress=none"]), "gen")
    data = b"".join(p.read_bytes() for p in sorted((directory / "input").glob("data-*")))
    shutil.rmtree(directory / "input")
    many = directory / "many"
    many.mkdir()
    step = records_a_file * record_bytes
    for number in range(files):
        (many / f"f{number:06}").write_bytes(data[number * step:(number + 1) * step])
    return data


def sort_many(files, partitions, limit, budget, ranks=0, timeout=300):
    with Workspace() as w:
        data = make_small_files(w.data, files, 5)
        words = ["sort", *w.options, "--set", f"input.paths={w.data}/many/*", "--set", "record.size=128B",
                 "--set", f"partitions.count={partitions}", "--set", f"memory.budget={budget}"]
        out = must(limited(words, f"--nofile={limit}:{limit}", ranks=ranks, timeout=timeout), f"sort under ulimit -n {limit}")
        result = result_line(out)
        check(result["status"] == "VALID" and int(result["records"]) == files * 5, out)
        check(len(w.parts()) == partitions, f"{len(w.parts())} parts")
        got = b"".join(part.read_bytes() for part in w.parts())
        check(got == b"".join(sorted(data[i:i + 128] for i in range(0, len(data), 128))), "not the sorted input")
        out = must(limited(["validate", *w.options, "--set", "record.size=128B"], f"--nofile={limit}:{limit}", timeout=timeout), "validate")
        check("status=VALID" in out, out)


def test_thousands_of_inputs_and_partitions_in_few_descriptors():
    sort_many(3000, 2000, 128, "256MiB")


def test_the_same_on_two_ranks():
    sort_many(2000, 1000, 160, "256MiB", ranks=2)


def test_the_number_that_is_refused_is_enough():
    with Workspace() as w:
        must(sluice(["gen", "--records", 20000, *w.options]), "gen")
        sort = ["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "partitions.count=300"]
        code, _, err = limited(sort, "--nofile=40:40")
        check(code == 3 and "ulimit -n" in err, f"exit code {code}: {err}")
        check(sorted(p.name for p in w.data.iterdir()) == ["input"], "refused, but something was left")
        needed = int(re.search(r"(\d+) files open at a time are needed", err).group(1))
        code, _, err = limited(sort, f"--nofile={needed - 1}:{needed - 1}")
        check(code == 3 and f"may have {needed - 1}" in err, f"exit code {code}: {err}")
        must(limited(sort, f"--nofile={needed}:{needed}"), f"sort under ulimit -n {needed}")


def test_the_soft_limit_is_raised():
    with Workspace() as w:
        must(sluice(["gen", "--records", 20000, *w.options]), "gen")
        must(limited(["sort", *w.options, "--set", "memory.budget=64MiB"], "--nofile=30:1024"), "sort under ulimit -Sn 30")


def test_a_limit_of_file_size_is_found_before_the_first_byte():
    with Workspace() as w:
        must(sluice(["gen", "--records", 300_000, *w.options]), "gen")
        before = sorted(p.name for p in w.data.iterdir())
        for more in ([], ["--set", "io.preallocate=false"]):
            code, _, err = limited(["sort", *w.options, "--set", "memory.budget=64MiB", *more], "--fsize=4000000")
            check(code == 3 and "RLIMIT_FSIZE" in err and "ulimit -f" in err, f"exit code {code}: {err}")
            check(sorted(p.name for p in w.data.iterdir()) == before, "refused, but something was left")
        code, _, err = limited(["gen", "--records", 300_000, *w.options, "--set", "input.name=other"], "--fsize=4000000")
        check(code == 3 and "RLIMIT_FSIZE" in err, f"exit code {code}: {err}")


def test_a_limit_of_address_space_is_named():
    with Workspace() as w:
        must(sluice(["gen", "--records", 5_000_000, *w.options]), "gen")
        code, _, err = limited(["sort", *w.options, "--set", "memory.budget=1GiB", "--set", "passes=one"], "--as=500000000")
        check(code == 3 and "ulimit -v" in err and "bug" not in err, f"exit code {code}: {err}")
        check(sorted(p.name for p in w.data.iterdir()) == ["input"], "refused, but something was left")


def as_a_user_with(processes, words):
    """As a user of whom nothing else runs, with so many processes and threads."""
    return run(["setpriv", "--reuid=61237", "--regid=61237", "--clear-groups", "prlimit", f"--nproc={processes}", *words])


def test_a_lack_of_threads_is_named():
    if os.geteuid() != 0:
        print("skip  only root may become another user")
        return
    with Workspace() as w:
        w.path.chmod(0o755)
        shutil.copy(BIN / "sluice", w.path / "sluice")
        must(sluice(["gen", "--records", 20_000, *w.options]), "gen")
        out, results = w.path / "out", w.path / "their-results"
        for directory in (out, results):
            directory.mkdir()
            os.chown(directory, 61237, 61237)
        w.data.chmod(0o755)
        (w.data / "input").chmod(0o755)
        for file in (w.data / "input").iterdir():
            file.chmod(0o644)
        words = [w.path / "sluice", "sort", "--set", f"disks.path={out}", "--set", f"input.paths={w.data}/input/data-*",
                 "--set", f"results.dir={results}", "--set", "memory.budget=64MiB", "--set", "run.progress=none"]
        enough = None
        for processes in (1, 2, 3, 4, 6, 8, 12, 100):
            code, _, err = as_a_user_with(processes, words)
            if code == 0:
                enough = processes
                break
            check(code == 3 and "thread" in err and "bug" not in err, f"nproc={processes}: exit code {code}: {err}")
            check(not list(out.iterdir()), f"nproc={processes}: left {list(out.iterdir())}")
        check(enough and enough > 2, f"it works with {enough} processes: no limit was met")


def loop_disk(w, make, size="300M", options=""):
    """A file system of its own below w, or None where this user or host cannot have one."""
    image, mount = w.path / "image", w.path / "mount"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(int(size[:-1]) << 20)
    if os.geteuid() != 0 or not shutil.which(make[0]) or run([*make, image])[0] != 0:
        return None
    if run(["mount", "-o", "loop" + options, image, mount])[0] != 0:
        return None
    return mount


def test_inodes_are_counted_before_the_first_byte():
    with Workspace() as w:
        disk = loop_disk(w, ["mkfs.ext4", "-q", "-N", "64"])
        if disk is None:
            print("skip  no file system on a loop device")
            return
        try:
            must(run([BIN / "gensort", 300_000, w.path / "in.dat"]), "gensort")
            filler = disk / "filler"
            filler.mkdir()
            while os.statvfs(disk).f_favail > 50:
                (filler / str(os.statvfs(disk).f_favail)).touch()
            code, _, err = sluice(["sort", *w.options, "--set", f"disks.path={disk}", "--set", f"input.paths={w.path}/in.dat",
                                   "--set", "memory.budget=64MiB", "--set", "partitions.count=100"])
            check(code == 3 and "inodes free" in err, f"exit code {code}: {err}")
            check(sorted(p.name for p in disk.iterdir()) == ["filler", "lost+found"], "refused, but something was left")
        finally:
            run(["umount", disk])


@contextlib.contextmanager
def overlay_with_memory(w, upper_in_memory):
    """(the overlay, its lower layer in memory), or None where that cannot be mounted."""
    memory, overlay, upper = w.path / "memory", w.path / "overlay", w.path / "upper"
    memory.mkdir(), overlay.mkdir(), upper.mkdir()
    if os.geteuid() != 0 or run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", memory])[0] != 0:
        print("skip  no mounts")
        yield None
        return
    try:
        disk = memory if upper_in_memory else upper
        for directory in (memory / "lower", disk / "upper", disk / "work"):
            directory.mkdir()
        layers = f"lowerdir={memory}/lower,upperdir={disk}/upper,workdir={disk}/work"
        if run(["mount", "-t", "overlay", "-o", layers, "overlay", overlay])[0] != 0:
            print("skip  no overlay")
            yield None
            return
        try:
            yield overlay, memory / "lower"
        finally:
            run(["umount", overlay])
    finally:
        run(["umount", memory])


def test_a_file_in_a_lower_layer_is_as_direct_as_that_layer():
    """The upper layer is a disk; what was never written lies in memory. The file that is tried first is on the disk."""
    with Workspace() as w, overlay_with_memory(w, False) as mounted:
        if mounted is None:
            return
        overlay, lower = mounted
        must(run([BIN / "gensort", 20_000, lower / "b.dat"]), "gensort")
        must(run([BIN / "gensort", "-b20000", 20_000, overlay / "a.dat"]), "gensort")
        words = ["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"]
        both = ["--set", f"input.paths={overlay}/*.dat"]
        code, out, err = sluice([*words, *both, "--set", "io.direct=on"])
        check(code == 3 and "lower one" in err, f"exit code {code}: {out}{err}")
        code, out, err = sluice([*words, *both, "--set", "io.direct=attempt"])
        check(code == 0 and "note=cached" in out, f"exit code {code}: {out}{err}")
        code, out, err = sluice([*words, "--set", "io.direct=on", "--set", f"input.paths={overlay}/a.dat"])
        check(code == 0 and "note=cached" not in out, f"only what lies in the upper layer: exit code {code}: {out}{err}")


def cached_sort(w, disk, direct):
    words = ["--set", f"disks.path={disk}", "--set", f"results.dir={w.path}/results", "--set", "run.progress=none",
             "--set", f"io.direct={direct}"]
    code, _, err = sluice(["gen", "--records", 100_000, *words])
    if code != 0:
        return code, err
    code, out, err = sluice(["sort", *words, "--set", "memory.budget=64MiB", "--set", "run.limit=two-pass-copy"])
    return code, out if code == 0 else err


def marked_or_refused(w, disk):
    code, text = cached_sort(w, disk, "on")
    check(code == 3 and "no direct I/O" in text, f"io.direct = on: exit code {code}: {text}")
    code, text = cached_sort(w, disk, "attempt")
    check(code == 0 and "note=cached" in text and "NOTE cached" in text, f"io.direct = attempt: exit code {code}: {text}")
    check("of_limit=cached" in text, f"a distance from the disks' limit is claimed: {text}")


def test_an_overlay_on_memory_is_memory():
    with Workspace() as w, overlay_with_memory(w, True) as mounted:
        if mounted is not None:
            marked_or_refused(w, mounted[0])


def test_btrfs_is_direct_only_without_checksums():
    for options, is_cached in (("", True), (",nodatacow", False)):
        with Workspace() as w:
            disk = loop_disk(w, ["mkfs.btrfs", "-q"], "600M", options)
            if disk is None:
                print("skip  no btrfs")
                return
            try:
                if is_cached:
                    marked_or_refused(w, disk)
                else:
                    code, text = cached_sort(w, disk, "on")
                    check(code == 0 and "cached" not in text, f"exit code {code}: {text}")
            finally:
                run(["umount", disk])


def test_a_quota_that_the_kernel_does_not_show_is_met_before_the_first_byte():
    with Workspace() as w:
        disk = loop_disk(w, ["mkfs.btrfs", "-q"], "600M", ",nodatacow")
        if disk is None:
            print("skip  no btrfs")
            return
        try:
            work = disk / "work"
            for words in (["quota", "enable", disk], ["subvolume", "create", work], ["qgroup", "limit", "40M", work]):
                must(run(["btrfs", *words]), f"btrfs {words}")
            must(run([BIN / "gensort", 300_000, w.path / "in.dat"]), "gensort")
            code, _, err = sluice(["sort", *w.options, "--set", f"disks.path={work}", "--set", f"input.paths={w.path}/in.dat",
                                   "--set", "memory.budget=64MiB"])
            check(code == 3 and "EDQUOT" in err and "quota of user" in err, f"exit code {code}: {err}")
            check(not list(work.iterdir()), "refused, but something was left")
        finally:
            run(["umount", disk])


def start(words):
    return subprocess.Popen([str(BIN / "sluice"), *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def claims_of(pid):
    """What the job of that process has claimed of this host."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    places = [pathlib.Path(runtime) / "sluice-jobs", pathlib.Path(f"/dev/shm/sluice-jobs-{os.geteuid()}")]
    for file in (file for place in places for file in place.glob(f"job-{pid}-*")):
        try:
            return json.loads(file.read_text())
        except (json.JSONDecodeError, FileNotFoundError):  # being written
            return {}
    return {}


def test_two_jobs_share_a_host_and_say_so():
    with Workspace() as first, Workspace() as second:
        must(sluice(["gen", "--records", 3_000_000, *first.options]), "gen")
        must(sluice(["gen", "--records", 50_000, *second.options]), "gen")
        job = start(["sort", *first.options, "--set", "memory.budget=128MiB"])
        try:
            end = time.monotonic() + 30
            while not claims_of(job.pid).get("memory_bytes") and time.monotonic() < end and job.poll() is None:
                time.sleep(0.001)
            os.kill(job.pid, signal.SIGSTOP)
            claimed = claims_of(job.pid)
            check(claimed.get("memory_bytes", 0) > 0, f"the first job has claimed nothing: {claimed}")
            code, out, err = sluice(["sort", *second.options])
            check(code == 0, f"exit code {code}: {err}")
            if claimed["cores"]:
                check("are pinned to cores" in err and f"pid {job.pid}" in err, f"nothing is said of cores: {err}")
                check(re.search(r"not pinned|uses cores", err), err)
        finally:
            os.kill(job.pid, signal.SIGCONT)
        out, err = job.communicate(timeout=120)
        check(job.returncode == 0, f"the first job: {err}")
        check(not claims_of(job.pid), "its claim is still there")


def test_an_error_line_has_run_and_seed():
    with Workspace() as w:
        must(sluice(["gen", "--records", 3_000_000, *w.options]), "gen")
        job = start(["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.seed=7"])
        end = time.monotonic() + 30
        while not list(w.data.glob("sluice-*-logs")) and time.monotonic() < end:
            time.sleep(0.001)
        job.terminate()
        _, err = job.communicate(timeout=60)
        check(job.returncode == 8, f"exit code {job.returncode}: {err}")
        check(re.search(r"ERROR .*code=interrupted\(8\) run=[0-9a-f]{32} seed=7: ", err), err)


def test_a_hundred_thousand_inputs():
    sort_many(100_000, 64, 1024, "256MiB", timeout=900)


def test_a_hundred_thousand_partitions():
    sort_many(1000, 100_000, 1024, "2GiB", timeout=900)


FAST = [test_thousands_of_inputs_and_partitions_in_few_descriptors, test_the_same_on_two_ranks,
        test_the_number_that_is_refused_is_enough, test_the_soft_limit_is_raised,
        test_a_limit_of_file_size_is_found_before_the_first_byte, test_a_limit_of_address_space_is_named,
        test_a_lack_of_threads_is_named, test_inodes_are_counted_before_the_first_byte, test_an_overlay_on_memory_is_memory,
        test_a_file_in_a_lower_layer_is_as_direct_as_that_layer,
        test_btrfs_is_direct_only_without_checksums,
        test_a_quota_that_the_kernel_does_not_show_is_met_before_the_first_byte, test_two_jobs_share_a_host_and_say_so,
        test_an_error_line_has_run_and_seed]
FULL = [test_a_hundred_thousand_inputs, test_a_hundred_thousand_partitions]

if __name__ == "__main__":
    harness.main(FULL if "--full" in sys.argv else FAST)
