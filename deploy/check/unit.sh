#!/usr/bin/env bash
# unit.sh DEB: the package's unit run by systemd itself, in namespaces of its own. unit.sh --can: whether this machine can, else why not.
set -euo pipefail
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/group.sh
. "$check/group.sh"

cannot() { echo "$*"; exit 1; }
[ "$(id -u)" = 0 ] || cannot "needs root"
[ -x /lib/systemd/systemd ] || cannot "no systemd here"
for tool in unshare curl jq ip dpkg-deb; do command -v "$tool" >/dev/null || cannot "$tool is not installed"; done
make_group || cannot "no cgroup2 to make a group in"
unshare --mount --pid --fork --net --cgroup --propagation private true 2>/dev/null || { rmdir "$group"; cannot "namespaces are not allowed here"; }
[ "$1" != --can ] || exec rmdir "$group"

deb=$(realpath "$1")
dir=$(mktemp -d)
# shellcheck disable=SC2329 # called by the trap
cleanup() {
  leave_group
  umount "$dir" && rmdir "$dir"
}
mount -t tmpfs tmpfs "$dir"
trap cleanup EXIT
enter_group

mkdir -p "$dir/upper/var"
# In a container the hard limit may be lower, and nobody in it may raise it.
(ulimit -n 1048576 2>/dev/null || true; ulimit -Hn) >"$dir/upper/var/nofile"
binary=$dir/l4fwd
dpkg-deb --fsys-tarfile "$deb" | tar -xOf - ./usr/bin/l4fwd >"$binary" && chmod +x "$binary"
# Which engine the kernel allows outside of the unit: the unit's filter must not take it away.
# shellcheck disable=SC2016 # $0 is the inner shell's
unshare --net bash -c 'ip link set lo up; exec "$0" --upstream 127.0.0.1:1 --listen 127.0.0.1:1443 --log-format json' "$binary" 2>"$dir/engine.log" &
probe=$!
for _ in $(seq 600); do grep -q '"msg":"started"' "$dir/engine.log" && break; sleep 0.1; done
kill "$probe"; wait "$probe" || true
jq -r 'select(.msg == "started") | .engine' "$dir/engine.log" >"$dir/upper/var/engine"

timeout --signal=KILL 600 unshare --mount --pid --fork --net --cgroup --propagation private \
  bash "$check/unit_root.sh" "$deb" "$dir" </dev/null || true
cat "$dir/upper/var/unit.log"
[ "$(tail -1 "$dir/upper/var/unit.log")" = "all is well" ]
