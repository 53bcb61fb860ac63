package agent_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

func TestACommandGivesBothItsStreamsAndItsStatus(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel()
	if !p.exec("echo out; echo err >&2; exit 7") {
		t.Fatal("exec was refused")
	}
	out, errs := p.finish(t)
	if out != "out\n" || errs != "err\n" || p.status == nil || *p.status != 7 {
		t.Errorf("got %q, %q, %v; want out, err and 7", out, errs, p.status)
	}
	cmds := l.find(wire.EventCommand, 2)
	if len(cmds) != 2 || cmds[0].Source != "agent.exec" || cmds[0].PID == 0 || !cmds[1].Ended || cmds[1].Status != 7 {
		t.Errorf("got commands %+v", cmds)
	}
}

func TestLargeOutputArrivesWholeAndInputEnds(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel()
	p.exec("head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2; wc -c")
	go func() {
		p.typ(strings.Repeat("x", 100_000))
		p.ch.CloseWrite()
	}()
	out, errs := p.finish(t)
	if len(errs) != 3_000_000 || len(out) != 5_000_000+len("100000\n") || !strings.HasSuffix(out, "100000\n") {
		t.Errorf("got %d bytes of stdout ending in %q and %d of stderr", len(out), out[max(0, len(out)-10):], len(errs))
	}
	if v := l.verdicts(1, 100_000); v != strings.Repeat("c", 100_000) {
		t.Error("input without a terminal is clear")
	}
}

func TestATerminalHasItsSizeAndASignalReachesIt(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel().terminal(t, 90, 33)
	p.exec("stty size; trap 'echo got-usr1; exit 3' USR1; echo ready; while ! stty size | grep -q '40 120'; do sleep 0.05; done; stty size; echo size-ok; while :; do sleep 0.05; done")
	p.expect(t, "ready")
	p.ch.SendRequest("window-change", false, ssh.Marshal(struct{ C, R, W, H uint32 }{120, 40, 0, 0}))
	if got := p.expect(t, "size-ok"); !strings.Contains(got, "40 120") {
		t.Errorf("got %q, want 40 120", got)
	}
	p.ch.SendRequest("signal", false, ssh.Marshal(struct{ N string }{"USR1"}))
	out, _ := p.finish(t)
	if !strings.Contains(out, "got-usr1") || p.status == nil || *p.status != 3 {
		t.Errorf("got %q, status %v", out, p.status)
	}
}

func TestAProgramEndedByASignalSaysSo(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	p := g.start(wish{}).channel()
	p.exec("exec sleep 100")
	p.ch.SendRequest("signal", false, ssh.Marshal(struct{ N string }{"TERM"}))
	p.finish(t)
	if p.signal != "TERM" || p.status != nil {
		t.Errorf("got signal %q and status %v, want TERM", p.signal, p.status)
	}
}

func TestALoginShellRunsAsTheLogin(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel().terminal(t, 80, 24)
	if ok, err := p.ch.SendRequest("shell", true, nil); err != nil || !ok {
		t.Fatal("shell was refused")
	}
	p.typ("echo user=$USER-arg0=$0-term=$TERM-secret=$SALLYPORT_TOKEN-; exit 5\r")
	out, _ := p.finish(t)
	if want := "user=" + self() + "-arg0=-"; !strings.Contains(out, want) || !strings.Contains(out, "term=xterm-256color-secret=-") || p.status == nil || *p.status != 5 {
		t.Errorf("got %q, status %v, want %q", out, p.status, want)
	}
}

func TestWhatIsTypedAtAHiddenPromptIsHiddenAndTheRestIsClear(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel().terminal(t, 80, 24)
	p.exec(`exec bash --norc --noprofile -c 'read -p "name: " n; stty -echo; read -p "password: " x; stty echo; echo; echo "len=${#x}"; read -p "again: " y; echo done'`)
	p.expect(t, "name: ")
	p.typ("jana\r")
	p.expect(t, "password: ")
	p.typ("sec")
	p.typ("ret\r")
	p.expect(t, "len=6")
	p.expect(t, "again: ")
	p.typ("clear\r")
	out, _ := p.finish(t)
	if want := "ccccc" + "hhhhhhh" + "cccccc"; l.verdicts(1, len(want)) != want {
		t.Errorf("got %s, want %s; output %q", l.verdicts(1, len(want)), want, out)
	}
	if strings.Contains(out, "secret") {
		t.Error("the secret was echoed")
	}
}

func TestAPastedCommandAndItsSecretAreToldApart(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel().terminal(t, 80, 24)
	p.exec(`PS1='ready> ' exec bash --norc --noprofile -i`)
	p.expect(t, "ready> ")
	command, secret, after := "sleep 0.2; read -s x\r", "hunter2\r", "echo len=${#x}\r"
	p.typ(command + secret + after)
	out := p.expect(t, "len=7")
	want := strings.Repeat("c", len(command)) + strings.Repeat("h", len(secret)) + strings.Repeat("c", len(after))
	if got := l.verdicts(1, len(want)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if strings.Contains(out, "hunter2") {
		t.Errorf("the secret was echoed: %q", out)
	}
	p.typ("exit\r")
	p.finish(t)
}

func TestEndEndsTheWholeTreeAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel()
	p.exec(`setsid sh -c 'trap "" HUP TERM; echo $$; exec sleep 1000' & (trap "" HUP TERM; sleep 1000) & echo started; wait`)
	lines := p.expect(t, "\n") + p.expect(t, "\n")
	pid := strings.TrimSpace(strings.ReplaceAll(lines, "started\n", ""))
	began := time.Now()
	g.online().SendMsg(wire.End{T: wire.TypeEnd, Session: l.sid, Reason: "ended by Alex"}, time.Second)
	p.finish(t)
	waitGone(t, pid)
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("took %s; promised is a second", d)
	}
}

func TestALostLineHangsUpAndThenKills(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel()
	p.exec(`echo $$; exec sleep 1000`)
	pid := p.expect(t, "\n")
	l.conn.Close()
	waitGone(t, pid)
	l = g.start(wish{})
	p = l.channel()
	p.exec(`trap '' HUP; echo $$; exec sleep 1000`) // does not listen: killed after the grace
	pid = p.expect(t, "\n")
	began := time.Now()
	l.conn.Close()
	waitGone(t, pid)
	if d := time.Since(began); d < 4*time.Second { // the grace is five
		t.Errorf("killed after %s, without its grace", d)
	}
}

func TestEachChannelIsTestedAgainstThePass(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	l := g.start(wish{actions: []string{"run:" + self() + " /bin/echo hello 'wide world'"}})
	p := l.channel()
	if !p.exec("/bin/echo hello 'wide world'") {
		t.Fatal("the exact command was refused")
	}
	if out, _ := p.finish(t); out != "hello wide world\n" {
		t.Errorf("got %q", out)
	}
	for _, c := range []string{"/bin/echo hello", "/bin/echo hello 'wide world'; id", "id"} {
		if l.channel().exec(c) {
			t.Errorf("%q was started", c)
		}
	}
	if ok, _ := l.channel().ch.SendRequest("shell", true, nil); ok {
		t.Error("a shell was started")
	}
	for _, kind := range []string{"direct-tcpip", "x11", "auth-agent@openssh.com"} {
		if _, _, err := l.conn.OpenChannel(kind, nil); err == nil {
			t.Errorf("a channel %s was opened", kind)
		}
	}
	if ok, _, _ := l.conn.SendRequest("tcpip-forward", true, nil); ok {
		t.Error("tcpip-forward was granted")
	}
	c := l.channel()
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "subsystem"} {
		if ok, _ := c.ch.SendRequest(kind, true, nil); ok {
			t.Errorf("%s was granted", kind)
		}
	}
	d.owner("format = 1\npreset = \"open\"\nrun = \"deny\"\n")
	if l.channel().exec("/bin/echo hello 'wide world'") {
		t.Error("the owner's narrowed rules did not count")
	}
	if n := len(l.find(wire.EventRefused, 11)); n < 11 {
		t.Errorf("got %d refusals in the record, want each", n)
	}
}

func TestNothingIsOpenedBeforeTheEvents(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	open := func(l *live) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, _, err := l.conn.OpenChannel("session", wire.SessionChannel{Channel: l.opened.Add(1)}.Marshal())
			done <- err
		}()
		return done
	}
	t.Run("what comes before waits for them", func(t *testing.T) {
		l := g.silent(wish{})
		done := open(l)
		select {
		case err := <-done:
			t.Fatalf("a channel was answered (%v) though nothing could be told of it", err)
		case <-time.After(200 * time.Millisecond):
		}
		l.listen()
		if err := <-done; err != nil {
			t.Errorf("with the events open: %v", err)
		}
		p := l.channel()
		if !p.exec("echo hello") {
			t.Fatal("refused")
		}
		if out, _ := p.finish(t); out != "hello\n" {
			t.Errorf("got %q", out)
		}
	})
	t.Run("many before them end the line", func(t *testing.T) {
		l := g.silent(wish{})
		for range 5 {
			open(l)
		}
		gone := make(chan struct{})
		go func() { l.conn.Wait(); close(gone) }()
		select {
		case <-gone:
		case <-time.After(time.Minute):
			t.Error("the device went on waiting")
		}
	})
}

func TestAProgramThatCannotStartIsNoRefusal(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	l := g.start(wish{actions: []string{"run:" + self() + " /nonexistent/tool"}})
	if l.channel().exec("/nonexistent/tool") {
		t.Fatal("what is not there was started")
	}
	e := l.find(wire.EventRefused, 1)
	if len(e) != 1 || e[0].Source != wire.SourceExec || !strings.Contains(e[0].Text, "did not start") || !strings.Contains(e[0].Text, "no such file") {
		t.Errorf("got %+v", e)
	}
}

func TestSessionsOutliveTheAgentAndItsSuccessorEndsThem(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel()
	p.exec("echo one; read x; echo got $x; sleep 1000")
	p.expect(t, "one")
	d.kill(9)
	p.typ("two\n")
	p.expect(t, "got two")
	d.comeBack(g)
	if out, _ := d.run("sessions", "--json"); !strings.Contains(out, l.sid.String()) || !strings.Contains(out, "Jana Keller") {
		t.Errorf("sessions: got %s", out)
	}
	g.online().SendMsg(wire.End{T: wire.TypeEnd, Session: l.sid, Reason: "technician"}, time.Second)
	p.finish(t)
	if p.signal != "KILL" {
		t.Errorf("got signal %q", p.signal)
	}
}

func TestAnotherLoginNeedsRootAndGetsItsOwnRights(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t)
	home := t.TempDir()
	d.args = []string{"--shell", "/bin/bash", "--home", home}
	d.enrol(g, "open")
	if os.Geteuid() != 0 {
		g.refuses(d, "another login without root", g.order(wish{login: "nobody"}), "login")
		return
	}
	p := g.start(wish{login: "nobody"}).channel()
	p.exec("id -un; id -G; echo $HOME; cat /etc/shadow; exec 3<>/dev/null; umask")
	out, errs := p.finish(t)
	if want := "nobody\n65534\n" + home + "\n0022\n"; out != want || !strings.Contains(errs, "denied") {
		t.Errorf("got %q and %q, want %q and a denial", out, errs, want)
	}
	p = g.start(wish{login: "nobody"}).channel().terminal(t, 80, 24)
	p.exec("tty | xargs stat -c %U; echo x > $(tty) && echo mine")
	if out, _ := p.finish(t); !strings.Contains(out, "nobody") || !strings.Contains(out, "mine") {
		t.Errorf("the terminal is not the login's: %q", out)
	}
}

func TestParallelSessionsOfOneMachineDoNotMix(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	var all []*prog
	for i := range 5 {
		p := g.start(wish{}).channel()
		p.exec("read x; echo " + strings.Repeat("x", i) + "$x")
		all = append(all, p)
	}
	for i, p := range all {
		p.typ("end\n")
		if out, _ := p.finish(t); out != strings.Repeat("x", i)+"end\n" {
			t.Errorf("session %d: got %q", i, out)
		}
	}
}
