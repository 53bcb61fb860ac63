package agent_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// sendTerm asks for a terminal of a type without waiting for the answer.
func (p *prog) sendTerm(term string) {
	p.ch.SendRequest("pty-req", false, ssh.Marshal(struct {
		Term       string
		C, R, W, H uint32
		Modes      string
	}{term, 80, 24, 0, 0, "\x00"}))
}

// sendEnv sends an environment variable without waiting for the answer.
func (p *prog) sendEnv(name, value string) {
	p.ch.SendRequest("env", false, ssh.Marshal(wire.Variable{Name: name, Value: value}))
}

// TestADeviceTakesOnlyTerminalsAndLocalesByItself: the gateway checks them too, but this one lies. The program does not
// start, and the event says that the request was wrong, not that somebody forbids it.
func TestADeviceTakesOnlyTerminalsAndLocalesByItself(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	for i, c := range []struct {
		what string
		send func(*prog)
		text string
	}{
		{"a terminal type of two lines", func(p *prog) { p.sendTerm("x\ny") }, "a terminal type has"},
		{"a long terminal type", func(p *prog) { p.sendTerm(strings.Repeat("x", 65)) }, "a terminal type has"},
		{"no terminal type", func(p *prog) { p.sendTerm("") }, "a terminal type has"},
		{"two terminals", func(p *prog) { p.sendTerm("xterm"); p.sendTerm("xterm") }, "the terminal was asked for wrongly"},
		{"a locale that is a path", func(p *prog) { p.sendEnv("LANG", "/tmp/x") }, "LANG has"},
		{"a locale with a space", func(p *prog) { p.sendEnv("LC_ALL", "a b") }, "LC_ALL has"},
		{"a long locale", func(p *prog) { p.sendEnv("LC_TIME", strings.Repeat("x", 65)) }, "LC_TIME has"},
		{"a category that POSIX has not", func(p *prog) { p.sendEnv("LC_EVIL", "C") }, "a session has only"},
		{"a library", func(p *prog) { p.sendEnv("LD_PRELOAD", "x") }, "a session has only"},
		{"a variable twice", func(p *prog) { p.sendEnv("LANG", "C"); p.sendEnv("LANG", "C") }, "LANG is given twice"},
		{"half an env request", func(p *prog) { p.ch.SendRequest("env", false, []byte{0, 0, 0, 4, 'L'}) },
			"the environment was sent wrongly"},
	} {
		p := l.channel()
		c.send(p)
		if p.exec("echo started") {
			out, _ := p.finish(t)
			t.Errorf("%s: the program started and wrote %q", c.what, out)
			continue
		}
		p.ch.Close()
		told := l.find(wire.EventRefused, 2*(i+1)) // of the request, and of the start
		if len(told) != 2*(i+1) {
			t.Fatalf("%s: got %d refusals in all, want %d", c.what, len(told), 2*(i+1))
		}
		for _, e := range told[2*i:] {
			if e.Source != wire.SourceRequest || !strings.Contains(e.Text, c.text) || e.Channel != uint32(i+1) {
				t.Errorf("%s: told %+v, want a wrong request and %q", c.what, e, c.text)
			}
		}
	}
	if started := l.find(wire.EventCommand, 0); len(started) != 0 {
		t.Errorf("something started: %+v", started)
	}
}

// TestAllOfTheLocaleReachesTheProgram: and nothing else from outside.
func TestAllOfTheLocaleReachesTheProgram(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	p := g.start(wish{}).channel()
	for _, name := range wire.LocaleNames() {
		p.sendEnv(name, "C.UTF-8")
	}
	if !p.exec("env") {
		t.Fatal("exec was refused")
	}
	out, _ := p.finish(t)
	for _, name := range wire.LocaleNames() {
		if !strings.Contains("\n"+out, "\n"+name+"=C.UTF-8\n") {
			t.Errorf("the program has no %s; its environment is %q", name, out)
		}
	}
}
