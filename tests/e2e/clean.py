"""`sluice clean`: what is listed is what goes, a person may think as long as he likes, and the other kind of data set stays; what
stands in the place of a file of ours is refused."""

import os
import pty
import signal
import subprocess
import time

import harness as h

SMALL = ["--set", "memory.budget=16MiB", "--set", "partitions.count=3"]


def names(w):
    return sorted(os.listdir(w.data))


def killed_sort(w, prefix=()):
    """Leaves the unpublished directory of a sort that is gone."""
    process = subprocess.Popen([*prefix, h.BIN / "sluice", "sort", *w.options, *SMALL], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 30
    while not any((w.data / name / "OWNER.json").exists() for name in names(w) if name.startswith(".partial-")):
        h.check(time.monotonic() < deadline and process.poll() is None, "the sort had ended before it was killed")
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return [name for name in names(w) if name.startswith(".partial-")]


def clean(w, *words, ranks=0):
    return h.sluice(["clean", *words, *w.options], ranks=ranks)


def dry_run_removes_nothing():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 200000, *w.options]), "gen")
        left = killed_sort(w)
        run = left[0].removeprefix(".partial-")
        for which in ("all", run):
            out = h.must(clean(w, "--run", which, "--dry-run"), f"--run {which} --dry-run")
            h.check("would be removed" in out and left[0] in out and names(w).count(left[0]) == 1, f"{which}: {out}, left {names(w)}")
        out = h.must(clean(w, "--run", "0" * 32), "--run of nobody")
        h.check("nothing to remove of run 000" in out and left[0] in names(w), out)
        out = h.must(clean(w, "--run", "all"), "--run all")
        h.check("removed what dead" in out and names(w) == ["input"], f"{out}, left {names(w)}")
        code, _, err = clean(w, "--run", "all", "--input")
        h.check(code == 2 and "leave out one" in err, f"{code}: {err}")


def force_lists_what_it_takes():
    if os.geteuid() != 0:
        return print("skipped: a pid namespace needs root")
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 200000, *w.options]), "gen")
        left = killed_sort(w, prefix=["unshare", "-p", "-f", "--kill-child=KILL", "--mount-proc"])
        deadline = time.monotonic() + 10
        while True:  # until the kernel has let go of its lock
            code, out, err = clean(w, "--dry-run", "--force")
            if "by --force" in out or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        h.check(code == 0 and "by --force, though it may live" in out and left[0] in out, f"{code}: {out}{err}")
        code, out, err = clean(w, "--run", "all")
        h.check(code == 0 and "nothing to remove of dead runs" in out and "cannot be asked" in err, f"{code}: {out}{err}")
        out = h.must(clean(w, "--yes", "--force"), "clean --yes --force")
        h.check("by --force" in out and "removed what dead" in out and names(w) == ["input"], f"{out}, left {names(w)}")


def the_other_kind_stays():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 2000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        before = h.snapshot(w.data)
        code, out, err = clean(w, "--yes", "--set", "output.name=input")
        h.check(code == 0 and "nothing to remove" in out and "is input that was generated" in err, f"{code}: {out}{err}")
        raw = h.write_records(w, "a.dat", [os.urandom(100) for _ in range(100)])
        for words in (["sort", *SMALL, "--set", f"input.paths={raw}/a.dat", "--set", "output.name=input"],
                      ["gen", "--records", 100, "--set", "input.name=sorted"]):
            code, out, err = h.sluice([*words, *w.options, "--set", "run.overwrite=true"])
            h.check(code == 2 and ("generated" in err or "sorted output" in err), f"{words}: {code}: {out}{err}")
        h.check(h.snapshot(w.data) == before, "something was changed")


def what_stays_stays():
    """A file that is named like a part, and a directory: said to stay, and no later verb takes them."""
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 2000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        (w.data / "sorted" / "part-000099").write_text("precious")
        (w.data / "sorted" / "mine").mkdir()
        code, out, err = clean(w, "--yes")
        h.check(code == 0 and "part-000099" in out + err and "mine" in out + err, f"{code}: {out}{err}")
        there = lambda: sorted(p.name for p in (w.data / "sorted").iterdir()) == ["mine", "part-000099"] and names(w) == ["input", "sorted"]
        h.check(there(), f"left {names(w)}")
        for words, expected in ((["sort", *SMALL], 2), (["sort", *SMALL, "--set", "run.overwrite=true"], 2), (["clean", "--yes"], 0), (["clean", "--run", "all"], 0),
                                (["sort", *SMALL, "--set", "output.name=other"], 0)):
            code, out, err = h.sluice([*words, *w.options])
            h.check(code == expected and "removed what" not in out + err, f"{words}: {code}: {out}{err}")
            if words[-1] == "output.name=other":
                h.must(clean(w, "--yes", "--set", "output.name=other"), "clean other")
            h.check(there() and (w.data / "sorted" / "part-000099").read_text() == "precious", f"{words}: left {names(w)}")


def a_disk_that_a_later_set_does_not_use():
    """Of a set on two disks, replaced by one on one disk, half is left: overwrite and clean of both take it."""
    for last in (["sort", *SMALL, "--set", "run.overwrite=true"], ["sort", *SMALL, "--set", "run.overwrite=first"], ["clean", "--yes"]):
        with h.Workspace() as w:
            second = w.path / "second"
            second.mkdir()
            both = [h.config_of_disks(w.path / "both.toml", [w.data, second]), *w.options[2:]]
            h.must(h.sluice(["gen", "--records", 2000, *w.options]), "gen")
            raw = ["--set", f"input.paths={w.data}/input/data-*"]
            h.must(h.sluice(["sort", *SMALL, *raw, *both]), "sort on two")
            h.must(h.sluice(["sort", *SMALL, *raw, *w.options, "--set", "run.overwrite=true"]), "sort on one")
            h.check((second / "sorted").exists(), "nothing was left, nothing is shown")
            code, out, err = h.sluice([*last, *raw, *both])
            h.check(code == 0, f"{last}: {code}: {out}{err}")
            if last[0] == "sort":
                h.must(h.sluice(["validate", *raw, *both]), f"validate after {last}")
            else:
                h.check(os.listdir(second) == [] and names(w) == ["input"], f"left {names(w)} {os.listdir(second)}")


def a_person_may_think():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 2000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        ours, theirs = pty.openpty()
        process = subprocess.Popen([h.BIN / "sluice", "clean", *w.options, "--set", "run.watchdog=2s"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        time.sleep(5)
        h.check(process.poll() is None, f"it did not wait: {process.poll()}")
        os.write(ours, b"y\n")
        said = b""
        try:
            while b"removed" not in said.split(b"[y/N]")[-1]:
                said += os.read(ours, 4096)
        except OSError:
            pass
        code = process.wait(30)
        os.close(ours)
        h.check(code == 0 and names(w) == ["input"], f"{code}: {said!r}{process.stderr.read()!r}, left {names(w)}")


def open_disks_are_refused():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 2000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        w.data.chmod(0o777)
        for words in (["--yes"], ["--run", "all"]):
            code, _, err = clean(w, *words, ranks=2)
            h.check(code == 3 and "any user may" in err and names(w) == ["input", "sorted"], f"{words}: {code}: {err}")
        w.data.chmod(0o755)
        code, out, err = h.run(["prlimit", "--nofile=4", h.BIN / "sluice", "clean", "--yes", *w.options])
        h.check(code == 3 and "EMFILE" in err and names(w) == ["input", "sorted"], f"{code}: {out}{err}")


def a_manifest_holds_nothing_but_itself():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 2000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        for directory, verb in (("input", ["sort", *SMALL, "--set", "run.overwrite=true"]), ("sorted", ["validate"])):
            manifest = w.data / directory / "MANIFEST.json"
            good = manifest.read_bytes()
            manifest.write_bytes(good + bytes(4000))
            code, out, err = h.sluice([*verb, *w.options])
            h.check(code == 6 and "zero byte" in err, f"{verb}: {code}: {out}{err}")
            manifest.write_bytes(good)
        (w.data / "input" / "MANIFEST.json").write_bytes((w.data / "sorted" / "MANIFEST.json").read_bytes())
        for verb in (["sort", *SMALL, "--set", "run.overwrite=true"], ["validate"]):
            code, out, err = h.sluice([*verb, *w.options])
            h.check(code == 6 and "is of kind 'sorted'" in err, f"{verb}: {code}: {out}{err}")
        code, _, err = h.sluice(["sort", *w.options, "--set", f"output.name=sluice-{'0' * 32}-logs"])
        h.check(code == 2 and "run's own directory" in err, f"{code}: {err}")


h.main([dry_run_removes_nothing, force_lists_what_it_takes, the_other_kind_stays, what_stays_stays, a_disk_that_a_later_set_does_not_use,
        a_person_may_think, open_disks_are_refused,
        a_manifest_holds_nothing_but_itself])
