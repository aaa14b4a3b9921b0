#!/usr/bin/env bash
# Starts a program on the ranks of a cluster with the right mpirun or srun flags.
#
#   scripts/launch.sh -n RANKS [options] -- sluice VERB CONFIG ...
#     -n RANKS              ranks in all
#     --hostfile FILE       Open MPI host file ("node01 slots=2" a line); without it all ranks run here
#     --ranks-per-host K    so many on each host
#     --timeout SECONDS     end the job after so long
#     --slurm               srun instead of mpirun (chosen by itself inside a Slurm job)
#     --dry-run             print the command
# The flags, and why: sluice binds its own threads by hwloc, so the launcher must not (--bind-to none: by default Open MPI
# ties each of two ranks to one core). ob1 over shared memory and TCP starts ten times faster than the search for other
# fabrics; set OMPI_MCA_pml yourself where you have one. A rank that waits yields its core to others on a crowded host.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
ranks='' hostfile='' per_host='' timeout='' slurm='' dry=''
[ -z "${SLURM_JOB_ID:-}" ] || slurm=1
while [ $# -gt 0 ]; do
  case $1 in
    -n) ranks=${2:?}; shift 2 ;;
    --hostfile) hostfile=${2:?}; shift 2 ;;
    --ranks-per-host) per_host=${2:?}; shift 2 ;;
    --timeout) timeout=${2:?}; shift 2 ;;
    --slurm) slurm=1; shift ;;
    --dry-run) dry=1; shift ;;
    --) shift; break ;;
    -h|--help) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die 2 "launch.sh: '$1' unknown; scripts/launch.sh --help" ;;
  esac
done
[ -n "$ranks" ] && [ $# -gt 0 ] || die 2 "usage: scripts/launch.sh -n RANKS [--hostfile FILE] -- sluice VERB CONFIG ..."
export SLUICE_LAUNCH_STAMP=${SLUICE_LAUNCH_STAMP:-$(date +%s%N)}   # elapsed_s counts from here

if [ -n "$slurm" ]; then
  command=(srun --ntasks "$ranks" --cpu-bind=none --kill-on-bad-exit=1)
  [ -z "$per_host" ] || command+=(--ntasks-per-node "$per_host")
  [ -z "$timeout" ] || command+=(--time "$(((timeout + 59) / 60))")
else
  command=(mpirun -n "$ranks" --bind-to none --mca pml "${OMPI_MCA_pml:-ob1}" --mca mpi_yield_when_idle 1)
  if [ -n "$hostfile" ]; then
    [ -r "$hostfile" ] || die 2 "launch.sh: cannot read the host file '$hostfile'"
    command+=(--hostfile "$hostfile")
  else
    command+=(--oversubscribe)
  fi
  [ -z "$per_host" ] || command+=(--map-by "ppr:$per_host:node")
  [ -z "$timeout" ] || command+=(--timeout "$timeout")
  for name in $(compgen -e SLUICE_ || true); do command+=(-x "$name"); done
  if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
fi
if [ -n "$dry" ]; then
  printf '%q ' "${command[@]}" "$@"
  echo
  exit 0
fi
exec "${command[@]}" "$@"
