package filestore

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Odoo names files by it
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/wire/wiretest"
)

// odoo is a filestore as Odoo has one, and what is stored of it.
type odoo struct {
	*testing.T
	Filestore
	store *store.Dir
	dir   string
}

func newOdoo(t *testing.T) *odoo {
	dir := storetest.NewDir(t)
	r := &repository.Repository{Store: dir, Sealer: storetest.NewSealer(t), Cluster: "main"}
	return &odoo{T: t, Filestore: Filestore{Repo: r, Database: "acme.example/ü"}, store: dir, dir: t.TempDir()}
}

// attach writes a file as Odoo does, and returns its name.
func (o *odoo) attach(contents string) string {
	o.Helper()
	file := sum(sha1.Sum([]byte(contents))) //nolint:gosec // as above
	o.write(file.name(), contents)
	return file.name()
}

func (o *odoo) write(name, contents string) {
	o.Helper()
	path := filepath.Join(o.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(contents), 0o600)); err != nil {
		o.Fatal(err)
	}
}

func (o *odoo) sync() Outcome {
	o.Helper()
	outcome, err := o.Sync(o.Context(), o.dir, nil)
	if err != nil {
		o.Fatal(err)
	}
	return outcome
}

func (o *odoo) fetch(names []string, into string) (Fetched, error) {
	return Filestores{&o.Filestore}.Fetch(o.Context(), names, into, FetchOptions{})
}

func TestSyncAndFetch(t *testing.T) {
	o := newOdoo(t)
	large := strings.Repeat("large ", smallMost) // is streamed
	names := []string{o.attach(""), o.attach("invoice"), o.attach(large), o.attach(large[:smallMost]), o.attach(large[:smallMost-1])}
	torn := sum(sha1.Sum([]byte("a whole file"))).name() //nolint:gosec // as above
	o.write(torn, "a whole")
	tornLarge := sum(sha1.Sum([]byte("another"))).name() //nolint:gosec // as above
	o.write(tornLarge, large)
	o.write("checklist/ab/abcd", "")
	o.write("ab/not-a-sum", "")
	o.write("ff/"+names[1][3:], "in another folder")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, filepath.Join(o.dir, "ab", strings.Repeat("ab", 20)))); err != nil {
		t.Fatal(err)
	}
	first := o.sync()
	odd := []string{torn, tornLarge}
	slices.Sort(odd)
	if first.Files != 5 || first.New != 5 || first.Added != first.Bytes || !slices.Equal(first.Odd, odd) || first.Others != 3 {
		t.Errorf("the first sync: %+v", first)
	}
	if synced, err := o.Synced(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a sync that left out files came to its end: %+v, %v", synced, err)
	}

	// What was torn is whole now, what is stored stays although Odoo has collected it.
	o.write(torn, "a whole file")
	if err := errors.Join(os.Remove(filepath.Join(o.dir, names[1])), os.Remove(filepath.Join(o.dir, tornLarge))); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Microsecond)
	if second := o.sync(); second.Files != 5 || second.New != 1 || second.Added != int64(len("a whole file")) {
		t.Errorf("the second sync: %+v", second)
	}
	synced, err := o.Synced(t.Context())
	if err != nil || synced.Started.Before(before) || synced.Files != 5 {
		t.Errorf("synced: %+v, %v", synced, err)
	}
	if _, err := o.Sync(t.Context(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "mounted") {
		t.Errorf("a disk that is not mounted: %v", err)
	}

	into := filepath.Join(t.TempDir(), "into")
	gone := sum(sha1.Sum([]byte("never stored"))).name() //nolint:gosec // as above
	wanted := append([]string{torn, gone, "../../etc/passwd", "s3://elsewhere"}, names...)
	fetched, err := o.fetch(wanted, into)
	if err != nil {
		t.Fatal(err)
	}
	if fetched.Files != 6 || fetched.New != 6 || !slices.Equal(fetched.Missing, []string{gone}) || len(fetched.Foreign) != 2 {
		t.Errorf("fetched: %+v", fetched)
	}
	wantFiles(t, into, map[string]string{
		torn: "a whole file", names[0]: "", names[1]: "invoice", names[2]: large, names[3]: large[:smallMost], names[4]: large[:smallMost-1],
	})

	// What is there and whole stays, what is not is fetched again.
	if err := os.WriteFile(filepath.Join(into, names[1]), []byte("inv"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fetched, err = o.fetch(names, into); err != nil || fetched.Files != 5 || fetched.New != 1 {
		t.Errorf("fetched again: %+v, %v", fetched, err)
	}
	if text, err := os.ReadFile(filepath.Join(into, names[1])); err != nil || string(text) != "invoice" {
		t.Errorf("the damaged file is %q, %v", text, err)
	}
}

// wantFiles fails unless a folder has these files, and no others.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if contents, is := want[name]; !is || string(text) != contents {
			t.Errorf("%q has %d bytes, want %d (there: %v)", name, len(text), len(contents), is)
		}
		return err
	})
	if err != nil || n != len(want) {
		t.Errorf("%d files, want %d: %v", n, len(want), err)
	}
}

func TestFetchRefusesWhatIsDamaged(t *testing.T) {
	o := newOdoo(t)
	name := o.attach("invoice")
	o.sync()
	file, _ := parseName(name)
	// Another file of the same store in its place: sealed well, with other contents.
	if _, err := o.Repo.Sealer.Put(t.Context(), o.store, o.fileKey(file), []byte("another"), nil); err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	if fetched, err := o.fetch([]string{name}, into); err != nil || !slices.Equal(fetched.Damaged, []string{name}) || fetched.Files != 0 {
		t.Errorf("fetched %+v, %v", fetched, err)
	}
	wantFiles(t, into, nil)

	// Another filestore may have it.
	other := newOdoo(t)
	other.attach("invoice")
	other.sync()
	fetched, err := Filestores{&o.Filestore, &other.Filestore}.Fetch(t.Context(), []string{name}, into, FetchOptions{})
	if err != nil || fetched.New != 1 || len(fetched.Damaged) > 0 {
		t.Errorf("fetched %+v, %v", fetched, err)
	}
	wantFiles(t, into, map[string]string{name: "invoice"})
}

// What is stored of what a database refers to is known without any key.
func TestLook(t *testing.T) {
	o, other := newOdoo(t), newOdoo(t)
	both, second := o.attach("both"), other.attach("second")
	other.attach("both")
	never := sum(sha1.Sum([]byte("never stored"))).name() //nolint:gosec // as above
	all := Filestores{&o.Filestore, &other.Filestore}
	if r, err := all.Look(t.Context(), []string{both, never}); err != nil || r.Stored != 0 || len(r.Missing) != 2 || !r.Synced.IsZero() {
		t.Errorf("of nothing: %+v, %v", r, err)
	}
	o.sync()
	other.sync()
	last, err := other.Synced(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := all.Look(t.Context(), []string{both, second, never, "s3://elsewhere"})
	if err != nil || r.Files != 4 || r.Stored != 2 || !slices.Equal(r.Missing, []string{never}) || len(r.Foreign) != 1 || !r.Synced.Equal(last.Started) {
		t.Errorf("it is %+v, %v", r, err)
	}
}

// What is fetched is Odoo's, whoever fetches it, and Odoo can read it and write there.
func TestFetchedIsOdoos(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const uid, gid = 4711, 4712
	o := newOdoo(t)
	name := o.attach("invoice")
	o.sync()
	filestores := t.TempDir()
	if err := errors.Join(os.Chown(filestores, uid, gid), os.Chmod(filestores, 0o750|fs.ModeSetgid)); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(filestores, "acme")
	if _, err := o.fetch([]string{name}, into); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{into: 0o750, filepath.Dir(filepath.Join(into, name)): 0o750, filepath.Join(into, name): 0o640} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if of := info.Sys().(*syscall.Stat_t); of.Uid != uid || of.Gid != gid || info.Mode().Perm() != mode {
			t.Errorf("%s is of %d:%d, mode %v", path, of.Uid, of.Gid, info.Mode())
		}
		if info.Mode()&fs.ModeSetgid != 0 != info.IsDir() { // files in a folder get its group, and none runs as it
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

// What says when the last sync was is believed only as it was stored.
func TestSyncedIsDamaged(t *testing.T) {
	o := newOdoo(t)
	o.attach("invoice")
	o.sync()
	body, info, err := o.store.Get(t.Context(), o.key("synced"), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("20")) // of the year
	text[at] ^= 1
	if err := o.store.Put(t.Context(), o.key("synced"), text, info.Meta); err != nil {
		t.Fatal(err)
	}
	if synced, err := o.Synced(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("one with a flipped bit is read as %+v, %v", synced, err)
	}
	o.sync()
	if _, err := o.Synced(t.Context()); err != nil {
		t.Errorf("the next sync has not mended it: %v", err)
	}
}

// The folder of a copy goes with it, and no other one does.
func TestCopies(t *testing.T) {
	filestores := t.TempDir()
	at := func(name string) string { return filepath.Join(filestores, name) }
	left := func(want ...string) {
		t.Helper()
		entries, err := os.ReadDir(filestores)
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("there is %q, %v, want %q", names, err, want)
		}
	}
	// One that was killed has left these.
	if err := errors.Join(os.Mkdir(at("live"), 0o700), os.Mkdir(at(making+"id"), 0o700), os.Mkdir(at(leaving+"id"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if path, err := MakeCopy(filestores, "copy", "id"); err != nil || path != at("copy") {
			t.Errorf("%q, %v", path, err)
		}
	}
	if _, err := MakeCopy(filestores, "live", "id"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", ".", "..", "a/b", ".howdah-new-x"} {
		if _, err := MakeCopy(filestores, name, "id"); !errors.Is(err, errName) {
			t.Errorf("%q: %v", name, err)
		}
		if removed, err := RemoveCopy(filestores, name, "id"); removed || err != nil {
			t.Errorf("%q: %t, %v", name, removed, err)
		}
	}
	if err := errors.Join(os.CopyFS(at("adopted"), os.DirFS(at("copy"))), os.WriteFile(at("copy/more"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"live": false, "adopted": false, "none": false, "copy": true} {
		if removed, err := RemoveCopy(filestores, name, "id"); removed != want || err != nil {
			t.Errorf("%s: %t, %v", name, removed, err)
		}
	}
	left("adopted", "live")

	// Another copy of that name finds the folder of the first, which has another name now; or the
	// one of another Howdah. Then it stays, whoever goes.
	for _, then := range []func() error{
		func() error { return nil },
		func() error { _, err := MakeCopy(filestores, "copy", "second"); return err },
		func() error { return Disown(filestores, "copy") },
	} {
		_, err := MakeCopy(filestores, "copy", "id")
		if err = errors.Join(err, then()); err != nil {
			t.Fatal(err)
		}
		if removed, err := RemoveCopy(filestores, "copy", "second"); removed || err != nil {
			t.Errorf("another's folder is removed: %t, %v", removed, err)
		}
		if _, err := os.Stat(at("copy")); err != nil {
			t.Error(err)
		}
	}
	if removed, err := RemoveCopy(filestores, "copy", "id"); removed || err != nil {
		t.Errorf("a folder that others may use is removed: %t, %v", removed, err)
	}
	left("adopted", "copy", "live")
}

// Where there is something that is no file, as a pipe that nobody writes to, nothing waits for it,
// and what is counted is counted once.
func TestFetchWhereSomethingElseIs(t *testing.T) {
	o := newOdoo(t)
	name := o.attach("invoice")
	o.sync()
	into := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(into, name[:2]), 0o700), syscall.Mkfifo(filepath.Join(into, name), 0o600)); err != nil {
		t.Fatal(err)
	}
	var told []string
	progress := func(f Fetched) { told = append(told[:0], f.Foreign...) }
	fetched, err := Filestores{&o.Filestore}.Fetch(t.Context(), []string{"s3://b", name, "s3://a"}, into, FetchOptions{Progress: progress})
	if want := []string{"s3://a", "s3://b"}; err != nil || fetched.New != 1 || !slices.Equal(fetched.Foreign, want) || len(told) != 2 {
		t.Errorf("fetched %+v, %v; told %q", fetched, err, told)
	}
	wantFiles(t, into, map[string]string{name: "invoice"})
}

func TestSyncOfNothing(t *testing.T) {
	o := newOdoo(t)
	if _, err := o.Synced(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want %v", err, store.ErrNotFound)
	}
	if _, err := o.Sync(t.Context(), filepath.Join(o.dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	if outcome := o.sync(); outcome.Files != 0 {
		t.Errorf("%+v", outcome)
	}
}

func TestNamesInDump(t *testing.T) {
	binaries := wiretest.FindPostgres(t)
	server := wiretest.StartPostgresOf(t, binaries)
	exec1 := func(database string, statements ...string) {
		t.Helper()
		if err := server.Exec(t.Context(), database, statements...); err != nil {
			t.Fatal(err)
		}
	}
	exec1("postgres", "create database acme", "create database other", "create database viewed", "create database secured")
	exec1("acme",
		`create table ir_attachment (id int, "name" text, "odd, column" text, store_fname varchar, index_content text)`,
		`insert into ir_attachment values
			(1, E'tab\there\nand\\.\n', '\.', 'aa/first', repeat('long ', 200000)),
			(2, null, null, null, null), (3, '\.', E'\\', 'aa/first', ''), (4, '', '', '', ''),
			(5, 'x', 'x', repeat('too long ', 1000), 'x'), (6, 'x', 'x', 'bb/second', E'\\.\n\\.')`,
		"create schema hidden", "create table hidden.ir_attachment (store_fname text)", "insert into hidden.ir_attachment values ('cc/hidden')")
	exec1("other", "create table t (n int)")
	exec1("viewed", "create function f() returns text language plpgsql as $$begin raise 'it runs'; end$$",
		"create view ir_attachment as select f() as store_fname")
	// Who is no superuser, and reads what a tenant secures, runs nothing of the tenant's.
	exec1("secured", "create function f() returns bool language plpgsql as $$begin raise 'it runs'; end$$",
		"create table ir_attachment (store_fname text)", "create role plain", "grant select on ir_attachment to plain",
		"alter table ir_attachment enable row level security", "create policy p on ir_attachment using (f())")
	conn, err := pgx.Connect(t.Context(), server.AdminURL("secured"))
	if err == nil {
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), "set role plain")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NamesInDatabase(t.Context(), conn, 0); err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("of secured rows: %v", err)
	}
	for database, want := range map[string]int{"acme": 3, "other": 0, "viewed": 0} {
		dump := filepath.Join(t.TempDir(), "dump")
		out, err := exec.CommandContext(t.Context(), binaries.Path("pg_dump"), "-Fd", "-f", dump, server.AdminURL(database)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		names, err := NamesInDump(t.Context(), binaries.Path("pg_restore"), dump, 0)
		if err != nil || len(names) != want {
			t.Errorf("%s: %d names %.80q, %v", database, len(names), names, err)
		}
		if want > 0 && (names[0] != "aa/first" || names[1] != "bb/second") {
			t.Errorf("%s: %.80q", database, names)
		}
		conn, err := pgx.Connect(t.Context(), server.AdminURL(database))
		if err != nil {
			t.Fatal(err)
		}
		again, err := NamesInDatabase(t.Context(), conn, 0)
		if err != nil || !slices.Equal(again, names) {
			t.Errorf("%s: the database has %d names %.80q, %v", database, len(again), again, err)
		}
		if _, err := NamesInDatabase(t.Context(), conn, 8); want > 0 != errors.Is(err, ErrTooMany) {
			t.Errorf("%s: of more than are wanted: %v", database, err)
		}
		conn.Close(t.Context())
	}
	wantLocked(t, server.AdminURL("acme"))
	if _, err := NamesInDump(t.Context(), binaries.Path("pg_restore"), t.TempDir(), 0); err == nil {
		t.Error("a folder without a dump is none")
	}
}

// wantLocked fails unless who asks for the names of a database's files does not wait while
// somebody has the table locked.
func wantLocked(t *testing.T, url string) {
	t.Helper()
	var conns [2]*pgx.Conn
	for i := range conns {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
		conns[i] = conn
	}
	if _, err := conns[0].Exec(t.Context(), "begin; lock table ir_attachment"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var pg *pgconn.PgError
	if _, err := NamesInDatabase(ctx, conns[1], 0); !errors.As(err, &pg) || pg.Code != "55P03" { // lock_not_available
		t.Errorf("of a locked table: %v", err)
	}
}

func FuzzNamesInCopy(f *testing.F) {
	f.Add("COPY public.ir_attachment (id, store_fname) FROM stdin;\n1\taa/bb\n2\t\\N\n\\.\n")
	f.Add("SET x;\nCOPY public.ir_attachment (store_fname, id) FROM stdin;\naa/bb\t1\n")
	f.Fuzz(func(t *testing.T, script string) {
		names, err := namesInCopy(strings.NewReader(script), 0)
		for _, name := range names {
			if err != nil || len(name) > fieldMost || !bytes.Contains([]byte(script), []byte(name)) || strings.ContainsAny(name, "\t\n") {
				t.Errorf("%q, %v", name, err)
			}
		}
	})
}

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{"acme": "acme", "a/b": "a%2Fb", "..": "%2E%2E", "%41": "%2541", "ü": "%C3%BC"} {
		if got := escape(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if err := store.CheckKey((&Filestore{Repo: &repository.Repository{Cluster: "main"}, Database: strings.Repeat("ü", 31)}).fileKey(sum{})); err != nil {
		t.Error(err)
	}
}
