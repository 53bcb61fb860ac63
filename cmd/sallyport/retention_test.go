package main

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/web/apitype"
)

func TestTheRetentionReportIsSummedUpByClass(t *testing.T) {
	early, late := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	got := byClass([]apitype.Retained{
		{Class: "unannounced", Recordings: 1, Bytes: 10, Oldest: &late},
		{Class: "routine", Month: "2027-01", Recordings: 2, Bytes: 2_000_000, Due: 2, DueBytes: 2_000_000,
			Oldest: &late, First: &late},
		{Class: "routine", Month: "2027-02", Recordings: 3, Bytes: 500, Oldest: &early, First: &early}})
	if len(got) != 2 || got[1].Recordings != 5 || got[1].Bytes != 2_000_500 || got[1].Due != 2 ||
		got[1].Oldest != &early || got[1].First != &early || got[1].Month != "" {
		t.Errorf("got %+v", got)
	}
	if all := sumOf(got); all.Recordings != 6 || all.First != &early {
		t.Errorf("in all: got %+v", all)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 2_000_500: "2.0 MB",
		5_400_000_000_000_000: "5400.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
