# Sourced after moto.sh: an instance of the group that Terraform made in moto boots with its launch template's user data, serves behind a load
# balancer with PROXY protocol, and leaves. Every process, interface and address is in namespaces that go away with this script.
# Needs lib.sh, moto.sh, and in $work l4fwd and l4fwd.tar.gz, the archive with it that the user data installs.
# shellcheck shell=bash disable=SC2154 # root, check and work are the caller's

region_space='' outside_space='' boot='' helpers=()
azure=198.51.100.10 resolver=169.254.169.253 metadata=169.254.169.254 balancer=172.30.15.10 # the second and third are AWS's own
autoscaling=127.0.0.1:1081 endpoint=vpce-0123456789abcdef0 upstream=dais24-aoai-demo.openai.azure.com key=stand-in-key
azure2=198.51.100.11 second=second-account.openai.azure.com key2=second-key secondaries=(172.30.15.11 172.30.15.12)

outside() { nsenter --net="/proc/$outside_space/ns/net" "$@"; }
booted() { nsenter --target "$(cat "$work/instance/pid")" --mount --pid --cgroup --net --root --wd=/ "$@"; }
ask() { "${inside[@]}" aws --output text "$@"; }
control() { "${inside[@]}" curl --silent --fail "http://$autoscaling/check/$1" "${@:2}"; }
metric() { # metric NAME LABELS…: the sum of those that have all the labels, 0 where there is none; nothing if l4fwd does not answer
  "${inside[@]}" curl --silent --fail --max-time 20 http://127.0.0.1:8080/metrics | awk -v name="$1" -v want="${*:2}" '
    { split($1, part, "{"); if (part[1] != name) next; n = split(want, w, " "); for (i = 1; i <= n; i++) if (!index($1, w[i])) next; sum += $NF }
    END { if (NR) print sum + 0 }'
}
eventually() { # eventually SECONDS COMMAND...; the limits are for a machine that is busy with other tests
  local end=$((SECONDS + $1))
  shift
  until "$@"; do [ "$SECONDS" -lt "$end" ] || { echo "not in time: $*"; return 1; }; sleep 0.2; done
}
is() { # is WHAT WANTED GOT
  [ "$2" = "$3" ] || { echo "$1: wanted '$2', got '$3'"; return 1; }
  echo "$1: $3"
}

e2e_can() { # or says why not
  local tool
  [ -x "$work/l4fwd" ] || { echo "no build of l4fwd"; return 1; }
  for tool in aws jq curl nsenter go; do have $tool || { echo "$tool is not installed"; return 1; }; done
  bash "$check/unit.sh" --can
}
space() { # space VARIABLE: a network namespace for as long as a process in it, whose PID the variable gets
  unshare --net sleep 3600 >/dev/null 2>&1 &
  printf -v "$1" %s $!
  for _ in $(seq 600); do [ "$(readlink "/proc/$!/ns/net")" = "$(readlink /proc/self/ns/net)" ] || break; sleep 0.1; done
  nsenter --net="/proc/$!/ns/net" ip link set lo up
}
e2e_begin() { # before moto is started, which is to be reachable from the instance
  space region_space && space outside_space && inside=(nsenter --net="/proc/$region_space/ns/net")
}
e2e_end() {
  local pid
  [ -z "$boot" ] || { kill "$boot" && wait "$boot"; }
  for pid in "${helpers[@]}" $outside_space $region_space; do kill "$pid" && wait "$pid"; done
  [ ! -d "$work/instance" ] || umount "$work/instance"
  boot='' outside_space='' region_space='' helpers=()
} >/dev/null 2>&1

e2e_release() { # where the launch template's user data looks for it
  ask s3 mb s3://releases && ask s3 cp --only-show-errors "$work/l4fwd.tar.gz" s3://releases/l4fwd/l4fwd.tar.gz
}
e2e_machine() { # the first instance of the group as moto tells it, and the hooks that Terraform gave the group
  ask --output json ec2 describe-instances --filters Name=tag:aws:autoscaling:groupName,Values=l4fwd >"$work/instances.json" &&
    ask --output json autoscaling describe-lifecycle-hooks --auto-scaling-group-name l4fwd >"$work/hooks.json" &&
    jq -n --slurpfile instances "$work/instances.json" --slurpfile hooks "$work/hooks.json" --arg ec2 "$AWS_ENDPOINT_URL" \
      --arg metadata "$metadata:80" --arg autoscaling "$autoscaling" '
      $instances[0].Reservations[0].Instances[0] as $i | $i.NetworkInterfaces[0] as $n
      | {metadata: $metadata, autoscaling: $autoscaling, ec2: $ec2, role: "l4fwd", group: "l4fwd",
        machine: {region: "us-west-2", account: "123456789012", instance: $i.InstanceId, mac: $n.MacAddress, interface: $n.NetworkInterfaceId, privateip: $n.PrivateIpAddress},
        hooks: [$hooks[0].LifecycleHooks[] | {name: .LifecycleHookName, transition: .LifecycleTransition, seconds: .HeartbeatTimeout}]}' >"$work/machine.json" &&
    private=$(jq -r .machine.privateip "$work/machine.json") && eni=$(jq -r .machine.interface "$work/machine.json") &&
    jq -e '.machine.instance and (.hooks | length == 2)' "$work/machine.json"
}
e2e_network() { # the instance's interface, and beyond it the resolver, the load balancer and Azure
  local address
  "${inside[@]}" ip link add eth0 type veth peer name eth0 netns "$outside_space" &&
    "${inside[@]}" ip address add "$private/32" dev eth0 && "${inside[@]}" ip address add "$metadata/32" dev lo &&
    "${inside[@]}" ip link set eth0 up && "${inside[@]}" ip route add default dev eth0 src "$private" || return 1
  for address in $azure $azure2 $resolver $balancer "${secondaries[@]}"; do outside ip address add "$address/32" dev eth0 || return 1; done
  outside ip link set eth0 up && outside ip route add default dev eth0 src "$balancer"
}
e2e_world() {
  (cd "$root" && CGO_ENABLED=0 go build -o "$work/" ./deploy/check/cloud ./bench/standin/cmd/standin) || return 1
  jq -n --arg resolver "$resolver:53" --argjson names "{\"$upstream\": \"$azure\", \"$second\": \"$azure2\"}" --arg balancer "$balancer:443" \
    --arg target "$private:443" --arg endpoint "$endpoint" '{$resolver, $names, $balancer, sources: $ARGS.positional, $target, $endpoint}' \
    --args "$balancer" "${secondaries[@]}" >"$work/outside.json"
  "${inside[@]}" "$work/cloud" region "$work/machine.json" >"$work/region.log" 2>&1 &
  helpers+=($!)
  # Not by way of outside: a function in the background would be a shell, and the program its child.
  nsenter --net="/proc/$outside_space/ns/net" "$work/cloud" outside "$work/outside.json" >"$work/outside.log" 2>&1 &
  helpers+=($!)
  # Long answers: one that streams when the drain begins has to outlast the lame-duck time of 15 s.
  nsenter --net="/proc/$outside_space/ns/net" "$work/standin" -listen "$azure:443" -ca-out "$work/ca.pem" -deny -allow "$private" -tokens 600 >"$work/standin.log" 2>&1 &
  helpers+=($!)
  nsenter --net="/proc/$outside_space/ns/net" "$work/standin" -listen "$azure2:443" -ca-out "$work/ca2.pem" -deny -allow "$private" -key "$key2" >"$work/standin2.log" 2>&1 &
  helpers+=($!)
  eventually 60 test -s "$work/ca.pem" && eventually 60 test -s "$work/ca2.pem" && eventually 60 control state
}

e2e_boot() { # with the user data of the launch template, byte for byte as moto got it
  mkdir -p "$work/instance" && mount -t tmpfs tmpfs "$work/instance" || return 1
  ask ec2 describe-launch-template-versions --launch-template-id "$(ask ec2 describe-launch-templates --query 'LaunchTemplates[0].LaunchTemplateId')" \
    --versions "\$Latest" --query 'LaunchTemplateVersions[0].LaunchTemplateData.UserData' | base64 -d >"$work/instance/user_data.sh" || return 1
  # All that is not as on EC2: where the APIs are. Region, credentials and identity come from the metadata service at its own address.
  printf '%s\n' "AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL" "AWS_ENDPOINT_URL_AUTO_SCALING=http://$autoscaling" >"$work/instance/env"
  echo "nameserver $resolver" >"$work/instance/resolv.conf"
  "${inside[@]}" bash "$check/instance.sh" "$work/instance" >"$work/instance.log" 2>&1 &
  boot=$!
  eventually 240 user_data_ended || return 1
  is "user data" success "$(booted systemctl show --value --property Result user-data.service)"
}
user_data_ended() {
  [ -s "$work/instance/pid" ] || return 1
  case $(booted systemctl is-active user-data.service 2>/dev/null) in active | failed) ;; *) return 1 ;; esac
}
e2e_installed() { # the release, by its checksum; the configuration that Terraform shows; the unit, enabled; settings of the kernel
  local upper=$work/instance/upper
  cmp "$work/l4fwd" "$upper/usr/bin/l4fwd" && cmp "$root/deploy/systemd/l4fwd.service" "$upper/usr/lib/systemd/system/l4fwd.service" &&
    diff "$upper/etc/l4fwd/l4fwd.yaml" <(cd "$work/moto" && terraform output -json l4fwd | jq -rj .config_yaml) &&
    is enabled enabled "$(booted systemctl is-enabled l4fwd.service)" && is somaxconn 65535 "$("${inside[@]}" cat /proc/sys/net/core/somaxconn)"
}
e2e_unit() { # it runs as the unit says, and not as root
  local pid
  eventually 90 is_active && pid=$(booted systemctl show --value --property MainPID l4fwd.service) || return 1
  is "command line" "$(sed -n 's/^ExecStart=//p' "$root/deploy/systemd/l4fwd.service") " "$(booted cat "/proc/$pid/cmdline" | tr '\0' ' ')" &&
    is "capabilities" 0000000000000400 "$(booted sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" &&
    is "user 0" "" "$(booted grep -P '^Uid:\t0\t' "/proc/$pid/status")" &&
    is "region" AWS_REGION=us-west-2 "$(booted cat "/proc/$pid/environ" | tr '\0' '\n' | grep ^AWS_REGION)"
}
is_active() { [ "$(booted systemctl is-active l4fwd.service)" = active ]; }

held() { ask ec2 describe-addresses --filters "Name=network-interface-id,Values=$eni" --query 'Addresses[].PublicIp' || echo "no answer"; }
holds() { held | grep -qE '^[0-9.]+$'; }
e2e_holds() { # moto says which address is on the instance's interface; Terraform, that it made it and hands it to Azure
  local ip
  eventually 90 ready || return 1
  ip=$(held) && (cd "$work/moto" && terraform output -json l4fwd) | jq -e --arg ip "$ip" '.ip_rules | index($ip) != null' &&
    is "what l4fwd says it holds" "$ip" "$(booted l4fwd status --output json | jq -r '.. | .public_ip? // empty' | head -1)"
}
ready() { "${inside[@]}" curl --silent --fail --output /dev/null http://127.0.0.1:8080/readyz; }
e2e_launched() { # once it was ready; the simulation knows the hook under the name that Terraform gave it
  eventually 90 in_state InService || return 1
  control calls | grep -x 'CompleteLifecycleAction l4fwd-launch CONTINUE'
}
in_state() { [ "$(control state)" = "$1" ]; }

# with_logs COMMAND...: and what those who took part in it wrote, if it fails
with_logs() {
  "$@" && return
  tail -n 30 "$work"/{instance,region,outside}.log "$work"/instance/upper/var/{cloud-init-output,l4fwd}.log 2>&1
  return 1
}

# What a network load balancer sends before a check: LOCAL, TCP over IPv4, no addresses but a checksum and padding.
probe_header() { printf '\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x54\x03\0\4\x12\x34\x56\x78\4\0\x4a' && head -c 74 /dev/zero; }
probe() { # probe PORT: the header, then standard input; what is answered
  # shellcheck disable=SC2016 # the inner shell's
  { probe_header && cat; } | outside timeout 20 bash -c 'exec 3<>"/dev/tcp/$0/$1" && cat >&3 && if [ "$2" = answer ]; then cat <&3; fi' "$private" "$1" "${2:-}"
}
readyz() { printf 'GET /readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$balancer" | probe 8080 answer | head -1 | tr -d '\r'; }
e2e_checked() { is "/readyz" "HTTP/1.1 200 OK" "$(readyz)"; }
e2e_probed() { # each port of the target groups
  probe 443 </dev/null && probe 8443 </dev/null && eventually 30 probes_are 2 && is refused 0 "$(metric l4fwd_refused_total)"
}
probes_are() { [ "$(metric l4fwd_connections_total 'reason="probe"')" = "$1" ]; }

request() { # request STREAM CURL-ARGUMENT...: a chat completion, as a client of the endpoint asks for it
  outside curl --silent --show-error --fail --max-time 120 --cacert "$work/ca.pem" --header "api-key: $key" "${@:2}" \
    --json "{\"model\": \"gpt-4o\", \"stream\": $1, \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}" \
    "https://$upstream/openai/v1/chat/completions"
}
through=(--connect-to "$upstream:443:$balancer:443")
e2e_forwards() { # TLS from end to end, since curl trusts the stand-in alone; the access log knows the endpoint
  request false "${through[@]}" >"$work/answer.json" && jq -e '.choices[0].message.content | length > 100' "$work/answer.json" && jq -c '.model, .usage' "$work/answer.json" &&
    eventually 30 logged && jq -c --arg vpce "$endpoint" 'select(.vpce == $vpce)' <(grep '"vpce"' "$work/instance/upper/var/l4fwd.log") &&
    is refused 0 "$(metric l4fwd_refused_total)"
}
logged() {
  grep '"vpce"' "$work/instance/upper/var/l4fwd.log" | jq -es --arg vpce "$endpoint" --arg azure "$azure:443" --arg from "$balancer" '.[]
    | select(.vpce == $vpce and .upstream == "aoai" and .upstream_addr == $azure and .bytes_down > 1000 and (.client | startswith($from)))' >/dev/null
}
e2e_isolated() { # the name decides: the second account answers as itself, with its own certificate and key; a name that nobody has is refused
  local refused
  outside curl --silent --show-error --fail --max-time 60 --cacert "$work/ca2.pem" --header "api-key: $key2" --connect-to "$second:443:$balancer:443" \
    "https://$second/openai/v1/models" | jq -e '.data | length == 1' || return 1
  is "the second account with the first one's key" 401 "$(outside curl --silent --cacert "$work/ca2.pem" --header "api-key: $key" --output /dev/null -w '%{http_code}' \
    --connect-to "$second:443:$balancer:443" "https://$second/openai/v1/models")" || return 1
  refused=$(metric l4fwd_refused_total)
  if outside curl --silent --cacert "$work/ca.pem" --connect-to "third.openai.azure.com:443:$balancer:443" https://third.openai.azure.com/; then echo "a name that nobody has was answered"; return 1; fi
  is refused $((refused + 1)) "$(metric l4fwd_refused_total)"
}
e2e_secondary() { # the load balancer's addresses take turns: each is a client
  local address
  for address in "$balancer" "${secondaries[@]}"; do
    request false "${through[@]}" >/dev/null && eventually 30 client_logged "$address" || return 1
  done
}
client_logged() { grep '"vpce"' "$work/instance/upper/var/l4fwd.log" | jq -r .client | grep -F "$1:" >/dev/null; }
e2e_refuses() { # one that did not come through the load balancer
  if request false --connect-to "$upstream:443:$private:443" 2>/dev/null; then echo "answered without a PROXY header"; return 1; fi
  is refused 1 "$(metric l4fwd_refused_total 'reason="proxy_header_missing"')"
}

e2e_by_hand() { # the request that docs/DEPLOY.md has a person make on an instance: admitted, only the key is missing
  is "answer" 401 "$(booted curl --silent --cacert /dev/stdin --haproxy-protocol --connect-to ::127.0.0.1:443 --output /dev/null -w '%{http_code}' \
    "https://$upstream/openai/v1/models" <"$work/ca.pem")" &&
    grep -q -- "--haproxy-protocol --connect-to ::127.0.0.1:443 .*/openai/v1/models" "$root/docs/DEPLOY.md"
}

stream() { # in the background: an answer of some 20 s
  request true "${through[@]}" --no-buffer >"$work/$1" 2>&1 &
  streaming=$!
  eventually 60 grep -q '^data: ' "$work/$1"
}
streamed() { wait "$streaming" && grep -qx $'data: \\[DONE\\]\r\\?' "$work/$1"; }
inactive() { [ "$(booted systemctl is-active l4fwd.service)" = inactive ]; }
left() { # left STREAM: a drain that ended well
  streamed "$1" && eventually 90 inactive && is result "success 0" "$(booted systemctl show --value --property Result,ExecMainStatus l4fwd.service | paste -sd' ')" &&
    is "addresses held" "" "$(held)"
}
e2e_sigterm() { # not ready at once, what streams ends whole, the address is back in the pool
  stream first && booted systemctl stop --no-block l4fwd.service && eventually 14 not_ready && left first && is state InService "$(control state)"
}
not_ready() { [ "$(readyz)" = "HTTP/1.1 503 Service Unavailable" ]; }
e2e_scaled_in() { # started again it claims again; Auto Scaling takes it out, and it says itself when it is done
  booted systemctl start l4fwd.service && eventually 90 ready && holds && stream second &&
    control terminate --request POST && eventually 30 not_ready && is state Terminating:Wait "$(control state)" && left second &&
    is state Terminated "$(control state)" && control calls | grep -x 'CompleteLifecycleAction l4fwd-terminate CONTINUE'
}

e2e() { # all of it, after the apply; the pool is free again then
  step "e2e: the release in S3" e2e_release
  step "e2e: the machine, as moto and Terraform made it" e2e_machine
  step "e2e: its network" e2e_network
  step "e2e: metadata, hooks, resolver, load balancer, stand-in" e2e_world
  step "e2e: boots with the launch template's user data" with_logs e2e_boot
  step "e2e: installed, enabled, configured" with_logs e2e_installed
  step "e2e: runs as the unit says" with_logs e2e_unit
  step "e2e: holds an address of Terraform's pool" with_logs e2e_holds
  step "e2e: completed the launch hook" with_logs e2e_launched
  step "e2e: /readyz to the load balancer, behind a PROXY header" with_logs e2e_checked
  step "e2e: the load balancer's check on the ports is no error" with_logs e2e_probed
  step "e2e: a request through endpoint and load balancer is answered" with_logs e2e_forwards
  step "e2e: from each address of the load balancer" with_logs e2e_secondary
  step "e2e: without a PROXY header refused" with_logs e2e_refuses
  step "e2e: two accounts, isolated by name" with_logs e2e_isolated
  step "e2e: the request that a person makes on the instance" with_logs e2e_by_hand
  step "e2e: SIGTERM: drains, and gives the address back" with_logs e2e_sigterm
  step "e2e: scaled in: drains, gives it back, completes the hook" with_logs e2e_scaled_in
}
