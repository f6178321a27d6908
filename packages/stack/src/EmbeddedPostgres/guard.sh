#!/bin/sh
# Runs a command for Guard.ts: `sh guard.sh command argument...`. Why is said there.
# Only builtins wait for something here, apart from `sleep 0.1`: nothing else could be left behind.

exec 3<&0
# A signal to the whole group must not end the guard before the command. Handled rather than ignored, because the
# command would inherit an ignored signal.
trap : HUP INT QUIT TERM

"$@" </dev/null 3<&- &
command=$!

# Input from file descriptor 3: a background job gets /dev/null as its standard input.
(
  while read -r signal <&3; do kill -s "$signal" "$command" 2>/dev/null; done
  trap '' TERM
  stop() {
    kill -s "$1" "$command" 2>/dev/null || exit 0
    tenths=$2
    while [ "$tenths" -gt 0 ]; do
      sleep 0.1
      kill -s 0 "$command" 2>/dev/null || exit 0
      tenths=$((tenths - 1))
    done
  }
  stop INT 50
  stop QUIT 20
  stop KILL 10
) </dev/null >/dev/null 2>&1 &
watcher=$!
exec 3<&-

echo "$command"
while :; do
  wait "$command"
  code=$?
  # Still there: one of the signals above has interrupted the wait.
  kill -s 0 "$command" 2>/dev/null || break
done

# Ends the watcher while it reads. While it stops the command it ignores this, sees the command gone and ends itself.
kill "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
exit "$code"
