package agent_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// starts reports whether a command is started, and waits until it has ended.
func (l *live) starts(t *testing.T, command string) bool {
	t.Helper()
	p := l.channel()
	if !p.exec(command) {
		return false
	}
	p.finish(t)
	return true
}

func TestOneSessionStartsEverythingThatItsPassNames(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	me := self()
	l := g.start(wish{actions: []string{"shell:" + me, "run:" + me + " /bin/echo one", "run:" + me + " /bin/echo 'a b'", "run:" + me + " /bin/echo n {number}",
		"files.read:/var/log"}})
	for _, command := range []string{"/bin/echo one", "/bin/echo 'a b'", "/bin/echo n 7", "echo $HOME"} {
		if !l.starts(t, command) {
			t.Errorf("%q was refused", command)
		}
	}
	var argv []string
	for _, e := range l.find(wire.EventCommand, 8) {
		if !e.Ended {
			argv = append(argv, e.Argv[0])
		}
	}
	if len(argv) != 4 || slices.Contains(argv[:3], "/bin/sh") || argv[3] == "/bin/echo" {
		t.Errorf("got %q, want the commands without a shell and the rest in one", argv)
	}
	shell := l.channel()
	if ok, _ := shell.ch.SendRequest("shell", true, nil); !ok {
		t.Error("a shell was refused")
	}
	out, _ := d.run("sessions", "--json")
	var rows []state.Live
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 {
		t.Fatalf("sessions: %v: %s", err, out)
	}
	want := []string{"files.read:/var/log", "run:" + me + " /bin/echo 'a b'", "run:" + me + " /bin/echo one", "shell:" + me, "run:" + me + " /bin/echo n {number}"}
	if !slices.Equal(rows[0].Actions, want) {
		t.Errorf("the owner is shown %q, want %q", rows[0].Actions, want)
	}
	if out, _ := d.run("sessions"); !strings.Contains(out, "5 actions; --json") && !strings.Contains(out, strings.Join(want, ", ")) {
		t.Errorf("sessions: got %s", out)
	}
}

// TestACommandOutsideTheSetIsRefused is what a taken gateway can try on a line that it has.
func TestACommandOutsideTheSetIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	me := self()
	l := g.start(wish{actions: []string{"run:" + me + " /bin/echo one", "run:" + me + " /bin/echo -n {word}", "ports:plc.local:102", "desktop.control"}})
	for command, want := range map[string]bool{"/bin/echo one": true, "/bin/echo -n go": true, "/bin/echo two": false, "/bin/echo -n -e": false,
		"/bin/echo -n '{word}'": false, "/bin/echo -n {word}": false, "/bin/echo -n a b": false, "/bin/echo -n 'a;id'": false, "/bin/sh": false} {
		if got := l.starts(t, command); got != want {
			t.Errorf("%q was started: %v, want %v", command, got, want)
		}
	}
	for _, kind := range []string{"direct-tcpip", "desktop"} {
		if _, _, err := l.conn.OpenChannel(kind, nil); err == nil {
			t.Errorf("a channel %s was opened, and no version of the agent carries what the pass names", kind)
		}
	}
}

// TestALiteralThatSpellsAPlaceholderIsNoTemplate: the words of a caller's command are literals, whatever they spell.
func TestALiteralThatSpellsAPlaceholderIsNoTemplate(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{actions: []string{"run:" + self() + " /bin/echo '{word}'"}})
	if !l.starts(t, "/bin/echo '{word}'") {
		t.Error("the command of the pass was refused")
	}
	if l.starts(t, "/bin/echo anything") {
		t.Error("a literal of the pass was read as a placeholder")
	}
}

func TestWhatTheOwnerDeniesOfASetIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	d.owner("format = 1\npreset = \"open\"\nshell = \"deny\"\n")
	actions := []string{"shell:" + self(), "run:" + self() + " /bin/echo one"}
	l := g.start(wish{actions: actions})
	if !l.starts(t, "/bin/echo one") {
		t.Error("a command that the owner allows was refused")
	}
	if l.starts(t, "echo $HOME") {
		t.Error("a shell was started that the owner denies")
	}
	l.conn.Close()
	g.settled(d)
	rest := []string{"ports:plc.local:102", "desktop.view", "files.read:/"} // allowed, and carried by no channel
	d.owner("format = 1\npreset = \"open\"\nshell = \"deny\"\nrun = \"deny\"\n")
	g.refuses(d, "a set of which no program is allowed", g.order(wish{actions: append(actions, rest...)}), "owner.shell")
	d.owner("format = 1\npreset = \"open\"\n")
	g.refuses(d, "a set without a program", g.order(wish{actions: rest}), "pass")
}

// TestASessionEndsWhenTheOwnerDeniesWhatRuns, although another action of the pass is still allowed: before, one allowed
// action kept alive whatever ran.
func TestASessionEndsWhenTheOwnerDeniesWhatRuns(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	l := g.start(wish{actions: []string{"shell:" + self(), "run:" + self() + " /bin/echo one", "desktop.view"}})
	p := l.channel()
	p.exec("echo $$; exec sleep 1000")
	pid := p.expect(t, "\n")
	d.owner("format = 1\npreset = \"open\"\nshell = \"deny\"\n")
	began := time.Now()
	waitGone(t, strings.TrimSpace(pid))
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
