# Postfix: STARTTLS, AUTH by way of Dovecot and, on a port of its own, Cyrus SASL, implicit TLS; all mail goes to one Maildir, none leaves. Sourced by keeper.sh.
# refused@lab.test is refused with 550, later@lab.test with 450, members@lab.test with 530 before authentication,
# mail from spammer@client.test with 550; mail for bounced@lab.test is taken, and comes back as a report.

postfix_missing() {
  command -v postfix >/dev/null || echo "package postfix"
  dovecot_missing
  cyrus_missing
}

postfix_start() {
  local home=$dir/postfix port tls_port cyrus_port
  free_port port
  free_port tls_port
  free_port cyrus_port
  # Postfix insists on folders that only it can write to, hence none of them is shared.
  mkdir -p "$home"/{etc,queue,data,mail}
  chown postfix "$home/data"
  chown "$LAB_OWNER" "$home/mail"
  cat >"$home/etc/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $home/queue
data_directory = $home/data
maillog_file = $home/log
maillog_file_prefixes = $home
myhostname = localhost
mynetworks =
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
# Bounces and whatever an authenticated client addresses elsewhere: nothing may leave this machine.
default_transport = discard

transport_maps = inline:{{bounced@lab.test=bounced:}}
virtual_mailbox_domains = lab.test xn--bcher-kva.test
virtual_mailbox_base = $home/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:$(id -u "$LAB_OWNER")
virtual_gid_maps = static:$(id -g "$LAB_OWNER")
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 104857600
# Messages are compared byte for byte: no header is completed because the client is local.
local_header_rewrite_clients =

smtpd_tls_cert_file = $dir/server.pem
smtpd_tls_key_file = $dir/server.key
smtpd_tls_security_level = may
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dir/dovecot/auth
smtpd_sasl_security_options = noanonymous
smtpd_delay_reject = no
smtpd_sender_restrictions =
  check_sender_access inline:{{spammer@client.test=550 5.7.1 no thanks}}
smtpd_recipient_restrictions =
  check_recipient_access inline:{{refused@lab.test=550 5.1.1 no such user},{later@lab.test=450 4.2.0 try later}},
  permit_sasl_authenticated,
  check_recipient_access inline:{{members@lab.test=530 5.7.0 authentication required}},
  reject_unauth_destination
smtputf8_enable = yes
smtpd_forbid_bare_newline = yes

# Errors are part of the tests: no punishment by waiting, no limits, and no DNS.
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_auth_rate_limit = 0
smtpd_peername_lookup = no
CONF
  # The daemons that receiving and storing takes, none of them in a chroot. It reads /etc/services for "smtp" otherwise.
  cat >"$home/etc/master.cf" <<CONF
127.0.0.1:$port inet n - n - - smtpd
127.0.0.1:$tls_port inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:$cyrus_port inet n - n - - smtpd
  -o smtpd_sasl_type=cyrus
  -o smtpd_sasl_path=smtpd
  -o smtpd_sasl_security_options=
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
bounced unix - n n - - pipe
  user=nobody argv=/bin/sh -c {echo no such mailbox; exit 67}
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
CONF
  cyrus_account "$home/etc/sasl" # where Debian's Postfix looks
  chown postfix "$home/etc/sasl/users"
  # What `postfix start-fg` does, but with the master as our own child: from there it would escape into another session.
  postfix -c "$home/etc" check 2>"$dir/postfix.check" || { cat "$dir/postfix.check" >&2; return 1; }
  background postfix "$(postconf -c "$home/etc" -h daemon_directory)/master" -c "$home/etc" -s
  await_port postfix "$port"
  describe postfix <<JSON
{
  "protocol": "smtp", "host": "127.0.0.1", "port": $port, "tlsPort": $tls_port, "ca": "$dir/ca.pem",
  "user": "$LAB_USER", "password": "$LAB_PASSWORD", "token": "$(cat "$dir/oauth-token")",
  "maildir": "$home/mail", "lineEnd": "lf",
  "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"]
}
JSON
  describe postfix-cyrus <<JSON
{
  "protocol": "smtp", "host": "127.0.0.1", "port": $cyrus_port, "ca": "$dir/ca.pem",
  "user": "$LAB_USER", "password": "$LAB_PASSWORD", "maildir": "$home/mail", "lineEnd": "lf",
  "mechanisms": ["ANONYMOUS", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]
}
JSON
}
