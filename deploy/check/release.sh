#!/usr/bin/env bash
# Checks make release: two builds, the second from a copy of the sources elsewhere and at another time, are equal byte for byte; an archive
# holds what the user data looks for; a stranger verifies it by the two commands of the README, and notices what was tampered with.
set -uo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

minisign=$(command -v minisign)
if [ -z "$minisign" ] && [ "$(id -u)" = 0 ] && have apt-get; then
  apt-get -qq update >/dev/null 2>&1 && apt-get -qq install -y minisign >/dev/null 2>&1
  minisign=$(command -v minisign)
fi

if ! have go; then
  skip "release: everything" "go is missing"
  summary deploy-check-release
  exit
fi
# All platforms once, the two that are deployed twice: cross-compiling is what takes the time.
export VERSION=v1.2.3 COMMIT=0123456789ab SOURCE_DATE_EPOCH=1767225600

key() { # of this check alone, without a password
  mkdir -p "$work/key" && printf '\n\n' | minisign -G -W -p "$work/key/l4fwd.pub" -s "$work/key/secret" >/dev/null
}
[ -z "$minisign" ] || { key && export SIGNING_KEY=$work/key/secret SIGNING_PUBLIC_KEY=$work/key/l4fwd.pub; }

first() { OUT=$work/first PLATFORMS="linux/amd64 linux/arm64 linux/amd64/fips darwin/amd64 darwin/arm64" "$root/deploy/release/build.sh"; }
second() { # other directory, umask, time stamps and time zone; no git
  mkdir "$work/copy" && (cd "$root" && tar -cf - --exclude=./.git --exclude=./build --exclude=.terraform .) | tar -xmf - -C "$work/copy" &&
    (umask 077 && TZ=Asia/Tokyo OUT=$work/second PLATFORMS="linux/amd64 linux/arm64" "$work/copy/deploy/release/build.sh")
}
same() { diff <(grep -E ' l4fwd-v1.2.3-linux-(amd64|arm64).tar' "$work/first/SHA256SUMS") <(grep -v provenance "$work/second/SHA256SUMS"); }
checksums() { cd "$work/first" && [ "$(wc -l <SHA256SUMS)" = 6 ] && sha256sum --check --strict SHA256SUMS; }
provenance() { # names every archive by its digest, the commit and the builder
  cd "$work/first" && diff <(jq -r '.subject[] | "\(.digest.sha256)  \(.name)"' l4fwd.provenance.json | sort) <(grep -v provenance SHA256SUMS | sort) &&
    jq -e '._type == "https://in-toto.io/Statement/v1" and .predicateType == "https://slsa.dev/provenance/v1" and (.predicate.runDetails.builder.id | length > 0)
      and .predicate.buildDefinition.resolvedDependencies[0].digest.gitCommit == "0123456789ab"' l4fwd.provenance.json
}
# shellcheck disable=SC2016 # backquotes of Markdown
readme() { sed -n '/^minisign /,/^```/p' "$root/README.md" | grep -v '^```'; }
stranger() { # stranger DIR: downloaded, with the public key from elsewhere
  cp "$work/key/l4fwd.pub" "$1" && (cd "$1" && [ "$(readme | wc -l)" = 2 ] && readme | bash -euxo pipefail)
}
verifies() { stranger "$work/first"; }
refuses() { # an archive, the provenance, the checksums, or the signature's comment that somebody changed; no signature; another key
  local dir what
  for what in archive provenance sums comment unsigned key; do
    dir=$work/tampered-$what
    mkdir "$dir" && cp "$work/first"/{SHA256SUMS,SHA256SUMS.minisig,l4fwd-v1.2.3-linux-amd64.tar.gz,l4fwd.provenance.json} "$dir" || return 1
    case $what in
      provenance) sed -i 's/0123456789ab/ba9876543210/' "$dir/l4fwd.provenance.json" ;;
      unsigned) rm "$dir/SHA256SUMS.minisig" ;;
      archive) printf x >>"$dir/l4fwd-v1.2.3-linux-amd64.tar.gz" ;;
      sums) printf x >>"$dir/l4fwd-v1.2.3-linux-amd64.tar.gz" && (cd "$dir" && sha256sum l4fwd-*.tar.gz >SHA256SUMS) ;;
      comment) sed -i 's/l4fwd v1.2.3/l4fwd v1.2.4/' "$dir/SHA256SUMS.minisig" ;;
      key) (key() { printf '\n\n' | minisign -G -f -W -p "$work/key/l4fwd.pub" -s "$work/key/other" >/dev/null; } && key) ;;
    esac
    if stranger "$dir"; then echo "tampered $what: taken"; return 1; fi
  done
}
fips() { # the variant says what it is, and the others do not
  tar -xzf "$work/first/l4fwd-v1.2.3-linux-amd64-fips.tar.gz" -C "$work" || return 1
  [ "$(uname -sm)" = 'Linux x86_64' ] || { go version -m "$work/l4fwd-v1.2.3-linux-amd64-fips/l4fwd" | grep GOFIPS140=v1.0.0; return; }
  "$work/l4fwd-v1.2.3-linux-amd64-fips/l4fwd" version | grep -x 'FIPS 140-3 module v1.0.0.*' && ! "$work/l4fwd-v1.2.3-linux-amd64/l4fwd" version | grep FIPS
}
licenses() { # the list is the one of the modules, and an archive has the texts
  (cd "$root" && go run ./deploy/release/licenses) | diff - "$root/docs/LICENSES.md" && grep -q 'Apache License' "$work/l4fwd-v1.2.3-linux-amd64/NOTICES"
}
content() {
  local files='CAPACITY.md CHANGELOG.md CONFIG.md EIP.md LICENSE METRICS.md NOTICES README.md ROUTING.md RUNBOOK.md SECURITY.md UPGRADE.md WARM.md alerts.yaml all-keys.yaml dashboard.json l4fwd l4fwd.1.gz l4fwd.bash l4fwd.cdx.json l4fwd.fish l4fwd.yaml.5.gz l4fwd.zsh' linux='60-l4fwd.conf l4fwd.env l4fwd.service l4fwd.socket l4fwd.yaml' p want
  for p in linux-amd64 linux-arm64 darwin-amd64 darwin-arm64; do
    want=$files
    [[ $p != linux-* ]] || want="$files $linux"
    # shellcheck disable=SC2086 # words
    diff <(printf "l4fwd-v1.2.3-$p/%s\n" $want | sort) <(tar -tzf "$work/first/l4fwd-v1.2.3-$p.tar.gz" | grep -v '/$' | sort) || return 1
  done
}
runs() { # the binary is what it says, and of the platform it is for
  tar -xzf "$work/first/l4fwd-v1.2.3-linux-amd64.tar.gz" -C "$work" && tar -xzf "$work/first/l4fwd-v1.2.3-linux-arm64.tar.gz" -C "$work" &&
    go version -m "$work/l4fwd-v1.2.3-linux-arm64/l4fwd" | grep -q 'GOARCH=arm64' || return 1
  [ "$(uname -sm)" != 'Linux x86_64' ] || "$work/l4fwd-v1.2.3-linux-amd64/l4fwd" version | grep -qx 'l4fwd v1.2.3'
}
foreign() { # the archive for arm64 is run as it is, by an emulator of the processor
  local binary=$work/l4fwd-v1.2.3-linux-arm64/l4fwd
  "$emulator" "$binary" version | grep -qx 'l4fwd v1.2.3' && "$emulator" "$binary" check --upstream example.com:443 --listen :8443 >/dev/null || return 1
  if "$emulator" "$binary" check --upstream example.com 2>/dev/null; then echo "check takes an upstream without a port"; return 1; fi
}
bill() { # as many components as the binary has modules, and the standard library
  local dir=$work/l4fwd-v1.2.3-linux-amd64
  [ "$(jq '.components | length' "$dir/l4fwd.cdx.json")" = $(($(go version -m "$dir/l4fwd" | grep -c '^[[:space:]]dep') + 1)) ] &&
    jq -e '.bomFormat == "CycloneDX" and .metadata.component.version == "v1.2.3"' "$dir/l4fwd.cdx.json"
}
no_paths() { ! grep -aqF -e "$root" -e "$work" "$work/l4fwd-v1.2.3-linux-amd64/l4fwd"; }

step "release" first
step "release again, elsewhere" second
step "both are equal byte for byte" same
step "checksums" checksums
step "content of the archives" content
step "binaries" runs
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64)
if [ "$(uname)" = Linux ] && [ -n "$emulator" ]; then step "the binary for arm64, emulated" foreign; else skip "the binary for arm64, emulated" "not installed: apt-get install qemu-user-static"; fi
step "the FIPS variant" fips
step "licenses" licenses
if have jq; then step "provenance" provenance; else skip "provenance" "not installed: apt-get install jq"; fi
if [ -n "$minisign" ]; then
  step "a stranger verifies it by the README" verifies
  step "what was tampered with is refused" refuses
else
  skip "signature" "not installed: apt-get install minisign"
fi
step "no path of this machine" no_paths
if have jq; then step "bill of materials" bill; else skip "bill of materials" "not installed: apt-get install jq"; fi
summary deploy-check-release
