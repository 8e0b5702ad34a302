package restore

import (
	"strings"
	"testing"
	"time"
)

func TestParseTarget(t *testing.T) {
	utc := func(hour, minute int) Target {
		return Target{Time: time.Date(2026, 1, 31, hour, minute, 0, 0, time.UTC)}
	}
	for text, want := range map[string]Target{
		"latest":                              {},
		"2026-01-31T10:42:00Z":                utc(10, 42),
		"2026-01-31 10:42Z":                   utc(10, 42),
		"2026-01-31 10:42:00+02":              utc(8, 42),
		"2026-01-31 10:42:00 -0330":           utc(14, 12),
		"2026-01-31T10:42:00+05:30":           utc(5, 12),
		"2026-01-31 10:42:00.000000 UTC":      utc(10, 42),
		"2026-01-31 10:42:00 Europe/Brussels": utc(9, 42),
		"2026-01-31 22:42:00 America/Bogota":  {Time: time.Date(2026, 2, 1, 3, 42, 0, 0, time.UTC)},
		"2026-01-31 10:42:00.5Z":              {Time: time.Date(2026, 1, 31, 10, 42, 0, 5e8, time.UTC)},
		"lsn:16/B374D848":                     {LSN: 0x16B374D848},
		"16/B374D848":                         {LSN: 0x16B374D848},
		"xid:1234":                            {XID: 1234},
		"name:before the upgrade":             {Name: "before the upgrade"},
	} {
		got, err := ParseTarget(text)
		if err != nil || !got.Time.Equal(want.Time) || got.LSN != want.LSN || got.XID != want.XID || got.Name != want.Name {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := ParseTarget(got.String()); err != nil || !again.Time.Equal(got.Time) || again.LSN != got.LSN || again.XID != got.XID || again.Name != got.Name {
			t.Errorf("%s: %s reads as %+v, %v", text, got, again, err)
		}
	}
	for text, want := range map[string]string{
		"":                                      "neither latest",
		"yesterday":                             "neither latest",
		"2026-01-31":                            "neither latest",
		"2026-01-31 10:42:00":                   "time zone",
		"2026-01-31 10:42:00 PM":                "0 to 23",
		"2026-01-31 10:42:00 CET":               "not clear",
		"2026-01-31 10:42:00 local":             "time zone",
		"2026-01-31 10:42:00 Europe/Atlantis":   "no time zone",
		"2026-01-31 10:42:00+99":                "no time zone",
		"2026-02-30 10:42:00Z":                  "no such time",
		"2026-01-31 25:42:00Z":                  "no such time",
		"31/01/2026 10:42Z":                     "neither latest",
		"2026-03-29 02:30:00 Europe/Brussels":   "put forward",
		"2026-10-25 02:30:00 Europe/Brussels":   "came twice",
		"lsn:":                                  "no LSN",
		"lsn:0/0":                               "no position",
		"x/y":                                   "no LSN",
		"xid:2":                                 "no transaction",
		"xid:-1":                                "no transaction",
		"name:":                                 "1 to 63",
		"2026-01-31T10:42:00Z; drop database x": "not clear",
	} {
		if got, err := ParseTarget(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("2026-01-31 10:42:00+02")
	f.Add("lsn:16/B374D848")
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text)
		if err != nil {
			return
		}
		again, err := ParseTarget(target.String())
		if err != nil || !again.Time.Equal(target.Time) || again.LSN != target.LSN || again.XID != target.XID || again.Name != target.Name {
			t.Errorf("%q is %s, which is %+v, %v", text, target, again, err)
		}
	})
}
