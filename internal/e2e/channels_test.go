package e2e

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// program is a channel whose output is gathered until it ends.
type program struct {
	*client.Terminal
	out, err screen
	end      chan apitype.TerminalControl
}

func running(t *testing.T, term *client.Terminal, err error) *program {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{Terminal: term, end: make(chan apitype.TerminalControl, 1)}
	go func() {
		end, err := term.Run(&p.out, &p.err, func(_, text string) { p.err.Write([]byte(text)) })
		if err != nil {
			t.Errorf("the connection of a channel: %v", err)
		}
		p.end <- end
	}()
	t.Cleanup(func() { term.Close() })
	return p
}

func (p *program) wantStatus(t *testing.T, want int) {
	t.Helper()
	if end := <-p.end; end.Status == nil || *end.Status != want {
		t.Errorf("got the end %+v, want status %d; stderr %q", end, want, p.err.text())
	}
}

// TestATerminalAndACommandRunSideBySide: on a real device, each authorised by itself, on one record.
func TestATerminalAndACommandRunSideBySide(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	c, err := client.New(client.Options{Gateway: d.URL, Bearer: d.Token("technician")})
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := c.Open(t.Context(), apitype.SessionNew{Device: "press-1", Front: "cli",
		Program: apitype.Program{PTY: true, Cols: 80, Rows: 24, Term: "xterm"}})
	if err != nil {
		t.Fatal(err)
	}
	term, err := c.Terminal(t.Context(), ticket)
	shell := running(t, term, err)
	shell.Write([]byte("echo one''=\n"))
	shell.out.wait(t, "one=")
	second, err := c.OpenChannel(t.Context(), ticket.Session, apitype.Program{Argv: []string{"sh", "-c", "cat; echo err >&2; exit 7"}})
	if err != nil || second.Channel != 2 {
		t.Fatalf("got %+v, %v; want channel 2", second, err)
	}
	term, err = c.Channel(t.Context(), second)
	command := running(t, term, err)
	command.Write([]byte("to the command\n"))
	command.out.wait(t, "to the command\n")
	shell.Write([]byte("echo two''=\n"))
	shell.out.wait(t, "two=")
	command.CloseInput()
	command.wantStatus(t, 7)
	if out, errs := command.out.text(), command.err.text(); out != "to the command\n" || errs != "err\n" {
		t.Errorf("the command: got %q and %q", out, errs)
	}
	shell.Write([]byte("exit 3\n"))
	shell.wantStatus(t, 3)
	recordedSideBySide(t, d)
}

func recordedSideBySide(t *testing.T, d *testenv.Demo) {
	sid := last(t, d)
	k, err := testenv.Keep(recordingOf(t, d, sid), d.Identities["reader"], d.Identities["unsealer"])
	if err != nil {
		t.Fatal(err)
	}
	login := d.Devices[0].Login
	for _, want := range []string{
		"start: channel 1 as " + login + "; terminal xterm, 80 columns, 24 rows; no environment; a shell",
		"start: channel 2 as " + login + "; no terminal; no environment; command: sh -c 'cat; echo err >&2; exit 7'",
	} {
		if !slices.Contains(k.Notes, want) {
			t.Errorf("the record has %q, not %q", k.Notes, want)
		}
	}
	if !bytes.Contains(k.Typed, []byte("echo two''=\n")) || k.More[2] == nil || string(k.More[2].Typed) != "to the command\n" ||
		string(k.More[2].Shown) != "to the command\n" || string(k.More[2].Errors) != "err\n" {
		t.Errorf("the record has %q of channel 1 and %+v of the others", k.Typed, k.More[2])
	}
	if got := d.Run(t, "officer", "sessions", "verify", sid); got.Status != 0 {
		t.Errorf("verify: got %+v", got)
	}
	readByChannel(t, d, sid)
	timeline := get(t, d, "officer", "/api/v1/sessions/"+sid+"/timeline")
	for _, want := range []string{"channel 2 ended with status 7", "channel 1 ended with status 3"} {
		if !strings.Contains(timeline, want) {
			t.Errorf("the timeline has not %q", want)
		}
	}
}

// readByChannel expects the command line to show one channel on stdout, and to name what else there is on stderr.
func readByChannel(t *testing.T, d *testenv.Demo, sid string) {
	const command = "to the command\nerr\n"
	first, second := "this is channel 1; 1 more channel is in the record", "this is channel 2; 1 more channel is in the record"
	for _, c := range []struct {
		args        []string
		want, other string // in what is shown
		told        string
	}{
		{[]string{"replay", sid}, "echo two''=", "to the command", first},
		{[]string{"replay", sid, "--channel", "1", "--raw", "--speed", "1000"}, "echo two''=", "to the command", first},
		{[]string{"replay", sid, "--channel", "2"}, command, "echo", second},
		{[]string{"replay", sid, "--channel", "2", "--input"}, "to the command", "echo", second},
		{[]string{"export", sid, "--transcript", "--channel", "2", "-o", "-"}, command, "echo", second},
		{[]string{"export", sid, "--cast", "-o", "-"}, "echo two''=", "to the command", first},
	} {
		got := d.Run(t, "officer", append([]string{"sessions"}, c.args...)...)
		if got.Status != 0 || !strings.Contains(got.Out, c.want) || strings.Contains(got.Out, c.other) {
			t.Errorf("%v: got status %d and %q", c.args, got.Status, got.Out)
		}
		if !strings.Contains(got.Err, c.told) || strings.Contains(got.Out, "more channel") {
			t.Errorf("%v: got %q on stderr, want %q", c.args, got.Err, c.told)
		}
	}
	for _, args := range [][]string{{"replay", sid, "--channel", "3"}, {"export", sid, "--cast", "--channel", "3", "-o", "-"}} {
		got := d.Run(t, "officer", append([]string{"sessions"}, args...)...)
		if got.Status != 1 || got.Out != "" || !strings.Contains(got.Err, "the record has no channel 3; it has channels 1 and 2") ||
			strings.Contains(got.Err, "this is channel") {
			t.Errorf("%v: got %+v", args, got)
		}
	}
	if got := d.Run(t, "officer", "sessions", "export", sid, "--channel", "2"); got.Status != 2 {
		t.Errorf("evidence of one channel: got %+v, want a usage error", got)
	}
	if got := d.Run(t, "officer", "sessions", "show", sid); !strings.Contains(got.Out, "1, and 1 more was allowed") {
		t.Errorf("show: got %s", got.Out)
	}
	var channels []apitype.Channel
	got := d.Run(t, "officer", "sessions", "channels", sid, "--json")
	if err := json.Unmarshal([]byte(got.Out), &channels); err != nil || len(channels) != 2 {
		t.Fatalf("channels: got %+v, %v", got, err)
	}
	if c := channels[1]; c.Ch != 2 || c.Command != "sh -c 'cat; echo err >&2; exit 7'" || c.Terminal || c.Status == nil || *c.Status != 7 ||
		c.BytesOut != uint64(len(command)) || !channels[0].Terminal || channels[0].Program != "shell" {
		t.Errorf("got %+v", channels)
	}
}

// TestAThirdChannelOutsideTheGrantIsRefusedAndTheOthersGoOn: the grant names two commands and no shell.
func TestAThirdChannelOutsideTheGrantIsRefusedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	login := d.Devices[0].Login
	file := policyFile(t, d, `shell = { as = ["`+login+`"] }`,
		`run = { as = ["`+login+`"], argv = [["/bin/cat"], ["/bin/echo", "{word}"]] }`)
	done(t, d, "admin", "policy", "apply", file, "--reason", "commands alone")
	c, err := client.New(client.Options{Gateway: d.URL, Bearer: d.Token("technician")})
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := c.Open(t.Context(), apitype.SessionNew{Device: "press-1", Front: "cli",
		Program: apitype.Program{Argv: []string{"/bin/cat"}}})
	if err != nil {
		t.Fatal(err)
	}
	term, err := c.Terminal(t.Context(), ticket)
	cat := running(t, term, err)
	second, err := c.OpenChannel(t.Context(), ticket.Session, apitype.Program{Argv: []string{"/bin/echo", "hello"}})
	if err != nil {
		t.Fatal(err)
	}
	term, err = c.Channel(t.Context(), second)
	echo := running(t, term, err)
	echo.wantStatus(t, 0)
	for _, p := range []apitype.Program{{PTY: true, Cols: 80, Rows: 24}, {Argv: []string{"/bin/echo", "two words"}},
		{Argv: []string{"/bin/cat"}, PTY: true, Cols: 80, Rows: 24}} {
		_, err := c.OpenChannel(t.Context(), ticket.Session, p)
		if errkind.KindOf(err) != errkind.Denied || !strings.Contains(err.Error(), "grant of this session does not name") {
			t.Errorf("%+v: got %v, want a refusal by the grant", p, err)
		}
	}
	cat.Write([]byte("still here\n"))
	cat.out.wait(t, "still here\n")
	cat.CloseInput()
	cat.wantStatus(t, 0)
	refused := 0
	for _, n := range notesOf(t, d) {
		if strings.HasPrefix(n, "refused: channel ") && strings.Contains(n, "does not name shell:"+login) {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("the record has %d refusals, want 3: %q", refused, notesOf(t, d))
	}
}
