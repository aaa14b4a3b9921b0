#!/usr/bin/env bash
# A small rack on one machine: N hosts as network namespaces with their own addresses, host names and disks. Needs root.
#
#   scripts/rack-in-a-box.sh up N [RATE] [disks=K] [size=2G]
#                                             hosts h1..hN on 10.77.0.1..N; RATE limits each link both ways, such as 200mbit;
#                                             disks=K gives each host K block devices (ext4 on loop) at /mnt/rack/d0, d1, ...
#   scripts/rack-in-a-box.sh mpirun -n R CMD  runs CMD on R ranks over the hosts, as mpirun would
#   scripts/rack-in-a-box.sh launch -n R -- CMD   the same by scripts/launch.sh, with its exit codes
#   scripts/rack-in-a-box.sh exec HOST CMD    runs CMD on one host
#   scripts/rack-in-a-box.sh cut HOST         pulls its cable; heal HOST plugs it in again
#   scripts/rack-in-a-box.sh mute HOST        what it sends arrives nowhere, but it still hears; unmute HOST ends that
#   scripts/rack-in-a-box.sh limit HOST RATE  another rate for one link, both ways
#   scripts/rack-in-a-box.sh down             takes everything away
#
# RACK_DIR (default /var/tmp/sluice-rack) holds a directory a host; on every host its own appears as /mnt/rack (RACK_MOUNT).
# With another RACK_PREFIX (default sluice-rack, of the names of the namespaces) and RACK_DIR two racks stand side by side.
# The bridge lives in a namespace of its own: nothing leaves the machine, nothing comes in. All hosts share the real cores.
set -euo pipefail
self=$(readlink -f "$0")
dir=${RACK_DIR:-/var/tmp/sluice-rack}
mount_point=${RACK_MOUNT:-/mnt/rack}
prefix=${RACK_PREFIX:-sluice-rack}
state=$dir/.hosts
die() { echo "rack-in-a-box: $*" >&2; exit 2; }
hosts() { cat "$state" 2>/dev/null || true; }

limit() { # HOST RATE: both ends of the cable: what the host sends, and what it is sent
  tc -n "$prefix-$1" qdisc replace dev eth0 root tbf rate "$2" burst 256k latency 20ms
  tc -n "$prefix-sw" qdisc replace dev "p-$1" root tbf rate "$2" burst 256k latency 20ms
}

others() { # HOST: the addresses of all but this one
  local h
  for h in $(hosts); do [ "$h" = "$1" ] || echo "10.77.0.${h#h}"; done
  echo 10.77.0.250
}

# What an mpirun inside finds in its environment and files: the hosts, and our way to them instead of ssh.
prepare_mpirun() {
  [ -e "$state" ] || die "is not up"
  hostfile=$dir/hostfile
  for h in $(hosts); do echo "$h slots=${RACK_SLOTS:-1}"; done >"$hostfile"
  printf '#!/bin/sh\nexec "%s" _agent "$@"\n' "$self" >"$dir/agent"
  chmod +x "$dir/agent"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 RACK_DIR=$dir RACK_MOUNT=$mount_point
  export OMPI_MCA_orte_tmpdir_base=$dir/.ompi
  export OMPI_MCA_plm=rsh OMPI_MCA_plm_rsh_agent=$dir/agent OMPI_MCA_orte_keep_fqdn_hostnames=1
  export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0
  export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
}

add_host() { # NAME NUMBER RATE
  local ns=$prefix-$1 k
  ip netns add "$ns"
  ip link add "p-$1" netns "$prefix-sw" type veth peer name eth0 netns "$ns"
  ip -n "$ns" addr add "10.77.0.$2/24" dev eth0
  ip -n "$ns" link set lo up
  ip -n "$ns" link set eth0 up
  ip -n "$prefix-sw" link set "p-$1" master br0 up
  [ -z "$3" ] || limit "$1" "$3"
  mkdir -p "$dir/$1" "/etc/netns/$ns"
  { echo "127.0.0.1 localhost"; for k in $(seq "$count"); do echo "10.77.0.$k h$k"; done; echo "10.77.0.250 head"; } >"/etc/netns/$ns/hosts"
}

# add_disks HOST COUNT SIZE: sparse images below the host's directory, gone with it.
add_disks() {
  local k image device
  for k in $(seq 0 $(($2 - 1))); do
    image=$dir/.images/$1-d$k
    mkdir -p "$dir/.images" "$dir/$1/d$k"
    truncate -s "$3" "$image"
    mkfs.ext4 -q -F -b 4096 "$image"
    device=$(losetup --find --show --direct-io=on "$image")
    mount "$device" "$dir/$1/d$k" || { losetup -d "$device"; die "cannot mount $device"; }
    losetup -d "$device"   # for good once it is unmounted
    rmdir "$dir/$1/d$k/lost+found"
  done
}

up() {
  local count=${1:?how many hosts} rate='' disks=0 size=2G k word
  shift
  for word in "$@"; do
    case $word in
      disks=*) disks=${word#*=} ;;
      size=*) size=${word#*=} ;;
      *) rate=$word ;;
    esac
  done
  [ "$(id -u)" = 0 ] || die "needs root, for network namespaces"
  [ ! -e "$state" ] || die "is up already; take it down first"
  mkdir -p "$dir/.ompi" "$mount_point"
  : >"$state"
  ip netns add "$prefix-sw"
  ip -n "$prefix-sw" link add br0 type bridge
  ip -n "$prefix-sw" link set br0 up
  for k in $(seq "$count"); do
    echo "h$k" >>"$state"
    add_host "h$k" "$k" "$rate"
    [ "$disks" = 0 ] || add_disks "h$k" "$disks" "$size"
  done
  add_host head 250 ''
}

down() {
  local h p m
  for h in $(hosts) head sw; do
    for p in $(ip netns pids "$prefix-$h" 2>/dev/null); do kill -9 "$p" 2>/dev/null || true; done
    ip netns del "$prefix-$h" 2>/dev/null || true
    rm -rf "/etc/netns/$prefix-$h"
  done
  for m in "$dir"/h*/d[0-9]*; do
    if mountpoint -q "$m"; then umount "$m" || die "$m is still in use; end that and say down again"; fi
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
    mount --rbind "$dir/$h" "$mount_point"
    exec "$@" ;;
  _agent)    # what mpirun calls where it would call ssh: HOST COMMAND..., the command for a shell
    shift
    while [[ ${1:-} == -* ]]; do shift; done
    h=$1; shift
    on_host "$h" sh -c "$*" ;;
  mpirun)
    shift
    prepare_mpirun
    on_host head mpirun --hostfile "$hostfile" "$@" ;;
  launch)
    shift
    prepare_mpirun
    on_host head "$(dirname "$self")/launch.sh" --hostfile "$hostfile" "$@" ;;
  cut) ip -n "$prefix-sw" link set "p-${2:?host}" down ;;
  heal) ip -n "$prefix-sw" link set "p-${2:?host}" up ;;
  mute) for ip in $(others "${2:?host}"); do ip -n "$prefix-$2" neigh replace "$ip" lladdr 02:00:00:00:de:ad dev eth0 nud permanent; done ;;
  unmute) for ip in $(others "${2:?host}"); do ip -n "$prefix-$2" neigh del "$ip" dev eth0; done ;;
  limit) limit "${2:?host}" "${3:?rate}" ;;
  *) sed -n '2,/^set /p' "$self" | sed '$d; s/^# \{0,1\}//' ;;
esac
