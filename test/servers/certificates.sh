# A throw-away authority, a certificate for "localhost" and 127.0.0.1, and a client's. Sourced by keeper.sh.
# A leaf of its own, as some clients refuse an authority that is also the server's certificate.

make_certificates() {
  cd "$dir"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Lab CA" \
      -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out server.pem \
      -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$LAB_USER" -keyout client.key -out client.csr
    openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out client.pem \
      -extfile <(printf 'extendedKeyUsage=clientAuth\n')
  } >openssl.out 2>&1 || { cat openssl.out >&2; return 1; }
  chmod 644 server.key # Exim reads it as an unprivileged user
  cd - >/dev/null
}
