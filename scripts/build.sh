#!/usr/bin/env bash
# Installs what is missing and builds.
#
#   scripts/build.sh [PRESET [TARGET...]]     release (default), debug, asan or tsan; programs land in build/PRESET/bin/
#
# With SLUICE_WERROR=ON in the environment warnings are errors, as scripts/test.sh has it.
# Without targets everything is built, tests too; `scripts/build.sh release sluice` takes less than half of that.
# The packages of scripts/packages.txt are looked up by dpkg; what is missing is named and installed by apt-get
# (--no-remove), as root or with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
preset=${1:-release}
case $preset in
  -h|--help) sed -n '2,/^set /p' "scripts/build.sh" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  release|debug|asan|tsan) ;;
  *) die 2 "usage: scripts/build.sh [release|debug|asan|tsan [TARGET...]]" ;;
esac
targets=()
if [ $# -gt 1 ]; then targets=(--target "${@:2}"); fi
install_missing scripts/packages.txt
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset "$preset" "${launcher[@]}" ${SLUICE_WERROR:+-DSLUICE_WERROR="$SLUICE_WERROR"} >"/tmp/sluice-cmake.$$" 2>&1 || { cat "/tmp/sluice-cmake.$$" >&2; rm -f "/tmp/sluice-cmake.$$"; exit 1; }
rm -f "/tmp/sluice-cmake.$$"
cmake --build --preset "$preset" --parallel "$(nproc)" "${targets[@]}"
echo "built: build/$preset/bin"
