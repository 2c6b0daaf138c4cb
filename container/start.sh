#!/bin/sh
# Start the IOC of this container, in place of this script, so that it gets the signals.
#
# config/panda-ioc.yaml says what to serve. Without that file config/ioc.yaml does, the name of earlier versions, which
# ibek claims in repositories of epics-containers; without either, these variables do:
#   PANDA_IOC_HOST      name or address of the PandA
#   PANDA_IOC_PREFIX    first part of all names; default: IOC_PREFIX, which the chart gives in lower case
# All other options of `panda-ioc run` have variables too, which override the file.
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

for file in "$config/panda-ioc.yaml" "$config/ioc.yaml"; do
    if [ -f "$file" ]; then
        exec "$@" panda-ioc run --config "$file"
    fi
done
prefix=${PANDA_IOC_PREFIX:-${IOC_PREFIX:-}}
: "${PANDA_IOC_HOST:?set it to the PandA to serve, or write $config/panda-ioc.yaml}"
: "${prefix:?set IOC_PREFIX to the first part of all names, or write $config/panda-ioc.yaml}"
PANDA_IOC_SCREENS_DIR=${PANDA_IOC_SCREENS_DIR:-$root/opi}
export PANDA_IOC_SCREENS_DIR
exec "$@" panda-ioc run "$PANDA_IOC_HOST" "$prefix" --clear-bobfiles
