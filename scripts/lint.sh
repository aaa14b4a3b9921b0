#!/usr/bin/env bash
# A second compiler's opinion: each header compiles alone, clang builds all without a warning, and clang-tidy (.clang-tidy)
# finds nothing in src. The first two are part of scripts/test.sh --full; clang-tidy takes about an hour on 2 cores.
#
#   scripts/lint.sh [headers|build|tidy]...     all three
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
parts=("$@")
[ $# -gt 0 ] || parts=(headers build tidy)
for part in "${parts[@]}"; do
  case $part in
    -h|--help) sed -n '2,/^set /p' "scripts/lint.sh" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    headers|build|tidy) ;;
    *) die 2 "usage: scripts/lint.sh [headers|build|tidy]..." ;;
  esac
done
install_missing scripts/packages.txt
install_missing scripts/lint-packages.txt
cmake --preset clang >/dev/null
cmake --build --preset clang --target build_commit >/dev/null
commands=build/clang/compile_commands.json

# As its own layer's sources are compiled, so that a header cannot lean on what a layer further down may see.
compile_alone() {
  local header=$1 layer command
  layer=$(cut -d/ -f2 <<<"$header")
  command=$(python3 -c '
import json, shlex, sys
for entry in json.load(open(sys.argv[1])):
    if f"/src/{sys.argv[2]}/" in entry["file"]:
        words = shlex.split(entry["command"])
        keep = [w for w in words[1:] if w.startswith(("-I", "-D", "-std", "-f", "-m", "-W"))]
        keep += [w for at, w in enumerate(words) if at and words[at - 1] == "-isystem" for w in ("-isystem", w)]
        print(shlex.join(keep))
        break' "$commands" "$layer")
  eval "clang++ $command -fsyntax-only -Wno-pragma-once-outside-header -x c++ '$header'"
}
export -f compile_alone
export commands
for part in "${parts[@]}"; do
  case $part in
    headers) git ls-files 'src/*.hpp' | xargs -P "$(nproc)" -I{} bash -c 'compile_alone {}'
             echo "headers: $(git ls-files 'src/*.hpp' | wc -l) compile alone" ;;
    build) cmake --build --preset clang --parallel "$(nproc)"
           echo "clang: built without a warning" ;;
    tidy) git ls-files 'src/*.cpp' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/clang --quiet
          echo "clang-tidy: nothing in $(git ls-files 'src/*.cpp' | wc -l) sources" ;;
  esac
done
