package gateway_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/format"
)

// asking is the technician's question for one more channel.
func (h *house) asking(s id.Session, argv ...string) gateway.ChannelAsk {
	return gateway.ChannelAsk{Session: s, Key: "t1", Person: h.ask("press-1").Person, Start: sessionline.Start{Argv: argv}}
}

// more opens one more channel.
func (h *house) more(s id.Session, argv ...string) (*gateway.Channel, *screen) {
	h.t.Helper()
	n := must(h.AskChannel(context.Background(), h.asking(s, argv...)))(h.t)
	out := &screen{}
	return must(h.OpenChannel(context.Background(), s, n, out))(h.t), out
}

// apply makes the role's rights those of a new policy.
func (h *house) apply(gives string) {
	h.t.Helper()
	next := strings.Replace(policy, `shell = { as = ["svc"] }`, gives, 1)
	_, err := h.signer.ApplyPolicy(context.Background(), h.admin, []signer.PolicyFile{{Name: "p.toml", Text: next}}, "test")
	if err == nil {
		err = h.rules.Load(context.Background(), h.signer)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) decisions(s id.Session) []store.Decision {
	h.t.Helper()
	return must(h.db.Decisions(context.Background(), store.DecisionFilter{Session: s, Limit: 50}))(h.t)
}

func TestTwoProgramsRunSideBySideInOneSession(t *testing.T) {
	h := newHouse(t)
	shell, screen := h.open(h.ask("press-1"))
	command, out := h.more(shell.ID(), "streams")
	if command.Number() != 2 || command.ID() != shell.ID() {
		t.Errorf("got channel %d of session %s", command.Number(), command.ID())
	}
	if got := command.Wait(); got.Status == nil || *got.Status != 7 || got.Reason != gateway.ByExit {
		t.Errorf("the command: got %+v, want status 7", got)
	}
	if out.shown() != "out\n" || out.err.String() != "err\n" {
		t.Errorf("the command's door: got %q and %q", out.shown(), out.err.String())
	}
	command.End("its door was closed after its end")
	must(shell.Write([]byte("hello exit\n")))(t)
	if got := shell.Wait(); got.Status == nil || *got.Status != 0 {
		t.Errorf("the shell: got %+v, want status 0", got)
	}
	if screen.shown() != "hello exit\n" {
		t.Errorf("the shell's door: got %q", screen.shown())
	}
	row := h.row(shell.ID())
	if row.State != store.Closed || row.Record != store.RecordComplete || row.ExitStatus == nil || *row.ExitStatus != 0 {
		t.Errorf("the row has not the end of the first channel: %+v", row)
	}
	notes := h.notes(shell.ID())
	for _, want := range []string{"start: channel 1 as svc; no terminal; no environment; a shell",
		"start: channel 2 as svc; no terminal; no environment; command: streams"} {
		if !slices.Contains(notes, want) {
			t.Errorf("the record has %q, not %q", notes, want)
		}
	}
	if got := h.decisions(shell.ID()); len(got) != 2 || !got[0].Allowed || !got[1].Allowed {
		t.Errorf("got %d decisions, want one for each channel: %+v", len(got), got)
	}
}

// TestANoteAboutAChannelNamesIt: "the end of input was sent" alone would be about any of several.
func TestANoteAboutAChannelNamesIt(t *testing.T) {
	h := newHouse(t)
	h.apply(`run = { as = ["svc"], argv = [["/bin/wait"], ["/bin/streams"]] }`)
	first, _ := h.open(h.ask("press-1", "/bin/wait"))
	second, _ := h.more(first.ID(), "/bin/wait")
	if _, err := h.AskChannel(context.Background(), h.asking(first.ID())); errkind.KindOf(err) != errkind.Denied {
		t.Fatalf("got %v, want a refusal", err)
	}
	if err := errors.Join(second.Signal("USR1"), first.CloseInput()); err != nil {
		t.Fatal(err)
	}
	second.Wait()
	first.Wait()
	got := map[uint32]string{}
	h.eachNote(first.ID(), func(n format.Note) {
		if n.Ch != nil {
			got[*n.Ch] += n.Kind + " "
		}
	})
	want := map[uint32]string{1: "start input-end ", 2: "start signal channel-end ", 3: "refused "}
	if !maps.Equal(got, want) {
		t.Errorf("the notes with a channel are %v, want %v", got, want)
	}
}

func TestAChannelThatTheGrantDoesNotNameIsRefusedInTheRecordAndTheOthersGoOn(t *testing.T) {
	h := newHouse(t)
	h.apply(`run = { as = ["svc"], argv = [["/bin/wait"], ["/bin/streams"]] }`)
	first, _ := h.open(h.ask("press-1", "/bin/wait"))
	_, err := h.AskChannel(context.Background(), h.asking(first.ID()))
	if errkind.KindOf(err) != errkind.Denied || !strings.Contains(err.Error(), "does not name shell:svc") {
		t.Fatalf("got %v, want a refusal by the grant", err)
	}
	if n := h.dev.dials(); n != 1 {
		t.Errorf("the device was dialled %d times", n)
	}
	want := "refused: channel 2 was refused by the gateway: The grant of this session does not name shell:svc.; " +
		"asked for: no terminal; no environment; a shell"
	if notes := h.notes(first.ID()); !slices.Contains(notes, want) {
		t.Errorf("the record has %q, not the refusal", notes)
	}
	got := h.decisions(first.ID())
	if len(got) != 2 || got[0].Allowed == got[1].Allowed {
		t.Errorf("got decisions %+v, want one of each", got)
	}
	if err := first.CloseInput(); err != nil {
		t.Fatal(err)
	}
	if got := first.Wait(); got.Status == nil || *got.Status != 0 {
		t.Errorf("the first channel did not go on: %+v", got)
	}
}

func TestOneMoreChannelIsForTheSignInThatOpenedTheSession(t *testing.T) {
	h := newHouse(t)
	first, _ := h.open(h.ask("press-1"))
	other := h.asking(first.ID())
	other.Key = "another"
	unknown := h.asking(id.NewSession())
	odd := h.asking(first.ID(), "a\x00b")
	for name, c := range map[string]struct {
		ask  gateway.ChannelAsk
		kind errkind.Kind
	}{"another sign-in": {other, errkind.Conflict}, "no session": {unknown, errkind.Conflict}, "no command": {odd, errkind.Usage}} {
		if _, err := h.AskChannel(context.Background(), c.ask); errkind.KindOf(err) != c.kind {
			t.Errorf("%s: got %v", name, err)
		}
	}
	n := must(h.AskChannel(context.Background(), h.asking(first.ID(), "streams")))(t)
	if c, err := h.OpenChannel(context.Background(), first.ID(), n, &screen{}); err != nil {
		t.Error(err)
	} else {
		c.Wait()
	}
	if _, err := h.OpenChannel(context.Background(), first.ID(), n, &screen{}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a permission was good twice: %v", err)
	}
	late := must(h.AskChannel(context.Background(), h.asking(first.ID())))(t)
	first.End("closed")
	first.Wait()
	if _, err := h.OpenChannel(context.Background(), first.ID(), late, &screen{}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a channel was opened in a session that has ended: %v", err)
	}
	if _, err := h.AskChannel(context.Background(), h.asking(first.ID())); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a channel was allowed in a session that has ended: %v", err)
	}
}

func TestTheChannelsOfASessionAreBounded(t *testing.T) {
	h := newHouse(t)
	first, _ := h.open(h.ask("press-1"))
	for range 15 {
		must(h.AskChannel(context.Background(), h.asking(first.ID())))(t)
	}
	if _, err := h.AskChannel(context.Background(), h.asking(first.ID())); errkind.KindOf(err) != errkind.TooMany {
		t.Errorf("got %v, want that sixteen are enough", err)
	}
}

func TestOneChannelEndsAndTheOtherGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*house, *gateway.Channel)
		reason string
	}{
		"its door closes": {func(_ *house, c *gateway.Channel) { c.End("closed") }, gateway.ByTechnician},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.apply(`run = { as = ["svc"], argv = [["/bin/wait", "1"], ["/bin/wait", "2"]] }`)
			first, screen := h.open(h.ask("press-1", "/bin/wait", "1"))
			second, out := h.more(first.ID(), "/bin/wait", "2")
			c.end(h, second)
			if got := second.Wait(); got.Reason != c.reason || got.Status != nil {
				t.Errorf("got %+v, want the reason %q", got, c.reason)
			}
			if len(out.notices) != 1 || !strings.HasPrefix(out.notices[0], "ended: ") {
				t.Errorf("its door reads %q", out.notices)
			}
			told := strings.TrimPrefix(strings.Join(out.notices, ""), "ended: ")
			want := "channel-end: channel 2 was ended (" + c.reason + "): " + told
			if notes := h.notes(first.ID()); !slices.Contains(notes, want) {
				t.Errorf("the record has %q, not %q", notes, want)
			}
			if err := first.CloseInput(); err != nil {
				t.Fatal(err)
			}
			if got := first.Wait(); got.Status == nil || *got.Status != 0 || len(screen.notices) != 0 {
				t.Errorf("the other: got %+v and the notices %q", got, screen.notices)
			}
		})
	}
}

// TestASessionEndsWithTheRightToWhatWasDoneInIt: a program that has ended may have left others running.
func TestASessionEndsWithTheRightToWhatWasDoneInIt(t *testing.T) {
	const both = `run = { as = ["svc"], argv = [["/bin/wait", "1"], ["/bin/wait", "2"]] }`
	for name, end := range map[string]func(*gateway.Channel){
		"its program runs":      func(*gateway.Channel) {},
		"its program has ended": func(c *gateway.Channel) { c.CloseInput(); c.Wait() },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.apply(both)
			first, _ := h.open(h.ask("press-1", "/bin/wait", "1"))
			second, _ := h.more(first.ID(), "/bin/wait", "2")
			end(second)
			h.apply(both + ` # another version`)
			h.Revalidate(t.Context())
			if h.LiveOn("press-1") != 1 {
				t.Fatal("it ended, and everything is still allowed")
			}
			h.apply(`run = { as = ["svc"], argv = [["/bin/wait", "1"]] }`)
			h.Revalidate(t.Context())
			if got := first.Wait(); got.Reason != gateway.ByWithdrawal || got.Status != nil {
				t.Errorf("got %+v, want withdrawn", got)
			}
		})
	}
}

func TestASessionTakesItsChannelsWithIt(t *testing.T) {
	h := newHouse(t)
	first, _ := h.open(h.ask("press-1"))
	second, _ := h.more(first.ID(), "wait")
	if err := h.End(context.Background(), first.ID(), "Ola", "enough"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*gateway.Channel{first, second} {
		if got := c.Wait(); got.Reason != "ended by Ola" || got.Status != nil {
			t.Errorf("channel %d: got %+v", c.Number(), got)
		}
	}
	if row := h.row(first.ID()); row.EndReason != "ended by Ola" || row.Record != store.RecordComplete {
		t.Errorf("the row says %q, %q", row.EndReason, row.Record)
	}
}

func TestALineThatBreaksEndsEveryChannel(t *testing.T) {
	h := newHouse(t)
	first, _ := h.open(h.ask("press-1"))
	second, _ := h.more(first.ID(), "wait")
	h.dev.breakLines()
	for _, c := range []*gateway.Channel{first, second} {
		select {
		case <-c.Done():
			if got := c.Wait(); got.Reason != gateway.ByDeviceLost {
				t.Errorf("channel %d: got %+v", c.Number(), got)
			}
		case <-time.After(time.Minute):
			t.Fatalf("channel %d does not end", c.Number())
		}
	}
}

func TestADeviceThatSaysThatItStartedSomethingElseIsFlagged(t *testing.T) {
	for name, c := range map[string]struct {
		argv []string
		set  func(*device)
		want string
	}{
		"what was asked for": {[]string{"/bin/streams"}, func(*device) {}, ""},
		"a shell for a command": {[]string{"/bin/streams"}, func(d *device) { d.says = []string{"bash", "-c", "/bin/streams"} },
			"differs: channel 1: the gateway asked for exactly the command: /bin/streams; the device says that it started: bash -c /bin/streams"},
		"another command": {[]string{"streams"}, func(d *device) { d.says = []string{"sh", "-c", "rm -r /"} },
			"differs: channel 1: the gateway asked for a shell with the command: streams; the device says that it started: sh -c 'rm -r /'"},
		"nothing": {[]string{"/bin/streams"}, func(d *device) { d.silent = true }, "differs: channel 1: the device did not say what it started"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.apply("shell = { as = [\"svc\"] }\nrun = { as = [\"svc\"], argv = [[\"/bin/streams\"]] }")
			c.set(h.dev)
			s, _ := h.open(h.ask("press-1", c.argv...))
			s.Wait()
			got := ""
			for _, n := range h.notes(s.ID()) {
				if strings.HasPrefix(n, "differs: ") {
					got += n
				}
			}
			if got != c.want {
				t.Errorf("the record has %q, want %q", got, c.want)
			}
		})
	}
}

// TestADeviceCannotRefuseInTheGatewaysName: a reader of the record has to know who refused.
func TestADeviceCannotRefuseInTheGatewaysName(t *testing.T) {
	h := newHouse(t)
	h.apply(`run = { as = ["svc"], argv = [["/bin/wait"], ["/bin/refuses"]] }`)
	first, _ := h.open(h.ask("press-1", "/bin/wait"))
	if _, err := h.AskChannel(context.Background(), h.asking(first.ID())); errkind.KindOf(err) != errkind.Denied {
		t.Fatalf("got %v, want a refusal", err)
	}
	const own = "refused: channel 2 was refused by the gateway: "
	notes := h.notes(first.ID())
	i := slices.IndexFunc(notes, func(n string) bool { return strings.HasPrefix(n, own) })
	if i < 0 {
		t.Fatalf("the record has %q, and no refusal by the gateway", notes)
	}
	h.dev.refuses = strings.TrimPrefix(notes[i], "refused: ")
	second, _ := h.more(first.ID(), "/bin/refuses")
	second.Wait()
	first.End("closed")
	first.Wait()
	lies := 0
	for _, n := range h.notes(first.ID()) {
		if strings.HasPrefix(n, "refused: channel ") {
			lies++
		}
	}
	if want := "refused: the device says: " + h.dev.refuses; lies != 1 || !slices.Contains(h.notes(first.ID()), want) {
		t.Errorf("the record has %q, want one refusal by the gateway and %q", h.notes(first.ID()), want)
	}
}

// TestInputThatWaitsAsItsChannelEndsDoesNotEndTheSession: the device does not judge the input, so the record takes no
// more of it.
func TestInputThatWaitsAsItsChannelEndsDoesNotEndTheSession(t *testing.T) {
	for name, end := range map[string]func(*gateway.Channel) error{
		"its program ends":   func(c *gateway.Channel) error { return c.Signal("KILL") },
		"its door is closed": func(c *gateway.Channel) error { c.End("closed"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			first, _ := h.open(h.ask("press-1"))
			at := h.asking(first.ID(), "wait")
			at.Start.PTY = &sessionline.PTY{Cols: 80, Rows: 24} // without a terminal nothing is judged
			second := must(h.OpenChannel(t.Context(), first.ID(), must(h.AskChannel(t.Context(), at))(t), &screen{}))(t)
			const judged = 512 << 10
			wrote := make(chan error, 1)
			go func() {
				_, err := second.Write(make([]byte, judged+1))
				wrote <- err
			}()
			within(t, time.Minute, "the record takes no more", func() bool { return h.dev.discarded.Load() == judged })
			if err := end(second); err != nil {
				t.Fatal(err)
			}
			second.Wait()
			if err := <-wrote; err == nil {
				t.Error("input was taken after the end of its channel")
			}
			must(first.Write([]byte("hello exit\n")))(t)
			if got := first.Wait(); got.Status == nil || *got.Status != 0 {
				t.Errorf("the other channel: got %+v, want status 0", got)
			}
		})
	}
}
