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
# fabrics; set OMPI_MCA_pml yourself where you have one. A rank that waits yields its core to others on a crowded host. Keepalive
# on mpirun's own connections lets it see within 20 s that a host is gone (its default is 8 minutes).
# mpirun's hwloc, with its plugins installed, asks ten X servers on "localhost" for screens: HWLOC_COMPONENTS=-gl spares that, and
# where neither /etc/hosts nor a name server knows localhost (a bare chroot) the 5 s that each question takes.
# The exit code is sluice's own (docs/exit-codes.md), also where mpirun reports another: ranks leave theirs in a directory that
# SLUICE_LAUNCH_STATUS names. SIGINT and SIGTERM are passed on; the run then ends with 8. mpirun lets a second go by before its
# ranks hear of them, but not with SIGUSR1 and SIGUSR2, which stand for them once all ranks have left their mark there.
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
  # Without PMIx each rank would take itself for the only one. srun hands the environment on.
  command=(srun --mpi "${SLURM_MPI_TYPE:-pmix}" --ntasks "$ranks" --cpu-bind=none --kill-on-bad-exit=1)
  export OMPI_MCA_pml="${OMPI_MCA_pml:-ob1}" OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"
  [ -z "$per_host" ] || command+=(--ntasks-per-node "$per_host")
  [ -z "$timeout" ] || command+=(--time "$(((timeout + 59) / 60))")
else
  command=(mpirun -n "$ranks" --bind-to none --mca pml "${OMPI_MCA_pml:-ob1}" --mca mpi_yield_when_idle 1
           --mca oob_tcp_keepalive_time "${OMPI_MCA_oob_tcp_keepalive_time:-10}"
           --mca oob_tcp_keepalive_intvl "${OMPI_MCA_oob_tcp_keepalive_intvl:-2}"
           --mca oob_tcp_keepalive_probes "${OMPI_MCA_oob_tcp_keepalive_probes:-5}")
  if [ -n "$hostfile" ]; then
    [ -r "$hostfile" ] || die 2 "launch.sh: cannot read the host file '$hostfile'"
    command+=(--hostfile "$hostfile")
  else
    command+=(--oversubscribe)
  fi
  [ -z "$per_host" ] || command+=(--map-by "ppr:$per_host:node")
  [ -z "$timeout" ] || command+=(--timeout "$timeout")
  for name in $(compgen -e SLUICE_ || true) SLUICE_LAUNCH_STATUS; do command+=(-x "$name"); done
  export HWLOC_COMPONENTS=${HWLOC_COMPONENTS:--gl}
  if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
fi
if [ -n "$dry" ]; then
  printf '%q ' "${command[@]}" "$@"
  echo
  exit 0
fi

status=$(mktemp -d "${TMPDIR:-/tmp}/sluice-launch.XXXXXX")
trap 'rm -rf "$status"' EXIT
signalled=''
pass_on() { # SIGNAL; an interrupt from the terminal has reached the launcher already
  local again=$signalled stand_in=USR2
  signalled=$1
  # srun answers the first SIGINT with the state of its tasks, and ends them for a SIGTERM.
  if [ -n "$slurm" ]; then kill -TERM "$child" 2>/dev/null || true; return 0; fi
  if [ "$1" = INT ]; then
    if [ -t 0 ]; then return 0; fi
    stand_in=USR1
  fi
  if [ -z "$again" ] && [ "$(ls "$status" | grep -c '^started-r')" = "$ranks" ]; then
    kill "-$stand_in" "$child" 2>/dev/null || true
    { sleep 1; if kill -0 $$; then kill "-$1" "$child"; fi; } </dev/null >/dev/null 2>&1 &
    disown $!
  else
    kill "-$1" "$child" 2>/dev/null || true
  fi
}

# Which host each rank is to run on, so that one that never comes can be named; not where slots are left to mpirun.
plan_hosts() {
  local name slots k rank=0
  if [ -n "$slurm" ]; then return 0; fi
  if [ -z "$hostfile" ]; then
    for ((rank = 0; rank < ranks; rank++)); do echo "$rank $(uname -n)"; done
    return 0
  fi
  while read -r name slots; do
    case $name in ''|'#'*) continue ;; esac
    slots=$(sed -n 's/.*\bslots *= *\([0-9]*\).*/\1/p' <<<"$slots")
    if [ -z "$slots" ]; then return 0; fi
    for ((k = 0; k < ${per_host:-$slots} && rank < ranks; k++)); do echo "$((rank++)) $name"; done
  done <"$hostfile"
}

# our_code CODE: what the launcher's code means, by what the ranks left and by what ended them.
our_code() {
  local code=$1 first said=''
  [ "$code" != 0 ] || { echo 0; return; }
  first=$(ls -tr "$status"/error-*.json 2>/dev/null | head -n 1) || true
  [ -z "$first" ] || said=$(sed -n 's/.*"exit_code": *\([0-9]*\).*/\1/p' "$first")
  if [ "${said:-8}" != 8 ]; then echo "$said"; return; fi
  if [ -n "$signalled" ]; then echo 8; return; fi
  case $code in
    134|135|136|139) echo 1 ;;                 # a rank crashed
    130|143) echo 8 ;;
    110|137|205) echo 7 ;;                     # the time limit, a killed rank, a lost host
    *) echo "${said:-$code}" ;;
  esac
}

plan_hosts >"$status/hosts"
# A shell starts what runs behind it deaf to SIGINT: env undoes that.
SLUICE_LAUNCH_STATUS=$status env --default-signal=INT,QUIT "${command[@]}" "$@" <&0 &
child=$!
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM
# A launcher that cannot reach one of its hosts to tell it of the end would wait for a quarter of an hour.
end_launcher_after_the_ranks() {
  trap '' INT TERM
  while ! ls "$status"/error-*.json >/dev/null 2>&1; do
    kill -0 $$ 2>/dev/null || return 0
    sleep 0.5
  done
  sleep 4   # an end that reaches all hosts takes some two seconds
  [ -z "$slurm" ] || return 0   # its own daemons see to it
  kill -KILL "$child" 2>/dev/null || true   # the daemons of the other hosts end with it
}
end_launcher_after_the_ranks </dev/null >/dev/null 2>&1 &
supervisor=$!
disown "$supervisor"
while :; do
  code=0
  wait "$child" 2>/dev/null || code=$?
  kill -0 "$child" 2>/dev/null || break        # else a signal has only ended the wait
done
kill -KILL "$supervisor" 2>/dev/null || true
exit "$(our_code "$code")"
