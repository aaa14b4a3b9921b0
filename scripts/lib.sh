# Functions shared by the scripts; sourced, not run.

die() { # CODE MESSAGE
  printf '%s\n' "$2" >&2
  exit "$1"
}

# install_missing FILE: installs the packages listed in FILE that are not there. No package tool is called when none is missing.
install_missing() {
  local file=$1 name missing=()
  while read -r name _; do
    case $name in ''|'#'*) continue ;; esac
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done <"$file"
  [ ${#missing[@]} -gt 0 ] || return 0
  local run=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die 3 "missing packages: ${missing[*]}; run as root: apt-get install --no-remove ${missing[*]}"
    run=(sudo)
  fi
  echo "installing ${missing[*]} (apt-get install --no-remove)"
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends "${missing[@]}" >/dev/null ||
    die 3 "apt-get could not install: ${missing[*]}"
}
