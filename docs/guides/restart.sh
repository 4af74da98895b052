#!/bin/sh
# restart.sh COMMAND ...: runs the command again as long as that helps, that is after exit code 75 (try again: the
# machine is taken away, or another worker was lost) and after a kill (128 and more, but for Ctrl-C). 0, 1 and 2 end it.
# SIGTERM is handed on to the command, and nothing is started after it. PAUSE is in seconds.
child= told=
trap 'told=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null' TERM
while :; do
    "$@" &
    child=$!
    wait "$child"
    code=$?
    while kill -0 "$child" 2>/dev/null; do # A trap has cut the wait short.
        wait "$child"
        code=$?
    done
    if [ -n "$told" ] || { [ "$code" -ne 75 ] && [ "$code" -lt 128 ]; } || [ "$code" -eq 130 ]; then
        exit "$code"
    fi
    echo "restart.sh: exit code $code, starting again in ${PAUSE:-10} s" >&2
    sleep "${PAUSE:-10}"
done
