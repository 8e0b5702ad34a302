package base

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// archiveOf makes an archive with the standard library.
func archiveOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range entries {
		if err := w.WriteHeader(&entries[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{'x'}, int(entries[i].Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHeaders(t *testing.T) {
	for name, x := range map[string]struct {
		header tar.Header
		want   *header // nil: refused
	}{
		"a file":                  {tar.Header{Typeflag: tar.TypeReg, Name: "base/1/2", Size: 7, Mode: 0o640}, &header{name: "base/1/2", size: 7, mode: 0o640}},
		"a folder":                {tar.Header{Typeflag: tar.TypeDir, Name: "base/", Mode: 0o700}, &header{name: "base", folder: true, mode: 0o700}},
		"as PostgreSQL calls one": {tar.Header{Typeflag: tar.TypeDir, Name: "./pg_wal/archive_status/", Mode: 0o700}, &header{name: "pg_wal/archive_status", folder: true, mode: 0o700}},
		"a name of 100 bytes":     {tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 100)}, &header{name: strings.Repeat("n", 100)}},
		"a name in two fields":    {tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("n", 90) + "/" + strings.Repeat("n", 90)}, nil},
		"a PAX header":            {tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("é", 90), Format: tar.FormatPAX}, nil},
		"a symbolic link":         {tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "y"}, nil},
		"a hard link":             {tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "y"}, nil},
		"a device":                {tar.Header{Typeflag: tar.TypeBlock, Name: "x"}, nil},
		"out of the folder":       {tar.Header{Typeflag: tar.TypeReg, Name: "../x"}, nil},
		"out of it again":         {tar.Header{Typeflag: tar.TypeReg, Name: "base/../../x"}, nil},
		"an absolute name":        {tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd"}, nil},
		"no name":                 {tar.Header{Typeflag: tar.TypeReg, Name: ""}, nil},
		"the folder itself":       {tar.Header{Typeflag: tar.TypeDir, Name: "./"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseHeader(archiveOf(t, x.header)[:block])
			if !reflect.DeepEqual(got, x.want) || (err == nil) != (x.want != nil) || err != nil && !errors.Is(err, errTar) {
				t.Errorf("it is read as %+v, %v, not %+v", got, err, x.want)
			}
		})
	}
}

func TestSizesOfHugeFiles(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	huge := int64(20 << 30)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: huge, Mode: 0o600, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	head := b.Bytes()
	copy(head[magicAt:], "ustar\x0000") // PostgreSQL writes such a size in the other form
	sum := 8 * int64(' ')
	for i, c := range head {
		if i < checksumAt || i >= checksumEnd {
			sum += int64(c)
		}
	}
	copy(head[checksumAt:], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0})
	if h, err := parseHeader(head); err != nil || h.size != huge {
		t.Errorf("it is read as %+v, %v", h, err)
	}
	head[sizeAt+1] = 0xff
	if h, err := parseHeader(head); err == nil {
		t.Errorf("a size that no file has is read as %+v", h)
	}
}

// cut follows an archive that comes in pieces, and returns its entries' names, what was
// passed on, and how it ended.
func cut(archive []byte, piece int) (names []string, passed []byte, err error) {
	pass := func(p []byte) error {
		passed = append(passed, p...)
		return nil
	}
	open := false
	c := &cutter{data: pass, fill: pass, begin: func(h *header, raw []byte) error {
		names, open = append(names, h.name), true
		return pass(raw)
	}, done: func() error {
		open = false
		return nil
	}}
	for p := range slices.Chunk(archive, piece) {
		if err := c.write(p); err != nil {
			return names, passed, err
		}
	}
	err = c.close()
	if err == nil && open {
		err = errors.New("an entry has no end")
	}
	return names, passed, err
}

func TestCutter(t *testing.T) {
	archive := archiveOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "base/"}, tar.Header{Typeflag: tar.TypeReg, Name: "base/1", Size: 1300},
		tar.Header{Typeflag: tar.TypeReg, Name: "base/2"}, tar.Header{Typeflag: tar.TypeReg, Name: "base/3", Size: 512})
	for _, piece := range []int{1, 3, 511, 512, 513, 1 << 20} {
		names, passed, err := cut(archive, piece)
		if err != nil || !slices.Equal(names, []string{"base", "base/1", "base/2", "base/3"}) || !bytes.Equal(passed, archive[:len(archive)-2*block]) {
			t.Errorf("in pieces of %d bytes: %q, %d bytes, %v", piece, names, len(passed), err)
		}
	}
	for n := range len(archive) - 2*block {
		whole := slices.Contains([]int{0, block, 5 * block, 6 * block}, n) // between entries
		if _, _, err := cut(archive[:n], 1<<20); (err == nil) != whole {
			t.Errorf("of %d bytes: %v", n, err)
		}
	}
	if _, _, err := cut(append(bytes.Clone(archive), 1), 1<<20); !errors.Is(err, errTar) {
		t.Errorf("with something behind its end: %v", err)
	}
}

// FuzzCutter has every archive that is read be read as the standard library does, and be
// passed on unchanged, whatever pieces it comes in.
func FuzzCutter(f *testing.F) {
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeDir, Name: "base/"}, tar.Header{Typeflag: tar.TypeReg, Name: "base/1", Size: 700}), 100)
	f.Add([]byte("x"), 1)
	f.Fuzz(func(t *testing.T, archive []byte, piece int) {
		piece = 1 + piece&0xffff
		names, passed, err := cut(archive, piece)
		again, passedAgain, errAgain := cut(archive, 1<<20)
		if !slices.Equal(names, again) || !bytes.Equal(passed, passedAgain) || (err == nil) != (errAgain == nil) {
			t.Fatalf("in pieces of %d bytes: %q, %v; at once: %q, %v", piece, names, err, again, errAgain)
		}
		if !bytes.HasPrefix(archive, passed) {
			t.Fatal("it is changed")
		}
		if err != nil {
			return
		}
		for r := tar.NewReader(bytes.NewReader(passed)); ; names = names[1:] {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return // for a field that is not read here
			}
			if len(names) == 0 || strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), "./") != names[0] {
				t.Fatalf("%q is left, and the standard library has %+v, %v", names, h, err)
			}
		}
		if len(names) > 0 {
			t.Fatalf("the standard library does not have %q", names)
		}
	})
}

func TestGroups(t *testing.T) {
	for _, x := range []struct {
		tablespace uint32
		name       string
		want       group
	}{
		{0, "base/16400/1259", group{0, 16400, "base/16400"}},
		{0, "base/16400", group{0, 16400, "base/16400"}},
		{0, "base", group{}},
		{0, "global/1260", group{}},
		{0, "base/pgsql_tmp/1", group{}},
		{0, "base/99999999999/1", group{}},
		{0, "base/0/1", group{}},
		{0, "PG_15_202209061/5/1", group{}},
		{7, "PG_15_202209061/5/1", group{7, 5, "PG_15_202209061/5"}},
		{7, "PG_15_202209061", group{tablespace: 7}},
		{7, "base/5/1", group{tablespace: 7}},
	} {
		if got := groupOf(x.tablespace, x.name); got != x.want {
			t.Errorf("%s of tablespace %d is of %+v, not %+v", x.name, x.tablespace, got, x.want)
		}
		if got := databaseOf(pathOf(x.tablespace, x.name)); got != x.want.database {
			t.Errorf("%s is of database %d, not %d", pathOf(x.tablespace, x.name), got, x.want.database)
		}
	}
}
