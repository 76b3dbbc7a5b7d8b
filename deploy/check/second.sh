# Sourced: a second apply. Each case of second/MODULE.txt changes one variable on top of a first apply: it must plan, and take nothing away
# or make anew but what the case allows; then the variable's description has to say so.
# Needs lib.sh, work, tf, check.
# shellcheck shell=bash disable=SC2154 # work, tf and check are the caller's

# A line is VARIABLE | VALUE | ALLOWED: the value as in terraform.tfvars, and a regular expression of addresses. A line of no value names
# a variable that is chosen before the first apply. Blank lines and lines with # are for the reader.
cases() { sed -e '/^#/d' -e '/^[[:space:]]*$/d' "$check/second/$1.txt"; }
field() { cut -s -d'|' -f"$2" <<<"$1" | sed -e 's/^ *//' -e 's/ *$//'; }

variables_of() { sed -n 's/^variable "\(.*\)" {$/\1/p' "$tf/$1"/variables*.tf | sort; }
second_complete() { # every variable of the module has a case
  diff <(variables_of "$1") <(cases "$1" | cut -d'|' -f1 | tr -d ' ' | sort -u)
}

description() { # description MODULE VARIABLE
  awk -v name="$2" '$0 == "variable \"" name "\" {" { on = 1 } on { print } on && /^}/ { exit }' "$tf/$1"/variables*.tf |
    awk '/^  description = <<-EOT$/ { on = 1; next } /^  EOT$/ { on = 0 } on { print } /^  description = "/ { print }'
}
warned() { # warned MODULE VARIABLE: the description says that something is made anew or goes
  description "$1" "$2" | grep -qiE 'anew|another|replace|gives? .*away|goes|taken away|takes? .* out|unbind' || { echo "$2: its description does not say what a change costs"; return 1; }
}

gone() { jq -r '.resource_changes[]? | select(.change.actions | index("delete")) | .address'; } # of a plan as JSON: deleted or made anew

second_case() { # second_case MODULE DIR CASE: the plan of one case
  local variable value allowed lost
  variable=$(field "$3" 1) value=$(field "$3" 2) allowed=$(field "$3" 3-)
  echo "$variable = $value" >"$2/case.tfvars"
  cd "$2" || return 1
  terraform plan -no-color -refresh=false -var-file=base.tfvars -var-file=case.tfvars -out=case.plan >case.log 2>&1 || { cat case.log; return 1; }
  terraform show -json case.plan >case.json && lost=$(gone <case.json) || return 1
  if [ -n "$allowed" ]; then warned "$1" "$variable" || return 1; fi
  lost=$(grep -vE "${allowed:-^$}" <<<"$lost" | grep -v '^$') && { echo "$variable = $value: makes anew or takes away: $lost"; return 1; }
  return 0
}

second() { # second MODULE DIR: all cases, planned on the state of base.tfvars in DIR
  local line bad=0
  while IFS= read -r line; do
    [ -n "$(field "$line" 2)" ] || continue
    second_case "$1" "$2" "$line" </dev/null || bad=1
  done < <(cases "$1")
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
