"""Starts and ends: a rank that is killed in MPI_Init never leaves a hang, nor does an MPI_Finalize that does not come back; ranks in
namespaces of their own sort, and a launcher that counts other ranks than MPI is refused.

    start.py          a few kills
    start.py --full   100 kills
"""

import os
import random
import shutil
import subprocess
import sys
import time

import harness as h

FAULTS = h.BIN.parent / "lib" / "libkill_in_init.so"
FULL = "--full" in sys.argv
LIMIT_S = 5


def two_ranks(words, env=None, timeout=60, wrapper=()):
    begin = time.monotonic()
    code, out, err = h.run([h.REPO / "scripts" / "launch.sh", "-n", "2", "--", *wrapper, h.BIN / "sluice", *words],
                           env={"SLUICE_RUN_WATCHDOG": f"{LIMIT_S}s", **(env or {})}, timeout=timeout)
    return code, out, err, time.monotonic() - begin


def rank_killed_in_mpi_init_never_leaves_a_hang():
    wanted = 100 if FULL else 6
    with h.Workspace() as w:
        mark = w.path / "mark"
        preload = {"LD_PRELOAD": str(FAULTS), "KILL_IN_INIT_RANK": "1", "MPI_FAULT_MARK": str(mark)}
        took_us = []
        for _ in range(3):
            two_ranks(["config", "show"], preload)
            took_us.append(int(mark.read_text()))
        rng = random.Random(7)
        starts, killed, slowest_s = 0, 0, 0.0
        while killed < wanted:
            h.check(starts < 4 * wanted, f"only {killed} of {starts} ranks were killed in MPI_Init")
            mark.unlink(missing_ok=True)
            delay_us = 0 if starts == 0 else int(rng.uniform(0, sorted(took_us)[1]))
            code, out, err, lasted_s = two_ranks(
                ["config", "show"], {**preload, "KILL_IN_INIT_RANK": str(starts % 2), "KILL_IN_INIT_US": str(delay_us)})
            fired = mark.exists() and mark.read_text() == "killed"
            killed += fired
            slowest_s = max(slowest_s, lasted_s)
            h.check(lasted_s < LIMIT_S + 15, f"start {starts}, killed after {delay_us} us: took {lasted_s:.1f} s\n{out}\n{err}")
            h.check(not fired or code == 7, f"start {starts}, killed after {delay_us} us: exit code {code} instead of 7\n{out}\n{err}")
            starts += 1
        print(f"{starts} starts, {killed} of them with a rank killed in MPI_Init: 0 hangs, the slowest ended after {slowest_s:.1f} s")


def sort_with(w, wrapper, transport, env=None):
    code, out, err, _ = two_ranks(["sort", *w.options, "--set", "memory.budget=128MiB", "--set", f"net.transport={transport}",
                                   "--set", "run.overwrite=true", "--set", "run.watchdog=10s"], env, 90, wrapper)
    h.check(code == 0, f"{wrapper}, {transport}: exit code {code}\n{out}\n{err}")
    h.check("Read -1" not in err and "not permitted" not in err, f"{transport}: noise of Open MPI\n{err}")
    h.check(h.sha_of_files(w.parts()) == h.sorted_oracle_sha(w.inputs()), f"{transport}: the output is wrong")


def ranks_in_namespaces_of_their_own_sort():
    if os.geteuid() != 0 or shutil.which("unshare") is None or h.run(["unshare", "--user", "--map-root-user", "true"])[0] != 0:
        print("skipped: needs root and user namespaces")
        return
    with h.Workspace() as w:
        h.must(h.sluice(["gen", "--records", "200000", *w.options]), "gen")
        own_shm = w.path / "own_shm"
        own_shm.write_text("#!/bin/sh\nmount -t tmpfs tmpfs /dev/shm && exec \"$@\"\n")
        own_shm.chmod(0o755)
        for transport in ("auto", "p2p", "alltoallv", "rma"):
            sort_with(w, ("unshare", "--user", "--map-root-user"), transport)
        for transport in ("auto", "p2p"):
            sort_with(w, ("unshare", "--mount", own_shm), transport)
        for transport in ("auto", "rma"):
            sort_with(w, ("unshare", "--pid", "--fork", "--mount-proc"), transport)
        one = w.path / "one"
        one.write_text(f"#!/bin/sh\n[ $OMPI_COMM_WORLD_RANK = 1 ] || exec \"$@\"\nexec unshare --mount {own_shm} \"$@\"\n")
        one.chmod(0o755)
        sort_with(w, (one,), "auto")
        for rank in (0, 1):   # Open MPI crashes where one copies from process to process and the other does not
            one.write_text(f"#!/bin/sh\n[ $OMPI_COMM_WORLD_RANK = {rank} ] || exec \"$@\"\nexec unshare --user --map-root-user \"$@\"\n")
            sort_with(w, (one,), "auto")
            sort_with(w, (one,), "p2p")


def mpi_finalize_that_hangs_makes_no_failure_of_what_is_done():
    with h.Workspace() as w:
        mark = w.path / "mark"
        h.must(h.sluice(["gen", "--records", "40000", *w.options]), "gen")
        code, out, err, lasted_s = two_ranks(
            ["sort", *w.options, "--set", "memory.budget=64MiB"],
            {"LD_PRELOAD": str(FAULTS), "HANG_IN_FINALIZE_RANK": "1", "MPI_FAULT_MARK": str(mark)})
        h.check(mark.exists() and mark.read_text() == "hangs", "MPI_Finalize was never called")
        h.check(code == 0 and h.result_line(out)["status"] == "VALID", f"exit code {code}\n{out}\n{err}")
        h.check("WARNING rank=1" in err and "MPI_Finalize" in err and lasted_s < LIMIT_S + 15, f"{lasted_s:.1f} s\n{err}")
        h.check(list((w.path / "results").glob("run-*")) == [], "status files stay")


def limit_of_file_sizes_below_mpi_segments_is_refused_at_once():
    with h.Workspace() as w:
        for limit in (1024, 4096, 3_000_000):
            code, out, err, lasted_s = two_ranks(["config", "show", *w.options], wrapper=("prlimit", f"--fsize={limit}"))
            h.check(code == 3 and "RLIMIT_FSIZE" in err and "ulimit -f" in err and lasted_s < LIMIT_S, f"{limit}: exit code {code} after {lasted_s:.1f} s: {out}{err}")
        h.must(h.run(["prlimit", "--fsize=4096", h.BIN / "sluice", "config", "show", *w.options]), "one rank")


def launcher_that_counts_other_ranks_is_refused():
    """As mpiexec of another MPI starts ranks: each would find itself alone, and sort everything."""
    with h.Workspace() as w:
        code, out, err = h.run([h.BIN / "sluice", "config", "show", *w.options], env={"PMI_RANK": "1", "PMI_SIZE": "2"}, timeout=60)
        h.check(code == 2 and "PMI_SIZE" in err and "2 ranks" in err and "MPI counts 1" in err, f"exit code {code}: {out}{err}")
        for env, quoted in (({"OMPI_COMM_WORLD_SIZE": "abc"}, "OMPI_COMM_WORLD_SIZE='abc'"), ({"PMI_SIZE": "x", "PMI_RANK": "y"}, "PMI_RANK='y'"),
                            ({"PMI_SIZE": "x", "PMI_RANK": "0"}, "PMI_SIZE='x'")):
            code, out, err = h.run([h.BIN / "sluice", "config", "show", *w.options], env=env, timeout=60)
            h.check(code == 2 and quoted in err and "no number" in err, f"{env}: exit code {code}: {out}{err}")
        stale = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "64", "SLURM_NNODES": "32", "SLURM_PROCID": "0", "PMI_SIZE": "9"}
        h.must(h.run([h.BIN / "sluice", "config", "show", *w.options], env=stale, timeout=60), "with what a shell of a Slurm job has")
        code, out, err = h.run([h.BIN / "sluice", "config", "show", *w.options],
                               env={"PMI_RANK": "0", "PMI_SIZE": "2", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}, timeout=60)
        h.check(code == 2 and "--mpi=pmix" in err, f"srun --mpi=pmi2: exit code {code}: {out}{err}")


h.main([limit_of_file_sizes_below_mpi_segments_is_refused_at_once, launcher_that_counts_other_ranks_is_refused, mpi_finalize_that_hangs_makes_no_failure_of_what_is_done,
        ranks_in_namespaces_of_their_own_sort, rank_killed_in_mpi_init_never_leaves_a_hang])
