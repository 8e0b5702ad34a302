package catalog_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

const patience = 30 * time.Second

var anna = catalog.Actor{Name: "anna", Door: "test", From: "127.0.0.1:1"}

// open returns a catalog in a server of its own.
func open(t *testing.T) (*catalog.Catalog, *postgres.Server) {
	t.Helper()
	s := wiretest.StartPostgres(t)
	return reopen(t, s), s
}

func reopen(t *testing.T, s *postgres.Server) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), s.AdminURL(postgres.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// change makes a change that must succeed.
func change(t *testing.T, c *catalog.Catalog, f func(*catalog.Tx) error) {
	t.Helper()
	if err := c.Change(t.Context(), anna, f); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, c *catalog.Catalog, kind catalog.Kind, name string, s catalog.Settings) {
	t.Helper()
	change(t, c, func(tx *catalog.Tx) error { return tx.Create(kind, name, "", s) })
}

func load(t *testing.T, c *catalog.Catalog) *catalog.Contents {
	t.Helper()
	contents, err := c.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := c.Contents(t.Context()); err != nil || text(t, kept) != text(t, contents) {
		t.Errorf("what is kept is %+v, %v, not %+v", kept, err, contents)
	}
	return contents
}

func TestCatalog(t *testing.T) {
	c, s := open(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *catalog.Catalog, *postgres.Server)
	}{
		{"entries", testEntries},
		{"revisions", testRevisions},
		{"change is whole", testChangeIsWhole},
		{"follow", testFollow},
		{"roles", testRoles},
		{"holds", testHolds},
		{"operations", testOperations},
		{"operations on several", testBesides},
		{"orphans", testOrphans},
		{"tokens", testTokens},
		{"audit", testAudit},
		{"review", testReview},
		{"another history", testHistory},
		{"opened at once", testOpenedAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c, s) })
	}
}

func testEntries(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	create(t, c, catalog.Cluster, "main", catalog.Settings{"members": []any{"127.0.0.1:5432"}, "budget": int64(80), "max_lag": 1.5})
	create(t, c, catalog.Tenant, "b", catalog.Settings{"cluster": "main"})
	create(t, c, catalog.Tenant, "a", catalog.Settings{"cluster": "main", "pool_size": int64(7), "deep": []any{int64(1), 2.5}})
	got := load(t, c)
	var names []string
	for _, e := range got.Entries {
		names = append(names, string(e.Kind)+" "+e.Name)
	}
	if want := "cluster main, tenant a, tenant b"; strings.Join(names, ", ") != want {
		t.Errorf("entries %v, want %s", names, want)
	}
	e, err := c.Entry(t.Context(), catalog.Tenant, "a")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := e.Settings["pool_size"].(int64); !ok || v != 7 {
		t.Errorf("pool_size is %#v, want int64 7", e.Settings["pool_size"])
	}
	if got := fmt.Sprintf("%#v", e.Settings["deep"]); got != "[]interface {}{1, 2.5}" {
		t.Errorf("a list is %s", got)
	}
	if _, err := c.Entry(t.Context(), catalog.Tenant, "c"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
	path := filepath.Join(t.TempDir(), "catalog.json")
	if err := got.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := catalog.ReadContents(path)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := text(t, got), text(t, again); a != b {
		t.Errorf("saved %s, read %s", a, b)
	}
	if v, ok := again.Entries[1].Settings["pool_size"].(int64); !ok || v != 7 {
		t.Errorf("pool_size from the file is %#v", again.Entries[1].Settings["pool_size"])
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func testRevisions(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	before := load(t, c)
	create(t, c, catalog.Tier, "gold", catalog.Settings{"weight": int64(4)})
	e, err := c.Entry(t.Context(), catalog.Tier, "gold")
	if err != nil {
		t.Fatal(err)
	}
	if after := load(t, c); after.Revision != before.Revision+1 || after.Stamp == before.Stamp || !after.Follows(before) || before.Follows(after) {
		t.Errorf("revision %d %s, then %d %s", before.Revision, before.Stamp, after.Revision, after.Stamp)
	}
	change(t, c, func(tx *catalog.Tx) error {
		return tx.Update(catalog.Tier, "gold", e.Revision, catalog.Settings{"weight": int64(5)})
	})
	err = c.Change(t.Context(), anna, func(tx *catalog.Tx) error {
		return tx.Update(catalog.Tier, "gold", e.Revision, catalog.Settings{"weight": int64(6)})
	})
	if !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("a change of an old revision: %v", err)
	}
	err = c.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.Create(catalog.Tier, "gold", "", nil) })
	if !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a second entry of the name: %v", err)
	}
	create(t, c, catalog.Tier, "silver", catalog.Settings{})
	err = c.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.Rename(catalog.Tier, "silver", "gold") })
	if !errors.Is(err, catalog.ErrExists) {
		t.Errorf("renamed to a name that is taken: %v", err)
	}
	change(t, c, func(tx *catalog.Tx) error { return tx.Rename(catalog.Tier, "gold", "golden") })
	now, err := c.Entry(t.Context(), catalog.Tier, "golden")
	if err != nil || now.ID != e.ID {
		t.Errorf("renamed: %+v, %v", now, err)
	}
	change(t, c, func(tx *catalog.Tx) error { return tx.Delete(catalog.Tier, "golden", now.Revision) })
	change(t, c, func(tx *catalog.Tx) error { return tx.Delete(catalog.Tier, "silver", catalog.AnyRevision) })
}

// testChangeIsWhole has a change fail behind what it did first.
func testChangeIsWhole(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	before := load(t, c)
	oops := errors.New("oops")
	err := c.Change(t.Context(), anna, func(tx *catalog.Tx) error {
		if err := tx.Create(catalog.Tier, "half", "", nil); err != nil {
			return err
		}
		return oops
	})
	if !errors.Is(err, oops) {
		t.Fatal(err)
	}
	if after := load(t, c); text(t, after) != text(t, before) {
		t.Errorf("before %s, after %s", text(t, before), text(t, after))
	}
	for l, err := range c.AuditLog(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(l.Text, []byte("half")) {
			t.Errorf("the log has %s", l.Text)
		}
	}
}

// testFollow has a follower's connection cut, and changes made meanwhile.
func testFollow(t *testing.T, c *catalog.Catalog, s *postgres.Server) {
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan *catalog.Contents, 100)
	var done sync.WaitGroup
	done.Go(func() {
		c.Follow(ctx, slog.New(slog.NewTextHandler(t.Output(), nil)), catalog.Follower{Use: func(now *catalog.Contents) { seen <- now }})
	})
	defer done.Wait()
	defer cancel()
	has := func(name string) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case now := <-seen:
				for _, e := range now.Entries {
					if e.Name == name {
						return
					}
				}
			case <-deadline:
				t.Fatalf("the follower has not seen %q", name)
			}
		}
	}
	create(t, c, catalog.Tier, "first", nil)
	has("first")
	create(t, c, catalog.Tier, "second", nil)
	has("second")
	if err := s.Exec(t.Context(), postgres.Superuser, "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select stamp%' or query = 'listen howdah_catalog'"); err != nil {
		t.Fatal(err)
	}
	create(t, c, catalog.Tier, "third", nil)
	has("third")
}

func begin(t *testing.T, c *catalog.Catalog, kind, tenant string) (o *catalog.Operation) {
	t.Helper()
	change(t, c, func(tx *catalog.Tx) (err error) {
		o, err = tx.Begin(kind, tenant, map[string]string{"verifier": "SCRAM-SHA-256$hidden"})
		return err
	})
	return o
}

func take(t *testing.T, c *catalog.Catalog, id, node string, lease time.Duration) *catalog.Operation {
	t.Helper()
	o, err := c.Take(t.Context(), id, node, lease)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// An operation keeps others off the tenants that it needs to be left alone.
func testBesides(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	try := func(kind, tenant string, besides ...string) (o *catalog.Operation, err error) {
		err = c.Change(t.Context(), anna, func(tx *catalog.Tx) (err error) {
			o, err = tx.Begin(kind, tenant, nil, besides...)
			return err
		})
		return o, err
	}
	o, err := try("clone", "copy", "source")
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"copy"}, {"source"}, {"other", "source"}, {"other", "copy"}} {
		_, err := try("drop", names[0], names[1:]...)
		var busy *catalog.BusyError
		if !errors.As(err, &busy) || busy.Operation != o.ID || busy.Tenant != names[len(names)-1] {
			t.Errorf("on %q: %v", names, err)
		}
	}
	if under, err := c.Underway(t.Context()); err != nil || under["copy"] != "clone" || under["source"] != "clone" {
		t.Errorf("under way are %v, %v", under, err)
	}
	change(t, c, func(tx *catalog.Tx) error {
		return tx.End(take(t, c, o.ID, "node", time.Minute), catalog.Done, "", nil)
	})
	for _, name := range []string{"copy", "source"} {
		if _, err := try("drop", name); err != nil {
			t.Errorf("behind it, on %q: %v", name, err)
		}
	}
}

func testOperations(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	o := begin(t, c, "create", "acme")
	err := c.Change(t.Context(), anna, func(tx *catalog.Tx) error {
		_, err := tx.Begin("drop", "acme", nil)
		return err
	})
	var busy *catalog.BusyError
	if !errors.As(err, &busy) || busy.Operation != o.ID {
		t.Fatalf("a second operation on a tenant: %v", err)
	}
	begin(t, c, "create", "globex") // another tenant's
	one := take(t, c, o.ID, "node 1", time.Minute)
	if one == nil || one.Attempts != 1 || one.State != catalog.Running {
		t.Fatalf("taken: %+v", one)
	}
	if other := take(t, c, o.ID, "node 2", time.Minute); other != nil {
		t.Fatal("two nodes have one operation")
	}
	if err := c.NoteStep(t.Context(), one, "make the database", true, 1, 4); err != nil {
		t.Fatal(err)
	}
	if again := take(t, c, o.ID, "node 1", 0); again != nil {
		t.Fatal("a node has an operation twice")
	}
	if err := c.Reclaim(t.Context(), "node 1", func(pgx.Tx, string) error { return nil }); err != nil { // it has been started again
		t.Fatal(err)
	}
	again := take(t, c, o.ID, "node 1", 0)
	if err := c.NoteStep(t.Context(), one, "late", true, 1, 4); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("what the node ran before it was started again still notes: %v", err)
	}
	if again == nil || again.Step != "make the database" || !again.StepBegun || again.Attempts != 2 {
		t.Fatalf("taken again: %+v", again)
	}
	time.Sleep(10 * time.Millisecond)
	other := take(t, c, o.ID, "node 2", time.Minute) // the lease has run out
	if other == nil {
		t.Fatal("nobody has the operation")
	}
	if _, err := c.Renew(t.Context(), again, time.Minute); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("the first node still renews: %v", err)
	}
	if err := c.NoteStep(t.Context(), again, "x", true, 0, 0); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("the first node still notes: %v", err)
	}
	change(t, c, func(tx *catalog.Tx) error { return tx.WantCancel(o.ID) })
	if cancel, err := c.Renew(t.Context(), other, time.Minute); err != nil || !cancel {
		t.Errorf("renewed: %v, %v", cancel, err)
	}
	change(t, c, func(tx *catalog.Tx) error {
		return tx.End(other, catalog.Cancelled, "somebody wanted it", map[string]int{"n": 1})
	})
	ended, err := c.Operation(t.Context(), o.ID)
	if err != nil || ended.State != catalog.Cancelled || !ended.State.Ended() || bytes.Contains(ended.Parameters, []byte("hidden")) {
		t.Errorf("ended: %+v, %s, %v", ended, ended.Parameters, err)
	}
	begin(t, c, "drop", "acme") // nothing is in its way
	all, err := c.Operations(t.Context(), "acme", 10)
	if err != nil || len(all) != 2 || all[0].Kind != "drop" {
		t.Errorf("operations %+v, %v", all, err)
	}
	err = c.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.WantCancel(o.ID) })
	if !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("cancelled when it had ended: %v", err)
	}
}

func testOrphans(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	mine, old, good, asks := begin(t, c, "x", "o1"), begin(t, c, "x", "o2"), begin(t, c, "x", "o3"), begin(t, c, "x", "o4")
	take(t, c, mine.ID, "me", time.Minute)
	take(t, c, old.ID, "other", 0)
	take(t, c, good.ID, "other", time.Minute)
	if err := c.Fail(t.Context(), take(t, c, asks.ID, "me", time.Minute), "no luck", true); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	var ids []string
	err := c.Reclaim(t.Context(), "me", func(_ pgx.Tx, id string) error { ids = append(ids, id); return nil })
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(ids, " ")
	if !strings.Contains(got, mine.ID) || !strings.Contains(got, old.ID) || strings.Contains(got, good.ID) || strings.Contains(got, asks.ID) {
		t.Errorf("orphans %s of mine %s, old %s, good %s, asks %s", got, mine.ID, old.ID, good.ID, asks.ID)
	}
	change(t, c, func(tx *catalog.Tx) error { return tx.Resume(asks.ID) })
	if o := take(t, c, asks.ID, "me", time.Minute); o == nil || o.Attempts != 1 || o.Error != "no luck" {
		t.Errorf("resumed: %+v", o)
	}
}

func testTokens(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	secret := catalog.NewTokenText()
	soon := time.Now().Add(-time.Second)
	change(t, c, func(tx *catalog.Tx) error {
		if _, err := tx.AddToken(catalog.Token{Name: "old", Role: "admin", Expires: &soon}, "howdah_old"); err != nil {
			return err
		}
		_, err := tx.AddToken(catalog.Token{Name: "ci", Role: "tenant", Tenant: "acme"}, secret)
		return err
	})
	got, err := c.TokenOf(t.Context(), secret)
	if err != nil || got.Name != "ci" || got.Role != "tenant" || got.Tenant != "acme" {
		t.Errorf("token %+v, %v", got, err)
	}
	for _, wrong := range []string{"", "howdah_old", secret[:len(secret)-1], secret + "x"} {
		if got, err := c.TokenOf(t.Context(), wrong); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("token %q is %+v, %v", wrong, got, err)
		}
	}
	for _, bad := range []catalog.Token{{Name: "x", Role: "root"}, {Name: "x", Role: "tenant"}, {Name: "x", Role: "viewer", Tenant: "acme"}} {
		if err := c.Change(t.Context(), anna, func(tx *catalog.Tx) error { _, err := tx.AddToken(bad, "t"); return err }); err == nil {
			t.Errorf("added %+v", bad)
		}
	}
	rotate := func(overlap time.Duration) (text string) {
		t.Helper()
		text = catalog.NewTokenText()
		change(t, c, func(tx *catalog.Tx) error { _, err := tx.RotateToken("ci", text, overlap); return err })
		return text
	}
	second, third := rotate(0), rotate(time.Hour)
	for text, good := range map[string]bool{secret: false, second: true, third: true} {
		got, err := c.TokenOf(t.Context(), text)
		if good != (err == nil) || good && (got.Name != "ci" || got.OldUntil == nil || time.Until(*got.OldUntil) < 59*time.Minute) {
			t.Errorf("of the three texts %+v, %v: want one that is let in: %v", got, err, good)
		}
	}
	secret = rotate(time.Millisecond)
	time.Sleep(2 * time.Millisecond)
	for _, text := range []string{second, third} {
		if got, err := c.TokenOf(t.Context(), text); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("a text that has ended is %+v, %v", got, err)
		}
	}
	if got, err := c.TokenOf(t.Context(), secret); err != nil || got.OldUntil != nil {
		t.Errorf("the last text is %+v, %v", got, err)
	}
	err = c.Change(t.Context(), anna, func(tx *catalog.Tx) error { _, err := tx.RotateToken("nobody", "t", 0); return err })
	if !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("rotated nobody's token: %v", err)
	}
	change(t, c, func(tx *catalog.Tx) error { return tx.DeleteToken("ci") })
	if _, err := c.TokenOf(t.Context(), secret); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a deleted token: %v", err)
	}
}

func lines(t *testing.T, c *catalog.Catalog, after int64) (all []catalog.AuditLine) {
	t.Helper()
	for l, err := range c.AuditLog(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// testExport takes lines out of an export, changes and moves them: each is noticed.
func testExport(t *testing.T, all []catalog.AuditLine) {
	t.Helper()
	var out strings.Builder
	for i := range all {
		if err := all[i].Export(&out); err != nil {
			t.Fatal(err)
		}
	}
	whole := slices.Collect(strings.Lines(out.String()))
	verify := func(lines ...string) (*catalog.Verified, error) {
		return catalog.Verify(strings.NewReader(strings.Join(lines, "")), func(int64, string) {})
	}
	n := len(whole)
	last := hex.EncodeToString(all[n-1].Hash)
	if v, err := verify(whole...); err != nil || v.First != 1 || v.Previous != "" || v.Last != int64(n) || v.Hash != last {
		t.Errorf("the whole: %+v, %v", v, err)
	}
	if v, err := verify(whole[2:]...); err != nil || v.First != 3 || v.Previous != hex.EncodeToString(all[1].Hash) || v.Hash != last {
		t.Errorf("its end: %+v, %v", v, err)
	}
	if v, err := verify(); err != nil || v.First != 0 || v.Last != 0 {
		t.Errorf("nothing: %+v, %v", v, err)
	}
	for i := range whole {
		for what, with := range map[string][]string{
			"changed":   {strings.Replace(whole[i], `"anna"`, `"bert"`, 1)},
			"unhashed":  {strings.Replace(whole[i], `"hash":"`, `"hash":"00`, 1)},
			"unchained": {strings.Replace(whole[i], `"previous":"`, `"previous":"00`, 1)},
			"twice":     {whole[i], whole[i]},
			"no JSON":   {"{\n"},
			"gone":      nil,
		} {
			if what == "gone" && (i == 0 || i == n-1) {
				continue // which only who knows a hash can tell
			}
			if _, err := verify(slices.Concat(whole[:i], with, whole[i+1:])...); !errors.Is(err, catalog.ErrBroken) {
				t.Errorf("line %d %s: %v", i+1, what, err)
			}
		}
	}
}

func testAudit(t *testing.T, c *catalog.Catalog, s *postgres.Server) {
	create(t, c, catalog.User, "acme", catalog.Settings{"verifier": "SCRAM-SHA-256$hidden", "server_secret": "hidden"})
	all := lines(t, c, 0)
	for i, l := range all {
		if l.Broken || l.Seq != int64(i+1) || bytes.Contains(l.Text, []byte("hidden")) {
			t.Errorf("line %+v: %s", l, l.Text)
		}
	}
	var r catalog.Record
	last := all[len(all)-1]
	if err := json.Unmarshal(last.Text, &r); err != nil || r.Actor != "anna" || r.Action != "create" || r.Kind != catalog.User || r.Name != "acme" || r.From != "127.0.0.1:1" {
		t.Errorf("line %s, %v", last.Text, err)
	}
	if rest := lines(t, c, int64(len(all)-2)); len(rest) != 2 || rest[0].Broken || rest[1].Broken {
		t.Errorf("the last two are %+v", rest)
	}
	testExport(t, all)
	for _, sql := range []string{"update howdah.audit set at = now()", "delete from howdah.audit", "truncate howdah.audit"} {
		if err := s.Exec(t.Context(), postgres.Superuser, sql); err == nil {
			t.Errorf("%s went through", sql)
		}
	}
	forge := func(sql string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), s.AdminURL(postgres.Superuser))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), "begin; set local session_replication_role = replica; "+sql+"; commit"); err != nil {
			t.Fatal(err)
		}
	}
	forge("update howdah.audit set record = jsonb_set(record, '{actor}', '\"bert\"') where seq = 2")
	for i, l := range lines(t, c, 0) {
		if l.Broken != (i == 1) {
			t.Errorf("line %d: broken is %v", l.Seq, l.Broken)
		}
	}
	forge("update howdah.audit set record = jsonb_set(record, '{actor}', '\"anna\"') where seq = 2; delete from howdah.audit where seq = 4")
	broken := 0
	for _, l := range lines(t, c, 0) {
		if l.Broken {
			broken++
		}
	}
	if broken != 1 {
		t.Errorf("%d lines do not follow the one before, where one was removed", broken)
	}
}

// testReview has nothing done by a catalog that was put back.
func testReview(t *testing.T, c *catalog.Catalog, _ *postgres.Server) {
	o := begin(t, c, "drop", "wonka")
	if err := c.NeedReview(t.Context(), "restored to yesterday"); err != nil {
		t.Fatal(err)
	}
	if o := take(t, c, o.ID, "me", time.Minute); o != nil {
		t.Error("an operation runs that a catalog of yesterday knows")
	}
	err := c.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.Create(catalog.Tier, "new", "", nil) })
	if !errors.Is(err, catalog.ErrReview) || !strings.Contains(err.Error(), "yesterday") {
		t.Errorf("a change before the review: %v", err)
	}
	if err := c.EndReview(t.Context(), anna); err != nil {
		t.Fatal(err)
	}
	if o := take(t, c, o.ID, "me", time.Minute); o != nil {
		t.Error("an operation that is to be reviewed runs by itself")
	}
	change(t, c, func(tx *catalog.Tx) error { return tx.Resume(o.ID) })
	if o := take(t, c, o.ID, "me", time.Minute); o == nil {
		t.Error("an operation does not run that was resumed")
	}
}

// testHistory has nothing done by a catalog that is another than was known, before anybody
// has marked it, and though its revision is the same.
func testHistory(t *testing.T, c *catalog.Catalog, s *postgres.Server) {
	audited := func() catalog.Point {
		t.Helper()
		contents, err := c.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return contents.Audit
	}
	o := begin(t, c, "drop", "slugworth")
	head := audited()
	c.Know(head)
	change(t, c, func(tx *catalog.Tx) error { return tx.Audit("look", catalog.Tenant, "slugworth", nil) })
	now := audited()
	if got := c.Known(); got.Seq != head.Seq+1 || !bytes.Equal(got.Hash, now.Hash) {
		t.Errorf("known is %+v, the catalog is at %+v", got, now)
	}
	for what, p := range map[string]catalog.Point{
		"a line that is another":        {Seq: head.Seq, Hash: now.Hash, At: now.At},
		"a line that is not there":      {Seq: now.Seq + 1, Hash: now.Hash, At: now.At},
		"a line from before any review": {Seq: 1, Hash: head.Hash, At: now.At},
	} {
		c.Know(p)
		if held, err := c.Holds(t.Context(), p); held || err != nil {
			t.Errorf("%s: it is in the history, %v", what, err)
		}
		if err := c.Ready(t.Context()); !errors.Is(err, catalog.ErrReview) {
			t.Errorf("%s: ready: %v", what, err)
		}
		if taken := take(t, c, o.ID, "me", time.Minute); taken != nil {
			t.Errorf("%s: an operation runs", what)
		}
		err := c.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.Create(catalog.Tier, "newer", "", nil) })
		if !errors.Is(err, catalog.ErrReview) {
			t.Errorf("%s: a change: %v", what, err)
		}
	}
	used := make(chan *catalog.Contents)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		c.Follow(ctx, slog.New(slog.DiscardHandler), catalog.Follower{Use: func(found *catalog.Contents) {
			select {
			case used <- found:
			case <-ctx.Done():
			}
		}})
	})
	defer func() { cancel(); following.Wait() }()
	c.Know(now)
	<-used // at once
	c.Know(catalog.Point{Seq: now.Seq, Hash: head.Hash, At: now.At})
	if err := s.Exec(t.Context(), postgres.Superuser, "notify howdah_catalog"); err != nil { // to have it look now
		t.Fatal(err)
	}
	select {
	case <-used: // though the stamp is the same
	case <-time.After(time.Minute):
		t.Fatal("who follows is not told that the catalog is another")
	}
	if err := c.EndReview(t.Context(), anna); err != nil {
		t.Fatal(err)
	}
	<-used
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("behind the review: %v", err)
	}
	if taken := take(t, c, o.ID, "me", time.Minute); taken == nil {
		t.Error("behind the review, an operation does not run")
	}
}

func testOpenedAtOnce(t *testing.T, _ *catalog.Catalog, s *postgres.Server) {
	if err := s.Exec(t.Context(), postgres.Superuser, "create database nodes"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			c, err := catalog.Open(t.Context(), s.AdminURL("nodes"))
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	all.Wait()
}
