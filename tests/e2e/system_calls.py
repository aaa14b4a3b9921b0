"""What the kernel sees while a sort runs: O_DIRECT on every data descriptor, large aligned io_submit, no buffered data I/O."""

import os
import pathlib
import re
import shutil
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
                    if os.path.basename(path) != "MANIFEST.json.tmp" and not os.path.isdir(path):
                        seen[path] = seen.get(path, True) and bool(flags & O_DIRECT)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
            time.sleep(0.002)
        h.check(job.returncode == 0, "sort failed")
        kinds = {kind: [p for p in seen if kind in p] for kind in ("/input/", "-log-", "part-")}
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
        submissions = buffered = 0
        for line in trace.read_text(errors="replace").splitlines():
            if "io_submit(" in line:
                for nbytes, offset in re.findall(r"iov_len=(\d+).*?aio_offset=(\d+)", line):
                    submissions += 1
                    h.check(int(nbytes) % 4096 == 0 and int(offset) % 4096 == 0, f"misaligned: {line}")
            elif re.search(r"\b(read|write|pread64|pwrite64|readv|writev|preadv|pwritev)\(\d+<" + re.escape(str(w.data)), line) and "MANIFEST" not in line:
                buffered += 1
        h.check(submissions > 50, f"only {submissions} submissions were seen: the trace does not work")
        h.check(buffered == 0, f"{buffered} buffered reads or writes of data files")


h.main([every_data_descriptor_is_direct_while_it_runs, strace_sees_large_aligned_submissions_only])
