# tinyproxy, an HTTP proxy: CONNECT in clear on one port, with Basic authentication on another. Sourced by keeper.sh.

tinyproxy_missing() { command -v tinyproxy >/dev/null || echo "package tinyproxy-bin"; }

tinyproxy_start() {
  local port password_port
  free_port port
  free_port password_port
  tinyproxy_one tinyproxy "$port" ""
  tinyproxy_one tinyproxy-password "$password_port" "BasicAuth $LAB_USER $LAB_PASSWORD"
  describe tinyproxy <<JSON
{ "host": "127.0.0.1", "port": $port, "passwordPort": $password_port, "user": "$LAB_USER", "password": "$LAB_PASSWORD" }
JSON
}

# tinyproxy_one NAME PORT LINE
tinyproxy_one() {
  mkdir -p "$dir/$1"
  cat >"$dir/$1/tinyproxy.conf" <<CONF
Port $2
Listen 127.0.0.1
Timeout 60
MaxClients 50
LogLevel Info
Allow 127.0.0.0/8
$3
CONF
  background "$1" tinyproxy -d -c "$dir/$1/tinyproxy.conf"
  await_port "$1" "$2"
}
