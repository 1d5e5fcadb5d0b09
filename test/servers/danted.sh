# Dante's danted, a SOCKS proxy: SOCKS5 and SOCKS4 without authentication on one port, SOCKS5 with user and password on
# another. Sourced by keeper.sh. Dante asks the system for passwords, so that there has to be a system user.

DANTE_USER=smtplib-socks DANTE_PASSWORD=socks-secret

danted_missing() {
  root_missing
  command -v danted >/dev/null || echo "package dante-server"
  id "$DANTE_USER" >/dev/null 2>&1 || echo "the system user $DANTE_USER"
}

danted_start() {
  local port password_port
  free_port port
  free_port password_port
  danted_one danted "$port" none
  danted_one danted-password "$password_port" username
  describe danted <<JSON
{ "host": "127.0.0.1", "port": $port, "passwordPort": $password_port, "user": "$DANTE_USER", "password": "$DANTE_PASSWORD" }
JSON
}

# danted_one NAME PORT METHOD: a daemon of its own for each method, as one serves all its ports alike.
danted_one() {
  mkdir -p "$dir/$1"
  cat >"$dir/$1/danted.conf" <<CONF
logoutput: $dir/$1/log
internal: 127.0.0.1 port = $2
external: lo
clientmethod: none
socksmethod: $3
user.privileged: root
user.unprivileged: $LAB_OWNER
client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
socks block { from: 127.0.0.0/8 to: 127.0.0.66/32 }
socks pass {
  from: 127.0.0.0/8 to: 0.0.0.0/0
  command: connect
  protocol: tcp
}
CONF
  background "$1" danted -f "$dir/$1/danted.conf" -p "$dir/$1/pid" -N 1
  await_port "$1" "$2"
}
