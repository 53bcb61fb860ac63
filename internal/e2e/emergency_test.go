package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

const emergencyRule = `
[[request]]
id            = "E1"
why           = "Production stands still at night and nobody answers."
emergency     = true
who           = ["technicians"]
role          = "maintain"
devices       = { kind = "press" }
at_most       = "30m"
agree         = "nobody"
tell          = ["@owner", "shift-leads"]
review_within = "24h"
`

// TestAnEmergencyByCommandLine uses the emergency rule on a real device, and reviews it.
func TestAnEmergencyByCommandLine(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t)
	emergency := []string{"request", "press-2", "--emergency", "--action", "shell", "--for", "15m", "--reason", "the line burns"}
	refusesRun(t, d, 77, "no emergency rule", "technician", emergency...)
	file := policyFile(t, d, "answer_within = \"30m\"\n", "answer_within = \"30m\"\n"+emergencyRule)
	done(t, d, "admin", "policy", "apply", file, "--reason", "nights")
	if q := answers[apitype.Request](t, d, "technician", "request", "press-3", "--action", "shell", "--reason", "look"); q.State != "pending" || q.Rule != "R1" {
		t.Errorf("an ordinary request: got %+v", q)
	}
	q := answers[apitype.Request](t, d, "technician", emergency...)
	if q.State != "approved" || q.Rule != "E1" || !q.Emergency || q.Review == nil || q.Review.MayReview {
		t.Fatalf("got %+v", q)
	}
	if out := d.Run(t, "technician", "shell", "press-2", "--", "echo", "granted"); out.Status != 0 || out.Out != "granted\n" {
		t.Errorf("under the grant: got %+v", out)
	}
	if log := done(t, d, "officer", "audit", "tail", "--type", "emergency"); !strings.Contains(log, "press-2") {
		t.Errorf("the log has %q", log)
	}
	if g := answers[apitype.Grant](t, d, "officer", "grants", "show", q.ID); g.Used == nil || g.Used.Total != 1 {
		t.Errorf("used: got %+v", g.Used)
	}
	refusesRun(t, d, 1, "still in force", "officer", "grants", "review", q.ID, "--note", "fine")
	answers[apitype.Grant](t, d, "approver", "grants", "withdraw", q.ID, "--reason", "the fire is out")
	refusesRun(t, d, 77, "duty", "technician", "grants", "review", q.ID, "--note", "fine")
	if list := answers[[]apitype.Grant](t, d, "officer", "grants", "list", "--to-review"); len(list) != 1 || list[0].ID != q.ID || !list[0].Review.MayReview {
		t.Errorf("to review: got %+v", list)
	}
	g := answers[apitype.Grant](t, d, "officer", "grants", "review", q.ID, "--note", "a fire, one session, as described")
	if g.Review == nil || g.Review.At == nil || g.Review.By == "" || g.Review.Note != "a fire, one session, as described" {
		t.Errorf("got %+v", g.Review)
	}
	refusesRun(t, d, 1, "already", "officer", "grants", "review", q.ID, "--note", "again")
	if list := answers[[]apitype.Grant](t, d, "officer", "grants", "list", "--to-review"); len(list) != 0 {
		t.Errorf("after the review: got %+v", list)
	}
	if log := done(t, d, "officer", "audit", "tail", "--type", "reviewed"); !strings.Contains(log, "press-2") {
		t.Errorf("the log has %q", log)
	}
}

// TestASessionThatGoesOnUnderAnEmergencyIsSeen: its own grant is withdrawn, and the emergency alone allows it.
func TestASessionThatGoesOnUnderAnEmergencyIsSeen(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t)
	file := policyFile(t, d, "answer_within = \"30m\"\n", "answer_within = \"30m\"\n"+emergencyRule)
	done(t, d, "admin", "policy", "apply", file, "--reason", "nights")
	q := answers[apitype.Request](t, d, "technician", "request", "press-2", "--action", "shell", "--for", "20m", "--reason", "replace the sensor")
	e := answers[apitype.Request](t, d, "technician", "request", "press-2", "--emergency", "--action", "shell", "--for", "15m", "--reason", "the line burns")
	answers[apitype.Request](t, d, "approver", "request", "approve", q.ID)
	w := atWork(t, d, "press-2") // nothing is marked as an emergency without need
	refusesRun(t, d, 1, "already have", "technician", "request", "press-2", "--emergency", "--action", "shell", "--reason", "again")
	if g := answers[apitype.Grant](t, d, "officer", "grants", "show", e.ID); g.Used == nil || g.Used.Total != 0 {
		t.Errorf("while its own grant allows it: got %+v", g.Used)
	}
	answers[apitype.Grant](t, d, "approver", "grants", "withdraw", q.ID, "--reason", "enough")
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		g := answers[apitype.Grant](t, d, "officer", "grants", "show", e.ID)
		if g.Used != nil && g.Used.Total == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("under the emergency: got %+v", g.Used)
		}
	}
	began := time.Now()
	answers[apitype.Grant](t, d, "approver", "grants", "withdraw", e.ID, "--reason", "the fire is out")
	w.gone(t, began, "the withdrawal of both", "your grant was withdrawn")
}
