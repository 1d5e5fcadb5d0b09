# HAProxy as what stands before others: TLS in front of tinyproxy, so that there is an HTTP proxy that speaks TLS, and
# plain TCP in front of Exim. Sourced by keeper.sh, after the servers that it leads to.

haproxy_missing() {
  command -v haproxy >/dev/null || echo "package haproxy"
  tinyproxy_missing
}

haproxy_start() {
  local home=$dir/haproxy tls_port port tinyproxy exim
  free_port tls_port
  free_port port
  tinyproxy=$(described_port tinyproxy)
  exim=$(described_port exim)
  cat "$dir/server.pem" "$dir/server.key" >"$home/pair.pem"
  cat >"$home/haproxy.cfg" <<CONF
global
  maxconn 200
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen proxy-in-tls
  bind 127.0.0.1:$tls_port ssl crt $home/pair.pem
  server tinyproxy 127.0.0.1:$tinyproxy
listen mail
  bind 127.0.0.1:$port
  server exim 127.0.0.1:${exim:-9}
CONF
  background haproxy haproxy -db -f "$home/haproxy.cfg"
  await_port haproxy "$tls_port"
  describe haproxy <<JSON
{ "host": "127.0.0.1", "port": $port, "tlsPort": $tls_port, "ca": "$dir/ca.pem" }
JSON
}

# described_port NAME: the first port in the description of a server, nothing if it does not run.
described_port() { sed -n 's/.*"port": \([0-9]*\).*/\1/p' "$dir/description.$1" 2>/dev/null | head -n 1 || true; }
