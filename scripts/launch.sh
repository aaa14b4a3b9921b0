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
# SLUICE_LAUNCH_STATUS names. Once the data set is durable they leave that there too: the code is then 0, with a WARNING where the
# launcher says otherwise. SIGINT and SIGTERM are passed on, SIGQUIT and SIGUSR2 as SIGTERM, SIGUSR1 as SIGINT; the run then ends
# with 8. The end of a terminal (SIGHUP) or of a reader (SIGPIPE) ends nothing. mpirun lets a second go by before its
# ranks hear of them, but not with SIGUSR1 and SIGUSR2, which stand for them once all ranks have left their mark there.
# Bridges of containers and virtual machines (docker0) have the same address on every host, which leads nowhere: they are left out
# of MPI's networks. Set OMPI_MCA_btl_tcp_if_include to choose yourself.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
ranks='' hostfile='' per_host='' timeout='' slurm='' dry=''
usage="scripts/launch.sh -n RANKS [--hostfile FILE] -- sluice VERB CONFIG ..."
if [ -n "${SLURM_JOB_ID:-}" ]; then
  slurm=environment
fi
value() { # OPTION COUNT VALUE
  [ "$2" -ge 2 ] && [ "$3" != -- ] || die 2 "launch.sh: $1 needs a value; $usage"
}
number() { # OPTION VALUE MOST
  case $2 in ''|0*|*[!0-9]*) die 2 "launch.sh: $1 '$2' is no number above 0; $usage" ;; esac
  [ ${#2} -le ${#3} ] && [ "$2" -le "$3" ] || die 2 "launch.sh: $1 '$2' is more than the most that can be meant, $3; $usage"
}
while [ $# -gt 0 ]; do
  case $1 in
    -n) value "$1" $# "${2:-}"; number "$1" "${2:-}" 1000000; ranks=$2; shift 2 ;;
    --hostfile) value "$1" $# "${2:-}"; hostfile=$2; shift 2 ;;
    --ranks-per-host) value "$1" $# "${2:-}"; number "$1" "${2:-}" 1000000; per_host=$2; shift 2 ;;
    --timeout) value "$1" $# "${2:-}"; number "$1" "${2:-}" 100000000; timeout=$2; shift 2 ;;
    --slurm) slurm=asked; shift ;;
    --dry-run) dry=1; shift ;;
    --) shift; break ;;
    -h|--help) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    -np|--np|-c|--ntasks|-ntasks) die 2 "launch.sh: $1 is a launcher's word; here it is -n RANKS: -n ${2:-2}" ;;
    -n[0-9]*|-np=*|--np=*|--ntasks=*) die 2 "launch.sh: '$1' is a launcher's word; here it is -n RANKS, in two words: -n $(tr -cd 0-9 <<<"$1")" ;;
    -machinefile|--machinefile|-hostfile|-f) die 2 "launch.sh: $1 is a launcher's word; here it is --hostfile FILE" ;;
    -H|-host|--host|-hosts|--hosts|-w|--nodelist) die 2 "launch.sh: $1 is a launcher's word; here hosts are the lines of a file: --hostfile FILE (\"node01 slots=1\" a line)" ;;
    -N|-npernode|--npernode|--ntasks-per-node|-ppn) die 2 "launch.sh: $1 is a launcher's word; here it is --ranks-per-host K" ;;
    -x|--mca|-mca|--bind-to|--map-by) die 2 "launch.sh: $1 is mpirun's; SLUICE_ variables are handed on by themselves, and mpirun's parameters can be set in the environment (OMPI_MCA_NAME=VALUE)" ;;
    -*) die 2 "launch.sh: option '$1' unknown; put -- before the program, and see scripts/launch.sh --help; $usage" ;;
    *) die 2 "launch.sh: '$1' is no option; put -- before the program and its words: scripts/launch.sh -n ${ranks:-RANKS} ... -- $*" ;;
  esac
done
[ -n "$ranks" ] || die 2 "launch.sh: -n RANKS is missing; $usage"
[ $# -gt 0 ] || die 2 "launch.sh: the program is missing; $usage"
env pwd -P >/dev/null 2>&1 || die 2 "launch.sh: the working directory was removed, or may not be searched; change to another one"
if [ "$slurm" = environment ] && [ -z "$dry" ] && ! command -v srun >/dev/null; then
  die 2 "launch.sh: SLURM_JOB_ID=$SLURM_JOB_ID is set, so that ranks would be started by srun, but there is none here: the variable is left from another shell, or this is a container inside of a job. Without Slurm: SLURM_JOB_ID= scripts/launch.sh ..., which starts them by mpirun"
fi

# Dies where a batch system's variables (JOB: the job, HOSTS: the file of its hosts) are of a job that is not here: mpirun would follow
# them, and crash.
refuse_leftover() { # JOB HOSTS
  [ -n "${!1:-}" ] && [ -n "${!2:-}" ] && [ ! -r "${!2}" ] || return 0
  die 2 "launch.sh: $1=${!1} and $2=${!2} are set, and that file cannot be read: they are left from another shell; without them: env -u $1 -u $2 scripts/launch.sh ..."
}

# Dies where a line of the host file cannot be meant.
check_host_file() {
  local line name count=0 number=0
  [ -f "$hostfile" ] || [ ! -e "$hostfile" ] || die 2 "launch.sh: the host file '$hostfile' is no file (a directory, or a pipe, which can be read but once)"
  [ -r "$hostfile" ] || die 2 "launch.sh: cannot read the host file '$hostfile'"
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    case $line in *$'\r') die 2 "launch.sh: line $number of the host file '$hostfile' ends as on Windows (CR LF); sed -i 's/\\r\$//' $hostfile" ;; esac
    line=${line%%#*}
    read -r name _ <<<"$line"
    [ -n "$name" ] || continue
    count=$((count + 1))
    line=${line#*"$name"}
    if [[ $line == *slots* ]] && ! [[ $line =~ slots\ *=\ *[1-9][0-9]{0,6}([[:space:]]|$) ]]; then
      die 2 "launch.sh: line $number of the host file '$hostfile': '${line#"${line%%slots*}"}' says no number of slots; '$name slots=2' is how many ranks may run there"
    fi
  done <"$hostfile"
  [ $count -gt 0 ] || die 2 "launch.sh: the host file '$hostfile' names no host; one a line: node01 slots=1"
}

# Dies where ssh would not know a host of the file either. Another agent than ssh has names of its own.
check_hosts_are_known() {
  local name real
  ! env | grep -q '^OMPI_MCA_plm' || return 0
  command -v getent >/dev/null && command -v ssh >/dev/null || return 0
  for name in $(hosts_of_file | sort -u | head -n 64); do
    name=${name##*@}
    getent ahosts "$name" >/dev/null && continue
    real=$(ssh -G "$name" 2>/dev/null | sed -n 's/^hostname //p' | head -n 1)
    [ "${real:-$name}" = "$name" ] || continue
    die 2 "launch.sh: the host '$name' of the host file '$hostfile' is not known here (getent ahosts $name); see the name, or /etc/hosts and the name server"
  done
}

# Dies where this host is to run a program that it does not have; what others have only they know.
check_program() { # PROGRAM
  if [ -n "$slurm" ] || { [ -n "$hostfile" ] && ! hosts_of_file | grep -qxF -e "$(uname -n)" -e localhost -e 127.0.0.1; }; then return 0; fi
  if [ -d "$1" ]; then die 2 "launch.sh: the program '$1' is a directory; name the program in it: -- $1/sluice VERB CONFIG ..."; fi
  case $1 in
    */*) [ -e "$1" ] || die 2 "launch.sh: there is no program '$1'; name it as it lies on every host: -- /opt/sluice/bin/sluice VERB CONFIG ..." ;;
    *) [ -n "$(type -P -- "$1")" ] || [ -x "$1" ] || die 2 "launch.sh: there is no program '$1' in PATH; name it with its directory: -- /opt/sluice/bin/$1 ..." ; return 0 ;;
  esac
  [ -x "$1" ] || die 2 "launch.sh: the program '$1' may not be executed; chmod +x $1, or name another"
}

# Dies where standard output cannot be written, as far as can be told without writing: ranks see mpirun's pipe, not it.
try_standard_output() {
  local out=/proc/$$/fd/1 flags problem=''
  [ -d "/proc/$$/fd" ] || return 0
  if [ ! -e "$out" ] && [ ! -L "$out" ]; then
    problem='is closed'
  else
    { read -r _ _ && read -r _ flags; } <"/proc/$$/fdinfo/1" || flags=1   # "pos: ...", "flags: 0100001"
    if [ "$((8#${flags:-1} & 3))" = 0 ]; then
      problem='is open for reading only'
    elif [ -c "$out" ] && [ "$(stat -L -c %t:%T "$out" 2>/dev/null)" = 1:7 ]; then
      problem='is /dev/full'
    elif [ -f "$out" ] && command -v fallocate >/dev/null; then
      # Room behind its end, its size kept: others may be writing to the same file.
      problem=$(LC_ALL=C fallocate --keep-size --offset "$(stat -L -c %s "$out")" --length 65536 "$out" 2>&1 >/dev/null) || true
      case $problem in *'No space left'*|*'quota exceeded'*) problem="cannot be written (${problem##*: })" ;; *) problem='' ;; esac
    fi
  fi
  [ -z "$problem" ] || die 1 "launch.sh: standard output $problem; nobody would see the result: give it a file, a pipe or a terminal"
}
try_standard_output
[ -e "/proc/$$/fd/0" ] || [ ! -d "/proc/$$/fd" ] || exec </dev/null
export SLUICE_LAUNCH_STAMP=${SLUICE_LAUNCH_STAMP:-$(date +%s%N)}   # elapsed_s counts from here

hosts_of_file() { sed -n 's/#.*//; s/^[[:space:]]*\([^[:space:]]\{1,\}\).*/\1/p' "$hostfile"; }

# Adds to `command` what keeps MPI off bridges of this host that lead to none of the others. Nothing where there are none, or
# where somebody has chosen the networks.
leave_out_bridges() {
  local name out='' used=''
  local -A reaches=()
  ! env | grep -q '^OMPI_MCA_\(btl\|oob\)_tcp_if_\(in\|ex\)clude=' || return 0
  command -v ip >/dev/null || return 0
  for name in $(hosts_of_file | sort -u | head -n 64); do
    used=$(ip -o route get "$(getent ahostsv4 "$name" | { read -r address _ && echo "$address"; } || true)" 2>/dev/null) || continue
    reaches[$(sed -n 's/.* dev \([^ ]*\).*/\1/p' <<<"$used")]=1
  done
  while read -r _ name _; do
    name=${name%%[:@]*}
    case $name in
      docker*|br-*|virbr*|podman*|cni*|lxcbr*|lxdbr*) ;;
      *) [ -n "$(ip -o link show dev "$name" type bridge 2>/dev/null)" ] || continue ;;
    esac
    [ -z "${reaches[$name]:-}" ] || continue
    out+=",$name"
  done < <(ip -o -4 addr show up 2>/dev/null)
  [ -n "$out" ] || return 0
  echo "note: launch.sh leaves the bridges ${out#,} of this host out of MPI's networks, since they lead to no host of $hostfile; to choose others: OMPI_MCA_btl_tcp_if_include" >&2
  command+=(--mca btl_tcp_if_exclude "127.0.0.1/8,sppp$out" --mca oob_tcp_if_exclude "lo$out")
}

[ -z "$hostfile" ] || check_host_file
if [ -z "$dry" ]; then
  if [ -n "$slurm" ]; then
    command -v srun >/dev/null || die 2 "launch.sh: --slurm starts ranks by srun, and there is none in PATH; without Slurm leave --slurm out: mpirun then starts them"
  else
    command -v mpirun >/dev/null || die 2 "launch.sh: there is no mpirun in PATH; install Open MPI, or add its directory to PATH"
    refuse_leftover JOB_ID PE_HOSTFILE
    refuse_leftover PBS_JOBID PBS_NODEFILE
    refuse_leftover LSB_JOBID LSB_DJOB_HOSTFILE
    refuse_leftover LOADL_STEP_ID LOADL_HOSTFILE
    [ -z "$hostfile" ] || check_hosts_are_known
  fi
  check_program "$1"
fi

if [ -n "$slurm" ]; then
  # Without PMIx each rank would take itself for the only one. srun hands the environment on.
  command=(srun --mpi "${SLURM_MPI_TYPE:-pmix}" --ntasks "$ranks" --cpu-bind=none --kill-on-bad-exit=1)
  export OMPI_MCA_pml="${OMPI_MCA_pml:-ob1}" OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"
  [ -z "$per_host" ] || command+=(--ntasks-per-node "$per_host")
  [ -z "$timeout" ] || command+=(--time "$(((timeout + 59) / 60))")
else
  if ! command -v srun >/dev/null; then
    # Open MPI would take what is left of a Slurm job for one that is here.
    for name in $(compgen -e SLURM_ || true); do unset "$name"; done
  fi
  command=(mpirun -n "$ranks" --bind-to none --mca pml "${OMPI_MCA_pml:-ob1}" --mca mpi_yield_when_idle 1
           --mca oob_tcp_keepalive_time "${OMPI_MCA_oob_tcp_keepalive_time:-10}"
           --mca oob_tcp_keepalive_intvl "${OMPI_MCA_oob_tcp_keepalive_intvl:-2}"
           --mca oob_tcp_keepalive_probes "${OMPI_MCA_oob_tcp_keepalive_probes:-5}")
  if [ -n "$hostfile" ]; then
    command+=(--hostfile "$hostfile")
    leave_out_bridges
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

# Ranks go on without a terminal, and so must who watches them. What is said to nobody is lost.
trap '' HUP PIPE
status=$(mktemp -d "${TMPDIR:-/tmp}/sluice-launch.XXXXXX" 2>/dev/null) || die 3 "launch.sh: cannot make a directory in TMPDIR=${TMPDIR:-/tmp}; set TMPDIR to one that is there and can be written"
trap 'rm -rf "$status"' EXIT
signalled='' child=''
pass_on() { # SIGNAL
  local again=$signalled stand_in=USR2
  signalled=$1
  [ -n "$child" ] || return 0   # it gets it when it is there
  # srun answers the first SIGINT with the state of its tasks, and ends them for a SIGTERM.
  if [ -n "$slurm" ]; then kill -TERM "$child" 2>/dev/null || true; return 0; fi
  if [ "$1" = INT ]; then stand_in=USR1; fi
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
  local name slots k rank=0 here
  if [ -n "$slurm" ]; then return 0; fi
  if [ -z "$hostfile" ]; then
    here=$(uname -n)
    for ((rank = 0; rank < ranks; rank++)); do echo "$rank $here"; done
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
  if [ -s "$status/published" ]; then
    echo "WARNING launch.sh: the launcher ended with code $code after the data set was published; it is there and valid: $(head -n 1 "$status/published")" >&2
    echo 0
    return
  fi
  first=$(ls -tr "$status"/error-*.json 2>/dev/null | head -n 1) || true
  [ -z "$first" ] || said=$(sed -n 's/.*"exit_code": *\([0-9]*\).*/\1/p' "$first")
  if [ "${said:-8}" != 8 ]; then echo "$said"; return; fi
  if [ -n "$signalled" ]; then echo 8; return; fi
  # An 8 that a rank left is no cause if the launcher only ended it because of another: the launcher's code is that one's.
  case $code in
    132|133|134|135|136|139|159) echo 1 ;;     # a rank crashed
    130|143) echo 8 ;;
    1) if one_ended_in_init; then echo 3; else echo "${said:-1}"; fi ;;   # mpirun, interrupted itself, says 1 as well
    110|137|205) echo 7 ;;                     # the time limit, a killed rank, a lost host
    *) if [ -n "$said" ] && [ "$code" -gt 12 ]; then echo 7; else echo "$code"; fi ;;
  esac
}

# Open MPI has ended a rank in MPI_Init, by its own exit(1): that rank has left no word of its end.
one_ended_in_init() {
  local mark rank
  for mark in "$status"/in-init-r*; do
    rank=${mark##*/in-init-r}
    [ -e "$mark" ] && [ ! -e "$status/error-r$rank.json" ] || continue
    echo "note: launch.sh: MPI_Init ended rank $((10#$rank)); Open MPI's own text says why: too few threads, memory or files for it (ulimit -a), or a parameter (OMPI_MCA_..., its files) that names what is not here" >&2
    return 0
  done
  return 1
}

plan_hosts >"$status/hosts"
trap 'pass_on INT' INT USR1
trap 'pass_on TERM' TERM USR2 QUIT
# mpirun ends the job for a SIGHUP, whatever it was started with: a session of its own keeps it from those of a terminal. Killed
# with its group it would die as well as launch.sh: it does so still.
apart=()
if command -v setsid >/dev/null && command -v setpriv >/dev/null; then apart=(setsid setpriv --pdeathsig KILL); fi
# A shell starts what runs behind it deaf to SIGINT: env undoes that. Not so for SIGQUIT, of which mpirun would leave a core.
SLUICE_LAUNCH_STATUS=$status env --default-signal=INT,HUP,PIPE --ignore-signal=QUIT "${apart[@]}" "${command[@]}" "$@" <&0 &
child=$!
[ -z "$signalled" ] || kill -TERM "$child" 2>/dev/null || true
# The launcher has children, and all of them are zombies.
all_children_are_dead() {
  local pid states=''
  for pid in $(cat "/proc/$child/task/"*/children 2>/dev/null); do
    states+=$(sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat" 2>/dev/null)
  done
  case $states in ''|*[!Z]*) return 1 ;; esac
}
# A launcher that cannot reach one of its hosts to tell it of the end would wait for a quarter of an hour.
# One that lost a rank in MPI_Init may wait for ever for ranks that are all dead (Open MPI 4.1): where all of them are its children.
end_launcher_after_the_ranks() {
  trap '' INT TERM QUIT USR1 USR2
  local dead=0
  while ! ls "$status"/error-*.json >/dev/null 2>&1; do
    kill -0 $$ 2>/dev/null || return 0
    if [ -z "$slurm$hostfile" ] && all_children_are_dead; then dead=$((dead + 1)); else dead=0; fi
    if [ $dead -ge 10 ]; then break; fi   # for 5 s
    sleep 0.5
  done
  if [ $dead -ge 10 ]; then
    : >"$status/launcher-ended"
    kill -KILL "$child" 2>/dev/null || true
    return 0
  fi
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
if [ -e "$status/launcher-ended" ]; then
  echo "note: launch.sh: all ranks had been dead for 5 s, and mpirun still waited for them: ended it" >&2
fi
if [ "$slurm" = environment ] && [ "$code" != 0 ] && [ -z "$signalled" ] && ! ls "$status"/started-r* >/dev/null 2>&1; then
  echo "note: launch.sh has seen no rank start under SLURM_JOB_ID=$SLURM_JOB_ID; if that is left from another shell: SLURM_JOB_ID= scripts/launch.sh ..., which starts them by mpirun" >&2
fi
exit "$(our_code "$code")"
