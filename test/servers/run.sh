#!/usr/bin/env bash
# run.sh COMMAND…: runs COMMAND while the real mail servers are up; exits with its status once all of them are gone.
# COMMAND finds their description in the file named by SMTPLIB_SERVERS. What is not installed is left out, loudly;
# with CI=true or SMTPLIB_REQUIRE_SERVERS=1 that is a failure. SMTPLIB_KEEP_SERVERS_DIR=1 keeps logs and mail.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -gt 0 ] || { echo "usage: $0 COMMAND…" >&2; exit 2; }

# A session of its own: Ctrl-C is for COMMAND; the keeper stops when the lifeline, its stdin, is closed.
coproc KEEPER { exec setsid "$here/keeper.sh"; }
keeper=$KEEPER_PID
exec {answer}<&"${KEEPER[0]}"- {lifeline}>&"${KEEPER[1]}"-
trap 'exec {lifeline}>&-; wait "$keeper" || true' EXIT

read -r SMTPLIB_SERVERS <&"$answer" || { echo "the mail servers did not start" >&2; exit 1; }
export SMTPLIB_SERVERS
"$@" {answer}<&- {lifeline}>&- # COMMAND must not hold the lifeline, lest a child that it leaves behind keeps the servers
