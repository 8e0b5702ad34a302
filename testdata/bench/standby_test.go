package main

import (
	"io"
	"strings"
	"testing"
)

func TestStandbySections(t *testing.T) {
	t.Parallel()
	o, err := parseOptions(strings.Fields("-standbys -only share"), io.Discard)
	if err != nil || !o.wants("share") || o.wants("split") || o.measures(bouncer) || !o.measures(howdah) {
		t.Errorf("read %+v, %v", o, err)
	}
	if o, err = parseOptions([]string{"-standbys"}, io.Discard); err != nil || !o.wants("share") || !o.wants("split") {
		t.Errorf("read %+v, %v", o, err)
	}
	for _, args := range []string{"-only share", "-standbys -only tps", "-standbys -tenants -only share"} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	if got := percent(19, 20); got != 95 {
		t.Errorf("19 of 20 are %v %%", got)
	}
	if got := percent(0, 0); got != 0 {
		t.Errorf("none of none are %v %%", got)
	}
}
