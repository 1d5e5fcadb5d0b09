#!/bin/sh
# CPython's own test_smtplib.py, unmodified, against the built facade: see README.md.
#   test/conformance/run.sh [test names]     BRIDGE_RUNTIME=node|deno|bun chooses the runtime
#   BRIDGE_BACKEND=python test/conformance/run.sh     proves the bridge: Python's own smtplib behind it
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$(dirname -- "$here")")
export PATH="$root/node_modules/.bin:$PATH"
export BRIDGE_BACKEND="${BRIDGE_BACKEND:-js}"
export SMTPLIB_DIST="${SMTPLIB_DIST:-$root/dist/index.js}"
if [ "$BRIDGE_BACKEND" = js ] && [ ! -e "$SMTPLIB_DIST" ]; then
  echo "$SMTPLIB_DIST is missing: npm run build" >&2
  exit 2
fi
for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
  "$candidate" -c "import test.test_smtplib" 2>/dev/null && exec timeout -k 2 90 "$candidate" -W ignore "$here/run.py" "$@"
done
echo "SKIPPED: CPython's test-suite: no Python 3.11 or newer with its own tests is here" >&2
echo "         (on Debian: apt-get install libpython3-testsuite; or set PYTHON)" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
