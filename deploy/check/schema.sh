# Sourced after lib.sh and moto.sh: the modules whose providers cannot be had, planned and applied by Terraform itself with stand-ins of these
# providers made from their schemas. Needs work, tf, check and plugins.
# shellcheck shell=bash disable=SC2154 # root, work, tf, check and plugins are the caller's

schemas=${TFSCHEMA_DIR:-$root/../shared/tfschema}
stand_ins=$work/stand-ins

stand_in() { # stand_in SOURCE VERSION [DIR]
  local dir
  dir=${3:-$stand_ins}/registry.terraform.io/$1/$2/$(go env GOOS)_$(go env GOARCH)
  mkdir -p "$dir" && cp "$work/provider" "$dir/terraform-provider-${1#*/}_v$2"
}
stand_ins_made() { # the newest releases the schemas know
  export TFSCHEMA_DIR=$schemas
  (cd "$check/provider" && go vet . && CGO_ENABLED=0 go build -o "$work/provider" .) &&
    stand_in hashicorp/azurerm 5.2.0 && stand_in databricks/databricks 1.128.0 && stand_in hashicorp/aws 6.11.0 "$stand_ins-aws"
}

secondary() { # the module with the first AWS provider that has secondary addresses, whose arguments are those of 5.100 and this one
  module_as_is aws "$work/secondary" && cd "$work/secondary" &&
    terraform init -no-color -plugin-dir="$stand_ins-aws" && terraform validate -no-color && terraform test -no-color -filter=tests/secondary.tftest.hcl
}
refused() { # an older provider is refused by its version, not by an argument that it lacks
  local said
  module_as_is aws "$work/refused" && cd "$work/refused" || return 1
  if said=$(terraform init -no-color -plugin-dir="$plugins" 2>&1); then echo "taken: $said"; return 1; fi
  grep -F '>= 6.11.0, < 7.0.0' <<<"$said" || { echo "$said"; return 1; }
}

schema() { # schema MODULE PROVIDER=VERSION...: every argument and reference, at a version
  local dir=$tf/$1 at=() v
  shift
  for v in "$@"; do at+=(-at "$v"); done
  "$work/tfcheck" -schema "$schemas" "${at[@]}" "$dir"
}

module_tests() { # module_tests MODULE: its tests, as they are
  module_copy "$1" "$work/tests-$1" && cd "$work/tests-$1" &&
    terraform init -no-color -plugin-dir="$stand_ins" && terraform validate -no-color && terraform test -no-color
}

basic() { # basic MODULE: its example, as a registry shows it
  local copies=$work/basic
  module_copy "$1" "$copies/$1" && cd "$copies/$1/examples/basic" &&
    terraform init -no-color ${plugins:+-plugin-dir="$plugins"} -plugin-dir="$stand_ins" && terraform validate -no-color
}

example() { # the three modules joined, the AWS provider mocked
  local dir=$work/example m
  mkdir -p "$dir"
  for m in aws azure databricks examples/complete; do module_copy "$m" "$dir/$m"; done
  cp "$check/complete.tftest.hcl" "$dir/examples/complete" && cp -r "$tf/aws/tests/mocks" "$dir/examples/complete/mocks"
  cd "$dir/examples/complete" && terraform init -no-color -plugin-dir="$plugins" -plugin-dir="$stand_ins" && terraform test -no-color
}
