#!/usr/bin/env bash
# Checks deploy/systemd and deploy/package: the unit by systemd-analyze, the sample by l4fwd check, sysctl keys by the kernel; the packages by
# installing them into an empty root, byte for byte against a second build; the unit run by systemd from the .deb.
# shellcheck disable=SC2013,SC2015,SC2016 # words without blanks; what fails after && is a failure too; Markdown's backquotes
set -uo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
units=$root/deploy/systemd
conf=$units/sysctl.d/60-l4fwd.conf
export LC_ALL=C

verify() { # as installed; the binary is not there yet, so another one stands in its place
  mkdir "$work/units"
  sed -E 's,^Exec(Start|Reload)=/usr/bin/l4fwd ,Exec\1=/bin/sleep ,' "$units/l4fwd.service" >"$work/units/l4fwd.service"
  cp "$units/l4fwd.socket" "$work/units"
  local said
  said=$(systemd-analyze verify --man=no "$work/units"/l4fwd.{service,socket} 2>&1)
  [ -z "$said" ] || { echo "$said"; return 1; }
}
security() { # exposure of at most 2.0; the threshold is in tenths
  systemd-analyze security --offline=true --threshold=20 --no-pager "$units/l4fwd.service"
}
has_uring() { # the filter leaves io_uring's calls, in the order systemd applies it
  local call
  for call in io_uring_setup io_uring_enter io_uring_register; do
    grep -q "^SystemCallFilter=[^~].*\b$call\b" "$units/l4fwd.service" || { echo "$call is not allowed"; return 1; }
    for group in $(sed -n 's/^SystemCallFilter=~//p' "$units/l4fwd.service"); do
      ! systemd-analyze syscall-filter "$group" | grep -qw "$call" || { echo "$group takes $call away"; return 1; }
    done
  done
}
stop_time() { # TimeoutStopSec is the defaults of the drain and a minute
  local stop
  stop=$(sed -n 's/^TimeoutStopSec=\([0-9]*\)s$/\1/p' "$units/l4fwd.service")
  [ "$stop" -ge $((5 + 300 + 60)) ] && grep -q '`drain.lame_duck` | `5s`' "$root/docs/CONFIG.md" && grep -q '`drain.timeout` | `5m`' "$root/docs/CONFIG.md"
}
reasons() { # each setting has a comment above it, and is one the kernel knows
  awk '/^#/ { said = 1; next } /^$/ { said = 0; next } !said { print "without a reason: " $0; bad = 1 } END { exit bad }' "$conf" || return 1
  local key bad=0
  for key in $(sed -n 's/^\([a-z][^ ]*\) *=.*/\1/p' "$conf"); do
    [ -e "/proc/sys/${key//.//}" ] || { echo "no such setting: $key"; bad=1; }
  done
  return $bad
}
build_binary() { cd "$root" && CGO_ENABLED=0 go build -o "$work/l4fwd" ./cmd/l4fwd; }
# sample: check names the placeholder that an operator replaces, and has no other complaint.
named() { sed 's/NAME\.openai/demo.openai/' "$2" >"$work/named.yaml" && "$1" check --config "$work/named.yaml"; }
sample() { # as it is, it is refused, and says why
  local said
  ! said=$("$work/l4fwd" check --config "$units/l4fwd.yaml" 2>&1) && [[ $said == *'has a placeholder, NAME;'* ]] && named "$work/l4fwd" "$units/l4fwd.yaml"
}

packages() { OUT=$1 ARCHS=$(go env GOARCH) "$root/deploy/package/build.sh"; }
same() { (cd "$work/first" && sha256sum ./*.deb ./*.rpm) | (cd "$work/second" && sha256sum --check --strict -); }

expected() { # expected ZSH: MODE PATH of every file in a package; the directory of zsh is the distribution's
  sort -k2 - <(echo "644 /usr/share/zsh/$1/_l4fwd") <<'LIST'
600 /etc/l4fwd/l4fwd.env
644 /etc/l4fwd/l4fwd.yaml
755 /usr/bin/l4fwd
644 /usr/share/bash-completion/completions/l4fwd
644 /usr/share/fish/vendor_completions.d/l4fwd.fish
644 /usr/share/man/man1/l4fwd.1.gz
644 /usr/share/man/man5/l4fwd.yaml.5.gz
644 /usr/lib/sysctl.d/60-l4fwd.conf
644 /usr/lib/systemd/system/l4fwd.service
644 /usr/lib/systemd/system/l4fwd.socket
644 /usr/share/doc/l4fwd/CAPACITY.md
644 /usr/share/doc/l4fwd/CHANGELOG.md
644 /usr/share/doc/l4fwd/CONFIG.md
644 /usr/share/doc/l4fwd/EIP.md
644 /usr/share/doc/l4fwd/METRICS.md
644 /usr/share/doc/l4fwd/NOTICES
644 /usr/share/doc/l4fwd/README.md
644 /usr/share/doc/l4fwd/ROUTING.md
644 /usr/share/doc/l4fwd/RUNBOOK.md
644 /usr/share/doc/l4fwd/SECURITY.md
644 /usr/share/doc/l4fwd/UPGRADE.md
644 /usr/share/doc/l4fwd/WARM.md
644 /usr/share/doc/l4fwd/all-keys.yaml
644 /usr/share/doc/l4fwd/copyright
644 /usr/share/doc/l4fwd/l4fwd.cdx.json
644 /usr/share/l4fwd/alerts.yaml
644 /usr/share/l4fwd/dashboard.json
LIST
}
content() { # content ROOT ZSH: the files are those expected, root's, and the units and settings those of this checkout
  diff <(expected "$2") <(cd "$1" && find etc/l4fwd usr -type f -printf '%m /%p\n' | sort -k2) &&
    [ -z "$(find "$1"/etc/l4fwd "$1"/usr ! -user "$(id -u)")" ] &&
    cmp "$1/usr/lib/systemd/system/l4fwd.service" "$units/l4fwd.service" && cmp "$1/usr/lib/sysctl.d/60-l4fwd.conf" "$conf" &&
    cmp "$1/usr/share/l4fwd/alerts.yaml" "$root/deploy/prometheus/alerts.yaml" &&
    "$1/usr/bin/l4fwd" version && named "$1/usr/bin/l4fwd" "$1/etc/l4fwd/l4fwd.yaml" >/dev/null
}
dpkg_to() { # dpkg_to ROOT ARGUMENT...: with a database of its own and without the machine's other packages
  local at=$1
  shift
  mkdir -p "$at/var/lib/dpkg"/{info,updates,triggers} && touch "$at/var/lib/dpkg/status"
  dpkg --root="$at" --log="$work/dpkg.log" --force-not-root --force-script-chrootless "$@"
}
deb_install() { # installed, upgraded with an edited configuration, removed, purged
  local at=$work/deb
  mkdir "$at"
  dpkg_to "$at" --install "$work/first"/*.deb && content "$at" vendor-completions || return 1
  echo '# edited' >>"$at/etc/l4fwd/l4fwd.yaml"
  dpkg_to "$at" --force-confold --install "$work/first"/*.deb && grep -q '^# edited' "$at/etc/l4fwd/l4fwd.yaml" || { echo "an edited configuration was lost"; return 1; }
  dpkg_to "$at" --remove l4fwd && ! [ -e "$at/usr/bin/l4fwd" ] && [ -e "$at/etc/l4fwd/l4fwd.yaml" ] || { echo "not removed as it should"; return 1; }
  dpkg_to "$at" --purge l4fwd && ! [ -e "$at/etc/l4fwd/l4fwd.yaml" ] || { echo "not purged"; return 1; }
}
rpm_install() {
  local at=$work/rpm
  mkdir "$at"
  rpm --root "$at" --install --nodeps --noscripts --ignorearch "$work/first"/*.rpm && content "$at" site-functions &&
    diff <(printf '%s\n' /etc/l4fwd/l4fwd.env /etc/l4fwd/l4fwd.yaml) <(rpm --query --package --configfiles "$work/first"/*.rpm | sort)
}
run_unit() { # where a machine cannot, it says why
  local why
  why=$(bash "$root/deploy/check/unit.sh" --can) || { skip "the unit run by systemd" "$why"; return; }
  step "the unit run by systemd" bash "$root/deploy/check/unit.sh" "$work/first"/*.deb
}

if have systemd-analyze; then
  step "systemd-analyze verify" verify
  step "systemd-analyze security: at most 2.0" security
  step "system calls of io_uring" has_uring
else
  skip "systemd-analyze" "not installed: apt-get install systemd"
fi
step "TimeoutStopSec fits the drain" stop_time
if [ -d /proc/sys/net ]; then step "sysctl: a reason for each, and the kernel knows it" reasons; else skip "sysctl" "no /proc/sys here"; fi

if ! have go; then
  skip "sample configuration and packages" "go is missing"
else
  step "binary" build_binary
  step "sample configuration by l4fwd check" sample
  if ! (cd "$root" && ${NFPM:-go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4} --version >/dev/null 2>&1); then
    skip "packages" "nfpm cannot be had from the module proxy"
  else
    step "packages" packages "$work/first"
    step "packages again" packages "$work/second"
    step "both builds are equal byte for byte" same
    if have dpkg && [ "$(id -u)" = 0 ]; then step ".deb into an empty root" deb_install; else skip ".deb into an empty root" "needs dpkg and root"; fi
    if have rpm && [ "$(id -u)" = 0 ]; then step ".rpm into an empty root" rpm_install; else skip ".rpm into an empty root" "needs rpm and root: apt-get install rpm"; fi
    run_unit
  fi
fi
summary deploy-check-systemd
