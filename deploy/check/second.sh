# Sourced: a second apply. Each case of second/MODULE.txt changes one variable on top of a first apply: it must plan (AWS: be applied, several at a
# time), and take nothing away or make anew but what the case allows; then the variable's description has to say so.
# Needs lib.sh, work, tf, check.
# shellcheck shell=bash disable=SC2154 # work, tf and check are the caller's

# A line is VARIABLE | VALUE | ALLOWED: the value as in terraform.tfvars, and a regular expression of addresses. A line of no value names
# a variable that is chosen before the first apply; its description says that. Blank lines and lines with # are for the reader.
cases() { sed -e '/^#/d' -e '/^[[:space:]]*$/d' "$check/second/$1.txt"; }
field() { cut -s -d'|' -f"$2" <<<"$1" | sed -e 's/^ *//' -e 's/ *$//'; }

name_of() { field "$1" 1 | tr -d '~'; }

variables_of() { sed -n 's/^variable "\(.*\)" {$/\1/p' "$tf/$1"/variables*.tf | sort; }
second_complete() { # every variable of the module has a case, or is chosen before
  local line bad=0
  while IFS= read -r line; do
    [ -n "$(field "$line" 2)" ] || description "$1" "$(cut -d'|' -f1 <<<"$line" | tr -d ' ')" | tr '\n' ' ' | grep -iE 'before the first apply|makes everything anew' >/dev/null ||
      { echo "$line: its description does not say that it is chosen before the first apply"; bad=1; }
  done < <(cases "$1")
  [ $bad = 0 ] && diff <(variables_of "$1") <(cases "$1" | cut -d'|' -f1 | tr -d ' ~' | sort -u)
}

description() { # description MODULE VARIABLE
  awk -v name="$2" '$0 == "variable \"" name "\" {" { on = 1 } on { print } on && /^}/ { exit }' "$tf/$1"/variables*.tf |
    awk '/^  description = <<-EOT$/ { on = 1; next } /^  EOT$/ { on = 0 } on { print } /^  description = "/ { print }'
}
warned() { # warned MODULE VARIABLE: the description says that something is made anew or goes
  description "$1" "$2" | tr '\n' ' ' | grep -iE 'anew|another|replace|(gives?|takes?|taken) .*(away|out)|goes|unbind' >/dev/null || { echo "$2: its description does not say what a change costs" >&2; return 1; }
}

changed() { jq -r --arg action "$1" '.resource_changes[]? | select(.change.actions | index($action)) | .address'; } # changed delete|create, of a plan as JSON

# allowed MODULE CASE...: what the cases may take away, as one regular expression; each then says so in its description.
allowed() {
  local line one all='^$'
  for line in "${@:2}"; do
    one=$(field "$line" 3-)
    [ -n "$one" ] || continue
    warned "$1" "$(name_of "$line")" || return 1
    all+="|$one"
  done
  echo "$all"
}

second_plan() { # second_plan ALLOWED COMMAND...: a plan, as plan_arguments have it, that takes away nothing but that, and what is listed in created
  local lost
  "${@:2}" terraform plan -no-color -refresh=false "${plan_arguments[@]}" -out=case.plan >case.log 2>&1 || { cat case.log; return 1; }
  terraform show -json case.plan >case.json && lost=$(changed delete <case.json) || return 1
  lost=$(grep -vE "$1" <<<"$lost" | grep -vxF -f created) && { echo "makes anew or takes away:" "$lost"; return 1; }
  return 0
}

second() { # second MODULE DIR: all cases one by one, planned on the state of base.tfvars in DIR
  local line may bad=0 plan_arguments=(-var-file=base.tfvars -var-file=case.tfvars)
  cd "$2" && : >created || return 1
  while IFS= read -r line; do
    [ -n "$(field "$line" 2)" ] || continue
    echo "$(name_of "$line") = $(field "$line" 2)" >case.tfvars
    if ! may=$(allowed "$1" "$line") || ! second_plan "$may" env </dev/null; then cat case.tfvars && bad=1; fi
  done < <(cases "$1")
  return $bad
}

# second_round CASE...: applied in moto to the one state. The round before is taken back by it: former is what that one allowed, and created lists
# what it added.
second_round() {
  local line may plan_arguments=()
  {
    echo 'module "l4fwd" {'
    for line in "$@"; do echo "$(name_of "$line") = $(field "$line" 2)"; done
    echo '}'
  } >case_override.tf
  if ! may=$(allowed aws "$@") || ! second_plan "$may|${former:-^$}" "${inside[@]}"; then cat case_override.tf && return 1; fi
  [[ $1 != "~"* ]] || return 0
  former=$may
  changed create <case.json >created
  "${inside[@]}" terraform apply -no-color case.plan >case.log 2>&1 || { cat case_override.tf case.log; return 1; }
}
second_aws() { # each round on top of moto_apply
  local line former='' round=() bad=0
  cd "$work/moto" && : >created || return 1
  while IFS= read -r line; do
    if [ -n "$(field "$line" 2)" ]; then round+=("$line"); continue; fi
    [ ${#round[@]} = 0 ] || second_round "${round[@]}" </dev/null || bad=1
    round=()
  done < <(sed -e '/^#/d' "$check/second/aws.txt" && echo)
  rm -f case_override.tf
  return $bad
}

second_base() { # second_base MODULE: a first apply with the stand-ins
  local dir=$work/second-$1
  module_copy "$1" "$dir" && cp "$check/second/$1.tfvars" "$dir/base.tfvars" && cd "$dir" && rm -rf tests &&
    terraform init -no-color -plugin-dir="$stand_ins" && terraform apply -no-color -auto-approve -var-file=base.tfvars &&
    terraform plan -no-color -detailed-exitcode -var-file=base.tfvars
}

# Microsoft upgraded the accounts, as the state shows after a refresh: nothing is to be done.
upgraded() {
  cd "$work/second-azure" || return 1
  jq '(.resources[] | select(.type == "azurerm_cognitive_account") | .instances[].attributes) |= (.kind = "AIServices" | .project_management_enabled = true) | .serial += 1' \
    terraform.tfstate >upgraded.tfstate &&
    terraform plan -no-color -detailed-exitcode -refresh=false -state=upgraded.tfstate -var-file=base.tfvars
}

# What an earlier version of the module applied is moved, not made anew.
formerly() {
  local from to
  cd "$work/second-azure" && cp terraform.tfstate former.tfstate || return 1
  while read -r from to; do
    terraform state list -state=former.tfstate | grep -xF "$to" >/dev/null || { echo "moved.tf: $to is not in the state"; return 1; }
    terraform state mv -state=former.tfstate "$to" "$from" || return 1
  done < <(awk '$1 == "from" { from = $3 } $1 == "to" { print from, $3 }' moved.tf)
  terraform plan -no-color -refresh=false -state=former.tfstate -var-file=base.tfvars -out=former.plan &&
    terraform show -json former.plan | jq -e '[.resource_changes[] | select(.change.actions != ["no-op"])] == []'
}
