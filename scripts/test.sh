#!/usr/bin/env bash
# Installs what is missing, builds and tests.
#
#   scripts/test.sh [--full]      without --full it takes about 25 minutes on 2 cores
#     --full   also the tests labelled full, clang, the mutants, and the fast tests under the address and
#              thread sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
full=0
case ${1:-} in
  '') ;;
  --full) full=1 ;;
  -h|--help) sed -n '2,/^set /p' "scripts/test.sh" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  *) die 2 "usage: scripts/test.sh [--full]" ;;
esac
install_missing scripts/test-packages.txt
for script in scripts/*.sh .ci/run; do bash -n "$script"; done
if command -v clang-format >/dev/null; then
  git ls-files '*.cpp' '*.hpp' | xargs clang-format --dry-run -Werror
else
  echo "clang-format is not there: the format is not checked"
fi
SLUICE_WERROR=ON scripts/build.sh release
if [ $full = 1 ]; then
  scripts/lint.sh headers build
  scripts/mutants.sh
  scripts/fuzz.sh 1100000
  SLUICE_FULL_TESTS=1 ctest --preset release --no-tests=error -LE e2e
  SLUICE_FULL_TESTS=1 ctest --preset release --no-tests=error -L e2e --parallel 2
  for preset in asan tsan; do
    scripts/build.sh $preset
    ctest --preset $preset --no-tests=error --parallel 2 -LE 'full|e2e'   # nothing is timed here
  done
else
  echo "fast tests only; scripts/test.sh --full adds the tests labelled full and the sanitizers"
  scripts/fuzz.sh 70000
  virtual='Seeds\.|CrashSweep\.'   # in virtual time: these may share the cores, the others are watched by clocks
  ctest --preset release --no-tests=error -LE full -R "$virtual" --parallel 2
  ctest --preset release --no-tests=error -LE 'full|e2e' -E "$virtual"
  ctest --preset release --no-tests=error -L e2e --parallel 2
fi
