package drill

import (
	"math"
	"slices"
	"testing"
)

func TestPaceOfDrills(t *testing.T) {
	record := func(rto float64, walMB int64, trouble string) Record {
		return Record{RTO: rto, WAL: walMB << 20, Error: trouble}
	}
	database := func(rto, recovered float64) Record {
		return Record{Database: "acme", RTO: rto, Recovered: recovered, WAL: 400 << 20}
	}
	for name, c := range map[string]struct {
		all  []Record
		want float64
	}{
		"none":               {nil, 1},
		"as guessed":         {[]Record{record(14, 400, "")}, 1}, // 4 seconds and 10
		"slow":               {[]Record{record(28, 400, "")}, 2},
		"long ones count":    {[]Record{record(4, 0, ""), record(410, 8000, "")}, 414.0 / 208},
		"failed":             {[]Record{record(500, 0, "no"), record(8, 0, "")}, 2},
		"it came to nothing": {[]Record{{}}, 1},
		"only the last ones": {append(slices.Repeat([]Record{record(8, 0, "")}, 5), record(4000, 0, "")), 2},
		"not the dump":       {[]Record{database(600, 14)}, 1},
		"when nobody knows":  {[]Record{database(600, 0), record(28, 400, "")}, 2},
		"out of all bounds":  {[]Record{record(9000, 0, "")}, 10},
	} {
		if got := Pace(c.all); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
