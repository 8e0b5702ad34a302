package router

import (
	"reflect"
	"testing"
)

// Commands on whole databases are told from others, in whatever way they are written.
func TestReadCommandsOnDatabases(t *testing.T) {
	for _, x := range []struct {
		text string
		want []onDatabase
	}{
		{`create database x`, []onDatabase{{command: CreateDatabase, name: "x", other: "template1"}}},
		{`CREATE DATABASE "My x" ENCODING 'unicode' LC_COLLATE 'C' TEMPLATE "template0"`, []onDatabase{{command: CreateDatabase, name: "My x", other: "template0"}}},
		{`create database X with owner = template template = 'it''s' connection limit = 5`, []onDatabase{{command: CreateDatabase, name: "x", other: "it's"}}},
		{`create database x template default is_template true`, []onDatabase{{command: CreateDatabase, name: "x", other: "template1"}}},
		{`/* now */ drop database if exists x with (force);`, []onDatabase{{command: DropDatabase, name: "x", other: ""}}},
		{`alter database a rename to "B"; alter database "B" set tablespace pg_default`, []onDatabase{{command: RenameDatabase, name: "a", other: "B"}, {command: MoveDatabase, name: "B", at: 1}}},
		{`begin; alter database a rename to b`, []onDatabase{{command: RenameDatabase, name: "a", other: "b", at: 1}}},
		{`;commit;; drop database a`, []onDatabase{{command: DropDatabase, name: "a", at: 1, long: true}}},
		{`alter database a set work_mem = '1MB'`, nil},
		{`alter database a set work_mem = '1MB'; alter database a rename to b`, []onDatabase{{command: RenameDatabase, name: "a", other: "b", at: 1, long: true}}},
		{`alter database a owner to b`, nil},
		{`alter database a rename to`, nil},
		{`drop database U&"x"`, nil},
		{`drop database`, nil},
		{`create table database (x int)`, nil},
		{`select 'drop database x'`, nil},
		{`create database x template "y`, []onDatabase{{command: CreateDatabase, name: "x", other: ""}}},
	} {
		if got := read([]byte(x.text), true).databases; !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, want %+v", x.text, got, x.want)
		}
	}
}
