# Sourced by run: the clients, how each gets onto the machine and how its program
# is called. Expects $work, $here and $top.

all_clients=(psycopg2 psycopg asyncpg sqlalchemy libpq pgx pq node-postgres postgres.js pgjdbc dbd-pg ruby-pg)

# packages NAME…: Debian's, but what is there is taken from wherever it came.
packages() { "$top/testdata/install" "$@" >&2; }

python_version() { /usr/bin/python3 -c "import $1; print($1.__version__)"; }

# node_modules: the versions of node/package-lock.json, kept between runs.
node_modules() {
	node_dir=${XDG_CACHE_HOME:-$HOME/.cache}/howdah/clients-node
	packages nodejs && { command -v npm >/dev/null || packages npm; } &&
		mkdir -p "$node_dir" && cp "$here"/node/* "$node_dir/" &&
		(cd "$node_dir" && npm install --no-audit --no-fund >&2) &&
		(cd "$node_dir" && node -p "require('./node_modules/$1/package.json').version")
}

# prepare_client NAME: installs and compiles, and prints the version. Fails with
# the reason as the last line on stderr.
prepare_client() {
	case $1 in
	psycopg2 | psycopg | asyncpg | sqlalchemy) packages "python3-$1" && python_version "$1" ;;
	libpq)
		packages gcc libc6-dev libpq-dev &&
			gcc -O1 -Wall -Werror -I"$(pg_config --includedir)" -L"$(pg_config --libdir)" \
				-o "$work/build/libpq" "$here"/libpq/*.c -lpq -lpthread >&2 &&
			pg_config --version
		;;
	pgx | pq)
		(cd "$here/go" && go build -o "$work/build/$1" "./$1" &&
			go list -m -f '{{if not .Indirect}}{{.Path}} {{.Version}}{{end}}' all | sed -n "s,.*/$1.* v,,p")
		;;
	node-postgres) node_modules pg ;;
	postgres.js) node_modules postgres ;;
	pgjdbc)
		{ command -v javac >/dev/null || packages default-jdk-headless; } && packages libpostgresql-jdbc-java &&
			javac -nowarn -d "$work/build/java" -cp "$(jdbc)" "$here"/java/*.java >&2 &&
			java -cp "$work/build/java:$(jdbc)" Client version
		;;
	dbd-pg) packages libdbd-pg-perl && perl -MDBD::Pg -e 'print "$DBD::Pg::VERSION\n"' ;;
	ruby-pg) packages ruby ruby-pg && ruby -rpg -e 'puts PG::VERSION' ;;
	*) echo "no such client: $1" >&2 && return 1 ;;
	esac
}

jdbc() { ls /usr/share/java/postgresql.jar; }

# client_command NAME sets cmd, which is given the case as its argument.
client_command() {
	case $1 in
	psycopg2 | psycopg | asyncpg | sqlalchemy) cmd=(/usr/bin/python3 "$here/python/$1_client.py") ;;
	libpq | pgx | pq) cmd=("$work/build/$1") ;;
	node-postgres) cmd=(node "$node_dir/node-postgres.mjs") ;;
	postgres.js) cmd=(node "$node_dir/postgres-js.mjs") ;;
	pgjdbc) cmd=(java -XX:TieredStopAtLevel=1 -cp "$work/build/java:$(jdbc)" Client) ;;
	dbd-pg) cmd=(perl "$here/perl/client.pl") ;;
	ruby-pg) cmd=(ruby "$here/ruby/client.rb") ;;
	esac
}
