#!/usr/bin/env bash
# Checks deploy/ecs and deploy/kubernetes: times against each other, configuration by the real binary, the Terraform of ECS against moto.
set -uo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=SCRIPTDIR/moto.sh
. "$(dirname "${BASH_SOURCE[0]}")/moto.sh"
work=$(mktemp -d)
# shellcheck disable=SC2329 # called by the trap
cleanup() {
  stop_moto
  rm -rf "$work"
}
trap cleanup EXIT
export LC_ALL=C
task=$root/deploy/ecs/task-definition.json
kube=$root/deploy/kubernetes/l4fwd.yaml

variables() { jq -r '.containerDefinitions[0].environment[] | "\(.name)=\(.value)"' "$task"; }
build_binary() { cd "$root" && CGO_ENABLED=0 go build -o "$work/l4fwd" ./cmd/l4fwd; }
task_config() { # without a warning about unknown variables either
  local said env=()
  mapfile -t env < <(variables | sed 's/NAME\.openai/demo.openai/')
  said=$(env -i "${env[@]}" "$work/l4fwd" check 2>&1 >"$work/task.yaml") || { echo "$said"; return 1; }
  [ -z "$said" ] || { echo "$said"; return 1; }
}
task_times() { # 20 s are left to release the address, and ECS waits for 120 s at most
  jq -e 'def seconds(k): .environment[] | select(.name == k) | .value | rtrimstr("s") | tonumber;
    .networkMode == "host" and .requiresCompatibilities == ["EC2"] and (.containerDefinitions[0] |
      .stopTimeout <= 120 and .stopTimeout >= seconds("L4FWD_DRAIN_LAME_DUCK") + seconds("L4FWD_DRAIN_TIMEOUT") + 20)' "$task"
}
task_user() { # the image's, and a port that it may open
  [ "$(jq -r '.containerDefinitions[0].user' "$task")" = "$(sed -n 's/^USER //p' "$root/Dockerfile")" ] &&
    jq -e '.containerDefinitions[0] | ([.portMappings[].hostPort] | min) >= 1024 and (.environment | any(.name == "L4FWD_LISTEN" and .value == ":8443"))' "$task"
}
actions() { grep -ohE '"(ec2|autoscaling):[A-Z][A-Za-z]+"' "$@" | sort -u; }
policy() { diff <(actions "$root"/deploy/iam/*.json) <(actions "$root/deploy/ecs/terraform/main.tf"); }

ecs_init() {
  mkdir -p "$work/run" && cp "$root/deploy/check/ecs/main.tf" "$work/run" && mkdir -p "$work/run/ecs/terraform" &&
    cp "$task" "$work/run/ecs" && cp "$root"/deploy/ecs/terraform/*.tf "$work/run/ecs/terraform" &&
    cd "$work/run" && terraform init -no-color -plugin-dir="$plugins"
}
ecs_override() { cp "$root/deploy/check/ecs/moto_override.tf" "$work/run/ecs/terraform"; }
ecs_plan() { cd "$work/run" && terraform plan -no-color | grep 'aws_ecs_service.this will be created'; }
ecs() { cd "$work/run" && terraform "$@" -no-color; }

kube_json() { # documents as a JSON array; a key that is there twice is a fault
  python3 - "$kube" >"$work/kube.json" <<'PY'
import json, sys, yaml
class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        if len(keys) != len(set(keys)):
            raise SystemExit(f"a key twice: {keys}")
        return super().construct_mapping(node, deep)
json.dump(list(yaml.load_all(open(sys.argv[1]), Loader=Strict)), sys.stdout)
PY
}
kube_config() {
  jq -r '.[] | select(.kind == "ConfigMap") | .data["l4fwd.yaml"]' "$work/kube.json" | sed 's/NAME\.openai/demo.openai/' >"$work/kube.yaml" && "$work/l4fwd" check --config "$work/kube.yaml" >"$work/effective.yaml"
}
kube_times() { # the grace is preStop + lame duck + drain and a margin; the lame duck is what the readiness probe needs to fail
  jq -e '.[] | select(.kind == "Deployment") | .spec.template.spec | .containers[0] as $c
    | .terminationGracePeriodSeconds >= $c.lifecycle.preStop.sleep.seconds + 15 + 300 + 10
    and $c.readinessProbe.periodSeconds * $c.readinessProbe.failureThreshold < 15' "$work/kube.json" &&
    grep -q 'drain: {lame_duck: 15s, timeout: 5m}' "$kube"
}
kube_wiring() { # selectors match the pods, probes and service name ports of the container, which the configuration opens
  jq -e '[.[] | select(.kind == "Deployment")][0] as $d | $d.spec.template as $t | $t.spec.containers[0] as $c
    | ($c.ports | map({(.name): .containerPort}) | add) as $ports
    | $ports == {tls: 8443, health: 8080}
    and all($c.startupProbe, $c.livenessProbe, $c.readinessProbe; $ports[.httpGet.port] == 8080)
    and $c.readinessProbe.httpGet.path == "/readyz" and $c.livenessProbe.httpGet.path == "/livez"
    and ([.[] | select(.kind == "PodDisruptionBudget")][0].spec.selector == $d.spec.selector)
    and ([.[] | select(.kind == "Service")][0].spec | .selector == $t.metadata.labels and all(.ports[]; $ports[.targetPort] != null))
    and $d.spec.selector.matchLabels == $t.metadata.labels
    and $t.spec.securityContext.runAsNonRoot and $c.securityContext.readOnlyRootFilesystem' "$work/kube.json"
}

if ! have jq || ! have go; then
  skip "manifests: everything" "needs jq and go"
  summary deploy-check-manifests
  exit
fi
step "binary" build_binary
step "ecs: environment by l4fwd check" task_config
step "ecs: stopTimeout fits the drain" task_times
step "ecs: user and ports" task_user
step "ecs: the actions of deploy/iam" policy
if have terraform; then
  step "ecs: terraform fmt" terraform fmt -check -recursive -diff "$root/deploy/ecs"
  plugins=$(plugin_dir)
  if [ -z "$plugins" ]; then
    skip "ecs: validate and apply" "no AWS provider: set TF_PLUGIN_DIR"
  else
    step "ecs: init" ecs_init
    step "ecs: terraform validate" ecs validate
    if ! have moto_server; then
      skip "ecs: apply against moto" "no moto_server: pip install 'moto[server]'"
    elif start_moto; then
      step "ecs: plan, with the service" ecs_plan
      step "ecs: without what moto lacks" ecs_override
      step "ecs: apply against moto" ecs apply -auto-approve
      step "ecs: second plan without changes" ecs plan -detailed-exitcode
      step "ecs: destroy" ecs destroy -auto-approve
    else
      failed+=("moto_server")
    fi
  fi
else
  skip "ecs: its Terraform" "no terraform here"
fi
if have python3 && python3 -c 'import yaml' 2>/dev/null; then
  step "kubernetes: YAML" kube_json
  step "kubernetes: configuration by l4fwd check" kube_config
  step "kubernetes: times" kube_times
  step "kubernetes: wiring" kube_wiring
else
  skip "kubernetes" "needs python3 with yaml: apt-get install python3-yaml"
fi
summary deploy-check-manifests
