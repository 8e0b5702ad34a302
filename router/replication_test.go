package router

import (
	"bytes"
	"testing"

	"howdah/wire"
)

// Cut anywhere, the stream is between two messages exactly behind each.
func TestFramesKnowWhereMessagesEnd(t *testing.T) {
	var stream []byte
	ends := map[int]bool{0: true}
	for _, body := range []int{0, 1, 5, 0, 300, 0} {
		stream = wire.AppendMessage(stream, wire.CopyData, bytes.Repeat([]byte{'d'}, body))
		ends[len(stream)] = true
	}
	for step := 1; step <= len(stream); step++ {
		var f frames
		for at := 0; at < len(stream); {
			n := min(step, len(stream)-at)
			f.pass(stream[at : at+n])
			if at += n; f.between() != ends[at] {
				t.Fatalf("in steps of %d: between is %v at byte %d", step, f.between(), at)
			}
		}
		if f.lose(); f.between() {
			t.Fatal("between two messages of a broken stream")
		}
	}
	var f frames
	if f.pass([]byte{'d', 0, 0, 0, 0, 1, 2, 3}); f.between() {
		t.Error("a length of 0 passes for a message")
	}
}

func TestReplicationKinds(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "0": "", "off": "", "OF": "", "no": "", "n": "", "false": "", "fa": "",
		"1": physical, "on": physical, "ON": physical, "yes": physical, "t": physical, "true": physical,
		"database": logical,
	} {
		if got, err := replicationKind(value); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", value, got, err, want)
		}
	}
	for _, value := range []string{"o", "2", "Database", "truely", "logical", " on"} {
		if kind, err := replicationKind(value); err == nil {
			t.Errorf("%q is %q", value, kind)
		}
	}
}
