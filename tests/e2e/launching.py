"""scripts/launch.sh: exit codes through launchers that hide them, signals, and what a rank is told when it is badly bound."""

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import harness as h

LAUNCH = h.REPO / "scripts" / "launch.sh"


def fake_launcher(w, body):
    """A directory with an mpirun of ours that does what `body` says."""
    path = w.path / "bin"
    path.mkdir(exist_ok=True)
    (path / "mpirun").write_text("#!/bin/sh\n" + body)
    (path / "mpirun").chmod(0o755)
    return {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "SLURM_JOB_ID": ""}


def at_once(function, cases):
    """function(*case) of all, four at a time: most of each is waiting. Ends by the first failure."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda case: function(*case), cases))


def leave_error(code, rank=0):
    return f"""echo '{json.dumps({"exit_code": code, "rank": rank})}' >"$SLUICE_LAUNCH_STATUS/error-r{rank:05}.json"\n"""


def in_init(rank):
    return f""": >"$SLUICE_LAUNCH_STATUS/in-init-r{rank:05}"\n"""


def exit_code_is_the_ranks_whatever_the_launcher_says():
    cases = [
        ("exit 0", 0), ("exit 6", 6),
        (leave_error(7) + "exit 205", 7), (leave_error(5) + "exit 1", 5), (leave_error(9) + "exit 137", 9),
        ("exit 137", 7), ("exit 205", 7), ("exit 110", 7), ("exit 139", 1), ("exit 143", 8),
        (leave_error(8) + "exit 137", 7),   # killed: the others only heard the launcher's signal
        (leave_error(8) + "exit 1", 8),
        # Ended because of another, which left no word: the launcher's code is that one's.
        (leave_error(8) + "exit 3", 3), (leave_error(8) + "exit 5", 5), (leave_error(8) + "exit 77", 7), (leave_error(8) + "exit 8", 8),
        (in_init(0) + in_init(1) + leave_error(8, 0) + "exit 1", 3), (in_init(0) + in_init(1) + "exit 1", 3), (in_init(1) + "exit 137", 7),
        (in_init(0) + in_init(1) + leave_error(8, 0) + leave_error(8, 1) + "exit 1", 8), ("exit 1", 1),
        (leave_error(5, 1) + "sleep 0.05\n" + leave_error(7, 0) + "exit 7", 5),   # the first cause
    ]
    with h.Workspace() as w:
        env = fake_launcher(w, 'eval "$BODY"\n')

        def launch(body, code):
            got, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env={**env, "BODY": body})
            h.check(got == code, f"{body!r}: exit code {got} instead of {code}: {out}{err}")

        at_once(launch, cases)
        temporary = w.path / "tmp"
        temporary.mkdir()
        h.run([LAUNCH, "-n", "2", "--", "true"], env={**fake_launcher(w, leave_error(5) + "exit 5"), "TMPDIR": str(temporary)})
        h.check(list(temporary.iterdir()) == [], "the status directory stays")


def end_before_or_in_mpi_init_is_no_interruption():
    with h.Workspace() as w:
        first_fails = w.path / "first_fails"
        first_fails.write_text("#!/bin/sh\n[ $OMPI_COMM_WORLD_RANK = 0 ] || exec \"$@\"\nexit 5\n")
        first_fails.chmod(0o755)
        no_threads = w.path / "no_threads"   # root has no limit of threads: address space for no stack is the same
        no_threads.write_text("#!/bin/sh\n[ $OMPI_COMM_WORLD_RANK = 0 ] || exec \"$@\"\nulimit -s 1000000; ulimit -v 900000; exec \"$@\"\n")
        no_threads.chmod(0o755)
        cases = [([first_fails], {}, 5, ""), ([no_threads], {}, 3, "ulimit -v"), ([], {"OMPI_MCA_osc": "nope"}, 3, "MPI_Init ended rank")]
        for wrapper, env, wanted, said in cases:
            code, out, err = h.run([LAUNCH, "-n", "2", "--", *wrapper, h.BIN / "sluice", "config", "show"], env={**env, "SLUICE_RUN_WATCHDOG": "10s"}, timeout=60)
            h.check(code == wanted and said in err, f"{wrapper} {env}: exit code {code} instead of {wanted}: {out}{err}")


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


def left_nothing(directory):
    """A directory of launch.sh goes when it ends."""
    h.check(list(directory.iterdir()) == [], f"{list(directory.iterdir())} stays")


def end_of_a_terminal_ends_no_job():
    with h.Workspace() as w:
        temporary = w.path / "tmp"
        temporary.mkdir()
        h.must(h.sluice(["gen", *w.options, "--records", 40000]), "gen")
        sort = [h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB", "--set", "run.overwrite=true"]
        slow = w.path / "slow"   # the signal comes before the ranks have begun
        slow.write_text(f"#!/bin/sh\n: >{w.path}/ready\nsleep 1\nexec \"$@\"\n")
        slow.chmod(0o755)
        for whom in ("launch.sh", "its group"):
            (w.path / "ready").unlink(missing_ok=True)
            process = subprocess.Popen([LAUNCH, "-n", "2", "--", slow, *sort], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, "TMPDIR": str(temporary)}, start_new_session=True)
            deadline = time.monotonic() + 20
            while not (w.path / "ready").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            (os.kill if whom == "launch.sh" else os.killpg)(process.pid, signal.SIGHUP)
            out, err = process.communicate(timeout=60)
            h.check(process.returncode == 0 and h.result_line(out)["status"] == "VALID", f"SIGHUP to {whom}: {process.returncode}: {out}{err}")
            left_nothing(temporary)


def other_signals_are_taken_for_those_that_end_a_job():
    for number, heard in ((signal.SIGUSR1, "INT"), (signal.SIGUSR2, "TERM"), (signal.SIGQUIT, "TERM"), (signal.SIGPIPE, None)):
        with h.Workspace() as w:
            temporary = w.path / "tmp"
            temporary.mkdir()
            env = fake_launcher(w, "".join(f"trap 'echo {name} >{w.path}/got; exit 1' {name}\n" for name in ("INT", "TERM", "QUIT")) +
                                f": >{w.path}/ready\nfor i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.05; done\nexit 0\n")
            process = subprocess.Popen([LAUNCH, "-n", "2", "--", "true"], env={**env, "TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       start_new_session=True)
            deadline = time.monotonic() + 20
            while not (w.path / "ready").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(process.pid, number)
            code = process.wait(timeout=20)
            got = (w.path / "got").read_text().strip() if (w.path / "got").exists() else None
            h.check((code, got) == (8 if heard else 0, heard), f"{number.name}: exit code {code}, the launcher heard {got}")
            left_nothing(temporary)


def launch_sh_that_is_killed_takes_the_launcher_with_it():
    with h.Workspace() as w:
        env = fake_launcher(w, f"echo $$ >{w.path}/pid.tmp; mv {w.path}/pid.tmp {w.path}/pid\nexec sleep 30\n")
        process = subprocess.Popen([LAUNCH, "-n", "2", "--", "true"], env={**env, "TMPDIR": str(w.path)}, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (w.path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        launcher = "/proc/" + (w.path / "pid").read_text().strip()
        while os.path.exists(launcher) and time.monotonic() < deadline:
            time.sleep(0.02)
        h.check(not os.path.exists(launcher), "the launcher stays")


def standard_output_that_cannot_be_written_is_found_before_the_start():
    with h.Workspace() as w:
        env = fake_launcher(w, f": >{w.path}/began\n")
        launch = f"{LAUNCH} -n 2 -- true"
        for redirected, why in ((">/dev/full", "/dev/full"), (">&-", "closed"), ("1</dev/null", "reading only")):
            code, out, err = h.run(["sh", "-c", f"{launch} {redirected}"], env=env)
            h.check(code == 1 and why in err and len(err.splitlines()) == 1 and not (w.path / "began").exists(), f"{redirected}: {code}: {out}{err}")
        if os.geteuid() == 0 and shutil.which("unshare"):
            disk = w.path / "full"
            disk.mkdir()
            code, out, err = h.run(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=16k tmpfs {disk}; {launch} >>{disk}/file"], env=env)
            h.check(code == 1 and "No space left" in err and not (w.path / "began").exists(), f"a full disk: {code}: {out}{err}")
        for redirected in (f">{w.path}/file", ">/dev/null", "| cat", "<&-", "2>&-"):
            (w.path / "began").unlink(missing_ok=True)
            code, out, err = h.run(["sh", "-c", f"{launch} {redirected}"], env=env)
            h.check(code == 0 and err == "" and (w.path / "began").exists(), f"{redirected}: {code}: {out}{err}")
        h.check((w.path / "file").stat().st_size == 0, "something was written to standard output")


def arguments_arrive_as_they_were_given():
    with h.Workspace() as w:
        env = fake_launcher(w, 'for a in "$@"; do printf "<%s>" "$a"; done\n')
        out = h.must(h.run([LAUNCH, "-n", "2", "--timeout", "9", "--", "true", "a b", "", "*"], env=env), "launch")
        h.check(out.endswith("<true><a b><><*>") and "<--timeout><9>" in out and "<oob_tcp_keepalive_time><10>" in out, out)


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


def wrong_words_are_answered_with_the_right_ones():
    cases = [
        (["-np", "2", "--", "true"], "-n RANKS: -n 2"), (["-n2", "--", "true"], "in two words: -n 2"),
        (["-n", "2", "sluice", "sort", "x.toml"], "put -- before the program and its words: scripts/launch.sh -n 2 ... -- sluice sort x.toml"),
        (["-n", "2"], "the program is missing"), (["-n", "--", "true"], "-n needs a value"), (["-n", "two", "--", "true"], "'two' is no number"),
        (["--", "true"], "-n RANKS is missing"), (["-n", "2", "--host", "a,b", "--", "true"], "--hostfile FILE"),
        (["-n", "2", "--mca", "pml", "ob1", "--", "true"], "OMPI_MCA_NAME=VALUE"), (["--fast", "-n", "2", "--", "true"], "'--fast' unknown"),
    ]
    for words, answer in cases:
        code, out, err = h.run([LAUNCH, *words], env={"SLURM_JOB_ID": ""})
        h.check(code == 2 and answer in err and len(err.splitlines()) == 1, f"{words}: {code}: {out}{err}")
    code, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env={"SLURM_JOB_ID": "", "TMPDIR": "/nowhere/at/all"})
    h.check(code == 3 and "TMPDIR=/nowhere/at/all" in err, f"{code}: {out}{err}")


def what_cannot_be_started_is_named_before_the_launcher_is():
    with h.Workspace() as w:
        env = fake_launcher(w, f": >{w.path}/began\n")
        env["PATH"] = f"{w.path}/bin:/usr/bin:/bin"
        plain = w.path / "plain"
        plain.write_text("")
        hosts = w.path / "hosts"
        stale = {"JOB_ID": "3", "PE_HOSTFILE": "/nope", "SGE_ROOT": "/x", "ARC": "x"}
        cases = [
            (["--", "/nope/sluice", "sort"], {}, "no program '/nope/sluice'"), (["--", "no-such-program"], {}, "no program 'no-such-program' in PATH"),
            (["--", plain], {}, "may not be executed"), (["--", w.path], {}, "is a directory"),
            (["-n", "99999999999999999999", "--", "true"], {}, "is more than"), (["-n", "99999999", "--", "true"], {}, "1000000"), (["-n", "08", "--", "true"], {}, "no number"),
            (["--hostfile", w.path, "--", "true"], {}, "is no file"), (["--hostfile", w.path / "gone", "--", "true"], {}, "cannot read"),
            (["--", "true"], stale, "PE_HOSTFILE=/nope"), (["--", "true"], {"PBS_JOBID": "3", "PBS_NODEFILE": "/nope"}, "PBS_NODEFILE=/nope"),
        ]
        if shutil.which("srun") is None:
            cases.append((["--slurm", "--", "true"], {}, "no"))
        lines = [("", "names no host"), ("# none\n", "names no host"), ("localhost slots=2\r\n", "line 1"), ("localhost slots=2\nlocalhost slots=abc\n", "'slots=abc'"),
                 ("localhost slots=\n", "line 1"), ("localhost slots=0\n", "'slots=0'")]
        if shutil.which("ssh"):
            lines.append(("no-such-host.invalid slots=2\n", "'no-such-host.invalid' of the host file"))
        for text, answer in lines:
            hosts = w.path / f"hosts{len(cases)}"
            hosts.write_text(text)
            cases.append((["--hostfile", hosts, "--", "true"], {}, answer))

        def refused(words, more, answer):
            code, out, err = h.run([LAUNCH, "-n", "2", *words], env={**env, **more}, timeout=20)
            h.check(code == 2 and answer in err and len(err.splitlines()) == 1 and not (w.path / "began").exists(), f"{words} {more}: {code}: {out}{err}")

        at_once(refused, cases)
        for text in ("localhost slots=2\n", " localhost slots = 1 max_slots=4\nlocalhost", "127.0.0.1 # slots=x\n"):
            hosts.write_text(text)
            h.must(h.run([LAUNCH, "-n", "2", "--hostfile", hosts, "--", "true"], env=env), repr(text))


def slurm_job_that_is_left_over_is_named():
    with h.Workspace() as w:
        if shutil.which("srun") is None:
            code, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env={"SLURM_JOB_ID": "4711"})
            h.check(code == 2 and "SLURM_JOB_ID=4711" in err and "SLURM_JOB_ID= scripts/launch.sh" in err, f"{code}: {out}{err}")
            out = h.must(h.run([LAUNCH, "-n", "2", "--", "env"], env={**fake_launcher(w, 'env\n'), "SLURM_JOB_ID": "", "SLURM_NTASKS": "64"}), "mpirun")
            h.check("SLURM_" not in out, f"mpirun still sees Slurm's variables: {out}")
        fake = w.path / "srun"
        fake.write_text("#!/bin/sh\necho 'srun: error: Unable to confirm allocation for job 4711' >&2\nexit 1\n")
        fake.chmod(0o755)
        code, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env={"SLURM_JOB_ID": "4711", "PATH": f"{w.path}:{os.environ['PATH']}"})
        h.check(code == 1 and "SLURM_JOB_ID=4711; if that is left from another shell" in err, f"{code}: {out}{err}")


def published_set_is_no_failure_whatever_ends_the_launcher():
    publish = "echo 'RESULT status=VALID records=1' >\"$SLUICE_LAUNCH_STATUS/published\"\n"
    with h.Workspace() as w:
        for body, code in ((publish + "exit 137", 137), (leave_error(7) + publish + "exit 7", 7)):
            got, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env=fake_launcher(w, body))
            h.check(got == 0 and f"WARNING launch.sh: the launcher ended with code {code}" in err and "RESULT status=VALID records=1" in err, f"{got}: {err}")
        got, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env=fake_launcher(w, publish + "exit 0"))
        h.check(got == 0 and "WARNING" not in err, err)
        # The program itself: a launcher that hides what the ranks end with.
        h.must(h.sluice(["gen", *w.options, "--records", 40000]), "gen")
        env = fake_launcher(w, f"export PATH={os.environ['PATH']}\nmpirun \"$@\"; exit 99\n")
        got, out, err = h.run([LAUNCH, "-n", "2", "--", h.BIN / "sluice", "sort", *w.options, "--set", "memory.budget=64MiB"], env=env, timeout=90)
        h.check(got == 0 and h.result_line(out)["status"] == "VALID" and "ended with code 99" in err, f"{got}: {out}{err}")


def launcher_whose_ranks_are_all_dead_is_ended():
    with h.Workspace() as w:
        env = fake_launcher(w, "true &\ntrue &\nexec sleep $LASTS_S\n")
        hosts = w.path / "hosts"
        hosts.write_text("10.99.99.1 slots=2\n")   # there its children are ssh: nothing can be told from them

        def on_this_host():
            begin = time.monotonic()
            code, out, err = h.run([LAUNCH, "-n", "2", "--", "true"], env={**env, "LASTS_S": "60"}, timeout=50)
            took_s = time.monotonic() - begin
            h.check(code == 7 and "all ranks had been dead" in err and 4 < took_s < 20, f"{code} after {took_s:.1f} s: {out}{err}")

        def on_another():
            code, out, err = h.run([LAUNCH, "-n", "2", "--hostfile", hosts, "--", "true"], env={**env, "LASTS_S": "8"}, timeout=50)
            h.check(code == 0 and "dead" not in err, f"{code}: {out}{err}")

        at_once(lambda run: run(), [(on_this_host,), (on_another,)])


def bridges_that_lead_nowhere_are_left_out_and_named():
    with h.Workspace() as w:
        env = fake_launcher(w, "exit 0\n")
        (w.path / "bin" / "ip").write_text("""#!/bin/sh
case "$*" in
  *'addr show'*) for i in lo eth0 docker0 br-1234 virbr0 lan storage; do echo "1: $i    inet 10.0.0.1/24"; done ;;
  *'link show dev lan type bridge'|*'link show dev storage type bridge'*) echo bridge ;;
  *'route get 10.1.0.1') echo '10.1.0.1 dev lan src 10.1.0.9' ;;
  *'route get 10.1.0.2') echo '10.1.0.2 dev virbr0 src 10.2.0.9' ;;
esac
""")
        (w.path / "bin" / "ip").chmod(0o755)
        hosts = w.path / "hosts"
        hosts.write_text("# two hosts\n10.1.0.1 slots=1\n10.1.0.2 slots=1\n")
        code, out, err = h.run([LAUNCH, "-n", "2", "--hostfile", hosts, "--dry-run", "--", "true"], env=env)
        h.check(code == 0 and "btl_tcp_if_exclude 127.0.0.1/8\\,sppp\\,docker0\\,br-1234\\,storage " in out and "oob_tcp_if_exclude lo\\,docker0" in out,
                f"{out}{err}")
        h.check("note: launch.sh leaves the bridges docker0,br-1234,storage" in err, err)
        for name in ("OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_oob_tcp_if_exclude"):
            code, out, err = h.run([LAUNCH, "-n", "2", "--hostfile", hosts, "--dry-run", "--", "true"], env={**env, name: "10.1.0.0/16"})
            h.check(code == 0 and "exclude" not in out and err == "", f"{name}: {out}{err}")


h.main([exit_code_is_the_ranks_whatever_the_launcher_says, end_before_or_in_mpi_init_is_no_interruption, signals_reach_the_launcher_and_end_in_eight,
        end_of_a_terminal_ends_no_job, other_signals_are_taken_for_those_that_end_a_job, launch_sh_that_is_killed_takes_the_launcher_with_it, standard_output_that_cannot_be_written_is_found_before_the_start, arguments_arrive_as_they_were_given,
        badly_bound_rank_is_told_once_with_the_fix, tasks_of_srun_without_mpi_are_refused, under_slurm_an_interrupt_ends_the_tasks,
        nobody_looks_for_screens_or_asks_name_servers_at_the_start, wrong_words_are_answered_with_the_right_ones,
        what_cannot_be_started_is_named_before_the_launcher_is, slurm_job_that_is_left_over_is_named, published_set_is_no_failure_whatever_ends_the_launcher, launcher_whose_ranks_are_all_dead_is_ended,
        bridges_that_lead_nowhere_are_left_out_and_named])
