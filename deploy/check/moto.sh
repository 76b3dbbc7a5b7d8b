# Sourced: the AWS module applied against moto in $work, in the caller's own directory. Needs lib.sh, work, and plugins from plugin_dir.
# shellcheck shell=bash disable=SC2154 # root, work and plugins are the caller's

tf=$root/deploy/terraform
check=$root/deploy/check
moto_pid='' inside=() # inside: a command before all that talks to moto, where it is in a network namespace of its own
export TF_CLI_CONFIG_FILE=/dev/null TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1 AWS_EC2_METADATA_DISABLED=true

plugin_dir() {
  local d
  for d in "${TF_PLUGIN_DIR:-}" "$HOME/.terraform.d/plugins" /usr/local/share/terraform/plugins /usr/share/terraform/plugins /opt/*/; do
    [ -d "$d/registry.terraform.io/hashicorp/aws" ] && { echo "$d"; return; }
  done
}

module_as_is() { # module_as_is MODULE DIR: a copy without what Terraform left there
  mkdir -p "$2"
  (cd "$tf/$1" && tar --exclude=.terraform --exclude='.terraform.lock.hcl' --exclude='*.tfstate*' -cf - .) | tar -xf - -C "$2"
}
module_copy() { # module_copy MODULE DIR: a copy that the AWS provider at hand takes
  module_as_is "$1" "$2"
  ! older_provider || sed -i -e '/^ *secondary_ips_auto_assigned_per_subnet /d' -e 's/">= 6.11, < 7"/">= 5.100"/' "$2"/*.tf
}
older_provider() { # whether the AWS provider at hand lacks what the module asks of it: secondary addresses came with 6.11
  local versions=("$plugins"/registry.terraform.io/hashicorp/aws/[6-9].*)
  [ -n "$plugins" ] && [ ! -e "${versions[0]}" ]
}

moto_answers() { # moto_answers PORT: an answer over HTTP, not a port alone, which another program may have
  # shellcheck disable=SC2016 # the inner shell's
  "${inside[@]}" timeout 20 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET /moto-api/ HTTP/1.0\r\n\r\n" >&3 && head -1 <&3 | grep -q " 200 "' "$1" 2>/dev/null
}
start_moto() { # on a port below those that the kernel gives to connections, and another one where it is taken
  local port end
  for _ in 1 2 3 4 5; do
    port=$((10000 + RANDOM % 20000)) end=$((SECONDS + 120)) # for a machine that is busy with other tests
    ! moto_answers "$port" || continue
    MOTO_IAM_LOAD_MANAGED_POLICIES=true "${inside[@]}" moto_server -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
    moto_pid=$!
    while kill -0 "$moto_pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do
      if moto_answers "$port" && kill -0 "$moto_pid" 2>/dev/null; then
        export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-west-2 AWS_DEFAULT_REGION=us-west-2
        return
      fi
      sleep 0.2
    done
    stop_moto
  done
  echo "moto_server did not start"
  cat "$work/moto.log"
  return 1
}

stop_moto() {
  [ -z "$moto_pid" ] || kill "$moto_pid" 2>/dev/null
  moto_pid=
}

moto_init() {
  if [ -f "$work/l4fwd.tar.gz" ]; then
    TF_VAR_sha256=$(sha256sum "$work/l4fwd.tar.gz" | cut -d' ' -f1) && export TF_VAR_sha256
  fi
  mkdir -p "$work/moto" && cp "$check/moto/main.tf" "$work/moto" && module_copy aws "$work/moto/aws" &&
    rm -r "$work/moto/aws/tests" && cp "$check/moto/moto_override.tf" "$work/moto/aws" &&
    cd "$work/moto" && terraform init -no-color -plugin-dir="$plugins"
}
moto_apply() { cd "$work/moto" && "${inside[@]}" terraform apply -auto-approve -no-color; }
moto_replan() { cd "$work/moto" && "${inside[@]}" terraform plan -detailed-exitcode -no-color; }
pool_is() { # pool_is SELECTOR: what l4fwd finds under it is what Terraform made and hands to Azure
  diff <("${inside[@]}" "$work/l4fwd" eip list --eip-pool "$1" --format tfvars | grep -oE '([0-9]+\.){3}[0-9]+' | sort) \
    <(terraform output -json l4fwd | jq -r '.ip_rules[]' | sort)
}

# An instance of the group claims an address of the pool by the selector of its rendered configuration. The plan that follows must
# leave it alone.
moto_claim() {
  local selector eni ip
  cd "$work/moto" || return 1
  selector=$(terraform output -json l4fwd | jq -r .config_yaml | sed -n 's/^ *"pool": "\(.*\)"$/\1/p')
  pool_is "$selector" || return 1
  read -r eni ip < <("${inside[@]}" aws ec2 describe-instances --filters "Name=tag:aws:autoscaling:groupName,Values=l4fwd" --output json |
    jq -r '.Reservations[0].Instances[0].NetworkInterfaces[0] | "\(.NetworkInterfaceId) \(.PrivateIpAddress)"')
  "${inside[@]}" "$work/l4fwd" eip claim --eip-pool "$selector" --interface "$eni" --private-ip "$ip" &&
    "${inside[@]}" "$work/l4fwd" eip list --eip-pool "$selector" | tee "$work/held" && [ "$(grep -c "$eni" "$work/held")" = 1 ]
}

moto_destroy() { cd "$work/moto" && "${inside[@]}" terraform destroy -auto-approve -no-color; }
