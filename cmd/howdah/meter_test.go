package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	var none *meter
	none.tell("fetch", 1, 2) // shows nothing
	none.end()

	var out bytes.Buffer
	m := &meter{out: &out}
	m.end()
	m.tell("fetch", 0, 0)
	if out.Len() > 0 {
		t.Errorf("it shows %q of nothing", out.String())
	}
	m.tell("fetch", 1<<20, 4<<20)
	m.tell("fetch", 2<<20, 4<<20) // too soon
	m.begun, m.last = m.begun.Add(-time.Second), m.last.Add(-time.Second)
	m.tell("fetch", 3<<20, 4<<20)
	m.tell("recover", 1<<20, 2<<20)
	m.end()
	shown := strings.Split(out.String(), "\r\x1b[K")
	if len(shown) != 5 || !strings.Contains(shown[1], "fetch") || strings.Contains(shown[1], "/s") ||
		!strings.HasSuffix(shown[2], "/s") || !strings.Contains(shown[3], "recover") || shown[4] != "" {
		t.Errorf("it shows %q", shown)
	}
}
