"""What a run finds around it: variables of others, a working directory that is gone, a program that cannot be read."""

import os
import shutil
import subprocess

import harness as h


def variables_of_module_systems_are_no_options():
    with h.Workspace() as w:
        words = ["gen", *w.options, "--records", 1000, "--set", "run.overwrite=true"]
        for name in ("ROOT", "HOME", "DIR", "VERSION", "LIB", "BIN"):
            code, _, err = h.sluice(words, env={f"SLUICE_{name}": "/opt/sluice"})
            h.check(code == 0 and "SLUICE_" not in err, f"SLUICE_{name}: exit {code}: {err}")
        for ranks in (0, 2):
            code, _, err = h.sluice(words, ranks=ranks, env={"SLUICE_INCLUDE_DIR": "/opt/sluice"})
            h.check(code == 0 and err.count("WARNING environment SLUICE_INCLUDE_DIR") == 1, f"exit {code}: {err}")
        code, _, err = h.sluice(words, env={"SLUICE_IO_DEPHT": "3"})
        h.check(code == 2 and "did you mean SLUICE_IO_DEPTH?" in err, f"a misspelt option: exit {code}: {err}")


def in_removed_directory(w, words):
    gone = w.path / "gone"   # on one rank: mpirun itself refuses to start there
    gone.mkdir()
    done = subprocess.run(["timeout", "60", "sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", str(h.BIN / "sluice"), *map(str, words)], cwd=gone,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    h.check(not gone.exists(), "the directory is still there")
    return done.returncode, done.stdout, done.stderr


def a_removed_working_directory_is_refused_or_not_needed():
    with h.Workspace() as w:
        h.must(h.sluice(["gen", *w.options, "--records", 20000]), "gen")
        disk = ["--set", f"disks.path={w.data}", "--set", "memory.budget=64MiB"]
        before = h.snapshot(w.path)
        for words in (["sort"], ["validate", "--set", "output.name=input"], ["gen", "--records", "10"], ["clean"], ["config", "show"], ["config", "check"],
                      ["shuffle", "--records", "1000"], ["bench", "disk", "--two-pass-copy"]):
            code, _, err = in_removed_directory(w, [*words, *disk])
            h.check(code == 2 and err.count("ERROR") == 1 and "results.dir" in err and "working directory" in err, f"{words}: exit {code}: {err}")
        h.check(h.snapshot(w.path) == before, "something was written")
        code, out, err = in_removed_directory(w, ["sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"])
        h.check(code == 0 and h.result_line(out)["status"] == "VALID", f"an absolute results.dir: exit {code}: {out}{err}")


def a_program_that_may_only_be_executed_runs():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        print("skip  needs root and setpriv: root may read everything")
        return
    with h.Workspace() as w:
        w.path.chmod(0o755)
        program = w.path / "sluice"
        shutil.copy(h.BIN / "sluice", program)
        program.chmod(0o111)
        os.chown(w.data, 65534, 65534)
        (w.path / "results").mkdir()
        os.chown(w.path / "results", 65534, 65534)
        as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        code, _, _ = h.run([*as_nobody, "cat", program])
        h.check(code != 0, "this user can read the program: the test shows nothing")
        env = {"HOME": str(w.path), "TMPDIR": "/tmp", "HWLOC_COMPONENTS": "-gl"}
        h.must(h.run([*as_nobody, program, "gen", *w.options, "--records", 20000], env=env), "gen")
        for ranks in (1, 2):
            launched = ["mpirun", "-n", ranks, "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1"] if ranks > 1 else []
            out = h.must(h.run([*as_nobody, *launched, program, "sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"],
                               env=env, cwd=w.data), f"sort on {ranks}")
            h.check(h.result_line(out)["status"] == "VALID", out)


h.main([variables_of_module_systems_are_no_options, a_removed_working_directory_is_refused_or_not_needed, a_program_that_may_only_be_executed_runs])
