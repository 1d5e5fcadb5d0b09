#!/usr/bin/env bash
# Installs the real mail servers, clients and queues that the tests talk to, a model checker, and a browser, as far as they are missing; on Debian and its kin, as root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/common.sh"
for server in "${SERVERS[@]}"; do . "$here/$server.sh"; done
. "$here/clients.sh"
. "$here/queues.sh"

missing() { for server in "${SERVERS[@]}"; do "${server}_missing"; done; clients_missing; queues_missing; command -v openssl >/dev/null || echo "package openssl"; }

[ -n "$(missing)" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  loud "the real mail servers cannot be installed here (it takes root and apt-get); missing: $(missing | sort -u | paste -sd,)"
  servers_required && exit 1
  exit 0
fi

install_missing() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  # These are only unpacked, as their packages would replace Postfix; the libraries that they depend on are installed.
  local unpacked=(exim4-daemon-light sendmail-bin)
  apt-get install -y -qq --no-install-recommends postfix dovecot-core dovecot-lmtpd sasl2-bin libsasl2-modules python3-aiosmtpd openssl \
    dante-server tinyproxy-bin haproxy swaks libnet-ssleay-perl curl chromium \
    redis-server postgresql spin gcc libc6-dev \
    $(apt-cache depends "${unpacked[@]}" | awk '$1 == "Depends:" && $2 ~ /^lib/ { print $2 }' | sort -u)
  (cd "$CACHE" && apt-get download -qq -o APT::Sandbox::User=root "${unpacked[@]}")
  dpkg -x "$CACHE"/exim4-daemon-light_*.deb "$CACHE/exim"
  dpkg -x "$CACHE"/sendmail-bin_*.deb "$CACHE/sendmail"
  rm -f "$CACHE"/*.deb
  # Exim looks this user up at its start, whatever its configuration says.
  id Debian-exim || useradd --system --no-create-home --shell /usr/sbin/nologin Debian-exim
  # Dante asks the system whether a password is right; this user can do nothing but be asked for.
  id "$DANTE_USER" || useradd --system --no-create-home --shell /usr/sbin/nologin "$DANTE_USER"
  echo "$DANTE_USER:$DANTE_PASSWORD" | chpasswd
}

mkdir -p "$CACHE"
# A machine that runs tests wants no mail server of its own: keep the packages from starting theirs.
[ -e /usr/sbin/policy-rc.d ] || {
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}
# In a shell of its own: `set -e` would not count in a function that is called as a condition.
(set -e; install_missing) >"$CACHE/install.log" 2>&1 &
wait $! || { loud "the real mail servers could not be installed:"; tail -n 20 "$CACHE/install.log" >&2; exit 1; }

left=$(missing)
[ -z "$left" ] || { loud "still missing after the installation: $left"; exit 1; }
