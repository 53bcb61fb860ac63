package gateway_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestACommandGivesBothStreamsApartAndItsStatus(t *testing.T) {
	h := newHouse(t)
	s, out := h.open(h.ask("press-1", "streams"))
	got := s.Wait()
	if got.Status == nil || *got.Status != 7 || got.Reason != gateway.ByExit {
		t.Errorf("got %+v, want status 7 and reason exit", got)
	}
	if out.out.String() != "out\n" || out.err.String() != "err\n" {
		t.Errorf("got %q and %q", out.out.String(), out.err.String())
	}
	row := h.row(s.ID())
	if row.State != store.Closed || row.Record != store.RecordComplete || row.ExitStatus == nil || *row.ExitStatus != 7 {
		t.Errorf("row: got %+v", row)
	}
	p := must(h.db.Part(context.Background(), s.ID(), 0))(t)
	if p.OpenLeaf == nil || p.CloseLeaf == nil || *p.CloseLeaf <= *p.OpenLeaf {
		t.Errorf("leaves: got open %v close %v", p.OpenLeaf, p.CloseLeaf)
	}
}

func TestWhatAMachineSaysOfItselfDoesNotSteerATerminal(t *testing.T) {
	h := newHouse(t)
	s, out := h.open(h.ask("press-1", "shouts"))
	if got := s.Wait(); got.Signal != "UNKNOWN" || h.row(s.ID()).ExitSignal != "UNKNOWN" {
		t.Errorf("signal: got %.40q, want UNKNOWN", got.Signal)
	}
	want := []string{"refused: the machine refused a request: no reason was given", "refused: the machine refused a request: no forwarding"}
	if !slices.Equal(out.notices[:min(2, len(out.notices))], want) {
		t.Errorf("notices: got %q, want %q", out.notices, want)
	}
}

func TestWithoutARightThereIsAReasonAndNothingIsDialled(t *testing.T) {
	h := newHouse(t)
	_, err := h.Ask(context.Background(), h.ask("press-2"))
	text, hint, _ := errkind.ForPeople(err)
	if errkind.KindOf(err) != errkind.Denied || !strings.Contains(text, "press-2") || !strings.Contains(hint, "R1 lets you ask for it") {
		t.Errorf("got %q, hint %q", text, hint)
	}
	if h.dev.dials() != 0 {
		t.Error("a refused session reached a device")
	}
	rows, _, err := h.db.Sessions(context.Background(), store.SessionFilter{})
	if err != nil || len(rows) != 1 || rows[0].State != store.Refused || rows[0].EndReason != text {
		t.Errorf("the refusal is not in the list: %+v %v", rows, err)
	}
}

func TestALoginThatIsNotGrantedIsRefusedBeforeAnyDial(t *testing.T) {
	h := newHouse(t)
	a := h.ask("press-1")
	a.Login = "root"
	_, err := h.Ask(context.Background(), a)
	text, hint, _ := errkind.ForPeople(err)
	if errkind.KindOf(err) != errkind.Denied || !strings.Contains(text, "root") || hint == "" || h.dev.dials() != 0 {
		t.Errorf("got %q, hint %q and %d dials, want a denial that names the login, and no dial", text, hint, h.dev.dials())
	}
}

func TestASessionEndsWhenItsTimeIsUp(t *testing.T) {
	h := newHouse(t)
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { // passes of an hour, and a clock that is almost one ahead
		c.Now = func() time.Time { return time.Now().Add(time.Hour - 10*time.Second) }
	})
	s, out := h.open(h.ask("press-1"))
	select {
	case <-s.Done():
	case <-time.After(time.Minute):
		t.Fatal("the session lives on after its time")
	}
	if got := s.Wait(); got.Reason != gateway.ByGrantEnd || got.Status != nil {
		t.Errorf("got %+v, want the end of the grant", got)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if !slices.Contains(out.notices, "ended: the time of your grant is up") {
		t.Errorf("the technician reads %q", out.notices)
	}
	if row := h.row(s.ID()); row.EndReason != gateway.ByGrantEnd || row.Record != store.RecordComplete {
		t.Errorf("row: got %+v", row)
	}
}

func TestWhatIsNotThereAndWhatIsNotVisibleReadTheSame(t *testing.T) {
	h := newHouse(t)
	ghost := h.ask("press-9")
	_, one := h.Ask(context.Background(), ghost)
	stranger := h.ask("press-1")
	stranger.Person.Groups = nil
	_, two := h.Ask(context.Background(), stranger)
	a, ah, _ := errkind.ForPeople(one)
	b, bh, _ := errkind.ForPeople(two)
	if strings.ReplaceAll(a, "press-9", "X") != strings.ReplaceAll(b, "press-1", "X") || ah != bh {
		t.Errorf("got %q %q and %q %q", a, ah, b, bh)
	}
}

// TestEveryRefusalIsKept: also one of a question that names no login. And its asker, who reads the row, learns
// nothing by it.
func TestEveryRefusalIsKept(t *testing.T) {
	h := newHouse(t)
	for _, login := range []string{"", "svc"} {
		for _, device := range []string{"press-1", "press-9"} { // one that is there, one that is not
			a := h.ask(device)
			a.Login, a.Person.Groups = login, nil
			if _, err := h.Ask(context.Background(), a); errkind.KindOf(err) != errkind.Denied {
				t.Errorf("%s as %q: got %v, want a denial", device, login, err)
			}
		}
	}
	rows, _, err := h.db.Sessions(context.Background(), store.SessionFilter{})
	if err != nil || len(rows) != 4 {
		t.Fatalf("got %d rows, %v, want every refusal", len(rows), err)
	}
	for _, r := range rows {
		if r.State != store.Refused || r.Site != "" || r.DeviceFP != [32]byte{} || !strings.Contains(r.EndReason, "No machine of the name "+string(r.Device)) {
			t.Errorf("got %s as %q: %s, %q, site %q, key %x; want the same whether or not it is there", r.Device, r.Login, r.State, r.EndReason, r.Site, r.DeviceFP[:4])
		}
	}
}

func TestAnAnswerIsRedeemedOnce(t *testing.T) {
	h := newHouse(t)
	row := must(h.Ask(context.Background(), h.ask("press-1", "streams")))(t)
	s := must(h.Open(context.Background(), row.ID, &screen{}))(t)
	s.Wait()
	if _, err := h.Open(context.Background(), row.ID, &screen{}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestASignInThatHasEndedOpensNothingItWasAllowed(t *testing.T) {
	h := newHouse(t)
	row := must(h.Ask(context.Background(), h.ask("press-1")))(t)
	h.EndAllOf("t1", "signed out")
	if _, err := h.Open(context.Background(), row.ID, &screen{}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestNoAnswerThatNobodyCameForRunsOn(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.AskTime = time.Millisecond })
	late := must(h.Ask(ctx, h.ask("press-1")))(t)
	time.Sleep(2 * time.Millisecond)
	if _, err := h.Open(ctx, late.ID, &screen{}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	must(h.Ask(ctx, h.ask("press-1")))(t)
	time.Sleep(2 * time.Millisecond)
	must(h.Ask(ctx, h.ask("press-1")))(t) // which looks through those before
	go h.Run(ctx)
	within(t, time.Minute, "no session to run", func() bool { return len(must(h.db.RunningSessions(ctx))(t)) == 0 })

	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.AskTime = time.Hour })
	var err error
	asked := 0
	for ; err == nil && asked < 200; asked++ {
		_, err = h.Ask(ctx, h.ask("press-1"))
	}
	if errkind.KindOf(err) != errkind.TooMany {
		t.Fatalf("after %d questions: got %v, want too many", asked, err)
	}
	// The decision is in the log, so programs must not send the question again by themselves.
	if e, _ := errkind.Of(err); e.Wait < 10*time.Second {
		t.Errorf("got a wait of %s, as short as programs wait by themselves", e.Wait)
	}
	if got := len(must(h.db.RunningSessions(ctx))(t)); got != asked-1 {
		t.Errorf("got %d sessions that may run, want %d: the refused one is not among them", got, asked-1)
	}
}

func TestAMachineThatRefusesIsHeard(t *testing.T) {
	h := newHouse(t)
	h.dev.refuse = errkind.New(errkind.Denied, "the machine refused: its owner allows no shell")
	row := must(h.Ask(context.Background(), h.ask("press-1")))(t)
	_, err := h.Open(context.Background(), row.ID, &screen{})
	if errkind.KindOf(err) != errkind.Denied {
		t.Errorf("got %v, want denied", err)
	}
	got := h.row(row.ID)
	if got.State != store.Refused || !strings.Contains(got.EndReason, "its owner allows no shell") {
		t.Errorf("row: got %s %q", got.State, got.EndReason)
	}
	if p := must(h.db.Part(context.Background(), row.ID, 0))(t); p.CloseLeaf == nil {
		t.Error("the announced session has no close leaf")
	}
}

func TestAMachineThatStartsNothingSaysWhy(t *testing.T) {
	h := newHouse(t)
	h.dev.cannot = map[string]wire.Event{
		"broken":   {Kind: wire.EventRefused, Channel: 1, Source: wire.SourceExec, Text: "the program did not start: no shell"},
		"unwanted": {Kind: wire.EventRefused, Channel: 1, Text: "its owner allows no shell"},
		"wrong":    {Kind: wire.EventRefused, Channel: 1, Source: wire.SourceRequest, Text: "LANG is too long"},
		"hostile":  {Kind: wire.EventRefused, Channel: 1, Text: "\x1b]0;x\x07type your password"},
	}
	for command, want := range map[string]struct {
		kind errkind.Kind
		text string
	}{
		"broken":   {errkind.Unavailable, "press-1 did not start the command as svc: the program did not start: no shell"},
		"unwanted": {errkind.Denied, "press-1 did not start the command as svc: its owner allows no shell"},
		"wrong":    {errkind.Usage, "press-1 did not start the command as svc: LANG is too long"},
		"hostile":  {errkind.Denied, "press-1 did not start the command as svc: no reason was given"},
	} {
		row := must(h.Ask(context.Background(), h.ask("press-1", command)))(t)
		_, err := h.Open(context.Background(), row.ID, &screen{})
		if text, _, _ := errkind.ForPeople(err); errkind.KindOf(err) != want.kind || text != want.text {
			t.Errorf("%s: got %q, kind %v", command, text, errkind.KindOf(err))
		}
		if got := h.row(row.ID); got.State != store.Closed || got.EndReason != "refused: "+want.text {
			t.Errorf("%s: the row says %s %q", command, got.State, got.EndReason)
		}
	}
}

func TestEveryWayToEndASession(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		end  func(h *house, s *gateway.Channel) error
		want string
	}{
		"a person ends it":               {func(h *house, s *gateway.Channel) error { return h.End(ctx, s.ID(), "Ola", "enough") }, "ended by Ola"},
		"its sign-in ends":               {func(h *house, s *gateway.Channel) error { h.EndAllOf("t1", "signed out"); return nil }, gateway.BySignOut},
		"the technician closes the door": {func(h *house, s *gateway.Channel) error { s.End("closed"); return nil }, gateway.ByTechnician},
		"the line breaks":                {func(h *house, s *gateway.Channel) error { h.dev.breakLines(); return nil }, gateway.ByDeviceLost},
		"the gateway drains":             {func(h *house, s *gateway.Channel) error { go h.Drain(ctx); return nil }, gateway.ByDrain},
		"a label takes the right away": {func(h *house, s *gateway.Channel) error {
			_, err := h.db.ChangeDevice(ctx, wire.Fingerprint(h.dev.host.PublicKey()), func(d *store.Device) error { d.Labels["hall"] = "2"; return nil })
			h.Revalidate(ctx)
			return err
		}, gateway.ByWithdrawal},
		"the provider takes the group away": {func(h *house, s *gateway.Channel) error {
			err := h.db.PutPrincipal(ctx, store.Principal{ID: h.ask("press-1").Person.ID, Name: "Tess", Groups: []string{"others"}, SeenAt: time.Now()})
			h.Revalidate(ctx)
			return err
		}, gateway.ByWithdrawal},
		"the device is revoked": {func(h *house, s *gateway.Channel) error {
			_, err := h.db.ChangeDevice(ctx, wire.Fingerprint(h.dev.host.PublicKey()), func(d *store.Device) error { d.State = store.Revoked; return nil })
			h.Revalidate(ctx)
			return err
		}, gateway.ByLock},
		"the device is revoked and its lines are cut": {func(h *house, s *gateway.Channel) error {
			h.EndAllOn(wire.Fingerprint(h.dev.host.PublicKey()))
			h.dev.breakLines()
			return nil
		}, gateway.ByLock},
		"the policy no longer gives it": {func(h *house, s *gateway.Channel) error {
			_, err := h.signer.ApplyPolicy(ctx, h.admin, []signer.PolicyFile{{Name: "p.toml", Text: strings.Replace(policy, `devices = { hall = "1" }`, `devices = { hall = "2" }`, 1)}}, "test")
			if err == nil {
				err = h.rules.Load(ctx, h.signer)
			}
			h.Revalidate(ctx)
			return err
		}, gateway.ByWithdrawal},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			s, out := h.open(h.ask("press-1"))
			must(s.Write([]byte("before\n")))(t)
			within(t, time.Minute, "the echo", func() bool { return strings.Contains(out.shown(), "before") })
			began := time.Now()
			if err := c.end(h, s); err != nil {
				t.Fatal(err)
			}
			ended := make(chan gateway.Outcome, 1)
			go func() { ended <- s.Wait() }()
			var got gateway.Outcome
			select {
			case got = <-ended:
			case <-time.After(time.Minute):
				t.Fatal("it goes on")
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the end took %s; promised is a second", took)
			}
			if got.Reason != c.want {
				t.Errorf("got reason %q, want %q", got.Reason, c.want)
			}
			if n, err := s.Write([]byte("after\n")); err == nil || n != 0 {
				t.Errorf("a byte passed after the end: %d %v", n, err)
			}
			if row := h.row(s.ID()); row.State != store.Closed || row.EndReason != c.want || row.Record != store.RecordComplete {
				t.Errorf("row: got %s %q %s", row.State, row.EndReason, row.Record)
			}
		})
	}
}

// A signal is an act on the machine as much as a key is.
func TestASignalIsInTheRecordBeforeItIsSent(t *testing.T) {
	h := newHouse(t)
	s, _ := h.open(h.ask("press-1", "wait"))
	if err := s.Signal("USR1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal("FROBNICATE"); err == nil {
		t.Error("a signal that is none was sent")
	}
	s.End("done")
	s.Wait()
	if err := s.Signal("TERM"); err == nil {
		t.Error("a signal was sent without a record")
	}
	if got := h.notes(s.ID()); len(got) != 2 || got[1] != "signal: USR1 was sent to what runs" {
		t.Errorf("the record has %q", got)
	}
}

func TestAFloodArrivesWholeAndInOrder(t *testing.T) {
	h := newHouse(t)
	s, out := h.open(h.ask("press-1", "flood", "5000000"))
	if got := s.Wait(); got.Status == nil || *got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	want := strings.Repeat("0123456789abcdef", 1024)
	want = strings.Repeat(want, 5000000/len(want)+1)[:5000000]
	if got := out.shown(); got != want {
		t.Errorf("got %d bytes, want 5,000,000 as sent", len(got))
	}
}

func TestBadQuestionsAreAnsweredInWords(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		edit func(*gateway.Ask)
		want string
	}{
		"a name with a slash":         {func(a *gateway.Ask) { a.Device = "../press-1" }, "a device name has"},
		"a name with a plus":          {func(a *gateway.Ask) { a.Device = "root+press-1" }, "a device name has"},
		"a name with a space":         {func(a *gateway.Ask) { a.Device = "press 1" }, "a device name has"},
		"a name with a zero byte":     {func(a *gateway.Ask) { a.Device = "press-1\x00" }, "a device name has"},
		"no name":                     {func(a *gateway.Ask) { a.Device = "" }, "a device name has"},
		"a login that climbs":         {func(a *gateway.Ask) { a.Login = "../svc" }, "login"},
		"a login with a zero byte":    {func(a *gateway.Ask) { a.Login = "svc\x00" }, "login"},
		"a login with a space":        {func(a *gateway.Ask) { a.Login = "s vc" }, "login"},
		"a zero byte in the command":  {func(a *gateway.Ask) { a.Start.Argv = []string{"echo", "a\x00b"} }, "zero byte"},
		"a terminal of no size":       {func(a *gateway.Ask) { a.Start.PTY = &sessionline.PTY{} }, "1 to 500 columns"},
		"a reason with an escape":     {func(a *gateway.Ask) { a.Purpose = "x\x1b[2J" }, "control characters"},
		"a reason that turns letters": {func(a *gateway.Ask) { a.Purpose = "a\u202eb" }, "control characters"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.ask("press-1")
			c.edit(&a)
			_, err := h.Ask(context.Background(), a)
			e, _ := errkind.Of(err)
			if errkind.KindOf(err) != errkind.Usage || !strings.Contains(err.Error(), c.want) || e.Hint == "" || h.dev.dials() != 0 {
				t.Errorf("got %v and %d dials, want a usage error with %q and what to do, and none", err, h.dev.dials(), c.want)
			}
		})
	}
}
