#!/usr/bin/env bash
# Installs what is missing and builds: scripts/build.sh [PRESET]. PRESET: release (default), debug, asan, tsan.
# Programs land in build/PRESET/bin/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
preset=${1:-release}
case $preset in
  release|debug|asan|tsan) ;;
  *) die 2 "usage: scripts/build.sh [release|debug|asan|tsan]" ;;
esac
install_missing scripts/packages.txt
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset "$preset" "${launcher[@]}" >"/tmp/sluice-cmake.$$" 2>&1 || { cat "/tmp/sluice-cmake.$$" >&2; rm -f "/tmp/sluice-cmake.$$"; exit 1; }
rm -f "/tmp/sluice-cmake.$$"
cmake --build --preset "$preset" --parallel "$(nproc)"
echo "built: build/$preset/bin"
