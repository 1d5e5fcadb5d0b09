# What the servers share: who they are, free ports, starting a daemon so that all of it can be stopped again.
# Sourced by keeper.sh and install.sh; expects $dir, the folder of this run, where a function needs it.

# dovecot first: Postfix asks it for passwords; haproxy last: it stands before others.
SERVERS=(dovecot postfix cyrus exim sendmail aiosmtpd danted tinyproxy haproxy)

# One account everywhere, and the system user that owns the stored mail.
LAB_USER=probe LAB_PASSWORD=probe-secret LAB_OWNER=nobody LAB_GROUP=nogroup
# Accounts whose passwords SASLprep would change (superscript) or refuse (rtl): Exim's and Dovecot's as name=password.
LAB_UNPREPARED='superscript=ge²heim rtl=סוד1'

# Where packages are unpacked that cannot be installed beside the others.
CACHE=${SMTPLIB_SERVERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/smtplib-test-servers}

PATH=$PATH:/usr/sbin:/sbin # where Debian keeps daemons, and where not every shell looks

loud() { printf '\n*** %s\n\n' "$*" >&2; }

# True where a missing server is a failure rather than a skipped suite.
servers_required() { [ "${CI:-}" = true ] || [ "${SMTPLIB_REQUIRE_SERVERS:-}" = 1 ]; }

# free_port VARIABLE: a loopback port that nobody uses, below those that the kernel hands out to others by itself.
declare -A taken_ports=()
free_port() {
  local candidate
  while candidate=$((20000 + SRANDOM % 12000)); do
    [ -z "${taken_ports[$candidate]:-}" ] && ! port_answers "$candidate" && break
  done
  taken_ports[$candidate]=1
  printf -v "$1" %s "$candidate"
}

# What dovecot, postfix and exim need beside their packages: they change users. aiosmtpd does not.
root_missing() { [ "$(id -u)" = 0 ] || echo "root's rights"; }

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# background NAME COMMAND…: runs a daemon in the foreground of a session of its own.
# Its process group then holds all that it forks, so that one signal reaches everything.
declare -A groups=()
background() {
  local name=$1
  shift
  setsid "$@" </dev/null >"$dir/$name.out" 2>&1 &
  groups[$name]=$!
}

# await_port NAME PORT: until the daemon listens; fails once it is dead or after 20 seconds.
await_port() {
  local tries=0
  until port_answers "$2"; do
    if ! kill -0 "${groups[$1]}" 2>/dev/null || [ $((tries += 1)) -gt 400 ]; then
      loud "$1 does not listen on port $2; its last words:"
      tail -n 20 "$dir/$1.out" "$dir/$1"/*log* >&2 2>/dev/null || true
      return 1
    fi
    sleep 0.05
  done
}

# describe NAME <<JSON: what a test needs to know of a server that runs.
describe() { cat >"$dir/description.$1"; }

# Ends every daemon and what it forked: politely, and after five seconds by force.
stop_all() {
  local group tries=0
  for group in "${groups[@]}"; do kill -TERM -- "-$group" 2>/dev/null || true; done
  for group in "${groups[@]}"; do
    while kill -0 -- "-$group" 2>/dev/null && [ $((tries += 1)) -le 100 ]; do sleep 0.05; done
    kill -KILL -- "-$group" 2>/dev/null || true
  done
}
