# Sourced by the checks in this folder: pass, fail and skip by name, and a summary. A skip is loud and no failure.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for the script that sources this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=() failed=() skipped=()

step() { # step NAME COMMAND...: quiet when it passes, its output when it fails
  local name=$1 from=$SECONDS log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    passed+=("$name")
    echo "ok    $name ($((SECONDS - from)) s)"
  else
    failed+=("$name")
    echo "FAIL  $name ($((SECONDS - from)) s): $*"
    sed 's/^/      /' "$log"
  fi
  rm -f "$log"
}

skip() { # skip NAME WHY
  skipped+=("$1")
  echo "SKIP  $1: $2"
}

have() { command -v "$1" >/dev/null 2>&1; }

summary() { # summary NAME: the status is the check's
  echo "$1: ${#passed[@]} passed, ${#failed[@]} failed, ${#skipped[@]} skipped"
  local s
  for s in "${skipped[@]}"; do echo "$1: SKIPPED $s"; done
  [ ${#failed[@]} = 0 ]
}
