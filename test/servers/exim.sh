# Exim: STARTTLS, AUTH, implicit TLS, CHUNKING, PRDR; all mail goes to one Maildir. Sourced by keeper.sh.
# The same special recipients as Postfix. The binary is an unpacked one: the packages of two mail servers exclude each other.

exim_missing() {
  root_missing
  # It runs only with its libraries and its user, which a cache from another machine does not bring along.
  { id Debian-exim && "$CACHE/exim/usr/sbin/exim4" -C /dev/null -bV; } >/dev/null 2>&1 || echo "package exim4-daemon-light, unpacked under $CACHE"
}

exim_start() {
  local home=$dir/exim port tls_port
  free_port port
  free_port tls_port
  mkdir -p "$home"/{spool,mail}
  # A copy: Exim runs itself anew for each delivery, as a user who may not enter the folder of the cache.
  cp "$CACHE/exim/usr/sbin/exim4" "$home/exim"
  cat >"$home/exim.conf" <<CONF
exim_user = $LAB_OWNER
exim_group = $LAB_GROUP
never_users =
exim_path = $home/exim
spool_directory = $home/spool
log_file_path = $home/%slog
pid_file_path = $home/pid
keep_environment =
primary_hostname = localhost
local_interfaces = 127.0.0.1
daemon_smtp_ports = $port : $tls_port
tls_on_connect_ports = $tls_port
tls_advertise_hosts = *
tls_certificate = $dir/server.pem
tls_privatekey = $dir/server.key
tls_verify_certificates = $dir/ca.pem
tls_try_verify_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
prdr_enable = true
host_lookup =
rfc1413_hosts =
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
message_size_limit = 100M
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_data = accept

begin acl
mail:
  deny senders = spammer@client.test
       message = 550 5.7.1 no thanks
  accept

rcpt:
  deny local_parts = refused
       message = 550 5.1.1 no such user
  defer local_parts = later
       message = 450 4.2.0 try later
  accept authenticated = *
  deny local_parts = members
       message = 530 5.7.0 authentication required
  accept domains = lab.test
  deny message = 550 5.7.1 no relay

begin routers
elsewhere:
  driver = redirect
  domains = ! lab.test
  data = :blackhole:
bounced:
  driver = redirect
  local_parts = bounced
  data = :fail: no such mailbox
  allow_fail
here:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = $home/mail
  maildir_format
  user = $LAB_OWNER
  group = $LAB_GROUP
  envelope_to_add
  return_path_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if eq{\$auth3}{\${extract{\$auth2}{$LAB_USER=$LAB_PASSWORD $LAB_UNPREPARED}{\$value}fail}}}
  server_set_id = \$auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = \${if eq{\$auth2}{\${extract{\$auth1}{$LAB_USER=$LAB_PASSWORD $LAB_UNPREPARED}{\$value}fail}}}
  server_set_id = \$auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${extract{\$auth1}{$LAB_USER=$LAB_PASSWORD $LAB_UNPREPARED}{\$value}fail}
  server_set_id = \$auth1
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = \$tls_in_certificate_verified
  server_param2 = \${certextract{subject,CN}{\$tls_in_peercert}}
  server_condition = \${if or{{eq{\$auth1}{}}{eq{\$auth1}{\$auth2}}}}
  server_set_id = \$auth2
CONF
  chown -R "$LAB_OWNER" "$home"
  chown root "$home/exim.conf" # Exim reads no configuration that another user could have changed
  background exim "$home/exim" -C "$home/exim.conf" -bdf -q1h
  await_port exim "$port"
  describe exim <<JSON
{
  "protocol": "smtp", "host": "127.0.0.1", "port": $port, "tlsPort": $tls_port, "ca": "$dir/ca.pem",
  "user": "$LAB_USER", "password": "$LAB_PASSWORD",
  "maildir": "$home/mail", "lineEnd": "lf", "mechanisms": ["PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"],
  "clientCert": "$dir/client.pem", "clientKey": "$dir/client.key"
}
JSON
}
