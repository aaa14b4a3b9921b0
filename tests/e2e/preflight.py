"""What can be known before the first byte is refused before it, for all ranks in one message, and nothing is written."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import harness as h

ROOT = os.geteuid() == 0
SMALL = ["--set", "memory.budget=32MiB"]


def refused(w, code, needles, command, env=None, verb="sort", ranks=0):
    """The words after `sluice`, or a whole command where it begins with a path; one message, this code, no byte written."""
    before = h.snapshot(w.path)
    if isinstance(command[0], pathlib.Path):
        got, out, err = h.run(command, env=env, timeout=60)
    else:
        got, out, err = h.sluice([verb, *command], ranks=ranks, env=env, timeout=60)
    h.check(got == code, f"exit code {got} instead of {code}: {out}{err}")
    h.check(err.count("ERROR") == 1 and "RESULT" not in out, f"not one error message:\n{out}{err}")
    for needle in needles:
        h.check(needle in err, f"'{needle}' is not in: {err}")
    h.check(h.snapshot(w.path) == before, "files were written or changed")
    return err


def config_file(w, name, disks, rest=""):
    """disks: (path, role) pairs."""
    file = w.path / name
    tables = "".join(f'[[disks]]\npath = "{path}"\nrole = "{role}"\n' for path, role in disks)
    file.write_text(tables + f'[memory]\nbudget = "32MiB"\n[results]\ndir = "{w.path}/results"\n[run]\nprogress = "none"\n' + rest)
    return str(file)


def generated(w, records=40000):
    h.must(h.sluice(["gen", *w.options, "--records", records]), "gen")


def all_problems_of_all_ranks_come_in_one_message():
    with h.Workspace() as w:
        generated(w)
        (w.path / "r1").mkdir()   # {rank} expands: rank 1's directory is there, those of 0 and 2 are not
        config = config_file(w, "c.toml", [(w.data, "input"), (f"{w.path}/r{{rank}}", "intermediate"), (w.data, "output")], "[net]\nsend_buffers = 1\n")
        (w.data / "sorted").mkdir()
        err = refused(w, 2, [f"{w.path}/r0' on host", f"{w.path}/r2' on host", "net.send_buffers = 1", "x 2 peers", "is there already"], [config], ranks=3)
        h.check(f"{w.path}/r1'" not in err, f"rank 1 has nothing to complain about: {err}")


def paths_that_overlap_are_refused():
    with h.Workspace() as w:
        generated(w)
        link, other = w.path / "link", w.path / "other"
        link.symlink_to(w.data)
        other.mkdir()
        same = [(w.data, "input"), (w.data, "intermediate"), (link, "intermediate"), (w.data, "output")]
        refused(w, 2, ["are the same directory", str(link)], [config_file(w, "same.toml", same)], ranks=2)
        inside = [(w.data, "input"), (w.data, "intermediate"), (w.data / "input", "output")]
        refused(w, 2, ["lies in the input"], [config_file(w, "inside.toml", inside)])
        through = [(w.data, "input"), (w.data, "intermediate"), (link / "input", "output")]
        refused(w, 2, ["lies in the input"], [config_file(w, "through.toml", through)])
        holds = [(w.data, "input"), (w.data, "intermediate"), (w.path, "output")]
        refused(w, 2, ["would hold the input"], [config_file(w, "holds.toml", holds, f'overwrite = true\n[output]\nname = "disk"\n')])
        refused(w, 2, ["lies in the input"], [config_file(w, "equal.toml", [(link, "output"), (w.data, "intermediate"), (w.data, "input")], '[output]\nname = "input"\n')])
        scratch = [(w.data, "input"), (w.path / "other" / "deep", "intermediate"), (w.path, "output")]
        (other / "deep").mkdir()
        refused(w, 2, ["the intermediate disk"], [config_file(w, "scratch.toml", scratch, 'overwrite = true\n[output]\nname = "other"\n')])
        if ROOT:   # a bind mount has another path and no link in it
            bound = w.path / "bound"
            bound.mkdir()
            if h.run(["mount", "--bind", w.data / "input", bound])[0] == 0:
                try:
                    refused(w, 2, ["lies in the input"], [config_file(w, "bind.toml", [(w.data, "input"), (w.data, "intermediate"), (bound, "output")])])
                finally:
                    h.run(["umount", bound])


def input_that_is_no_file_is_refused():
    with h.Workspace() as w:
        generated(w)
        fifo, dangling, lists_itself = w.path / "fifo", w.path / "dangling", w.path / "loop"
        os.mkfifo(fifo)
        dangling.symlink_to(w.path / "nothing")
        lists_itself.symlink_to(lists_itself)
        for path, why in ((fifo, "is no regular file"), (w.data, "is no regular file"), ("/dev/null", "is no regular file"), (dangling, "dangling link"),
                          (lists_itself, "not there"), ("/" + "x" * 5000, "too long")):
            refused(w, 4, [why], [*w.options, *SMALL, "--set", f"input.paths={path}"])


def limits_of_the_machine_are_named_with_numbers():
    with h.Workspace() as w:
        generated(w)
        sluice = h.BIN / "sluice"
        refused(w, 3, ["memory.budget", "or its cgroup has", "left", "chunks", "partitions", "tags"], [*w.options, "--set", "memory.budget=900TiB"], ranks=2)
        command = [pathlib.Path(shutil.which("bash")), "-c", f'ulimit -n 40; exec "$0" "$@"', sluice, "sort", *w.options, *SMALL]
        refused(w, 3, ["files open at a time are needed", "may have 40", "ulimit -n"], command)
        refused(w, 2, ["too small to sort", "smallest that works is"], [*w.options, "--set", "memory.budget=1MiB", "--set", "partitions.count=1"])
        if shutil.which("strace"):
            trace = w.path.parent / f"{w.path.name}.trace"
            command = [pathlib.Path(shutil.which("strace")), "-f", "-o", trace, "-e", "trace=io_setup", "-e", "inject=io_setup:error=EAGAIN", sluice, "sort", *w.options, *SMALL]
            got, out, err = h.run(command, timeout=60)
            injected = trace.read_text().count("(INJECTED)")
            trace.unlink()
            h.check(injected > 0, "the fault did not fire")
            h.check(got == 3 and "aio-max-nr" in err and "RESULT" not in out, f"exit {got}: {err}")


def directories_that_cannot_be_written_are_refused():
    if not ROOT or shutil.which("setpriv") is None:
        print("skipped: needs root and setpriv to become nobody")
        return
    with h.Workspace() as w:
        generated(w)
        for path in (w.path, w.data, w.data / "input", *(w.data / "input").iterdir()):
            path.chmod(path.stat().st_mode | 0o055)
        nobody = [pathlib.Path(shutil.which("setpriv")), "--reuid=65534", "--regid=65534", "--clear-groups", h.BIN / "sluice", "sort"]
        refused(w, 3, ["intermediate disk", "output disk", "is not writable by this user", "results.dir"], [*nobody, *w.options, *SMALL])
        (w.data / "input" / "MANIFEST.json").chmod(0o600)
        own = w.path / "own"
        own.mkdir()
        own.chmod(0o1777)
        data = next((w.data / "input").glob("data-*"))
        data.chmod(0o600)
        words = ["--set", f"disks.path={own}", "--set", f"results.dir={own}/results", "--set", f"input.paths={data}", *SMALL]
        refused(w, 4, ["cannot be read by this user"], [*nobody, *words])


def small_file_systems_are_refused_by_space_or_by_what_they_cannot_do():
    if not ROOT or h.run(["sh", "-c", "command -v mkfs.ext4"])[0] != 0:
        print("skipped: needs root and mkfs.ext4")
        return
    with h.Workspace() as w:
        generated(w, 200000)
        image, disk = w.path / "image", w.path / "small"
        disk.mkdir()
        with open(image, "wb") as file:
            file.truncate(40 << 20)
        h.must(h.run(["mkfs.ext4", "-q", image]), "mkfs")
        if h.run(["mount", "-o", "loop", image, disk])[0] != 0:
            print("skipped: no loop devices here")
            return
        try:
            config = config_file(w, "c.toml", [(w.data, "input"), (w.data, "intermediate"), (disk, "output")])
            refused(w, 3, [str(disk), "needed for logs and output", "free"], [config], ranks=2)
            h.must(h.run(["mount", "-o", "remount,ro", disk]), "remount")
            refused(w, 3, [str(disk), "is not writable"], [config])
        finally:
            h.run(["umount", disk])


def overwriting_counts_both_sets_unless_the_old_one_goes_first():
    if not ROOT or h.run(["sh", "-c", "command -v mkfs.ext4"])[0] != 0:
        print("skipped: needs root and mkfs.ext4")
        return
    with h.Workspace() as w, h.Workspace() as backing:   # the image changes by what the mount's journal does
        generated(w, 200000)   # 20 MB; 54 MB are asked for, 16 MiB of them the room that each rank keeps
        image, disk = backing.path / "image", w.path / "small"
        disk.mkdir()
        with open(image, "wb") as file:
            file.truncate(80 << 20)
        h.must(h.run(["mkfs.ext4", "-q", "-m", "0", image]), "mkfs")
        if h.run(["mount", "-o", "loop", image, disk])[0] != 0:
            print("skipped: no loop devices here")
            return
        try:
            config = config_file(w, "c.toml", [(w.data, "input"), (w.data, "intermediate"), (disk, "output")])
            overwrite = [config, "--set", "run.overwrite=first"]
            h.must(h.sluice(["sort", config], ranks=2), "first sort")
            refused(w, 2, ["is there already"], [config], ranks=2)
            free = shutil.disk_usage(disk).free
            h.check(free < 54_000_000, f"{free} bytes free: the second sort would fit without removing anything")
            refused(w, 3, ["needed for logs and output", 'run.overwrite = "first"'], [config, "--set", "run.overwrite=true"], ranks=2)
            h.must(h.sluice(["sort", *overwrite], ranks=2), "sort over the first output")
            with open(disk / "filler", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - (4 << 20))
            refused(w, 3, ["needed for logs and output", "20.0 MB of the old set that run.overwrite removes"], overwrite, ranks=2)
            h.must(h.sluice(["validate", config]), "validate the output that stayed")
        finally:
            h.run(["umount", disk])


def memory_is_no_disk_unless_it_is_said():
    if h.run(["stat", "-f", "-c", "%T", "/dev/shm"])[1].strip() != "tmpfs":
        print("skipped: /dev/shm is no tmpfs here")
        return
    with h.Workspace() as w, tempfile.TemporaryDirectory(prefix="sluice-test.", dir="/dev/shm") as memory:
        generated(w)
        config = config_file(w, "c.toml", [(w.data, "input"), (memory, "intermediate"), (w.data, "output")])
        refused(w, 3, [memory, "no direct I/O: tmpfs is memory", 'io.direct = "attempt"'], [config], ranks=2)
        refused(w, 3, [memory, "tmpfs is memory"], ["--records", 100, "--set", f"disks.path={memory}"], verb="gen")
        in_memory = shutil.copy(w.inputs()[0], memory)
        plain = config_file(w, "p.toml", [(w.data, "intermediate"), (w.data, "output")])
        refused(w, 3, [memory, "tmpfs is memory"], [plain, "--set", f"input.paths={in_memory}"])
        for words, cached in ((["io.direct=attempt"], [memory]), (["io.direct=off"], [w.data, memory])):
            out = h.must(h.sluice(["sort", config, "--set", "run.overwrite=true", *(x for word in words for x in ("--set", word))], ranks=2), "sort")
            h.check(h.result_line(out).get("note") == "cached" and h.newest_result(w)["cached"], f"not marked as cached:\n{out}")
            for disk in cached:
                h.check(out.count(f"NOTE cached: disk '{disk}'") == 1, f"'{disk}' is not named once:\n{out}")
            h.check(out.count("NOTE cached") == len(cached), out)
        described = h.must(h.sluice(["config", "check", config, "--hosts", 1, "--input", "1GB", "--memory", "1GiB", "--cores", 2, "--set", "memory.budget=1GiB", "--set", "io.workers=3"]), "config check")
        h.check("phase one workers          3 reader" in described and "phase two workers          3 reader, 2 sorter, 3 writer" in described, described)
        # Each request is a copy by whoever submits it: as many of them as cores, where no disk is behind it, or as told.
        cores = min(len(os.sched_getaffinity(0)), 4)
        for words, workers in (([], 1), (["io.direct=off"], cores), (["io.direct=off", "io.workers=3"], 3), (["io.workers=2"], 2)):
            words = [x for word in ["run.overwrite=true", "io.direct=attempt", *words] for x in ("--set", word)]
            out = h.must(h.sluice(["sort", config, *words]), "sort")
            rank = h.newest_result(w)["ranks"][0]
            found = [stage["workers"] for phase in ("phase_one", "phase_two") for stage in rank[phase]["stages"] if stage["stage"] in ("reader", "writer")]
            h.check(h.result_line(out)["status"] == "VALID" and found == 4 * [workers], f"{words}: {found}, not {workers}:\n{out}")
        out = h.must(h.sluice(["sort", *w.options, *SMALL, "--set", "run.overwrite=true"]), "sort by direct I/O")
        h.check("cached" not in out and not h.newest_result(w)["cached"], out)


def sections_of_hosts_that_are_not_there_are_reported():
    with h.Workspace() as w:
        generated(w)
        name = os.uname().nodename
        disks = [(w.data, role) for role in ("input", "intermediate", "output")]
        config = config_file(w, "c.toml", disks, f'[hosts."{name}"]\nweight = 2.0\n[hosts."{name}x"]\nweight = 0.5\n')
        for words in (["config", "check", config], ["sort", config]):
            code, out, err = h.sluice(words, ranks=2)
            h.check(code == 0 and err.count("warning: [hosts.") == 1 and f'[hosts."{name}x"]: no rank runs' in err, f"exit {code}: {err}")
            h.check(f'did you mean [hosts."{name}"]?' in err, err)
        for words in (["config", "show", config], ["config", "check", config, "--hosts", 2, "--input", "1GB", "--memory", "1GiB", "--cores", 2]):
            code, out, err = h.sluice(words)
            h.check(code == 0 and "warning" not in err, f"not about this host: exit {code}: {err}")


def unwritable_results_are_found_before_and_not_after_the_sort():
    with h.Workspace() as w:
        generated(w)
        in_the_way = w.path / "file"
        in_the_way.write_text("x")
        options = ["--set", f"disks.path={w.data}", "--set", f"results.dir={in_the_way}/results", "--set", "run.progress=none", *SMALL]
        refused(w, 3, ["results.dir"], options)


def ranks_that_differ_are_refused_with_a_table():
    with h.Workspace() as w:
        generated(w)
        copy = w.path / "sluice"
        shutil.copy(h.BIN / "sluice", copy)
        program, said = copy.read_bytes(), b"record format 1"
        h.check(said in program, "the program does not say what was to be changed in it")
        copy.write_bytes(program.replace(said, b"record format 9"))   # the program of another commit
        mpirun = [pathlib.Path(shutil.which("mpirun")), "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1"]
        env = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        words = ["sort", *w.options, *SMALL]

        def together(*one):
            return [*mpirun, "-n", "1", h.BIN / "sluice", *words, ":", "-n", "1", *one, ":", "-n", "1", h.BIN / "sluice", *words]

        refused(w, 2, ["program | rank 0,2 |", "program | rank 1 |"], together(copy, *words), env=env)
        refused(w, 2, ["words | rank 0,2 |", "words | rank 1 |", "io.depth=3"], together(h.BIN / "sluice", *words, "--set", "io.depth=3"), env=env)
        refused(w, 2, ["words | rank 1 |", "validate"], together(h.BIN / "sluice", "validate", *w.options), env=env)


def config_check_prints_the_plan_and_a_smallest_budget_that_is_one():
    with h.Workspace() as w:
        generated(w, 400000)
        for ranks, cores in ((1, 0), (3, 0)):
            check = lambda budget: h.sluice(["config", "check", *w.options, "--set", f"memory.budget={budget}"], ranks=ranks)
            out = h.must(check("96MiB"), "config check")
            for needle in ("partitions of", "read buffers", "chunks", "partition slots", "tags", "write buffers", "per intermediate disk", "per output disk", "floors",
                           "thread(s) on core(s)", *(["send buffers", "receive buffers"] if ranks > 1 else [])):
                h.check(needle in out, f"'{needle}' is not in:\n{out}")
            each = int(re.search(r"smallest budget that works: (\d+)MiB", out).group(1))
            h.must(h.sluice(["sort", *w.options, "--set", f"memory.budget={each * ranks}MiB", "--set", "run.overwrite=true"], ranks=ranks), f"sort in the smallest budget, {each} MiB")
            h.must(h.sluice(["validate", *w.options], ranks=ranks), "validate")
            shutil.rmtree(w.data / "sorted")
            if each > 1:
                code, _, err = check(f"{each * ranks - ranks}MiB")
                h.check(code == 2 and "too small" in err, f"one MiB less works too: {code} {err}")


def all_empty_input_sorts_to_an_empty_output():
    with h.Workspace() as w:
        empty = [w.path / "a.dat", w.path / "b.dat"]
        for path in empty:
            path.touch()
        out = h.must(h.sluice(["sort", *w.options, *SMALL, "--set", f"input.paths={w.path}/*.dat"], ranks=2), "sort of empty files")
        h.check(h.result_line(out)["records"] == "0" and (w.data / "sorted" / "MANIFEST.json").exists(), out)
        h.must(h.sluice(["validate", *w.options, "--set", f"input.paths={w.path}/*.dat"], ranks=2), "validate")


h.main([all_problems_of_all_ranks_come_in_one_message, paths_that_overlap_are_refused, input_that_is_no_file_is_refused, limits_of_the_machine_are_named_with_numbers,
        directories_that_cannot_be_written_are_refused, small_file_systems_are_refused_by_space_or_by_what_they_cannot_do,
        overwriting_counts_both_sets_unless_the_old_one_goes_first, memory_is_no_disk_unless_it_is_said, sections_of_hosts_that_are_not_there_are_reported,
        unwritable_results_are_found_before_and_not_after_the_sort, ranks_that_differ_are_refused_with_a_table,
        config_check_prints_the_plan_and_a_smallest_budget_that_is_one, all_empty_input_sorts_to_an_empty_output])
