# Sourced by userdata*.sh: a copy-on-write root over this machine's, in the caller's private mount namespace, thrown away at exit.
# aws, curl, rpm, sysctl and systemctl in it are stand-ins that note how they were called in /tmp/calls.
# shellcheck shell=bash disable=SC2154 # script is the caller's

layer=$(mktemp -d)
trap 'umount -R "$layer"; rmdir "$layer"' EXIT
mount -t tmpfs tmpfs "$layer"

fresh_root() { # fresh_root NAME: its path on standard output
  local at=$layer/$1
  mkdir -p "$at"/{upper,work,fs}
  mount -t overlay overlay -o "lowerdir=/,upperdir=$at/upper,workdir=$at/work" "$at/fs"
  mount -t tmpfs tmpfs "$at/fs/tmp"
  mount --rbind /dev "$at/fs/dev"
  rm -rf "$at/fs/etc/l4fwd" "$at/fs/usr/bin/l4fwd" "$at/fs"/{etc,usr/lib}/systemd/system/l4fwd.service*
  mkdir -p "$at/fs/tmp/bin"
  echo "$at/fs"
}

stand_in() { # stand_in ROOT NAME COMMANDS
  printf '#!/bin/sh\necho "%s $*" >>/tmp/calls\n%s\n' "$2" "$3" >"$1/tmp/bin/$2"
  chmod 0755 "$1/tmp/bin/$2"
}

run() { # run ROOT ARTIFACT: the user data, with that as what it downloads
  local r=$1
  cp "$script" "$r/tmp/user_data.sh"
  cp "$2" "$r/tmp/artifact"
  # shellcheck disable=SC2016 # expanded by the stand-in
  stand_in "$r" aws 'for to; do :; done; cp /tmp/artifact "$to"' # the last argument
  # shellcheck disable=SC2016
  stand_in "$r" curl 'while [ "$1" != --output ]; do shift; done; cp /tmp/artifact "$2"'
  stand_in "$r" rpm 'printf "#!/bin/sh\n" >/usr/bin/l4fwd; chmod 0755 /usr/bin/l4fwd'
  stand_in "$r" sysctl ''
  stand_in "$r" systemctl ''
  stand_in "$r" sleep ''
  chroot "$r" env -i PATH=/tmp/bin:/usr/sbin:/usr/bin:/sbin:/bin bash /tmp/user_data.sh
}

expect() { # expect WHAT COMMAND...
  local what=$1
  shift
  "$@" || { echo "user data: $what"; exit 1; }
}
