#!/bin/sh
# Succeed while the IOC is alive. The event loop of the IOC touches a file every second. If this file has an HTTP address,
# /healthz must succeed too.
#
# A liveness.sh in the config folder replaces this script.
set -eu

config=${EPICS_ROOT:-/epics}/ioc/config
file=${PANDA_IOC_ALIVE_FILE:-/tmp/panda-ioc.alive}
limit=${PANDA_IOC_ALIVE_SECONDS:-15}

if [ -f "$config/liveness.sh" ]; then
    exec bash "$config/liveness.sh"
fi
if ! touched=$(stat -c %Y "$file" 2>/dev/null); then
    echo "the IOC is not running: $file does not exist" >&2
    exit 1
fi
age=$(($(date +%s) - touched))
if [ "$age" -gt "$limit" ]; then
    echo "the IOC hangs: it touched $file $age s ago" >&2
    exit 1
fi
# The optional second line of the file has address and port of HTTP.
http=$(sed -n 2p "$file" 2>/dev/null) || exit 0
[ -n "$http" ] || exit 0
host=${http% *}
port=${http##* }
case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
# bash can open connections; sh cannot.
# shellcheck disable=SC2016 # the inner shell expands these variables
ask='exec 3<>"/dev/tcp/$0/$1"; printf "GET /healthz HTTP/1.0\r\n\r\n" >&3; cat <&3'
said=$(timeout 2 bash -c "$ask" "$host" "$port" 2>&1) || true
case $said in
HTTP/1.?" 200 "*) ;;
*)
    echo "the IOC is not healthy: http://$host:$port/healthz: ${said:-no answer}" >&2
    exit 1
    ;;
esac
