# sendmail: DELIVERBY, and delivery reports that name the time; no TLS here. All mail goes to one Maildir, none leaves. Sourced by keeper.sh.
# The same special recipients as Postfix, but for members. An unpacked binary, like Exim's.

SENDMAIL_BINARY=$CACHE/sendmail/usr/libexec/sendmail/sendmail

# It waits a minute for a host name with a dot, so that it gets one, in a namespace of its own.
SENDMAIL=(unshare --uts sh -c 'hostname localhost.lab.test && exec "$@"' sendmail "$SENDMAIL_BINARY")

sendmail_missing() {
  root_missing
  [[ $("${SENDMAIL[@]}" -d0.1 -bv -C/dev/null x 2>/dev/null) == Version* ]] || echo "package sendmail-bin, unpacked under $CACHE"
}

sendmail_start() {
  local home=$dir/sendmail port
  free_port port
  mkdir -p "$home"/{queue,mail/tmp,mail/new}
  chmod 700 "$home/queue"
  cat >"$home/deliver" <<'SH'
#!/bin/sh
# deliver MAILDIR USER: the message on stdin becomes a file in the Maildir; there is no user "bounced" (EX_NOUSER).
case $2 in bounced@*) exit 67 ;; esac
name=$(date +%s).$$.localhost
{ echo "Delivered-To: <$2@lab.test>"; cat; } >"$1/tmp/$name" && mv "$1/tmp/$name" "$1/new/$name"
SH
  chmod 755 "$home/deliver"
  echo "hosts files" >"$home/service.switch" # no DNS
  # Rule sets take addresses apart at "$"; what is between a left and a right side are tabs.
  sed 's/ => /\t/' >"$home/sendmail.cf" <<CONF
V10/Berkeley
Cwlocalhost
DnMAILER-DAEMON
O QueueDirectory=$home/queue
O PidFile=$home/pid
O ServiceSwitchFile=$home/service.switch
O HostsFile=/etc/hosts
O DaemonPortOptions=Name=MTA,Addr=127.0.0.1,Port=$port
O DeliveryMode=background
O DeliverByMin=60
O MaxMessageSize=104857600
O BadRcptThrottle=0
O Timeout.ident=0
O QueueLA=1000
O RefuseLA=1000
O LogLevel=0
O EightBitMode=pass8
O DefaultUser=$LAB_OWNER:$LAB_GROUP
O RunAsUser=$LAB_OWNER:$LAB_GROUP
Troot
Scanonify=3
R\$*<\$+>\$* => \$2
Sparse=0
R\$+@\$+ => \$#local \$: \$1@\$2
R\$+ => \$#local \$: \$1
Scheck_rcpt
R\$*refused@lab.test\$* => \$#error \$@ 5.1.1 \$: "550 no such user"
R\$*later@lab.test\$* => \$#error \$@ 4.2.0 \$: "450 try later"
Mlocal, P=$home/deliver, F=lsDFMPqn8, S=0, R=0, T=DNS/RFC822/X-Unix, A=deliver $home/mail \$u
Mprog, P=/bin/false, F=lsDFM, S=0, R=0, T=X-Unix/X-Unix/X-Unix, A=false
CONF
  chown -R "$LAB_OWNER:$LAB_GROUP" "$home/queue" "$home/mail"
  background sendmail "${SENDMAIL[@]}" "-C$home/sendmail.cf" -bD -q1h
  await_port sendmail "$port"
  describe sendmail <<JSON
{
  "protocol": "smtp", "host": "127.0.0.1", "port": $port, "ca": "$dir/ca.pem",
  "maildir": "$home/mail", "lineEnd": "lf", "mechanisms": []
}
JSON
}
