package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newImportPgbouncerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import-pgbouncer FILE",
		Short: "Print the howdah.toml that does what a pgbouncer.ini says",
		Long: `Read a pgbouncer.ini with all the files that it names (%include, auth_file,
auth_hba_file, auth_ident_file) and print the howdah.toml that does the same.

Nothing is dropped: each setting is translated, with its place in the file behind
it, or stands in a comment with the reason why Howdah has nothing like it and
what to do instead. Read these comments before the first start. No password is
printed: those in plain text become SCRAM verifiers.

A file that PgBouncer would not start with is refused: every mistake is said as
FILE:LINE: what is wrong; what to write instead, and the exit code is 3. So is it
if what was printed does not pass "howdah check" here, such as for a certificate
that is on another machine.

  howdah import-pgbouncer /etc/pgbouncer/pgbouncer.ini > howdah.toml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return usageError{fmt.Errorf("%s takes one file, not %d; see `%s --help`", cmd.CommandPath(), len(args), cmd.CommandPath())}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := importPgbouncer(args[0], os.ReadFile, nil)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
				return err
			}
			_, err = parseConfig("the file that was printed", ".", text)
			return err
		},
	}
}

// importPgbouncer returns the howdah.toml for the pgbouncer.ini at path. salt
// makes the salts of new verifiers; nil is at random.
func importPgbouncer(path string, read func(string) ([]byte, error), salt func() []byte) (string, error) {
	files := readBouncerFiles(path, read)
	t := &bouncerTranslation{bouncerFiles: files, path: path, salt: salt}
	t.find = (&iniReader{bouncerFiles: files, top: path, read: read}).find
	if len(files.mistakes) == 0 {
		t.translate()
	}
	if len(files.mistakes) > 0 {
		return "", &ConfigError{Path: path, Mistakes: sortByFile(files.mistakes)}
	}
	return t.text(), nil
}

// sortByFile orders by line within each file, the files as they came.
func sortByFile(all []Mistake) []Mistake {
	rank := make(map[string]int)
	for _, m := range all {
		if _, ok := rank[m.File]; !ok {
			rank[m.File] = len(rank)
		}
	}
	slices.SortStableFunc(all, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(rank[a.File], rank[b.File]), cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(all)
}

// bouncerTranslation turns what PgBouncer reads into tables of a howdah.toml.
type bouncerTranslation struct {
	*bouncerFiles
	path string
	salt func() []byte
	find func(path string) (found string, text []byte, err error)

	listen, admin, server, defaults tomlTable
	clusters, tenants, users        []tomlTable

	rest   leftOver // what has no equivalent in Howdah: of [pgbouncer] and [peers]
	others []string // the same of [users]

	listed    []listedUser // of auth_file
	plainText int          // verifiers made from passwords
}

func (t *bouncerTranslation) translate() {
	t.listen.in, t.admin.in, t.server.in, t.defaults.in = sectionListen, sectionAdmin, sectionServer, sectionLimits
	t.translateSettings()
	t.translateListen()
	t.translateTLS()
	t.readUserlist()
	t.translateAuth()
	t.translateDatabases()
	t.translateUsers()
	t.translateConsole()
	t.translatePeers()
	t.fitPools()
}

// table returns where a section's settings go.
func (t *bouncerTranslation) table(in section) *tomlTable {
	switch in {
	case sectionListen:
		return &t.listen
	case sectionAdmin:
		return &t.admin
	case sectionServer:
		return &t.server
	}
	return &t.defaults
}

// translateSettings does all of [pgbouncer] that is one value for one.
func (t *bouncerTranslation) translateSettings() {
	for _, s := range bouncerSettings() {
		e, given := t.settings[s.name]
		if s.own || !given && s.initial == "" {
			continue
		}
		row := settingRow(s.in, s.as)
		if row == nil {
			if _, err := parseBouncerValue(s.kind, e.value); err != nil {
				t.badValue(e, err)
			}
			t.without(e, s.why, s.secret)
			continue
		}
		text, from := s.initial, "PgBouncer's default of "+s.name
		if given {
			text, from = e.value, e.at()+": "+s.name
		}
		got, err := translateValue(&s, row, text)
		if err != nil {
			t.badValue(e, err)
			continue
		}
		if got.remark != "" {
			from += " = " + text + ": " + got.remark
		}
		if given || !sameAsDefault(row, got.value) {
			t.table(s.in).add(s.as, got.value, from)
		}
	}
	t.translateOddSettings()
}

// translateOddSettings does those whose values have other words here.
func (t *bouncerTranslation) translateOddSettings() {
	if e, ok := t.settings["server_check_query"]; ok {
		value := e.value
		if value == "<empty>" {
			value = ";" // an empty query to PostgreSQL; Howdah's "" asks nothing
		}
		t.defaults.add("server_check_query", value, e.at()+": server_check_query")
	}
	if e, ok := t.settings["verbose"]; ok {
		level := "info"
		if n, err := parseBouncerNumber(e.value); err != nil {
			t.badValue(e, err)
		} else if n > 0 {
			level = "debug"
		}
		t.server.add("log_level", level, e.at()+": verbose")
	}
}

func (t *bouncerTranslation) badValue(e iniEntry, err error) {
	t.wrong(e.file, e.line, "mend it; PgBouncer does not start with it", "%s is %q: %v", e.key, e.value, err)
}

// without lists a setting that has no equivalent.
func (t *bouncerTranslation) without(e iniEntry, why string, secret bool) {
	value := fmt.Sprintf(" = %q", e.value)
	if secret {
		value = ""
	}
	t.rest.add(fmt.Sprintf("%s: %s%s", e.at(), e.key, value), why)
}

// text returns the file.
func (t *bouncerTranslation) text() string {
	var b strings.Builder
	b.WriteString(comment(fmt.Sprintf(`Made from %s by "howdah import-pgbouncer". Behind each value is the setting it comes from. `+
		`Comments above a table, and the list at the end, name what PgBouncer did and Howdah does not do, or does otherwise: read them before the first start. `+
		`"howdah check -c FILE" finds mistakes, "howdah help settings" explains every setting.`, filepath.Base(t.path))))
	for _, table := range []*tomlTable{&t.listen, &t.admin, &t.server, &t.defaults} {
		if len(table.keys)+len(table.notes) > 0 {
			table.print(&b)
		}
	}
	for _, tables := range [][]tomlTable{t.clusters, t.tenants, t.users} {
		for i := range tables {
			tables[i].print(&b)
		}
	}
	printList(&b, "Without an equivalent:", append(t.rest.lines(), t.others...))
	printList(&b, "What PgBouncer passes over in its files:", t.remarks)
	return b.String()
}
