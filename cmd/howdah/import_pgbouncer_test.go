package main

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "record what import-pgbouncer prints in testdata/import; read the diff")

const importSamples = "../../testdata/import"

// fixedSalt makes verifiers the same in each run.
func fixedSalt() []byte { return []byte("salt of 16 bytes") }

// importSample translates a sample. Folders in what comes out are not of this
// machine.
func importSample(t *testing.T, path string) string {
	t.Helper()
	text, err := importPgbouncer(path, os.ReadFile, fixedSalt)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(text, absolute(importSamples), "/etc/pgbouncer")
}

func TestImportPrintsWhatIsRecorded(t *testing.T) {
	samples, err := filepath.Glob(filepath.Join(importSamples, "*.ini"))
	if err != nil || len(samples) < 4 {
		t.Fatalf("samples %q: %v", samples, err)
	}
	for _, path := range samples {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got := importSample(t, path)
			golden := strings.TrimSuffix(path, ".ini") + ".toml"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s has changed: run with -update and read the diff\n%s", golden, got)
			}
			if strings.Contains(got, "hunter") {
				t.Error("a password is printed")
			}
		})
	}
}

func TestImportedFilePassesCheck(t *testing.T) {
	samples, _ := filepath.Glob(filepath.Join(importSamples, "*.ini"))
	for _, path := range samples {
		t.Run(filepath.Base(path), func(t *testing.T) {
			code, stdout, stderr := runCommand(t, "import-pgbouncer", path)
			if code != 0 || stderr != "" {
				t.Fatalf("exit code %d, %s", code, stderr)
			}
			if code, _, stderr := runCommand(t, "check", "-c", writeFile(t, "howdah.toml", stdout)); code != 0 {
				t.Errorf("check: exit code %d\n%s", code, stderr)
			}
		})
	}
}

// bouncerHead is what most mistakes stand behind: lines 1 to 4.
const bouncerHead = "[databases]\nacme = host=h\n[pgbouncer]\nunix_socket_dir = /tmp\n"

func TestImportSaysEveryMistakeWithItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // parts of the message, in order
	}{
		"unknown setting":         {bouncerHead + "pool_modus = session\n", []string{`p.ini:5: PgBouncer has no setting "pool_modus"; write "pool_mode"`}},
		"letters of another case": {bouncerHead + "Pool_Mode = session\n", []string{`p.ini:5: PgBouncer has no setting "Pool_Mode"`}},
		"unknown section":         {bouncerHead + "[pools]\na = 1\n", []string{`p.ini:5: PgBouncer has no section "pools"; write [pgbouncer]`}},
		"section left open":       {bouncerHead + "[pools\n", []string{"p.ini:5: the section's name has no closing bracket"}},
		"nothing before":          {"a = 1\n", []string{"p.ini:1: a stands in no section"}},
		"no setting":              {bouncerHead + "just words\n", []string{`p.ini:5: "just words" is no name of a setting`}},
		"words for a number":      {bouncerHead + "default_pool_size = many\n", []string{`p.ini:5: default_pool_size is "many": it is no whole number`}},
		"nothing for a number":    {bouncerHead + "default_pool_size =\n", []string{`p.ini:5: default_pool_size is "": it is no whole number`}},
		"Go's numbers":            {bouncerHead + "default_pool_size = 1_0\nmin_pool_size = 0b1\n", []string{"p.ini:5:", "p.ini:6:"}},
		"yes for 1":               {bouncerHead + "tcp_keepalive = yes\n", []string{"p.ini:5: tcp_keepalive"}},
		"unit of a time":          {bouncerHead + "query_timeout = 5s\n", []string{"p.ini:5: query_timeout"}},
		"negative time":           {bouncerHead + "query_timeout = -1\n", []string{"p.ini:5: query_timeout"}},
		"time that is none":       {bouncerHead + "query_timeout = nan\n", []string{"p.ini:5: query_timeout"}},
		"no such mode":            {bouncerHead + "pool_mode = fast\n", []string{`p.ini:5: pool_mode is "fast": it is not "transaction", "session" or "statement"`}},
		"bad value of no use":     {bouncerHead + "pkt_buf = big\n", []string{`p.ini:5: pkt_buf is "big"`}},
		"mode in decimal":         {bouncerHead + "unix_socket_mode = 777\n", []string{"p.ini:5: unix_socket_mode"}},
		"no port":                 {bouncerHead + "listen_port = 70000\n", []string{"p.ini:5: listen_port"}},
		"hole in a list":          {bouncerHead + "listen_addr = a,,b\n", []string{"p.ini:5: listen_addr"}},
		"no such auth_type":       {bouncerHead + "auth_type = magic\n", []string{"p.ini:5: auth_type", `"md5", "scram-sha-256"`}},
		"no such TLS mode":        {bouncerHead + "client_tls_sslmode = on\nserver_tls_sslmode = off\n", []string{"p.ini:5: client_tls_sslmode", "p.ini:6: server_tls_sslmode"}},
		"certificates, no TLS":    {bouncerHead + "auth_type = cert\n", []string{"p.ini:5: auth_type", "verify-full"}},
		"nowhere to listen":       {"[databases]\na = host=h\n[pgbouncer]\nunix_socket_dir =\n", []string{"p.ini:4: there is neither an address nor a Unix socket"}},
		"no database":             {"[pgbouncer]\n", []string{"[databases] has no database"}},
		"console's name":          {"[databases]\npgbouncer = host=h\n", []string{`p.ini:2: the database "pgbouncer" is the console's`}},
		"unknown pair":            {"[databases]\na = host=h pool_sise=3\n", []string{`p.ini:2: PgBouncer knows no "pool_sise" in the line of "a"; write "pool_size"`}},
		"comment behind":          {"[databases]\na = host=h ; the first\n", []string{`p.ini:2: "a": what stands behind "host" is no key=value`}},
		"open quote":              {"[databases]\na = dbname='x\n", []string{`the value of "dbname" has no closing quote`}},
		"text behind a quote":     {"[databases]\na = dbname='x'y=3\n", []string{`no blank behind the quoted value of "dbname"`}},
		"empty value":             {"[databases]\na = dbname=\n", []string{`"dbname" has no value`}},
		"number with a unit":      {"[databases]\na = host=h pool_size=3x\n", []string{"p.ini:2: pool_size=3x of \"a\": it is no whole number"}},
		"many ports":              {"[databases]\na = host=x,y port=1,2\n", []string{"p.ini:2: port=1,2"}},
		"no such host":            {"[databases]\na = host='a b'\n", []string{"p.ini:2: host=a b"}},
		"user's unknown pair":     {bouncerHead + "[users]\nu = pool_siez=3\n", []string{`p.ini:6: PgBouncer knows no "pool_siez"`}},
		"user's bad value":        {bouncerHead + "[users]\nu = query_timeout=soon\n", []string{`p.ini:6: query_timeout=soon of "u"`}},
		"peer without a host":     {bouncerHead + "[peers]\n1 = port=3\nx = host=h\n", []string{`p.ini:6: peer "1" has no host`, `p.ini:7: peer "x" is no number`}},
		"no such include":         {bouncerHead + "%include nothing.ini\n", []string{`p.ini:5: the included file "nothing.ini": `}},
		"include of itself":       {bouncerHead + "%include p.ini\n", []string{`p.ini:5: "p.ini" includes itself; remove this line`}},
		"include in a circle":     {bouncerHead + "%include circle.ini\n", []string{`circle.ini:1: "p.ini" includes itself`}},
		"no directive":            {bouncerHead + "%includes x\n", []string{`p.ini:5: "%includes x" is no directive`}},
		"mistake in an include":   {bouncerHead + "%include bad.ini\n", []string{`bad.ini:2: PgBouncer has no setting "frob"`}},
		"no such auth_file":       {bouncerHead + "auth_file = nobody.txt\n", []string{`p.ini:5: auth_file "nobody.txt": `}},
		"bad auth_file":           {bouncerHead + "auth_file = users.txt\n", []string{"users.txt:2: the line is no user's", "users.txt:3: the line", "users.txt:4: the line", `users.txt:5: the SCRAM verifier of user "scram" is broken`}},
		"no such rules":           {bouncerHead + "auth_type = hba\nauth_hba_file = none.conf\n", []string{`p.ini:6: auth_hba_file "none.conf": `}},
		"Latin-1":                 {"[databases]\n; caf\xe9\n", []string{"p.ini: is no text in UTF-8"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := importPgbouncer("p.ini", fakeFiles(c.text), fixedSalt)
			if exitCode(err) != exitConfiguration {
				t.Fatalf("%v: exit code %d", err, exitCode(err))
			}
			rest := err.Error()
			for _, want := range c.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q in\n%s", want, err)
				}
				rest = after
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("a password is repeated: %v", err)
			}
		})
	}
}

// fakeFiles is a folder in which p.ini has the text.
func fakeFiles(text string) func(string) ([]byte, error) {
	files := map[string]string{
		"p.ini":      text,
		"circle.ini": "%include p.ini\n",
		"bad.ini":    "min_pool_size = 1\nfrob = 3\n",
		"users.txt":  "\"ok\" \"hunter\"\n# \"not\" \"hunter\"\n\"alone\"\nhunter2\n\"scram\" \"SCRAM-SHA-256$hunter\"\n",
	}
	return func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
}

func TestImportCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no file":      {nil, 2, "takes one file, not 0"},
		"two files":    {[]string{"a", "b"}, 2, "takes one file, not 2"},
		"missing file": {[]string{"nothing.ini"}, 3, "nothing.ini: cannot be read: no such file"},
	} {
		code, stdout, stderr := runCommand(t, append([]string{"import-pgbouncer"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("%s: exit code %d, %q, %q", name, code, stderr, stdout)
		}
	}
}

// A certificate on another machine: the file is printed, and what check says of
// it is the error.
func TestImportPrintsAndSaysWhatCheckWould(t *testing.T) {
	ini := writeFile(t, "p.ini", bouncerHead+"client_tls_sslmode = require\nclient_tls_cert_file = /nowhere/c.pem\nclient_tls_key_file = /nowhere/k.pem\n")
	code, stdout, stderr := runCommand(t, "import-pgbouncer", ini)
	if code != exitConfiguration || !strings.Contains(stdout, `tls_cert_file = "/nowhere/c.pem"`) || !strings.Contains(stderr, "the file that was printed:") {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

func TestImportLooksBesideTheFileToo(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"p.ini": "%include more.ini\n" + bouncerHead, "more.ini": "[pgbouncer]\nlisten_addr = 127.0.0.1\n[databases]\nglobex = host=h\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := importPgbouncer(filepath.Join(dir, "p.ini"), os.ReadFile, fixedSalt)
	if err != nil || !strings.Contains(text, `name = "globex"`) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestIncludesHaveALimit(t *testing.T) {
	deep := func(path string) ([]byte, error) { return []byte("%include " + path + "x\n"), nil }
	if _, err := importPgbouncer("p.ini", deep, nil); err == nil || !strings.Contains(err.Error(), "more than 10 files deep") {
		t.Errorf("%v", err)
	}
	wide := func(path string) ([]byte, error) {
		if len(path) > 9 {
			return nil, nil
		}
		return []byte(strings.Repeat("%include "+path+"x\n", 10)), nil
	}
	if _, err := importPgbouncer("p.ini", wide, nil); err == nil || strings.Count(err.Error(), "more than 1000 files") != 1 {
		t.Errorf("%v", err)
	}
	var config *ConfigError
	if _, err := importPgbouncer("p.ini", func(string) ([]byte, error) { return nil, fs.ErrPermission }, nil); !errors.As(err, &config) {
		t.Errorf("%v", err)
	}
}
