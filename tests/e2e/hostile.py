"""Hostile directories: links, foreign files, forged manifests and records, devices, mounts, names with orders for a terminal,
made by root and by another user, against every verb that reads or removes. Nothing outside the disk is opened, read, changed or removed,
the code is a documented one, and the message names what it met.

  hostile.py [--full] [PATTERN]     every thing against every verb; else three verbs for each. PATTERN: things whose name holds it
"""

import ctypes
import os
import pathlib
import random
import re
import struct
import subprocess
import sys

import harness as h
from hostile_things import NOBODY, RUN, THINGS, edit_record

FULL = "--full" in sys.argv
PATTERN = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
RECORDS = 500
SORT = ["sort", "--set", "memory.budget=16MiB", "--set", "partitions.count=3", "--set", "run.watchdog=20s"]
VERBS = {
    "sort": SORT,
    "sort, overwrite": [*SORT, "--set", "run.overwrite=true"],
    "sort, overwrite first": [*SORT, "--set", "run.overwrite=first"],
    "gen, overwrite": ["gen", "--records", RECORDS, "--set", "run.overwrite=true"],
    "clean": ["clean", "--yes"],
    "clean, input too": ["clean", "--yes", "--input"],
    "clean --run ID": ["clean", "--run", RUN],
    "clean --run all": ["clean", "--run", "all"],
    "validate": ["validate"],
}
# docs/exit-codes.md; 1 is a bug, 5 a disk that fails, and neither is at work here.
DOCUMENTED = (0, 2, 3, 4, 6, 9, 10)
LIBC = ctypes.CDLL(None, use_errno=True)
IN_ACCESS, IN_MODIFY, IN_MOVE, IN_CREATE, IN_DELETE, IN_OPEN = 0x1, 0x2, 0xC0, 0x100, 0x200, 0x20
CLONE_NEWNS, MS_REC_PRIVATE, MS_BIND = 0x20000, 0x44000, 0x1000


class Watch:
    """Of what is done in a directory by whatever path."""

    def __init__(self, directory):
        self.fd = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        events = IN_ACCESS | IN_MODIFY | IN_MOVE | IN_CREATE | IN_DELETE | IN_OPEN
        h.check(self.fd >= 0 and LIBC.inotify_add_watch(self.fd, os.fsencode(directory), events) >= 0, "no inotify here")

    def seen(self):
        """Since the last time: names and what was done."""
        found = []
        try:
            while data := os.read(self.fd, 65536):
                while data:
                    _, mask, _, length = struct.unpack_from("iIII", data)
                    found.append((data[16:16 + length].rstrip(b"\0").decode(errors="replace"), hex(mask)))
                    data = data[16 + length:]
        except BlockingIOError:
            return found


class Lair(h.Workspace):
    """A disk that all users may write to, as /tmp, and a canary beside it which looks like a data set."""

    def __enter__(self):
        super().__enter__()
        os.chmod(self.path, 0o755)
        os.chmod(self.data, 0o1777)
        self.saved, self.canary, self.guarded = self.path / "saved", self.path / "canary", []
        self.saved.mkdir()
        h.must(self.run(["gen", "--records", RECORDS]), "gen")
        h.must(self.run(SORT), "sort")
        for name in ("input", "sorted"):
            subprocess.run(["cp", "-a", self.data / name, self.saved / name], check=True)
        subprocess.run(["cp", "-a", self.saved / "sorted", self.canary], check=True)
        for file in (self.saved / "input").iterdir():
            if not (self.canary / file.name).exists():
                subprocess.run(["cp", "-a", file, self.canary], check=True)
        for name in ("notes", "theirs", "log-r0-0"):
            (self.canary / name).write_text("dear diary " * 10)
        if os.geteuid() == 0:
            os.chown(self.canary / "theirs", NOBODY, NOBODY)
        self.was = state_of(self.canary)
        self.watch = Watch(self.canary)
        return self

    def __exit__(self, *words):
        self.unmount()
        super().__exit__(*words)

    def run(self, words, as_user=None):
        command = [h.BIN / "sluice", *map(str, words), *self.options]
        if as_user is not None:
            command = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", *command]
        done = subprocess.run(["timeout", "-s", "KILL", "100", *map(str, command)], capture_output=True, stdin=subprocess.DEVNULL, cwd=self.path)
        return done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape")

    def bind(self, what, where):
        h.check(LIBC.mount(os.fsencode(what), os.fsencode(where), None, MS_BIND, None) == 0, f"mount --bind {what} {where}: {os.strerror(ctypes.get_errno())}")

    def unmount(self):
        """Wherever the names have gone that something was mounted on."""
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            where = line.split()[4]
            if where.startswith(str(self.path)):
                LIBC.umount2(os.fsencode(where), 2)

    def restore(self):
        self.unmount()
        for entry in self.data.iterdir():
            subprocess.run(["rm", "-rf", entry], check=True)
        for name in ("input", "sorted"):
            subprocess.run(["cp", "-a", self.saved / name, self.data / name], check=True)
        self.guarded = []


def state_of(path):
    """Content, inode, owner and time of modification of all below, without opening what is no file."""
    rows = []
    for each in sorted([path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]):
        s = os.lstat(each)
        content = each.read_bytes() if each.is_file() and not each.is_symlink() else None
        rows.append((each.name if each != path else "", s.st_ino, s.st_uid, s.st_mode, s.st_mtime_ns if each != path or path.is_file() else 0, content))
    return rows


def find(lair, inode):
    """Where it is now, if it is."""
    return [each for each in lair.data.iterdir() if os.lstat(each).st_ino == inode]


def check_case(lair, name, verb):
    where = f"{name} / {verb}"
    lair.restore()
    names = THINGS[name](lair)
    guarded = [(path, os.lstat(path).st_ino, state_of(path)) for path in lair.guarded]
    lair.watch.seen()
    code, out, err = lair.run(VERBS[verb])
    told = f" ends with {code}\n--- out\n{out}\n--- err\n{err}"
    opened = lair.watch.seen()
    through = verb == "validate" and name == "mount point: sorted"  # what is mounted there is there
    h.check(through or opened == [], f"{where}: outside there was opened, read or changed: {opened[:5]}{told}")
    h.check(state_of(lair.canary) == lair.was, f"{where}: the canary is another{told}")
    lair.watch.seen()
    h.check(code in DOCUMENTED, f"{where}: no code for that{told}")
    controls = re.findall(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", out + err)
    h.check(not controls, f"{where}: control characters for the terminal: {controls}{told}")
    h.check(not re.search(r"^ERROR(?! rank=0 host=\S+ code=\w+\(\d+\)(?: run=[0-9a-f]+)?(?: seed=\d+)?: \S)", err, re.M) and "forged" not in re.sub(r"\\x0aERROR.*", "", out + err),
            f"{where}: a forged line{told}")
    for path, inode, was in guarded:
        now = path if path.exists() or path.is_symlink() else next(iter(find(lair, inode)), path)
        h.check(now.exists() and state_of(now) == was and now == path, f"{where}: '{path.name}', which is not its own, was moved, changed or removed{told}")
    if code != 0 and names and "is there already" not in err:
        h.check(any(each in out + err for each in names), f"{where}: the message names none of {names}{told}")
    return code


def all_things(lair):
    rng = random.Random(20271)
    runs, things, codes, failures = 0, 0, {}, []
    for name in THINGS:
        if PATTERN not in name:
            continue
        things += 1
        for verb in VERBS if FULL or PATTERN else rng.sample(list(VERBS), 3):
            try:
                code = check_case(lair, name, verb)
                codes[code] = codes.get(code, 0) + 1
            except h.Failed as failure:
                failures.append(str(failure))
            runs += 1
    print(f"{things} hostile things, {runs} runs, codes {dict(sorted(codes.items()))}, {len(failures)} wrong", flush=True)
    h.check(not failures, "\n".join(failures))
    h.check(PATTERN or things >= 40, f"only {things} things")


def what_stays_is_said(lair):
    """What `clean` leaves, though it has a name of ours, it names, and does the rest."""
    for name in THINGS:
        if not re.search(r"link as|another user's|no directory|mount point|link_as_log|sorted_set_of_theirs", name) or PATTERN not in name:
            continue
        for verb in ("clean, input too", "clean --run all"):
            lair.restore()
            names = THINGS[name](lair)
            dead = "c" * 32
            subprocess.run(["cp", "-a", lair.saved / "sorted", lair.data / f".partial-{dead}"], check=True)
            (lair.data / f".partial-{dead}" / "MANIFEST.json").unlink()
            edit_record(lair.data / f".partial-{dead}" / "OWNER.json", lambda body: body.update(run_id=dead))
            code, out, err = lair.run(VERBS[verb])
            h.check(code == 0, f"{name} / {verb} ends with {code}: {out}{err}")
            h.check(not (lair.data / f".partial-{dead}").exists(), f"{name} / {verb}: the dead run's directory did not go: {out}{err}")
            touched_by_verb = verb == "clean, input too" or any(each.startswith((".", "sluice-", "log-")) for each in names)
            if touched_by_verb:
                h.check(any(each in out + err for each in names), f"{name} / {verb}: does not say what stays, {names}: {out}{err}")


def another_user_is_not_stopped(lair):
    """Beside closed directories, sets and leftovers of root's a user works as if they were not there."""
    lair.restore()
    THINGS["closed_directory_of_theirs"](lair)
    os.chown(lair.data / "closed", 0, 0)
    for old, new in (("input", "roots-input"), ("sorted", "roots-sorted")):
        (lair.data / old).rename(lair.data / new)
    os.mkdir(lair.data / f".partial-{RUN}", 0o700)
    was = [(path, state_of(path)) for path in sorted(lair.data.iterdir())]
    (lair.path / "results").mkdir(exist_ok=True)
    os.chmod(lair.path / "results", 0o1777)
    for words in (["gen", "--records", RECORDS], SORT, ["validate"], VERBS["sort, overwrite"], ["clean", "--yes", "--input"], ["clean", "--run", "all"]):
        code, out, err = lair.run(words, as_user=NOBODY)
        h.check(code == 0, f"{words[0]} as another user ends with {code}: {out}{err}")
    h.check([(path, state_of(path)) for path in sorted(lair.data.iterdir())] == was, "something of root's is not as it was, or something stayed")


def the_watch_sees():
    """Else its silence would say nothing."""
    with Lair() as lair:
        (lair.canary / "notes").read_bytes()
        h.check(("notes", hex(IN_OPEN)) in lair.watch.seen(), "opening the canary was not seen")
        list(lair.canary.iterdir())
        h.check(lair.watch.seen() != [], "listing the canary was not seen")
        (lair.path / "link").symlink_to(lair.canary)
        (lair.path / "link" / "notes").read_bytes()
        h.check(("notes", hex(IN_OPEN)) in lair.watch.seen(), "opening the canary through a link was not seen")


def in_a_lair(test):
    def run():
        with Lair() as lair:
            test(lair)
    run.__name__ = test.__name__
    return run


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: only root can make what other users make, devices and mounts")
        sys.exit(0)
    if LIBC.unshare(CLONE_NEWNS) != 0 or LIBC.mount(b"none", b"/", None, MS_REC_PRIVATE, None) != 0:
        print("skipped: no mount namespaces here")
        sys.exit(0)
    tests = [in_a_lair(all_things), in_a_lair(what_stays_is_said)]
    if subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", h.BIN / "sluice", "--help"], capture_output=True).returncode == 0:
        tests.append(in_a_lair(another_user_is_not_stopped))
    else:
        print("skipped: another user cannot start the program where it lies")
    h.main([the_watch_sees, *tests])
