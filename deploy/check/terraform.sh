#!/usr/bin/env bash
# Checks deploy/terraform as far as this machine can: formatting, validation and tests by Terraform; the AWS module applied against
# moto; azurerm and databricks by schema; what is rendered by the tools that will read it.
#
#   TF_PLUGIN_DIR  a filesystem mirror with the AWS provider (terraform providers mirror DIR); else the usual places are searched
#   TFSCHEMA_DIR   provider schemas and their checker; else ../shared/tfschema beside the checkout
set -uo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=SCRIPTDIR/moto.sh
. "$(dirname "${BASH_SOURCE[0]}")/moto.sh"
# shellcheck source=SCRIPTDIR/e2e.sh
. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"

work=$(mktemp -d) plugins=$(plugin_dir) zeros=$(printf '0%.0s' {1..64})
# shellcheck source=SCRIPTDIR/schema.sh
. "$(dirname "${BASH_SOURCE[0]}")/schema.sh"
# shellcheck source=SCRIPTDIR/second.sh
. "$(dirname "${BASH_SOURCE[0]}")/second.sh"
# shellcheck disable=SC2329 # called by the trap
cleanup() {
  e2e_end
  stop_moto
  rm -rf "$work"
}
trap cleanup EXIT

inputs() { # inputs MODULE: the checks of its variables, which need no provider once the mock is taken out
  local dir=$work/inputs-$1
  mkdir -p "$dir"
  cp "$tf/$1"/variables*.tf "$dir"
  sed -e '/^mock_provider .*{}$/d' -e '/^mock_provider .*{$/,/^}$/d' "$tf/$1/tests/inputs.tftest.hcl" >"$dir/inputs.tftest.hcl"
  cd "$dir" && terraform init -no-color && terraform test -no-color
}

messages() { # every error message of a variable begins with the variable's name
  awk '/^variable "/ { gsub(/"/, "", $2); name = $2 }
    /error_message *=/ { m = $0; sub(/^[^"]*"/, "", m); if (index(m, name) != 1) { print FILENAME ": " name ": " m; bad = 1 } }
    END { exit bad }' "$tf"/*/variables*.tf
}

actions() { grep -ohE '"(ec2|autoscaling):[A-Z][a-z]+[A-Z][A-Za-z]*"' "$@" | sort -u; }

policy() { # the module's policy allows the actions of the published one, no more and no fewer
  diff <(actions "$root"/deploy/iam/*.json) <(actions "$tf/aws/policy.json.tftpl")
}

release() { # the archive for this machine as make release makes it, and its binary
  OUT=$work/release PLATFORMS=linux/$(go env GOARCH) "$root/deploy/release/build.sh" >/dev/null && mv "$work"/release/*.tar.gz "$work/l4fwd.tar.gz" &&
    tar -xzf "$work/l4fwd.tar.gz" -C "$work" --strip-components=1 --wildcards '*/l4fwd'
}

accepted() { # accepted POLICY: by moto, which looks into it as IAM does, as far as the grammar goes
  "${inside[@]}" aws iam create-policy --policy-name "$(basename "$1" .json)" --policy-document "file://$1"
}
policies() { # those of deploy/iam; one with a fault in it is refused
  accepted "$root/deploy/iam/eip.json" && accepted "$root/deploy/iam/lifecycle.json" || return 1
  sed 's/"Effect": "Allow"/"Effect": "allow"/' "$root/deploy/iam/eip.json" >"$work/faulty.json"
  if accepted "$work/faulty.json"; then echo "moto takes anything"; return 1; fi
}

render() { # render VARS DIR [SOURCE]: config and user data as the module renders them, for the archive at hand under that name, or an image
  local artifact=null
  [ -z "${3:-}" ] || artifact="{source=\"$3\",sha256=\"$(sha256sum "$work/l4fwd.tar.gz" | cut -d' ' -f1)\"}"
  mkdir -p "$2"
  cp -r "$tf/aws"/variables*.tf "$tf/aws/config.tf" "$tf/aws/templates" "$check/render/main.tf" "$2"
  cp "$check/render/$1.tfvars" "$2/terraform.tfvars"
  cd "$2" && terraform init -no-color && terraform apply -auto-approve -no-color -var "artifact=$artifact" &&
    terraform output -raw config_yaml >l4fwd.yaml && terraform output -raw user_data >user_data.sh
}

config_check() { "$work/l4fwd" check --config "$1" >/dev/null; }

user_data() { # user_data DIR: in a copy-on-write root of this machine, which is thrown away
  shellcheck --shell=bash "$1/user_data.sh" && unshare --mount --propagation private \
    bash "$check/userdata.sh" "$1/user_data.sh" "$work/l4fwd.tar.gz" "$1/l4fwd.yaml"
}

image() { # image DIR: the steps of deploy/ami, and a boot of what they made
  shellcheck --shell=bash "$1/user_data.sh" && unshare --mount --propagation private \
    bash "$check/ami.sh" "$1/user_data.sh" "$work/l4fwd.tar.gz" "$1/l4fwd.yaml"
}
packer_check() { # packer_check DIR SHA256
  (cd "$1" && packer validate -var archive="$work/l4fwd.pkr.tar.gz" -var sha256="$2" -var version=v0 -var region=us-west-2 .)
}
packer_copy() { # what a packer before 1.7 knows nothing of is taken out of the copy: plugins, regex, and what its AWS builder lacks
  cp -r "$root/deploy/ami" "$work/ami" && : >"$work/l4fwd.pkr.tar.gz" || return 1
  packer_old || return 0
  sed -i -e '/^  required_plugins {$/,/^  }$/d' -e '/^  metadata_options {$/,/^  }$/d' -e '/^  imds_support /d' \
    -e '/^variable "sha256" {$/,/^}$/{/^  validation {$/,/^  }$/d}' "$work/ami/l4fwd.pkr.hcl"
}
packer_old() { packer version | grep -qE '^Packer v(0|1\.[0-6])\.'; }
template() { # it is valid, and an argument that does not exist is noticed
  packer_check "$work/ami" "$zeros" && cp -r "$work/ami" "$work/ami-faulty" && sed -i 's/^  ssh_username /  ssh_user_name /' "$work/ami-faulty/l4fwd.pkr.hcl" || return 1
  if packer_check "$work/ami-faulty" "$zeros"; then echo "packer takes anything"; return 1; fi
}
template_checksum() { # a checksum that is none is refused
  local said
  ! said=$(packer_check "$work/ami" "${zeros/0/X}" 2>&1) && [[ $said == *"64 lower-case"* ]]
}
ami_template() {
  local said
  if ! have packer; then skip "deploy/ami: packer validate" "packer is not installed: https://developer.hashicorp.com/packer"; return; fi
  packer_copy || { failed+=("deploy/ami: a copy for packer"); return; }
  if packer_old; then
    step "deploy/ami: packer validate, without what this $(packer version | head -1) does not know" template
  elif ! said=$(cd "$work/ami" && packer init . 2>&1); then
    skip "deploy/ami: packer validate" "packer cannot get its plugin for AWS: $(tail -1 <<<"$said")"
  else
    step "deploy/ami: packer validate" template
    step "deploy/ami: a checksum that is none is refused" template_checksum
  fi
}
written() { terraform fmt -check -diff - <"$root/deploy/ami/l4fwd.pkr.hcl"; } # the same language, and its layout

user_data_rpm() { # user_data_rpm DIR: download and installation by stand-ins, since this machine has no rpm
  shellcheck --shell=bash "$1/user_data.sh" && unshare --mount --propagation private \
    bash "$check/userdata_rpm.sh" "$1/user_data.sh" "$work/l4fwd.tar.gz"
}

# docs/DEPLOY.md has a row for each part of the design that points at a file, or a section of its own, in which that part is.
served() {
  local part link want row where bad=0
  while IFS='|' read -r part link want; do
    row=$(sed -n '/^## Where each part of the design/,/^## How/p' "$root/docs/DEPLOY.md" | grep -F "| $part") || { echo "no row for: $part"; bad=1; continue; }
    where=$tf/$link
    [[ $link == */* ]] || where=$root/docs/DEPLOY.md
    if [[ $row != *"$link)"* ]] || ! grep -qE "$want" "$where"; then echo "$part: the row has no link to $link, or there is no $want"; bad=1; fi
  done <<'PARTS'
dedicated connection|aws/nlb.tf|^resource "aws_vpc_endpoint_service"
autoscaling|aws/asg.tf|^resource "aws_autoscaling_policy"
stable addresses|aws/eip.tf|^resource "aws_eip" "pool"
firewall of the account|azure/main.tf|network_acls
private endpoint, zone, A record, link|azure/private_endpoint.tf|^resource "azurerm_private_endpoint"
private endpoint, zone, A record, link|azure/dns.tf|^resource "azurerm_private_dns_zone"
NSG rules|azure/private_endpoint.tf|allow-apps-to-openai-https
NCC rule, PENDING → ESTABLISHED|databricks/main.tf|^resource "databricks_mws_ncc_private_endpoint_rule"
NCC rule, PENDING → ESTABLISHED|#4-accept-the-connection-pending--established|^## 4. Accept the connection: PENDING → ESTABLISHED
network policy|#6-close-the-rest|^## 6. Close the rest
shared private link|azure/search.tf|^resource "azurerm_search_shared_private_link_service"
storage with trusted services|azure/storage.tf|AzureServices
managed identity|#ai-search|authResourceId
keys|#keys-if-something-cannot-use-entra-id|write-only argument
VPN variant|#the-vpn-variant|^## The VPN variant
several endpoints, isolated|#several-accounts|^### Several accounts
nslookup tests|#ai-search|^nslookup my-search
negative test|#5-test-from-databricks|the answer must be 403
PARTS
  return $bad
}

aws_init() { module_copy aws "$work/aws" && cd "$work/aws" && terraform init -no-color -plugin-dir="$plugins"; }
aws_validate() { cd "$work/aws" && terraform validate -no-color; }
aws_plan() { cd "$work/aws" && terraform test -no-color -filter=tests/plan.tftest.hcl -filter=tests/block.tftest.hcl; }

if ! have terraform; then
  skip "terraform: everything" "no terraform here"
  summary deploy-check-terraform
  exit
fi

step "terraform fmt" terraform fmt -check -recursive -diff "$tf"
if [ -d "$root/deploy/iam" ]; then
  step "aws: the actions of deploy/iam" policy
else
  skip "aws: the actions of deploy/iam" "there is no such folder"
fi
step "error messages name their variable" messages
step "docs/DEPLOY.md: each part of the design is served" served
step "deploy/ami: the template is well-formed" written
ami_template
for m in aws azure databricks; do step "terraform test: inputs of $m" inputs "$m"; done
for m in aws azure databricks; do step "$m: every variable has a second apply" second_complete "$m"; done

if have go && release; then
  for v in one many plain; do
    step "render: $v" render "$v" "$work/render-$v" s3://releases/l4fwd.tar.gz
    step "l4fwd check: rendered $v" config_check "$work/render-$v/l4fwd.yaml"
  done
  if ! have shellcheck || ! have unshare || ! unshare --mount true 2>/dev/null; then
    skip "user data run in a root of its own" "needs shellcheck, and to be root with mount namespaces"
  else
    step "user data run in a root of its own" user_data "$work/render-one"
    step "render: rpm" render rpm "$work/render-rpm" https://example.com/releases/l4fwd.rpm
    step "user data with an rpm from a URL" user_data_rpm "$work/render-rpm"
    step "render: image" render image "$work/render-image"
    step "deploy/ami: its steps, and a boot of the image" image "$work/render-image"
  fi
else
  skip "rendered configuration and user data" "go, or a build of l4fwd, is missing"
fi

if [ -z "$plugins" ]; then
  skip "AWS module: init, validate, plans, apply; wiring of the example" "no AWS provider: set TF_PLUGIN_DIR"
else
  ! older_provider || step "aws: a provider without secondary addresses is refused" refused # and they are taken out of the copies under test
  step "aws: init from the plugin directory" aws_init
  step "aws: terraform validate" aws_validate
  step "aws: terraform test, provider mocked" aws_plan
  if ! have moto_server; then
    skip "aws: apply against moto, end to end" "no moto_server: pip install 'moto[server]'"
  elif if why=$(e2e_can); then e2e_begin; fi && start_moto; then
    if have aws; then step "deploy/iam: policies by moto" policies; else skip "deploy/iam: policies by moto" "aws is not installed"; fi
    step "aws: init for moto" moto_init
    step "aws: apply against moto" moto_apply
    if [ -n "$why" ]; then skip "end to end: an instance boots, serves and leaves" "$why"; else e2e; fi
    if [ -x "$work/l4fwd" ] && have aws && have jq; then
      step "aws: l4fwd claims an address of the pool" moto_claim
    else
      skip "aws: l4fwd claims an address of the pool" "needs a build of l4fwd, aws and jq"
    fi
    step "aws: second plan without changes" moto_replan
    step "aws: a second apply of each variable" second_aws
    step "aws: destroy" moto_destroy
  else
    failed+=("moto_server")
  fi
fi

if ! [ -d "$schemas/tfcheck" ] || ! have go; then
  skip "azure, databricks, examples/complete by schema" "no schemas beside the checkout: set TFSCHEMA_DIR"
else
  if (cd "$schemas/tfcheck" && go build -o "$work/tfcheck" .); then
    for v in 5.0.0 5.2.0; do step "azure by schema, azurerm $v" schema azure "azurerm=$v"; done
    for v in 1.121.0 1.128.0; do step "databricks by schema, $v" schema databricks "databricks=$v"; done
    step "examples/complete by schema" schema examples/complete azurerm=5.2.0 databricks=1.128.0
  else
    skip "azure, databricks, examples/complete by schema" "the checker does not build here"
  fi
  if ! (cd "$check/provider" && go mod download 2>/dev/null); then
    skip "azure, databricks, examples/complete planned and applied" "the module proxy does not have what the stand-in provider needs"
  elif step "stand-ins for providers" stand_ins_made; [ -d "$stand_ins" ]; then
    step "aws: secondary addresses of the load balancer, with a stand-in for provider 6.11" secondary
    for m in azure databricks; do
      step "$m: its tests" module_tests "$m"
      step "$m: a first apply" second_base "$m"
      step "$m: a second apply of each variable" second "$m" "$work/second-$m"
    done
    for m in aws azure databricks; do
      if [ "$m" = aws ] && [ -z "$plugins" ]; then skip "aws: its basic example" "no AWS provider: set TF_PLUGIN_DIR"; else step "$m: its basic example" basic "$m"; fi
    done
    step "azure: an account that Microsoft upgraded" upgraded
    step "azure: what an earlier version applied" formerly
    if [ -n "$plugins" ]; then step "examples/complete: wiring" example; else skip "examples/complete: wiring" "no AWS provider: set TF_PLUGIN_DIR"; fi
  fi
fi
summary deploy-check-terraform
