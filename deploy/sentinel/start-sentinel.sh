#!/bin/sh
# Starts one Sentinel. The first start writes its file; from then on the file belongs to the Sentinel, which keeps
# its own id, the nodes it knows, and the epochs of its failovers in it. Later starts only replace the password.
#
#   REDIS_PASSWORD       of the Redis nodes
#   REDIS_FIRST_PRIMARY  the node that is the primary when the deployment starts for the first time
#   SENTINEL_HOST        the name by which the others know this Sentinel
set -eu
umask 077

config=/data/sentinel.conf

if [ ! -e "$config" ]; then
  cat > "$config.new" << END
port 26379
dir /data
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $SENTINEL_HOST
sentinel monitor mymaster $REDIS_FIRST_PRIMARY 6379 2
sentinel down-after-milliseconds mymaster 5000
sentinel failover-timeout mymaster 60000
sentinel parallel-syncs mymaster 1
END
else
  grep -v '^sentinel auth-pass ' "$config" > "$config.new"
fi
echo "sentinel auth-pass mymaster \"$REDIS_PASSWORD\"" >> "$config.new"
mv "$config.new" "$config"
exec redis-server "$config" --sentinel
