# Sourced: a cgroup of the caller's own, since a systemd in namespaces takes the one it is started in for the root of all.
# shellcheck shell=bash

cgroups=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
group=$cgroups/l4fwd-check.$$
before=$cgroups$(awk -F: '$1 == 0 {print $3}' /proc/self/cgroup)

make_group() { [ -n "$cgroups" ] && mkdir "$group" 2>/dev/null; }
enter_group() { echo $$ >"$group/cgroup.procs"; }
leave_group() { # what was killed may take a moment to be gone
  echo $$ >"$before/cgroup.procs" || true
  for _ in $(seq 20); do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ -d "$group" ] || return 0
    sleep 0.1
  done
  echo "the cgroup $group is left"
}
