#!/usr/bin/env bash
# instance.sh DIR: an instance, as far as a machine like this can be one: systemd as PID 1 in mount, PID and cgroup namespaces of its own,
# and in the network namespace it was started in, which runs the user data DIR/user_data.sh at boot. Runs until it is ended by SIGTERM.
# DIR/env has what every unit gets as environment, DIR/pid then the PID of systemd out here, DIR/upper what was written in there.
set -euo pipefail
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/group.sh
. "$check/group.sh"
dir=$1 booted=

# shellcheck disable=SC2329 # called by the trap
cleanup() {
  [ -z "$booted" ] || kill -KILL "$booted" 2>/dev/null || true
  wait || true
  leave_group
}
make_group
trap cleanup EXIT
trap 'exit 0' TERM
enter_group
unshare --mount --pid --fork --kill-child --cgroup --propagation private bash "$check/instance_root.sh" "$dir" </dev/null &
booted=$!
wait "$booted"
