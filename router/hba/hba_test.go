package hba_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"howdah/router/hba"
)

// files serves the files of names that a test's rules refer to.
func files(all map[string]string) func(string) (string, error) {
	return func(path string) (string, error) {
		text, ok := all[path]
		if !ok {
			return "", errors.New("no such file")
		}
		return text, nil
	}
}

func parse(t *testing.T, text string) *hba.Rules {
	t.Helper()
	rules, mistakes := hba.Parse("/etc/hba", text, files(map[string]string{
		"/etc/staff":       "ann\nbob, \"c d\" # the two\n@more\n",
		"/etc/more":        "eve\n",
		"/etc/nobody":      "# empty\n",
		"/elsewhere/names": "zoe",
	}))
	if len(mistakes) > 0 {
		t.Fatalf("%q: %v", text, mistakes)
	}
	return rules
}

// client reads "tcp|tls|unix ADDRESS DATABASE USER" of a test.
func client(t *testing.T, text string) *hba.Connection {
	t.Helper()
	f := strings.SplitN(text, " ", 4)
	c := &hba.Connection{Local: f[0] == "unix", TLS: f[0] == "tls", Database: f[2], User: f[3]}
	if !c.Local {
		c.Address = netip.MustParseAddr(f[1])
	}
	c.Replication = f[2] == "(replication)"
	return c
}

func TestMatchTakesTheFirstRuleThatFits(t *testing.T) {
	for _, test := range []struct {
		rules, client, want string // want is the line and method, "" for none
	}{
		{"local all all peer", "unix - db ann", "1 peer"},
		{"local all all peer", "tcp 127.0.0.1 db ann", ""},
		{"host all all 127.0.0.1/32 md5", "unix - db ann", ""},
		{"host all all 127.0.0.1/32 md5", "tcp 127.0.0.1 db ann", "1 md5"},
		{"host all all 127.0.0.1/32 md5", "tls 127.0.0.1 db ann", "1 md5"},
		{"host all all 127.0.0.1/32 md5", "tcp 127.0.0.2 db ann", ""},
		{"hostssl all all all cert", "tcp 1.2.3.4 db ann", ""},
		{"hostssl all all all cert", "tls 1.2.3.4 db ann", "1 cert"},
		{"hostnossl all all all md5", "tls 1.2.3.4 db ann", ""},
		{"hostnossl all all all md5", "tcp 1.2.3.4 db ann", "1 md5"},
		{"hostnogssenc all all all md5", "tls 1.2.3.4 db ann", "1 md5"},
		{"host all all 10.0.0.0 255.0.0.0 trust", "tcp 10.9.8.7 db ann", "1 trust"},
		{"host all all 10.0.0.0 255.0.0.0 trust", "tcp 11.9.8.7 db ann", ""},
		{"host all all 10.1.2.3/8 trust", "tcp 10.9.8.7 db ann", "1 trust"},
		{"host all all 0.0.0.0/0 trust", "tcp 10.9.8.7 db ann", "1 trust"},
		{"host all all 0.0.0.0/0 trust", "tcp ::1 db ann", ""},
		{"host all all ::1/128 trust", "tcp ::1 db ann", "1 trust"},
		{"host all all fd00:: ff00:: trust", "tcp fd12::1%eth0 db ann", "1 trust"},
		{"host all all 127.0.0.0/8 trust", "tcp ::ffff:127.0.0.1 db ann", "1 trust"},
		{"host all all all md5", "tcp ::1 db ann", "1 md5"},
		{"host a,b all all md5", "tcp ::1 b ann", "1 md5"},
		{"host a, b all all md5", "tcp ::1 b ann", "1 md5"},
		{"host a,b all all md5", "tcp ::1 c ann", ""},
		{"host a ann all reject\nhost all all all md5", "tcp ::1 a ann", "1 reject"},
		{"host a ann all reject\nhost all all all md5", "tcp ::1 a bob", "2 md5"},
		{"host sameuser all all md5", "tcp ::1 ann ann", "1 md5"},
		{"host sameuser all all md5", "tcp ::1 ann bob", ""},
		{"host sameuser,x all all md5", "tcp ::1 x bob", "1 md5"},
		{"host all all all md5", "tcp ::1 (replication) ann", ""},
		{"host replication all all md5", "tcp ::1 (replication) ann", "1 md5"},
		{"host replication all all md5", "tcp ::1 replication ann", ""},
		{`host "replication" all all md5`, "tcp ::1 replication ann", "1 md5"},
		{`host "all" all all md5`, "tcp ::1 db ann", ""},
		{`host "all" "all" all md5`, "tcp ::1 all all", "1 md5"},
		{`host all "a ""b"", #c" all md5`, `tcp ::1 db a "b", #c`, "1 md5"},
		{`host all "+staff","@staff" all md5`, "tcp ::1 db @staff", "1 md5"},
		{"host all @staff all md5", "tcp ::1 db bob", "1 md5"},
		{"host all @staff all md5", "tcp ::1 db c d", "1 md5"},
		{"host all @staff all md5", "tcp ::1 db eve", "1 md5"},
		{"host all @staff all md5", "tcp ::1 db mallory", ""},
		{"host all zed,@/elsewhere/names all md5", "tcp ::1 db zoe", "1 md5"},
		{"host all @nobody all md5", "tcp ::1 db ann", ""},
		{"host /^t[0-9]+$ all all md5", "tcp ::1 t12 ann", "1 md5"},
		{"host /^t[0-9]+$ all all md5", "tcp ::1 t12x ann", ""},
		{`host all "/^a{1,2}$" all md5`, "tcp ::1 db aa", "1 md5"},
		{"# nothing\n\n  host all all all md5 # all\n", "tcp ::1 db ann", "3 md5"},
		{"host all \\\n all all \\\n md5\r\nlocal all all peer", "tcp ::1 db ann", "1 md5"},
		{"host all \\\n all all \\\n md5\r\nlocal all all peer", "unix - db ann", "4 peer"},
		{"host All all all md5", "tcp ::1 all ann", ""},
		{"host all all all scram-sha-256", "tcp ::1 db ANN", "1 scram-sha-256"},
	} {
		got := ""
		if r := parse(t, test.rules).Match(client(t, test.client)); r != nil {
			got = fmt.Sprint(r.Line, " ", r.Method)
		}
		if got != test.want {
			t.Errorf("%q for %q: %q, want %q", test.rules, test.client, got, test.want)
		}
	}
}

func TestOptions(t *testing.T) {
	rules := parse(t, "hostssl all all all cert map=one\nhostssl all all all md5 clientcert=verify-ca\n"+
		`hostssl all all all scram-sha-256 clientcert=verify-full "map=two words" clientname=CN`+"\nlocal all all peer map=three").All()
	for i, want := range []string{"one 0", " 1", "two words 2", "three 0"} {
		if got := fmt.Sprint(rules[i].Map, " ", rules[i].ClientCert); got != want {
			t.Errorf("rule %d: map and clientcert %q, want %q", i, got, want)
		}
	}
}

func TestParseNamesEveryMistakeWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                              "0 there is no rule",
		"hots all all all md5":                          `1 unknown connection type "hots"`,
		"host,local all all md5":                        "1 unknown connection type",
		"hostgssenc all all all md5":                    "1 hostgssenc",
		"include other":                                 "1 include is not supported",
		"host all all":                                  "1 the line ends too early",
		"local all all":                                 "1 the line ends too early",
		"host all all 10.0.0.0/8":                       "1 the line ends too early",
		"host all all 10.0.0.0/33 md5":                  `1 "10.0.0.0/33" is no network`,
		"host all all ::ffff:10.0.0.0/104 md5":          "1 ",
		"host all all 10.0.0.1 md5":                     "1 address \"10.0.0.1\" has neither",
		"host all all 10.0.0.1 255.0.255.0 md5":         `1 "255.0.255.0" is no mask`,
		"host all all 10.0.0.1 ff00:: md5":              `1 "ff00::" is no mask`,
		"host all all db.example.com md5":               `1 "db.example.com" is no address`,
		"host all all .example.com md5":                 `1 ".example.com" is no address`,
		"host all all samehost md5":                     "1 samehost is not supported",
		"host all all samenet md5":                      "1 samenet is not supported",
		"host all +staff all md5":                       `1 user "+staff"`,
		"host +staff all all md5":                       `1 database "+staff"`,
		"host samerole all all md5":                     "1 samerole",
		"host all all all ldap ldapserver=x":            "1 method ldap is not supported",
		"host all all all scram":                        `1 unknown method "scram"`,
		"host all all all peer":                         "1 peer knows",
		"host all all all cert":                         "1 cert needs TLS",
		"hostnossl all all all password":                "1 password would go",
		"host all all all md5 clientcert=verify-ca":     "1 clientcert needs TLS",
		"hostssl all all all md5 clientcert=1":          `1 clientcert is "1"`,
		"hostssl all all all cert clientcert=verify-ca": "1 cert always",
		"hostssl all all all cert clientname=DN":        `1 clientname is "DN"`,
		"host all all all md5 map=x":                    "1 map is for",
		"hostssl all all all cert map=":                 `1 unknown option "map="`,
		"host all all all md5 verbose":                  `1 "verbose" is no option`,
		"host all all all md5 krb_realm=x":              `1 unknown option "krb_realm="`,
		`host "all all all md5`:                         "1 a quote is not closed",
		"host /( all all md5":                           "1 regular expression",
		"host all @missing all md5":                     `1 names file "/etc/missing"`,
		"host all @loop all md5":                        "1 files name files",
		"# one\nlocal all all peer\nhost x":             "3 the line ends too early",
	} {
		rules, mistakes := hba.Parse("/etc/hba", text, files(map[string]string{"/etc/loop": "@loop"}))
		if rules != nil || len(mistakes) != 1 {
			t.Errorf("%q: rules %v, mistakes %v", text, rules, mistakes)
			continue
		}
		m := mistakes[0]
		if got := fmt.Sprint(m.Line, " ", m.Problem); !strings.HasPrefix(got, want) || m.Remedy == "" || !strings.HasPrefix(m.File, "/etc/") {
			t.Errorf("%q: %v, want %q", text, m, want)
		}
	}
	_, mistakes := hba.Parse("/etc/hba", "host a\nhost b\nlocal all all peer\nhost c all all nix\n", files(nil))
	if len(mistakes) != 3 || mistakes[2].Line != 4 {
		t.Errorf("of three mistakes %v are told", mistakes)
	}
}

func TestReadSaysWhatCannotBeRead(t *testing.T) {
	if _, m := hba.Read("/nonexistent/hba"); len(m) != 1 || !strings.Contains(m[0].Problem, "no such file") {
		t.Errorf("Read: %v", m)
	}
	if _, m := hba.ReadMaps("/nonexistent/ident"); len(m) != 1 || !strings.Contains(m[0].Problem, "no such file") {
		t.Errorf("ReadMaps: %v", m)
	}
}

func TestMaps(t *testing.T) {
	maps, mistakes := hba.ParseMaps("/etc/ident", `
# map  system  user
m  root      postgres
m  root      admin
m  /^(.*)@example\.com$  \1
m  /^ops-    all
m  "dba one" "all"
m  cat       /^animal_
`)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, test := range []struct {
		name, system, user string
		want               bool
	}{
		{"", "ann", "ann", true},
		{"", "ann", "bob", false},
		{"", "", "", false},
		{"m", "root", "postgres", true},
		{"m", "root", "admin", true},
		{"m", "root", "root", false},
		{"m", "ann@example.com", "ann", true},
		{"m", "ann@example.com", "bob", false},
		{"m", "ann@example.org", "ann", false},
		{"m", "all@example.com", "bob", false},
		{"m", "ops-1", "anyone", true},
		{"m", "dba one", "all", true},
		{"m", "dba one", "bob", false},
		{"m", "cat", "animal_9", true},
		{"m", "cat", "cat", false},
		{"n", "ann", "ann", false},
	} {
		if got := maps.Allows(test.name, test.system, test.user); got != test.want {
			t.Errorf("map %q: %q as %q: %v", test.name, test.system, test.user, got)
		}
	}
	var none *hba.Maps
	if none.Allows("m", "ann", "ann") || !none.Allows("", "ann", "ann") {
		t.Error("no maps at all")
	}
	rules := parse(t, "local all all peer map=m\nlocal all all peer map=gone")
	if m := rules.CheckMaps(maps); len(m) != 1 || m[0].Line != 2 || !strings.Contains(m[0].Problem, `"gone"`) {
		t.Errorf("CheckMaps: %v", m)
	}
}

func TestParseMapsNamesMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"m root":        "1 a line of a map has three words",
		"m root a b":    "1 a line of a map has three words",
		"m a,b c":       "1 a line of a map has three words",
		"m root +staff": `1 user "+staff"`,
		`m /x \1`:       `1 user "\\1" needs a group`,
		"m /( x":        "1 regular expression",
		"m x /(":        "1 regular expression",
		"\ninclude x y": "2 include is not supported",
		"m root \"post": "1 a quote is not closed",
	} {
		maps, mistakes := hba.ParseMaps("/etc/ident", text)
		if maps != nil || len(mistakes) != 1 || !strings.HasPrefix(fmt.Sprint(mistakes[0].Line, " ", mistakes[0].Problem), want) {
			t.Errorf("%q: %v, want %q", text, mistakes, want)
		}
	}
}

// FuzzParse has any text be rules, of which each has a method and a line, or
// mistakes, of which each has a line; and rules must be able to judge.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"local all all peer map=x", "host a,b @f 10.0.0.0/8 md5", `hostssl "a ""b" /^x$ ::1/128 cert`,
		"host all all 1.2.3.4 255.255.255.0 trust\\\n", "host all all all md5 clientcert=verify-full # x", "\"", "@", ",,,", "host \\",
	} {
		f.Add(seed)
	}
	open := files(map[string]string{"/etc/f": "x @g \"y", "/etc/g": "a,b c"})
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		rules, mistakes := hba.Parse("/etc/hba", text, open)
		if (rules == nil) == (len(mistakes) == 0) {
			t.Fatalf("rules %v and mistakes %v", rules, mistakes)
		}
		for _, m := range mistakes {
			if m.Problem == "" || m.Remedy == "" || m.File == "/etc/hba" && m.Line > lines {
				t.Fatalf("mistake %+v", m)
			}
		}
		hba.ParseMaps("/etc/ident", text)
		if rules == nil {
			return
		}
		for i, r := range rules.All() {
			if r.Line < 1 || r.Line > lines || r.Method.String() == "" || i > 0 && r.Line <= rules.All()[i-1].Line {
				t.Fatalf("rule %+v", r)
			}
			if r.OverTCP() && (r.Method == hba.Peer || r.Method == hba.Cert && !r.NeedsTLS()) {
				t.Fatalf("rule %+v", r)
			}
		}
		rules.Match(&hba.Connection{Address: netip.MustParseAddr("10.0.0.1"), Database: "a", User: "b"})
		if r := rules.Match(&hba.Connection{Local: true, Database: "a", User: "b"}); r != nil && r.OverTCP() {
			t.Fatalf("a Unix socket got %+v", r)
		}
	})
}
