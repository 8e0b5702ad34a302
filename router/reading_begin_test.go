package router

import "testing"

func TestOptionsWith(t *testing.T) {
	for _, x := range []struct{ begin, set, want string }{
		{"begin", "set transaction read only", "begin read only"},
		{"begin isolation level serializable read write", "set transaction read only", "begin isolation level serializable read only"},
		{"start transaction read only deferrable", "set transaction isolation level repeatable read, read write not deferrable", "begin isolation level repeatable read read write not deferrable"},
	} {
		begin, set := read([]byte(x.begin), true), read([]byte(x.set), true)
		got := begin.options.with(set.options)
		if got.text() != x.want || got&txStart != begin.options&txStart || got&txBegun == 0 {
			t.Errorf("%s; %s: %s, want %s", x.begin, x.set, got.text(), x.want)
		}
	}
}
