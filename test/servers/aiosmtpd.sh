# aiosmtpd, Python's own successor of smtpd: STARTTLS, AUTH, implicit TLS, SMTPUTF8, no PIPELINING. Sourced by keeper.sh.

# Debian's Python, not another one that comes first in PATH: that is where Debian's package is.
AIOSMTPD_PYTHON=/usr/bin/python3

aiosmtpd_missing() {
  "$AIOSMTPD_PYTHON" -c 'import aiosmtpd' 2>/dev/null || echo "package python3-aiosmtpd"
}

aiosmtpd_start() {
  local home=$dir/aiosmtpd port tls_port
  free_port port
  free_port tls_port
  mkdir -p "$home"
  background aiosmtpd "$AIOSMTPD_PYTHON" "$here/aiosmtpd_server.py" \
    --port "$port" --tls-port "$tls_port" --cert "$dir/server.pem" --key "$dir/server.key" \
    --maildir "$home/mail" --user "$LAB_USER" --password "$LAB_PASSWORD"
  await_port aiosmtpd "$port"
  describe aiosmtpd <<JSON
{
  "protocol": "smtp", "host": "127.0.0.1", "port": $port, "tlsPort": $tls_port, "ca": "$dir/ca.pem",
  "user": "$LAB_USER", "password": "$LAB_PASSWORD",
  "maildir": "$home/mail", "lineEnd": "crlf", "mechanisms": ["PLAIN", "LOGIN"]
}
JSON
}
