#!/usr/bin/env bash
# Run by systemd inside the root of unit_root.sh: drives l4fwd.service through what can happen to it. Says so at the end if all is well.
# The limits are for a machine that is busy with other tests; each sleep of 12 s is longer than WatchdogSec and TimeoutStopSec of that root.
set -uo pipefail
unit=l4fwd.service

show() { systemctl show --value --property "$1" "${2:-$unit}"; }
fail() {
  echo "unit: $*"
  systemctl status --no-pager "$unit"
  tail -20 /var/l4fwd.log
  exit 1
}
expect() { # expect WHAT WANTED GOT
  [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
  echo "ok $1"
}
until_is() { # until_is PROPERTY VALUE SECONDS
  local end=$((SECONDS + $3))
  until [ "$(show "$1")" = "$2" ]; do [ "$SECONDS" -lt "$end" ] || fail "$1 did not become $2 but $(show "$1")"; sleep 0.1; done
}
another_process() { # another_process PID: waits for one that is ready
  local end=$((SECONDS + 90))
  until [ "$(show MainPID)" != "$1" ] && [ "$(show ActiveState)" = active ]; do [ "$SECONDS" -lt "$end" ] || fail "no other process than $1"; sleep 0.1; done
}
through() { curl --silent --fail --max-time 30 http://127.0.0.1:443/; }
open_connection() { exec 3<>/dev/tcp/127.0.0.1/443 && expect "a connection is open" ok "$(ask)"; }
ask() { # a request on the connection
  printf 'GET / HTTP/1.1\r\n\r\n' >&3
  for _ in 1 2 3 4; do line= && read -r -t 30 -u 3 line; done
  echo "$line"
}
configure() { # configure TIMEOUT: of the drain
  cat >/etc/l4fwd/l4fwd.yaml <<YAML
upstreams: [{name: aoai, address: "127.0.0.1:8090"}]
listeners: [{name: aoai, address: ":443"}]
drain: {lame_duck: 0s, timeout: $1}
YAML
}

configure 60s
systemctl start $unit || fail "does not start"
expect "ready by its own word" active "$(show ActiveState)"
pid=$(show MainPID)
expect "a client on port 443 is served" ok "$(through)"
expect "it is not root" "" "$(awk '/^Uid:/ && $2 == 0' "/proc/$pid/status")"
expect "of all capabilities it has to bind low ports" 0000000000000400 "$(awk '/^CapEff:/ {print $2}' "/proc/$pid/status")"
expect "and cannot get others" "0000000000000400 1" "$(awk '/^CapBnd:/ {b=$2} /^NoNewPrivs:/ {print b, $2}' "/proc/$pid/status")"
expect "system calls are filtered" 2 "$(awk '/^Seccomp:/ {print $2}' "/proc/$pid/status")"
expect "its limit of descriptors, or the machine's own" "$(cat /var/nofile)" "$(awk '/^Max open files/ {print $4}' "/proc/$pid/limits")"
engine=$(l4fwd status --output json | jq -r .proxy.engine)
expect "the engine, as outside of the unit" "$(cat /var/engine)" "$engine"

sleep 12
expect "the watchdog is fed" "$pid" "$(show MainPID)"
kill -STOP "$pid"
another_process "$pid"
expect "one that hangs is replaced" watchdog "$(grep -q 'SIGABRT' /var/l4fwd.log && echo watchdog)"
pid=$(show MainPID)
kill -KILL "$pid"
another_process "$pid"
expect "one that was killed is replaced, and serves" ok "$(through)"

expect "the store has the listening sockets" 1 "$(show NFileDescriptorStore)"
pid=$(show MainPID)
kill -KILL "$pid"
until [ ! -e "/proc/$pid" ]; do sleep 0.01; done
expect "a client that comes when there is no process waits for the next one" ok "$(through)"
another_process "$pid"
expect "which has the listening sockets of the one that died" 1 "$(grep -c '"msg":"took over the listening sockets of a process that died","from":'"$pid," /var/l4fwd.log)"

open_connection
pid=$(show MainPID)
( while ! [ -e /var/enough ]; do through >/dev/null || echo refused; done >/var/refused 2>&1 ) &
clients=$!
for _ in 1 2 3; do systemctl restart $unit || fail "restart"; expect "the connection lives on after a restart" ok "$(ask)"; done
touch /var/enough
wait $clients
expect "no client was refused meanwhile" "" "$(cat /var/refused)"
[ "$(show MainPID)" != "$pid" ] || fail "the restart has changed no process"
expect "the process is the one that serves" "$(l4fwd status --output json | jq -r .pid)" "$(show MainPID)"
expect "the store has the listening sockets, and nothing else" 1 "$(show NFileDescriptorStore)"
exec 3>&-

pid=$(show MainPID)
systemctl reload $unit || fail "reload"
expect "a reload is waited for, and changes no process" "active $pid" "$(show ActiveState) $(show MainPID)"
expect "and was done" 1 "$(curl --silent http://127.0.0.1:8080/metrics | awk '$1 == "l4fwd_config_reload_success" {print $2}')"

pid=$(show MainPID) restarts=$(show NRestarts)
open_connection
l4fwd upgrade || fail "upgrade"
until_is ActiveState active 60
expect "an upgrade makes the new process the main one" "$(l4fwd status --output json | jq -r .pid)" "$(show MainPID)"
[ "$(show MainPID)" != "$pid" ] || fail "the upgrade has changed no process"
pid=$(show MainPID)
expect "the connection lives on" ok "$(ask)"
expect "a new client is served" ok "$(through)"
sleep 12
expect "the watchdog is fed by the new process" "$pid 0" "$(show MainPID) $(($(show NRestarts) - restarts))"
systemctl reload $unit || fail "reload after an upgrade"
expect "a reload after it changes no process" "active $pid" "$(show ActiveState) $(show MainPID)"

cp -p /etc/l4fwd/l4fwd.yaml /var/l4fwd.yaml
dpkg --force-depends --force-confold --install /var/l4fwd.deb >/var/dpkg.log 2>&1 || fail "dpkg: $(tail -5 /var/dpkg.log)"
cmp -s /etc/l4fwd/l4fwd.yaml /var/l4fwd.yaml || fail "the package has changed the configuration"
grep -q '^upgraded: version' /var/dpkg.log || fail "the package does not upgrade the daemon: $(tail -5 /var/dpkg.log)"
another_process "$pid"
expect "the connection lives on after the package was upgraded" ok "$(ask)"
exec 3>&-
pid=$(show MainPID)
kill -KILL "$pid"
another_process "$pid"
expect "one that took over and was killed is replaced, too" ok "$(through)"

open_connection # through the drain, for longer than TimeoutStopSec and WatchdogSec
systemctl stop --no-block $unit
sleep 12
expect "it drains for longer than TimeoutStopSec" deactivating "$(show ActiveState)"
expect "what it had accepted is still served" ok "$(ask)"
expect "and a new client is refused" 7 "$(through >/dev/null; echo $?)"
exec 3>&-
until_is ActiveState inactive 60
expect "the drain is a success" success "$(show Result)"

configure 5s
systemctl start $unit || fail "does not start again"
l4fwd drain || fail "drain"
until_is ActiveState inactive 60
sleep 1
expect "a drained one stays down" "inactive success" "$(show ActiveState) $(show Result)"

echo 'upstreams: [{name: aoai}]' >/etc/l4fwd/l4fwd.yaml
systemctl start $unit 2>/dev/null && fail "starts with a faulty configuration"
sleep 1
expect "a faulty configuration is not tried again" "failed 0" "$(show ActiveState) $(show NRestarts)"

configure 5s
systemctl reset-failed $unit
systemctl start l4fwd.socket || fail "the socket does not start"
expect "a connection starts it by way of the socket" ok "$(through)"
expect "the socket is systemd's" systemd "$(l4fwd status --output json | jq -r '.listener_sources.aoai')"
open_connection
systemctl restart $unit || fail "restart with the socket"
expect "a restart carries the connection across with a socket unit, too" ok "$(ask)"
expect "and the socket is still systemd's" systemd "$(l4fwd status --output json | jq -r '.listener_sources.aoai')"
exec 3>&-
systemctl stop l4fwd.socket $unit
expect "after a stop nothing is left in the store" 0 "$(show NFileDescriptorStore)"
echo "all is well"
