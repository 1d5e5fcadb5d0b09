# Programs that tests use beside the servers: clients that are not ours, and a browser for the pages. Sourced by install.sh.

clients_missing() {
  command -v swaks >/dev/null || echo "package swaks"
  # swaks speaks TLS by it.
  perl -MNet::SSLeay -e 1 2>/dev/null || echo "package libnet-ssleay-perl"
  command -v curl >/dev/null || echo "package curl"
  command -v chromium >/dev/null || echo "package chromium"
}
