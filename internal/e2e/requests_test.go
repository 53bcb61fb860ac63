package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// answers runs a command that prints JSON.
func answers[T any](t *testing.T, d *testenv.Demo, role string, args ...string) (out T) {
	t.Helper()
	got := d.Run(t, role, append(args, "--json")...)
	if got.Status != 0 {
		t.Fatalf("%q as %s: status %d, %s", args, role, got.Status, got.Err)
	}
	if err := json.Unmarshal([]byte(got.Out), &out); err != nil {
		t.Fatalf("%q: %v in %s", args, err, got.Out)
	}
	return out
}

func refusesRun(t *testing.T, d *testenv.Demo, status int, want, role string, args ...string) {
	t.Helper()
	if got := d.Run(t, role, args...); got.Status != status || !strings.Contains(got.Err, want) {
		t.Errorf("%q as %s: got %d, %q, want %d with %q", args, role, got.Status, got.Err, status, want)
	}
}

// TestARightIsAskedForAgreedToUsedAndGone goes the whole way by command line, with a real signer, device and log.
func TestARightIsAskedForAgreedToUsedAndGone(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t)
	refusesRun(t, d, 77, "shift lead", "technician", "shell", "press-2", "--", "id")
	refusesRun(t, d, 2, "wants a reason", "technician", "request", "press-2", "--action", "shell")
	refusesRun(t, d, 1, "No machine of the name", "technician", "request", "press-99", "--action", "shell", "--reason", "x")
	refusesRun(t, d, 2, "at most 4 h", "technician", "request", "press-2", "--action", "shell", "--for", "5h", "--reason", "x")
	refusesRun(t, d, 77, "", "technician", "request", "press-2", "--action", "shell:root", "--reason", "x")
	refusesRun(t, d, 1, "you need no request", "technician", "request", "press-1", "--action", "shell", "--reason", "x")
	refusesRun(t, d, 2, "control characters", "technician", "request", "press-2", "--action", "shell", "--reason", "a\x1b[2Jb")
	refusesRun(t, d, 2, "control characters", "technician", "request", "press-2", "--action", "shell", "--reason", "a\u202eb")

	q := answers[apitype.Request](t, d, "technician", "request", "press-2", "--action", "shell", "--for", "30m", "--reason", "replace the sensor")
	if q.State != "pending" || q.Login == "" || q.Minutes != 30 || q.Grant != nil || len(q.Needs) != 1 || q.Needs[0] != (apitype.Need{From: "shift-leads", Count: 1}) {
		t.Errorf("got %+v", q)
	}
	refusesRun(t, d, 77, "shift lead", "technician", "shell", "press-2", "--", "id")
	refusesRun(t, d, 77, "", "technician", "request", "approve", q.ID)
	refusesRun(t, d, 77, "", "officer", "request", "approve", q.ID)
	refusesRun(t, d, 77, "", "admin", "request", "approve", q.ID)
	refusesRun(t, d, 2, "at most 30 min", "approver", "request", "approve", q.ID, "--for", "1h")
	refusesRun(t, d, 2, "is not in the request", "approver", "request", "approve", q.ID, "--action", "shell:root")
	if list := answers[[]apitype.Request](t, d, "approver", "request", "list", "--answer"); len(list) != 1 || list[0].ID != q.ID || !list[0].MayAnswer {
		t.Errorf("the approver has %+v to answer", list)
	}
	if list := answers[[]apitype.Request](t, d, "owner", "request", "list"); len(list) != 1 || list[0].MayAnswer {
		t.Errorf("the owner of the site sees %+v", list)
	}

	got := answers[apitype.Request](t, d, "approver", "request", "approve", q.ID[:8], "--for", "15m")
	if got.State != "approved" || got.Minutes != 15 || len(got.Approvers) != 1 || got.Grant == nil {
		t.Errorf("got %+v", got)
	}
	refusesRun(t, d, 1, "already granted", "approver", "request", "approve", q.ID)
	if out := d.Run(t, "technician", "shell", "press-2", "--", "echo", "granted"); out.Status != 0 || out.Out != "granted\n" {
		t.Errorf("under the grant: got %+v", out)
	}
	refusesRun(t, d, 77, "", "technician", "shell", "press-3", "--", "id")
	grants := answers[[]apitype.Grant](t, d, "technician", "grants", "list")
	if len(grants) != 1 || grants[0].State != "active" || grants[0].Ends.Sub(grants[0].Starts) != 15*time.Minute || !slices.Equal(grants[0].Approvers, got.Approvers) {
		t.Errorf("got %+v", grants)
	}
	if g := answers[apitype.Grant](t, d, "approver", "grants", "show", q.ID); g.Used == nil || g.Used.Total != 1 || len(g.Used.Sessions) != 1 || g.Used.Sessions[0].Device != "press-2" {
		t.Errorf("what was done under it: got %+v", g.Used)
	}
	if q := answers[apitype.Request](t, d, "technician", "request", "show", q.ID); q.State != "used" {
		t.Errorf("after a session: got %s", q.State)
	}

	w := atWork(t, d, "press-2")
	began := time.Now()
	if got := d.Run(t, "approver", "grants", "withdraw", "last", "--reason", "the line runs again"); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	w.gone(t, began, "the withdrawal", "changed during the session")
	refusesRun(t, d, 77, "", "technician", "shell", "press-2", "--", "id")
	if g := answers[apitype.Grant](t, d, "officer", "grants", "show", q.ID); g.State != "withdrawn" || g.Why != "the line runs again" {
		t.Errorf("got %+v", g)
	}
}

// TestMoreTimeComesWithoutABreak: the same shell goes on under the next pass, and under the second grant alone.
func TestMoreTimeComesWithoutABreak(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t)
	ask := func() string {
		q := answers[apitype.Request](t, d, "technician", "request", "press-2", "--action", "shell", "--for", "10m", "--reason", "replace the sensor")
		answers[apitype.Request](t, d, "approver", "request", "approve", q.ID)
		return q.ID
	}
	first := ask()
	w := atWork(t, d, "press-2")
	s := answers[apitype.Session](t, d, "technician", "sessions", "show", "last")
	refusesRun(t, d, 77, "only the technician", "officer", "sessions", "more-time", s.ID.String())
	time.Sleep(1100 * time.Millisecond) // a grant of the same length is more time if it ends at a later whole second
	io.WriteString(w.tty, "\n~+")
	w.out.wait(t, "for more time waits for")
	out := answers[apitype.MoreTime](t, d, "technician", "sessions", "more-time", "last", "--for", "20m") // a second time asks nothing new
	if out.Extended || out.Request == nil || out.Request.Minutes != 10 || out.Request.Reason != "replace the sensor" || out.Until.Sub(*s.Until).Abs() > time.Second {
		t.Fatalf("got %+v, want the request that the terminal made", out)
	}
	answers[apitype.Request](t, d, "approver", "request", "approve", out.Request.ID)
	w.out.wait(t, "the session continues until")
	now := answers[apitype.Session](t, d, "technician", "sessions", "show", s.ID.String())
	if g := answers[apitype.Grant](t, d, "technician", "grants", "show", out.Request.ID); g.Used == nil || g.Used.Total != 1 || g.Used.Sessions[0].ID != s.ID {
		t.Errorf("under the second grant: got %+v", g.Used)
	}
	if !now.Until.After(*s.Until) || now.State != s.State {
		t.Errorf("it ends at %s, was %s; state %s", now.Until, s.Until, now.State)
	}
	answers[apitype.Grant](t, d, "approver", "grants", "withdraw", first, "--reason", "one is enough")
	io.WriteString(w.tty, "echo still''=$$=\n")
	w.out.wait(t, fmt.Sprintf("still=%d=", w.pid))
	began := time.Now()
	answers[apitype.Grant](t, d, "approver", "grants", "withdraw", out.Request.ID, "--reason", "enough")
	w.gone(t, began, "the withdrawal of both", "changed during the session")
}

func TestAStandingRightGivesMoreTimeAtOnce(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	w := atWork(t, d, "press-1")
	before := answers[apitype.Session](t, d, "technician", "sessions", "show", "last")
	time.Sleep(1100 * time.Millisecond) // a pass ends at a whole second
	out := answers[apitype.MoreTime](t, d, "technician", "sessions", "more-time", "last")
	if !out.Extended || out.Request != nil || !out.Until.After(*before.Until) {
		t.Errorf("got %+v, want more than until %s", out, before.Until)
	}
	w.out.wait(t, "the session continues until")
}

func TestARequestIsDeniedWithdrawnAndWaitedFor(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t)
	ask := []string{"request", "press-2", "--action", "shell", "--for", "10m", "--reason", "look"}
	waiting := d.Command(t.Context(), "technician", append(ask, "--wait")...)
	said := make(chan testenv.Result, 1)
	go func() { said <- testenv.Finish(t, waiting) }()
	var q apitype.Request
	for end := time.Now().Add(time.Minute); q.ID == ""; time.Sleep(50 * time.Millisecond) {
		if list := answers[[]apitype.Request](t, d, "approver", "request", "list", "--answer"); len(list) > 0 {
			q = list[0]
		}
		if time.Now().After(end) {
			t.Fatal("the request never came")
		}
	}
	if got := d.Run(t, "approver", "request", "deny", q.ID); got.Status != 2 {
		t.Errorf("without a reason: got %+v", got)
	}
	answers[apitype.Request](t, d, "approver", "request", "deny", q.ID, "--reason", "not today")
	if got := <-said; got.Status != 77 || !strings.Contains(got.Err, "not today") {
		t.Errorf("who waited: got %+v", got)
	}
	refusesRun(t, d, 1, "denied", "approver", "request", "approve", q.ID)

	q = answers[apitype.Request](t, d, "technician", ask...)
	refusesRun(t, d, 77, "only the requester", "approver", "request", "withdraw", q.ID)
	if got := answers[apitype.Request](t, d, "technician", "request", "withdraw", q.ID); got.State != "withdrawn" {
		t.Errorf("got %+v", got)
	}
	refusesRun(t, d, 1, "withdrawn", "approver", "request", "approve", q.ID)
	for range 5 {
		answers[apitype.Request](t, d, "technician", ask...)
	}
	refusesRun(t, d, 1, "5 pending requests", "technician", ask...)
}
