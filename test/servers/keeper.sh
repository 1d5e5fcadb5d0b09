#!/usr/bin/env bash
# Keeps the servers: starts them, prints the path of the file that describes them, and stops them all when its stdin ends.
# The kernel ends the stdin with whoever started this script, so that no way of dying leaves a daemon behind.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"
. "$here/certificates.sh"
for server in "${SERVERS[@]}"; do . "$here/$server.sh"; done

dir=$(mktemp -d)
chmod 755 "$dir" # the daemons' unprivileged users must get through

finish() {
  stop_all
  if [ "${SMTPLIB_KEEP_SERVERS_DIR:-}" = 1 ]; then echo "logs and mail are in $dir" >&2; else rm -rf "$dir"; fi
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

make_certificates
for server in "${SERVERS[@]}"; do
  missing=$("${server}_missing" | paste -sd,)
  if [ -n "$missing" ]; then
    loud "$server is left out, it needs: $missing"
    servers_required && exit 1
    printf '"needs %s"' "$missing" >"$dir/absent.$server"
  else
    mkdir -p "$dir/$server"
    "${server}_start"
  fi
done

# members PREFIX: the files PREFIX.* as members of a JSON object, each under its suffix.
members() {
  local file comma=
  for file in "$dir/$1".*; do
    [ -e "$file" ] || continue
    printf '%s"%s": ' "$comma" "${file##*.}"
    cat "$file"
    comma=,
  done
}
printf '{ "servers": { %s }, "absent": { %s } }\n' "$(members description)" "$(members absent)" >"$dir/servers.json"

echo "$dir/servers.json"
exec >&- # whoever waits for more should see the end of it
while read -r; do :; done
