#!/bin/sh
# Starts one Redis node. Each start writes its configuration anew, from redis.conf, the password, and the role that
# Sentinel gave it last (Redis notes the role in its file when Sentinel sends CONFIG REWRITE).
#
#   REDIS_PASSWORD       of all nodes
#   REDIS_HOST           the name by which the others know this node
#   REDIS_FIRST_PRIMARY  the node that is the primary when the deployment starts for the first time
#   REDIS_RESTART_DELAY  seconds that a primary waits before it is back; longer than the Sentinels'
#                        down-after-milliseconds
set -eu
umask 077

config=/data/redis.conf

if [ -e "$config" ]; then
  role=$(sed -n '/^replicaof /p' "$config")
  # A primary that crashed may lack the last writes that its replicas have. If it came back before any Sentinel
  # missed it, it would stay the primary and those writes would be gone; while it waits, a replica that has them takes
  # over. Replicas don't wait: when everything restarts, one of them has to be there to take over.
  if [ -z "$role" ]; then
    echo "this node was the primary: waiting $REDIS_RESTART_DELAY s, so that the Sentinels notice the restart"
    sleep "$REDIS_RESTART_DELAY"
  fi
elif [ "$REDIS_HOST" = "$REDIS_FIRST_PRIMARY" ]; then
  role=''
else
  role="replicaof $REDIS_FIRST_PRIMARY 6379"
fi

{
  cat /etc/leasehold/redis.conf
  echo "requirepass \"$REDIS_PASSWORD\""
  echo "masterauth \"$REDIS_PASSWORD\""
  echo "replica-announce-ip $REDIS_HOST"
  echo "$role"
} > "$config.new"
mv "$config.new" "$config"
exec redis-server "$config"
