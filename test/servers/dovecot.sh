# Dovecot: LMTP over TCP and a Unix socket, one Maildir a user, and the passwords of Postfix. Sourced by keeper.sh.
# Users: probe, alice, bob, and full, whose quota refuses each message after its data. All others are refused at RCPT.

dovecot_missing() {
  root_missing
  command -v dovecot >/dev/null && [ -x /usr/lib/dovecot/lmtp ] || echo "packages dovecot-core and dovecot-lmtpd"
}

dovecot_start() {
  local home=$dir/dovecot port
  free_port port
  mkdir -p "$home/mail"
  chown "$LAB_OWNER" "$home/mail"
  dovecot_users
  dovecot_tokens
  cat >"$home/dovecot.conf" <<CONF
protocols = lmtp
base_dir = $home/run
log_path = $home/log
listen = 127.0.0.1
ssl = yes
ssl_cert = <$dir/server.pem
ssl_key = <$dir/server.key

mail_location = maildir:$home/mail/%n
mail_uid = $LAB_OWNER
mail_gid = $LAB_GROUP
first_valid_uid = 1
first_valid_gid = 1
protocol lmtp {
  mail_plugins = quota
}
plugin {
  quota = maildir:User quota
}

# Failed logins are part of the tests: no punishment by waiting.
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}

disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_username_format = %Ln
passdb {
  driver = passwd-file
  args = $home/users
}
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = $home/oauth2.conf
}
userdb {
  driver = passwd-file
  args = $home/users
  default_fields = uid=$LAB_OWNER gid=$LAB_GROUP home=$home/mail/%n
}

service auth {
  unix_listener $home/auth {
    mode = 0666
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $port
  }
  unix_listener $home/lmtp.sock {
    mode = 0666
  }
}
CONF
  background dovecot dovecot -F -c "$home/dovecot.conf"
  await_port dovecot "$port"
  describe dovecot <<JSON
{
  "protocol": "lmtp", "host": "127.0.0.1", "port": $port, "socket": "$home/lmtp.sock",
  "ca": "$dir/ca.pem", "maildir": "$home/mail", "lineEnd": "lf", "mechanisms": []
}
JSON
}

dovecot_users() {
  cat >"$dir/dovecot/users" <<USERS
$LAB_USER:{PLAIN}$LAB_PASSWORD::::::
alice:{PLAIN}alice-secret::::::
bob:{PLAIN}bob-secret::::::
full:{PLAIN}full-secret::::::userdb_quota_rule=*:bytes=1
USERS
  local account
  for account in $LAB_UNPREPARED; do echo "${account%%=*}:{PLAIN}${account#*=}::::::"; done >>"$dir/dovecot/users"
}

# Bearer tokens are checked without a token server: they are JWTs, signed with HS256 and a key that Dovecot knows.
dovecot_tokens() {
  local home=$dir/dovecot key=lab-oauth-key now head body
  mkdir -p "$home/keys/default/HS256"
  printf %s "$key" | base64 -w0 >"$home/keys/default/HS256/default"
  cat >"$home/oauth2.conf" <<CONF
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=$home/keys/
username_attribute = sub
CONF
  now=$(date +%s)
  head=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
  body=$(printf '{"sub":"%s","iat":%d,"nbf":%d,"exp":%d,"aud":"lab"}' "$LAB_USER" $((now - 60)) $((now - 60)) $((now + 86400)) | base64url)
  printf '%s.%s.%s' "$head" "$body" "$(printf %s "$head.$body" | openssl dgst -sha256 -hmac "$key" -binary | base64url)" >"$dir/oauth-token"
}

base64url() { base64 -w0 | tr -d = | tr '/+' _-; }
