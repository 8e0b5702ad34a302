package base

import (
	"reflect"
	"testing"

	"howdah/backup/replication"
)

func TestHoldsAreOnlyWidened(t *testing.T) {
	at := func(timeline uint32, lsn replication.LSN) *Position { return &Position{LSN: lsn, Timeline: timeline} }
	for name, c := range map[string]struct{ there, by, want Hold }{
		"to the stop twice": {Hold{Reason: "a", By: "x"}, Hold{Reason: "b", By: "y"}, Hold{Reason: "a", By: "x"}},
		"less":              {Hold{Latest: true, Reason: "court"}, Hold{}, Hold{Latest: true, Reason: "court"}},
		"less far":          {Hold{Until: at(1, 9)}, Hold{Until: at(1, 5)}, Hold{Until: at(1, 9)}},
		"farther":           {Hold{Until: at(1, 5)}, Hold{Until: at(1, 9)}, Hold{Until: at(1, 9)}},
		"first farther":     {Hold{}, Hold{Until: at(1, 9), Reason: "b"}, Hold{Until: at(1, 9), Reason: "b"}},
		"all":               {Hold{Until: at(1, 5)}, Hold{Latest: true}, Hold{Latest: true}},
		"another timeline":  {Hold{Until: at(1, 9)}, Hold{Until: at(2, 5)}, Hold{Latest: true}},
	} {
		if got := c.there.widened(c.by); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
