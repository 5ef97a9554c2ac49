#!/bin/sh
# A stand-in for a queueing system. QUEUE is its folder.
#   submit [options] SCRIPT: start the script and print an id; status ID; cancel ID...
set -u
command=$1
shift
case $command in
submit)
    for script in "$@"; do :; done
    id=$(date +%s%N)
    echo "$@" >>"$QUEUE/submitted"
    (
        sh "$script" >"$QUEUE/$id.out" 2>&1
        echo $? >"$QUEUE/$id.new"
        mv "$QUEUE/$id.new" "$QUEUE/$id.status"
    ) </dev/null >/dev/null 2>&1 &
    echo "$id"
    ;;
status)
    if [ ! -e "$QUEUE/$1.status" ]; then
        echo running
    elif [ "$(cat "$QUEUE/$1.status")" = 0 ]; then
        echo success
    else
        echo failed
    fi
    ;;
esac
