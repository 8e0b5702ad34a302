package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestConnStringsAreSplitAsPgBouncerDoes(t *testing.T) {
	for text, want := range map[string][]connPair{
		"":                                {},
		"   ":                             {},
		"host=h":                          {{"host", "h"}},
		" host = h  port =5 ":             {{"host", "h"}, {"port", "5"}},
		"q='it''s a  b' x=1":              {{"q", "it's a  b"}, {"x", "1"}},
		"q=''''":                          {{"q", "'"}},
		"host=it's":                       {{"host", "it's"}},
		"host=x\tport=5":                  {{"host", "x\tport=5"}}, // only blanks are between pairs
		"host= port=3":                    {{"host", "port=3"}},
		"host=2001:db8::1,10.0.0.1 a=b=c": {{"host", "2001:db8::1,10.0.0.1"}, {"a", "b=c"}},
	} {
		got, err := parseConnString(text)
		if err != nil || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"host", "host=", "=x", "a b=c", "a='x", "a='x'b", "a=''", "a=1 'b'"} {
		if got, err := parseConnString(text); err == nil {
			t.Errorf("%q: %q and no error", text, got)
		}
	}
}

func TestLinesAreReadAsPgBouncerDoes(t *testing.T) {
	text := "\r\n  [pgbouncer]  pool_mode=session\r\n\t# a comment\n ; another\nlisten_addr = a ; no comment\r\n" +
		"[users]\nu-1.x =\n[databases] * = host=h\n\"my \"\"db\" = dbname=x\n[pgbouncer]\nverbose = 1\nverbose=2"
	b := readBouncerFiles("p.ini", fakeFiles(text))
	if len(b.mistakes) > 0 {
		t.Fatal(b.mistakes)
	}
	if len(b.settings) != 1 || b.settings["verbose"] != (iniEntry{"p.ini", 12, "verbose", "2"}) {
		t.Errorf("settings %v", b.settings)
	}
	if want := []iniEntry{{"p.ini", 8, "*", "host=h"}, {"p.ini", 9, `my "db`, "dbname=x"}}; !reflect.DeepEqual(b.databases, want) {
		t.Errorf("databases %v, want %v", b.databases, want)
	}
	if want := []iniEntry{{"p.ini", 7, "u-1.x", ""}}; !reflect.DeepEqual(b.users, want) {
		t.Errorf("users %v", b.users)
	}
	said := strings.Join(b.remarks, "\n")
	for _, want := range []string{"p.ini:5: listen_addr is forgotten", "p.ini:2: pool_mode is forgotten", "p.ini:11: verbose is given again at p.ini:12"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

func TestUsersOfAListAreCut(t *testing.T) {
	for line, want := range map[string][2]string{
		`"a" "b"`:            {"a", "b"},
		`"a""b"`:             {},
		`"a"	"b" "c" d`:      {"a", "b"},
		`"a ""x""" "p""w" x`: {`a "x"`, `p"w`},
		`"a" ""`:             {"a", ""},
		`a "b"`:              {},
		`"a"`:                {},
		`"a" "b`:             {},
		`"" "b"`:             {},
	} {
		name, secret, ok := cutUser(line)
		if ok != (want[0] != "") || ok && [2]string{name, secret} != want {
			t.Errorf("%s: %q %q %v", line, name, secret, ok)
		}
	}
}

func TestTOMLStringsComeBack(t *testing.T) {
	for _, text := range []string{"", "plain", `a"b\c`, "tab\tnewline\nbell\a\x7f", "ü €", "#"} {
		c, err := parseConfig("x", ".", "[server]\nlisten_keep = ["+tomlString(text)+"]\n"+good)
		if err != nil || len(c.Server.ListenKeep) != 1 || c.Server.ListenKeep[0] != text {
			t.Errorf("%q: %s: %v, %v", text, tomlString(text), err, c)
		}
	}
}

// FuzzImportPgbouncer: whatever the files say, either there are mistakes or what
// is printed is a howdah.toml, and no password is in either.
func FuzzImportPgbouncer(f *testing.F) {
	const password = "hunter2hunter2"
	samples, _ := filepath.Glob(filepath.Join(importSamples, "*.ini"))
	for _, path := range samples {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), `"acme" "x"`, "local all all peer")
	}
	f.Add("[databases]\n\"a\nb\" = host=\x00\n[pgbouncer]\nauth_file=u\n", "\"a\x01\" \"b\"\n", "")
	f.Fuzz(func(t *testing.T, ini, list, hba string) {
		if strings.Contains(ini, "scram_iterations") {
			return // hashing alone would take the time
		}
		ini = strings.ReplaceAll(ini, "%include", "%include inc\n%include")
		read := func(path string) ([]byte, error) {
			switch {
			case path == "p.ini":
				return []byte(ini), nil
			case strings.HasSuffix(path, ".userlist"), path == "u":
				return []byte(list + "\n\"fuzz\" \"" + password + "\"\n"), nil
			case strings.HasSuffix(path, ".conf"), strings.HasSuffix(path, ".ident"):
				return []byte(hba + "\nhost all all all ldap ldapbindpasswd=" + password), nil
			}
			return []byte("min_pool_size = 2\n[databases]\nx = password=" + password + " user=x\n"), nil
		}
		text, err := importPgbouncer("p.ini", read, fixedSalt)
		if strings.Contains(text, password) || err != nil && strings.Contains(err.Error(), password) {
			t.Fatalf("a password is repeated: %v\n%s", err, text)
		}
		var mistakes *ConfigError
		if err != nil {
			if !errors.As(err, &mistakes) || len(mistakes.Mistakes) == 0 {
				t.Fatalf("not a list of mistakes: %v", err)
			}
			return
		}
		_, err = parseConfig("printed", ".", text)
		if errors.As(err, &mistakes) {
			for _, m := range mistakes.Mistakes {
				if !ofThisMachine(m) {
					t.Errorf("%v\n%s", m, text)
				}
			}
		}
	})
}

// ofThisMachine reports whether a mistake is about files and folders that are
// here or not.
func ofThisMachine(m Mistake) bool {
	for _, word := range []string{"tls_cert_file", "tls_key_file", "tls_ca_file", "without a certificate", "unix_socket_dir", "the socket's path", "hba_file", "hba_ident_file"} {
		if strings.Contains(m.Problem, word) {
			return true
		}
	}
	return false
}
