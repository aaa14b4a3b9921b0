"""scripts/launch.sh: exit codes through launchers that hide them, signals, and what a rank is told when it is badly bound."""

import json
import os
import shutil
import signal
import subprocess
import time

import harness as h

LAUNCH = h.REPO / "scripts" / "launch.sh"


def fake_launcher(w, body):
    """A directory with an mpirun of ours that does what `body` says."""
    path = w.path / "bin"
    path.mkdir(exist_ok=True)
    (path / "mpirun").write_text("#!/bin/sh\n" + body)
    (path / "mpirun").chmod(0o755)
    return {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "SLURM_JOB_ID": ""}


def leave_error(code, rank=0):
    return f"""echo '{json.dumps({"exit_code": code, "rank": rank})}' >"$SLUICE_LAUNCH_STATUS/error-r{rank:05}.json"\n"""


def exit_code_is_the_ranks_whatever_the_launcher_says():
    cases = [
        ("exit 0", 0), ("exit 6", 6),
        (leave_error(7) + "exit 205", 7), (leave_error(5) + "exit 1", 5), (leave_error(9) + "exit 137", 9),
        ("exit 137", 7), ("exit 205", 7), ("exit 110", 7), ("exit 139", 1), ("exit 143", 8),
        (leave_error(8) + "exit 137", 7),   # killed: the others only heard the launcher's signal
        (leave_error(8) + "exit 1", 8),
        (leave_error(5, 1) + "sleep 0.05\n" + leave_error(7, 0) + "exit 7", 5),   # the first cause
    ]
    with h.Workspace() as w:
        for body, code in cases:
            got, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env=fake_launcher(w, body))
            h.check(got == code, f"{body!r}: exit code {got} instead of {code}: {out}{err}")
        temporary = w.path / "tmp"
        temporary.mkdir()
        h.run([LAUNCH, "-n", "2", "--", "true"], env={**fake_launcher(w, leave_error(5) + "exit 5"), "TMPDIR": str(temporary)})
        h.check(list(temporary.iterdir()) == [], "the status directory stays")


def signals_reach_the_launcher_and_end_in_eight():
    for number, name in ((signal.SIGTERM, "TERM"), (signal.SIGINT, "INT")):
        with h.Workspace() as w:
            mark = w.path / "got"
            env = fake_launcher(w, f"trap 'echo {name} >{mark}; exit 1' {name}\n: >{w.path}/ready\nwhile :; do sleep 0.05; done\n")
            process = subprocess.Popen([LAUNCH, "-n", "2", "--", "true"], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 20
            while not (w.path / "ready").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(number)
            try:
                code = process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise h.Failed(f"SIG{name} did not end the launcher") from None
            h.check(mark.exists() and mark.read_text().strip() == name, f"SIG{name} was not passed on")
            h.check(code == 8, f"SIG{name}: exit code {code}")


def arguments_arrive_as_they_were_given():
    with h.Workspace() as w:
        env = fake_launcher(w, 'for a in "$@"; do printf "<%s>" "$a"; done\n')
        out = h.must(h.run([LAUNCH, "-n", "2", "--timeout", "9", "--", "prog", "a b", "", "*"], env=env), "launch")
        h.check(out.endswith("<prog><a b><><*>") and "<--timeout><9>" in out and "<oob_tcp_keepalive_time><10>" in out, out)


def badly_bound_rank_is_told_once_with_the_fix():
    with h.Workspace() as w:
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        h.must(h.sluice(["gen", *w.options, "--records", 40000]), "gen")
        sort = [h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"]
        cores = len(os.sched_getaffinity(0))
        code, _, err = h.run(["mpirun", *root, "-n", "1", "--bind-to", "core", "--mca", "pml", "ob1", *sort], timeout=60)
        told = [line for line in err.splitlines() if line.startswith("note: the launcher has tied")]
        h.check(code == 0, err)
        if cores >= 2:
            h.check(len(told) == 1 and "may use 1 core(s)" in told[0] and "--bind-to none" in told[0], err)
        code, _, err = h.run([LAUNCH, "-n", "2", "--timeout", "60", "--", *sort], timeout=90)
        h.check(code == 0 and "note: the launcher has tied" not in err, err)


def under_slurm_an_interrupt_ends_the_tasks():
    """srun itself answers a first SIGINT with a list of its tasks and goes on."""
    with h.Workspace() as w:
        fake = w.path / "srun"
        fake.write_text("#!/bin/bash\ntrap 'echo INT >>\"$HEARD\"' INT\ntrap 'echo TERM >>\"$HEARD\"; exit 143' TERM\necho ready >>\"$HEARD\"\nfor i in {1..100}; do sleep 0.1; done\n")
        fake.chmod(0o755)
        for number in (signal.SIGINT, signal.SIGTERM):
            heard = w.path / f"heard-{number.name}"
            env = {**os.environ, "PATH": f"{w.path}:{os.environ['PATH']}", "HEARD": str(heard)}
            process = subprocess.Popen([h.REPO / "scripts" / "launch.sh", "--slurm", "-n", "1", "--", h.BIN / "sluice", "sysinfo"], env=env, stdin=subprocess.DEVNULL)
            while not heard.exists():
                h.check(process.poll() is None, "ended before the signal")
                time.sleep(0.02)
            begin = time.monotonic()
            process.send_signal(number)
            code = process.wait(timeout=20)
            h.check(code == 8 and time.monotonic() - begin < 2 and heard.read_text() == "ready\nTERM\n", f"{number.name}: exit code {code}, srun heard {heard.read_text()}")


def tasks_of_srun_without_mpi_are_refused():
    with h.Workspace() as w:
        code, out, err = h.run([h.BIN / "sluice", "config", "show", *w.options], env={"SLURM_STEP_NUM_TASKS": "2"}, timeout=60)
        h.check(code == 2 and "--mpi=pmix" in err, f"{code}: {out}{err}")
        h.must(h.run([h.BIN / "sluice", "config", "show", *w.options], env={"SLURM_STEP_NUM_TASKS": "1"}, timeout=60), "one task")


def nobody_looks_for_screens_or_asks_name_servers_at_the_start():
    if shutil.which("strace") is None:
        print("skipped: needs strace")
        return
    with h.Workspace() as w:
        def asked(env):
            trace = w.path / "trace"
            h.must(h.run(["strace", "-f", "-o", trace, "-e", "trace=connect", LAUNCH, "-n", "2", "--", h.BIN / "sluice", "config", "show"], env=env, timeout=90), "config show")
            lines = trace.read_text().splitlines()
            h.check(any("connect(" in line for line in lines), "mpirun and ranks did not even connect to each other: nothing was traced")
            return [line for line in lines if "X11-unix" in line or "htons(53)" in line]
        h.check(asked({}) == [], "X servers or name servers were asked")
        if asked({"HWLOC_COMPONENTS": "linux"}) == []:
            print("note: this mpirun has no hwloc plugin that looks for screens")


h.main([exit_code_is_the_ranks_whatever_the_launcher_says, signals_reach_the_launcher_and_end_in_eight, arguments_arrive_as_they_were_given,
        badly_bound_rank_is_told_once_with_the_fix, tasks_of_srun_without_mpi_are_refused, under_slurm_an_interrupt_ends_the_tasks,
        nobody_looks_for_screens_or_asks_name_servers_at_the_start])
