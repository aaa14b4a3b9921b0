#!/usr/bin/env bash
# Feeds each reader of what others wrote (config, manifest, owner record, extent index, valsort summary, message header,
# command line) with damaged inputs under the address and undefined-behaviour sanitizers, by libFuzzer. Ends with 1 at the
# first input that breaks a reader's promise, and keeps it in build/fuzz/found.
#
#   scripts/fuzz.sh [EXECUTIONS]     of all readers together; 140000
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
executions=${1:-140000}
case $executions in
  -h|--help) sed -n '2,/^set /p' "scripts/fuzz.sh" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  ''|0|*[!0-9]*) die 2 "usage: scripts/fuzz.sh [EXECUTIONS]" ;;
esac
command -v clang++ >/dev/null || die 3 "clang++ is not there; apt-get install --no-remove clang"
readers=(config manifest owner extents summary header command_line)
each=$(((executions + ${#readers[@]} - 1) / ${#readers[@]}))
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ cmake --preset fuzz && cmake --build --preset fuzz --parallel "$(nproc)" --target "${readers[@]/#/fuzz_}"; } >"$log" 2>&1 ||
  { tail -n 40 "$log"; die 1 "scripts/fuzz.sh: the targets could not be built"; }
work=build/fuzz/corpus
mkdir -p build/fuzz/found
total=0
for reader in "${readers[@]}"; do
  mkdir -p "$work/$reader"
  build/fuzz/bin/fuzz_"$reader" -runs="$each" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/found/"$reader"- "$work/$reader" tests/fuzz/corpus/"$reader" >"$log" 2>&1 ||
    { tail -n 40 "$log"; die 1 "scripts/fuzz.sh: reader $reader broke; its input is in build/fuzz/found"; }
  done_here=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$reader: $done_here executions"
  total=$((total + done_here))
done
echo "$total executions, 0 broken promises"
