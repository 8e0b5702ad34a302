package base

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/backup/store"
	"howdah/wire/postgres"
)

// testConfiguration takes base backups of a server whose configuration is in the data
// directory, with some beside it.
func testConfiguration(t *testing.T, c *cluster) {
	var system string
	c.row(postgres.Superuser, "select system_identifier::text from pg_control_system()", &system)
	ask := func(url, system string) *Configuration {
		return ConfigurationOf(t.Context(), func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, url) }, system)
	}
	take := func(o Options) *Manifest {
		t.Helper()
		r, _ := newRepository(t)
		m, err := c.begin(t.Context(), r, c.databases, o)
		if err == nil {
			err = Commit(t.Context(), r, m)
		}
		if err != nil {
			t.Fatal(err)
		}
		files, err := ReadConfiguration(t.Context(), r, m)
		if err != nil {
			t.Fatal(err)
		}
		var outside []ConfigurationFile
		if o.Configuration != nil {
			for _, f := range o.Configuration.Files {
				if f.Inside == "" {
					outside = append(outside, f)
				}
			}
		}
		if !reflect.DeepEqual(files, outside) {
			t.Errorf("there are %d files, and were %d", len(files), len(outside))
		}
		return m
	}
	mine := ask(c.AdminURL(postgres.Superuser), system)
	if mine.Missing != "" || len(mine.Files) < 4 {
		t.Errorf("it has %d files, and there is %q missing", len(mine.Files), mine.Missing)
	}
	mine.Missing = "something"
	if m := take(Options{Configuration: mine}); m.Configuration != nil || m.ConfigurationMissing != mine.Missing {
		t.Errorf("all of it is in the data directory, and there is %+v, and missing %q", m.Configuration, m.ConfigurationMissing)
	}
	mine.Files = append(mine.Files, ConfigurationFile{Path: "/etc/some where.conf", Text: []byte("x = 1\n")}, ConfigurationFile{Path: "/etc/empty.d", Folder: true})
	if m := take(Options{Configuration: mine}); m.Configuration == nil {
		t.Error("nothing was taken along")
	}
	for name, x := range map[string]struct{ url, system, want string }{
		"no rights":       {c.URL("acme", "secret", "acme"), system, "must be a superuser"},
		"another cluster": {c.AdminURL(postgres.Superuser), "1", "leads to the system " + system},
		"nobody there":    {"postgres://acme:secret@127.0.0.1:1/acme", system, "cannot be reached"},
		"a wrong secret":  {c.URL("acme", "wrong", "acme"), system, "SQLSTATE 28P01"},
	} {
		got := ask(x.url, x.system)
		if !strings.Contains(got.Missing, x.want) || strings.Contains(got.Missing, "secret") || strings.Contains(got.Missing, "acme") || len(got.Files) > 0 {
			t.Errorf("%s: %d files, and missing is %q", name, len(got.Files), got.Missing)
		}
	}
}

func TestIncludes(t *testing.T) {
	text := `
#include 'not.conf'
include 'a.conf' # one
 INCLUDE_DIR = conf.d
include_if_exists "b c.conf"
include 'it''s.conf'
included = 'no'
include ''
host @people,@"some more" @/etc/users all reject # @not
host all x@y all reject
`
	files := []include{{"a.conf", false}, {"conf.d", true}, {"b c.conf", false}, {"it's.conf", false}, {"d", false}, {"", false}}
	people := []include{{"people", false}, {"some more", false}, {"/etc/users", false}}
	if got := includes(text, false); !reflect.DeepEqual(got, files) {
		t.Errorf("settings: %+v", got)
	}
	if got := includes(text, true); !reflect.DeepEqual(got, append(files, people...)) {
		t.Errorf("people: %+v", got)
	}
}

// TestConfigurationOfOthers has somebody else make the configuration of a base backup.
func TestConfigurationOfOthers(t *testing.T) {
	reg := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1, Mode: 0o600}
	}
	for name, x := range map[string]struct {
		entry tar.Header
		want  string // "" is that it is read
	}{
		"good":            {reg("etc/x.conf"), ""},
		"above":           {reg("../x.conf"), "is called"},
		"in the middle":   {reg("etc/../../x.conf"), "is called"},
		"absolute":        {reg("/etc/x.conf"), "is called"},
		"the folder":      {reg("."), "is called"},
		"a link":          {tar.Header{Typeflag: tar.TypeSymlink, Name: "etc", Linkname: "/etc"}, "of the kind"},
		"a device":        {tar.Header{Typeflag: tar.TypeChar, Name: "etc"}, "of the kind"},
		"more than there": {tar.Header{Typeflag: tar.TypeReg, Name: "etc/x.conf", Size: MostConfiguration + 1}, "has more than"},
	} {
		t.Run(name, func(t *testing.T) {
			r, dir := newRepository(t)
			m := backupOf(t, r, reg(controlFile))
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			if err := w.WriteHeader(&x.entry); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("x")[:min(x.entry.Size, 1)]); err != nil {
				t.Fatal(err)
			}
			if x.entry.Size < 2 {
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			sums := sealed(t, r, configurationKey(r, m.ID), archive.Bytes())
			m.Configuration = &sums
			files, err := ReadConfiguration(t.Context(), r, m)
			if x.want != "" {
				if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), x.want) {
					t.Errorf("it says %v, and has %v", err, files)
				}
				return
			}
			if err != nil || len(files) != 1 || files[0].Path != "/etc/x.conf" {
				t.Errorf("there is %v, %v", files, err)
			}
			m.Configuration.SHA256 = strings.Repeat("0", 64)
			if _, err := ReadConfiguration(t.Context(), r, m); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("another one than was meant: %v", err)
			}
			if err := dir.Delete(t.Context(), configurationKey(r, m.ID)); err != nil {
				t.Fatal(err)
			}
			missing, err := Missing(t.Context(), r, []Manifest{*m})
			if err != nil || missing[m.ID] == "" {
				t.Errorf("nothing is missing: %v, %v", missing, err)
			}
			if err := Verify(t.Context(), r, m, false, nil); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("verify says %v", err)
			}
		})
	}
}
