# Sourced by run: compares what a case printed twice, and keeps the table.
# Expects $work, $here, $clients and $cases.

declare -A verdict missing
failures=0

changed_lines() { sed -n '/^\(---\|+++\) /!{/^[-+]/p}' "$1"; }

# listed CLIENT CASE FILE: whether differences.txt has, for that client and case
# ("all" for every client), the label of every line that differs.
listed() {
	local line entry known
	while IFS= read -r line; do
		known=
		while IFS= read -r entry; do
			case $entry in
			"$1 $2 "* | "all $2 "*) [[ ${line:1} != "${entry#* * }":* ]] || known=1 ;;
			esac
		done < <(grep -v '^#' "$here/differences.txt")
		[ -n "$known" ] || return 1
	done < <(changed_lines "$3")
}

report_case() {
	local base=$work/out/$1.$2
	diff -U 0 --label postgres --label howdah "$base.postgres" "$base.howdah" >"$base.diff" || true
	if [ "$(cat "$base.postgres")" = 'not in this client' ]; then
		verdict[$1 $2]=-
	elif [ ! -s "$base.postgres" ] || grep -q '^broken' "$base.postgres"; then
		verdict[$1 $2]=BROKEN
		failures=$((failures + 1))
		echo "$1 $2: broken against PostgreSQL itself:"
		sed 's/^/    /' "$base.postgres" "$base.postgres.err"
	elif [ ! -s "$base.diff" ]; then
		verdict[$1 $2]=same
	elif listed "$1" "$2" "$base.diff"; then
		verdict[$1 $2]=listed
	else
		verdict[$1 $2]=DIFFERENT
		failures=$((failures + 1))
		echo "$1 $2: different:"
		changed_lines "$base.diff" | cut -c 1-300 | head -n "${DIFF_LINES:-12}" | sed 's/^/    /'
	fi
}

report_missing() {
	missing[$1]=${2:-it could not be installed}
	failures=$((failures + 1))
	echo "$1: missing on this machine: $2"
}

# report_table: exit code 1 unless everything is as PostgreSQL has it.
report_table() {
	local client case
	printf '\n%-14s' ''
	printf ' %-9.9s' "${cases[@]}"
	echo
	for client in "${clients[@]}"; do
		printf '%-14s' "$client"
		if [ -v "missing[$client]" ]; then
			printf ' missing: %s\n' "${missing[$client]}"
			continue
		fi
		for case in "${cases[@]}"; do printf ' %-9.9s' "${verdict[$client $case]}"; done
		printf ' %s\n' "$(cat "$work/build/$client.version")"
	done
	if ! kill -0 "$noise_pid" 2>/dev/null; then
		failures=$((failures + 1))
		echo "the noise saw what was not its own: $(cat "$work/noise.log")"
	fi
	if as_server grep -A 1 'terminated by signal' "$work/pg/log"; then
		failures=$((failures + 1))
		echo "PostgreSQL crashed, see above"
	fi
	[ "$failures" -eq 0 ]
}
