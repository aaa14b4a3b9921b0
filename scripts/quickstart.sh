#!/usr/bin/env bash
# Builds Sluice, generates gensort data, sorts it out of core, validates it, prints the result with its distance to the
# hardware limit, and removes the data.
#
#   scripts/quickstart.sh [--records N] [--ranks R] [--memory SIZE] [--dir DIR] [--keep]
#     --records N    100-byte records (default 20000000: 2 GB)
#     --ranks R      MPI ranks (default 2)
#     --memory SIZE  buffers of all ranks together (default 512MiB, so that the data does not fit)
#     --dir DIR      where data goes, on a real disk (default: a new directory in /var/tmp)
#     --keep         leave data and results there
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
. "$repo/scripts/lib.sh"
records=20000000 ranks=2 memory=512MiB dir='' keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --records) records=${2:?}; shift 2 ;;
    --ranks) ranks=${2:?}; shift 2 ;;
    --memory) memory=${2:?}; shift 2 ;;
    --dir) dir=${2:?}; shift 2 ;;
    --keep) keep=1; shift ;;
    -h|--help) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die 2 "quickstart.sh: '$1' unknown; scripts/quickstart.sh --help" ;;
  esac
done
case $records in ''|*[!0-9]*) die 2 "--records $records: is no whole number" ;; esac
case $ranks in ''|*[!0-9]*|0) die 2 "--ranks $ranks: is no positive whole number" ;; esac

[ -x "$repo/build/release/bin/sluice" ] || echo "building the programs first: some minutes, once" >&2
"$repo/scripts/build.sh" release sluice gensort valsort
built_s=$SECONDS

made=''
if [ -z "$dir" ]; then
  dir=$(mktemp -d /var/tmp/sluice-quickstart.XXXXXX)
  made=1
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
data=$dir/quickstart-$$
clean() {
  [ -z "$keep" ] || { echo "kept: $data" >&2; return; }
  rm -rf "$data"
  # Ranks of an interrupted run write their last status before they go, also where all is removed already.
  if [ -n "$interrupted" ]; then for _ in $(seq 25); do sleep 0.1; rm -rf "$data"; done; fi
  [ -z "$made" ] || rmdir "$dir" 2>/dev/null || true
}
trap clean EXIT
interrupted=''
trap 'interrupted=1; exit 130' INT TERM
mkdir -p "$data"
case $(stat -f -c %T "$data") in
  tmpfs|ramfs) die 3 "--dir $dir: is memory, not a disk; choose a directory on a real file system" ;;
esac
# Input, logs, output, and the copy's output at one time; the copy's log replaces the sort's.
need=$((records * 100 * 42 / 10 + 200000000))
free=$(df --output=avail -B1 "$data" | tail -1)
[ "$free" -ge "$need" ] || die 3 "--dir $dir: $((need / 1000000)) MB needed, $((free / 1000000)) MB free; lower --records or choose another --dir"

sluice=$repo/build/release/bin/sluice
options=(--set "disks.path=$data" --set "results.dir=$data/results" --set "memory.budget=$memory")
run() { "$repo/scripts/launch.sh" -n "$ranks" -- "$sluice" "$@"; }
echo "== generate"
run gen "${options[@]}" --records "$records"
echo "== sort"
run sort "${options[@]}" --set run.limit=two-pass-copy | tee "$data/sort.txt" | grep -v '^RESULT '
echo "== validate"
run validate "${options[@]}"
echo "== result: built in $built_s s, done after $SECONDS s"
tail -n 1 "$data/sort.txt"
