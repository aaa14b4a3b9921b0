#!/usr/bin/env bash
# Do the unit tests notice? Builds the sources with some fifty small faults in a copy (build/mutants), switches on one at a time
# and runs the tests that must fail. Ends with 1 and names the faults that none of them sees.
#
#   scripts/mutants.sh [NUMBER...]     those of tests/mutants/mutants.py; all
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
case ${1:-} in
  -h|--help) sed -n '2,/^set /p' "scripts/mutants.sh" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
esac
install_missing scripts/test-packages.txt
python3 tests/mutants/mutants.py "$@"
