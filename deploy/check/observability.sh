#!/usr/bin/env bash
# Checks alert rules, dashboard and CloudWatch configuration: syntax by promtool, the rules by their tests, names against docs/METRICS.md and
# the running binary, alerts against docs/RUNBOOK.md.
# shellcheck disable=SC2016 # backquotes are Markdown's, dollars Grafana's
set -uo pipefail
export LC_ALL=C
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$(mktemp -d)
daemon=
# shellcheck disable=SC2329 # called by the trap
cleanup() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
alerts=$root/deploy/prometheus/alerts.yaml
tests=$root/deploy/prometheus/alerts_test.yaml
dashboard=$root/deploy/grafana/l4fwd.json
agent=$root/deploy/cloudwatch/agent.json
runbook=$root/docs/RUNBOOK.md

alert_names() { sed -n 's/^ *- alert: //p' "$alerts" | sort; }
in_runbook() { sed -n 's/^### \(L4fwd.*\)$/\1/p' "$runbook" | sort; }
both_ways() { diff <(alert_names) <(in_runbook) && [ "$(alert_names | uniq -d)" = "" ]; }
anchors() { diff <(alert_names | tr '[:upper:]' '[:lower:]' | sort) <(sed -n 's/^ *runbook_url: .*RUNBOOK.md#//p' "$alerts" | sort); }
all_tested() { # each alert has a test in which it fires and one in which it does not
  diff <(alert_names) <(sed -n 's/^ *- name: \(.*\) fires$/\1/p' "$tests" | sort) &&
    diff <(alert_names) <(sed -n 's/^ *- name: \(.*\) does not$/\1/p' "$tests" | sort) &&
    [ "$(awk '/- name: / {quiet = / does not$/} quiet && /exp_alerts: \[\]/' "$tests" | wc -l)" = "$(alert_names | wc -l)" ]
}

rule_tests() { cd "$(dirname "$tests")" && promtool test rules "$tests"; }

documented() { # names as they are queried: a histogram by its three series
  sed -n 's/^| `\(l4fwd_[a-z_]*\)` | \([a-z]*\) |.*/\1 \2/p' "$root/docs/METRICS.md" |
    awk '$2 == "histogram" { for (s in suffix) print $1 suffix[s]; next } { print $1 }
      BEGIN { suffix[1] = "_bucket"; suffix[2] = "_sum"; suffix[3] = "_count" }' | sort -u
}
used() { grep -ohE '\bl4fwd_[a-z_]+\b' | sort -u; }
all_known() { # every l4fwd_ name on standard input is documented
  local unknown
  unknown=$(comm -23 <(used) <(documented))
  [ -z "$unknown" ] || { echo "no such metrics: $unknown"; return 1; }
}
# The names of groups in the rules file look alike; only what is queried counts.
rules_text() { sed -e '/^ *- name: /d' -e '/^ *#/d' "$alerts"; }
queries() { jq -r '[.. | objects | .expr? // empty] | .[]' "$dashboard"; }
rules_known() { rules_text | all_known; }
dashboard_known() { [ "$(queries | wc -l)" -gt 30 ] && { queries && jq -r '.templating.list[].definition? // empty' "$dashboard"; } | all_known; }
agent_known() { jq -r '.. | objects | (.metric_selectors? // empty)[], ((.metric_unit? // {}) | keys[])' "$agent" | tr -d '^$' | all_known; }
dashboard_uses_all() { # every metric is on the dashboard, so that a new one is not forgotten
  local missing
  missing=$(comm -23 <(documented | sed -E 's/_(bucket|sum|count)$//' | sort -u) <(queries | used | sed -E 's/_(bucket|sum|count)$//' | sort -u))
  [ -z "$missing" ] || { echo "not on the dashboard: $missing"; return 1; }
}
reasons() { # every value of reason= and result= in rules and agent is one of the documented
  local v bad=0
  for v in $({ rules_text | grep -oE '(reason|result|state)[!=~]+"[^"]*"' | sed 's/.*"\(.*\)"/\1/' && jq -r '.. | objects | .label_matcher? // empty' "$agent" | grep -v '^^l4fwd' | tr -d '^$()'; } | tr '|' '\n' | sort -u); do
    grep -q "\`$v\`" "$root/docs/METRICS.md" || { echo "no such value: $v"; bad=1; }
  done
  return $bad
}
agent_dimensions() { # each selector's dimensions are labels of the metric, or what every scrape adds
  jq -r '.logs.metrics_collected.prometheus.emf_processor.metric_declaration[] | .dimensions[0] as $d | .metric_selectors[] | "\(.) \($d | join(" "))"' "$agent" |
    tr -d '^$' | while read -r name dimensions; do
    for d in $dimensions; do
      [ "$d" = instance ] || grep "^| \`$name\` |" "$root/docs/METRICS.md" | cut -d'|' -f4 | grep -q "\`$d\`" || { echo "$name has no label $d"; exit 1; }
    done
  done
}
query_syntax() { # as rules, with Grafana's variables filled in
  { echo '{"groups": [{"name": "dashboard", "rules": ['
    queries | sed -e 's/\$__rate_interval/5m/g' -e 's/\$job/l4fwd/g' -e 's/\$instance/.*/g' | jq -cR '{record: "l4fwd:query\(input_line_number)", expr: .}' | paste -sd, -
    echo ']}]}'; } >"$work/queries.yaml"
  promtool check rules "$work/queries.yaml"
}
unique_ids() { [ "$(jq '[.panels[].id] | length == (unique | length)' "$dashboard")" = true ]; }

start_daemon() { # the real binary, for what it exports besides its own metrics
  (cd "$root" && CGO_ENABLED=0 go build -o "$work/l4fwd" ./cmd/l4fwd) || return 1
  local port
  for _ in 1 2 3 4 5; do # a port may be taken
    port=$((10000 + RANDOM % 20000)) # below those that the kernel gives to connections
    "$work/l4fwd" --listen "127.0.0.1:$port" --health "127.0.0.1:$((port + 1))" --admin "unix:$work/admin.sock" --upstream 127.0.0.1:1 --warm 1 2>"$work/log" &
    daemon=$!
    for _ in $(seq 300); do
      curl --silent --fail "http://127.0.0.1:$((port + 1))/metrics" >"$work/metrics" && kill -0 "$daemon" 2>/dev/null && return
      kill -0 "$daemon" 2>/dev/null || break
      sleep 0.1
    done
    kill "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
  done
  cat "$work/log"
  return 1
}
exported() { # what is queried of the Go and process collectors is there, and so are the metrics that need no cloud and no check over HTTPS
  local unknown
  unknown=$(comm -23 <({ queries && rules_text; } | grep -ohE '\b(process|go)_[a-z_]+\b' | sort -u) <(sed -n 's/^\([a-z0-9_]*\)[{ ].*/\1/p' "$work/metrics" | sort -u))
  [ -z "$unknown" ] || { echo "not exported: $unknown"; return 1; }
  unknown=$(comm -23 <(queries | used | grep -v -e _eip_ -e _lifecycle_ -e _dns_ -e _upstream_admitted) <(sed -n 's/^\(l4fwd[a-z0-9_]*\)[{ ].*/\1/p' "$work/metrics" | sort -u))
  [ -z "$unknown" ] || { echo "not exported: $unknown"; return 1; }
}

step "each alert has its entry in the runbook, and the other way round" both_ways
step "each alert links to its entry" anchors
step "each alert has its tests" all_tested
step "metrics in the rules exist" rules_known
if have promtool; then
  step "promtool check rules" promtool check rules "$alerts"
  step "promtool test rules" rule_tests
  step "promtool check config: what the CloudWatch agent scrapes" promtool check config "$root/deploy/cloudwatch/prometheus.yaml"
else
  skip "promtool" "not installed: apt-get install prometheus"
fi
if have jq; then
  step "metrics on the dashboard exist" dashboard_known
  step "each metric is on the dashboard" dashboard_uses_all
  step "ids of panels" unique_ids
  step "metrics of the CloudWatch agent exist" agent_known
  step "its dimensions are labels" agent_dimensions
  step "values of labels exist" reasons
  if have promtool; then step "queries of the dashboard" query_syntax; else skip "queries of the dashboard" "no promtool"; fi
  if have go && have curl; then
    step "the binary runs" start_daemon
    step "the binary exports what is queried" exported
  else
    skip "the binary exports what is queried" "needs go and curl"
  fi
else
  skip "dashboard and CloudWatch agent" "not installed: apt-get install jq"
fi
summary deploy-check-observability
