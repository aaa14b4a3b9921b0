"""What the end-to-end tests share: a directory of their own on a real disk, runs under mpirun bounded in time, and checks."""

import atexit
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SLUICE_TEST_BIN", REPO / "build" / "release" / "bin"))
RECORD_BYTES = 100

# Jobs of one host leave each other cores and memory: those of a test see none but its own.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="sluice-test-jobs.", dir="/var/tmp")
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def run(command, timeout=300, env=None, cwd=None):
    """Runs a command; returns (exit code, stdout, stderr) and never hangs."""
    done = subprocess.run(
        ["timeout", "-s", "KILL", str(timeout), *map(str, command)],
        capture_output=True, text=True, env={**os.environ, **(env or {})}, cwd=cwd, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def sluice(words, ranks=0, timeout=300, env=None):
    """One sluice call: without a launcher, or on `ranks` ranks by scripts/launch.sh."""
    command = [BIN / "sluice", *words]
    if ranks:
        command = [REPO / "scripts" / "launch.sh", "-n", ranks, "--timeout", timeout, "--", *command]
    return run(command, timeout=timeout + 30, env=env)


def must(result, what):
    code, out, err = result
    check(code == 0, f"{what}: exit code {code}\n{out}\n{err}")
    return out


class Workspace:
    """A directory on a real disk, removed at the end; `options` puts all three roles there."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="sluice-test.", dir="/var/tmp"))
        self.data = self.path / "disk"
        self.data.mkdir()
        self.options = ["--set", f"disks.path={self.data}", "--set", f"results.dir={self.path}/results", "--set", "run.progress=none"]
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def parts(self, name="sorted"):
        return sorted((self.data / name).glob("part-*"))

    def inputs(self):
        return sorted((self.data / "input").glob("data-*"))


def config_of_disks(path, disks):
    """A config with all roles on each of the disks; --set disks.path names one alone."""
    path.write_text("".join(f'[[disks]]\npath = "{disk}"\nrole = "{role}"\n' for disk in disks for role in ("input", "intermediate", "output")))
    return path


def sha_of_files(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sorted_oracle_sha(paths):
    """The independent sort: Python's, over the records as bytes."""
    data = b"".join(path.read_bytes() for path in paths)
    records = sorted(data[i:i + RECORD_BYTES] for i in range(0, len(data), RECORD_BYTES))
    return hashlib.sha256(b"".join(records)).hexdigest()


def result_line(out):
    lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
    check(len(lines) == 1 and out.rstrip().splitlines()[-1] == lines[0], f"no RESULT line at the end of:\n{out}")
    return dict(re.findall(r"(\w+)=(\S+)", lines[0]))


def newest_result(w):
    """result.json of the last run."""
    folders = sorted((w.path / "results").glob("sort-*/result.json"), key=lambda p: p.stat().st_mtime)
    return json.loads(folders[-1].read_text())


def write_records(w, name, records):
    """An input file of the given records; returns its directory."""
    raw = w.path / "raw"
    raw.mkdir(exist_ok=True)
    (raw / name).write_bytes(b"".join(records))
    return raw


def snapshot(directory):
    """Every file below with its size and content hash: to show that nothing was written."""
    return {str(p): (p.stat().st_size, sha_of_files([p])) for p in sorted(pathlib.Path(directory).rglob("*")) if p.is_file()}


def main(tests):
    failed = 0
    for test in tests:
        try:
            test()
            print(f"ok    {test.__name__}", flush=True)
        except Failed as failure:
            failed += 1
            print(f"FAIL  {test.__name__}: {failure}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
