package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestScanKeysFindsLines(t *testing.T) {
	const text = `# a comment = 1
top = 1

[listen] # tls = 1
addresses = [
  "a # b", # [server]
  'c = ]',
]
"quoted key" = 1
'it''s' = 2
"tab\tkey" = 3
a . b."c d" = 4
long = """
[[tenant]]
name = "no" \"""
"""""
raw = '''
x = '' 1
'''
after = { x = 1, y = [1, "}"] }
  [ sub . table ]  
  k=1
[[tenant]]
name = "acme"
[tenant.own]
k = 1
[[tenant]]
	name	=	"globex"
[[tenant.list]]
k = 1
[[tenant.list]]
k = 2
`
	found := scanKeys(text)
	for _, c := range []struct {
		line int
		path []string
	}{
		{2, []string{"top"}},
		{4, []string{"listen"}},
		{5, []string{"listen", "addresses"}},
		{9, []string{"listen", "quoted key"}},
		{11, []string{"listen", "tab\tkey"}},
		{12, []string{"listen", "a"}},
		{12, []string{"listen", "a", "b", "c d"}},
		{13, []string{"listen", "long"}},
		{17, []string{"listen", "raw"}},
		{20, []string{"listen", "after"}},
		{20, []string{"listen", "after", "x"}}, // by the key around it
		{21, []string{"sub"}},
		{22, []string{"sub", "table", "k"}},
		{23, []string{"tenant"}},
		{24, []string{"tenant", element(0), "name"}},
		{25, []string{"tenant", element(0), "own"}},
		{26, []string{"tenant", element(0), "own", "k"}},
		{27, []string{"tenant", element(1)}},
		{28, []string{"tenant", element(1), "name"}},
		{30, []string{"tenant", element(1), "list", element(0), "k"}},
		{32, []string{"tenant", element(1), "list", element(1), "k"}},
		{27, []string{"tenant", element(1), "missing"}},
		{1, []string{"missing"}},
	} {
		if got := found.line(c.path...); got != c.line {
			t.Errorf("%q: line %d, want %d", c.path, got, c.line)
		}
	}
	for _, never := range []string{"a comment", "x", "tls", keyPath("listen", "k"), keyPath("server")} {
		if line, ok := found[never]; ok {
			t.Errorf("found %q on line %d, where it is no key", never, line)
		}
	}
}

func TestScanKeysEndsOnBrokenText(t *testing.T) {
	for _, text := range []string{
		"", "[", "[[", "[a", "[[a]", "]", "=", "a", "a=", "a=[", "a={", `a="`, `a="""`, `a='''x`, `"`, `"a`, `a."`, `a.=1`,
		"a=\"\\", "a=\"\"\"\\", "\x00", "\xff=1", "a=[\n#", "[a]b=1\nc=2", "\r\n=\r\n",
	} {
		scanKeys(text) // must return
	}
	if n := len(scanKeys(strings.Repeat("a.", 1_000_000) + "b = 1")); n > 10 {
		t.Errorf("a key of a million dots made %d entries", n)
	}
	if line := scanKeys("a = \"open\nb = 1\n").line("b"); line != 2 {
		t.Errorf("after a string that is not closed, b is on line %d, want 2", line)
	}
}

// FuzzScanKeys: the scanner returns on any text; and of a text the decoder
// takes it knows every top-level key, on a line that holds the key.
func FuzzScanKeys(f *testing.F) {
	for _, text := range []string{
		"a = 1\n[b]\nc = \"x\"\n[[d]]\ne = '''\nf\n'''\n[[d]]\n",
		"a = [ # x\n 1, ]\nb = {c = \"}\"}\n", "x = \"\"\"\\\"\"\"\"\"\"\ny = 1", "a.b = 1\r\n'c' = 2\r\n", "[a.b]\n[a.c]\n[d]",
		"a = '''''''\nb = 1", "a = \"\"\"\n\\\n  x\"\"\"\nb = 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := scanKeys(text)
		lines := strings.Split(text, "\n")
		for path, line := range found {
			if line < 1 || line > len(lines) {
				t.Fatalf("%q is on line %d of %d", path, line, len(lines))
			}
		}
		var file map[string]any
		if _, err := toml.Decode(text, &file); err != nil {
			return
		}
		for key := range file {
			if strings.ContainsFunc(key, func(c rune) bool { return c > 0x7e || !isBare(byte(c)) }) || key == "" {
				continue // may be written with escapes
			}
			line, ok := found[key]
			if !ok {
				t.Fatalf("key %q was not found", key)
			}
			if !strings.Contains(lines[line-1], key) && !strings.Contains(lines[line-1], `\u`) && !strings.Contains(lines[line-1], `\U`) && !strings.Contains(lines[line-1], `\x`) {
				t.Fatalf("key %q is said to be on line %d, which is %q", key, line, lines[line-1])
			}
		}
	})
}

// writeFile writes a file into a folder of the test's own and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
