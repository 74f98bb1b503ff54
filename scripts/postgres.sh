# Sourced by ./test and bench/sms/run: a PostgreSQL of its own, in a temporary folder and on a free port, gone with the script.

# start_postgres [SETTING=VALUE]: sets OPENTACT_TEST_POSTGRES. Does not wait for the disk, unless told to by fsync=on.
start_postgres() {
    local programs port user=()
    programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
    postgres_folder=$(mktemp -d)
    # initdb refuses to be root.
    if ((EUID == 0)); then
        chown postgres "$postgres_folder"
        user=(runuser -u postgres --)
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (
        cd "$postgres_folder"
        "${user[@]}" "$programs/initdb" --pgdata data --username postgres --auth trust --no-sync >initdb.log
        "${user[@]}" "$programs/pg_ctl" --pgdata data --log server.log --wait start --options \
            "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c max_connections=200 -c ${1:-fsync=off}" >pg_ctl.log
    )
    postgres_stop=("${user[@]}" "$programs/pg_ctl" --pgdata "$postgres_folder/data" --mode immediate stop)
    trap stop_postgres EXIT
    export OPENTACT_TEST_POSTGRES=postgres://postgres@127.0.0.1:$port/postgres
}

stop_postgres() {
    (cd "$postgres_folder" && "${postgres_stop[@]}" >/dev/null 2>&1) || true
    rm -rf "$postgres_folder"
}
