#!/usr/bin/env bash
# Rehearses point-in-time recovery with a temporary PostgreSQL cluster: a base backup and archived WAL bring a shop back
# to the moment before a mistake. Leaves nothing behind. BACKUP.md explains the steps.
#
#   docs/rehearse-pitr.sh PATH-OF-SAVANNAH
#
# Needs the server programs of PostgreSQL; as root it runs them as the user `postgres`.
set -euo pipefail

SAVANNAH=$(realpath "${1:?the path of the program savannah is missing}")
BIN=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
BIN=${BIN:-$(pg_config --bindir)}
readonly SAVANNAH BIN
directory=$(mktemp -d)
readonly directory PORT=5499
as_postgres=()
if ((EUID == 0)); then
  as_postgres=(runuser -u postgres --)
  chown postgres "$directory"
fi

stop_clusters() {
  local cluster
  for cluster in primary recovered; do
    if [[ -e $directory/$cluster/postmaster.pid ]]; then
      run "$BIN/pg_ctl" -D "$directory/$cluster" -m immediate -w stop >/dev/null || true
    fi
  done
  rm -rf "$directory"
}
trap stop_clusters EXIT

# run COMMAND…: as the owner of the clusters, in their directory.
run() { (cd "$directory" && "${as_postgres[@]}" "$@"); }
query() { run "$BIN/psql" -XqtA -h "$directory" -p "$PORT" -U postgres -d shop -c "$1"; }
savannah() {
  (cd "$directory" && DATABASE_URL="postgres://postgres@localhost:$PORT/shop?host=$directory" RUST_LOG=warn \
    "$SAVANNAH" "$@")
}
start() {
  run "$BIN/pg_ctl" -D "$directory/$1" -w -l "$directory/$1.log" \
    -o "-p $PORT -k $directory -c listen_addresses=''" start >/dev/null
}

# within SECONDS COMMAND…: retries a command until it succeeds or the time is over.
within() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then
      echo "not in time: $*" >&2
      return 1
    fi
    sleep 0.2
  done
}
is_archived() { [[ $(query "SELECT last_archived_wal >= '$1' FROM pg_stat_archiver") == t ]]; }
is_promoted() { [[ $(query 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; }

echo "1. a cluster that archives its WAL"
run "$BIN/initdb" -D "$directory/primary" -U postgres -A trust >/dev/null
run mkdir "$directory/archive"
run tee -a "$directory/primary/postgresql.conf" >/dev/null <<CONF
wal_level = replica
archive_mode = on
archive_command = 'test ! -f "$directory/archive/%f" && cp "%p" "$directory/archive/%f"'
CONF
start primary
run "$BIN/createdb" -h "$directory" -p "$PORT" -U postgres shop
savannah migrate

echo "2. a base backup of it"
run "$BIN/pg_basebackup" -h "$directory" -p "$PORT" -U postgres -D "$directory/base" --checkpoint=fast
run "$BIN/pg_verifybackup" "$directory/base"

echo "3. changes after the base backup, and a mistake"
savannah user create --email before@shop.example --role admin >/dev/null
moment=$(query 'SELECT clock_timestamp()')
query 'SELECT pg_sleep(0.1)' >/dev/null
query 'SET client_min_messages = warning; DROP TABLE orders CASCADE'
last_wal=$(query 'SELECT pg_walfile_name(pg_current_wal_lsn())')
query 'SELECT pg_switch_wal()' >/dev/null
within 30 is_archived "$last_wal"

echo "4. the machine is lost"
run "$BIN/pg_ctl" -D "$directory/primary" -m immediate -w stop >/dev/null

echo "5. recovery to $moment"
run cp -R "$directory/base" "$directory/recovered"
run tee -a "$directory/recovered/postgresql.conf" >/dev/null <<CONF
restore_command = 'cp "$directory/archive/%f" "%p"'
recovery_target_time = '$moment'
recovery_target_action = promote
CONF
run touch "$directory/recovered/recovery.signal"
start recovered
within 60 is_promoted

echo "6. what came back"
accounts=$(query "SELECT count(*) FROM account WHERE email = 'before@shop.example'")
if [[ $accounts != 1 ]]; then
  echo "the account that was created after the base backup is missing" >&2
  exit 1
fi
savannah check | tail -n 1
echo "recovered: the change after the base backup is there, the mistake is not"
