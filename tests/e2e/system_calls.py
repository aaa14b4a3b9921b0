"""What the kernel sees while a sort runs: O_DIRECT on every data descriptor, large aligned io_submit, no buffered data I/O."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import time

import harness as h

O_DIRECT = 0o40000


def data_descriptors(pid, directory):
    """(path, flags) of each open file of the process below the data directory."""
    found = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
            if target.startswith(str(directory)):
                flags = int(re.search(r"flags:\s*(\d+)", pathlib.Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()).group(1), 8)
                if not stat.S_ISDIR(os.stat(fd).st_mode):   # of what is open: its name may be another's by now
                    found.append((target, flags))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def every_data_descriptor_is_direct_while_it_runs():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 5000000]), "gen")
        job = subprocess.Popen([h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB"], stdout=subprocess.DEVNULL)
        seen = {}
        while job.poll() is None:
            try:
                for path, flags in data_descriptors(job.pid, w.data):
                    if not os.path.basename(path).startswith(("MANIFEST.json", "OWNER.json")):
                        seen[path] = seen.get(path, True) and bool(flags & O_DIRECT)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
            time.sleep(0.002)
        h.check(job.returncode == 0, "sort failed")
        kinds = {kind: [p for p in seen if kind in p] for kind in ("/input/", "/log-", "part-")}
        h.check(all(kinds.values()), f"not all kinds of files were seen: { {k: len(v) for k, v in kinds.items()} }")
        h.check(all(seen.values()), f"without O_DIRECT: {[p for p, direct in seen.items() if not direct]}")


def strace_sees_large_aligned_submissions_only():
    if shutil.which("strace") is None:
        print("skipped: no strace")
        return
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 600000]), "gen")
        trace = w.path / "trace"
        code, out, err = h.run(["strace", "-f", "-y", "-e", "trace=io_submit,read,write,pread64,pwrite64,readv,writev,preadv,pwritev", "-o", trace,
                                h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=32MiB"])
        h.check(code == 0, err)
        submissions = buffered = submitted_bytes = 0
        for line in trace.read_text(errors="replace").splitlines():
            if "io_submit(" in line:
                for nbytes, offset in re.findall(r"iov_len=(\d+).*?aio_offset=(\d+)", line):
                    submissions += 1
                    submitted_bytes += int(nbytes)
                    h.check(int(nbytes) % 4096 == 0 and int(offset) % 4096 == 0, f"misaligned: {line}")
            elif re.search(r"\b(read|write|pread64|pwrite64|readv|writev|preadv|pwritev)\(\d+<" + re.escape(str(w.data)), line) and "MANIFEST" not in line and "OWNER" not in line \
                    and not re.search(r"/#\d+>\(deleted\)", line):   # a nameless file, by which preflight asks whether direct I/O is direct
                buffered += 1
        h.check(submissions > 50, f"only {submissions} submissions were seen: the trace does not work")
        h.check(submitted_bytes / submissions > 200000, f"requests of {submitted_bytes / submissions:.0f} bytes on average are not large")
        h.check(buffered == 0, f"{buffered} buffered reads or writes of data files")


def threads_keep_to_the_cores_of_their_rank():
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) != 2:
        print("skipped: the cores are known only for a host with two")
        return
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 5000000]), "gen")
        job = subprocess.Popen([h.REPO / "scripts" / "launch.sh", "-n", "2", "--", h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=128MiB"],
                               stdout=subprocess.DEVNULL)
        stages = ("reader", "node dist", "writer", "sorter")   # how their threads' names begin
        seen = {}   # stage thread -> the sets of cores seen, by process
        while job.poll() is None:
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if words[0] != str(h.BIN / "sluice").encode() or str(w.data).encode() not in b" ".join(words):
                        continue
                    for task in (entry / "task").iterdir():
                        name = (task / "comm").read_text().strip()
                        name = next((stage for stage in stages if name.startswith(stage)), None)
                        if name:
                            allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", (task / "status").read_text()).group(1)
                            seen.setdefault(name, {}).setdefault(entry.name, []).append(allowed)
                except (FileNotFoundError, ProcessLookupError, PermissionError):
                    pass
            time.sleep(0.01)
        h.check(job.returncode == 0, "sort failed")
        for name in stages:
            h.check(len(seen.get(name, {})) == 2, f"threads '{name}' were not seen on both ranks: {seen}")
            # The first look may come before the thread has bound itself; the last may not.
            last = sorted(looks[-1] for looks in seen[name].values())
            h.check(last == [str(core) for core in cores], f"'{name}' of two ranks on two cores runs on {last}")


h.main([every_data_descriptor_is_direct_while_it_runs, strace_sees_large_aligned_submissions_only, threads_keep_to_the_cores_of_their_rank])
