"""Disks and directories that are not as they usually are: layers, attributes, protections, links, missing disks, a results folder
in a data set, kernels without openat2. What is refused is refused before the work, what is there can be removed, and nothing else goes."""

import contextlib
import os
import shutil
import struct
import subprocess
import time

import harness as h

SMALL = ["--set", "memory.budget=32MiB"]
OVERWRITE = ["--set", "run.overwrite=true"]


@contextlib.contextmanager
def overlay(w):
    """Options of a disk whose data sets lie in the lower layer of an overlay; None where that cannot be mounted."""
    lower, top = w.path / "lower", w.path / "top"
    for directory in (lower, top, w.path / "upper", w.path / "work"):
        directory.mkdir()
    of_disk = lambda path: ["--set", f"disks.path={path}", "--set", f"results.dir={w.path}/results", "--set", "io.direct=attempt", *SMALL]
    h.must(h.sluice(["gen", "--records", 5000, *of_disk(lower)]), "gen")
    h.must(h.sluice(["sort", *of_disk(lower)]), "sort")
    layers = f"lowerdir={lower},upperdir={w.path}/upper,workdir={w.path}/work,redirect_dir=off"
    if os.geteuid() != 0 or h.run(["mount", "-t", "overlay", "-o", layers, "overlay", top])[0] != 0:
        print("skip  no overlay")
        yield None, None
        return
    try:
        yield top, of_disk(top)
    finally:
        h.run(["umount", top])


def a_set_in_a_lower_layer_can_be_read_and_removed_and_is_not_replaced_in_vain():
    with h.Workspace() as w, overlay(w) as (top, options):
        if top is None:
            return
        h.must(h.sluice(["validate", *options]), "validate")
        code, out, err = h.sluice(["sort", *options, *OVERWRITE])
        h.check(code == 3 and "RESULT" not in out and "lower layer" in err and "sluice clean" in err, f"overwrite: exit {code}: {out}{err}")
        h.must(h.sluice(["validate", *options]), "validate after a refused overwrite")
        h.must(h.sluice(["clean", "--yes", *options]), "clean")
        h.check(not (top / "sorted").exists() and (top / "input").exists(), f"left: {list(top.iterdir())}")
        h.must(h.sluice(["sort", *options]), "sort anew")


@contextlib.contextmanager
def attribute(path, which):
    """None where the file system or this user cannot set it."""
    done = os.geteuid() == 0 and h.run(["chattr", "+" + which, path])[0] == 0
    try:
        yield done or None
    finally:
        if done:
            h.run(["chattr", "-" + which, path])


def what_may_not_be_renamed_is_found_out_before_the_work():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 5000, *w.options]), "gen")
        with attribute(w.data, "a") as set_it:
            if set_it is None:
                print("skip  no attributes")
                return
            code, out, err = h.sluice(["sort", *w.options, *SMALL])
            h.check(code == 3 and "phase one" not in out and "append-only" in err, f"an append-only disk: exit {code}: {out}{err}")
        h.must(h.sluice(["clean", "--run", "all", *w.options]), "clean")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        before = h.snapshot(w.data / "sorted")
        with attribute(w.data / "sorted", "i"):
            code, out, err = h.sluice(["sort", *w.options, *SMALL, *OVERWRITE])
            h.check(code == 3 and "RESULT" not in out and "immutable" in err, f"an immutable set: exit {code}: {out}{err}")
        h.check(h.snapshot(w.data / "sorted") == before, "the old set has changed")
        h.check(sorted(p.name for p in w.data.iterdir()) == ["input", "sorted"], f"left: {list(w.data.iterdir())}")


def one_file_that_may_not_be_removed_stops_nothing_else():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 5000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL, "--set", "partitions.count=4"]), "sort")
        part = w.parts()[1]
        with attribute(part, "i") as set_it:
            if set_it is None:
                print("skip  no attributes")
                return
            code, out, err = h.sluice(["clean", "--yes", *w.options])
            left = [p for p in w.data.rglob("part-*")]
            h.check(part.name in err + out and [p.name for p in left] == [part.name], f"exit {code}: {out}{err}: left {left}")
            part = left[0]
            h.run(["chattr", "-i", part])
        for _ in range(2):
            h.must(h.sluice(["clean", "--yes", *w.options]), "clean again")
        h.check(sorted(p.name for p in w.data.iterdir()) == ["input"], f"left: {list(w.data.iterdir())}")


def write_protected_files_of_a_user_are_his_to_remove():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        print("skip  needs root and setpriv")
        return
    with h.Workspace() as w:
        w.path.chmod(0o755)
        (w.path / "results").mkdir()
        for path in (w.data, w.path / "results"):
            os.chown(path, 65534, 65534)
        user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", h.BIN / "sluice"]
        run = lambda *words: h.run([*user, *words, *w.options, *SMALL], env={"XDG_RUNTIME_DIR": "/nonexistent"})
        h.must(run("gen", "--records", "5000"), "gen")
        h.must(run("sort"), "sort")
        for path in (w.data / "sorted").iterdir():
            path.chmod(0o400)
        out = h.must(run("sort", *OVERWRITE), "overwrite")
        h.check("RESULT status=VALID" in out and sorted(p.name for p in w.data.iterdir()) == ["input", "sorted"], f"left: {list(w.data.iterdir())}")
        (w.data / "sorted").chmod(0o500)
        code, _, err = run("sort", *OVERWRITE)
        h.check(code == 3 and "chmod u+w" in err, f"a protected directory: exit {code}: {err}")
        (w.data / "sorted").chmod(0o700)
        h.must(run("clean", "--yes"), "clean")


def clean_works_where_no_file_can_be_made():
    with h.Workspace() as w:
        image, disk = w.path / "image", w.path / "small"
        disk.mkdir()
        with open(image, "wb") as file:
            file.truncate(200 << 20)
        mounted = os.geteuid() == 0 and h.run(["mkfs.ext4", "-q", "-N", "64", image])[0] == 0 and h.run(["mount", "-o", "loop", image, disk])[0] == 0
        if not mounted:
            print("skip  no mounts")
            return
        try:
            options = ["--set", f"disks.path={disk}", "--set", f"results.dir={w.path}/results", "--set", "io.direct=attempt", *SMALL]
            h.must(h.sluice(["gen", "--records", 2000, *options]), "gen")
            h.must(h.sluice(["sort", *options]), "sort")
            (disk / "fill").mkdir()
            with contextlib.suppress(OSError):
                for number in range(100000):
                    (disk / "fill" / str(number)).touch()
            h.check(os.statvfs(disk).f_ffree == 0, "there are inodes left")
            h.must(h.sluice(["clean", "--yes", *options]), "clean")
            h.check(not (disk / "sorted").exists(), "the set is still there")
        finally:
            h.run(["umount", disk])


def results_in_the_place_of_a_data_set_are_refused():
    with h.Workspace() as w:
        disk = ["--set", f"disks.path={w.data}", "--set", "run.progress=none", *SMALL]
        for name, verb in (("input", ["gen", "--records", 100]), ("sorted", ["sort"])):
            for inside in ("", "/res", "/a/b"):
                code, _, err = h.sluice([*verb, *disk, "--set", f"results.dir={w.data}/{name}{inside}"])
                h.check(code == 2 and "the place of a data set" in err and not (w.data / name).exists(), f"{name}{inside}: exit {code}: {err}")
            h.must(h.sluice([*verb, *disk, "--set", f"results.dir={w.data}/{name}-results"]), " ".join(map(str, verb)))


def a_disk_that_is_not_there_is_not_clean():
    with h.Workspace() as w:
        (w.path / "file").write_text("x")
        for path in (w.path / "nowhere", w.path / "file"):
            for words in (["--yes"], ["--run", "all"], ["--dry-run"], ["--yes", "--input"]):
                code, out, err = h.sluice(["clean", *words, "--set", f"disks.path={path}"])
                h.check(code == 3 and str(path) in err, f"{path} {words}: exit {code}: {out}{err}")


def launch_in_a_removed_directory_says_so():
    with h.Workspace() as w:
        gone = w.path / "gone"
        gone.mkdir()
        words = [h.REPO / "scripts" / "launch.sh", "-n", "2", "--", h.BIN / "sluice", "clean", "--dry-run", *w.options]
        done = subprocess.run(["timeout", "60", "sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *map(str, words)], cwd=gone, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        h.check(done.returncode == 2 and "working directory" in done.stderr, f"exit {done.returncode}: {done.stderr}")


def damage_to_the_inputs_manifest_is_never_called_gone():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 5000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        out = h.must(h.sluice(["validate", *w.options]), "validate")
        h.check('compared_with="the input\'s manifest"' in out, out)
        (w.data / "input").rename(w.path / "elsewhere")
        (w.data / "input").symlink_to(w.path / "elsewhere")
        code, out, err = h.sluice(["validate", *w.options])
        h.check(code == 0 and "is a link, and none is followed" in out + err and 'compared_with="the input as it was sorted"' in out, f"a link: exit {code}: {out}{err}")
        (w.data / "input").unlink()
        (w.path / "elsewhere").rename(w.data / "input")
        manifest = w.data / "input" / "MANIFEST.json"
        manifest.write_text(manifest.read_text().replace("5000", "5001"))
        code, out, err = h.sluice(["validate", *w.options])
        h.check(code == 6 and "VALID" not in out and "is gone" not in err, f"exit {code}: {out}{err}")
        manifest.unlink()
        with open(manifest, "wb") as file:
            file.truncate(600 << 20)
        code, out, err = h.sluice(["validate", *w.options])
        h.check(code == 6 and "MANIFEST.json" in err, f"an endless one: exit {code}: {out}{err}")


def a_part_that_no_manifest_lists_is_reported():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", 5000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        shutil.copy(w.parts()[0], w.data / "sorted" / "part-999999")
        code, out, err = h.sluice(["validate", *w.options])
        h.check(code == 0 and "stray_parts=1" in out and "part-999999" in err, f"exit {code}: {out}{err}")


def kernels_without_openat2_follow_no_link_either():
    with h.Workspace() as w:
        counter = w.path / "counter"
        counter.write_bytes(bytes(8))
        env = {"LD_PRELOAD": str(h.BIN.parent / "lib" / "libkill_before.so"), "KILL_BEFORE_COUNTER": str(counter), "NO_OPENAT2": "1"}
        run = lambda *words: h.sluice([*words, *w.options, *SMALL], env=env)
        h.must(run("gen", "--records", "5000"), "gen")
        h.must(run("sort"), "sort")
        h.must(run("sort", *OVERWRITE), "overwrite")
        precious = w.path / "precious"
        (w.data / "sorted").rename(precious)
        (w.data / "sorted").symlink_to(precious)
        before = h.snapshot(precious)
        code, out, err = run("clean", "--yes")
        h.check(h.snapshot(precious) == before and "is a link" in out + err, f"exit {code}: {out}{err}")
        code, out, err = run("sort", *OVERWRITE)
        h.check(code == 2 and h.snapshot(precious) == before, f"exit {code}: {out}{err}")
        h.check(struct.unpack("<Q", counter.read_bytes())[0] >= 4, "nobody asked for openat2")


def a_rename_that_replaces_what_is_full_is_found_out_before_the_work():
    with h.Workspace() as w:
        counter = w.path / "counter"
        counter.write_bytes(bytes(8))
        h.must(h.sluice(["gen", "--records", 5000, *w.options]), "gen")
        h.must(h.sluice(["sort", *w.options, *SMALL]), "sort")
        before = h.snapshot(w.data / "sorted")
        env = {"LD_PRELOAD": str(h.BIN.parent / "lib" / "libkill_before.so"), "KILL_BEFORE_COUNTER": str(counter), "RENAME_REPLACES": "1"}
        code, out, err = h.sluice(["sort", *w.options, *SMALL, *OVERWRITE], env=env)
        h.check(struct.unpack("<Q", counter.read_bytes())[0] > 0, "nothing was replaced: the test shows nothing")
        h.check(code == 3 and "in the place of one that is not empty" in err, f"exit {code}: {out}{err}")
        h.check(h.snapshot(w.data / "sorted") == before, f"the older set: {list(w.data.iterdir())}: {err}")
        h.must(h.sluice(["sort", *w.options, *SMALL, "--set", "output.name=other"], env=env), "sort to a free name")


def others_files_beside_the_claims_of_jobs_stay():
    with h.Workspace() as w:
        jobs = w.path / "run" / "sluice-jobs"
        jobs.mkdir(parents=True)
        victim = w.path / "victim"
        victim.mkdir()
        for path in (jobs / "job-list.txt", victim / "job-2026.csv", victim / "job-1-1"):
            path.write_text("mine")
        h.must(h.sluice(["gen", "--records", 1000, *w.options], env={"XDG_RUNTIME_DIR": str(jobs.parent)}), "gen")
        (w.path / "linked").mkdir()
        (w.path / "linked" / "sluice-jobs").symlink_to(victim)
        h.must(h.sluice(["sort", *w.options, *SMALL], env={"XDG_RUNTIME_DIR": str(w.path / "linked")}), "sort")
        for path in (jobs / "job-list.txt", victim / "job-2026.csv", victim / "job-1-1"):
            h.check(path.exists(), f"{path} has been removed")


def logs_of_a_live_run_are_nobodys_input():
    with h.Workspace() as w:
        record = ["--set", "record.size=128B"]
        h.must(h.sluice(["gen", "--records", 20000, *record, *w.options]), "gen")
        (w.path / "hold").touch()
        stopped = subprocess.Popen([str(word) for word in [h.BIN / "sluice", "sort", *record, *w.options, *SMALL, "--set", "passes=two", "--set", "keys.distribution=uniform"]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   env={**os.environ, "LD_PRELOAD": str(h.BIN.parent / "lib" / "libother_locks.so"), "OTHER_LOCKS_HOLD": str(w.path / "hold")})
        try:
            deadline = time.monotonic() + 60
            while not list(w.data.glob("sluice-*-logs/log-*")):
                h.check(stopped.poll() is None and time.monotonic() < deadline, "the first run made no logs")
                time.sleep(0.01)
            out = h.must(h.sluice(["sort", *record, *w.options, *SMALL, "--set", f"input.paths={w.data}/*/*", "--set", "output.name=other"]), "sort of all")
            h.check(h.result_line(out)["records"] == "20000", out)
        finally:
            (w.path / "hold").unlink(missing_ok=True)
            stopped.kill()
            stopped.wait()


h.main([a_set_in_a_lower_layer_can_be_read_and_removed_and_is_not_replaced_in_vain, what_may_not_be_renamed_is_found_out_before_the_work,
        one_file_that_may_not_be_removed_stops_nothing_else, write_protected_files_of_a_user_are_his_to_remove, clean_works_where_no_file_can_be_made,
        results_in_the_place_of_a_data_set_are_refused, a_disk_that_is_not_there_is_not_clean, launch_in_a_removed_directory_says_so,
        damage_to_the_inputs_manifest_is_never_called_gone, a_part_that_no_manifest_lists_is_reported, kernels_without_openat2_follow_no_link_either,
        a_rename_that_replaces_what_is_full_is_found_out_before_the_work,
        others_files_beside_the_claims_of_jobs_stay, logs_of_a_live_run_are_nobodys_input])
