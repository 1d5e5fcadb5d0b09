# Cyrus SASL: an account for whoever asks it for passwords, and a server that gives it channel bindings. Sourced by keeper.sh.

cyrus_missing() {
  [ -z "$(aiosmtpd_missing)" ] || aiosmtpd_missing
  command -v saslpasswd2 >/dev/null && ls /usr/lib/*/sasl2/libscram.so >/dev/null 2>&1 ||
    echo "packages sasl2-bin and libsasl2-modules"
}

cyrus_start() {
  local home=$dir/cyrus port tls_port
  free_port port
  free_port tls_port
  cyrus_account "$home/etc"
  SASL_CONF_PATH=$home/etc background cyrus "$AIOSMTPD_PYTHON" "$here/cyrus_server.py" \
    --port "$port" --tls-port "$tls_port" --cert "$dir/server.pem" --key "$dir/server.key"
  await_port cyrus "$port"
  describe cyrus <<JSON
{
  "protocol": "smtp", "host": "127.0.0.1", "port": $port, "tlsPort": $tls_port, "ca": "$dir/ca.pem",
  "user": "$LAB_USER", "password": "$LAB_PASSWORD", "maildir": "", "lineEnd": "lf",
  "mechanisms": [
    "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS"
  ]
}
JSON
}

# cyrus_account FOLDER: its configuration, and the one account.
cyrus_account() {
  mkdir -p "$1"
  cat >"$1/smtpd.conf" <<CONF
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: $1/users
mech_list: ANONYMOUS PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512
CONF
  printf %s "$LAB_PASSWORD" | saslpasswd2 -p -c -f "$1/users" -u localhost "$LAB_USER"
}
