#!/usr/bin/env bash
# A small rack on one machine: N hosts as network namespaces with their own addresses, host names and disks. Needs root.
#
#   scripts/rack-in-a-box.sh up N [RATE]      hosts h1..hN on 10.77.0.1..N; RATE limits each link both ways, such as 200mbit
#   scripts/rack-in-a-box.sh mpirun -n R CMD  runs CMD on R ranks over the hosts, as mpirun would
#   scripts/rack-in-a-box.sh exec HOST CMD    runs CMD on one host
#   scripts/rack-in-a-box.sh down             takes everything away
#
# RACK_DIR (default /var/tmp/sluice-rack) holds a directory a host; on every host its own appears as /mnt/rack (RACK_MOUNT).
# The bridge lives in a namespace of its own: nothing leaves the machine, nothing comes in. All hosts share the real cores.
set -euo pipefail
self=$(readlink -f "$0")
dir=${RACK_DIR:-/var/tmp/sluice-rack}
mount_point=${RACK_MOUNT:-/mnt/rack}
prefix=sluice-rack
state=$dir/.hosts
die() { echo "rack-in-a-box: $*" >&2; exit 2; }
hosts() { cat "$state" 2>/dev/null || true; }

add_host() { # NAME NUMBER RATE
  local ns=$prefix-$1
  ip netns add "$ns"
  ip link add "p-$1" netns "$prefix-sw" type veth peer name eth0 netns "$ns"
  ip -n "$ns" addr add "10.77.0.$2/24" dev eth0
  ip -n "$ns" link set lo up
  ip -n "$ns" link set eth0 up
  ip -n "$prefix-sw" link set "p-$1" master br0 up
  if [ -n "$3" ]; then   # both ends of the cable: what the host sends, and what it is sent
    tc -n "$ns" qdisc add dev eth0 root tbf rate "$3" burst 256k latency 20ms
    tc -n "$prefix-sw" qdisc add dev "p-$1" root tbf rate "$3" burst 256k latency 20ms
  fi
  mkdir -p "$dir/$1" "/etc/netns/$ns"
  { echo "127.0.0.1 localhost"; for k in $(seq "$count"); do echo "10.77.0.$k h$k"; done; echo "10.77.0.250 head"; } >"/etc/netns/$ns/hosts"
}

up() {
  local count=${1:?how many hosts} rate=${2:-} k
  [ "$(id -u)" = 0 ] || die "needs root, for network namespaces"
  [ ! -e "$state" ] || die "is up already; take it down first"
  mkdir -p "$dir" "$mount_point"
  : >"$state"
  ip netns add "$prefix-sw"
  ip -n "$prefix-sw" link add br0 type bridge
  ip -n "$prefix-sw" link set br0 up
  for k in $(seq "$count"); do
    echo "h$k" >>"$state"
    add_host "h$k" "$k" "$rate"
  done
  add_host head 250 ''
}

down() {
  local h p
  for h in $(hosts) head sw; do
    for p in $(ip netns pids "$prefix-$h" 2>/dev/null); do kill -9 "$p" 2>/dev/null || true; done
    ip netns del "$prefix-$h" 2>/dev/null || true
    rm -rf "/etc/netns/$prefix-$h" "${TMPDIR:-/tmp}/ompi.$h.$(id -u)"
  done
  rmdir /etc/netns 2>/dev/null || true
  rmdir "$mount_point" 2>/dev/null || true
  rm -rf "$dir"
}

on_host() { # HOST CMD...
  local h=$1; shift
  exec ip netns exec "$prefix-$h" unshare --uts --mount "$self" _inside "$h" "$@"
}

case ${1:-help} in
  up) shift; up "$@" ;;
  down) down ;;
  exec) shift; on_host "$@" ;;
  _inside)   # with the namespaces of its own: host name and disks
    h=$2; shift 2
    hostname "$h"
    mkdir -p "$dir/$h"
    mount --bind "$dir/$h" "$mount_point"
    exec "$@" ;;
  _agent)    # what mpirun calls where it would call ssh: HOST COMMAND..., the command for a shell
    shift
    while [[ ${1:-} == -* ]]; do shift; done
    h=$1; shift
    on_host "$h" sh -c "$*" ;;
  mpirun)
    shift
    [ -e "$state" ] || die "is not up"
    hostfile=$dir/hostfile agent=$dir/agent
    for h in $(hosts); do echo "$h slots=${RACK_SLOTS:-1}"; done >"$hostfile"
    printf '#!/bin/sh\nexec "%s" _agent "$@"\n' "$self" >"$agent"
    chmod +x "$agent"
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 RACK_DIR=$dir RACK_MOUNT=$mount_point
    on_host head mpirun --hostfile "$hostfile" --mca plm rsh --mca plm_rsh_agent "$agent" --mca orte_keep_fqdn_hostnames 1 \
      --mca pml ob1 --mca btl self,vader,tcp --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 \
      --bind-to none --mca mpi_yield_when_idle 1 "$@" ;;
  *) sed -n '2,/^set /p' "$self" | sed '$d; s/^# \{0,1\}//' ;;
esac
