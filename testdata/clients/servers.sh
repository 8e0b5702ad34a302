# Sourced by run and suites: one PostgreSQL, one Howdah before it, and other
# people's traffic. Expects $work, $here and $top; sets the ports, and the PG…
# variables that libpq and most other clients read. without_tls=allow takes
# clients without TLS too; pool_size is Howdah's, 3 unless set.

# as_server COMMAND…: PostgreSQL refuses to be root.
as_server() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"
	else
		"$@"
	fi
}

find_binaries() {
	if [ -n "${HOWDAH_PG_BINDIR:-}" ]; then
		echo "$HOWDAH_PG_BINDIR"
	elif ls -d /usr/lib/postgresql/*/bin/ >/dev/null 2>&1; then
		ls -d /usr/lib/postgresql/*/bin/ | sort -V | tail -n 1
	else
		dirname "$(command -v initdb)"
	fi
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# make_certificate: of its own authority, so that clients can verify it.
make_certificate() {
	local log=$work/openssl.log
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=clients authority' \
		-keyout "$work/ca.key" -out "$work/ca.pem" >"$log" 2>&1
	openssl req -newkey rsa:2048 -nodes -subj /CN=localhost \
		-keyout "$work/server.key" -out "$work/server.csr" >>"$log" 2>&1
	openssl x509 -req -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') -out "$work/server.pem" >>"$log" 2>&1
	cp "$work/server.key" "$work/postgres.key"
	chmod 600 "$work/postgres.key"
	[ "$(id -u)" -ne 0 ] || chown postgres: "$work/postgres.key"
}

sql() {
	as_server "${binaries}/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work/pg" -p "$postgres_port" -U postgres -d postgres "$@"
}

start_postgres() {
	mkdir "$work/pg"
	[ "$(id -u)" -ne 0 ] || chown postgres: "$work/pg"
	as_server "$binaries/initdb" -D "$work/pg/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$work/initdb.log"
	as_server tee -a "$work/pg/data/postgresql.conf" >/dev/null <<-END
		listen_addresses = '127.0.0.1'
		port = $postgres_port
		unix_socket_directories = '$work/pg'
		ssl = on
		ssl_cert_file = '$work/server.pem'
		ssl_key_file = '$work/postgres.key'
		password_encryption = 'scram-sha-256'
		timezone = 'UTC'
		fsync = off
		max_prepared_transactions = 5
		log_min_messages = warning
	END
	as_server tee "$work/pg/data/pg_hba.conf" >/dev/null <<-END
		local   all all               trust
		${without_tls:+host all all 127.0.0.1/32 scram-sha-256}
		hostssl all all 127.0.0.1/32  scram-sha-256
	END
	as_server "$binaries/pg_ctl" -D "$work/pg/data" -l "$work/pg/log" -w start >"$work/pg_ctl.log"
	sql -c "create role clients login password 'clients secret'" \
		-c "create role clients_reader" -c "grant clients_reader to clients" \
		-c "create database clients owner clients"
}

start_howdah() {
	local howdah=${HOWDAH:-}
	if [ -z "$howdah" ]; then
		howdah=$work/howdah
		(cd "$top" && go build -o "$howdah" ./cmd/howdah)
	fi
	cat >"$work/howdah.toml" <<-END
		[listen]
		addresses = ["127.0.0.1:$howdah_port"]
		unix_socket_dir = ""
		tls_mode = "${without_tls:-require}"
		tls_cert_file = "$work/server.pem"
		tls_key_file = "$work/server.key"
		[admin]
		http = ""
		[defaults]
		pool_mode = "transaction"
		pool_size = ${pool_size:-3}
		[[cluster]]
		name = "main"
		members = ["localhost:$postgres_port"]
		tls_mode = "verify-full"
		tls_ca_file = "$work/ca.pem"
		[[tenant]]
		name = "clients"
		[[tenant]]
		name = "clients_nowhere"
		user = "clients"
		[[user]]
		name = "clients"
		verifier = "$(sql -c "select rolpassword from pg_authid where rolname = 'clients'")"
		${HOWDAH_TOML:-}
	END
	"$howdah" serve -c "$work/howdah.toml" >"$work/howdah.log" 2>&1 &
	howdah_pid=$!
	local tries
	for tries in {1..100}; do
		PGPORT=$howdah_port "$binaries/psql" -X -q -A -t -c 'select 1' >/dev/null 2>&1 && return
		kill -0 "$howdah_pid" 2>/dev/null || break
		sleep 0.1
	done
	echo "Howdah does not answer:" >&2
	tail -n 5 "$work/howdah.log" >&2
	return 1
}

# start_servers: the noise keeps Howdah's servers going from hand to hand; a
# client that is alone would get the same one each time, and nothing would show.
start_servers() {
	binaries=$(find_binaries)
	postgres_port=$(free_port)
	howdah_port=$(free_port)
	make_certificate
	export PGHOST=localhost PGUSER=clients PGPASSWORD='clients secret' PGDATABASE=clients \
		PGSSLMODE=verify-full PGSSLROOTCERT=$work/ca.pem
	start_postgres
	start_howdah
	PGPORT=$howdah_port /usr/bin/python3 "$here/noise.py" >"$work/noise.log" 2>&1 &
	noise_pid=$!
}

stop_servers() {
	local pid
	for pid in ${noise_pid:-} ${howdah_pid:-}; do
		kill -INT "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
	done
	[ ! -e "$work/pg/data/postmaster.pid" ] ||
		as_server "$binaries/pg_ctl" -D "$work/pg/data" -m immediate -w stop >/dev/null || true
}
