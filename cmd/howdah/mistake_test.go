package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// good is added behind each bad text, so that only the text is wrong. Its lines
// come last and do not shift those of the text.
const good = `
[[cluster]]
name = "main"
members = ["127.0.0.1:5432"]
[[tenant]]
name = "acme"
[[user]]
name = "acme"
verifier = "` + scramVerifier + `"
`

func TestEveryMistakeIsSaidWithItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // each "LINE: words that the mistake has", in order
	}{
		"unknown section":           {"[listne]\n", []string{`1: unknown section "listne"; write [listen]`}},
		"section unlike any":        {"\n[frobnicate]\n", []string{`2: unknown section "frobnicate"; remove it; the sections are [listen]`}},
		"setting at the top":        {"pool_size = 1\n", []string{`1: outside any section; write "pool_size" under [defaults], [[tier]] or [[tenant]]`}},
		"nonsense at the top":       {"frobnicate = 1\n", []string{`1: unknown setting outside any section "frobnicate"; remove it`}},
		"section as a value":        {"listen = 3\n", []string{`1: listen is not a table; write [listen]`}},
		"table for a list":          {"[tier]\nname = \"x\"\n", []string{`1: tier is not a list of tables; write [[tier]]`}},
		"list for a table":          {"[[listen]]\n", []string{`1: listen is not a table; write [listen]`}},
		"list of no tables":         {"tier = [1]\n", []string{`1: tier is not a list of tables; write [[tier]]`}},
		"unknown key":               {"[server]\nlogg_level = \"info\"\n", []string{`2: unknown setting "logg_level" in [server]; write "log_level"`}},
		"unknown key unlike any":    {"[server]\nfrobnicate = 1\n", []string{"2: unknown setting \"frobnicate\" in [server]; remove it; `howdah help settings` lists all"}},
		"key of another section":    {"[server]\nserver_lifetime = 1\n", []string{`2: server_lifetime does not belong in [server]; write it under [defaults], [[tier]] or [[tenant]]`}},
		"key like another's":        {"[listen]\npoolsize = 1\n", []string{`2: unknown setting "poolsize" in [listen]; write "pool_size" under [defaults]`}},
		"PgBouncer's word":          {"[defaults]\ndefault_pool_size = 1\n", []string{`2: unknown setting "default_pool_size" in [defaults]; write "pool_size"`}},
		"PgBouncer's word elsewher": {"[server]\nlisten_addr = 1\n", []string{`2: write "addresses" under [listen]`}},
		"limit of a tier":           {"[[tier]]\nname = \"g\"\npool_siez = 1\n", []string{`3: unknown setting "pool_siez" in [[tier]]; write "pool_size"`}},

		"text for a number":     {"[defaults]\npool_size = \"20\"\n", []string{`2: pool_size is "20"; write a whole number, 1 or more`}},
		"fraction for a number": {"[defaults]\npool_size = 1.5\n", []string{`2: pool_size is 1.5; write a whole number`}},
		"too small":             {"[defaults]\npool_size = 0\n", []string{`2: pool_size is 0; write a whole number, 1 or more`}},
		"negative":              {"[defaults]\nmin_pool_size = -1\n", []string{`2: min_pool_size is -1; write a whole number, 0 or more`}},
		"too large":             {"[server]\nloops = 5000\n", []string{`2: loops is 5000; write a whole number from 0 to 1024`}},
		"number for a text":     {"[admin]\nhttp = 8432\n", []string{`2: http is 8432; write a string such as "127.0.0.1:8432"`}},
		"number for a choice":   {"[defaults]\npool_mode = 1\n", []string{`2: pool_mode is 1; write "transaction", "session" or "statement"`}},
		"a rule that writes":    {"[defaults]\nstandby_statements = [\"select 1\", \"select nextval('x')\"]\n", []string{`2: standby_statements: "select nextval('x')" writes, locks, or means something else at a standby; write a statement that only reads`}},
		"a rule of no query":    {"[defaults]\nstandby_statements = [\"delete from x\"]\n", []string{`2: standby_statements: "delete from x" is no SELECT`}},
		"no such choice":        {"[defaults]\nread_split = \"on\"\n", []string{`2: read_split is "on"; write "declared", "auto" or "off"`}},
		"no such level":         {"[server]\nlog_level = \"loud\"\n", []string{`2: log_level is "loud"; write "debug", "info", "warn" or "error"`}},
		"text for a list":       {"[listen]\naddresses = \"127.0.0.1:1\"\n", []string{`2: addresses is "127.0.0.1:1"; write a list of strings such as ["127.0.0.1:6432"]`}},
		"numbers in a list":     {"[admin]\nusers = [1]\n", []string{`2: write a list of strings`}},
		"text for yes or no":    {"[server]\ntcp_keepalive = \"yes\"\n", []string{`2: tcp_keepalive is "yes"; write true or false`}},
		"table for a value":     {"[server.loops]\nx = 1\n", []string{`1: loops is a table; write a whole number`}},
		"duration, no unit":     {"[defaults]\nquery_timeout = \"30\"\n", []string{`2: query_timeout is "30"; write a duration such as "90s"`}},
		"duration, negative":    {"[defaults]\nquery_timeout = -1\n", []string{`2: query_timeout is -1; write a duration`}},
		"duration, endless":     {"[defaults]\nquery_timeout = 1e300\nserver_lifetime = inf\nserver_idle_timeout = nan\n", []string{"2: query_timeout", "3: server_lifetime", "4: server_idle_timeout"}},
		"size, unit":            {"[server]\nmax_packet_size = \"1TB\"\n", []string{`2: max_packet_size is "1TB"; write a size such as "64MB"`}},
		"size, too large":       {"[server]\nmax_packet_size = \"4GB\"\n", []string{`2: from 1024 to 2147483647`}},
		"mode, decimal":         {"[listen]\nunix_socket_mode = 777\n", []string{`2: unix_socket_mode is 777; write permissions in octal such as "0770"`}},
		"mode, text":            {"[listen]\nunix_socket_mode = \"rwx\"\n", []string{`2: write permissions in octal`}},
		"mode, negative":        {"[listen]\nunix_socket_mode = -1\n", []string{`2: write permissions in octal`}},

		"address without port":  {"[listen]\naddresses = [\"localhost\"]\n", []string{`2: address "localhost" is not host:port`}},
		"address with a star":   {"[listen]\naddresses = [\"*:6432\"]\n", []string{`2: address "*:6432" has no valid host; write host:port such as "127.0.0.1:6432" or "0.0.0.0:6432"`}},
		"address with no port":  {"[listen]\naddresses = [\"127.0.0.1:99999\"]\n", []string{`2: has no valid port`}},
		"address twice":         {"[listen]\naddresses = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", []string{`2: address "127.0.0.1:1" is there twice`}},
		"nowhere to listen":     {"[listen]\naddresses = []\nunix_socket_dir = \"\"\n", []string{`2: neither an address nor a Unix socket`}},
		"HTTP where clients go": {"[admin]\nhttp = \"127.0.0.1:6432\"\n", []string{`2: address "127.0.0.1:6432" is also in [listen]`}},
		"HTTP nowhere":          {"[admin]\nhttp = \"8432\"\n", []string{`2: address "8432" is not host:port`}},
		"trust for the world":   {"[listen]\naddresses = [\"127.0.0.1:1\", \"0.0.0.0:1\"]\nauth_type = \"trust\"\n", []string{`3: auth_type "trust" would let everyone in who reaches "0.0.0.0:1"`}},
		"trust on all":          {"[listen]\nauth_type = \"trust\"\naddresses = [\":1\"]\n", []string{`2: who reaches ":1"`}},
		"socket folder":         {"[listen]\nunix_socket_dir = \"none\"\n", []string{`2: no such file or directory; make the folder`}},
		"socket folder a file":  {"[listen]\nunix_socket_dir = \"howdah.toml\"\n", []string{`2: is no folder`}},

		"TLS, no certificate":    {"[listen]\ntls_mode = \"require\"\n", []string{`2: tls_mode "require" without a certificate`}},
		"TLS, no key":            {"[listen]\ntls_cert_file = \"howdah.toml\"\n", []string{`2: tls_cert_file without tls_key_file`}},
		"TLS, no file":           {"[listen]\ntls_cert_file = \"none\"\ntls_key_file = \"none\"\n", []string{`2: tls_cert_file "`, `3: tls_key_file "`}},
		"TLS, a folder":          {"[listen]\ntls_ca_file = \".\"\n", []string{`2: is a folder`}},
		"TLS, no PEM":            {"[listen]\ntls_cert_file = \"howdah.toml\"\ntls_key_file = \"howdah.toml\"\n", []string{`2: tls_cert_file and tls_key_file: `}},
		"TLS, only key":          {"[listen]\ntls_key_file = \"howdah.toml\"\n", []string{`2: tls_key_file without tls_cert_file`}},
		"TLS, no authorities":    {"[listen]\ntls_ca_file = \"howdah.toml\"\n", []string{`2: holds no certificate; write the path of a PEM file`}},
		"certificates, no TLS":   {"[listen]\nauth_type = \"cert\"\n", []string{`2: auth_type "cert" needs TLS`}},
		"authorities of cluster": {"[[cluster]]\nname = \"c\"\nmembers = [\"a:1\"]\ntls_ca_file = \"none\"\n[[tenant]]\nname = \"b\"\nuser = \"acme\"\ncluster = \"c\"\n", []string{`4: tls_ca_file "`, `13: tenant "acme" has no cluster`}},

		"min above size":         {"[defaults]\nmin_pool_size = 30\n", []string{`2: [defaults]: min_pool_size 30 is above pool_size 20; write min_pool_size = 20 or less`}},
		"min above tenant's":     {"[defaults]\nmin_pool_size = 3\nmax_db_connections = 2\n", []string{`3: [defaults]: min_pool_size 3 is above max_db_connections 2; write min_pool_size = 2 or less, or a larger max_db_connections`}},
		"min above user's":       {"[[tier]]\nname = \"g\"\nmin_pool_size = 3\nmax_user_connections = 2\n", []string{`4: tier "g": min_pool_size 3 is above max_user_connections 2`}},
		"min above size in tier": {"[[tier]]\nname = \"g\"\npool_size = 1\nmin_pool_size = 2\n", []string{`4: tier "g": min_pool_size 2 is above pool_size 1`}},
		"min of tier above own":  {"[[tier]]\nname = \"g\"\nmin_pool_size = 9\n[[tenant]]\nname = \"t\"\nuser = \"acme\"\ntier = \"g\"\npool_size = 3\n", []string{`8: tenant "t": min_pool_size 9 is above pool_size 3`}},
		"more loops than there":  {"[server]\nloops = 2\n[[tier]]\nname = \"g\"\nloops = 3\n", []string{`5: tier "g": loops 3 is above the 2 that [server] has`}},

		"tier without name":    {"[[tier]]\n", []string{`1: [[tier]] has no name; write name = "…"`}},
		"tier twice":           {"[[tier]]\nname = \"g\"\n[[tier]]\nname = \"g\"\n", []string{`4: tier "g" is already on line 2`}},
		"user twice":           {"[[user]]\nname = \"acme\"\nverifier = \"" + md5Verifier + "\"\n[listen]\nauth_type = \"md5\"\n", []string{`13: user "acme" is already on line 2`}},
		"tenant twice":         {"[[tenant]]\nname = \"acme\"\n", []string{`8: tenant "acme" is already on line 2`}},
		"no such tier":         {"[[tenant]]\nname = \"t\"\nuser = \"acme\"\ntier = \"gold\"\n", []string{`4: there is no [[tier]] "gold"; write [[tier]] with name = "gold"`}},
		"no such cluster":      {"[[tenant]]\nname = \"t\"\nuser = \"acme\"\ncluster = \"mian\"\n", []string{`4: there is no [[cluster]] "mian"; write "main"`}},
		"no such user":         {"[[tenant]]\nname = \"t\"\n", []string{`1: user "t" of tenant "t" is no [[user]]; write [[user]] with name = "t"`}},
		"name of the console":  {"[[tenant]]\nname = \"pgbouncer\"\nuser = \"acme\"\n", []string{`2: tenant "pgbouncer" has the name of the console`}},
		"name too long":        {"[[tier]]\nname = \"" + strings.Repeat("x", 64) + "\"\n", []string{`2: is over 63 bytes`}},
		"name of a wrong type": {"[[tier]]\nname = 5\n", []string{`2: name is 5; write a string`}},
		"empty names":          {"[[tenant]]\nname = \"t\"\ncluster = \"\"\ndatabase = \"\"\nuser = \"\"\n", []string{`3: cluster of tenant "t" is empty`, `4: database of`, `5: user of`}},
		"fallback's database":  {"[[tenant]]\nname = \"*\"\ndatabase = \"x\"\nuser = \"y\"\n", []string{`3: tenant "*" has no database of its own`, `4: tenant "*" has no user of its own`}},

		"cluster without members": {"[[cluster]]\nname = \"c\"\n[[tenant]]\nname = \"t\"\nuser = \"acme\"\n", []string{`1: cluster "c" has no members`, `3: tenant "t" has no cluster`, `10: tenant "acme" has no cluster`}},
		"bad members":             {"[[cluster]]\nname = \"main\"\nmembers = [\"db\", \":1\", \"/run\", \"a:1\", \"a:1\", \"b:0\"]\n", []string{`3: member "db" is not host:port; write host:port`, `3: member ":1" has no host`, `3: member "/run" is no PostgreSQL socket; write its path such as "/run/.s.PGSQL.5432"`, `3: member "a:1" is there twice`, `3: member "b:0" has no valid port`, `6: cluster "main" is already on line 2`}},
		"members of a wrong type": {"[[cluster]]\nname = \"c\"\nmembers = \"a:1\"\n[[tenant]]\nname = \"*\"\ncluster = \"c\"\n", []string{`3: members is "a:1"; write a list of strings such as ["127.0.0.1:5432"]`, `11: tenant "acme" has no cluster`}},

		"stats user nobody": {"[admin]\nusers = [\"boss\"]\nstats_users = [\"acme\", \"eye\"]\n", []string{`2: users names "boss", but there is no such [[user]]`, `3: stats_users names "eye"`}},
		"no verifier":       {"[[user]]\nname = \"bob\"\n", []string{`1: user "bob" has no verifier; copy it from PostgreSQL: SELECT rolpassword FROM pg_authid WHERE rolname = 'bob'`}},
		"password":          {"[[user]]\nname = \"bob\"\nverifier = \"hunter2\"\n", []string{`3: the verifier of user "bob" is none, and a password must never stand here`}},
		"verifier's type":   {"[[user]]\nname = \"bob\"\nverifier = 123123123\n", []string{`3: verifier is no string; write a string`}},
		"broken verifier":   {"[[user]]\nname = \"bob\"\nverifier = \"SCRAM-SHA-256$4096:x$y:z\"\n", []string{`3: the verifier of user "bob" is none`}},
		"md5 under scram":   {"[[user]]\nname = \"bob\"\nverifier = \"" + md5Verifier + "\"\n", []string{`3: user "bob" has an md5 verifier and cannot log in by auth_type "scram-sha-256"; write auth_type = "md5"`}},

		"many at once, by line": {"[defaults]\npool_size = 0\nweight = 0\n[listen]\nauth_type = \"x\"\n", []string{"2: pool_size", "3: weight", "5: auth_type"}},
		"not TOML":              {"[listen]\naddresses = [\n", []string{`: not TOML: `}},
		"key twice":             {"[server]\nloops = 1\nloops = 2\n", []string{`3: not TOML: `}},
	} {
		t.Run(name, func(t *testing.T) {
			checkMistakes(t, c.text+good, c.want)
		})
	}
}

func TestAFileWithNothingInItSaysWhatToWrite(t *testing.T) {
	checkMistakes(t, "", []string{`1: there is no [[cluster]]; write [[cluster]] with name = "main"`})
}

func TestBudgetBelowItsTenantsMinimum(t *testing.T) {
	checkMistakes(t, `[[cluster]]
name = "main"
members = ["127.0.0.1:5432"]
budget = 5
[[tenant]]
name = "a"
user = "u"
min_pool_size = 3
[[tenant]]
name = "b"
user = "u"
min_pool_size = 3
[[user]]
name = "u"
verifier = "`+scramVerifier+`"
`, []string{`4: cluster "main" has a budget of 5, but its tenants' min_pool_size add up to 6`})
}

// checkMistakes loads the text and compares its mistakes, none more or less.
func checkMistakes(t *testing.T, text string, want []string) {
	t.Helper()
	path := writeFile(t, "howdah.toml", text)
	_, err := LoadConfig(path)
	var config *ConfigError
	if !errors.As(err, &config) {
		t.Fatalf("error %T: %v", err, err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d mistakes, want %d:\n%v", len(lines), len(want), err)
	}
	for i := range min(len(lines), len(want)) {
		line, words, _ := strings.Cut(want[i], ": ")
		if line != "" {
			line += ":"
		}
		if !strings.HasPrefix(lines[i], path+":"+line) || !strings.Contains(lines[i], words) {
			t.Errorf("mistake %d\n%s\nwant\n%s", i, strings.TrimPrefix(lines[i], filepath.Dir(path)), want[i])
		}
	}
	for _, secret := range []string{"hunter2", "123123123"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a message repeats a secret: %v", err)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	if err := os.Mkdir(filepath.Join(t.TempDir(), "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(t.TempDir())
	var config *ConfigError
	if !errors.As(err, &config) {
		t.Fatalf("reading a folder: %T %v", err, err)
	}
}

func TestNotesAreNoMistakes(t *testing.T) {
	c := mustLoad(t, "[admin]\nhttp = \"0.0.0.0:8432\"\n"+good)
	if len(c.Notes) != 1 || c.Notes[0].Line != 2 {
		t.Errorf("notes %v", c.Notes)
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"mian", "main", 2}, {"same", "same", 0}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	if got := fmt.Sprint(nearest("x", []string{"pool_size"}), nearest("", nil)); got != "" {
		t.Errorf("something is like nothing: %q", got)
	}
}
