#!/bin/sh
# Start the IOC of this container, in place of this script, so that it gets the signals.
#
# What to serve is told by config/ioc.yaml, or, without that file, by variables:
#   PANDA_IOC_HOST      name or address of the PandA
#   PANDA_IOC_PREFIX    what all names begin with; if not given, IOC_PREFIX
# All other options of `panda-ioc run` have variables too, which go over the file.
# A start.sh in the config folder is run instead of all this.
set -eu
# Whoever is told to stop before it has begun has done so.
trap 'exit 0' TERM INT

root=${EPICS_ROOT:-/epics}
config=$root/ioc/config

if [ -f "$config/start.sh" ]; then
    exec bash "$config/start.sh"
fi

PANDA_IOC_ALIVE_FILE=${PANDA_IOC_ALIVE_FILE:-/tmp/panda-ioc.alive}
export PANDA_IOC_ALIVE_FILE
rm -f "$PANDA_IOC_ALIVE_FILE"

# A signal waits until the IOC listens: the first process of a container would never get one that comes before.
set -- env --block-signal=TERM --block-signal=INT
"$@" true 2>/dev/null || set --

if [ -f "$config/ioc.yaml" ]; then
    exec "$@" panda-ioc run --config "$config/ioc.yaml"
fi
prefix=${PANDA_IOC_PREFIX:-${IOC_PREFIX:-}}
: "${PANDA_IOC_HOST:?tell which PandA to serve, here or in $config/ioc.yaml}"
: "${prefix:?tell with IOC_PREFIX what all names begin with, or in $config/ioc.yaml}"
PANDA_IOC_SCREENS_DIR=${PANDA_IOC_SCREENS_DIR:-$root/opi}
export PANDA_IOC_SCREENS_DIR
exec "$@" panda-ioc run "$PANDA_IOC_HOST" "$prefix" --clear-bobfiles
